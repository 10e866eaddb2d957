//! How long single round trips take.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Outcome;
use crate::table::Latency;

pub(super) struct Recorder {
    histogram: Histogram<u64>,
    /// What is between two looks at the clock when nothing is.
    clock: Duration,
}

/// What takes longer is recorded as this.
const LONGEST: Duration = Duration::from_secs(60);
/// Three digits are kept of every time.
const DIGITS: u8 = 3;

impl Recorder {
    pub(super) fn new() -> Outcome<Recorder> {
        let mut clocks: Vec<Duration> = (0..1001)
            .map(|_| {
                let before = Instant::now();
                Instant::now() - before
            })
            .collect();
        clocks.sort();
        Ok(Recorder { histogram: Recorder::empty()?, clock: clocks[clocks.len() / 2] })
    }

    fn empty() -> Outcome<Histogram<u64>> {
        Ok(Histogram::new_with_bounds(1, LONGEST.as_nanos().try_into()?, DIGITS)?)
    }

    #[inline]
    pub(super) fn record(&mut self, elapsed: Duration) {
        let ns = elapsed.saturating_sub(self.clock).as_nanos();
        self.histogram.saturating_record(u64::try_from(ns).unwrap_or(u64::MAX));
    }

    pub(super) fn clear(&mut self) {
        self.histogram.clear();
    }

    /// Nothing, if nothing was recorded.
    pub(super) fn latency(&self) -> Option<Latency> {
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        (!self.histogram.is_empty()).then(|| Latency {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: self.histogram.max(),
            sample_count: self.histogram.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_clock_costs_is_not_counted() {
        let mut recorder =
            Recorder { histogram: Recorder::empty().unwrap(), clock: Duration::from_nanos(20) };
        assert!(recorder.latency().is_none());
        for ns in 1..=1000 {
            recorder.record(Duration::from_nanos(ns + 20));
        }
        let found = recorder.latency().unwrap();
        assert_eq!((found.p50, found.p99, found.p999, found.max), (500, 990, 999, 1000));
        assert_eq!(found.sample_count, 1000);
    }
}
