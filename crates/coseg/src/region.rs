//! A region: a segment with a schema and contents.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use coseg_sysv::Segment;

use crate::base::{Recovery, Shelf};
use crate::lock::Deadline;
use crate::open::RegionOptions;
use crate::part::{Contents, Site};
use crate::schema::Schema;
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;
use crate::{Error, ErrorKind, Participant, Result};

/// Snapshots that are tried before the lock is taken.
const SNAPSHOT_TRIES: u32 = 64;

/// A segment with a header, a schema and contents of type `C`, opened by this process.
///
/// Open a region once in a process and share it: two handles are two participants, and a thread that changes the region
/// through one within a change through the other waits for itself. Values cross by copy, on the stack: what
/// has megabytes belongs in a table of smaller rows.
///
/// It gives access to its parts: `Region<T>` for a value to a [`Cell<T>`](crate::Cell), a `Region<Office>` with
/// `#[derive(Region)]` to the fields of `Office`.
///
/// ```
/// use coseg::{Key, Region, Shared};
///
/// #[derive(Shared, Clone, Copy)]
/// #[repr(C)]
/// struct Currency {
///     sell: f64,
///     buy: f64,
///     stock: f64,
/// }
///
/// # let dir = tempfile::tempdir()?;
/// # let backend = coseg_sysv::User::at(dir.path())?;
/// let opening = Currency { sell: 13.72, buy: 13.40, stock: 10_000.0 };
/// let market = Region::<[Currency; 2]>::at(Key::new(0x4558))
///     .backend(&backend)
///     .open_or_create(|| [opening; 2])?;
/// market.update(|m| m[1].stock += 10.0)?;
/// assert_eq!(market.read()[1].stock, 10_010.0);
/// # market.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Region<C: Contents> {
    base: Shelf,
    parts: C::Parts,
}

impl<C: Contents> Region<C> {
    /// Starts naming a region.
    pub fn at(key: coseg_sysv::Key) -> RegionOptions<C> {
        RegionOptions::new(key)
    }

    /// Starts opening the region in a segment that was found already, or will be made in it: by its id, or a private
    /// one.
    pub fn of(segment: &Segment) -> RegionOptions<C> {
        RegionOptions::of(segment)
    }

    pub(crate) fn new(base: Shelf) -> Region<C> {
        let parts = C::parts(&mut Site::new(&base));
        Region { base, parts }
    }

    /// The parts; also reached by writing their names after the region's.
    pub fn parts(&self) -> &C::Parts {
        &self.parts
    }

    /// The segment it lies in.
    pub fn segment(&self) -> &Segment {
        &self.base.segment
    }

    /// What it says of its contents.
    pub fn schema(&self) -> &Schema {
        &self.base.layout.schema
    }

    /// Who has joined it.
    pub fn participants(&self) -> Vec<Participant> {
        self.base.everybody()
    }

    /// The dead owners that locks were taken from, since the last call; of very many, the last 256.
    pub fn take_recoveries(&self) -> Vec<Recovery> {
        self.base.take_recoveries()
    }

    /// Changes several values together: if `body` returns an error or panics, none; otherwise all of them at once.
    /// Other changes of the region wait meanwhile, readers do not.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::WouldDeadlock`] within another transaction of this region, and those of
    /// `body`.
    ///
    /// # Crash
    /// Killed anywhere, the process leaves all changes or none.
    #[inline]
    pub fn transaction<R, E: From<Error>>(
        &self,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.transaction_until(Deadline::Never, body)
    }

    /// As [`Region::transaction`], but gives up if others change the region for all of `timeout`. Once `body` runs, it
    /// may take as long as it likes.
    ///
    /// # Errors
    /// Those of [`Region::transaction`], and [`ErrorKind::TimedOut`], naming who is in the way: nothing was begun.
    #[inline]
    pub fn transaction_timeout<R, E: From<Error>>(
        &self,
        timeout: Duration,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.transaction_until(Deadline::after(Some(timeout)), body)
    }

    #[inline(always)]
    fn transaction_until<R, E: From<Error>>(
        &self,
        deadline: Deadline,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut transaction = Transaction::new(self.base.lock(deadline)?);
        let result = body(&mut transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Reads several values as they were at one moment. `body` runs again if something was committed meanwhile; when
    /// that has happened often, under the region's lock.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`]: opened for reading, and writers were always faster. [`ErrorKind::Damaged`]: a peer writes
    /// over the log. And those of `body`.
    pub fn snapshot<R, E: From<Error>>(
        &self,
        mut body: impl FnMut(&Snapshot<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        for _ in 0..SNAPSHOT_TRIES {
            if let Some(snapshot) = Snapshot::begin(&self.base) {
                let result = body(&snapshot);
                if !snapshot.has_moved() {
                    return result;
                }
            }
            std::hint::spin_loop();
        }
        if !self.base.memory.is_writable() {
            let fact = "writers were faster every time, and one who reads only cannot lock: try again";
            return Err(Error::new("take a snapshot of", self.base.object(), ErrorKind::Busy, fact).into());
        }
        let guard = self.base.lock(Deadline::Never)?;
        // Whoever holds the lock commits alone, unless a peer writes what he may not.
        let Some(snapshot) = Snapshot::begin(&self.base) else {
            let fact = "its log changes under the lock that guards it: something writes over it";
            return Err(Error::new("take a snapshot of", self.base.object(), ErrorKind::Damaged, fact).into());
        };
        let result = body(&snapshot);
        drop(guard);
        result
    }

    /// Removes the region: its key is free at once, its memory when the last process has detached. Whoever waits for a
    /// value or an event is told; locks and changes go on working for those who are in. Removing only the
    /// segment leaves the region to those who have it, and tells nobody.
    ///
    /// # Errors
    /// [`ErrorKind::Segment`]: not permitted, or gone already. [`ErrorKind::ReadOnly`].
    ///
    /// # Crash
    /// Killed in here, the process leaves the region as it was, or one that is removed, and perhaps not told to those who
    /// wait.
    pub fn remove(&self) -> Result<()> {
        self.base.me()?;
        self.base.segment.remove()?;
        self.base.close();
        Ok(())
    }

    /// Another handle of the same opened region, in the same slot.
    pub fn share(&self) -> Region<C> {
        Region::new(Arc::clone(&self.base))
    }
}

impl<C: Contents> Deref for Region<C> {
    type Target = C::Parts;

    #[inline]
    fn deref(&self) -> &C::Parts {
        &self.parts
    }
}

impl<C: Contents> fmt::Debug for Region<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region<{}> ({})", self.schema().name, self.base.object())
    }
}
