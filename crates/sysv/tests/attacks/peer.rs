//! Another process, of another user, that one can talk with.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A forked process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) pid: i32,
    theirs: File,
    mine: File,
}

/// The same, seen from inside.
#[derive(Debug)]
pub(crate) struct Inside {
    out: File,
    into: File,
}

impl Inside {
    /// Sends a line.
    pub(crate) fn say(&mut self, what: impl ToString) {
        self.out.write_all((what.to_string().replace('\n', " ") + "\n").as_bytes()).unwrap();
    }

    /// Waits for a line.
    pub(crate) fn hear(&mut self) -> String {
        line(&mut self.into)
    }
}

fn line(from: &mut File) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn pipe() -> (File, File) {
    let mut fds = [0; 2];
    // SAFETY: fills two numbers.
    assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: a new descriptor, nobody else's.
    let read = unsafe { File::from_raw_fd(fds[0]) };
    // SAFETY: a new descriptor, nobody else's.
    (read, unsafe { File::from_raw_fd(fds[1]) })
}

/// Becomes another user for good, and one whose processes his others may look at.
pub(crate) fn become_user(uid: u32) {
    if uid == 0 {
        return;
    }
    // SAFETY: an empty list.
    assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::setresgid(uid, uid, uid) }, 0);
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }, 0);
}

/// Ends a forked child: without a panic, with 0. Nothing of the parent's is cleaned up twice.
pub(crate) fn end(work: impl FnOnce()) -> ! {
    let failed = catch_unwind(AssertUnwindSafe(work)).is_err();
    // SAFETY: ends the process.
    unsafe { libc::_exit(if failed { 101 } else { 0 }) }
}

/// Waits for a child's end; its wait status.
pub(crate) fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: fills a number.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

impl Peer {
    pub(crate) fn start(uid: u32, play: impl FnOnce(&mut Inside)) -> Peer {
        let (mine, out) = pipe();
        let (into, theirs) = pipe();
        // SAFETY: the program has one thread that does anything.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            drop((mine, theirs));
            end(move || {
                // SAFETY: takes numbers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                become_user(uid);
                play(&mut Inside { out, into });
            });
        }
        Peer { pid, theirs, mine }
    }

    /// Sends a line.
    pub(crate) fn say(&mut self, what: &str) {
        self.theirs.write_all((what.to_owned() + "\n").as_bytes()).unwrap();
    }

    /// Waits for a line; an empty one comes from the dead.
    pub(crate) fn hear(&mut self) -> String {
        line(&mut self.mine)
    }

    /// Waits for an end without a panic.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let status = wait_for(std::mem::take(&mut self.pid));
        assert_eq!(status, 0, "the peer's wait status");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.pid > 0 {
            // SAFETY: a child of ours that was not waited for yet.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            wait_for(self.pid);
        }
    }
}
