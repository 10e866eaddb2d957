//! What happens around every call: `errno`, panics and cancellation.
#![allow(unsafe_code, reason = "errno and the thread's cancelability are the C library's")]

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use coseg_sysv::{Errno, Error};

/// Why a call failed, for C: the number alone.
pub(crate) struct Failed(Errno);

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Failed {
        Failed(errno)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed(error.errno())
    }
}

/// Runs one call and answers as C expects: its value, or `failed` with `errno` set.
///
/// On success `errno` is what it was: the kernel's calls leave it alone, and some programs look.
pub(crate) fn answer<T>(failed: T, call: impl FnOnce() -> Result<T, Failed>) -> T {
    let before = errno();
    let uncancelled = Uncancelled::begin();
    let result = catch_unwind(AssertUnwindSafe(call));
    drop(uncancelled);
    match result {
        Ok(Ok(value)) => {
            set_errno(before);
            value
        }
        Ok(Err(Failed(errno))) => {
            set_errno(errno.raw());
            failed
        }
        Err(payload) => {
            // Its destructor could panic in turn.
            std::mem::forget(payload);
            set_errno(libc::EIO);
            failed
        }
    }
}

pub(crate) fn errno() -> c_int {
    // SAFETY: the location is the calling thread's own, for as long as it runs.
    unsafe { *location() }
}

pub(crate) fn set_errno(number: c_int) {
    // SAFETY: as above.
    unsafe { *location() = number }
}

fn location() -> *mut c_int {
    #[cfg(target_os = "android")]
    // SAFETY: it takes nothing, and its result is never null.
    return unsafe { libc::__errno() };
    #[cfg(not(target_os = "android"))]
    // SAFETY: as above.
    return unsafe { libc::__errno_location() };
}

/// While it lives, the calling thread cannot be cancelled. The files beneath are read and written by cancellation
/// points; a thread that vanished in one would take the registry's lock with it.
struct Uncancelled {
    #[cfg(not(target_os = "android"))]
    before: c_int,
}

#[cfg(not(target_os = "android"))]
impl Uncancelled {
    fn begin() -> Uncancelled {
        let mut before = 0;
        // SAFETY: the old state goes to a local of the right type.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        Uncancelled { before }
    }
}

#[cfg(not(target_os = "android"))]
impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: null means that the old state is not wanted.
        unsafe { pthread_setcancelstate(self.before, std::ptr::null_mut()) };
    }
}

/// Android's threads cannot be cancelled.
#[cfg(target_os = "android")]
impl Uncancelled {
    fn begin() -> Uncancelled {
        Uncancelled {}
    }
}

#[cfg(not(target_os = "android"))]
const PTHREAD_CANCEL_DISABLE: c_int = 1;

#[cfg(not(target_os = "android"))]
// SAFETY: the signature is that of <pthread.h>; the libc crate does not name it.
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}
