//! Error numbers that print by name, so that a failing assertion reads as the manual does.

use serde::{Deserialize, Serialize};

/// What `errno` held after a call that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            pub const $name: Errno = Errno(libc::$name);
        )*
        impl std::fmt::Debug for Errno {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.0 {
                    $(libc::$name => f.write_str(stringify!($name)),)*
                    other => write!(f, "errno {other}"),
                }
            }
        }
    };
}

errnos! {
    EACCES EAGAIN EBADF ECHILD EEXIST EFAULT EFBIG EIDRM EINTR EINVAL EIO EMFILE ENFILE ENODEV
    ENOENT ENOMEM ENOSPC ENOSYS EOVERFLOW EPERM ERANGE ESRCH ETIMEDOUT
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Errno {}
