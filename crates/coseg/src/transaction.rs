//! Several values that change together, or not at all.

use crate::base::{Base, RegionGuard};
use crate::bell::Wake;
use crate::cell::Place;
use crate::channel::queue::Slot;
use crate::channel::{self, Message, Queue, Receiver};
use crate::few::Few;
use crate::layout::Item;
use crate::log::Committed;
use crate::sync::{Ordering, fence};
use crate::{Error, ErrorKind, Result, Shared};

/// Changes to cells and rows of one region that nobody sees before all of them are done, and of which nothing
/// remains if they are not.
///
/// Made by [`Region::transaction`](crate::Region::transaction).
#[derive(Debug)]
pub struct Transaction<'a> {
    pub(crate) guard: RegionGuard<'a>,
    pub(crate) set: Few<Committed>,
    is_committed: bool,
}

/// A value as a transaction finds it.
struct Found<'p> {
    item: &'p Item,
    /// The version that others read.
    committed: u64,
    /// The version that this transaction reads: its own, if it has set one.
    current: u64,
    is_new: bool,
}

impl<'a> Transaction<'a> {
    #[inline(always)]
    pub(crate) fn new(guard: RegionGuard<'a>) -> Transaction<'a> {
        let set = Few::new(Committed::NOTHING);
        Transaction { guard, set, is_committed: false }
    }

    #[inline(always)]
    fn base(&self) -> &'a Base {
        self.guard.base
    }

    /// A copy of a value, as this transaction has left it.
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline(always)]
    pub fn get<P: Place>(&self, place: &P) -> P::Value {
        let found = self.find(place);
        self.base().memory.load(found.item.slot_at(found.current))
    }

    /// Replaces a value, once the transaction commits.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`]: the log has no room for one more.
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline(always)]
    pub fn set<P: Place>(&mut self, place: &P, value: P::Value) -> Result<()> {
        let found = self.find(place);
        self.put(found, &value)
    }

    /// Changes a copy of a value, and sets it.
    ///
    /// # Errors
    /// Those of [`Transaction::set`].
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline(always)]
    pub fn update<P: Place, R>(&mut self, place: &P, change: impl FnOnce(&mut P::Value) -> R) -> Result<R> {
        let found = self.find(place);
        let mut value = self.base().memory.load(found.item.slot_at(found.current));
        let result = change(&mut value);
        self.put(found, &value)?;
        Ok(result)
    }

    /// Receives the next message of a queue, if there is one, once the transaction commits: then it is done, with all
    /// that the transaction changes. Otherwise it is given to another receiver.
    ///
    /// It does not wait, for others wait for the region's lock: [`Receiver::wait`] outside does.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`]: the log has no room for one more.
    ///
    /// # Panics
    /// If the receiver belongs to another region.
    pub fn receive<M: Message, const N: usize>(
        &mut self,
        receiver: &mut Receiver<M, Queue<N>>,
    ) -> Result<Option<M::Received>> {
        self.guard.check_process()?;
        let lane = &receiver.lane;
        assert!(
            std::ptr::eq(self.base(), lane.base()),
            "a transaction receives from one region; this queue belongs to another"
        );
        let log = self.base().log();
        if self.set.len() == log.count {
            return Err(self.too_many(log.count));
        }
        let Some((slot, message)) = receiver.take_for_transaction() else { return Ok(None) };
        let set = Committed::message(slot.at, slot.state.0, receiver.lane.geometry.senders_bell_at());
        // Who sees the entry sees also that the state was cleared since the last.
        fence(Ordering::Release);
        log.write_entry(self.set.len(), set.entry());
        self.set.push(set);
        Ok(Some(message))
    }

    #[inline(always)]
    fn find<'p, P: Place>(&self, place: &'p P) -> Found<'p> {
        let reach = place.reach();
        assert!(
            std::ptr::eq(self.base(), reach.base),
            "a transaction changes one region; this value belongs to another"
        );
        let item = reach.item;
        let committed = item.version(&self.base().memory);
        match self.set.iter().find(|set| set.number == item.number) {
            None => Found { item, committed, current: committed, is_new: true },
            Some(set) => Found { item, committed, current: set.version, is_new: false },
        }
    }

    #[inline(always)]
    fn put<T: Shared>(&mut self, found: Found<'_>, value: &T) -> Result<()> {
        self.guard.check_process()?;
        let log = self.base().log();
        if found.is_new && self.set.len() == log.count {
            return Err(self.too_many(log.count));
        }
        let memory = &self.base().memory;
        let open = memory.open();
        found.item.write_next(memory, found.committed, value);
        drop(open);
        if found.is_new {
            let set = Committed::new(found.item, found.committed.wrapping_add(1));
            log.write_entry(self.set.len(), set.entry());
            self.set.push(set);
        }
        Ok(())
    }

    #[cold]
    fn too_many(&self, room: usize) -> Error {
        let fact = format!("a transaction of this region can set {room} values: commit in between");
        Error::new("set a value in", self.base().object(), ErrorKind::TooMany, fact)
    }

    /// Makes the changes seen. Dropped before, a transaction leaves nothing.
    #[inline(always)]
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.guard.check_process()?;
        let base = self.base();
        let open = base.memory.open();
        match (self.set.len(), self.set.iter().next()) {
            (_, None) => return Ok(()),
            (1, Some(&only)) => base.log().commit_one(only),
            (count, _) => base.log().commit(count, self.set.iter().copied()),
        }
        drop(open);
        self.is_committed = true;
        for set in self.set.iter() {
            let bell = set.bell(&base.memory);
            if set.as_message().is_some() {
                bell.ring_for_frequent();
            } else {
                bell.ring_after_store(|| Wake::All);
            }
        }
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.is_committed {
            self.give_back_messages();
        }
    }
}

impl Transaction<'_> {
    #[cold]
    fn give_back_messages(&self) {
        if self.guard.check_process().is_err() {
            return;
        }
        let base = self.base();
        for (at, held) in self.set.iter().filter_map(Committed::as_message) {
            if let Some(geometry) = base.layout.queue_of_slot(at) {
                Slot::held(at, held).give_back(&base.memory, &geometry);
                channel::ring_all(&base.memory, geometry.at);
            }
        }
    }
}
