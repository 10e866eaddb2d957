//! A lock with many readers or one writer.
//!
//! Each participant counts its reads in a word of its own, in a line of its own, so that readers do not slow each
//! other down. A writer takes the exclusive lock, which keeps new readers out, and then waits for the words of
//! the living to become zero; a dead reader's word is made so.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 24 | the exclusive lock |
//! | 32 | 4 | bell of the writer who waits for readers |
//! | 64 + 64 × slot | 4 | reads of the participant in that slot |

use std::marker::PhantomData;
use std::time::Duration;

use crate::Result;
use crate::base::{Acquired, Base};
use crate::bell::{Bell, Wake};
use crate::identity::Identity;
use crate::layout::{LINE, LOCK_SIZE};
use crate::lock::{Deadline, LockWords};
use crate::memory::Memory;
use crate::part::{Part, Plan, Site, Spot};
use crate::participants::Owner;
use crate::schema::PartKind;
use crate::sync::{AtomicU32, Ordering, fence};
use crate::{Error, ErrorKind};

const DRAINED: usize = 32;

/// A lock with many readers or one writer, for what lies outside the region.
///
/// # Crash
/// A dead reader keeps no writer out. The next after a dead writer is told who it was.
#[derive(Debug)]
pub struct RwLock {
    spot: Spot,
    at: usize,
    number: usize,
}

/// The right to read, until dropped.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct ReadGuard<'a> {
    lock: &'a RwLock,
    me: Owner,
    acquired: Acquired,
}

/// The right to write, until dropped.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct WriteGuard<'a> {
    lock: &'a RwLock,
    me: Owner,
    acquired: Acquired,
    /// Which thread holds it is known to that thread.
    stays: PhantomData<*const ()>,
}

/// Forgets the reads of a slot's earlier holder.
pub(crate) fn reset_reader(memory: &Memory, lock_at: usize, slot: usize) {
    reads(memory, lock_at, slot).swap(0, Ordering::SeqCst);
    Bell(memory.half(lock_at + DRAINED)).ring(Wake::All);
}

/// Whether a slot's participant reads.
pub(crate) fn is_reading(memory: &Memory, lock_at: usize, slot: usize) -> bool {
    reads(memory, lock_at, slot).load(Ordering::Relaxed) != 0
}

#[inline]
fn reads(memory: &Memory, lock_at: usize, slot: usize) -> &AtomicU32 {
    memory.half(lock_at + LOCK_SIZE + slot * LINE)
}

impl RwLock {
    #[inline(always)]
    fn words(&self) -> LockWords<'_> {
        LockWords::new(&self.spot.base.memory, self.at)
    }

    #[inline]
    fn drained(&self) -> Bell<'_> {
        Bell(self.spot.base.memory.half(self.at + DRAINED))
    }

    #[inline]
    fn reads(&self, slot: usize) -> &AtomicU32 {
        reads(&self.spot.base.memory, self.at, slot)
    }

    #[inline(always)]
    fn reads_of(&self, me: Owner) -> &AtomicU32 {
        let count = self.spot.base.layout.participant_count;
        self.reads(me.slot(count).expect("our own slot is one of the region's"))
    }

    /// Takes the lock for reading.
    ///
    /// Who reads is known by process, not by thread. So a thread that has it for reading and asks for writing waits
    /// for itself, and so does one that asks for reading again while somebody waits to write; nor is a circle seen
    /// in which one of the locks is held for reading.
    ///
    /// # Errors
    /// As [`Lock::lock`](crate::Lock::lock).
    #[inline(always)]
    pub fn read(&self) -> Result<ReadGuard<'_>> {
        self.read_until(Deadline::Never)
    }

    /// Takes the lock for reading, or gives up after `timeout`.
    ///
    /// # Errors
    /// As [`Lock::lock_timeout`](crate::Lock::lock_timeout).
    pub fn read_timeout(&self, timeout: Duration) -> Result<ReadGuard<'_>> {
        self.read_until(Deadline::after(Some(timeout)))
    }

    /// Takes the lock for writing.
    ///
    /// # Errors
    /// As [`Lock::lock`](crate::Lock::lock).
    pub fn write(&self) -> Result<WriteGuard<'_>> {
        self.write_until(Deadline::Never)
    }

    /// Takes the lock for writing, or gives up after `timeout`.
    ///
    /// # Errors
    /// As [`Lock::lock_timeout`](crate::Lock::lock_timeout).
    pub fn write_timeout(&self, timeout: Duration) -> Result<WriteGuard<'_>> {
        self.write_until(Deadline::after(Some(timeout)))
    }

    #[inline(always)]
    fn read_until(&self, deadline: Deadline) -> Result<ReadGuard<'_>> {
        let me = self.spot.base().me()?;
        // Counted first, looked for a writer then: he does it the other way round, so one sees the other.
        self.reads_of(me).fetch_add(1, Ordering::SeqCst);
        if self.words().owner_in_order() == Owner::NOBODY {
            return Ok(ReadGuard { lock: self, me, acquired: Acquired::Clean });
        }
        self.read_among_writers(me, deadline)
    }

    #[cold]
    fn read_among_writers(&self, me: Owner, deadline: Deadline) -> Result<ReadGuard<'_>> {
        let base = self.spot.base();
        self.stop_reading(me);
        // A reader waits as writers do, so that it comes to its turn among them.
        let acquired = base.take_checked(self.number, self.at, me, deadline)?;
        self.reads_of(me).fetch_add(1, Ordering::SeqCst);
        self.words().give_back();
        Ok(ReadGuard { lock: self, me, acquired })
    }

    #[inline(always)]
    fn stop_reading(&self, me: Owner) {
        self.reads_of(me).fetch_sub(1, Ordering::SeqCst);
        self.drained().ring(Wake::All);
    }

    fn write_until(&self, deadline: Deadline) -> Result<WriteGuard<'_>> {
        let base = self.spot.base();
        let me = base.me()?;
        let acquired = base.take_checked(self.number, self.at, me, deadline)?;
        // The lock was taken by a compare-and-exchange that a reader's count is not ordered after.
        fence(Ordering::SeqCst);
        base.set_holder(self.number, true);
        let guard = WriteGuard { lock: self, me, acquired, stays: PhantomData };
        for slot in 0..base.participants().used_count() {
            self.wait_for_reader(slot, deadline)?;
        }
        Ok(guard)
    }

    /// Waits until a slot's participant reads no more, or is found dead.
    fn wait_for_reader(&self, slot: usize, deadline: Deadline) -> Result<()> {
        let base: &Base = self.spot.base();
        while self.reads(slot).load(Ordering::SeqCst) != 0 {
            let participants = base.participants();
            let holder = participants.identity(slot);
            if holder == Identity::NOBODY || base.is_dead(participants.owner(slot)) {
                // Left as it is: a new holder of the slot clears it, and may be counting already.
                break;
            }
            let Some(left) = deadline.left() else {
                let reader = base.participant(slot).map_or("nobody known".to_owned(), |who| who.to_string());
                let fact = format!("the deadline passed while {reader} was reading");
                return Err(Error::new("lock", self.spot.object(), ErrorKind::TimedOut, fact));
            };
            let ticket = self.drained().prepare();
            if self.reads(slot).load(Ordering::SeqCst) != 0 {
                self.drained().sleep(ticket, left);
            }
        }
        Ok(())
    }
}

impl ReadGuard<'_> {
    /// Whether a writer died holding the lock.
    pub fn acquired(&self) -> &Acquired {
        &self.acquired
    }
}

impl WriteGuard<'_> {
    /// Whether the last writer died holding the lock.
    pub fn acquired(&self) -> &Acquired {
        &self.acquired
    }
}

impl Drop for ReadGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // A child that was forked in here reads nothing.
        if self.lock.spot.base().is_current(self.me) {
            self.lock.stop_reading(self.me);
        }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        if self.lock.spot.base().is_current(self.me) {
            self.lock.spot.base().set_holder(self.lock.number, false);
            self.lock.words().give_back();
        }
    }
}

impl Part for RwLock {
    type Initial = ();

    fn zero() {}

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        plan.plain(PartKind::RwLock, name, doc);
    }

    fn open(site: &mut Site) -> Self {
        let spot = site.next();
        let (at, number) = (spot.offset(), spot.base.layout.lock_number(spot.part));
        RwLock { spot, at, number }
    }

    fn fill(&self, (): ()) {}
}
