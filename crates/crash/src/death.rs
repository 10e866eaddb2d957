//! How a world came to be as a check finds it.

use std::fmt;

use crate::point::{Place, Point};

/// What was killed, and where.
#[derive(Clone, Debug)]
pub struct Death {
    pub(crate) operation: Kill,
    pub(crate) recovery: Option<Kill>,
    pub(crate) waiters: u32,
}

/// The end of one process.
#[derive(Clone, Debug)]
pub(crate) enum Kill {
    /// It was not killed and ended well.
    None,
    At(Point),
    AfterNanoseconds(u64),
    /// As above, but it had ended before.
    TooLate(u64),
    AfterInstructions {
        instructions: u64,
        location: String,
    },
}

impl Death {
    pub(crate) fn of(operation: Kill) -> Self {
        Self { operation, recovery: None, waiters: 0 }
    }

    /// True when the operation is known to have returned: its effect must be seen.
    #[must_use]
    pub fn operation_completed(&self) -> bool {
        self.operation.came_after_the_end()
    }

    /// The point at which the operation was killed; `None` if it was not, or at random.
    #[must_use]
    pub fn point(&self) -> Option<&Point> {
        self.operation.point()
    }

    /// The point at which its recovery was killed; `None` if it was not.
    #[must_use]
    pub fn recovery_point(&self) -> Option<&Point> {
        self.recovery.as_ref().and_then(Kill::point)
    }
}

impl Kill {
    fn came_after_the_end(&self) -> bool {
        match self {
            Self::None | Self::TooLate(_) => true,
            Self::At(point) => point.place == Place::End,
            Self::AfterNanoseconds(_) | Self::AfterInstructions { .. } => false,
        }
    }

    fn point(&self) -> Option<&Point> {
        match self {
            Self::At(point) => Some(point),
            _ => None,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}", self.operation)?;
        if let Some(recovery) = &self.recovery {
            write!(f, "; its recovery {recovery}")?;
        }
        if self.waiters != 0 {
            write!(f, "; {} waiters", self.waiters)?;
        }
        Ok(())
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("not killed"),
            Self::At(point) => write!(f, "killed at {point}"),
            Self::AfterNanoseconds(time) => write!(f, "killed after {time} ns"),
            Self::TooLate(time) => write!(f, "ended before its kill after {time} ns"),
            Self::AfterInstructions { instructions, location } => {
                write!(f, "killed after {instructions} instructions at {location}")
            }
        }
    }
}
