//! Changes to a map that are committed by the region's log: an entry's next version, and words of the index.
//!
//! They are applied one after the other while readers come at any time. A key that was there before and is afterwards
//! stays where it is, so that the order does not matter; but where it does not stay, or an entry of a chain may lead
//! readers elsewhere, the map's moves are counted on before all else.

use super::find::{Found, GONE, NEVER, Sight};
use super::geometry::{BITS, BUCKET_WORDS, CHAIN, Geometry, KEY, SOONEST, SWEEP, UNTIL};
use super::hash::{HashedKey, Link};
use crate::few::Few;
use crate::layout::{IN_TRANSIT, Item};
use crate::log::{Committed, Log};
use crate::memory::{Memory, WORD};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::{Shared, os};

/// Entries of the log that one change may need: the version of an entry, which may be an expired one's; the two places
/// that name it before and after, its link, a word of bits, and the moves.
pub(crate) const ROOM: usize = 6;

/// Entries that are not found, as a peer has left them, are passed over up to so many: each may have taken a walk along as
/// long a chain as there are entries.
const ASTRAY_MAX: usize = 8;

/// Changes of a map beside those that its region's transaction has made already. Only for who holds the region's lock.
#[derive(Debug)]
pub(crate) struct Edit<'e> {
    pub(crate) map: &'e Geometry,
    pub(crate) log: Log<'e>,
    pub(crate) set: &'e mut Few<Committed>,
    /// The word of bits where the search for a free entry begins; a hint.
    pub(crate) free_from: &'e AtomicU64,
}

/// Why a change cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The log has no room for it.
    TooMany,
    /// All entries are in use, and none has expired.
    Full,
    /// A chain does not end, or does not name what it should.
    Damaged,
}

/// What a key is to have from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put<V> {
    pub(crate) until: u64,
    pub(crate) value: V,
}

/// What is to become of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<V> {
    Keep,
    Put(Put<V>),
    Remove,
}

/// A value that can be stored: one of a type, or the bytes of one whose type only the schema knows.
pub(crate) trait Storable {
    fn size_bytes(&self) -> usize;
    fn write(&self, memory: &Memory, at: usize);
}

impl<V: Shared> Storable for V {
    #[inline]
    fn size_bytes(&self) -> usize {
        size_of::<V>()
    }

    #[inline]
    fn write(&self, memory: &Memory, at: usize) {
        memory.store(at, self);
    }
}

/// A value's stored bytes, all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image<'b>(pub(crate) &'b [u8]);

impl Storable for Image<'_> {
    #[inline]
    fn size_bytes(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn write(&self, memory: &Memory, at: usize) {
        memory.write(at, self.0);
    }
}

impl Geometry {
    /// Fills the slot `to` with a key and what is put there. What the room has beyond the value stays as it is in the
    /// slot `from`, or is zero in a new entry.
    #[inline(always)]
    pub(crate) fn fill<V: Storable>(
        &self,
        memory: &Memory,
        [from, to]: [usize; 2],
        key: &HashedKey<'_>,
        put: &Put<V>,
        keeps_beyond: bool,
    ) {
        let value_at = self.value_at;
        let end = value_at + put.value.size_bytes();
        // Before anything is written: it may be the same slot.
        let beyond = (end < self.room_bytes()).then(|| self.beyond(memory, from, end, keeps_beyond));
        memory.word(to + UNTIL).store(put.until, Ordering::Relaxed);
        memory.write(to + KEY, key.bytes);
        put.value.write(memory, to + value_at);
        if let Some(beyond) = beyond {
            memory.write_at(to + end, &beyond);
        }
    }

    /// What a slot has beyond what is written: another program's value may be longer than ours.
    #[cold]
    fn beyond(&self, memory: &Memory, slot_at: usize, end: usize, keeps: bool) -> Vec<u8> {
        let mut beyond = vec![0; self.room_bytes() - end];
        if keeps {
            memory.read_at(slot_at + end, &mut beyond);
        }
        beyond
    }
}

impl Sight for Edit<'_> {
    fn word(&self, at: usize) -> u64 {
        let own = Committed::number_of_word(at);
        match self.set.iter().find(|set| set.number == own) {
            Some(set) => set.version,
            None => self.memory().word(at).load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn bucket(&self, at: usize) -> [u64; BUCKET_WORDS] {
        let words = self.memory().words(at, BUCKET_WORDS);
        let mut bucket = std::array::from_fn(|index| words[index].load(Ordering::Relaxed));
        for set in self.set.iter() {
            if let Some(index) = set.as_word().and_then(|word_at| word_at.checked_sub(at))
                && let Some(word) = bucket.get_mut(index / WORD)
            {
                *word = set.version;
            }
        }
        bucket
    }

    #[inline]
    fn version(&self, item: &Item) -> u64 {
        match self.set.iter().find(|set| set.number == item.number) {
            Some(set) => set.version,
            None => item.version(self.memory()),
        }
    }

    /// Nobody else writes.
    #[inline]
    fn is_whole(&self, _: &Item, _: u64) -> bool {
        true
    }
}

impl<'e> Edit<'e> {
    #[inline]
    fn memory(&self) -> &'e Memory {
        self.log.memory
    }

    fn hint(&self, at: usize) -> &'e AtomicU64 {
        self.memory().word(self.map.at + at)
    }

    /// The entry of a key, expired or not.
    pub(crate) fn find(&self, key: &HashedKey<'_>) -> Result<Option<Found>, Refused> {
        self.map.find(self.memory(), self, key).map_err(|_| Refused::Damaged)
    }

    /// Does with a key what is to become of it. `found` is its entry, if it has one.
    #[inline]
    pub(crate) fn apply<V: Storable>(
        &mut self,
        key: &HashedKey<'_>,
        found: Option<&Found>,
        step: Step<V>,
    ) -> Result<(), Refused> {
        match (step, found) {
            (Step::Put(put), _) => self.put(key, found, &put, os::boot_ns),
            // One that has expired, too.
            (Step::Remove, Some(found)) => self.remove(found),
            (Step::Keep, _) | (Step::Remove, None) => Ok(()),
        }
    }

    /// Sets a key's value. `found` is its entry, if it has one.
    #[inline]
    pub(crate) fn put<V: Storable>(
        &mut self,
        key: &HashedKey<'_>,
        found: Option<&Found>,
        put: &Put<V>,
        now_ns: impl Fn() -> u64,
    ) -> Result<(), Refused> {
        self.check_room()?;
        if put.until != NEVER {
            let soonest = self.hint(SOONEST);
            soonest.store(soonest.load(Ordering::Relaxed).min(put.until), Ordering::Relaxed);
        }
        match found {
            Some(found) => {
                self.write(found.entry, key, put, true);
                Ok(())
            }
            None => self.insert(key, put, now_ns),
        }
    }

    #[inline(never)]
    fn insert<V: Storable>(
        &mut self,
        key: &HashedKey<'_>,
        put: &Put<V>,
        now_ns: impl Fn() -> u64,
    ) -> Result<(), Refused> {
        let entry = match self.free_entry() {
            Some(entry) => entry,
            None => self.reclaim(now_ns())?.ok_or(Refused::Full)?,
        };
        self.write(entry, key, put, false);
        let bucket_at = self.map.bucket_at(key.hash);
        let bucket = self.bucket(bucket_at);
        let link = Link::new(key.hash, entry).0;
        match bucket[..CHAIN].iter().position(|&word| word == 0) {
            Some(index) => self.set_word(bucket_at + index * WORD, link),
            None => {
                self.count_moves();
                self.set_word(self.map.link_at(entry), bucket[CHAIN]);
                self.set_word(bucket_at + CHAIN * WORD, link);
            }
        }
        self.set_used(entry, true);
        Ok(())
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, found: &Found) -> Result<(), Refused> {
        self.check_room()?;
        self.remove_at(found.place, found.entry);
        Ok(())
    }

    /// The same where only the entry is known, and there is room.
    pub(crate) fn remove_entry(&mut self, entry: usize) -> Result<(), Refused> {
        match self.place_of(entry)? {
            Some(place) => self.remove_at(place, entry),
            // A peer has marked it as used.
            None => self.set_used(entry, false),
        }
        Ok(())
    }

    fn remove_at(&mut self, place: usize, entry: usize) {
        // Also if it is in no chain: the same transaction may give the entry away, and then the key to another entry.
        self.count_moves();
        self.stage(entry, |memory, _, slot_at| {
            memory.word(slot_at + UNTIL).store(GONE, Ordering::Relaxed);
        });
        let next = if self.map.is_place_of_bucket(place) { 0 } else { self.word(self.map.link_at(entry)) };
        self.set_word(place, next);
        self.set_used(entry, false);
    }

    /// Whether one more change has room in the log.
    #[inline]
    fn check_room(&self) -> Result<(), Refused> {
        if self.set.len() + ROOM > self.log.count { Err(Refused::TooMany) } else { Ok(()) }
    }

    /// Writes an entry's next version.
    #[inline]
    fn write<V: Storable>(&mut self, entry: usize, key: &HashedKey<'_>, put: &Put<V>, keeps_beyond: bool) {
        let map = self.map;
        self.stage(entry, |memory, from, to| map.fill(memory, [from, to], key, put, keeps_beyond));
    }

    /// Has `fill` write an entry's next version: from the slot that this transaction reads, to the one that is next.
    #[inline]
    fn stage(&mut self, entry: usize, fill: impl FnOnce(&Memory, usize, usize)) {
        let item = self.map.item(entry);
        let memory = self.memory();
        let committed = item.version(memory);
        let next = committed.wrapping_add(1) & !IN_TRANSIT;
        let is_new = !self.set.iter().any(|set| set.number == item.number);
        let from = if is_new { committed } else { next };
        let open = memory.open();
        // Whoever sees a slot written anew sees also that it was no longer the one to read, and who sees an entry of the
        // log, that the state was cleared since the last.
        fence(Ordering::Release);
        fill(memory, item.slot_at(from), item.slot_at(next));
        drop(open);
        if is_new {
            self.push(Committed::new(&item, next));
        }
    }

    fn push(&mut self, set: Committed) {
        self.log.write_entry(self.set.len(), set.entry());
        self.set.push(set);
    }

    fn set_word(&mut self, at: usize, value: u64) {
        let set = Committed::word(at, value, self.map.at);
        let known = self.set.iter().position(|other| other.number == set.number);
        match known {
            Some(index) => {
                self.log.write_entry(index, set.entry());
                self.set.replace(index, set);
            }
            None => self.push(set),
        }
    }

    /// Counts the moves on, before all else that this transaction does to the map. Once is enough: who has seen it
    /// counted sees also that the transaction is committed.
    fn count_moves(&mut self) {
        let at = self.map.moves_at();
        let moves = self.memory().word(at).load(Ordering::Relaxed).wrapping_add(1);
        let counted = Committed::word(at, moves, self.map.at);
        if self.set.iter().any(|set| set.number == counted.number) {
            return;
        }
        let first = self.set.iter().position(|set| set.is_of(self.map.at));
        match first {
            // The order of all the others does not matter.
            Some(first) => {
                let displaced = self.set.replace(first, counted);
                self.log.write_entry(first, counted.entry());
                self.push(displaced);
            }
            None => self.push(counted),
        }
    }

    fn set_used(&mut self, entry: usize, used: bool) {
        let (index, bit) = (entry / BITS, 1 << (entry % BITS));
        let at = self.map.used_at(index);
        let word = self.word(at);
        self.set_word(at, if used { word | bit } else { word & !bit });
        let free_from = self.free_from.load(Ordering::Relaxed);
        if !used && (index as u64) < free_from {
            self.free_from.store(index as u64, Ordering::Relaxed);
        }
    }

    /// An entry that nobody has.
    fn free_entry(&self) -> Option<usize> {
        let count = self.map.used_word_count();
        let from = usize::try_from(self.free_from.load(Ordering::Relaxed)).map_or(0, |from| from % count);
        let words = self.memory().words(self.map.used_at(0), count);
        for index in (from..count).chain(0..from) {
            // Most words have no free bit, and need not be looked for among what was set.
            if words[index].load(Ordering::Relaxed) | self.map.bits_beyond(index) == u64::MAX {
                continue;
            }
            if let Some(entry) = self.free_entry_of(index) {
                self.free_from.store(index as u64, Ordering::Relaxed);
                return Some(entry);
            }
        }
        // What this transaction has given back itself.
        let given_back = self.set.iter().filter_map(|set| {
            let index = set.as_word()?.checked_sub(self.map.used_at(0))? / WORD;
            (index < count).then_some(index)
        });
        given_back.filter_map(|index| self.free_entry_of(index)).next()
    }

    fn free_entry_of(&self, index: usize) -> Option<usize> {
        let free = !(self.word(self.map.used_at(index)) | self.map.bits_beyond(index));
        (free != 0).then(|| index * BITS + free.trailing_zeros() as usize)
    }

    /// Removes an entry that has expired.
    #[cold]
    fn reclaim(&mut self, now_ns: u64) -> Result<Option<usize>, Refused> {
        let soonest = self.hint(SOONEST);
        if soonest.load(Ordering::Relaxed) > now_ns {
            return Ok(None);
        }
        let capacity = self.map.capacity;
        let sweep = self.hint(SWEEP);
        let from = usize::try_from(sweep.load(Ordering::Relaxed)).map_or(0, |from| from % capacity);
        let (mut first, mut astray) = (NEVER, 0);
        for entry in (from..capacity).chain(0..from) {
            let until = self.until(entry);
            if until == GONE || until > now_ns {
                first = first.min(if until == GONE { NEVER } else { until });
            } else if let Ok(Some(place)) = self.place_of(entry) {
                self.remove_at(place, entry);
                sweep.store(entry as u64, Ordering::Relaxed);
                return Ok(Some(entry));
            } else {
                astray += 1;
                if astray == ASTRAY_MAX {
                    return Err(Refused::Damaged);
                }
            }
        }
        // What the transaction has removed, and would be there again if it were rolled back, is not among them.
        if self.set.len() == 0 {
            soonest.store(first, Ordering::Relaxed);
        }
        Ok(None)
    }

    fn until(&self, entry: usize) -> u64 {
        let item = self.map.item(entry);
        let slot_at = item.slot_at(self.version(&item));
        self.memory().word(slot_at + UNTIL).load(Ordering::Relaxed)
    }

    /// The word that names an entry; `None`: none does, which is a peer's doing.
    fn place_of(&self, entry: usize) -> Result<Option<usize>, Refused> {
        let item = self.map.item(entry);
        let mut bytes = vec![0; self.map.key_bytes];
        self.memory().read(item.slot_at(self.version(&item)) + KEY, &mut bytes);
        let seed = self.map.seed(self.memory());
        let found = self.find(&HashedKey::new(seed, &bytes))?;
        Ok(found.filter(|found| found.entry == entry).map(|found| found.place))
    }
}
