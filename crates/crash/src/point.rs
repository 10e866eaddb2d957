//! The places of an operation where a kill is made.

use std::fmt;

use crate::sys::Pid;

/// What kind of place a [`Point`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Before the operation's first instruction.
    Begin,
    /// Before an instruction, the one before it having changed the state.
    Instruction,
    /// At the entry to the system call of this number: a kill here prevents it.
    Entry(u64),
    /// At the exit from the system call of this number.
    Exit(u64),
    /// After the operation has returned.
    End,
}

/// One place of an operation, found by the unkilled trace.
#[derive(Clone, Debug)]
pub struct Point {
    pub(crate) number: usize,
    pub(crate) place: Place,
    pub(crate) instructions: Option<u64>,
    pub(crate) state: usize,
    pub(crate) is_first_of_state: bool,
    pub(crate) path: Path,
    pub(crate) address: u64,
    pub(crate) location: String,
    pub(crate) descendant: usize,
}

/// How a later run gets to a point: past this many system call stops, then by this many steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) stops: u64,
    pub(crate) steps: u64,
    pub(crate) landmark: Option<Landmark>,
}

/// The last place on the way to a point where the run was for the first time since the stop: it gets there at full
/// speed, with a breakpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landmark {
    /// Where the stop was: elsewhere, all addresses are others.
    pub(crate) from: u64,
    pub(crate) address: u64,
    /// How many of the steps lead to it.
    pub(crate) steps: u64,
}

impl Point {
    /// The point's number in its operation, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// What kind of place it is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Instructions of the operation done before it; `None` in a recovery that was traced by its system calls.
    #[must_use]
    pub fn instructions(&self) -> Option<u64> {
        self.instructions
    }

    /// The number of the state seen there, from 0 in the order of appearance.
    #[must_use]
    pub fn state(&self) -> usize {
        self.state
    }

    /// True at the first point where its state is seen.
    #[must_use]
    pub fn is_first_of_state(&self) -> bool {
        self.is_first_of_state
    }

    /// Module and offset of the next instruction, as `addr2line -e MODULE OFFSET` takes them.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "point {}: {}", self.number, self.place)?;
        if let Some(instructions) = self.instructions {
            write!(f, ", after {instructions} instructions")?;
        }
        write!(f, ", at {}", self.location)?;
        if self.descendant != 0 {
            write!(f, ", in the operation's child {}", self.descendant)?;
        }
        write!(f, ", state {}{}", self.state, if self.is_first_of_state { " (new)" } else { "" })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin => f.write_str("begin"),
            Self::Instruction => f.write_str("between instructions"),
            Self::Entry(number) => write!(f, "entry to {}", syscall_name(*number)),
            Self::Exit(number) => write!(f, "exit from {}", syscall_name(*number)),
            Self::End => f.write_str("end"),
        }
    }
}

/// The name of the system call `number`, or the number.
pub(crate) fn syscall_name(number: u64) -> String {
    let known = usize::try_from(number).ok().and_then(syscalls::Sysno::new);
    known.map_or_else(|| format!("system call {number}"), |call| call.name().to_owned())
}

/// A process's mappings, to name the module and offset of an address.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    process: Pid,
    lines: Vec<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    name: String,
}

impl Modules {
    /// `module+0xoffset` of an address of `process`, reading the mappings again only if none known holds it.
    pub(crate) fn locate(&mut self, process: Pid, address: u64) -> String {
        if self.process != process || !self.lines.iter().any(|line| line.holds(address)) {
            let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
            *self = Self { process, lines: maps.lines().filter_map(Mapping::parse).collect() };
        }
        let Some(line) = self.lines.iter().find(|line| line.holds(address)) else {
            return format!("{address:#x}");
        };
        let base = self.lines.iter().find(|first| first.name == line.name && first.offset == 0);
        let base = base.unwrap_or(line).start;
        let name = line.name.rsplit('/').next().unwrap_or_default();
        format!("{name}+{:#x}", address.saturating_sub(base))
    }
}

impl Mapping {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let offset = words.nth(1)?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let name = words.nth(2).unwrap_or("anonymous").to_owned();
        Some(Self { start: number(start)?, end: number(end)?, offset: number(offset)?, name })
    }

    fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_parsed() {
        let line = "555555560000-555555570000 r-xp 0000b000 fe:00 1234   /usr/bin/true";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!((mapping.start, mapping.offset), (0x5555_5556_0000, 0xb000));
        assert_eq!(mapping.name, "/usr/bin/true");
        assert_eq!(Mapping::parse("1000-2000 rw-p 00000000 00:00 0").unwrap().name, "anonymous");
    }

    #[test]
    fn system_calls_have_names() {
        assert_eq!(syscall_name(libc::SYS_pwrite64.cast_unsigned()), "pwrite64");
        assert_eq!(syscall_name(99_999), "system call 99999");
    }
}
