//! A map beside other libraries' and bare shared memory: 10,000 keys, values of 64 bytes.

mod bare;
mod boost;
mod contender;
mod iceoryx;
mod lmdb;
mod mmap_sync;
mod ours;
mod rows;
mod store;

use self::bare::Page;
use self::contender::Ground;
use crate::Outcome;
use crate::duel::{self, Style, Terms};
use crate::table::Report;

const STYLE: Style = Style {
    notes: &[
        "10,000 keys, asked for in random order. Every value that is read is checked to be of one write and of its own key; \
     where ours fails, it has no figure.",
        "LMDB runs without syncing and with a writable map, one transaction for each operation. Boost is a \
     boost::unordered_map in its managed shared memory, under its own mutex or a robust one of the C library. \
     mmap-sync has the whole map as its one value, and writes all of it for each change, for which a busy reader \
     lets it wait for seconds: where there is one, it does not take part. iceoryx2's blackboard looks for \
     a key among all; where handles are kept, one for each key is found by a hash map of the process, and keys are \
     never added. mmap-sync and iceoryx2 allow one writer.",
        "The limit is an open hash table of versioned slots, for one writer and without any care for crashes.",
    ],
    // Whose turn it is finds in the caches what the one before him used.
    length: 40,
};

/// Measures everything there is about maps.
pub(crate) fn run(terms: Terms<'_>) -> Outcome<Report> {
    let prepare = |backend, directory| Ok(Ground { page: Page::new()?, backend, directory });
    duel::run(terms, STYLE, prepare, rows::all)
}
