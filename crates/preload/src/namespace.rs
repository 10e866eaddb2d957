//! The namespace of this process, fixed at first use.
#![allow(unsafe_code, reason = "a cell that a signal handler may read while it is being filled")]

use std::ffi::CStr;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use coseg_sysv::{Errno, Error, User};

// Not a OnceLock: a handler that interrupts its filling, or a child forked then, would wait for ever. Whoever
// comes while it is empty opens the namespace too, and the first to finish wins.
static NAMESPACE: AtomicPtr<User> = AtomicPtr::new(std::ptr::null_mut());

/// The namespace; opened now if this is the first call.
pub(crate) fn namespace() -> Result<&'static User, Errno> {
    let open = NAMESPACE.load(Ordering::Acquire);
    if open.is_null() {
        return first();
    }
    // SAFETY: only `first` stores here, once, a box that is never freed.
    Ok(unsafe { &*open })
}

#[cold]
fn first() -> Result<&'static User, Errno> {
    let opened = match User::open() {
        Ok(user) => Box::into_raw(Box::new(user)),
        Err(error) => {
            complain(&error);
            return Err(error.errno());
        }
    };
    match NAMESPACE.compare_exchange(std::ptr::null_mut(), opened, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: made from a box just now, and never freed from here on.
        Ok(_) => Ok(unsafe { &*opened }),
        Err(theirs) => {
            // SAFETY: made from a box just now, and never published.
            drop(unsafe { Box::from_raw(opened) });
            // SAFETY: as in `namespace`.
            Ok(unsafe { &*theirs })
        }
    }
}

/// Says once per process why nothing works: programs seldom print more than "Permission denied".
fn complain(error: &Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.swap(true, Ordering::Relaxed) || is_quiet() {
        return;
    }
    let mut line = Line { bytes: [0; 512], used: 0 };
    // A line too long is cut, which is the only way this fails.
    let _ = write!(line, "coseg: shared memory will not work: {error}");
    line.bytes[line.used] = b'\n';
    // SAFETY: the bytes up to `used`, and the newline after them, are inside the array.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.used + 1) };
}

fn is_quiet() -> bool {
    // SAFETY: the name is a C string.
    let value = unsafe { libc::getenv(c"COSEG_QUIET".as_ptr()) };
    if value.is_null() {
        return false;
    }
    // SAFETY: getenv returned a C string, which this cold path reads before anyone could replace it.
    let value = unsafe { CStr::from_ptr(value) };
    !matches!(value.to_bytes(), b"" | b"0")
}

/// A line of text on the stack, with room kept for the newline.
struct Line {
    bytes: [u8; 512],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - 1 - self.used;
        let count = text.len().min(room);
        self.bytes[self.used..self.used + count].copy_from_slice(&text.as_bytes()[..count]);
        self.used += count;
        if count == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
