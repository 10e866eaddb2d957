//! A number that many add to.

use crate::Result;
use crate::part::{Part, Plan, Site, Spot};
use crate::schema::PartKind;
use crate::sync::{AtomicU64, Ordering};

/// A number that many add to at once, without a lock. It takes no part in transactions.
///
/// # Crash
/// An addition has happened or has not.
#[derive(Debug)]
pub struct Counter {
    spot: Spot,
}

impl Counter {
    fn word(&self) -> &AtomicU64 {
        self.spot.base.memory.word(self.spot.offset())
    }

    /// Adds, wrapping around at 2^64; what it was before.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn add(&self, amount: u64) -> Result<u64> {
        self.spot.base.me()?;
        Ok(self.word().fetch_add(amount, Ordering::Relaxed))
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.word().load(Ordering::Relaxed)
    }
}

impl Part for Counter {
    type Initial = u64;

    fn zero() -> u64 {
        0
    }

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        plan.plain(PartKind::Counter, name, doc);
    }

    fn open(site: &mut Site) -> Self {
        Counter { spot: site.next() }
    }

    fn fill(&self, initial: u64) {
        self.word().store(initial, Ordering::Relaxed);
    }
}
