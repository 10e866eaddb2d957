//! Something that happens, again and again, and can be waited for.

use std::time::Duration;

use crate::bell::{Bell, Wake};
use crate::lock::Deadline;
use crate::part::{Part, Plan, Site, Spot};
use crate::schema::PartKind;
use crate::sync::{AtomicU64, Ordering};
use crate::{Error, Result};

/// Something that happens, again and again, and can be waited for.
///
/// It is counted, so that one who looks away misses nothing: [`Event::wait`] takes the count last seen and returns
/// at once if there is a newer one.
///
/// # Crash
/// Killed between counting and waking, a notifier leaves waiters asleep for at most 100 ms.
#[derive(Debug)]
pub struct Event {
    spot: Spot,
}

impl Event {
    fn count_word(&self) -> &AtomicU64 {
        self.spot.base.memory.word(self.spot.offset())
    }

    #[cfg(feature = "async")]
    pub(crate) fn source(&self) -> crate::changes::Source {
        crate::changes::Source {
            base: self.spot.base.clone(),
            count_at: self.spot.offset(),
            bell_at: self.spot.offset() + 8,
            object: self.spot.object(),
        }
    }

    fn bell(&self) -> Bell<'_> {
        Bell(self.spot.base.memory.half(self.spot.offset() + 8))
    }

    /// How many times it has happened.
    pub fn count(&self) -> u64 {
        self.count_word().load(Ordering::SeqCst)
    }

    /// Makes it happen: wakes all who wait.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn notify(&self) -> Result<()> {
        self.spot.base.me()?;
        self.count_word().fetch_add(1, Ordering::SeqCst);
        self.bell().ring(Wake::All);
        Ok(())
    }

    /// Sleeps until it has happened more than `seen` times; how many times it has.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut). [`ErrorKind::Removed`](crate::ErrorKind::Removed): the
    /// region was removed.
    pub fn wait(&self, seen: u64, timeout: Option<Duration>) -> Result<u64> {
        let deadline = Deadline::after(timeout);
        loop {
            let count = self.count();
            if count != seen {
                return Ok(count);
            }
            let Some(left) = deadline.left() else {
                let fact = "it has not happened";
                return Err(Error::timed_out(
                    "wait for",
                    self.spot.object(),
                    timeout.unwrap_or_default(),
                    fact,
                ));
            };
            if self.spot.base.memory.is_writable() {
                let ticket = self.bell().prepare();
                self.spot.base.check_open("wait for", || self.spot.object())?;
                if self.count() == seen {
                    self.bell().sleep(ticket, left);
                }
            } else {
                self.spot.base.check_open("wait for", || self.spot.object())?;
                // Who may only read cannot say that he waits.
                std::thread::sleep(left.min(Duration::from_millis(1)));
            }
        }
    }

    /// As [`Event::wait`], but looks again and again without sleeping: the shortest wait, for a whole core.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut).
    pub fn spin(&self, seen: u64, timeout: Duration) -> Result<u64> {
        let deadline = Deadline::after(Some(timeout));
        loop {
            for _ in 0..1024 {
                let count = self.count();
                if count != seen {
                    return Ok(count);
                }
                std::hint::spin_loop();
            }
            if deadline.left().is_none() {
                return Err(Error::timed_out("wait for", self.spot.object(), timeout, "it has not happened"));
            }
        }
    }
}

impl Part for Event {
    type Initial = ();

    fn zero() {}

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        plan.plain(PartKind::Event, name, doc);
    }

    fn open(site: &mut Site) -> Self {
        Event { spot: site.next() }
    }

    fn fill(&self, (): ()) {}
}
