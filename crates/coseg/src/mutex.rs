//! A lock of one's own, for what lies outside the region.

use std::marker::PhantomData;
use std::time::Duration;

use crate::Result;
use crate::base::{Acquired, Base, Party};
use crate::lock::{Deadline, LockWords};
use crate::part::{Part, Plan, Site, Spot};
use crate::participants::Owner;
use crate::schema::PartKind;

/// An exclusive lock between processes and threads. A region's own values need none: this one is for what lies
/// outside, a device or a file.
///
/// # Crash
/// The next to take it is told who died holding it.
#[derive(Debug)]
pub struct Lock {
    spot: Spot,
    at: usize,
    number: usize,
}

/// A lock that is held, until dropped.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct LockGuard<'a> {
    lock: &'a Lock,
    me: Owner,
    acquired: Acquired,
    /// Which thread holds it is known to that thread.
    stays: PhantomData<*const ()>,
}

impl Lock {
    #[inline(always)]
    fn words(&self) -> LockWords<'_> {
        LockWords::new(&self.spot.base.memory, self.at)
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// [`ErrorKind::WouldDeadlock`](crate::ErrorKind::WouldDeadlock): the thread would have to wait, and holds it
    /// itself, or one that comes after it. [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    #[inline(always)]
    pub fn lock(&self) -> Result<LockGuard<'_>> {
        self.lock_until(Deadline::Never)
    }

    /// Takes the lock, or gives up after `timeout`.
    ///
    /// # Errors
    /// Those of [`Lock::lock`], and [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), naming the holder.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<LockGuard<'_>> {
        self.lock_until(Deadline::after(Some(timeout)))
    }

    /// Takes the lock if nobody living has it.
    ///
    /// # Errors
    /// Those of [`Lock::lock`].
    pub fn try_lock(&self) -> Result<Option<LockGuard<'_>>> {
        let (base, words) = (self.spot.base(), self.words());
        let me = base.me()?;
        let company = Party { base, me, lock: self.number };
        if words.try_take_turn(me, &company) {
            return Ok(Some(self.guard(me, Acquired::Clean)));
        }
        let owner = words.owner();
        if owner != Owner::NOBODY && base.is_dead(owner) && words.try_inherit(me, owner) {
            let recovery = base.recover(self.number, owner);
            return Ok(Some(self.guard(me, Acquired::Recovered(Box::new(recovery)))));
        }
        Ok(None)
    }

    #[inline(always)]
    fn lock_until(&self, deadline: Deadline) -> Result<LockGuard<'_>> {
        let base = self.spot.base();
        let me = base.me()?;
        if self.words().try_take(me) {
            return Ok(self.guard(me, Acquired::Clean));
        }
        let acquired = base.take_checked(self.number, self.at, me, deadline)?;
        Ok(self.guard(me, acquired))
    }

    #[inline(always)]
    fn guard(&self, me: Owner, acquired: Acquired) -> LockGuard<'_> {
        self.spot.base.set_holder(self.number, true);
        LockGuard { lock: self, me, acquired, stays: PhantomData }
    }
}

impl LockGuard<'_> {
    /// Whether its last owner died holding it.
    pub fn acquired(&self) -> &Acquired {
        &self.acquired
    }
}

impl Drop for LockGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let base: &Base = self.lock.spot.base();
        // A child that was forked in here holds nothing.
        if base.is_current(self.me) {
            base.set_holder(self.lock.number, false);
            self.lock.words().give_back();
        }
    }
}

impl Part for Lock {
    type Initial = ();

    fn zero() {}

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        plan.plain(PartKind::Lock, name, doc);
    }

    fn open(site: &mut Site) -> Self {
        let spot = site.next();
        let (at, number) = (spot.offset(), spot.base.layout.lock_number(spot.part));
        Lock { spot, at, number }
    }

    fn fill(&self, (): ()) {}
}
