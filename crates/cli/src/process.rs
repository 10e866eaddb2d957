//! What /proc tells of a process.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, test_kill_process};

use crate::output::printable;

/// The short name, as ps shows it.
pub(crate) fn command(pid: i32) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(printable(String::from_utf8_lossy(&text).trim_end_matches('\n')))
}

/// Program and arguments; none for kernel threads and the dead.
pub(crate) fn command_line(pid: i32) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let words = text.trim_end_matches('\0').replace('\0', " ");
    (!words.is_empty()).then(|| printable(&words))
}

pub(crate) fn uid(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|meta| meta.uid())
}

/// What became of a process that a segment remembers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// None is remembered: it was in another PID namespace, or nobody ever was.
    None,
    Gone,
    /// The number belongs to a process that started later.
    Reused,
    Alive,
}

/// What became of process `pid`, which was alive at `seen` (seconds since 1970).
pub(crate) fn fate(pid: i32, seen: i64) -> Fate {
    let Some(number) = Pid::from_raw(pid) else { return Fate::None };
    // EPERM is an answer too: somebody has the number.
    if test_kill_process(number) == Err(rustix::io::Errno::SRCH) {
        return Fate::Gone;
    }
    match started(pid) {
        // Both clocks are read in whole seconds, and the boot time moves when the clock is set.
        Some(start) if start > seen + 2 => Fate::Reused,
        _ => Fate::Alive,
    }
}

/// When a process started, in seconds since 1970.
fn started(pid: i32) -> Option<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold spaces and brackets; field 22 is the 20th after the last bracket.
    let ticks: u64 = text[text.rfind(')')? + 1..].split_ascii_whitespace().nth(19)?.parse().ok()?;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let seconds = ticks / rustix::param::clock_ticks_per_second().max(1);
    Some(boot + i64::try_from(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_not_older_than_itself() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(fate(pid, crate::time::now()), Fate::Alive);
        assert_eq!(fate(pid, 1_000_000), Fate::Reused);
        assert_eq!(fate(0, 0), Fate::None);
        assert!(command(pid).is_some());
        assert!(command_line(pid).is_some());
    }

    #[test]
    fn a_reaped_child_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(fate(i32::try_from(child.id()).unwrap(), crate::time::now()), Fate::Gone);
    }
}
