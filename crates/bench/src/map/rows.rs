//! The comparisons, and what ours should reach in each.

use super::contender::{Ground, Who};
use super::store::Job;
use crate::duel::{self, Measure, limit, ours, peer};
use crate::table::{Goal, Row, Table};

type Arena<'a> = duel::Arena<'a, Ground>;

const PEERS: [(&str, Who); 6] = [
    ("LMDB", Who::Lmdb),
    ("Boost", Who::BoostMutex),
    ("Boost, robust", Who::BoostRobust),
    ("mmap-sync", Who::MmapSync),
    ("iceoryx2", Who::Iceoryx),
    ("iceoryx2, handles kept", Who::IceoryxHandles),
];

/// What is measured in the same turns.
struct Course {
    own: Job,
    partner: Option<Job>,
    readings: &'static [Reading],
}

/// What is read from the turns.
struct Reading {
    operation: &'static str,
    measure: Measure,
    goal: Goal,
}

const COURSES: [Course; 4] = [
    Course {
        own: Job::Get,
        partner: None,
        readings: &[Reading { operation: "get", measure: Measure::OwnRate, goal: Goal::AtLeastNumber(20.0) }],
    },
    Course {
        own: Job::Get,
        partner: Some(Job::Get),
        readings: &[Reading {
            operation: "get, two readers",
            measure: Measure::SumOfRates,
            goal: Goal::AtLeast(1.9, ALONE),
        }],
    },
    Course {
        own: Job::Put,
        partner: None,
        readings: &[Reading { operation: "put", measure: Measure::OwnRate, goal: Goal::AtLeastNumber(10.0) }],
    },
    Course {
        own: Job::Put,
        partner: Some(Job::Get),
        readings: &[
            Reading {
                operation: "get, writer busy",
                measure: Measure::PartnersRate,
                goal: Goal::AtLeastNumber(15.0),
            },
            Reading {
                operation: "put, reader busy",
                measure: Measure::OwnRate,
                goal: Goal::AtLeastNumber(6.0),
            },
        ],
    },
];

const ALONE: &str = "one of ours";
const LIMIT: &str = "bare slots";

pub(super) fn all(arena: &mut Arena<'_>) -> Vec<Table> {
    let rows = COURSES.iter().flat_map(|course| rows(arena, course)).collect();
    vec![Table { title: "A map of 10,000 keys, 64 bytes each", rows }]
}

fn rows(arena: &mut Arena<'_>, course: &Course) -> Vec<Row> {
    let Course { own, partner, readings } = *course;
    let wanted: Vec<&Reading> = readings.iter().filter(|reading| arena.wants(reading.operation)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    // A busy reader keeps it from writing for seconds.
    let starves = |who: Who| who == Who::MmapSync && own == Job::Put && partner.is_some();
    let peers = || PEERS.into_iter().filter(|&(_, who)| !starves(who));
    let mut entries = vec![ours("ours", Who::Ours, own, partner)];
    entries.extend(peers().map(|(name, who)| peer(name, who, own, partner)));
    entries.push(limit(LIMIT, Who::Slots, own, partner));
    if (own, partner) == (Job::Get, Some(Job::Get)) {
        entries.push(peer(ALONE, Who::Ours, Job::Get, None));
    }
    let turns = arena.measure(&entries);
    let row = |reading: &Reading| {
        let mut goals = vec![reading.goal];
        // Nobody but the limit is to be faster.
        goals.extend(peers().map(|(name, who)| match who {
            // It has nobody to keep out, and nothing to look for but in its own memory.
            Who::IceoryxHandles if own == Job::Put => Goal::Compare(name),
            _ => Goal::AtLeast(1.0, name),
        }));
        goals.push(Goal::Compare(LIMIT));
        reading.measure.row(reading.operation, &turns, &goals)
    };
    wanted.into_iter().map(row).collect()
}
