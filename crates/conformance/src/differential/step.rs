//! One step of a sequence, and how it is written down.

use std::fmt;
use std::str::FromStr;

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $text:literal $args:literal,)*) => {
        /// What a step does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Verb { $($(#[$doc])* $name,)* }

        impl Verb {
            fn spelling(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($text, $args),)* }
            }
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

verbs! {
    /// `shmget`.
    Get = "get" "key size flags",
    /// `shmat`; `place` is 0 for anywhere, else 1 + a byte offset into the arena.
    At = "at" "segment place flags",
    /// `shmdt`; `place` as for `at`, or −1 − n for the nth attach that went anywhere.
    Dt = "dt" "place",
    /// `IPC_STAT`, `SHM_STAT`, `SHM_STAT_ANY`.
    Stat = "stat" "segment command",
    /// `IPC_SET`.
    Set = "set" "segment uid gid mode",
    /// `shmctl` of any command; `buffer` is 0 for a null pointer, 1 for a wild one, 2 for a good one.
    Ctl = "ctl" "segment command buffer",
    /// `IPC_INFO`.
    Info = "info" "",
    /// Reads a few bytes; `place` as for `dt`.
    Peek = "peek" "place",
    /// Writes one byte.
    Poke = "poke" "place byte",
    /// `munmap` in the arena, in pages.
    Munmap = "munmap" "page pages",
    /// `mmap` of private memory over a part of the arena.
    Mmap = "mmap" "page pages",
    /// `mprotect` in the arena.
    Mprotect = "mprotect" "page pages protection",
    /// `mremap` within the arena; to where it is if `to` is −1.
    Mremap = "mremap" "page pages new_pages to",
    /// `madvise` in the arena.
    Madvise = "madvise" "page pages advice",
    /// `fork`: the child is the next actor.
    Fork = "fork" "",
    /// A process that has nothing to do with the others is the next actor.
    Spawn = "spawn" "",
    /// `execve` of itself.
    Exec = "exec" "",
    /// `exit`, or `_exit` if `raw` is 1.
    Exit = "exit" "raw",
    /// SIGKILL.
    Kill = "kill" "",
    /// All user ids become this one, and every capability goes.
    Setuid = "setuid" "uid",
    /// `umask`.
    Umask = "umask" "mask",
    /// The clock goes on to the next second.
    Tick = "tick" "",
}

/// A step: who does what with which numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The actor, counted from 0 in order of birth.
    pub who: usize,
    /// What it does.
    pub verb: Verb,
    /// The arguments, in the order the verb names them.
    pub args: Vec<i64>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, args) = self.verb.spelling();
        write!(f, "{} {name}", self.who)?;
        for (name, value) in args.split_whitespace().zip(&self.args) {
            if matches!(name, "flags" | "mode" | "mask") && *value >= 0 {
                write!(f, " {name}={value:#o}")?;
            } else {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let bad = || format!("not a step: {line}");
        let mut words = line.split_whitespace();
        let who = words.next().and_then(|w| w.parse().ok()).ok_or_else(bad)?;
        let verb = words.next().ok_or_else(bad)?;
        let verb = Verb::ALL.iter().copied().find(|v| v.spelling().0 == verb).ok_or_else(bad)?;
        let args: Option<Vec<i64>> = words
            .map(|word| {
                let value = word.split_once('=')?.1;
                match value.strip_prefix("0o") {
                    Some(octal) => i64::from_str_radix(octal, 8).ok(),
                    None => value.parse().ok(),
                }
            })
            .collect();
        let args =
            args.filter(|a| a.len() == verb.spelling().1.split_whitespace().count()).ok_or_else(bad)?;
        Ok(Self { who, verb, args })
    }
}

/// A sequence and the world it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Whether several users share the world.
    pub shared: bool,
    /// What is done.
    pub steps: Vec<Step>,
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {}", if self.shared { "shared" } else { "private" })?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl FromStr for Sequence {
    type Err = String;

    /// Lines that begin with `#` are remarks.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let shared = match lines.next() {
            Some("world shared") => true,
            Some("world private") => false,
            other => return Err(format!("not a world: {other:?}")),
        };
        Ok(Self { shared, steps: lines.map(str::parse).collect::<Result<_, _>>()? })
    }
}
