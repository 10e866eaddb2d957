//! Who a process is, in one word: pid, start time and PID namespace; and whether it still runs.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::wiped;

/// A process. A pid alone is given to another process soon; together with the start time it is not.
///
/// One word, so that a slot is taken with all of it or not at all: 22 bits of pid, 32 of the start time in clock
/// ticks since boot, 10 of its namespaces' numbers. Zero is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(pub(crate) u64);

/// Whether a process still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// In another PID namespace, or hidden.
    Unknown,
}

const PID_BITS: u32 = 22;
const START_BITS: u32 = 32;

impl Identity {
    pub(crate) const NOBODY: Identity = Identity(0);
    /// Somebody who gave up what he had begun: dead, whoever asks.
    pub(crate) const GAVE_UP: Identity = Identity(1 << PID_BITS);

    /// The calling process. `None` where /proc does not tell.
    pub(crate) fn of_self() -> Option<Identity> {
        let start = stat_of("self")?.start_ticks;
        Some(Identity::new(std::process::id(), start, Namespaces::of_self()?))
    }

    fn new(pid: u32, start_ticks: u64, namespaces: Namespaces) -> Identity {
        let start = start_ticks & ((1 << START_BITS) - 1);
        Identity(
            u64::from(pid) & ((1 << PID_BITS) - 1)
                | start << PID_BITS
                | namespaces.tag() << (PID_BITS + START_BITS),
        )
    }

    pub(crate) fn is_nobody(self) -> bool {
        self.pid() == 0
    }

    pub(crate) fn pid(self) -> u32 {
        u32::try_from(self.0 & ((1 << PID_BITS) - 1)).unwrap_or(0)
    }

    fn start_ticks(self) -> u64 {
        self.0 >> PID_BITS & ((1 << START_BITS) - 1)
    }

    /// Whether its pid means something to the caller.
    fn is_of_our_namespace(self) -> bool {
        Namespaces::of_self().is_some_and(|ours| ours.tag() == self.0 >> (PID_BITS + START_BITS))
    }

    /// Whether the process runs: the same pid with the same start time, and not a zombie.
    pub(crate) fn life(self) -> Life {
        if self.pid() == 0 {
            return Life::Dead;
        }
        if !self.is_of_our_namespace() || !proc_is_of_our_namespace() {
            return Life::Unknown;
        }
        match stat_of(&self.pid().to_string()) {
            Some(stat) if stat.start_ticks & ((1 << START_BITS) - 1) != self.start_ticks() => Life::Dead,
            Some(stat) if stat.ended => Life::Dead,
            Some(_) => Life::Alive,
            None if exists(self.pid()) => Life::Unknown,
            None => Life::Dead,
        }
    }
}

struct ProcessStat {
    start_ticks: u64,
    ended: bool,
}

/// What /proc/PID/stat says. The command in it may contain anything, so fields are counted from its last
/// parenthesis.
fn stat_of(pid: &str) -> Option<ProcessStat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let thread_count: u64 = fields.nth(16)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    // A leader that has ended shows as a zombie while its threads live on.
    Some(ProcessStat { start_ticks, ended: matches!(state, "Z" | "X" | "x") && thread_count <= 1 })
}

/// A process that /proc hides exists all the same.
#[allow(unsafe_code, reason = "asks whether a process exists")]
fn exists(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is sent to nobody.
    let sent = unsafe { libc::kill(pid, 0) };
    sent == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Whether the pids in /proc are those that the caller knows.
pub(crate) fn proc_is_of_our_namespace() -> bool {
    fs::read_link("/proc/self").is_ok_and(|link| link.to_str() == Some(&std::process::id().to_string()))
}

/// Where a pid and a start time mean something: the inodes of /proc/PID/ns/pid and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces {
    pub(crate) pid: u64,
    /// 0 on kernels without.
    pub(crate) time: u64,
}

impl Namespaces {
    /// The caller's. A process keeps its PID namespace, and a child, who may have another, asks for itself; setns(2)
    /// moves a process to another time namespace, in which others' start times are other numbers.
    pub(crate) fn of_self() -> Option<Namespaces> {
        static PID: AtomicU64 = AtomicU64::new(0);
        let is_known = wiped::is_known();
        let known = is_known.filter(|known| known.load(Ordering::Acquire) != 0);
        let pid = match known {
            Some(_) => PID.load(Ordering::Relaxed),
            None => namespace("pid")?,
        };
        if let (Some(is_known), None) = (is_known, known) {
            // Other threads find the same.
            PID.store(pid, Ordering::Relaxed);
            is_known.store(1, Ordering::Release);
        }
        Some(Namespaces { pid, time: namespace("time").unwrap_or(0) })
    }

    /// Ten bits that mostly tell them from others.
    fn tag(self) -> u64 {
        (self.pid ^ self.time << 5) & 0x3ff
    }
}

/// The number in what the link of one of the caller's namespaces says: `pid:[4026531836]`.
fn namespace(name: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
    let (_, number) = link.to_str()?.split_once(":[")?;
    number.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_the_next_of_its_pid() {
        let own = Identity::of_self().unwrap();
        assert_eq!(own.pid(), std::process::id());
        assert_eq!(own.life(), Life::Alive);
        let earlier = Identity(own.0 ^ 1 << PID_BITS);
        assert_eq!(earlier.life(), Life::Dead);
        let elsewhere = Identity(own.0 ^ 1 << (PID_BITS + START_BITS));
        assert_eq!(elsewhere.life(), Life::Unknown);
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let identity = Identity::new(
            child.id(),
            stat_of(&child.id().to_string()).unwrap().start_ticks,
            Namespaces::of_self().unwrap(),
        );
        assert_eq!(identity.life(), Life::Alive);
        child.kill().unwrap();
        let since = std::time::Instant::now();
        while identity.life() == Life::Alive && since.elapsed().as_secs() < 5 {
            std::thread::yield_now();
        }
        assert_eq!(identity.life(), Life::Dead, "killed, and not yet waited for");
        child.wait().unwrap();
        assert_eq!(identity.life(), Life::Dead);
    }
}
