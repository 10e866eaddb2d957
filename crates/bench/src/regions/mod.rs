//! Regions beside the C library's locks and other libraries that share values between processes.

mod bare;
mod contender;
mod iceoryx;
mod job;
mod measure;
mod mmap_sync;
mod ours;
mod pair;
mod rows;

use std::time::Duration;

use self::bare::Page;
use self::contender::{Ground, Who};
use self::job::Job;
use self::measure::Turns;
use self::pair::{Both, Pair};
use crate::report::Method;
use crate::sample::Plan;
use crate::table::{Report, Role};
use crate::{Outcome, place};

const NOTES: &[&str] = &[
    "Every copy of a value is checked to be of one write, every sum of increments to be complete; where ours fails, it has no figure.",
    "mmap-sync's writer looks at waiting readers without the second's sleep that is its default. iceoryx2 and \
     mmap-sync allow one writer, ours any number, each exclusive.",
];

/// A turn with two processes lasts so much longer.
const LONGER: u32 = 4;

/// What one contender does in a turn.
#[derive(Clone)]
struct Entry {
    name: &'static str,
    role: Role,
    who: Who,
    own: Job,
    partner: Option<Job>,
}

fn ours(name: &'static str, own: Job, partner: Option<Job>) -> Entry {
    Entry { name, role: Role::Ours, who: Who::Ours, own, partner }
}

fn peer(name: &'static str, who: Who, own: Job, partner: Option<Job>) -> Entry {
    Entry { name, role: Role::Peer, who, own, partner }
}

fn limit(name: &'static str, who: Who, own: Job, partner: Option<Job>) -> Entry {
    Entry { name, role: Role::Limit, who, own, partner }
}

/// The two processes and how long they work.
struct Arena {
    pair: Pair,
    round_count: usize,
    turn: Duration,
}

impl Arena {
    /// Everybody's turns, round by round. Whoever fails drops out.
    fn measure(&mut self, entries: &[Entry]) -> Vec<Turns> {
        let begin = |entry: &Entry| Turns { name: entry.name, role: entry.role, turns: Ok(Vec::new()) };
        let mut all: Vec<Turns> = entries.iter().map(begin).collect();
        // The first round warms up.
        for round in 0..=self.round_count {
            for (entry, turns) in entries.iter().zip(&mut all) {
                let Ok(done) = &mut turns.turns else { continue };
                match self.take(entry) {
                    Ok(both) if round > 0 => done.push(both),
                    Ok(_) => {}
                    Err(error) => turns.turns = Err(error.to_string()),
                }
            }
        }
        all
    }

    fn take(&mut self, entry: &Entry) -> Outcome<Both> {
        let length = if entry.partner.is_some() { self.turn * LONGER } else { self.turn };
        let both = self.pair.turn(entry.who, entry.own, entry.partner, length)?;
        let torn_count = both.torn_count();
        if torn_count > 0 && entry.role == Role::Ours {
            return Err(format!("{torn_count} torn reads").into());
        }
        Ok(both)
    }
}

/// Measures everything there is about regions.
pub(crate) fn run(plan: &Plan, cpus: Option<[usize; 2]>, backend: &str) -> Outcome<Report> {
    let load = place::load();
    let cpus = place::two(cpus)?;
    place::seclude()?;
    let directory = place::namespace("regions")?;
    let (backend, backend_name) = place::backend(backend, &directory)?;
    let ground = Ground { page: Page::new()?, backend, directory: place::namespace("peers")? };
    let plan = plan.of_processes();
    let (round_count, turn) = (plan.round_count, plan.turn * 4);
    let mut arena = Arena { pair: Pair::start(ground, cpus)?, round_count, turn };
    let tables = rows::all(&mut arena);
    let (release, processor) = place::machine();
    Ok(Report {
        method: Method {
            round_count,
            turn_us: turn.as_micros(),
            cpu: format!("{}, the other on CPU {}", cpus[0], cpus[1]),
            processor,
            kernel: release,
            load,
            optimised: !cfg!(debug_assertions),
            notes: NOTES.to_vec(),
        },
        longer: "four times as long with two processes",
        backend: backend_name,
        tables,
    })
}
