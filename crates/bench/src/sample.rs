//! Timing: contenders take turns, round by round, so that whatever disturbs one disturbs all.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Outcome;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds; in each, every contender has one turn.
    pub(crate) round_count: usize,
    /// What a turn should last at least.
    pub(crate) turn: Duration,
}

impl Plan {
    // Turns well below a time slice: on a busy machine most of them still run undisturbed.
    pub(crate) const THOROUGH: Plan = Plan { round_count: 501, turn: Duration::from_micros(500) };
    pub(crate) const QUICK: Plan = Plan { round_count: 51, turn: Duration::from_micros(500) };

    /// A plan for what takes as long as a process.
    pub(crate) fn of_processes(&self) -> Plan {
        Plan { round_count: self.round_count.div_ceil(10), ..*self }
    }
}

/// What one contender needed for one operation, over all rounds, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median_ns: f64,
    pub(crate) p10_ns: f64,
    pub(crate) p90_ns: f64,
    /// Operations in each turn.
    pub(crate) iteration_count: u32,
}

/// What is timed: one operation per call.
pub(crate) type Operation<'a> = Box<dyn FnMut() -> Outcome + 'a>;

/// A measurement, or why there is none.
pub(crate) type Measured = Result<Spread, String>;

/// Times contenders against each other. One that cannot start, or fails on the way, drops out; the others go
/// on.
pub(crate) fn compare(plan: &Plan, contenders: Vec<Outcome<Operation<'_>>>) -> Vec<Measured> {
    let mut entries: Vec<Result<Entry<'_>, String>> = contenders
        .into_iter()
        .map(|contender| {
            contender.and_then(|operation| Entry::new(operation, plan)).map_err(|e| e.to_string())
        })
        .collect();
    for _ in 0..plan.round_count {
        for entry in &mut entries {
            if let Ok(running) = entry
                && let Err(error) = running.take_turn()
            {
                *entry = Err(error.to_string());
            }
        }
    }
    entries.into_iter().map(|entry| entry.map(Entry::spread)).collect()
}

struct Entry<'a> {
    operation: Operation<'a>,
    iteration_count: u32,
    turns_ns: Vec<f64>,
}

impl<'a> Entry<'a> {
    /// Doubles the number of iterations until a turn lasts long enough, which warms up as well. The best of
    /// three counts: one alone may have been interrupted.
    fn new(operation: Operation<'a>, plan: &Plan) -> Outcome<Entry<'a>> {
        let mut entry = Entry { operation, iteration_count: 1, turns_ns: Vec::new() };
        while entry.turn()?.min(entry.turn()?).min(entry.turn()?) < plan.turn
            && entry.iteration_count < 1 << 24
        {
            entry.iteration_count *= 2;
        }
        Ok(entry)
    }

    fn turn(&mut self) -> Outcome<Duration> {
        let started = Instant::now();
        for _ in 0..self.iteration_count {
            (self.operation)()?;
        }
        Ok(started.elapsed())
    }

    fn take_turn(&mut self) -> Outcome {
        let elapsed = self.turn()?;
        self.turns_ns.push(elapsed.as_secs_f64() * 1e9 / f64::from(self.iteration_count));
        Ok(())
    }

    fn spread(mut self) -> Spread {
        self.turns_ns.sort_by(f64::total_cmp);
        let last = self.turns_ns.len() - 1;
        let at = |percent: usize| self.turns_ns[(last * percent + 50) / 100];
        Spread { median_ns: at(50), p10_ns: at(10), p90_ns: at(90), iteration_count: self.iteration_count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { round_count: 3, turn: Duration::from_micros(10) };

    #[test]
    fn contenders_take_turns_and_the_failing_one_drops_out() {
        let order = std::cell::RefCell::new(Vec::new());
        let contender = |name: char| -> Outcome<Operation<'_>> {
            let order = &order;
            Ok(Box::new(move || {
                std::thread::sleep(PLAN.turn);
                order.borrow_mut().push(name);
                Ok(())
            }))
        };
        let measured = compare(&PLAN, vec![contender('a'), Err("absent".into()), contender('b')]);
        assert!(measured[0].is_ok() && measured[2].is_ok());
        assert_eq!(measured[1].as_ref().unwrap_err(), "absent");
        assert_eq!(order.borrow()[6..], ['a', 'b', 'a', 'b', 'a', 'b']);
    }

    #[test]
    fn spreads_are_ordered() {
        let turns_ns = (0..=10).rev().map(f64::from).collect();
        let entry = Entry { operation: Box::new(|| Ok(())), iteration_count: 1, turns_ns };
        let spread = entry.spread();
        assert_eq!((spread.p10_ns, spread.median_ns, spread.p90_ns), (1.0, 5.0, 9.0));
    }
}
