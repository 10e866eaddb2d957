//! All entries of a map, and what a new one starts as.

use std::marker::PhantomData;
use std::time::Duration;

use super::change::Stopped;
use super::edit::{Edit, Put, ROOM, Step};
use super::find::NEVER;
use super::geometry::{BITS, Geometry, KEY, SLOTS, UNTIL, entry_type, value_offset};
use super::{Map, lives};
use crate::base::Base;
use crate::few::Few;
use crate::item::Copied;
use crate::lock::Deadline;
use crate::log::{Committed, Log};
use crate::memory::Memory;
use crate::part::{Part, Plan, Site};
use crate::sync::{AtomicU64, Ordering};
use crate::transaction::Transaction;
use crate::{Result, Shared};

/// Most keys that are removed in one commit where many are.
const REMOVED_AT_ONCE: usize = 16;

pub(super) fn removed_at_once(log: Log<'_>) -> usize {
    REMOVED_AT_ONCE.min(log.count / ROOM)
}

/// Copies a whole entry.
struct Whole<K, V> {
    value_at: usize,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K: Shared, V: Shared> Copied for Whole<K, V> {
    type Value = (u64, K, V);

    fn copy(&self, memory: &Memory, slot_at: usize) -> (u64, K, V) {
        let until = memory.word(slot_at + UNTIL).load(Ordering::Relaxed);
        (until, memory.load(slot_at + KEY), memory.load(slot_at + self.value_at))
    }
}

impl Geometry {
    /// How many entries are in use.
    pub(crate) fn used_count(&self, memory: &Memory) -> usize {
        memory.let_read();
        let words = memory.words(self.used_at(0), self.used_word_count());
        let used = words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum::<usize>();
        // A peer may have set bits that stand for no entry.
        used.min(self.capacity)
    }

    /// The entries that are in use; each as it is when the iterator comes to its neighbours.
    pub(crate) fn used<'m>(&'m self, memory: &'m Memory) -> impl Iterator<Item = usize> + 'm {
        (0..self.used_word_count()).flat_map(move |index| {
            memory.let_read();
            let mut bits =
                memory.word(self.used_at(index)).load(Ordering::Acquire) & !self.bits_beyond(index);
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                (bit < BITS).then_some(index * BITS + bit)
            })
        })
    }
}

/// How long writers may overtake who reads all entries, once they have done so at one.
const OVERTAKEN_MAX: Duration = Duration::from_secs(1);

impl<K: Shared, V: Shared, const N: usize> Map<K, V, N> {
    /// All keys and their values, in no order; each pair a copy made when the iterator comes to it. A key that is there
    /// all the time is among them once; one that is removed and put again meanwhile may be twice or not. Left out are those
    /// that somebody writes all the time without giving the region's lock back, as only damage does, after a second in all.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let base: &Base = self.base();
        let mut deadline = None;
        self.geometry.used(&base.memory).filter_map(move |entry| {
            let whole = Whole { value_at: self.geometry.value_at, of: PhantomData };
            let item = self.geometry.item(entry);
            let found = item.try_read(&base.memory, &whole).or_else(|| {
                let deadline = deadline.get_or_insert_with(|| Deadline::after(Some(OVERTAKEN_MAX)));
                item.read_until(base, &whole, *deadline)
            });
            let ((until, key, value), _) = found?;
            lives(until).then_some((key, value))
        })
    }

    /// Removes all keys, one after the other, and lets nobody else change the region meanwhile.
    ///
    /// # Errors
    /// Those of [`Map::remove`].
    ///
    /// # Crash
    /// Killed in here, the process leaves some keys removed and the others as they were.
    pub fn clear(&self) -> Result<()> {
        let mut transaction = Transaction::new(self.base().lock(Deadline::Never)?);
        let log = self.base().log();
        let mut used = self.geometry.used(log.memory).peekable();
        while used.peek().is_some() {
            let mut edit =
                Edit { map: &self.geometry, log, set: &mut transaction.set, free_from: &self.free_from };
            for entry in used.by_ref().take(removed_at_once(log)) {
                edit.remove_entry(entry).map_err(|refused| {
                    Stopped::Refused(refused).error("clear", &self.spot, &self.geometry, log)
                })?;
            }
            transaction.commit()?;
            transaction.set = Few::new(Committed::NOTHING);
        }
        Ok(())
    }
}

impl<K: Shared, V: Shared, const N: usize> Part for Map<K, V, N> {
    type Initial = Vec<(K, V)>;

    fn zero() -> Vec<(K, V)> {
        Vec::new()
    }

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        const { assert!(N > 0, "a map has room for one key at least") }
        let room_bytes = value_offset(size_of::<K>()) + V::ROOM.max(size_of::<V>());
        plan.entries(name, doc, entry_type(K::describe(), V::describe()), N, SLOTS, room_bytes);
    }

    fn open(site: &mut Site) -> Self {
        let spot = site.next();
        let geometry = *spot.map().expect("the schema was compared: a map is here");
        Map { spot, geometry, free_from: AtomicU64::new(0), of: PhantomData }
    }

    fn fill(&self, initial: Vec<(K, V)>) {
        let base = self.base();
        self.geometry.set_seed(&base.memory, random());
        let log = base.log();
        for (key, value) in initial {
            let mut set = Few::new(Committed::NOTHING);
            let put = Step::Put(Put { until: NEVER, value });
            let done = self.alter(log, &mut set, &key, |_| (put, ()), || Ok(()));
            assert!(done.is_ok(), "a map of {N} entries cannot start with more keys");
            log.commit(set.len(), set.iter().copied());
        }
    }
}

/// A number that nobody can guess.
fn random() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(0)
}
