//! What the world looks like at one point: a hash of all that a kill there would leave behind.
//!
//! Two kinds of bytes go in. *Stable* bytes are the same in every run at the same point: they tell the states
//! of one run apart, and they prove that a later run is at the point it was meant to reach. *Volatile* bytes
//! (process ids, times) only tell the states of one run apart.

use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::locks::{lock_key, lock_line, lock_lines};

/// Collects what an observer sees.
///
/// ```
/// # fn observe(directory: &std::path::Path, seen: &mut coseg_crash::Seen) -> std::io::Result<()> {
/// // A record's creator and time differ in every run: blanked for the comparison of runs only.
/// seen.directory(directory, |name, bytes| {
///     if name == "registry" && bytes.len() >= 24 {
///         bytes[16..24].fill(0);
///     }
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct Seen {
    victim: u32,
    stable: DefaultHasher,
    volatile: DefaultHasher,
    parts: Vec<Part>,
    is_partial: bool,
}

/// The hashes of one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The same at the same point of every run.
    pub(crate) stable: u64,
    /// Different wherever anything differs within a run.
    pub(crate) full: u64,
    /// There is more that a kill leaves behind.
    pub(crate) is_partial: bool,
    parts: Vec<Part>,
}

/// Named stable bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    hash: u64,
    /// The bytes themselves, if few.
    text: Option<String>,
}

const EXCERPT_BYTES_MAX: usize = 256;

impl Seen {
    pub(crate) fn new(victim: u32) -> Self {
        let hasher = DefaultHasher::new;
        Self { victim, stable: hasher(), volatile: hasher(), parts: Vec::new(), is_partial: false }
    }

    /// The id of the victim's first process, dead or alive.
    #[must_use]
    pub fn victim(&self) -> u32 {
        self.victim
    }

    /// Adds bytes that are the same at this point of every run.
    pub fn stable(&mut self, bytes: &[u8]) {
        self.stable.write_usize(bytes.len());
        self.stable.write(bytes);
    }

    /// Adds bytes that may differ from run to run.
    pub fn volatile(&mut self, bytes: &[u8]) {
        self.volatile.write_usize(bytes.len());
        self.volatile.write(bytes);
    }

    /// Says that some bytes are left out: two worlds that look alike may then differ.
    pub fn leave_out(&mut self) {
        self.is_partial = true;
    }

    /// Adds stable bytes under a name, which a report of two differing runs will tell.
    pub fn part(&mut self, name: impl Into<String>, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let name = name.into();
        self.stable(name.as_bytes());
        self.stable(bytes);
        let text = (bytes.len() <= EXCERPT_BYTES_MAX).then(|| String::from_utf8_lossy(bytes).into_owned());
        self.parts.push(Part { name, hash: hasher.finish(), text });
    }

    /// Adds a directory's files (names, types, sizes, modes, owners, link counts and bytes) and the locks on
    /// them as `/proc/locks` tells.
    ///
    /// `blank` overwrites what differs from run to run in the bytes of the file named. The victim's process id
    /// inside a name is read as `PID`. Subdirectories are not entered.
    ///
    /// # Errors
    /// The directory cannot be read. A file that disappears meanwhile is no error.
    pub fn directory(
        &mut self,
        directory: &Path,
        mut blank: impl FnMut(&str, &mut Vec<u8>),
    ) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().replace(&self.victim.to_string(), "PID");
            let Ok(about) = entry.path().symlink_metadata() else { continue };
            files.push((name, entry.path(), about));
        }
        files.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, path, about) in &files {
            let mut bytes = match about.is_file() {
                true => fs::read(path).unwrap_or_default(),
                false => Vec::new(),
            };
            self.volatile(&bytes);
            blank(name, &mut bytes);
            let kind = [about.mode(), about.uid(), about.gid()].map(u64::from);
            let words = [kind[0], kind[1], kind[2], about.nlink(), about.len()];
            self.part(
                format!("{name} (mode, owner, links, size)"),
                words.map(u64::to_ne_bytes).as_flattened(),
            );
            self.part(format!("{name} (bytes)"), &bytes);
        }
        let own = fs::metadata(directory)?;
        let mut named: Vec<_> =
            files.iter().map(|(name, _, about)| (lock_key(about), name.as_str())).collect();
        named.push((lock_key(&own), "."));
        self.locks(&named)
    }

    fn locks(&mut self, files: &[(String, &str)]) -> io::Result<()> {
        let victim = self.victim.to_string();
        let lines = lock_lines(|line| lock_line(line, files, &victim))?;
        self.part("locks", lines.join("\n").as_bytes());
        Ok(())
    }

    pub(crate) fn state(self) -> State {
        let stable = self.stable.finish();
        let mut full = self.volatile;
        full.write_u64(stable);
        State { stable, full: full.finish(), is_partial: self.is_partial, parts: self.parts }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("victim", &self.victim)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl State {
    /// The parts that differ from those `expected`, for a message.
    pub(crate) fn difference(&self, expected: &Self) -> String {
        let differs = |part: &&Part| !expected.parts.contains(part);
        let mut told: Vec<String> =
            self.parts.iter().filter(differs).map(|part| part.against(expected)).collect();
        let is_missing = |part: &&Part| !self.parts.iter().any(|own| own.name == part.name);
        told.extend(expected.parts.iter().filter(is_missing).map(|part| format!("no {}", part.name)));
        if told.is_empty() { "bytes without a name differ".to_owned() } else { told.join("; ") }
    }
}

impl Part {
    fn against(&self, expected: &State) -> String {
        let Some(other) = expected.parts.iter().find(|part| part.name == self.name) else {
            return format!("an unexpected {}", self.name);
        };
        match (&self.text, &other.text) {
            (Some(text), Some(other)) => format!("{}: {text:?} instead of {other:?}", self.name),
            _ => format!("{} differ", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volatile_bytes_tell_states_apart_but_not_runs() {
        let state = |volatile: &[u8]| {
            let mut seen = Seen::new(1);
            seen.stable(b"same");
            seen.volatile(volatile);
            seen.state()
        };
        assert_eq!(state(b"1").stable, state(b"2").stable);
        assert_ne!(state(b"1").full, state(b"2").full);
    }

    #[test]
    fn a_difference_is_named() {
        let state = |bytes: &[u8]| {
            let mut seen = Seen::new(1);
            seen.part("a", b"x");
            seen.part("b", bytes);
            seen.state()
        };
        assert_eq!(state(b"1").difference(&state(b"2")), "b: \"1\" instead of \"2\"");
        let empty = Seen::new(1).state();
        assert_eq!(state(b"1").difference(&empty), "an unexpected a; an unexpected b");
        assert_eq!(empty.difference(&state(b"1")), "no a; no b");
    }
}
