//! The victim's side: where the operation under test begins and ends.
//!
//! A mark is a `getpid` whose unused arguments carry a number only the tracer looks at. Before the first comes
//! a SIGCONT to the calling thread itself, by which a tracer finds it without a stop at every system call of
//! the set-up. Without a tracer both do nothing, unless SIGCONT has a handler; it must not be blocked. A victim
//! that does not link this crate makes the same calls:
//!
//! ```c
//! syscall(SYS_tgkill, getpid(), gettid(), SIGCONT);
//! syscall(SYS_getpid, 0x636f7365672d6d6b, 1); /* begin */
//! syscall(SYS_getpid, 0x636f7365672d6d6b, 2); /* end */
//! ```
//!
//! ```
//! coseg_crash::mark::begin();
//! // The operation: every instruction from here …
//! coseg_crash::mark::end();
//! // … to here is one a kill must leave whole.
//! ```

use crate::sys;

/// `coseg-mk` as a big-endian number.
pub(crate) const MAGIC: u64 = 0x636f_7365_672d_6d6b;
pub(crate) const BEGIN: u64 = 1;
pub(crate) const END: u64 = 2;

/// Marks the operation's first instruction; the thread that calls it is the one traced.
pub fn begin() {
    sys::continue_oneself();
    sys::getpid_with(MAGIC, BEGIN);
}

/// Marks the operation's return: from here on its effect is promised to be seen.
pub fn end() {
    sys::getpid_with(MAGIC, END);
}
