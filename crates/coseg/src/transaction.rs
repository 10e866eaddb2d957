//! Several values that change together, or not at all.

use crate::base::{Base, RegionGuard};
use crate::bell::Wake;
use crate::cell::Place;
use crate::layout::Item;
use crate::log::Entry;
use crate::{Error, ErrorKind, Result};

/// Changes to cells and rows of one region that nobody sees before all of them are done, and of which nothing
/// remains if they are not.
///
/// Made by [`Region::transaction`](crate::Region::transaction).
#[derive(Debug)]
pub struct Transaction<'a> {
    guard: RegionGuard<'a>,
    set: SetItems,
}

/// Most transactions set a few values: so many are remembered without allocating.
const FEW: usize = 4;

/// The values that were set, each once, and the versions they are to have.
#[derive(Debug)]
struct SetItems {
    count: usize,
    few: [(Item, u64); FEW],
    more: Vec<(Item, u64)>,
}

impl SetItems {
    #[inline]
    fn iter(&self) -> impl Iterator<Item = &(Item, u64)> {
        self.few[..self.count.min(FEW)].iter().chain(&self.more)
    }

    #[inline]
    fn push(&mut self, item: Item, version: u64) {
        match self.few.get_mut(self.count) {
            Some(place) => *place = (item, version),
            None => self.more.push((item, version)),
        }
        self.count += 1;
    }
}

impl<'a> Transaction<'a> {
    #[inline]
    pub(crate) fn new(guard: RegionGuard<'a>) -> Transaction<'a> {
        let set = SetItems { count: 0, few: [(Item::NONE, 0); FEW], more: Vec::new() };
        Transaction { guard, set }
    }

    #[inline]
    fn base(&self) -> &'a Base {
        self.guard.base
    }

    /// The version of a value that this transaction has set already.
    #[inline]
    fn own_version(&self, number: u64) -> Option<u64> {
        self.set.iter().find(|(item, _)| item.number == number).map(|(_, version)| *version)
    }

    #[inline]
    fn check_region(&self, base: &Base) {
        assert!(
            std::ptr::eq(self.base(), base),
            "a transaction changes one region; this value belongs to another"
        );
    }

    /// A copy of a value, as this transaction has left it.
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline]
    pub fn get<P: Place>(&self, place: &P) -> P::Value {
        let reach = place.reach();
        self.check_region(reach.base);
        let memory = &reach.base.memory;
        let version = self.own_version(reach.item.number).unwrap_or_else(|| reach.item.version(memory));
        memory.load(reach.item.slot_at(version))
    }

    /// Replaces a value, once the transaction commits.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`]: the log has no room for one more.
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline]
    pub fn set<P: Place>(&mut self, place: &P, value: P::Value) -> Result<()> {
        let reach = place.reach();
        self.check_region(reach.base);
        let memory = &reach.base.memory;
        let version = reach.item.version(memory);
        let is_new = self.own_version(reach.item.number).is_none();
        let log = self.base().log();
        if is_new && self.set.count == log.count {
            return Err(self.too_many(log.count));
        }
        reach.item.write_next(memory, version, &value);
        if is_new {
            let version = version.wrapping_add(1);
            log.write_entry(self.set.count, Entry { number: reach.item.number, version });
            self.set.push(reach.item, version);
        }
        Ok(())
    }

    #[cold]
    fn too_many(&self, room: usize) -> Error {
        let fact = format!("a transaction of this region can set {room} values: commit in between");
        Error::new("set a value in", self.base().object(), ErrorKind::TooMany, fact)
    }

    /// Changes a copy of a value, and sets it.
    ///
    /// # Errors
    /// Those of [`Transaction::set`].
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline]
    pub fn update<P: Place, R>(&mut self, place: &P, change: impl FnOnce(&mut P::Value) -> R) -> Result<R> {
        let mut value = self.get(place);
        let result = change(&mut value);
        self.set(place, value)?;
        Ok(result)
    }

    /// Makes the changes seen. Dropped before, a transaction leaves nothing.
    #[inline]
    pub(crate) fn commit(self) {
        let base = self.base();
        match self.set.count {
            0 => return,
            1 => {
                let (item, version) = self.set.few[0];
                base.log().commit_one(item, version);
            }
            count => base.log().commit(count, self.set.iter().copied()),
        }
        for (item, _) in self.set.iter() {
            item.bell(&base.memory).ring_after_store(|| Wake::All);
        }
    }
}
