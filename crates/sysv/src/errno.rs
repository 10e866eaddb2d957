//! Error numbers, kept as the kernel gave them.

use std::fmt;

/// An error number: lossless, so that a C caller gets exactly what the kernel would have set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident $text:literal)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Errno = Errno(libc::$name);)*

            /// The symbolic name, such as `EACCES`; none for a number this crate does not know.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(libc::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What the number means, in a few words.
            pub const fn text(self) -> &'static str {
                match self.0 {
                    $(libc::$name => $text,)*
                    _ => "unknown error",
                }
            }
        }
    };
}

errnos! {
    EPERM "operation not permitted"
    ENOENT "no such file, directory or segment"
    EINTR "interrupted by a signal"
    EIO "the registry's bytes are not what they should be"
    ENXIO "no such device or address"
    EBADF "bad file descriptor"
    EAGAIN "resource unavailable for now"
    ENOMEM "not enough memory or address space"
    EACCES "permission denied"
    EFAULT "bad address"
    EBUSY "device or resource busy"
    EEXIST "exists already"
    ENODEV "no such device"
    ENOTDIR "not a directory"
    EISDIR "is a directory"
    EINVAL "invalid argument"
    ENFILE "too many open files in the system"
    EMFILE "too many open files"
    ENOTTY "inappropriate operation for the device"
    EFBIG "file too large"
    ENOSPC "no space left"
    ESPIPE "illegal seek"
    EROFS "read-only file system"
    ERANGE "result out of range"
    EDEADLK "would deadlock"
    ENAMETOOLONG "name too long"
    ENOSYS "not implemented by this kernel"
    ELOOP "too many levels of symbolic links"
    EIDRM "segment removed"
    EPROTO "protocol error"
    EOVERFLOW "value too large"
    EOPNOTSUPP "operation not supported"
    ETIMEDOUT "timed out"
    ESTALE "stale"
    ENODATA "no data available"
    EDQUOT "disk quota exceeded"
}

impl Errno {
    /// The number from a system call or a C library.
    pub const fn from_raw(number: i32) -> Errno {
        Errno(number)
    }

    /// The number as C's `errno` holds it.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// What the calling thread's last failed call left in `errno`.
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        std::io::Error::from_raw_os_error(errno.0)
    }
}
