//! Values by their keys.
//!
//! Entries are versioned values like a table's rows. An index of buckets leads from a key's hash to its entry: a
//! bucket is one line, whose words name an entry each, with half of the hash so that others need not be looked at; what
//! finds no place hangs on a chain. An entry stays where it is until it is removed. So a change of a key that is there
//! is one store, and an addition or a removal a few words, through the region's log; none depends on how full the map
//! is.

mod change;
#[cfg(all(test, coseg_crowd))]
mod crowds;
mod edit;
mod entries;
mod find;
mod geometry;
mod hash;
#[cfg(all(test, coseg_model))]
mod models;
mod transit;
mod untyped;
mod view;

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::time::Duration;

pub use self::change::MapChange;
use self::edit::Put;
pub(crate) use self::find::Nothing;
use self::find::{Found, NEVER, Now, Overtaken};
pub(crate) use self::geometry::{Geometry, KEY, log_word_count, types};
pub(crate) use self::hash::HashedKey;
pub(crate) use self::untyped::until;
pub use self::untyped::{UntypedEntry, UntypedMap};
pub use self::view::MapView;
use crate::base::{Base, RegionGuard};
use crate::item::{Copied, Typed};
use crate::layout::IN_TRANSIT;
use crate::lock::Deadline;
use crate::memory::stored;
use crate::os;
use crate::part::Spot;
use crate::sync::AtomicU64;
use crate::transaction::Transaction;
use crate::{Error, ErrorKind, Result, Shared};

/// How long one who was overtaken waits for the lock before he tries without it again.
const SOON: Duration = Duration::from_millis(3);
/// How often: about a second, which takes a peer who writes what he may not.
const ROUNDS: usize = 300;

/// At most `N` values by their keys.
///
/// Reads take no lock and wait for nobody. Keys are the same if their stored bytes are: `0.0` and `-0.0` are two, and
/// one `NaN` is one. Iteration has no order.
///
/// ```
/// use std::time::Duration;
///
/// use coseg::{Key, Map, Region, Shared, Text};
///
/// #[derive(Shared, Clone, Copy, PartialEq, Debug)]
/// #[repr(C)]
/// struct Position {
///     amount: i64,
///     #[shared(unit = "EUR")]
///     price: f64,
/// }
///
/// #[derive(Region)]
/// struct Book {
///     positions: Map<u64, Position, 10_000>,
///     quotes: Map<Text<8>, f64, 100>,
/// }
///
/// # let dir = tempfile::tempdir()?;
/// # let backend = coseg_sysv::User::at(dir.path())?;
/// let book = Region::<Book>::at(Key::new(7)).backend(&backend).create(BookInitial::default)?;
/// book.positions.put(&17, Position { amount: 5, price: 1.5 })?;
/// book.positions.update(&17, |position| position.as_mut().map(|own| own.amount += 1))?;
/// assert_eq!(book.positions.get(&17)?.unwrap().amount, 6);
///
/// // It is gone after a second, unless it is put again.
/// book.quotes.put_for(&"EURUSD".into(), 1.07, Duration::from_secs(1))?;
///
/// // Both or neither, whoever is killed.
/// book.transaction(|change| {
///     let closed = change.map(&book.positions).remove(&17)?;
///     change.map(&book.quotes).put(&"last".into(), closed.map_or(0.0, |own| own.price))
/// })?;
/// assert_eq!(book.positions.len(), 0);
/// # book.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
/// Killed anywhere, a process leaves each key as it was or as it is to be, and keeps nobody from anything.
#[derive(Debug)]
pub struct Map<K, V, const N: usize> {
    spot: Spot,
    geometry: Geometry,
    free_from: AtomicU64,
    of: PhantomData<fn() -> (K, V)>,
}

/// Which value of a key it is: another after every change, also if the key was removed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    entry: u32,
    version: u64,
}

/// What became of [`Map::compare_and_swap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Swap<V> {
    /// The value is set, and has this stamp.
    Done(Stamp),
    /// It was another, or none; this one, which stays.
    Other(Option<(V, Stamp)>),
}

/// Whether an entry has not expired.
#[inline]
pub(crate) fn lives(until: u64) -> bool {
    until == NEVER || until > os::boot_ns()
}

/// When an entry expires that is to be there for so long.
fn until_after(time: Duration) -> u64 {
    os::boot_ns().saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

#[cold]
fn damaged(doing: &'static str, spot: &Spot) -> Error {
    let fact = "its index leads nowhere: something writes over it";
    Error::new(doing, spot.object(), ErrorKind::Damaged, fact)
}

#[cold]
pub(crate) fn busy(object: String) -> Error {
    Error::new("read", object, ErrorKind::Busy, "writers overtook every attempt: try again")
}

impl Found {
    fn stamp(&self) -> Stamp {
        let version = self.version & !IN_TRANSIT;
        Stamp { entry: u32::try_from(self.entry).unwrap_or(u32::MAX), version }
    }
}

impl<K: Shared, V: Shared, const N: usize> Map<K, V, N> {
    /// A copy of a key's value; `None`: it has none.
    ///
    /// It waits for nobody. Where writers overtake it again and again, it takes the region's lock between two of them.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`]: writers overtook every attempt, and the region was opened for reading.
    /// [`ErrorKind::Damaged`]: a peer writes over the map.
    #[inline]
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        Ok(self.look(key, &Typed::<V>::NEW)?.map(|(_, value)| value))
    }

    /// The same with the value's stamp, for [`Map::compare_and_swap`].
    ///
    /// # Errors
    /// Those of [`Map::get`].
    #[inline]
    pub fn get_stamped(&self, key: &K) -> Result<Option<(V, Stamp)>> {
        Ok(self.look(key, &Typed::<V>::NEW)?.map(|(found, value)| (value, found.stamp())))
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// Those of [`Map::get`].
    #[inline]
    pub fn contains(&self, key: &K) -> Result<bool> {
        Ok(self.look(key, &Nothing)?.is_some())
    }

    #[inline]
    fn look<C: Copied>(&self, key: &K, how: &C) -> Result<Option<(Found, C::Value)>> {
        let (map, memory) = (&self.geometry, &self.spot.base().memory);
        memory.let_read();
        let mut image = MaybeUninit::uninit();
        let key = HashedKey::new(map.seed(memory), stored(key, &mut image));
        let found = match map.read(memory, &Now::to_read(memory), &key, how) {
            Ok(Some(found)) => Some(found),
            _ => self.look_again(&key, how)?,
        };
        Ok(found.filter(|(found, _)| lives(found.until)))
    }

    /// Not found, or overtaken.
    #[inline(never)]
    fn look_again<C: Copied>(&self, key: &HashedKey<'_>, how: &C) -> Result<Option<(Found, C::Value)>> {
        let base = self.spot.base();
        for _ in 0..ROUNDS {
            if let Ok(found) = self.geometry.read_for_certain(&base.log(), key, how) {
                return Ok(found);
            }
            if !base.memory.is_writable() {
                break;
            }
            if let Ok(_guard) = base.lock(Deadline::after(Some(SOON))) {
                // Nobody changes anything now, and what the dead had committed is applied.
                let found = self.geometry.read(&base.memory, &Now::to_read(&base.memory), key, how);
                return found.map_err(|Overtaken| damaged("read", &self.spot));
            }
        }
        Err(busy(self.spot.object()))
    }

    /// Sets a key's value, for as long as it is not removed; what it was before.
    ///
    /// # Errors
    /// [`ErrorKind::Full`]: all entries are in use by other keys, and none has expired. [`ErrorKind::ReadOnly`],
    /// [`ErrorKind::WouldDeadlock`]: called within a change of the same region. [`ErrorKind::Damaged`]: a peer has
    /// written over the map.
    ///
    /// # Crash
    /// Killed anywhere, the process leaves the old value, or none if there was none, or the new one.
    #[inline]
    pub fn put(&self, key: &K, value: V) -> Result<Option<V>> {
        match self.replace(key, &value)? {
            Ok(old) => Ok(old),
            Err(guard) => self.change_under(guard, |map| map.put(key, value)),
        }
    }

    /// The same for a time: then the value is as if it were removed, and its entry may be given to another key. A value
    /// that is changed by [`Map::update`] or [`Map::compare_and_swap`] keeps the time that it was given.
    ///
    /// The time goes on while the machine sleeps. Processes with clocks of their own, time_namespaces(7), do not agree
    /// about it.
    ///
    /// # Errors
    /// Those of [`Map::put`].
    ///
    /// # Crash
    /// As [`Map::put`].
    pub fn put_for(&self, key: &K, value: V, time: Duration) -> Result<Option<V>> {
        self.change(|map| map.put_for(key, value, time))
    }

    /// Sets a key's value if it has none; whether it had none.
    ///
    /// # Errors
    /// Those of [`Map::put`].
    ///
    /// # Crash
    /// As [`Map::put`].
    pub fn insert(&self, key: &K, value: V) -> Result<bool> {
        self.change(|map| map.insert(key, value))
    }

    /// Removes a key's value; what it was.
    ///
    /// # Errors
    /// Those of [`Map::put`] but [`ErrorKind::Full`].
    ///
    /// # Crash
    /// Killed anywhere, the process leaves the value, or none.
    pub fn remove(&self, key: &K) -> Result<Option<V>> {
        self.change(|map| map.remove(key))
    }

    /// Changes a key's value: `change` works on a copy, or on `None` if there is none; what it leaves there is set, or
    /// removed if it is `None`.
    ///
    /// If `change` panics, nothing has changed.
    ///
    /// # Errors
    /// Those of [`Map::put`].
    ///
    /// # Crash
    /// As [`Map::put`].
    #[inline]
    pub fn update<R>(&self, key: &K, change: impl FnOnce(&mut Option<V>) -> R) -> Result<R> {
        self.change(|map| map.update(key, change))
    }

    /// Sets a key's value if it is still the one with this stamp, or if there is still none.
    ///
    /// # Errors
    /// Those of [`Map::put`].
    ///
    /// # Crash
    /// As [`Map::put`].
    pub fn compare_and_swap(&self, key: &K, seen: Option<Stamp>, value: V) -> Result<Swap<V>> {
        self.change(|map| map.compare_and_swap(key, seen, value))
    }

    /// A transaction of one change.
    #[inline]
    fn change<R>(&self, change: impl FnOnce(&mut MapChange<'_, '_, K, V, N>) -> Result<R>) -> Result<R> {
        self.change_under(self.base().lock(Deadline::Never)?, change)
    }

    #[inline]
    fn change_under<R>(
        &self,
        guard: RegionGuard<'_>,
        change: impl FnOnce(&mut MapChange<'_, '_, K, V, N>) -> Result<R>,
    ) -> Result<R> {
        let mut transaction = Transaction::new(guard);
        let result = change(&mut transaction.map(self))?;
        transaction.commit()?;
        Ok(result)
    }

    /// Sleeps while a condition holds of a key's value; then the value.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]: it held for all of `timeout`. [`ErrorKind::Removed`]: the region was removed. And those
    /// of [`Map::get`].
    pub fn wait_while(
        &self,
        key: &K,
        mut condition: impl FnMut(Option<&V>) -> bool,
        timeout: Option<Duration>,
    ) -> Result<Option<V>> {
        let deadline = Deadline::after(timeout);
        let base = self.base();
        let bell = self.geometry.item(0).bell(&base.memory);
        let mut changed = || {
            let value = self.get(key)?;
            Ok::<_, Error>((!condition(value.as_ref())).then_some(value))
        };
        loop {
            if let Some(value) = changed()? {
                return Ok(value);
            }
            let left = deadline.left().ok_or_else(|| {
                let fact = "the value is not yet what was waited for";
                Error::timed_out("wait for", self.spot.object(), timeout.unwrap_or_default(), fact)
            })?;
            if !base.memory.is_writable() {
                base.check_open("wait for", || self.spot.object())?;
                // Who may only read cannot say that he waits.
                std::thread::sleep(left.min(Duration::from_millis(1)));
                continue;
            }
            let ticket = bell.prepare_for_stores();
            if let Some(value) = changed()? {
                return Ok(value);
            }
            base.check_open("wait for", || self.spot.object())?;
            bell.sleep(ticket, left);
        }
    }

    /// How many keys it can have.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// How many entries are in use. Those that have expired are, until another key needs them.
    pub fn len(&self) -> usize {
        self.geometry.used_count(&self.base().memory)
    }

    /// Whether no entry is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn base(&self) -> &Base {
        self.spot.base()
    }
}
