//! The kernel as oracle: random sequences of calls by several processes, played on both implementations.
//!
//! After every step everything a program can see is compared: result, `errno`, bytes, every field of every
//! segment, and the totals. [`crate::mask`] names what may differ.

pub mod compare;
pub mod generate;
pub mod shrink;
pub mod stage;
pub mod step;

use std::path::{Path, PathBuf};

use compare::{Difference, Tally, compare};
use generate::Taste;
use stage::{Outcome, play};
use step::Sequence;

use crate::lab::{Column, Lab, Setup};
use crate::random::Random;

/// Changes an outcome, to see whether the comparison notices.
pub type Fault = fn(&step::Step, &mut Outcome);

/// Two worlds side by side.
#[derive(Debug)]
pub struct Duel {
    oracle: Lab,
    private: Lab,
    shared: Lab,
    fault: Option<Fault>,
    /// What was compared so far.
    pub tally: Tally,
}

/// A sequence on which the two disagree.
#[derive(Debug)]
pub struct Finding {
    /// As short as it was made.
    pub sequence: Sequence,
    /// Where the two differ in it.
    pub difference: Difference,
    /// Whether it differs every time, as far as was tried.
    pub steady: bool,
}

impl Finding {
    /// What it has in common with other findings of the same cause, most likely.
    #[must_use]
    pub fn kind(&self) -> String {
        let verbs: Vec<_> = self.sequence.steps.iter().map(|step| format!("{:?}", step.verb)).collect();
        let what: String = self.difference.what.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.steady { format!("{what}: {}", verbs.join(" ")) } else { format!("{what}, not every time") }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.steady {
            writeln!(f, "# not every time")?;
        }
        for line in self.difference.to_string().lines() {
            writeln!(f, "# {line}")?;
        }
        write!(f, "{}", self.sequence)
    }
}

impl Duel {
    /// The kernel against `column`.
    #[must_use]
    pub fn new(column: Column) -> Self {
        let lab = |column, shared| Lab::with(&Setup { shared, ..Setup::new(column) });
        Self {
            oracle: lab(Column::Kernel, false),
            private: lab(column, false),
            shared: lab(column, true),
            fault: None,
            tally: Tally::default(),
        }
    }

    /// The kernel against itself with a fault.
    #[must_use]
    pub fn with_fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::new(Column::Kernel) }
    }

    /// Plays a sequence on both.
    ///
    /// # Errors
    /// The two differ.
    pub fn fight(&mut self, sequence: &Sequence) -> Result<(), Difference> {
        let expected = play(&mut self.oracle, sequence);
        let other = if sequence.shared { &mut self.shared } else { &mut self.private };
        let mut got = play(other, sequence);
        if let Some(fault) = self.fault {
            sequence.steps.iter().zip(&mut got).for_each(|(step, outcome)| fault(step, outcome));
        }
        compare(sequence, &expected, &got, &mut self.tally)
    }

    /// Plays a sequence; if the two differ, makes it short.
    pub fn examine(&mut self, sequence: &Sequence) -> Option<Finding> {
        let mut difference = self.fight(sequence).err()?;
        let mut cut = sequence.clone();
        cut.steps.truncate(difference.step + 1);
        if (0..3).any(|_| self.fight(&cut).is_ok()) {
            return Some(Finding { sequence: cut, difference, steady: false });
        }
        let sequence = shrink::shrink(&cut, &mut |shorter| match self.fight(shorter) {
            Ok(()) => false,
            Err(other) => {
                difference = other;
                true
            }
        });
        Some(Finding { sequence, difference, steady: true })
    }

    /// Plays the sequences `from`, `from + by`, … below `to` of a seed until the two differ.
    pub fn run(&mut self, seed: u64, from: u64, to: u64, by: usize, taste: Taste) -> Option<(u64, Finding)> {
        (from..to).step_by(by).find_map(|n| {
            let sequence = generate::sequence(&mut Random::new(seed, n), taste);
            self.examine(&sequence).map(|finding| (n, finding))
        })
    }
}

/// Where sequences that once showed a difference are kept.
#[must_use]
pub fn regressions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

/// Keeps a finding.
///
/// # Errors
/// It cannot be written.
pub fn keep(name: &str, finding: &Finding) -> std::io::Result<PathBuf> {
    let path = regressions().join(format!("{name}.txt"));
    std::fs::write(&path, finding.to_string())?;
    Ok(path)
}

/// Every sequence kept, with its name.
///
/// # Errors
/// One cannot be read, or is not a sequence.
pub fn kept() -> Result<Vec<(String, Sequence)>, String> {
    let Ok(entries) = std::fs::read_dir(regressions()) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        Ok((path.display().to_string(), text.parse()?))
    };
    paths.iter().map(|path| read(path).map_err(|e: String| format!("{}: {e}", path.display()))).collect()
}
