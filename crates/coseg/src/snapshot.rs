//! Several values read as they were at one moment, without a lock.

use std::cell::{Cell, RefCell};

use crate::base::Base;
use crate::cell::Place;
use crate::item::{Copied, Typed};
use crate::layout::Item;
use crate::log::{Entry, Log, State};
use crate::sync::{Ordering, fence};
use crate::{Error, ErrorKind, Result};

/// A number of commits, and what of the last one is not yet applied.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    log: Log<'a>,
    state: State,
    overlay: Vec<Entry>,
    /// What was read so far: read again, it must be the same.
    seen: RefCell<Vec<Entry>>,
}

impl<'a> Moment<'a> {
    /// Now; `None` if a commit was just being applied.
    pub(crate) fn now(log: Log<'a>) -> Option<Moment<'a>> {
        let state = log.state();
        let pending = usize::try_from(state.pending()).unwrap_or(usize::MAX).min(log.count);
        let overlay: Vec<Entry> = (0..pending).map(|index| log.entry(index)).collect();
        fence(Ordering::Acquire);
        // Entries are written anew only after the state was cleared.
        let stable = pending == 0 || log.state() == state;
        stable.then(|| Moment { log, state, overlay, seen: RefCell::default() })
    }

    /// A copy of a value as it was then; `None` if something was committed since.
    pub(crate) fn copy<C: Copied>(&self, item: Item, how: &C) -> Option<C::Value> {
        let known =
            |list: &[Entry]| list.iter().find(|entry| entry.number == item.number).map(|entry| entry.version);
        let version = known(&self.overlay).unwrap_or_else(|| item.version(self.log.memory));
        let before = known(&self.seen.borrow());
        let value = item.copy(self.log.memory, version, how)?;
        if self.log.state().commits() != self.state.commits()
            || before.is_some_and(|before| before != version)
        {
            return None;
        }
        if before.is_none() {
            self.seen.borrow_mut().push(Entry { number: item.number, version });
        }
        Some(value)
    }
}

/// Copies of cells and rows of one region as they all were at one moment: each transaction is seen wholly or not
/// at all, also one whose writer has died or stopped between committing and applying.
///
/// Made by [`Region::snapshot`](crate::Region::snapshot).
#[derive(Debug)]
pub struct Snapshot<'a> {
    base: &'a Base,
    moment: Moment<'a>,
    moved: Cell<bool>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn begin(base: &'a Base) -> Option<Snapshot<'a>> {
        Moment::now(base.log()).map(|moment| Snapshot { base, moment, moved: Cell::new(false) })
    }

    /// Whether something was committed since it began.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.get()
    }

    /// A copy of a value, as it was when the snapshot began.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`]: something was committed since; hand the error on, and the whole is tried again.
    ///
    /// # Panics
    /// If the place belongs to another region.
    pub fn get<P: Place>(&self, place: &P) -> Result<P::Value> {
        let reach = place.reach();
        assert!(
            std::ptr::eq(self.base, reach.base),
            "a snapshot is of one region; this value belongs to another"
        );
        self.moment.copy(*reach.item, &Typed::<P::Value>::NEW).ok_or_else(|| {
            self.moved.set(true);
            let fact = "something was committed while it was read: hand this error on";
            Error::new("take a snapshot of", self.base.object(), ErrorKind::Busy, fact)
        })
    }
}
