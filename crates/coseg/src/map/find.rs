//! Finding a key's entry, in what one may see of a map.

use super::geometry::{BUCKET_WORDS, CHAIN, Geometry, KEY, UNTIL};
use super::hash::{HashedKey, Link};
use crate::item::{Copied, TRIES};
use crate::layout::{Item, LINE};
use crate::log::Log;
use crate::memory::{Memory, WORD};
use crate::snapshot::Moment;
use crate::sync::{Ordering, fence};

/// When an entry that does not expire expires.
pub(crate) const NEVER: u64 = u64::MAX;
/// The same of one that was removed, or was never used: new memory is zero.
pub(crate) const GONE: u64 = 0;

/// A map's words and entries, as somebody sees them.
pub(crate) trait Sight {
    /// An index word.
    fn word(&self, at: usize) -> u64;

    /// All words of a bucket.
    fn bucket(&self, at: usize) -> [u64; BUCKET_WORDS];

    /// The version of an entry that is to be read.
    fn version(&self, item: &Item) -> u64;

    /// Whether what was read of that version since is its value.
    fn is_whole(&self, item: &Item, version: u64) -> bool;
}

/// As they are now, each word and each entry by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now<'a> {
    memory: &'a Memory,
    to_write: bool,
}

impl<'a> Now<'a> {
    #[inline(always)]
    pub(crate) fn to_read(memory: &'a Memory) -> Now<'a> {
        Now { memory, to_write: false }
    }

    /// For who holds the region's lock, and will write the entry that he finds.
    #[inline(always)]
    pub(crate) fn to_write(memory: &'a Memory) -> Now<'a> {
        Now { memory, to_write: true }
    }
}

impl Sight for Now<'_> {
    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.memory.word(at).load(Ordering::Acquire)
    }

    #[inline]
    fn bucket(&self, at: usize) -> [u64; BUCKET_WORDS] {
        let words = self.memory.words(at, BUCKET_WORDS);
        std::array::from_fn(|index| words[index].load(Ordering::Acquire))
    }

    #[inline]
    fn version(&self, item: &Item) -> u64 {
        if self.to_write {
            // All of it at once, and not one line after the other, as what is found in one leads to the next.
            self.memory.prefetch_to_write(item.version_at);
            if item.version_at % LINE + WORD + item.room_bytes > LINE {
                self.memory.prefetch_to_write(item.version_at + LINE);
            }
        }
        self.memory.word(item.version_at).load(Ordering::Acquire)
    }

    #[inline]
    fn is_whole(&self, item: &Item, version: u64) -> bool {
        item.is_whole(self.memory, version)
    }
}

/// As they all were at one moment, what is committed and not yet applied included.
impl Sight for Moment<'_> {
    fn word(&self, at: usize) -> u64 {
        Moment::word(self, at)
    }

    fn bucket(&self, at: usize) -> [u64; BUCKET_WORDS] {
        std::array::from_fn(|index| Moment::word(self, at + index * size_of::<u64>()))
    }

    fn version(&self, item: &Item) -> u64 {
        Moment::version(self, item)
    }

    fn is_whole(&self, item: &Item, version: u64) -> bool {
        Moment::is_whole(self, item, version)
    }
}

/// The entry of a key. It may have expired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The word that names it.
    pub(crate) place: usize,
    pub(crate) entry: usize,
    pub(crate) version: u64,
    /// Where its value is; to be read before [`Geometry::check`].
    pub(crate) slot_at: usize,
    pub(crate) until: u64,
}

/// Somebody changed what was being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overtaken;

/// Nothing is copied.
#[derive(Debug)]
pub(crate) struct Nothing;

impl Copied for Nothing {
    type Value = ();

    #[inline]
    fn copy(&self, _: &Memory, _: usize) {}
}

impl Geometry {
    /// The entry of a key, and a copy of its value.
    ///
    /// A key that is there all the time while this runs is found, unless the map's moves were counted on meanwhile.
    #[inline(always)]
    pub(crate) fn read<C: Copied>(
        &self,
        memory: &Memory,
        sight: &impl Sight,
        key: &HashedKey<'_>,
        how: &C,
    ) -> Result<Option<(Found, C::Value)>, Overtaken> {
        let Some(found) = self.find(memory, sight, key)? else { return Ok(None) };
        let value = how.copy(memory, found.slot_at + self.value_at);
        self.check(sight, &found)?;
        Ok(Some((found, value)))
    }

    /// Whether what was read of an entry is whole.
    #[inline(always)]
    pub(crate) fn check(&self, sight: &impl Sight, found: &Found) -> Result<(), Overtaken> {
        if sight.is_whole(&self.item(found.entry), found.version) { Ok(()) } else { Err(Overtaken) }
    }

    /// The entry of a key, to be checked once its value was read.
    #[inline(always)]
    pub(crate) fn find(
        &self,
        memory: &Memory,
        sight: &impl Sight,
        key: &HashedKey<'_>,
    ) -> Result<Option<Found>, Overtaken> {
        let bucket_at = self.bucket_at(key.hash);
        let words = sight.bucket(bucket_at);
        // Which word it is cannot be guessed; that it is one of them, the processor can.
        let mut candidates = 0_u32;
        for (index, &word) in words[..CHAIN].iter().enumerate() {
            candidates |= u32::from(Link(word).may_be(key.hash)) << index;
        }
        while candidates != 0 {
            let place = bucket_at + candidates.trailing_zeros() as usize * size_of::<u64>();
            candidates &= candidates - 1;
            if let Some(found) = self.try_entry(memory, sight, key, place, Link(sight.word(place)))? {
                return Ok(Some(found));
            }
        }
        match words[CHAIN] {
            0 => Ok(None),
            _ => self.find_in_chain(memory, sight, key, bucket_at + CHAIN * size_of::<u64>()),
        }
    }

    #[cold]
    fn find_in_chain(
        &self,
        memory: &Memory,
        sight: &impl Sight,
        key: &HashedKey<'_>,
        mut place: usize,
    ) -> Result<Option<Found>, Overtaken> {
        // Longer than there are entries it is only if it was changed, or is a circle.
        for _ in 0..=self.capacity {
            let link = Link(sight.word(place));
            let Some(entry) = link.entry(self.capacity) else { return Ok(None) };
            if link.may_be(key.hash)
                && let Some(found) = self.try_entry(memory, sight, key, place, link)?
            {
                return Ok(Some(found));
            }
            place = self.link_at(entry);
        }
        Err(Overtaken)
    }

    #[inline(always)]
    fn try_entry(
        &self,
        memory: &Memory,
        sight: &impl Sight,
        key: &HashedKey<'_>,
        place: usize,
        link: Link,
    ) -> Result<Option<Found>, Overtaken> {
        let Some(entry) = link.entry(self.capacity) else { return Ok(None) };
        let item = self.item(entry);
        let version = sight.version(&item);
        let slot_at = item.slot_at(version);
        let until = memory.word(slot_at + UNTIL).load(Ordering::Relaxed);
        let found = Found { place, entry, version, slot_at, until };
        if until != GONE && memory.holds(slot_at + KEY, key.bytes) {
            return Ok(Some(found));
        }
        // It may have become this key's while it was looked at.
        self.check(sight, &found).map(|()| None)
    }

    /// As [`Geometry::read`] for who has not found the key, or was overtaken: now for certain, and with what is committed
    /// and not yet applied.
    ///
    /// A key may be missed that was there when an entry was given to another key, or moved to another chain,
    /// underneath a reader. That is counted in the map's moves before it is done, and is seen by whoever sees that it
    /// was done. One who does not find it has looked at the log, too: the writer may have stopped halfway, and others
    /// may have been told by a snapshot what he is about to do.
    pub(crate) fn read_for_certain<C: Copied>(
        &self,
        log: &Log<'_>,
        key: &HashedKey<'_>,
        how: &C,
    ) -> Result<Option<(Found, C::Value)>, Overtaken> {
        let memory = log.memory;
        let moves = memory.word(self.moves_at());
        for _ in 0..TRIES {
            let moves_before = moves.load(Ordering::Acquire);
            if log.state().pending() == 0 {
                let found = self.read(memory, &Now::to_read(memory), key, how);
                fence(Ordering::Acquire);
                match found {
                    Ok(None) if moves.load(Ordering::Relaxed) != moves_before => {}
                    Err(Overtaken) => {}
                    found => return found,
                }
            } else if let Some(moment) = Moment::now(*log) {
                let found = self.read(memory, &moment, key, how);
                if moment.is_now() {
                    return found;
                }
            }
            std::hint::spin_loop();
        }
        Err(Overtaken)
    }
}
