//! Holding a trial: every kill, one after the other, each in a world of its own.

use std::collections::HashSet;
use std::io;
use std::process::Command;
use std::time::Instant;

use crate::advance::Gait;
use crate::death::{Death, Kill};
use crate::error::{Error, Result};
use crate::point::{Place, Point};
use crate::report::{Failure, Fault, Report};
use crate::seen::{Seen, State};
use crate::survivor::start_waiters;
use crate::sys::Stop;
use crate::trace::{Changes, Reached, Trace, Watched};
use crate::tracee::Children;
use crate::trial::Trial;

/// Runs made for one point before it is called not reproducible.
const TRIES: u32 = 3;

type Observe<'a, W> = &'a dyn Fn(&W, &mut Seen) -> io::Result<()>;
type Check<'a, W> = &'a dyn Fn(&W, &Death) -> std::result::Result<(), String>;

/// A trial while it is held.
pub(crate) struct Siege<'a, W> {
    pub(crate) trial: &'a Trial<'a, W>,
    observe: Observe<'a, W>,
    check: Check<'a, W>,
    pub(crate) report: Report,
}

/// What tells a kill during recovery from another: what it leaves, where the recovery was, and whether the operation before
/// it had returned.
type End = (u64, u64, Place, bool);

/// What became of a kill that was to be made at a point.
enum Outcome {
    /// Made, and what the dead left.
    Killed(State),
    Lost(String),
}

impl<'a, W> Siege<'a, W> {
    pub(crate) fn new(trial: &'a Trial<'a, W>, observe: Observe<'a, W>, check: Check<'a, W>) -> Self {
        let report = Report { name: trial.name.clone(), ..Report::default() };
        Self { trial, observe, check, report }
    }

    pub(crate) fn run(mut self) -> Result<Report> {
        let start = Instant::now();
        let world = self.world()?;
        let trace =
            self.watched(&world, &self.trial.victim, |operation| operation.trace(Gait::Instructions))?;
        self.note_stepping(&trace);
        self.report.instructions = trace.instructions.unwrap_or(0);
        self.report.syscalls = trace.syscalls;
        self.report.points = count(trace.points.len());
        self.report.states = count(trace.distinct_states);
        self.judge(&world, &Death::of(Kill::None));
        drop(world);

        let left = self.kill_at_each(&trace)?;
        let mut ends = HashSet::new();
        for (point, _) in left {
            self.nest(&trace, &point, &mut ends)?;
        }
        if let Some(random) = self.trial.random {
            self.kill_at_random(&trace, random)?;
        }
        self.kill_with_waiters(&trace)?;
        self.report.elapsed = start.elapsed();
        Ok(self.report)
    }

    pub(crate) fn world(&self) -> Result<W> {
        (self.trial.world)().map_err(Error::io("make a world"))
    }

    /// Calls `act` with the operation that `command` makes in `world`.
    pub(crate) fn watched<T>(
        &self,
        world: &W,
        command: &dyn Fn(&W) -> Command,
        act: impl FnOnce(&Watched<'_>) -> T,
    ) -> T {
        act(&Watched {
            command: &|| command(world),
            observe: &|seen| (self.observe)(world, seen),
            changes: self.trial.changes,
            children: self.trial.children,
            limit: self.trial.limit,
        })
    }

    /// One kill at every point; returns a point for each distinct state that the kills left.
    fn kill_at_each(&mut self, trace: &Trace) -> Result<Vec<(Point, State)>> {
        let mut killed_in = HashSet::new();
        let mut left: Vec<(Point, State)> = Vec::new();
        for point in &trace.points {
            if self.has_enough() {
                return Ok(Vec::new());
            }
            let death = Death::of(Kill::At(point.clone()));
            let Some((world, state)) = self.repeat(&death, |siege| siege.killed_world(trace, point))? else {
                continue;
            };
            self.report.kills += 1;
            killed_in.insert(point.state);
            self.judge(&world, &death);
            if !left.iter().any(|(_, known)| known.stable == state.stable) {
                left.push((point.clone(), state));
            }
        }
        self.report.states_killed_in = count(killed_in.len());
        let (killed, all) = (self.report.states_killed_in, self.report.states);
        self.note_complete("the operation", killed, all, false);
        Ok(left)
    }

    /// Traces the recovery from what a kill at `first` leaves, and kills that at each of its points but those at which the
    /// recovery from another state was killed and left the same.
    fn nest(&mut self, trace: &Trace, first: &Point, ends: &mut HashSet<End>) -> Result<()> {
        let Some(recovery) = &self.trial.recovery else { return Ok(()) };
        if self.has_enough() {
            return Ok(());
        }
        let mut death = Death::of(Kill::At(first.clone()));
        let Some((world, _)) = self.repeat(&death, |siege| siege.killed_world(trace, first))? else {
            return Ok(());
        };
        // Between system calls there is then nothing to see, and a step takes long.
        let gait = match self.trial.changes {
            Changes::OnSyscall => Gait::Syscalls,
            Changes::Anywhere => Gait::Instructions,
        };
        let traced = self.watched(&world, recovery, |operation| operation.trace(gait));
        let recovery_trace = match traced {
            Ok(trace) => trace,
            Err(error) => {
                self.fail(Fault::Check, &death, format!("its recovery, not killed: {error}"));
                return Ok(());
            }
        };
        self.report.recoveries += 1;
        self.report.nested_states += count(recovery_trace.distinct_states);
        self.note_stepping(&recovery_trace);
        death.recovery = Some(Kill::None);
        self.judge(&world, &death);
        drop(world);

        let (mut killed_in, mut own_ends) = (HashSet::new(), Vec::new());
        for second in &recovery_trace.points {
            if self.has_enough() {
                return Ok(());
            }
            let state = recovery_trace.state(second);
            let end = (state.stable, second.address, second.place, death.operation_completed());
            // Relatives that are followed are where they are, which the end does not tell.
            let is_told = !state.is_partial && self.trial.children == Children::Free;
            if is_told && ends.contains(&end) {
                self.report.nested_repeats += 1;
                killed_in.insert(second.state);
                continue;
            }
            own_ends.push(end);
            death.recovery = Some(Kill::At(second.clone()));
            let twice_killed = |siege: &Self| {
                let (world, outcome) = siege.killed_world(trace, first)?;
                let outcome = match outcome {
                    Outcome::Lost(why) => Outcome::Lost(why),
                    Outcome::Killed(_) => siege.watched(&world, recovery, |operation| {
                        kill_at(operation, &recovery_trace, second, || Ok(()))
                    })?,
                };
                Ok((world, outcome))
            };
            let Some((world, _)) = self.repeat(&death, twice_killed)? else { continue };
            self.report.nested_kills += 1;
            killed_in.insert(second.state);
            self.judge(&world, &death);
        }
        ends.extend(own_ends);
        let killed = count(killed_in.len());
        self.report.nested_states_killed_in += killed;
        let of = format!("the recovery after a kill at {first}");
        self.note_complete(&of, killed, count(recovery_trace.distinct_states), true);
        Ok(())
    }

    /// Kills at every point again, with others blocked on the victim.
    fn kill_with_waiters(&mut self, trace: &Trace) -> Result<()> {
        let Some(waiters) = &self.trial.waiters else { return Ok(()) };
        for point in &trace.points {
            if self.has_enough() {
                return Ok(());
            }
            let mut death = Death::of(Kill::At(point.clone()));
            death.waiters = waiters.count;
            let with_waiters = |siege: &Self| {
                let world = siege.world()?;
                let mut started = Vec::new();
                let mut blocked = 0;
                let outcome = siege.watched(&world, &siege.trial.victim, |operation| {
                    kill_at(operation, trace, point, || {
                        started = start_waiters(waiters.count, waiters.limit, &|| (waiters.command)(&world))?;
                        blocked = count(started.iter().filter(|waiter| !waiter.has_ended()).count());
                        Ok(())
                    })
                })?;
                let ends: Vec<_> = started.into_iter().map(|waiter| waiter.join()).collect();
                Ok(((world, ends, blocked), outcome))
            };
            let Some(((world, ends, blocked), _)) = self.repeat(&death, with_waiters)? else { continue };
            self.report.waiter_kills += 1;
            self.report.waiters_blocked += blocked;
            for why in ends.into_iter().filter_map(std::result::Result::err) {
                self.fail(Fault::Waiter, &death, why);
            }
            self.judge(&world, &death);
        }
        Ok(())
    }

    /// A new world in which the victim was killed at `point`.
    fn killed_world(&self, trace: &Trace, point: &Point) -> Result<(W, Outcome)> {
        let world = self.world()?;
        let outcome = self
            .watched(&world, &self.trial.victim, |operation| kill_at(operation, trace, point, || Ok(())))?;
        Ok((world, outcome))
    }

    /// Makes a kill, again if need be; `None` when no run came to its point, which is noted as a failure.
    fn repeat<T>(
        &mut self,
        death: &Death,
        attempt: impl Fn(&Self) -> Result<(T, Outcome)>,
    ) -> Result<Option<(T, State)>> {
        let mut lost = String::new();
        for number in 0..TRIES {
            self.report.retries += u64::from(number != 0);
            match attempt(self).map_err(|error| error.within(death))? {
                (world, Outcome::Killed(state)) => return Ok(Some((world, state))),
                (_, Outcome::Lost(why)) => lost = why,
            }
        }
        self.report.mismatches += 1;
        self.fail(Fault::NotReproducible, death, lost);
        Ok(None)
    }

    pub(crate) fn judge(&mut self, world: &W, death: &Death) {
        if let Err(why) = (self.check)(world, death) {
            self.fail(Fault::Check, death, why);
        }
    }

    fn fail(&mut self, fault: Fault, death: &Death, why: String) {
        let is_nested = matches!(&death.recovery, Some(kill) if !matches!(kill, Kill::None));
        self.report.failures.push(Failure { fault, is_nested, at: death.to_string(), why });
    }

    pub(crate) fn has_enough(&mut self) -> bool {
        let enough = self.report.failures.len() >= self.trial.failures_at_most;
        self.report.stopped_early |= enough;
        enough
    }

    fn note_stepping(&mut self, trace: &Trace) {
        if let Some(instructions) = trace.instructions {
            self.report.stepped += instructions;
            self.report.stepping += trace.stepping;
        }
    }

    fn note_complete(&mut self, of: &str, killed: u64, all: u64, is_nested: bool) {
        if killed != all {
            let why = format!("killed in {killed} of {all} states");
            let at = of.to_owned();
            self.report.failures.push(Failure { fault: Fault::Incomplete, is_nested, at, why });
        }
    }
}

/// Runs `operation` to `point`, calls `before` there, kills it, and observes what is left.
fn kill_at(
    operation: &Watched<'_>,
    trace: &Trace,
    point: &Point,
    before: impl FnOnce() -> Result<()>,
) -> Result<Outcome> {
    let (mut tracee, task) = match operation.reach(trace, point)? {
        Reached::There { tracee, task } => (tracee, task),
        Reached::Lost(why) => return Ok(Outcome::Lost(why)),
    };
    tracee.free_cpus();
    before()?;
    let group = tracee.group;
    match tracee.kill(task)? {
        Some(Stop::Killed(libc::SIGKILL)) => operation.state(group).map(Outcome::Killed),
        end => Err(Error::new(format!("SIGKILL ended it otherwise: {end:?}"))),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
