//! One value, read whole without a lock, replaced whole.

use std::marker::PhantomData;
use std::time::Duration;

use crate::base::Base;
use crate::item::Typed;
use crate::layout::Item;
use crate::lock::Deadline;
use crate::log::Committed;
use crate::part::{Part, Plan, Site, Spot};
use crate::schema::PartKind;
use crate::{Error, ErrorKind, Result, Shared, bell};

/// Versions a cell keeps: a reader is disturbed only when all the others were written while it copied one.
const SLOTS_OF_SMALL: usize = 4;
/// A large value is copied slowly and read seldom; fewer versions keep it in the cache.
const SLOTS_OF_LARGE: usize = 2;
const SMALL_BYTES: usize = 4096;

/// One value, read whole without a lock, replaced whole.
///
/// # Crash
/// Killed in a change, a process leaves the old value or the new one. Readers never wait for it.
#[derive(Debug)]
pub struct Cell<T> {
    spot: Spot,
    item: Item,
    of: PhantomData<fn() -> T>,
}

/// A value of a region that a [`Transaction`](crate::Transaction) or a [`Snapshot`](crate::Snapshot) can reach:
/// a cell, or a row of a table.
pub trait Place {
    /// What is stored there.
    type Value: Shared;

    #[doc(hidden)]
    fn reach(&self) -> Reach<'_>;
}

/// Where a place is.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    pub(crate) base: &'a Base,
    pub(crate) item: &'a Item,
}

impl<T: Shared> Place for Cell<T> {
    type Value = T;

    #[inline]
    fn reach(&self) -> Reach<'_> {
        Reach { base: &self.spot.base, item: &self.item }
    }
}

impl<P: Place> Place for &P {
    type Value = P::Value;

    #[inline]
    fn reach(&self) -> Reach<'_> {
        (*self).reach()
    }
}

impl<T: Shared> Cell<T> {
    #[cfg(feature = "async")]
    pub(crate) fn source(&self) -> crate::changes::Source {
        crate::changes::Source {
            base: self.spot.base.clone(),
            count_at: self.item.version_at,
            bell_at: self.item.bell_at,
            object: self.spot.object(),
        }
    }

    /// A copy of the value.
    ///
    /// It waits for nobody. Where writers overtake it again and again, it takes the region's lock between two of
    /// them, or, if the region was opened for reading, tries again after a moment.
    #[inline]
    pub fn read(&self) -> T {
        self.reach().read().0
    }

    /// A copy of the value, and its stamp, which grows by one with each change.
    #[inline]
    pub fn read_stamped(&self) -> (T, u64) {
        self.reach().read()
    }

    /// A copy of the value, without ever taking the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`]: writers overtook every attempt.
    pub fn try_read(&self) -> Result<T> {
        let reach: Reach<'_> = self.reach();
        let found = reach.item.try_read(&reach.base.memory, &Typed::<T>::NEW);
        found.map(|(value, _)| value).ok_or_else(|| {
            Error::new(
                "read",
                self.spot.object(),
                ErrorKind::Busy,
                "writers overtook every attempt: try again",
            )
        })
    }

    /// How many times the value was changed.
    pub fn stamp(&self) -> u64 {
        self.item.version(&self.spot.base.memory)
    }

    /// Changes the value: `change` works on a copy, which then replaces it whole.
    ///
    /// If `change` panics, nothing has changed.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::WouldDeadlock`]: called within a change of the same region.
    ///
    /// # Crash
    /// Killed anywhere, the process leaves the old value or the new one.
    #[inline]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.try_update(|value| Ok(change(value)))
    }

    /// As [`Cell::update`], but an error of `change` leaves the value as it was.
    ///
    /// # Errors
    /// Those of [`Cell::update`], and those of `change`.
    #[inline]
    pub fn try_update<R, E: From<Error>>(
        &self,
        change: impl FnOnce(&mut T) -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        self.reach().update(Deadline::Never, change)
    }

    /// As [`Cell::update`], but gives up if others change the region for all of `timeout`.
    ///
    /// # Errors
    /// Those of [`Cell::update`], and [`ErrorKind::TimedOut`], naming who is in the way.
    #[inline]
    pub fn update_timeout<R>(&self, timeout: Duration, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.reach().update(Deadline::after(Some(timeout)), |value| Ok(change(value)))
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// Those of [`Cell::update`].
    #[inline]
    pub fn set(&self, value: T) -> Result<()> {
        self.update(|old| *old = value)
    }

    /// Sleeps while `condition` holds of the value; then the value.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]: it held for all of `timeout`. [`ErrorKind::Removed`]: the region was removed.
    pub fn wait_while(&self, condition: impl FnMut(&T) -> bool, timeout: Option<Duration>) -> Result<T> {
        wait_while(self, condition, timeout, || self.spot.object())
    }
}

impl Reach<'_> {
    #[inline]
    pub(crate) fn read<T: Shared>(&self) -> (T, u64) {
        self.item.read(self.base, &Typed::<T>::NEW)
    }

    #[inline]
    pub(crate) fn update<T: Shared, R, E: From<Error>>(
        &self,
        deadline: Deadline,
        change: impl FnOnce(&mut T) -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        let memory = &self.base.memory;
        let guard = self.base.lock(deadline)?;
        let version = self.item.version(memory);
        let mut value = memory.load(self.item.slot_at(version));
        let result = change(&mut value)?;
        guard.check_process()?;
        let open = memory.open();
        self.item.write_next(memory, version, &value);
        self.base.log().commit_one(Committed::new(self.item, version.wrapping_add(1)));
        drop(open);
        drop(guard);
        self.item.bell(memory).ring_after_store(|| bell::Wake::All);
        Ok(result)
    }
}

/// Sleeps while a condition holds of a place's value.
pub(crate) fn wait_while<P: Place>(
    place: &P,
    mut condition: impl FnMut(&P::Value) -> bool,
    timeout: Option<Duration>,
    object: impl Fn() -> String,
) -> Result<P::Value> {
    let reach = place.reach();
    let deadline = Deadline::after(timeout);
    let late = || {
        let fact = "the value is not yet what was waited for";
        Error::timed_out("wait for", object(), timeout.unwrap_or_default(), fact)
    };
    let read = || reach.item.read_until(reach.base, &Typed::<P::Value>::NEW, deadline).ok_or_else(late);
    loop {
        let (value, _) = read()?;
        if !condition(&value) {
            return Ok(value);
        }
        let left = deadline.left().ok_or_else(late)?;
        if reach.base.memory.is_writable() {
            let bell = reach.item.bell(&reach.base.memory);
            let ticket = bell.prepare_for_stores();
            let (value, _) = read()?;
            if !condition(&value) {
                return Ok(value);
            }
            reach.base.check_open("wait for", &object)?;
            bell.sleep(ticket, left);
        } else {
            reach.base.check_open("wait for", &object)?;
            // Who may only read cannot say that he waits.
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    }
}

impl<T: Shared> Part for Cell<T> {
    type Initial = T;

    fn zero() -> T {
        T::load(&vec![0; size_of::<T>()])
    }

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        let slots = if T::ROOM <= SMALL_BYTES { SLOTS_OF_SMALL } else { SLOTS_OF_LARGE };
        plan.values::<T>(PartKind::Cell, name, doc, 1, slots);
    }

    fn open(site: &mut Site) -> Self {
        let spot = site.next();
        let item = spot.item(0).expect("the schema was compared: a cell is here");
        Cell { spot, item, of: PhantomData }
    }

    fn fill(&self, initial: T) {
        self.spot.base.memory.store(self.item.slot_at(0), &initial);
    }
}
