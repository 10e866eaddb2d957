//! Two processes, each with one job: what they are told to do by one contender's means after the other's.

mod measure;
mod pair;

use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coseg_sysv::Backend;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::measure::{Measure, Turns};
pub(crate) use self::pair::Both;
use self::pair::Pair;
use crate::report::Method;
use crate::sample::Plan;
use crate::table::{Report, Role, Table};
use crate::turn::{Control, Tally, Turn};
use crate::{Outcome, place};

/// One who can do some of the jobs.
pub(crate) trait Contender<J> {
    /// Does a job for the length of a turn.
    fn work(&mut self, job: J, turn: &Turn<'_>) -> Outcome<Tally>;

    /// The number to which this job adds one whenever it is done; `None`: it adds to none.
    fn total(&self, _: J) -> Option<u64> {
        None
    }
}

/// Where the contenders' things are.
pub(crate) trait Ground {
    /// A contender's name, known to both processes.
    type Who: Copy + Eq + Hash + Serialize + DeserializeOwned;
    /// What one process does in a turn.
    type Job: Copy + Serialize + DeserializeOwned;

    /// By what both start and stop.
    fn control(&self) -> &'static Control;

    /// A contender as this process needs it: made, if it is the first to ask.
    fn open(&self, who: Self::Who) -> Outcome<Box<dyn Contender<Self::Job>>>;
}

/// A turn with two processes lasts so much longer.
const LONGER: u32 = 4;

/// What one contender does in a turn.
#[derive(Clone)]
pub(crate) struct Entry<W, J> {
    name: &'static str,
    role: Role,
    who: W,
    own: J,
    partner: Option<J>,
}

pub(crate) fn ours<W, J>(name: &'static str, who: W, own: J, partner: Option<J>) -> Entry<W, J> {
    Entry { name, role: Role::Ours, who, own, partner }
}

pub(crate) fn peer<W, J>(name: &'static str, who: W, own: J, partner: Option<J>) -> Entry<W, J> {
    Entry { name, role: Role::Peer, who, own, partner }
}

pub(crate) fn limit<W, J>(name: &'static str, who: W, own: J, partner: Option<J>) -> Entry<W, J> {
    Entry { name, role: Role::Limit, who, own, partner }
}

/// The two processes and how long they work.
pub(crate) struct Arena<'a, G: Ground> {
    pair: Pair<G>,
    round_count: usize,
    turn: Duration,
    wanted: Option<&'a str>,
}

impl<G: Ground> Arena<'_, G> {
    /// Whether a row is asked for.
    pub(crate) fn wants(&self, operation: &str) -> bool {
        self.wanted.is_none_or(|wanted| operation.contains(wanted))
    }

    /// Everybody's turns, round by round. Whoever fails drops out.
    pub(crate) fn measure(&mut self, entries: &[Entry<G::Who, G::Job>]) -> Vec<Turns> {
        let begin = |entry: &Entry<_, _>| Turns { name: entry.name, role: entry.role, turns: Ok(Vec::new()) };
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

    fn take(&mut self, entry: &Entry<G::Who, G::Job>) -> Outcome<Both> {
        let length = if entry.partner.is_some() { self.turn * LONGER } else { self.turn };
        let both = self.pair.turn(entry.who, entry.own, entry.partner, length)?;
        let torn_count = both.torn_count();
        if torn_count > 0 && entry.role == Role::Ours {
            return Err(format!("{torn_count} torn reads").into());
        }
        Ok(both)
    }
}

/// What a comparison is run with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) plan: Plan,
    pub(crate) cpus: Option<[usize; 2]>,
    pub(crate) backend: &'a str,
    /// The only rows, if so, are those whose names contain this.
    pub(crate) row: Option<&'a str>,
}

/// What is said of a comparison, and how much longer than others' turns its own have to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) notes: &'static [&'static str],
    pub(crate) length: u32,
}

/// Runs one comparison: `prepare` makes the ground of a backend and a directory, `compare` the tables.
pub(crate) fn run<'a, G: Ground>(
    Terms { plan, cpus, backend, row }: Terms<'a>,
    Style { notes, length }: Style,
    prepare: impl FnOnce(Arc<dyn Backend>, PathBuf) -> Outcome<G>,
    compare: impl FnOnce(&mut Arena<'a, G>) -> Vec<Table>,
) -> Outcome<Report> {
    let load = place::load();
    let cpus = place::two(cpus)?;
    place::seclude()?;
    let (backend, backend_name) = place::backend(backend, &place::namespace("ours")?)?;
    let ground = prepare(backend, place::namespace("peers")?)?;
    let plan = plan.of_processes();
    let (round_count, turn) = (plan.round_count, plan.turn * length);
    let mut arena = Arena { pair: Pair::start(ground, cpus)?, round_count, turn, wanted: row };
    let tables = compare(&mut arena);
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
            notes: notes.iter().map(|&note| note.to_owned()).collect(),
        },
        longer: "four times as long with two processes",
        backend: backend_name,
        tables,
    })
}
