//! What a trial found.

use std::fmt;
use std::time::Duration;

/// Why a kill failed its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The check did not find the world whole.
    Check,
    /// A later run could not be brought to the point, so no kill was made there.
    NotReproducible,
    /// A process blocked while the victim died did not finish as it should.
    Waiter,
    /// States of the trace were left without a kill.
    Incomplete,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(crate) fault: Fault,
    pub(crate) is_nested: bool,
    pub(crate) at: String,
    pub(crate) why: String,
}

impl Failure {
    /// What kind of finding it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// True when it took a second kill, during recovery.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.is_nested
    }

    /// The place of the kill, or of both.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What was wrong.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Check => "not whole",
            Fault::NotReproducible => "not reproducible",
            Fault::Waiter => "waiter",
            Fault::Incomplete => "incomplete",
        };
        write!(f, "{fault}: {}: {}", self.at, self.why)
    }
}

/// The counts and findings of a trial; its one-line form is made by `Display`.
#[derive(Clone, Debug, Default)]
#[must_use = "a trial's findings are in its report: call `assert_whole`"]
pub struct Report {
    /// The trial's name.
    pub name: String,
    /// Instructions in the operation.
    pub instructions: u64,
    /// System calls in the operation.
    pub syscalls: u64,
    /// Points of the operation: its begin and end, every system call's entry and exit, every new state.
    pub points: u64,
    /// Distinct states the operation goes through.
    pub states: u64,
    /// Distinct states it was killed in; the same number, or there is a failure that says so.
    pub states_killed_in: u64,
    /// Kills made at the operation's points.
    pub kills: u64,
    /// Recoveries traced: one for each distinct state left by a kill.
    pub recoveries: u64,
    /// Distinct states those recoveries go through, added up.
    pub nested_states: u64,
    /// Distinct states of recoveries in which they were killed, or another recovery at the same place.
    pub nested_states_killed_in: u64,
    /// Kills made during recovery after a first kill.
    pub nested_kills: u64,
    /// Points of recoveries at which none was made, as one at the same place of the recovery from another state had left
    /// the same stable bytes.
    pub nested_repeats: u64,
    /// Kills at random times and instructions that found the victim alive.
    pub random_kills: u64,
    /// Random kills that came after the victim had ended by itself.
    pub random_misses: u64,
    /// Kills made while others were blocked.
    pub waiter_kills: u64,
    /// Waiters that had not ended when those kills were made.
    pub waiters_blocked: u64,
    /// Runs repeated because the first did not come to its point.
    pub retries: u64,
    /// Points no run came to.
    pub mismatches: u64,
    /// Instructions single-stepped in the traces of operation and recoveries.
    pub stepped: u64,
    /// Time those traces took, observation included.
    pub stepping: Duration,
    /// Time of the whole trial.
    pub elapsed: Duration,
    /// True when the trial gave up because it had found enough.
    pub stopped_early: bool,
    /// What was found.
    pub failures: Vec<Failure>,
}

impl Report {
    /// True when nothing was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// # Panics
    /// If anything was found, with all of it.
    #[track_caller]
    pub fn assert_whole(&self) {
        if self.is_whole() {
            return;
        }
        let findings: Vec<String> = self.failures.iter().map(|failure| format!("  {failure}")).collect();
        let early = if self.stopped_early { "\n  (stopped early)" } else { "" };
        panic!("{self}\n{}{early}", findings.join("\n"));
    }

    /// Instructions stepped a second in the traces, observation included.
    #[must_use]
    pub fn steps_per_second(&self) -> f64 {
        let steps = u32::try_from(self.stepped).unwrap_or(u32::MAX);
        f64::from(steps) / self.stepping.as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} instructions, {} system calls, {} points, killed in {} of {} states; {} kills, \
             {} nested kills (and {} alike) in {} of {} states of {} recoveries, {} random kills ({} too late), \
             {} kills with {} waiters blocked; {} retries, {} mismatches, {} failures; {:.1?}, {:.0} steps/s",
            self.name,
            self.instructions,
            self.syscalls,
            self.points,
            self.states_killed_in,
            self.states,
            self.kills,
            self.nested_kills,
            self.nested_repeats,
            self.nested_states_killed_in,
            self.nested_states,
            self.recoveries,
            self.random_kills,
            self.random_misses,
            self.waiter_kills,
            self.waiters_blocked,
            self.retries,
            self.mismatches,
            self.failures.len(),
            self.elapsed,
            self.steps_per_second(),
        )
    }
}
