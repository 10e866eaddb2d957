//! What the world looks like at one point: a hash of all that a kill there would leave behind.
//!
//! Two kinds of bytes go in. *Stable* bytes are the same in every run at the same point: they tell the states
//! of one run apart, and they prove that a later run is at the point it was meant to reach. *Volatile* bytes
//! (process ids, times) only tell the states of one run apart.

use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

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
    parts: Vec<(String, u64)>,
}

/// The hashes of one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The same at the same point of every run.
    pub(crate) stable: u64,
    /// Different wherever anything differs within a run.
    pub(crate) full: u64,
    pub(crate) parts: Vec<(String, u64)>,
}

impl Seen {
    pub(crate) fn new(victim: u32) -> Self {
        let hasher = DefaultHasher::new;
        Self { victim, stable: hasher(), volatile: hasher(), parts: Vec::new() }
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

    /// Adds stable bytes under a name, which a report of two differing runs will tell.
    pub fn part(&mut self, name: impl Into<String>, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let name = name.into();
        self.stable(name.as_bytes());
        self.stable(bytes);
        self.parts.push((name, hasher.finish()));
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
        let mut before = None;
        for _ in 0..LOCK_READS_MAX {
            let (table, is_whole) = read_lock_table()?;
            let mut lines: Vec<String> =
                table.lines().filter_map(|line| lock_line(line, files, &victim)).collect();
            lines.sort();
            if is_whole || before.as_ref() == Some(&lines) {
                self.part("locks", lines.join("\n").as_bytes());
                return Ok(());
            }
            before = Some(lines);
        }
        Err(io::Error::other("/proc/locks did not come to rest"))
    }

    pub(crate) fn state(self) -> State {
        let stable = self.stable.finish();
        let mut full = self.volatile;
        full.write_u64(stable);
        State { stable, full: full.finish(), parts: self.parts }
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
    /// The names of the parts that differ, for a message.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let missing = |from: &Self, to: &Self| -> Vec<String> {
            from.parts.iter().filter(|part| !to.parts.contains(part)).map(|part| part.0.clone()).collect()
        };
        let mut names = missing(self, other);
        names.extend(missing(other, self));
        names.sort();
        names.dedup();
        if names.is_empty() { "an unnamed part".to_owned() } else { names.join(", ") }
    }
}

/// Readings of a long `/proc/locks` before two in a row must agree.
const LOCK_READS_MAX: u32 = 100;

/// The text of `/proc/locks`, and whether it is of one moment.
///
/// Each read starts again at the number of lines given out before: one more lock anywhere in the system, or one
/// less, and a line comes twice or never. A read gives what fits in a page.
fn read_lock_table() -> io::Result<(String, bool)> {
    let mut file = File::open("/proc/locks")?;
    let mut bytes = vec![0; 1 << 16];
    let mut filled = 0;
    let mut reads = 0;
    loop {
        if filled == bytes.len() {
            bytes.resize(2 * filled, 0);
        }
        match file.read(&mut bytes[filled..])? {
            0 => break,
            count => filled += count,
        }
        reads += 1;
    }
    bytes.truncate(filled);
    Ok((String::from_utf8_lossy(&bytes).into_owned(), reads <= 1))
}

/// A file as `/proc/locks` names it: `MAJOR:MINOR:INODE`, the first two in hexadecimal.
fn lock_key(about: &fs::Metadata) -> String {
    let device = about.dev();
    format!("{:02x}:{:02x}:{}", libc::major(device), libc::minor(device), about.ino())
}

/// A line of `/proc/locks` without what differs from run to run, if it is about one of `files`.
fn lock_line(line: &str, files: &[(String, &str)], victim: &str) -> Option<String> {
    // "1: -> POSIX  ADVISORY  WRITE 1234 00:1b:5678 0 EOF", the arrow for one that waits.
    let mut words: Vec<&str> = line.split_ascii_whitespace().skip(1).collect();
    let at = words.iter().position(|word| files.iter().any(|(key, _)| key == word))?;
    words[at] = files.iter().find(|(key, _)| *key == words[at])?.1;
    let owner = at.checked_sub(1)?;
    words[owner] = match words[owner] {
        "-1" => "open file",
        id if id == victim => "victim",
        _ => "other",
    };
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_line_loses_what_differs() {
        let files = [("00:1b:5678".to_owned(), "registry")];
        let line = |text| lock_line(text, &files, "1234");
        let held = line("1: POSIX  ADVISORY  WRITE 1234 00:1b:5678 0 EOF");
        assert_eq!(held.as_deref(), Some("POSIX ADVISORY WRITE victim registry 0 EOF"));
        let waits = line("7: -> OFDLCK  ADVISORY  READ -1 00:1b:5678 4 4");
        assert_eq!(waits.as_deref(), Some("-> OFDLCK ADVISORY READ open file registry 4 4"));
        assert_eq!(line("1: POSIX  ADVISORY  WRITE 1234 00:1b:9 0 EOF"), None);
    }

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
        assert_eq!(state(b"1").difference(&state(b"2")), "b");
    }
}
