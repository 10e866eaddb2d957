//! What one process does in a turn: one operation again and again, in time with its partner.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What was done.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) elapsed_ns: u64,
    /// Values that were partly of one write and partly of another.
    pub(crate) torn_count: u64,
}

impl Tally {
    pub(crate) fn ns_each(&self) -> f64 {
        self.elapsed_ns as f64 / self.count as f64
    }

    /// Millions in a second.
    pub(crate) fn rate(&self) -> f64 {
        // Who had nothing to do has no time either.
        self.count as f64 * 1e3 / self.elapsed_ns.max(1) as f64
    }
}

/// By what two processes start and stop together; each word in a line of its own.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Control {
    ready: Line,
    go: Line,
    stop: Line,
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line(AtomicU32);

impl Control {
    /// Before a turn.
    pub(crate) fn reset(&self) {
        for line in [&self.ready, &self.go, &self.stop] {
            line.0.store(0, Ordering::SeqCst);
        }
    }

    /// Lets a partner go, and end, whatever happened.
    pub(crate) fn release(&self) {
        self.stop.0.store(1, Ordering::SeqCst);
        self.go.0.store(1, Ordering::SeqCst);
    }

    /// The partner is ready, or will never be.
    pub(crate) fn arrive(&self) {
        self.ready.0.store(1, Ordering::SeqCst);
    }
}

/// How a turn ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// After this time, with nobody else at work.
    Alone(Duration),
    /// After this time, which ends the partner's turn as well.
    Leading(Duration),
    /// When the other says so.
    Following,
}

/// One turn of one process.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) control: &'a Control,
    pub(crate) end: End,
}

/// Looks at the clock once in so many operations; what takes long is looked after more often.
const BATCH: u32 = 256;
const SMALL_BATCH: u32 = 8;
/// So far may a paced writer fall behind; what is more is given up, not made good in a burst.
const BACKLOG: u32 = 64;

impl Turn<'_> {
    /// Waits for the other one. To be called when all is prepared.
    pub(crate) fn start(&self) {
        let (mine, theirs) = (&self.control.ready.0, &self.control.go.0);
        match self.end {
            End::Alone(_) => {}
            End::Leading(_) => {
                while mine.load(Ordering::SeqCst) == 0 {
                    std::hint::spin_loop();
                }
                theirs.store(1, Ordering::SeqCst);
            }
            End::Following => {
                self.control.arrive();
                while theirs.load(Ordering::SeqCst) == 0 {
                    std::hint::spin_loop();
                }
            }
        }
    }

    /// Whether the turn is over, after so long.
    #[inline]
    pub(crate) fn is_over(&self, elapsed: Duration) -> bool {
        match self.end {
            End::Alone(whole) | End::Leading(whole) => elapsed >= whole,
            End::Following => self.control.stop.0.load(Ordering::Relaxed) != 0,
        }
    }

    /// Does what takes nanoseconds.
    #[inline]
    pub(crate) fn repeat<E>(&self, operation: impl FnMut() -> Result<(), E>) -> Result<Tally, E> {
        self.repeat_by(BATCH, operation)
    }

    /// Does what takes microseconds.
    #[inline]
    pub(crate) fn repeat_slow<E>(&self, operation: impl FnMut() -> Result<(), E>) -> Result<Tally, E> {
        self.repeat_by(SMALL_BATCH, operation)
    }

    #[inline]
    fn repeat_by<E>(&self, batch: u32, mut operation: impl FnMut() -> Result<(), E>) -> Result<Tally, E> {
        self.start();
        let started = Instant::now();
        let mut count = 0;
        loop {
            for _ in 0..batch {
                operation()?;
            }
            count += u64::from(batch);
            let elapsed = started.elapsed();
            if self.is_over(elapsed) {
                return Ok(tally(count, elapsed));
            }
        }
    }

    /// Does something once in a microsecond.
    pub(crate) fn repeat_paced<E>(&self, mut operation: impl FnMut() -> Result<(), E>) -> Result<Tally, E> {
        let pace = Duration::from_micros(1);
        self.start();
        let started = Instant::now();
        let (mut count, mut due) = (0, pace);
        loop {
            let elapsed = started.elapsed();
            if self.is_over(elapsed) {
                return Ok(tally(count, elapsed));
            }
            if elapsed >= due {
                operation()?;
                count += 1;
                due = (due + pace).max(elapsed.saturating_sub(pace * BACKLOG));
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

pub(crate) fn tally(count: u64, elapsed: Duration) -> Tally {
    Tally { count, elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), torn_count: 0 }
}
