//! Why a trial could not be held.

use std::fmt;
use std::io;

/// A trial that could not be held: the victim did not start, did not mark its operation, failed without being
/// killed, or ran out of time. What a held trial *finds* is in its [`Report`](crate::Report), not here.
#[derive(Debug)]
pub struct Error {
    doing: String,
    cause: Option<io::Error>,
}

impl Error {
    pub(crate) fn new(doing: impl Into<String>) -> Self {
        Self { doing: doing.into(), cause: None }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self { doing: doing.into(), cause: Some(cause) }
    }

    pub(crate) fn within(self, what: impl fmt::Display) -> Self {
        Self { doing: format!("{what}: {}", self.doing), cause: self.cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;
