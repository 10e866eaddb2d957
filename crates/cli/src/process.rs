//! What /proc tells of a process.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
    // Where /proc shows nothing of it, the signal's answer stands.
    if stat(pid).is_some_and(|stat| stat.has_ended()) {
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
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let seconds = start_ticks(pid)? / rustix::param::clock_ticks_per_second().max(1);
    Some(boot + i64::try_from(seconds).ok()?)
}

/// When a process started, in ticks since boot.
pub(crate) fn start_ticks(pid: i32) -> Option<u64> {
    Some(stat(pid)?.start_ticks)
}

/// Whether a process has ended, and at most waits for its parent to collect it; not known of one that hides it.
pub(crate) fn has_ended(pid: i32) -> bool {
    match stat(pid) {
        Some(stat) => stat.has_ended(),
        None => !fs::exists(format!("/proc/{pid}")).unwrap_or(true),
    }
}

/// Whether a process that counts pids otherwise, in another PID namespace, has a file open; as far as is seen.
pub(crate) fn is_open_in_other_pid_namespace(file: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    let (Some(file), Ok(own)) = (identity(file), fs::read_link("/proc/self/ns/pid")) else { return false };
    let is_other = |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|other| other != own);
    all().into_iter().filter(is_other).any(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|open| identity(&open.path()) == Some(file))
    })
}

/// The pids in /proc, in their order.
pub(crate) fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The pid that a process has in its own PID namespace, and that namespace's number.
pub(crate) fn own_pid(pid: i32) -> Option<(u64, u32)> {
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino();
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some((namespace, pids.split_ascii_whitespace().next_back()?.parse().ok()?))
}

/// What /proc/PID/stat tells.
struct ProcessStat {
    is_zombie: bool,
    thread_count: u64,
    start_ticks: u64,
}

impl ProcessStat {
    fn has_ended(&self) -> bool {
        // The main thread's end is the process's only if no other thread runs.
        self.is_zombie && self.thread_count <= 1
    }
}

fn stat(pid: i32) -> Option<ProcessStat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name before it may hold spaces and brackets; the state is field 3.
    let mut words = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    Some(ProcessStat {
        is_zombie: matches!(words.next()?, "Z" | "X"),
        thread_count: words.nth(16)?.parse().ok()?,
        start_ticks: words.nth(1)?.parse().ok()?,
    })
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
    fn a_process_knows_its_own_pid() {
        let pid = std::process::id();
        let (namespace, own) = own_pid(i32::try_from(pid).unwrap()).unwrap();
        assert_eq!(namespace, fs::metadata("/proc/self/ns/pid").unwrap().ino());
        assert!(own == pid && all().contains(&i32::try_from(pid).unwrap()));
    }

    #[test]
    fn a_child_that_nobody_collected_is_gone() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(fate(pid, crate::time::now()), Fate::Alive);
        child.stdin.take();
        rustix::process::waitid(
            rustix::process::WaitId::Pid(Pid::from_raw(pid).unwrap()),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        assert_eq!(fate(pid, crate::time::now()), Fate::Gone);
        child.wait().unwrap();
    }

    #[test]
    fn a_reaped_child_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(fate(i32::try_from(child.id()).unwrap(), crate::time::now()), Fate::Gone);
    }
}
