//! The one error of this crate.

use std::fmt;
use std::time::Duration;

use crate::schema::{Difference, Differences};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that failed: what was done, on what, the fact, and what to do about it.
///
/// One word wide; [`Error::kind`] says what happened.
pub struct Error(Box<Inside>);

#[derive(Debug)]
struct Inside {
    doing: &'static str,
    object: String,
    kind: ErrorKind,
    fact: String,
    source: Option<coseg_sysv::Error>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The segment: not there, not permitted, no memory. The source says which.
    Segment,
    /// The segment exists and is no region.
    NotARegion,
    /// The region was made for other types; where they differ.
    Mismatch(Differences),
    /// The region's own description cannot be true.
    Damaged,
    /// Owner or mode of the segment are not what was asked for.
    Untrusted,
    /// The process is a child that was forked within a change.
    Forked,
    /// The region is there already.
    Exists,
    /// No descriptor or thread can be had.
    NoResources,
    /// The region was removed.
    Removed,
    /// Another process is making the region and has not finished.
    Unfinished,
    /// All participants' slots are taken by living processes.
    NoSlot,
    /// Participants in another PID namespace cannot be told alive or dead from here.
    OtherPidNamespace,
    /// The time allowed has passed.
    TimedOut,
    /// A writer was always faster than this reader, who may not lock.
    Busy,
    /// The region was opened for reading.
    ReadOnly,
    /// This thread holds the lock already, or one that comes after it.
    WouldDeadlock,
    /// No such row.
    NoSuchRow,
    /// A transaction set more values than the log has room for.
    TooMany,
    /// What was to be read takes too much memory at once.
    TooLarge,
    /// No such part, field or element.
    BadPath,
    /// There is no room for one more message, or entry.
    Full,
    /// There is no message.
    Empty,
    /// The channel was closed.
    Closed,
    /// All who were at the other end of the channel have died.
    Disconnected,
    /// Messages were overwritten before they were received.
    Missed,
    /// All ends of this side of the channel are taken.
    InUse,
    /// A text that is no value of the type, or an option that cannot be.
    BadValue,
    /// The region's values share pages with what is written at any time, so they cannot be guarded.
    NotGuardable,
    /// A write guard was asked for where there are no memory protection keys, or none is free.
    NoProtectionKeys,
    /// /proc does not tell who this process is.
    NoIdentity,
}

impl Error {
    pub(crate) fn new(
        doing: &'static str,
        object: impl Into<String>,
        kind: ErrorKind,
        fact: impl Into<String>,
    ) -> Error {
        Error(Box::new(Inside { doing, object: object.into(), kind, fact: fact.into(), source: None }))
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether the time allowed has passed.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::TimedOut
    }

    /// Where the region's types differ from the program's: the first of the places.
    pub fn differences(&self) -> &[Difference] {
        match &self.0.kind {
            ErrorKind::Mismatch(differences) => differences.listed(),
            _ => &[],
        }
    }

    /// The segment's error behind this one.
    pub fn segment_error(&self) -> Option<&coseg_sysv::Error> {
        self.0.source.as_ref()
    }

    /// Whether it is what one meets whose segment is removed while he opens it.
    pub(crate) fn is_of_one_that_goes(&self) -> bool {
        use coseg_sysv::Errno;
        let gone = [Errno::EIDRM, Errno::EINVAL, Errno::ENOENT];
        match self.kind() {
            ErrorKind::Removed => true,
            ErrorKind::Segment => self.segment_error().is_some_and(|error| gone.contains(&error.errno())),
            _ => false,
        }
    }

    pub(crate) fn timed_out(
        doing: &'static str,
        object: impl Into<String>,
        after: Duration,
        fact: &str,
    ) -> Error {
        Error::new(doing, object, ErrorKind::TimedOut, format!("after {} ms: {fact}", after.as_millis()))
    }
}

impl From<coseg_sysv::Error> for Error {
    fn from(error: coseg_sysv::Error) -> Error {
        Error(Box::new(Inside {
            doing: "",
            object: String::new(),
            kind: ErrorKind::Segment,
            fact: error.to_string(),
            source: Some(error),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inside { doing, object, kind, fact, .. } = &*self.0;
        if *kind == ErrorKind::Segment {
            return f.write_str(fact);
        }
        write!(f, "{doing} {object}: {fact}")?;
        if let ErrorKind::Mismatch(differences) = kind {
            write!(f, "\n  {}", differences.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|error| error as _)
    }
}
