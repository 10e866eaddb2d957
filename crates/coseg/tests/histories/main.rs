//! Histories: processes that send, receive and work on a map at random, killed, stopped and continued at random, and a
//! judge who looks at all that they did.
//!
//! Of a queue, a one-to-one channel and a stream it must hold that nothing is lost but what a killed receiver may have
//! been given, that nothing comes twice without saying so, that the order is kept, and that nobody is told of nothing
//! while there is a message; of a broadcast, that all see one order, nothing is lost for who lives, or it is told how
//! much; of what is done in a transaction with a message, that it is done once; of a map's keys, that operations can
//! have happened one after the other; of all, that messages are whole and nobody waits for longer than he said.
//!
//! A share of it runs in each `cargo test`; `cargo xtask histories` lets it go on for as long as one likes.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod bulk;
mod drain;
mod hall;
mod judge;
mod keys;
mod messages;
mod nemesis;
mod record;
#[path = "../support/stage.rs"]
mod stage;
mod tally;
mod words;
mod worker;

use std::path::PathBuf;

use crate::stage::told;

/// What a worker does; nothing in a usual run.
#[test]
fn player() {
    let Some(role) = coseg_crash::role() else { return };
    let records = PathBuf::from(std::env::var_os(nemesis::RECORDS).unwrap());
    // Whoever started it looks after it; without him it would be nobody's.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    if let Some(role) = role.strip_prefix("bulk ") {
        return bulk::play(role, &records);
    }
    let words: Vec<u64> = role.split(' ').map(|word| word.parse().unwrap()).collect();
    let [number, life] = [words[0], words[1]].map(|word| usize::try_from(word).unwrap());
    if number == hall::WORKERS {
        drain::drain(life, &records);
    } else {
        worker::work(number, life, words[2], &records);
    }
}

/// `COSEG_HISTORIES_COUNT`, `COSEG_HISTORIES_SEED` and `COSEG_HISTORIES_JOBS` say how many, which and how many at once.
#[test]
fn histories() {
    if coseg_crash::role().is_some() {
        return;
    }
    let count: u64 = told("COSEG_HISTORIES_COUNT", 8);
    let (seed, jobs) = (told("COSEG_HISTORIES_SEED", 1), told("COSEG_HISTORIES_JOBS", 2_u64).max(1));
    tally::run(count, seed, jobs);
}

/// `COSEG_HISTORIES_MESSAGES` says how many messages go through a one-to-one channel; through a queue, a tenth of them.
#[test]
fn bulk() {
    if coseg_crash::role().is_some() {
        return;
    }
    let count: u64 = told("COSEG_HISTORIES_MESSAGES", 500_000);
    let seed = told("COSEG_HISTORIES_SEED", 1);
    bulk::one_to_one(count, seed);
    bulk::queue(count / 10, seed);
}
