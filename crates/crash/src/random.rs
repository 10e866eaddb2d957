//! Kills that no trace chose: at random times, also inside system calls, and after random instructions.

use std::time::{Duration, Instant};

use crate::advance::{Gait, Move};
use crate::death::{Death, Kill};
use crate::error::{Error, Result};
use crate::numbers::SplitMix;
use crate::point::Modules;
use crate::siege::Siege;
use crate::sys::Stop;
use crate::trace::{Trace, Watched, next_stop, place_of};
use crate::trial::Random;

/// The shortest delay before a kill at full speed.
const DELAY_MIN_NS: f64 = 100.0;

impl<W> Siege<'_, W> {
    /// Makes the random kills, half by time and half by instruction.
    pub(crate) fn kill_at_random(&mut self, trace: &Trace, random: Random) -> Result<()> {
        let mut numbers = SplitMix::new(random.seed);
        let delay_max = self.free_run()?;
        for number in 0..random.kills {
            if self.has_enough() {
                return Ok(());
            }
            let world = self.world()?;
            let kill = if number % 2 == 0 {
                // Evenly on a logarithmic scale: an operation may be a thousandth of its process's life.
                let delay = DELAY_MIN_NS * (delay_max / DELAY_MIN_NS).max(1.0).powf(numbers.unit());
                let delay = Duration::from_secs_f64(delay / 1e9);
                self.watched(&world, &self.trial.victim, |operation| kill_after(operation, delay))?
            } else {
                let instructions = numbers.below(trace.instructions.unwrap_or(0) + 1);
                self.watched(&world, &self.trial.victim, |operation| {
                    kill_after_steps(operation, trace, instructions)
                })?
            };
            match kill {
                Kill::TooLate(_) => self.report.random_misses += 1,
                _ => self.report.random_kills += 1,
            }
            self.judge(&world, &Death::of(kill));
        }
        Ok(())
    }

    /// Nanoseconds from the operation's begin to its process's end.
    fn free_run(&self) -> Result<f64> {
        let world = self.world()?;
        self.watched(&world, &self.trial.victim, |operation| {
            let tracee = operation.start_beside()?;
            let start = Instant::now();
            tracee.finish()?;
            Ok(start.elapsed().as_secs_f64() * 1e9)
        })
    }
}

fn kill_after(operation: &Watched<'_>, delay: Duration) -> Result<Kill> {
    let mut tracee = operation.start_beside()?;
    tracee.run_for(delay)?;
    let root = tracee.root;
    let time = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    match tracee.kill(root)? {
        Some(Stop::Killed(libc::SIGKILL)) => Ok(Kill::AfterNanoseconds(time)),
        Some(Stop::Exited(0)) => Ok(Kill::TooLate(time)),
        end => Err(Error::new(format!("let run for {delay:?}, it ended otherwise: {end:?}"))),
    }
}

fn kill_after_steps(operation: &Watched<'_>, trace: &Trace, instructions: u64) -> Result<Kill> {
    let mut tracee = operation.start()?;
    let mut done = 0;
    let mut task = tracee.root;
    // At full speed past the system calls that the trace saw before that many instructions.
    for (_, before) in trace.stops.iter().take_while(|(_, before)| *before <= Some(instructions)) {
        match next_stop(&mut tracee)? {
            Some((at, _)) => task = at,
            None => return Err(tracee.ended("before a random instruction")),
        }
        done = before.unwrap_or(0);
    }
    while done < instructions {
        match tracee.advance(Gait::Instructions)? {
            Move::Step { task: at } | Move::Entry { task: at, .. } => {
                done += 1;
                task = at;
            }
            Move::Exit { task: at, .. } => task = at,
            Move::End { .. } => break,
            Move::Gone => return Err(tracee.ended("before a random instruction")),
        }
    }
    let address = place_of(task)?;
    let process = tracee.task(task).map_or(task, |task| task.process);
    let location = Modules::default().locate(process, address);
    tracee.kill(task)?;
    Ok(Kill::AfterInstructions { instructions: done, location })
}
