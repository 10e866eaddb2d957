//! Why a message was not sent, or none received.

use std::fmt;
use std::time::Duration;

use crate::{Error, ErrorKind, Participant};

/// Why a message was not sent, or none received: values, not failures.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no room for one more message; or another sends to the same broadcast, and has not ended for 50 µs.
    Full,
    /// There is no message.
    Empty,
    /// Neither came in the time allowed.
    TimedOut(Duration),
    /// The channel was closed, and all that was sent before is received.
    Closed,
    /// This peer died, and there is no other. What it had sent is received before this is said; what is there for it
    /// to receive stays for the next. Nothing is said of it once another has taken its end, even if that one has left again.
    Disconnected(Box<Participant>),
    /// So many messages were overwritten before this receiver came to them.
    Missed(u64),
    /// Anything else.
    Failed(Error),
}

impl Refusal {
    /// Whether trying again later may help.
    pub fn is_full_or_empty(&self) -> bool {
        matches!(self, Refusal::Full | Refusal::Empty | Refusal::TimedOut(_))
    }

    /// The same as an error of an operation on an object.
    pub(crate) fn into_error(self, doing: &'static str, object: impl FnOnce() -> String) -> Error {
        let kind = match &self {
            Refusal::Failed(_) => ErrorKind::Segment,
            Refusal::Full => ErrorKind::Full,
            Refusal::Empty => ErrorKind::Empty,
            Refusal::TimedOut(_) => ErrorKind::TimedOut,
            Refusal::Closed => ErrorKind::Closed,
            Refusal::Disconnected(_) => ErrorKind::Disconnected,
            Refusal::Missed(_) => ErrorKind::Missed,
        };
        match self {
            Refusal::Failed(error) => error,
            other => Error::new(doing, object(), kind, other.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Full => f.write_str("it is full: try again, or wait"),
            Refusal::Empty => f.write_str("it is empty: try again, or wait"),
            Refusal::TimedOut(after) => {
                write!(f, "after {} ms: the other side neither sent nor received", after.as_millis())
            }
            Refusal::Closed => f.write_str("it was closed"),
            Refusal::Disconnected(who) => write!(f, "{who} died, and there is no other at that end"),
            Refusal::Missed(count) => {
                write!(f, "{count} messages were overwritten before they were received")
            }
            Refusal::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Refusal::Failed(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

/// For `?` in functions of this crate's error.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        refusal.into_error("use", || "a channel".to_owned())
    }
}
