//! A key's value is put by way of the transit slot.
//!
//! Each entry could be written in the slot that its version does not say, and be read there from then on. But then all
//! that is put again and again would take two slots in the processor's cache. So who puts a value writes it where he wrote
//! the last one; commits by a version that says that it is there; copies it to where the next odd version is, which
//! nobody reads any more; and stores this version without the mark. Readers find the whole value at any time.
//!
//! Who dies in between leaves the mark, and whoever takes the lock from him brings the value home.

use super::Put;
use super::edit::Image;
use super::find::Found;
use super::geometry::Geometry;
use super::hash::HashedKey;
use crate::layout::{IN_TRANSIT, Item};
use crate::log::{Committed, Log};
use crate::memory::Memory;
use crate::sync::{Ordering, fence};

impl Geometry {
    /// Sets the value of an entry, and commits it. Only for who holds the region's lock.
    #[inline(always)]
    pub(crate) fn replace(&self, log: Log<'_>, found: &Found, key: &HashedKey<'_>, put: &Put<Image<'_>>) {
        let memory = log.memory;
        let item = self.item(found.entry);
        let next = (found.version.wrapping_add(1) | 1) & !IN_TRANSIT;
        self.in_transit(memory).store(found.entry as u64, Ordering::Relaxed);
        // Whoever sees the slot written anew sees also that the last one's value was brought home.
        fence(Ordering::Release);
        self.fill(memory, [found.slot_at, item.transit_at], key, put, true);
        log.commit_one(Committed::new(&item, next | IN_TRANSIT));
        self.bring_home(memory, &item, next);
    }

    /// Finishes what a dead owner of the lock committed; whether there was something.
    pub(crate) fn end_transit(&self, memory: &Memory) -> bool {
        let entry = self.in_transit(memory).load(Ordering::Relaxed);
        // A peer may have written anything here.
        let Some(entry) = usize::try_from(entry).ok().filter(|&entry| entry < self.capacity) else {
            return false;
        };
        let item = self.item(entry);
        let version = item.version(memory);
        let is_away = version & IN_TRANSIT != 0;
        if is_away {
            self.bring_home(memory, &item, version & !IN_TRANSIT);
        }
        is_away
    }

    /// Copies a value from the transit slot to that of its version, which is read from then on.
    #[inline(always)]
    fn bring_home(&self, memory: &Memory, item: &Item, version: u64) {
        // Whoever sees the slot written anew sees also that it is no longer the one to read.
        fence(Ordering::Release);
        memory.copy(item.transit_at, item.slot_at(version), self.room_bytes());
        memory.word(item.version_at).store(version, Ordering::Release);
    }
}
