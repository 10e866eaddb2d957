//! A map of a region that is known from the region's schema only.

use std::time::Duration;

use super::change::Stopped;
use super::edit::{Edit, Image, Put, Step};
use super::entries::removed_at_once;
use super::find::{GONE, NEVER};
use super::geometry::{Geometry, KEY, UNTIL, types};
use super::hash::HashedKey;
use super::{busy, lives, until_after};
use crate::item::Bytes;
use crate::lock::Deadline;
use crate::log::Log;
use crate::os;
use crate::part::Spot;
use crate::schema::{Part, Type};
use crate::sync::{AtomicU64, Ordering};
use crate::transaction::Transaction;
use crate::{Result, Value, decode, encode};

/// A map whose keys and values are told by the region; see [`Inspection::map`](crate::Inspection::map).
#[derive(Debug)]
pub struct UntypedMap {
    spot: Spot,
    geometry: Geometry,
    free_from: AtomicU64,
}

/// What a key has.
#[derive(Clone, Debug, PartialEq)]
pub struct UntypedEntry {
    /// Its value.
    pub value: Value,
    /// When it will be gone; `None`: it stays.
    pub expires_in: Option<Duration>,
}

impl UntypedMap {
    /// `None`: the part is no map.
    pub(crate) fn new(spot: Spot) -> Option<UntypedMap> {
        let geometry = *spot.map()?;
        types(spot.schema())?;
        Some(UntypedMap { spot, geometry, free_from: AtomicU64::new(0) })
    }

    /// Its name, and what it says of its entries.
    pub fn schema(&self) -> &Part {
        self.spot.schema()
    }

    /// What its keys are.
    pub fn key_type(&self) -> &Type {
        self.types().0
    }

    /// What its values are.
    pub fn value_type(&self) -> &Type {
        self.types().1
    }

    fn types(&self) -> (&Type, &Type) {
        types(self.spot.schema()).expect("it was a map when this was made")
    }

    /// How many keys it can have.
    pub fn capacity(&self) -> usize {
        self.geometry.capacity
    }

    /// How many entries are in use. Those that have expired are, until another key needs them.
    pub fn len(&self) -> usize {
        self.geometry.used_count(&self.spot.base().memory)
    }

    /// Whether no entry is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the entries in use have expired.
    pub fn expired_count(&self) -> usize {
        self.expired().count()
    }

    /// What a key has; `None`: it has nothing.
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`](crate::ErrorKind::BadValue): no key of this map can be so.
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy): writers overtook every attempt.
    pub fn get(&self, key: &Value) -> Result<Option<UntypedEntry>> {
        let base = self.spot.base();
        let key = image(self.key_type(), key)?;
        base.memory.let_read();
        let key = HashedKey::new(self.geometry.seed(&base.memory), &key);
        let how = Bytes(self.value_type().size_bytes());
        let found = self.geometry.read_for_certain(&base.log(), &key, &how);
        let found = found.map_err(|_| busy(self.spot.object()))?;
        Ok(found
            .filter(|(found, _)| lives(found.until))
            .map(|(found, bytes)| self.entry(found.until, &bytes)))
    }

    /// All keys and what they have, in no order; see [`Map::iter`](crate::Map::iter).
    ///
    /// # Errors
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy): writers of this entry overtook every attempt.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Value, UntypedEntry)>> + '_ {
        let memory = &self.spot.base().memory;
        self.geometry.used(memory).filter_map(move |entry| {
            let item = self.geometry.item(entry);
            let Some((bytes, _)) = item.try_read(memory, &Bytes(item.room_bytes)) else {
                return Some(Err(busy(self.spot.object())));
            };
            let until = until(&bytes);
            lives(until).then(|| {
                let key = decode(self.key_type(), &bytes[KEY..]);
                Ok((key, self.entry(until, &bytes[self.geometry.value_at..])))
            })
        })
    }

    fn entry(&self, until: u64, value: &[u8]) -> UntypedEntry {
        let left = || Duration::from_nanos(until.saturating_sub(os::boot_ns()));
        UntypedEntry { value: decode(self.value_type(), value), expires_in: (until != NEVER).then(left) }
    }

    /// Changes what a key has, under the region's lock: `change` works on a copy, or on `None` if it has nothing; what it
    /// leaves there is set, or removed if it is `None`. A time that it leaves as it was goes on.
    ///
    /// If what is left is no value, or `change` panics, nothing has changed.
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`](crate::ErrorKind::BadValue): no key or value of this map can be so.
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut): the lock was held for all of `timeout`. And those of
    /// [`Map::put`](crate::Map::put).
    ///
    /// # Crash
    /// As [`Map::put`](crate::Map::put).
    pub fn update<R>(
        &self,
        key: &Value,
        timeout: Duration,
        change: impl FnOnce(&mut Option<UntypedEntry>) -> R,
    ) -> Result<R> {
        let base = self.spot.base();
        let (memory, log) = (&base.memory, base.log());
        let key = image(self.key_type(), key)?;
        let mut transaction = Transaction::new(base.lock(Deadline::after(Some(timeout)))?);
        let key = HashedKey::new(self.geometry.seed(memory), &key);
        let mut edit =
            Edit { map: &self.geometry, log, set: &mut transaction.set, free_from: &self.free_from };
        let found = edit.find(&key).map_err(|refused| self.refused("put into", refused, log))?;
        let before = found.filter(|found| lives(found.until)).map(|found| {
            let mut bytes = vec![0; self.value_type().size_bytes()];
            memory.read(found.slot_at + self.geometry.value_at, &mut bytes);
            (found.until, self.entry(found.until, &bytes))
        });
        let mut after = before.as_ref().map(|(_, entry)| entry.clone());
        let result = change(&mut after);
        let bytes;
        let step = match (after, &before) {
            (None, _) => Step::Remove,
            // What is no valid text would not be the same once it was decoded and encoded.
            (Some(after), Some((_, before))) if after == *before => Step::Keep,
            (Some(after), before) => {
                let until = match (after.expires_in, before) {
                    (None, _) => NEVER,
                    (time, Some((until, before))) if time == before.expires_in => *until,
                    (Some(time), _) => until_after(time),
                };
                bytes = image(self.value_type(), &after.value)?;
                Step::Put(Put { until, value: Image(&bytes) })
            }
        };
        transaction.guard.check_process()?;
        edit.apply(&key, found.as_ref(), step).map_err(|refused| self.refused("put into", refused, log))?;
        transaction.commit()?;
        Ok(result)
    }

    fn refused(&self, doing: &'static str, refused: super::edit::Refused, log: Log<'_>) -> crate::Error {
        Stopped::Refused(refused).error(doing, &self.spot, &self.geometry, log)
    }

    /// Removes the entries that have expired; how many. Others change the region in between.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut): the lock was held for all of `timeout`.
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    ///
    /// # Crash
    /// Killed in here, the process leaves some of them removed and the others as they were.
    pub fn remove_expired(&self, timeout: Duration) -> Result<usize> {
        let base = self.spot.base();
        let log = base.log();
        let mut expired = self.expired();
        let mut count = 0;
        loop {
            let some: Vec<usize> = expired.by_ref().take(removed_at_once(log)).collect();
            if some.is_empty() {
                return Ok(count);
            }
            let mut transaction = Transaction::new(base.lock(Deadline::after(Some(timeout)))?);
            let set = &mut transaction.set;
            let mut edit = Edit { map: &self.geometry, log, set, free_from: &self.free_from };
            // Others may have removed or changed them meanwhile.
            for entry in some.into_iter().filter(|&entry| self.has_expired(entry)) {
                edit.remove_entry(entry).map_err(|refused| self.refused("remove from", refused, log))?;
                count += 1;
            }
            transaction.commit()?;
        }
    }

    fn expired(&self) -> impl Iterator<Item = usize> + '_ {
        self.geometry.used(&self.spot.base().memory).filter(|&entry| self.has_expired(entry))
    }

    fn has_expired(&self, entry: usize) -> bool {
        let memory = &self.spot.base().memory;
        let item = self.geometry.item(entry);
        let slot_at = item.slot_at(item.version(memory));
        let until = memory.word(slot_at + UNTIL).load(Ordering::Relaxed);
        until != GONE && !lives(until)
    }
}

/// The stored bytes of a key or value.
fn image(of: &Type, value: &Value) -> Result<Vec<u8>> {
    let mut bytes = encode(of, value)?;
    bytes.resize(of.size_bytes(), 0);
    Ok(bytes)
}

/// When the entry in these bytes of a slot expires.
pub(crate) fn until(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(GONE, |until| u64::from_ne_bytes(*until))
}
