//! Several values read as they were at one moment, without a lock.

use std::cell::{Cell, RefCell};

use crate::base::Base;
use crate::cell::Place;
use crate::item::Typed;
use crate::log::{Entry, State};
use crate::{Error, ErrorKind, Result};

/// Copies of cells and rows of one region as they all were at one moment: each transaction is seen wholly or not
/// at all, also one whose writer has died or stopped between committing and applying.
///
/// Made by [`Region::snapshot`](crate::Region::snapshot).
#[derive(Debug)]
pub struct Snapshot<'a> {
    base: &'a Base,
    state: State,
    /// What is committed and not yet applied.
    overlay: Vec<Entry>,
    seen: RefCell<Vec<Entry>>,
    moved: Cell<bool>,
}

impl<'a> Snapshot<'a> {
    /// Begins at this moment; `None` if a commit was just being made.
    pub(crate) fn begin(base: &'a Base) -> Option<Snapshot<'a>> {
        let log = base.log();
        let state = log.state();
        let pending = usize::try_from(state.pending()).unwrap_or(usize::MAX).min(log.count);
        let overlay: Vec<Entry> = (0..pending).map(|index| log.entry(index)).collect();
        crate::sync::fence(crate::sync::Ordering::Acquire);
        // Entries are written anew only after the state was cleared.
        (pending == 0 || log.state() == state).then(|| Snapshot {
            base,
            state,
            overlay,
            seen: RefCell::default(),
            moved: Cell::new(false),
        })
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
        let (memory, number) = (&self.base.memory, reach.item.number);
        let known =
            |list: &[Entry]| list.iter().find(|entry| entry.number == number).map(|entry| entry.version);
        let committed = known(&self.overlay);
        let version = committed.unwrap_or_else(|| reach.item.version(memory));
        let before = known(&self.seen.borrow());
        let value = reach.item.copy(memory, version, &Typed::<P::Value>::NEW);
        let unmoved = self.base.log().state().commits() == self.state.commits()
            && before.is_none_or(|before| before == version);
        match value {
            Some(value) if unmoved => {
                if before.is_none() {
                    self.seen.borrow_mut().push(Entry { number, version });
                }
                Ok(value)
            }
            _ => {
                self.moved.set(true);
                let fact = "something was committed while it was read: hand this error on";
                Err(Error::new("take a snapshot of", self.base.object(), ErrorKind::Busy, fact))
            }
        }
    }
}
