//! Changes as a file descriptor, for event loops and async code.
//!
//! No descriptor becomes ready when a word of shared memory changes. So a thread sleeps on the word and makes an
//! eventfd ready, which any loop can wait for; with tokio, [`Changes::next`] does.

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;

use crate::base::Shelf;
use crate::bell::{Bell, LONGEST_SLEEP, Wake};
use crate::participants::Owner;
use crate::polled::Polled;
use crate::sync::Ordering;
use crate::{Cell, Error, ErrorKind, Event, Result, Shared, os};

/// What changes, and where those who wait for it sleep.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) base: Shelf,
    pub(crate) count_at: usize,
    pub(crate) bell_at: usize,
    pub(crate) object: String,
}

impl Source {
    fn count(&self) -> u64 {
        self.base.memory.word(self.count_at).load(Ordering::SeqCst)
    }

    fn bell(&self) -> Bell<'_> {
        Bell(self.base.memory.half(self.bell_at))
    }
}

/// The changes of an event or a cell, as a descriptor that is readable when there was one since the last look.
///
/// A thread of its own waits for them until this is dropped. A child of fork has no such thread: there this does
/// nothing, and takes what it is told away from the parent.
///
/// ```
/// # use coseg::{Key, Region};
/// # let dir = tempfile::tempdir()?;
/// # let backend = coseg_sysv::User::at(dir.path())?;
/// # let market = Region::<u64>::at(Key::new(9)).backend(&backend).create(|| 5)?;
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let mut changes = market.changes()?;
/// market.set(6)?;
/// let stamp = changes.next().await?;
/// assert_eq!((stamp, market.read()), (1, 6));
/// # market.remove()?;
/// # Ok::<(), coseg::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Changes {
    shared: Arc<Watch>,
    ready: File,
    polled: Option<Polled>,
    thread: Option<JoinHandle<()>>,
    /// Whose thread that is.
    me: Owner,
    seen: u64,
}

/// What the thread and the handle share.
#[derive(Debug)]
struct Watch {
    source: Source,
    latest: AtomicU64,
    stop: AtomicBool,
    ended: AtomicBool,
}

impl Watch {
    /// Tells of each change, until stopped or the region is removed.
    fn run(&self, mut ready: &File) {
        let mut seen = self.latest.load(Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) {
            let ticket = self.source.bell().prepare_for_stores();
            let count = self.source.count();
            if count != seen {
                seen = count;
                self.latest.store(count, Ordering::SeqCst);
                // Full at 2^64 - 1 changes that nobody looked at: ready all the same.
                let _ = ready.write(&1_u64.to_ne_bytes());
            } else if self.source.base.check_open("watch", String::new).is_err() {
                self.ended.store(true, Ordering::SeqCst);
                let _ = ready.write(&1_u64.to_ne_bytes());
                return;
            } else if !self.stop.load(Ordering::SeqCst) {
                self.source.bell().sleep(ticket, LONGEST_SLEEP);
            }
        }
    }
}

impl Changes {
    fn new(source: Source) -> Result<Changes> {
        let me = source.base.me()?;
        let failed = |error: std::io::Error| {
            Error::new("watch", source.object.clone(), ErrorKind::NoResources, error.to_string())
        };
        let ready = os::event_descriptor().map_err(failed)?;
        let (for_thread, ready) = (ready.try_clone().map_err(failed)?, File::from(ready));
        let seen = source.count();
        let failed = {
            let object = source.object.clone();
            move |error: std::io::Error| {
                Error::new("watch", object, ErrorKind::NoResources, error.to_string())
            }
        };
        let shared = Arc::new(Watch {
            source,
            latest: AtomicU64::new(seen),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let watch = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("coseg changes".to_owned())
            .spawn(move || watch.run(&File::from(for_thread)))
            .map_err(failed)?;
        Ok(Changes { shared, ready, polled: None, thread: Some(thread), me, seen })
    }

    /// The count of the newest change, if there was one since the last look; makes the descriptor unreadable.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]: the region was removed, and there will be no more. [`ErrorKind::Forked`]: it is the parent's.
    pub fn take(&mut self) -> Result<Option<u64>> {
        if !self.shared.source.base.is_current(self.me) {
            let fact = "the process was forked, and these are its parent's changes: ask for its own";
            return Err(Error::new("watch", self.shared.source.object.clone(), ErrorKind::Forked, fact));
        }
        let mut count = [0; 8];
        match self.ready.read(&mut count) {
            Ok(_) => {}
            Err(error) if error.kind() == IoErrorKind::WouldBlock => {}
            Err(error) => return Err(self.failed(&error)),
        }
        let latest = self.shared.latest.load(Ordering::SeqCst);
        if latest != self.seen {
            self.seen = latest;
            return Ok(Some(latest));
        }
        if self.shared.ended.load(Ordering::SeqCst) {
            let fact = "the region was removed: there are no more changes";
            return Err(Error::new("watch", self.shared.source.object.clone(), ErrorKind::Removed, fact));
        }
        Ok(None)
    }

    /// Waits for the next change; the count of the newest. It may be dropped at any time without losing one.
    ///
    /// # Errors
    /// Those of [`Changes::take`]. [`ErrorKind::NoResources`]: the runtime cannot poll one more descriptor.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub async fn next(&mut self) -> Result<u64> {
        loop {
            if let Some(count) = self.take()? {
                return Ok(count);
            }
            let ready = Polled::wait(&mut self.polled, self.ready.as_fd()).await;
            ready.map_err(|error| self.failed(&error))?;
        }
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::new("watch", self.shared.source.object.clone(), ErrorKind::NoResources, error.to_string())
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if !self.shared.source.base.is_current(self.me) {
            // A child of fork has no such thread, and what it took from its runtime it would take from its parent's,
            // too: both have the same epoll.
            std::mem::forget((self.thread.take(), self.polled.take()));
            return;
        }
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.source.bell().ring(Wake::All);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Event {
    /// Its happenings as a descriptor; see [`Changes`].
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`]. [`ErrorKind::NoResources`]: no descriptor or thread can be had.
    pub fn changes(&self) -> Result<Changes> {
        Changes::new(self.source())
    }
}

impl<T: Shared> Cell<T> {
    /// The changes of the value as a descriptor; see [`Changes`].
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`]. [`ErrorKind::NoResources`]: no descriptor or thread can be had.
    pub fn changes(&self) -> Result<Changes> {
        Changes::new(self.source())
    }
}
