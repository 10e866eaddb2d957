//! `/proc/locks`: who holds and who waits for the file locks, without what differs from run to run.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

/// A file as `/proc/locks` names it: `MAJOR:MINOR:INODE`, the first two in hexadecimal.
pub(crate) fn lock_key(about: &fs::Metadata) -> String {
    let device = about.dev();
    format!("{:02x}:{:02x}:{}", libc::major(device), libc::minor(device), about.ino())
}

/// A line without what differs from run to run, if it is about one of `files`.
pub(crate) fn lock_line(line: &str, files: &[(String, &str)], victim: &str) -> Option<String> {
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

/// The lines that `pick` keeps, sorted.
pub(crate) fn lock_lines(pick: impl Fn(&str) -> Option<String>) -> io::Result<Vec<String>> {
    let mut before = None;
    let mut equal = 0;
    for reading in 0..READINGS_MAX {
        let (table, is_whole) = read_table()?;
        let mut lines: Vec<String> = table.lines().filter_map(&pick).collect();
        lines.sort();
        equal = if before.as_ref() == Some(&lines) { equal + 1 } else { 0 };
        if is_whole || (reading > READINGS_MAX / 4 && equal >= EQUAL_READINGS_MIN) {
            return Ok(lines);
        }
        before = Some(lines);
    }
    Err(io::Error::other("/proc/locks did not come to rest"))
}

/// Readings before a table that is never whole is given up.
const READINGS_MAX: u32 = 100;

/// Readings in a row that must agree where the table is too long to be read whole.
const EQUAL_READINGS_MIN: u32 = 4;

/// A table of fewer bytes surely came from one read: the kernel fills one page a read.
const ONE_READ_BYTES_MAX: usize = 3072;

/// The text of `/proc/locks`, and whether it is of one moment.
///
/// Each read starts again at the number of lines given out before: one more lock anywhere in the system, or one
/// less, and a line comes twice or never.
fn read_table() -> io::Result<(String, bool)> {
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
    let is_whole = reads <= 1 && filled <= ONE_READ_BYTES_MAX;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), is_whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_what_differs() {
        let files = [("00:1b:5678".to_owned(), "registry")];
        let line = |text| lock_line(text, &files, "1234");
        let held = line("1: POSIX  ADVISORY  WRITE 1234 00:1b:5678 0 EOF");
        assert_eq!(held.as_deref(), Some("POSIX ADVISORY WRITE victim registry 0 EOF"));
        let waits = line("7: -> OFDLCK  ADVISORY  READ -1 00:1b:5678 4 4");
        assert_eq!(waits.as_deref(), Some("-> OFDLCK ADVISORY READ open file registry 4 4"));
        assert_eq!(line("1: POSIX  ADVISORY  WRITE 1234 00:1b:9 0 EOF"), None);
    }

    #[test]
    fn a_lock_of_ones_own_is_seen() {
        let path = std::env::temp_dir().join(format!("coseg-crash-locks-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let key = [(lock_key(&file.metadata().unwrap()), "mine")];
        let own = std::process::id().to_string();
        let seen = || lock_lines(|line| lock_line(line, &key, &own)).unwrap();
        assert!(seen().is_empty());
        file.lock().unwrap();
        assert_eq!(seen(), ["FLOCK ADVISORY WRITE victim mine 0 EOF"]);
        fs::remove_file(path).unwrap();
    }
}
