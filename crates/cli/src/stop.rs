//! Ctrl-C and its like, for commands that have something to give back before they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, INTERRUPTED, Result};

/// Signals that come so close together are one: timeout(1) sends its own to the process and to its group.
const SAME: Duration = Duration::from_millis(500);

/// Set by a signal; everything that waits looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// `command` is what failures name.
    pub(crate) fn on_signals(command: &str) -> Result<Stop> {
        let stop = Stop(Arc::default());
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop.0))
                .map_err(|error| Failure::io(format!("{command}: listen for Ctrl-C"), &error))?;
        }
        Ok(stop)
    }

    /// Of what no signal stops.
    #[cfg(test)]
    pub(crate) fn never() -> Stop {
        Stop(Arc::default())
    }

    /// The same, but that a later signal ends the process at once, in case that something does not return.
    pub(crate) fn on_first_signal(command: &str) -> Result<Stop> {
        let stop = Stop(Arc::default());
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|error| Failure::io(format!("{command}: listen for Ctrl-C"), &error))?;
        let flag = Arc::clone(&stop.0);
        std::thread::spawn(move || {
            let mut first: Option<Instant> = None;
            for _ in signals.forever() {
                flag.store(true, Ordering::Relaxed);
                if first.get_or_insert_with(Instant::now).elapsed() > SAME {
                    std::process::exit(INTERRUPTED.into());
                }
            }
        });
        Ok(stop)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits, but for no longer than nothing stops it.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        self.sleep_while(time, || true)
    }

    /// The same, while somebody wants it.
    pub(crate) fn sleep_while(&self, time: Duration, is_wanted: impl Fn() -> bool) -> Result<()> {
        const STEP: Duration = Duration::from_millis(50);
        let start = Instant::now();
        loop {
            self.check()?;
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() || !is_wanted() {
                return Ok(());
            }
            std::thread::sleep(left.min(STEP));
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.is_set() { Err(Failure::interrupted()) } else { Ok(()) }
    }
}
