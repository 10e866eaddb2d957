//! Several values read as they were at one moment, without a lock.

use std::cell::{Cell, RefCell};

use crate::base::Base;
use crate::cell::Place;
use crate::few::Few;
use crate::item::{Copied, Typed};
use crate::layout::{IN_TRANSIT, Item};
use crate::log::{Committed, Entry, Log, State};
use crate::sync::{Ordering, fence};
use crate::{Error, ErrorKind, Result};

/// A number of commits, and what of the last one is not yet applied.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    log: Log<'a>,
    state: State,
    overlay: Vec<Entry>,
    /// What was read so far: read again, it must be the same.
    seen: RefCell<Few<Entry>>,
}

#[cold]
fn overlay(log: &Log<'_>, pending: usize) -> Vec<Entry> {
    (0..pending).map(|index| log.entry(index)).collect()
}

impl<'a> Moment<'a> {
    /// Now; `None` if a commit was just being applied.
    #[inline(always)]
    pub(crate) fn now(log: Log<'a>) -> Option<Moment<'a>> {
        let state = log.state();
        let pending = usize::try_from(state.pending()).unwrap_or(usize::MAX).min(log.count);
        let overlay = if pending == 0 { Vec::new() } else { overlay(&log, pending) };
        fence(Ordering::Acquire);
        // Entries are written anew only after the state was cleared.
        let stable = pending == 0 || log.state() == state;
        stable.then(|| Moment { log, state, overlay, seen: RefCell::new(Few::new(Entry::NOTHING)) })
    }

    /// A copy of a value as it was then; `None` if something was committed since.
    #[inline(always)]
    pub(crate) fn copy<C: Copied>(&self, item: Item, how: &C) -> Option<C::Value> {
        let version = self.version(&item);
        self.log.memory.let_read();
        let value = how.copy(self.log.memory, item.slot_at(version));
        self.is_whole(&item, version).then_some(value)
    }

    /// The version that a value had then.
    #[inline(always)]
    pub(crate) fn version(&self, item: &Item) -> u64 {
        version_in(self.overlay.iter(), item.number).unwrap_or_else(|| item.version(self.log.memory))
    }

    /// Whether what was read of that version since is the value as it was then. If so, it is the one that was read
    /// before, too.
    #[inline(always)]
    pub(crate) fn is_whole(&self, item: &Item, version: u64) -> bool {
        let whole = version & !IN_TRANSIT;
        let before = version_in(self.seen.borrow().iter(), item.number);
        if !item.is_whole(self.log.memory, version)
            || self.log.state().commits() != self.state.commits()
            || before.is_some_and(|before| before != whole)
        {
            return false;
        }
        if before.is_none() {
            self.seen.borrow_mut().push(Entry { number: item.number, version: whole });
        }
        true
    }

    /// A word of a map's index, as it was then if [`Moment::is_now`] says so afterwards.
    pub(crate) fn word(&self, at: usize) -> u64 {
        let number = Committed::number_of_word(at);
        version_in(self.overlay.iter(), number)
            .unwrap_or_else(|| self.log.memory.word(at).load(Ordering::Acquire))
    }

    /// Whether nothing was committed since.
    pub(crate) fn is_now(&self) -> bool {
        fence(Ordering::Acquire);
        self.log.state().commits() == self.state.commits()
    }
}

/// What a list has for the number of a value or a word.
#[inline(always)]
fn version_in<'e>(mut list: impl Iterator<Item = &'e Entry>, number: u64) -> Option<u64> {
    list.find(|entry| entry.number == number).map(|entry| entry.version)
}

/// Copies of cells and rows of one region as they all were at one moment: each transaction is seen wholly or not
/// at all, also one whose writer has died or stopped between committing and applying. What a snapshot has shown, every
/// later read shows too; only where the region was opened for reading may a read still find the value before such
/// a transaction.
///
/// Made by [`Region::snapshot`](crate::Region::snapshot).
#[derive(Debug)]
pub struct Snapshot<'a> {
    pub(crate) base: &'a Base,
    pub(crate) moment: Moment<'a>,
    moved: Cell<bool>,
}

impl<'a> Snapshot<'a> {
    #[inline(always)]
    pub(crate) fn begin(base: &'a Base) -> Option<Snapshot<'a>> {
        let log = base.log();
        if log.state().pending() > 0 && base.memory.is_writable() {
            log.help(&base.layout);
        }
        Moment::now(log).map(|moment| Snapshot { base, moment, moved: Cell::new(false) })
    }

    /// Whether something was committed since it began.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.get()
    }

    #[cold]
    pub(crate) fn overtaken(&self) -> Error {
        self.moved.set(true);
        let fact = "something was committed while it was read: hand this error on";
        Error::new("take a snapshot of", self.base.object(), ErrorKind::Busy, fact)
    }

    /// A copy of a value, as it was when the snapshot began.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`]: something was committed since, or what was committed just before is still on its way to its
    /// place; hand the error on, and the whole is tried again.
    ///
    /// # Panics
    /// If the place belongs to another region.
    #[inline(always)]
    pub fn get<P: Place>(&self, place: &P) -> Result<P::Value> {
        let reach = place.reach();
        assert!(
            std::ptr::eq(self.base, reach.base),
            "a snapshot is of one region; this value belongs to another"
        );
        self.moment.copy(*reach.item, &Typed::<P::Value>::NEW).ok_or_else(|| self.overtaken())
    }
}
