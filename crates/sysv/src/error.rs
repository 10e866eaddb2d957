//! The one error of this crate: which operation, on what, which error number, and why.

use std::borrow::Cow;
use std::fmt;

use crate::{Errno, Key, ShmId};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// `shmget`
    Get,
    /// `shmat`
    Attach,
    /// `shmdt`
    Detach,
    /// `shmctl(IPC_STAT)`, `SHM_STAT` or `SHM_STAT_ANY`
    Stat,
    /// `shmctl(IPC_SET)`
    Set,
    /// `shmctl(IPC_RMID)`
    Remove,
    /// `shmctl(SHM_LOCK)`
    Lock,
    /// `shmctl(SHM_UNLOCK)`
    Unlock,
    /// `shmctl(IPC_INFO)` or `SHM_INFO`
    Info,
    /// Listing all segments.
    List,
    /// Changing limits.
    Limits,
    /// `ftok`
    Ftok,
    /// Reading or writing an attached segment's bytes.
    Access,
    /// Opening a namespace of the user backend.
    Open,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Get => "get",
            Op::Attach => "attach",
            Op::Detach => "detach",
            Op::Stat => "stat",
            Op::Set => "set",
            Op::Remove => "remove",
            Op::Lock => "lock",
            Op::Unlock => "unlock",
            Op::Info => "info",
            Op::List => "list",
            Op::Limits => "limits",
            Op::Ftok => "ftok",
            Op::Access => "access",
            Op::Open => "open namespace",
        })
    }
}

/// What an operation was asked to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Nothing in particular.
    None,
    /// A key.
    Key(Key),
    /// An id.
    Id(ShmId),
    /// Both, where an id was found by its key.
    KeyId(Key, ShmId),
    /// An address of this process.
    Address(usize),
    /// An index of the table of segments.
    Index(i32),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::None => Ok(()),
            Target::Key(key) => write!(f, " key {key}"),
            Target::Id(id) => write!(f, " id {id}"),
            Target::KeyId(key, id) => write!(f, " key {key} (id {id})"),
            Target::Address(address) => write!(f, " address {address:#x}"),
            Target::Index(index) => write!(f, " index {index}"),
        }
    }
}

/// An operation that failed: `attach key 0x00000051 (id 7): EACCES: mode 0600, owner uid 1000, you are 1001`.
///
/// Making one allocates only when a reason is added, so the C library can fail inside a signal handler.
#[derive(Clone, Debug)]
pub struct Error {
    op: Op,
    target: Target,
    errno: Errno,
    reason: Option<Cow<'static, str>>,
}

impl Error {
    /// An error without a reason beyond its number.
    pub const fn new(op: Op, target: Target, errno: Errno) -> Error {
        Error { op, target, errno, reason: None }
    }

    /// The same error with the facts, and what to do about them.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Error {
        self.reason = Some(reason.into());
        self
    }

    /// The same error about another target.
    #[must_use]
    pub fn on(mut self, target: Target) -> Error {
        self.target = target;
        self
    }

    /// What was being done.
    pub const fn op(&self) -> Op {
        self.op
    }

    /// What it was done to.
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The error number, as the kernel would set it.
    pub const fn errno(&self) -> Errno {
        self.errno
    }

    /// The facts, where the backend knows them.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", self.op, self.target, self.errno)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => write!(f, ": {}", self.errno.text()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        std::io::Error::new(std::io::Error::from(error.errno).kind(), error)
    }
}
