//! A helper for callers without a free descriptor or with a limit on file sizes.
//!
//! The kernel's facility needs neither. The helper is a process for the kernel but shares our memory: what it
//! maps is mapped here. Its descriptor table and its limits are copies, which it may clear and raise. It lives
//! for one operation, while the calling thread waits.
#![allow(unsafe_code, reason = "a process that shares memory")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::{Errno, caller};

use super::file::{self, BlockedSignals};

/// On whose behalf helpers work: for all of a process's helpers the same.
static CALLER: AtomicI32 = AtomicI32::new(0);

/// The pid of the process that a helper works for.
pub(super) fn caller_pid() -> i32 {
    CALLER.load(Ordering::Relaxed)
}

struct Job<'a> {
    work: &'a mut dyn FnMut(),
}

extern "C" fn helper(job: *mut c_void) -> i32 {
    file::raise_limit(libc::RLIMIT_NOFILE);
    file::raise_limit(libc::RLIMIT_FSIZE);
    // SAFETY: closes descriptors of the helper's own table, which nothing of the helper uses yet.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    // SAFETY: `run` passes a job that lives until this process has ended.
    let job = unsafe { &mut *job.cast::<Job<'_>>() };
    (job.work)();
    0
}

/// Runs `work` in a helper.
///
/// # Errors
/// `EAGAIN`, `ENOMEM`: no process can be made, and `work` was not run.
pub(super) fn run<T>(mut work: impl FnMut() -> T) -> Result<T, Errno> {
    const STACK_SIZE: usize = 512 * 1024;
    CALLER.store(caller::pid(), Ordering::Relaxed);
    let mut result = None;
    let mut store = || result = Some(work());
    let mut job = Job { work: &mut store };
    let signals = BlockedSignals::new();
    // SAFETY: a new anonymous mapping.
    let stack = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            STACK_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
            -1,
            0,
        )
    };
    if stack == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: one past the mapping just made.
    let top = unsafe { stack.byte_add(STACK_SIZE) };
    // No exit signal: the program must not see a child it did not make.
    // SAFETY: the helper has a stack of its own; CLONE_VFORK keeps this thread, whose thread-local storage the
    // helper borrows, waiting until it has ended, so nothing it uses goes away or is used twice.
    let pid = unsafe {
        libc::clone(helper, top, libc::CLONE_VM | libc::CLONE_VFORK, (&raw mut job).cast::<c_void>())
    };
    let made = if pid == -1 { Err(Errno::last()) } else { Ok(pid) };
    if let Ok(pid) = made {
        // SAFETY: waits for the child just made, which no other wait finds without __WALL.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
    }
    // SAFETY: the helper has ended, and nothing else ever knew the stack.
    unsafe { libc::munmap(stack, STACK_SIZE) };
    drop(signals);
    made?;
    result.ok_or(Errno::ENOMEM)
}
