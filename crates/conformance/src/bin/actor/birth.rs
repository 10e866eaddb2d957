//! How an actor multiplies, changes its image, and ends.

#![allow(unsafe_code, reason = "fork, clone and exec")]
#![allow(clippy::cast_possible_truncation, reason = "a descriptor travels as a pointer")]

use std::ffi::{CString, c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};

use coseg_conformance::protocol::{Birth, Cmd, Reply};

use crate::calls;

const STACK: usize = 512 * 1024;

/// The first actor of a world: ends with the test that started it, and inherits every orphan.
pub(crate) fn serve_tests_only_while_they_live() {
    // SAFETY: this option takes one integer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: this option takes one integer.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    // Modes of what the actors make are as the tests say; those about the mask set one.
    // SAFETY: umask has no precondition.
    unsafe { libc::umask(0) };
}

/// Makes a child that serves `channel`. In the child of a fork it returns as well, and announces itself.
pub(crate) fn give(how: Birth, channel: OwnedFd) -> Reply {
    let pid = match how {
        // SAFETY: the actor has no other thread whose locks the child could miss, save parked ones.
        Birth::Fork => i64::from(unsafe { libc::fork() }),
        Birth::RawFork => {
            // SAFETY: no CLONE_VM: the child has its own copy of everything.
            unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }
        }
        Birth::VforkExec => share_memory(exec_on, channel.as_raw_fd() as usize as *mut c_void),
    };
    if pid == 0 {
        serve(&channel);
        drop(channel);
        // SAFETY: getpid has no precondition; the library call is right where std's cached one may not be.
        let me = unsafe { libc::getpid() };
        return Reply { ret: i64::from(me), ..Reply::default() };
    }
    Reply::of(pid)
}

fn serve(channel: &OwnedFd) {
    // SAFETY: both are descriptors; this replaces the parent's channel.
    unsafe { libc::dup2(channel.as_raw_fd(), 0) };
}

extern "C" fn exec_on(channel: *mut c_void) -> c_int {
    // SAFETY: both are descriptors; the table is the child's own.
    unsafe { libc::dup2(channel as usize as c_int, 0) };
    execute();
    calls::leave(127);
}

/// Replaces the image by a new actor on the same channel; returns only if that failed.
pub(crate) fn execute() -> Reply {
    let path = CString::from(c"/proc/self/exe");
    let argv = [c"actor".as_ptr(), std::ptr::null()];
    // SAFETY: path and argv are NUL-terminated; std's environment is the C library's `environ`.
    Reply::of(i64::from(unsafe { libc::execv(path.as_ptr(), argv.as_ptr()) }))
}

/// Carries out `cmd` in a child that shares this memory, as `vfork` does, and brings its answer back.
pub(crate) fn aside(cmd: &Cmd) -> Reply {
    struct Errand<'a>(&'a Cmd, Reply);
    extern "C" fn run(errand: *mut c_void) -> c_int {
        // SAFETY: the parent sleeps until this child exits, so the errand is alive and exclusive.
        let errand = unsafe { &mut *errand.cast::<Errand<'_>>() };
        errand.1 = calls::carry_out(errand.0, None);
        calls::leave(0);
    }
    let mut errand = Errand(cmd, Reply::default());
    let pid = share_memory(run, (&raw mut errand).cast());
    if pid > 0 {
        let mut status = 0;
        // SAFETY: `status` is writable.
        unsafe { libc::waitpid(i32::try_from(pid).unwrap_or(-1), &raw mut status, 0) };
    }
    errand.1
}

fn share_memory(run: extern "C" fn(*mut c_void) -> c_int, argument: *mut c_void) -> i64 {
    let mut stack = vec![0_u128; STACK / 16];
    let top = stack.as_mut_ptr_range().end.cast();
    // SAFETY: CLONE_VFORK keeps this frame, and so stack and argument, alive until the child is done.
    i64::from(unsafe { libc::clone(run, top, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, argument) })
}
