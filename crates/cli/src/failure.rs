//! What a command ends with when it does not succeed: an exit code, the facts, and the next command to try.

use std::fmt;
use std::io;

use coseg::ErrorKind;
use coseg_sysv::{Errno, Error, Op};

/// Nothing was found, or a check failed.
pub(crate) const NOTHING: u8 = 1;
/// Wrong usage, or an error.
pub(crate) const ERROR: u8 = 2;
/// The time allowed has passed: timeout(1)'s number.
pub(crate) const TIMED_OUT: u8 = 124;
/// `run` itself failed, before there was a program: env(1)'s number.
pub(crate) const RUN_FAILED: u8 = 125;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
    hint: Option<String>,
}

impl Failure {
    /// `text` reads `OPERATION …: ERRNO: fact`, or without the number where the tool itself refuses.
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into(), hint: None }
    }

    pub(crate) fn nothing(text: impl Into<String>) -> Failure {
        Failure::new(NOTHING, text)
    }

    pub(crate) fn error(text: impl Into<String>) -> Failure {
        Failure::new(ERROR, text)
    }

    pub(crate) fn interrupted() -> Failure {
        Failure::new(INTERRUPTED, "interrupted")
    }

    /// Ends with this code and says nothing: the command has said all already.
    pub(crate) fn silent(code: u8) -> Failure {
        Failure::new(code, "")
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same with more said of what happened.
    #[must_use]
    pub(crate) fn retell(mut self, text: impl FnOnce(&str) -> String) -> Failure {
        self.text = text(&self.text);
        self
    }

    /// The same, if no other has failed worse before; a time-out and Ctrl-C end all, whatever was before.
    #[must_use]
    pub(crate) fn after(mut self, code: u8) -> Failure {
        self.code = self.code.max(code);
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// What happened, without what to do about it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.text.is_empty()
    }

    /// A failed operation on a file or stream.
    pub(crate) fn io(what: impl fmt::Display, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::silent(0);
        }
        Failure::error(format!("{what}: {}", io_text(error)))
    }
}

/// `ENOENT: no such file, directory or segment`, as every other message of ours spells it.
pub(crate) fn io_text(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) if errno.name().is_some() => format!("{errno}: {}", errno.text()),
        _ => error.to_string(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, ". Try: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::io("standard output", &error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let gone = matches!(
            (error.op(), error.errno()),
            (Op::Get, Errno::ENOENT) | (_, Errno::EIDRM) | (Op::Stat | Op::Set | Op::Remove, Errno::EINVAL)
        );
        let failure = Failure::new(if gone { NOTHING } else { ERROR }, error.to_string());
        match next_command(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<coseg::Error> for Failure {
    fn from(error: coseg::Error) -> Failure {
        if let Some(error) = error.segment_error() {
            return error.clone().into();
        }
        let (code, hint) = match error.kind() {
            ErrorKind::TimedOut => (TIMED_OUT, Some("coseg locks, which shows who holds it")),
            ErrorKind::BadPath => (NOTHING, Some("coseg show SEGMENT, which shows its parts and fields")),
            ErrorKind::Full | ErrorKind::InUse => (NOTHING, None),
            ErrorKind::Damaged => (
                ERROR,
                Some("coseg read SEGMENT, to save its bytes; then coseg rm SEGMENT, and its program anew"),
            ),
            ErrorKind::NoSlot => (ERROR, Some("coseg show SEGMENT, which lists the participants")),
            ErrorKind::OtherPidNamespace => (ERROR, Some("the same command with nsenter --pid --target PID")),
            _ => (ERROR, None),
        };
        let failure = Failure::new(code, error.to_string());
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn next_command(error: &Error) -> Option<&'static str> {
    Some(match (error.op(), error.errno()) {
        (_, Errno::ENOSYS) => "the same command with --backend user",
        (Op::Open, Errno::EPERM | Errno::EACCES | Errno::EROFS) => "another directory in COSEG_DIR",
        (Op::Open, Errno::ENOENT) => "mkdir -p on the directory above it, or another one in COSEG_DIR",
        (Op::Get, Errno::ENOENT) => "coseg ls",
        (Op::Get, Errno::ENOSPC) => "coseg limits",
        (Op::Get, Errno::ENOMEM) => "coseg ls --sort size, and coseg rm",
        (Op::Get, Errno::EEXIST) => "the same command without --exclusive",
        (Op::Get, Errno::EINVAL) => "coseg ls, coseg limits",
        (Op::Stat | Op::Set | Op::Remove | Op::Attach, Errno::EINVAL | Errno::EIDRM) => "coseg ls",
        (Op::Set | Op::Remove | Op::Lock | Op::Unlock | Op::Limits, Errno::EPERM) => {
            "the same command as its owner, or as root"
        }
        (_, Errno::EACCES) => "the same command as its owner, or let the owner run coseg chmod",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use coseg_sysv::{Key, Target};

    use super::*;

    #[test]
    fn an_absent_key_is_nothing_found_and_names_a_next_command() {
        let error = Error::new(Op::Get, Target::Key(Key::new(5678)), Errno::ENOENT);
        let failure = Failure::from(error);
        assert_eq!(failure.code(), NOTHING);
        assert_eq!(
            failure.to_string(),
            "get key 0x0000162e: ENOENT: no such file, directory or segment. Try: coseg ls"
        );
    }

    #[test]
    fn a_broken_pipe_is_success() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_silent());
        assert_eq!(failure.code(), 0);
    }
}
