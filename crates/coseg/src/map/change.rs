//! What a transaction does with a map; alone, each change is a transaction of its own.

use std::mem::MaybeUninit;
use std::time::Duration;

use super::edit::{Edit, Image, Put, Refused, Step};
use super::find::{Found, NEVER, Now};
use super::geometry::Geometry;
use super::hash::HashedKey;
use super::{Map, Stamp, Swap, damaged, lives, until_after};
use crate::base::RegionGuard;
use crate::bell::Wake;
use crate::few::Few;
use crate::lock::Deadline;
use crate::log::{Committed, Log};
use crate::memory::stored;
use crate::part::Spot;
use crate::transaction::Transaction;
use crate::{Error, ErrorKind, Result, Shared};

/// A map within a transaction: as the transaction has left it so far.
///
/// Made by [`Transaction::map`]. Its methods are those of [`Map`], and what they do is done once the transaction commits.
/// Each may also fail with [`ErrorKind::TooMany`]: the log has no room for one more.
#[derive(Debug)]
pub struct MapChange<'t, 'a, K, V, const N: usize> {
    transaction: &'t mut Transaction<'a>,
    map: &'t Map<K, V, N>,
}

impl<'a> Transaction<'a> {
    /// A map, to be read and changed within this transaction.
    ///
    /// # Panics
    /// If the map belongs to another region.
    #[inline]
    pub fn map<'t, K: Shared, V: Shared, const N: usize>(
        &'t mut self,
        map: &'t Map<K, V, N>,
    ) -> MapChange<'t, 'a, K, V, N> {
        assert!(
            std::ptr::eq(self.guard.base, map.base()),
            "a transaction changes one region; this map belongs to another"
        );
        MapChange { transaction: self, map }
    }
}

impl<K: Shared, V: Shared, const N: usize> MapChange<'_, '_, K, V, N> {
    /// A copy of a key's value.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`]: a peer has written over the map.
    pub fn get(&mut self, key: &K) -> Result<Option<V>> {
        self.alter("read", key, |found| (Step::Keep, found.map(|(_, value)| value)))
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// Those of [`MapChange::get`].
    pub fn contains(&mut self, key: &K) -> Result<bool> {
        self.alter("read", key, |found| (Step::Keep, found.is_some()))
    }

    /// Sets a key's value; see [`Map::put`].
    ///
    /// # Errors
    /// Those of [`Map::put`]; [`ErrorKind::TooMany`].
    #[inline]
    pub fn put(&mut self, key: &K, value: V) -> Result<Option<V>> {
        self.put_until(key, value, NEVER)
    }

    /// Sets a key's value for a time; see [`Map::put_for`].
    ///
    /// # Errors
    /// Those of [`MapChange::put`].
    pub fn put_for(&mut self, key: &K, value: V, time: Duration) -> Result<Option<V>> {
        self.put_until(key, value, until_after(time))
    }

    #[inline]
    fn put_until(&mut self, key: &K, value: V, until: u64) -> Result<Option<V>> {
        let put = Put { until, value };
        self.alter("put into", key, |found| (Step::Put(put), found.map(|(_, value)| value)))
    }

    /// Sets a key's value if it has none; see [`Map::insert`].
    ///
    /// # Errors
    /// Those of [`MapChange::put`].
    pub fn insert(&mut self, key: &K, value: V) -> Result<bool> {
        let put = Put { until: NEVER, value };
        self.alter("insert into", key, |found| match found {
            Some(_) => (Step::Keep, false),
            None => (Step::Put(put), true),
        })
    }

    /// Removes a key's value; see [`Map::remove`].
    ///
    /// # Errors
    /// Those of [`MapChange::put`] but [`ErrorKind::Full`].
    pub fn remove(&mut self, key: &K) -> Result<Option<V>> {
        self.alter("remove from", key, |found| (Step::Remove, found.map(|(_, value)| value)))
    }

    /// Changes a key's value; see [`Map::update`].
    ///
    /// # Errors
    /// Those of [`MapChange::put`].
    #[inline]
    pub fn update<R>(&mut self, key: &K, change: impl FnOnce(&mut Option<V>) -> R) -> Result<R> {
        self.alter("update", key, |found| {
            let until = found.map_or(NEVER, |(found, _)| found.until);
            let mut value = found.map(|(_, value)| value);
            let result = change(&mut value);
            (value.map_or(Step::Remove, |value| Step::Put(Put { until, value })), result)
        })
    }

    /// See [`Map::compare_and_swap`]. Alone in its transaction: a stamp tells what others see.
    pub(super) fn compare_and_swap(&mut self, key: &K, seen: Option<Stamp>, value: V) -> Result<Swap<V>> {
        let other = self.alter("change", key, |found| match found {
            Some((found, _)) if Some(found.stamp()) == seen => {
                (Step::Put(Put { until: found.until, value }), None)
            }
            None if seen.is_none() => (Step::Put(Put { until: NEVER, value }), None),
            other => (Step::Keep, Some(Swap::Other(other.map(|(found, value)| (value, found.stamp()))))),
        })?;
        match other {
            Some(other) => Ok(other),
            None => self.stamp_of(key).map(Swap::Done).ok_or_else(|| damaged("change", &self.map.spot)),
        }
    }

    /// The stamp of a key's entry, even if that has expired by now.
    fn stamp_of(&mut self, key: &K) -> Option<Stamp> {
        let Transaction { guard, set, .. } = &mut *self.transaction;
        let (log, map) = (guard.base.log(), self.map);
        let mut image = MaybeUninit::uninit();
        let key = HashedKey::new(map.geometry.seed(log.memory), stored(key, &mut image));
        let edit = Edit { map: &map.geometry, log, set, free_from: &map.free_from };
        edit.find(&key).ok().flatten().map(|found| found.stamp())
    }

    /// Does with a key what `decide` says of its entry.
    #[inline]
    fn alter<R>(
        &mut self,
        doing: &'static str,
        key: &K,
        decide: impl FnOnce(Option<(Found, V)>) -> (Step<V>, R),
    ) -> Result<R> {
        let Transaction { guard, set, .. } = &mut *self.transaction;
        let (log, map) = (guard.base.log(), self.map);
        map.alter(log, set, key, decide, || guard.check_process())
            .map_err(|stopped| stopped.error(doing, &map.spot, &map.geometry, log))
    }
}

/// Why a change was not made.
pub(super) enum Stopped {
    Refused(Refused),
    Failed(Error),
}

impl Stopped {
    #[cold]
    pub(super) fn error(self, doing: &'static str, spot: &Spot, map: &Geometry, log: Log<'_>) -> Error {
        let error = |kind, fact: String| Error::new(doing, spot.object(), kind, fact);
        match self {
            Stopped::Failed(error) => error,
            Stopped::Refused(Refused::Damaged) => damaged(doing, spot),
            Stopped::Refused(Refused::TooMany) => error(
                ErrorKind::TooMany,
                format!(
                    "a transaction of this region can set {} values and words: commit in between",
                    log.count
                ),
            ),
            Stopped::Refused(Refused::Full) => error(
                ErrorKind::Full,
                format!(
                    "all {} entries are in use and none has expired: remove some, or make the region with a larger map",
                    map.capacity
                ),
            ),
        }
    }
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Stopped {
        Stopped::Refused(refused)
    }
}

impl<K: Shared, V: Shared, const N: usize> Map<K, V, N> {
    /// Sets the value of a key that has an entry, as a cell's is set, and tells what it was; gives the lock back to who
    /// asks for a key that has none.
    #[inline]
    pub(super) fn replace(&self, key: &K, value: &V) -> Result<Result<Option<V>, RegionGuard<'_>>> {
        let (map, base) = (&self.geometry, self.base());
        let memory = &base.memory;
        memory.let_read();
        let (mut image, mut value_image) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let key = HashedKey::new(map.seed(memory), stored(key, &mut image));
        // The program's own code runs before the lock is taken.
        let put = Put { until: NEVER, value: Image(stored(value, &mut value_image)) };
        // It comes while the lock is taken.
        memory.prefetch(map.bucket_at(key.hash));
        let guard = base.lock(Deadline::Never)?;
        // Nobody else writes: where it is overtaken all the same, something writes over the map.
        let found =
            map.find(memory, &Now::to_write(memory), &key).map_err(|_| damaged("put into", &self.spot))?;
        let Some(found) = found else { return Ok(Err(guard)) };
        let old = lives(found.until).then(|| memory.load(found.slot_at + map.value_at));
        guard.check_process()?;
        let open = memory.open();
        map.replace(base.log(), &found, &key, &put);
        drop(open);
        drop(guard);
        map.item(found.entry).bell(memory).ring_after_store(|| Wake::All);
        Ok(Ok(old))
    }

    /// `check` is asked before anything is written.
    #[inline]
    pub(super) fn alter<R>(
        &self,
        log: Log<'_>,
        set: &mut Few<Committed>,
        key: &K,
        decide: impl FnOnce(Option<(Found, V)>) -> (Step<V>, R),
        check: impl FnOnce() -> Result<()>,
    ) -> Result<R, Stopped> {
        log.memory.let_read();
        let mut image = MaybeUninit::uninit();
        let key = HashedKey::new(self.geometry.seed(log.memory), stored(key, &mut image));
        let mut edit = Edit { map: &self.geometry, log, set, free_from: &self.free_from };
        let found = edit.find(&key)?;
        let live = found.filter(|found| lives(found.until));
        let value = live.map(|found| (found, log.memory.load(found.slot_at + self.geometry.value_at)));
        let (step, result) = decide(value);
        check().map_err(Stopped::Failed)?;
        edit.apply(&key, found.as_ref(), step)?;
        Ok(result)
    }
}
