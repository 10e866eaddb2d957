//! Many values of one type, each read and replaced by itself.

use std::marker::PhantomData;
use std::time::Duration;

use crate::cell::{Place, Reach, wait_while};
use crate::item::Typed;
use crate::layout::Item;
use crate::lock::Deadline;
use crate::part::{Part, Plan, Site, Spot};
use crate::schema::PartKind;
use crate::{Error, ErrorKind, Result, Shared};

/// Versions a row keeps.
const SLOTS: usize = 2;

/// `N` rows of a type, all there from the start.
///
/// # Crash
/// As for [`Cell`](crate::Cell), row by row.
#[derive(Debug)]
pub struct Table<T, const N: usize> {
    spot: Spot,
    of: PhantomData<fn() -> T>,
}

/// A row of a [`Table`].
#[derive(Debug)]
pub struct Row<'a, T> {
    spot: &'a Spot,
    index: usize,
    item: Item,
    of: PhantomData<fn() -> T>,
}

/// What a table starts as: rows from the first on; the rest are zero.
#[derive(Clone, Debug, Default)]
pub struct Rows<T>(pub Vec<T>);

impl<T, const N: usize> From<[T; N]> for Rows<T> {
    fn from(rows: [T; N]) -> Self {
        Rows(rows.into())
    }
}

impl<T: Shared, const N: usize> Table<T, N> {
    /// How many rows there are.
    pub const fn row_count(&self) -> usize {
        N
    }

    /// A row.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchRow`]: the index is not below `N`.
    #[inline]
    pub fn row(&self, index: usize) -> Result<Row<'_, T>> {
        match self.spot.item(index) {
            Some(item) => Ok(Row { spot: &self.spot, index, item, of: PhantomData }),
            None => Err(self.no_such_row(index)),
        }
    }

    #[cold]
    fn no_such_row(&self, index: usize) -> Error {
        let fact = format!("there is no row {index}: the table has {N}, counted from 0");
        Error::new("find row of", self.spot.object(), ErrorKind::NoSuchRow, fact)
    }

    /// All rows, one after the other; each a copy made when the iterator comes to it.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_, T>> {
        (0..N).filter_map(|index| self.row(index).ok())
    }

    /// A copy of a row.
    ///
    /// # Errors
    /// Those of [`Table::row`].
    pub fn read(&self, index: usize) -> Result<T> {
        Ok(self.row(index)?.read())
    }

    /// Changes a row as [`Cell::update`](crate::Cell::update) does.
    ///
    /// # Errors
    /// Those of [`Table::row`] and of [`Cell::update`](crate::Cell::update).
    pub fn update<R>(&self, index: usize, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.row(index)?.update(change)
    }
}

impl<T: Shared> Row<'_, T> {
    /// Which row it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// A copy of the row; see [`Cell::read`](crate::Cell::read).
    pub fn read(&self) -> T {
        self.item.read(&self.spot.base, &Typed::<T>::NEW).0
    }

    /// How many times the row was changed.
    pub fn stamp(&self) -> u64 {
        self.item.version(&self.spot.base.memory)
    }

    /// Changes the row; see [`Cell::update`](crate::Cell::update).
    ///
    /// # Errors
    /// Those of [`Cell::update`](crate::Cell::update).
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.reach().update(Deadline::Never, |value| Ok(change(value)))
    }

    /// Changes the row, or gives up; see [`Cell::update_timeout`](crate::Cell::update_timeout).
    ///
    /// # Errors
    /// Those of [`Cell::update_timeout`](crate::Cell::update_timeout).
    pub fn update_timeout<R>(&self, timeout: Duration, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.reach().update(Deadline::after(Some(timeout)), |value| Ok(change(value)))
    }

    /// Replaces the row.
    ///
    /// # Errors
    /// Those of [`Cell::update`](crate::Cell::update).
    pub fn set(&self, value: T) -> Result<()> {
        self.update(|old| *old = value)
    }

    /// Sleeps while `condition` holds of the row; then the row.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]: it held for all of `timeout`. [`ErrorKind::Removed`]: the region was removed.
    pub fn wait_while(&self, condition: impl FnMut(&T) -> bool, timeout: Option<Duration>) -> Result<T> {
        wait_while(self, condition, timeout, || format!("row {} of {}", self.index, self.spot.object()))
    }
}

impl<T: Shared> Place for Row<'_, T> {
    type Value = T;

    #[inline]
    fn reach(&self) -> Reach<'_> {
        Reach { base: self.spot.base(), item: &self.item }
    }
}

impl<T: Shared, const N: usize> Part for Table<T, N> {
    type Initial = Rows<T>;

    fn zero() -> Rows<T> {
        Rows(Vec::new())
    }

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        plan.values::<T>(PartKind::Table, name, doc, N, SLOTS);
    }

    fn open(site: &mut Site) -> Self {
        Table { spot: site.next(), of: PhantomData }
    }

    fn fill(&self, initial: Rows<T>) {
        assert!(initial.0.len() <= N, "a table of {N} rows cannot start with {}", initial.0.len());
        for (index, value) in initial.0.iter().enumerate() {
            if let Some(item) = self.spot.item(index) {
                self.spot.base.memory.store(item.slot_at(0), value);
            }
        }
    }
}
