//! Messages between two processes: ours beside the kernel's channels, other libraries, and bare shared memory.

mod bare;
mod boost;
mod contender;
mod course;
mod ends;
mod iceoryx;
mod ipc_channel;
mod ours;
mod pair;
mod player;
mod queues;
mod recorder;
mod rows;
mod shmem_ipc;
mod streams;
mod threads;

use std::time::Duration;

use self::contender::{Ground, Who};
use self::course::{Course, Shape};
use self::pair::{Both, Pair};
use self::rows::Planned;
use crate::duel::Terms;
use crate::report::Method;
use crate::table::{Report, Role, Row, Table, Values};
use crate::{Outcome, place};

const NOTES: &[&str] = &[
    "Every message carries its number, large ones at both ends, and is checked when it is received; whoever loses, \
     repeats or mixes one has no figure. All copy messages from the sender's memory and into the receiver's, but in the \
     row of those that are lent.",
    "Round trips: one in 64 is timed by itself (where they are slow or sleep, each), less what looking at the clock \
     costs; medians and percentiles of these are over all rounds. Queues have room for 1024 messages, or for 1 MiB of \
     them, or for two; for 16 that are lent. Both sides look again and again, ours as often as it does by default; pipes and ipc-channel sleep in what \
     goes one way, where they are faster so.",
    "rtrb and crossbeam connect two threads of one process. The limits are shared memory without any care.",
];

/// Who takes part in a row, and as what.
#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    role: Role,
    who: Who,
}

const fn peer(name: &'static str, who: Who) -> Entry {
    Entry { name, role: Role::Peer, who }
}

const fn limit(name: &'static str, who: Who) -> Entry {
    Entry { name, role: Role::Limit, who }
}

/// Where and how long they contend.
struct Arena {
    ground: Ground,
    cpus: [usize; 2],
    round_count: usize,
    turn: Duration,
    gauge: Gauge,
}

/// Tells by a ping-pong whether the two processors are two cores. A virtual machine may be given two threads of one for a
/// while: the two processes then slow each other down, and what they exchange travels nowhere.
struct Gauge {
    pair: Pair,
    dropped_count: usize,
    /// Rounds that count although they should not: there were too many.
    kept_count: usize,
}

/// So quick a ping-pong is between two threads of one core; between two cores of the processors that this was measured on
/// it takes 100 ns and more.
const ONE_CORE_NS: f64 = 70.0;
const GAUGE_TURN: Duration = Duration::from_millis(1);
/// Rounds that are tried for each that counts: a machine that has one core always is measured as it is.
const TRIES: usize = 4;

impl Gauge {
    fn sees_one_core(&mut self) -> Outcome<bool> {
        Ok(self.pair.turn(GAUGE_TURN, false)?.first.ns_each() < ONE_CORE_NS)
    }
}

impl Arena {
    /// One row: everybody's turns, round by round. Whoever fails drops out.
    fn row(&mut self, planned: &Planned) -> Outcome<Row> {
        let Planned { operation, course, entries, goals } = planned;
        let course = *course;
        let mut all: Vec<Contending> = entries.iter().map(|entry| self.begin(entry, course)).collect();
        // The first round warms up.
        let (mut counted, mut tried) = (0, 0);
        while counted <= self.round_count {
            let mut is_one_core = self.gauge.sees_one_core()?;
            for one in &mut all {
                one.take_turn(course, self.turn * course.length(), counted == 0);
                is_one_core |= self.gauge.sees_one_core()?;
            }
            tried += 1;
            if is_one_core && tried <= TRIES * self.round_count {
                self.gauge.dropped_count += 1;
                // What the rounds before have left, of which the first left nothing.
                all.iter_mut().for_each(|one| one.values.truncate(usize::max(counted, 1) - 1));
            } else {
                self.gauge.kept_count += usize::from(is_one_core);
                counted += 1;
            }
        }
        let values: Vec<Values> =
            entries.iter().zip(all).map(|(entry, contending)| contending.values(entry)).collect();
        Ok(Row::new(operation, unit(course), &values, goals))
    }

    fn begin(&self, entry: &Entry, course: Course) -> Contending {
        let pair = Pair::start(|| self.ground.prepare(entry.who, course), self.cpus);
        Contending { pair: pair.map_err(|error| error.to_string()), values: Vec::new() }
    }
}

fn unit(course: Course) -> &'static str {
    if course.shape == Shape::RoundTrip { "ns" } else { "M/s" }
}

/// What is read from a turn.
fn measure(course: Course, both: &Both) -> f64 {
    match course.shape {
        Shape::RoundTrip => both.first.ns_each(),
        Shape::OneWay { .. } => both.second.rate(),
        Shape::Crowd => both.first.rate() + both.second.rate(),
    }
}

/// A contender in a row.
struct Contending {
    pair: Result<Pair, String>,
    values: Vec<f64>,
}

impl Contending {
    fn take_turn(&mut self, course: Course, length: Duration, warm_up: bool) {
        let Ok(pair) = &mut self.pair else { return };
        match pair.turn(length, warm_up) {
            Ok(_) if warm_up => {}
            Ok(both) => self.values.push(measure(course, &both)),
            Err(error) => self.pair = Err(error.to_string()),
        }
    }

    fn values(self, entry: &Entry) -> Values {
        let Contending { pair, values } = self;
        let latency = pair.and_then(|mut pair| pair.latency().map_err(|error| error.to_string()));
        Values {
            name: entry.name,
            role: entry.role,
            latency: latency.as_ref().copied().ok().flatten(),
            values: latency.map(|_| values),
            torn_count: 0,
        }
    }
}

/// Measures everything there is about messages.
pub(crate) fn run(Terms { plan, cpus, backend, row }: Terms<'_>) -> Outcome<Report> {
    let load = place::load();
    let cpus = place::two(cpus)?;
    place::seclude()?;
    let (backend, backend_name) = place::backend(backend, &place::namespace("messages")?)?;
    let ground = Ground { directory: place::namespace("peers")?, backend };
    let plan = plan.of_processes();
    let ping_pong = Course::round_trip(size_of::<u64>());
    let pair = Pair::start(|| ground.prepare(Who::Floor, ping_pong), cpus)?;
    let gauge = Gauge { pair, dropped_count: 0, kept_count: 0 };
    let mut arena = Arena { ground, cpus, round_count: plan.round_count, turn: plan.turn * 40, gauge };
    let mut tables = Vec::new();
    for (title, rows) in rows::all() {
        let wanted = rows.iter().filter(|planned| row.is_none_or(|row| planned.operation.contains(row)));
        let rows = wanted.map(|planned| arena.row(planned)).collect::<Outcome<Vec<Row>>>()?;
        tables.push(Table { title, rows });
    }
    let Gauge { dropped_count, kept_count, .. } = arena.gauge;
    let dropped = format!(
        "{dropped_count} rounds do not count, since a ping-pong before, between or after the turns took less than \
         {ONE_CORE_NS} ns, as between two threads of one core; {kept_count} such rounds do, where there were too many. \
         Percentiles are of all of these too."
    );
    let (release, processor) = place::machine();
    Ok(Report {
        method: Method {
            round_count: arena.round_count,
            turn_us: arena.turn.as_micros(),
            cpu: format!("{}, the other on CPU {}", cpus[0], cpus[1]),
            processor,
            kernel: release,
            load,
            optimised: !cfg!(debug_assertions),
            notes: NOTES.iter().map(|&note| note.to_owned()).chain([dropped]).collect(),
        },
        longer: "twice as long where each round trip is timed",
        backend: backend_name,
        tables,
    })
}
