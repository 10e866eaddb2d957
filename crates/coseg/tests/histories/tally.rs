//! Many histories, one after the other, and what they came to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::judge::{judge, told};
use crate::nemesis::{History, happen};
use crate::record::{Deed, Outcome};
use crate::stage::On;

/// Violations told of one history.
const TOLD: usize = 3;

/// What was counted.
#[derive(Default)]
struct Tally {
    histories: u64,
    operations: u64,
    sent: u64,
    received: u64,
    kills: u64,
    stops: u64,
    redeliveries: u64,
    longest: Duration,
}

impl Tally {
    fn add(&mut self, history: &History) {
        self.histories += 1;
        self.operations += history.records.len() as u64;
        for record in
            history.records.iter().filter(|record| record.end.is_some() && record.outcome == Outcome::Ok)
        {
            match record.deed {
                Deed::Send | Deed::SendMany => self.sent += record.value,
                Deed::Receive | Deed::ReceiveMany | Deed::Hold | Deed::Commit => {
                    self.received += record.received().count() as u64;
                    self.redeliveries += u64::from(record.is_repeated);
                }
                _ => {}
            }
        }
        self.kills += history.lives.iter().filter(|life| life.death.is_some()).count() as u64;
        self.stops += history.lives.iter().map(|life| life.stops.len() as u64).sum::<u64>();
    }

    fn tell(&self, begun: Instant) {
        eprintln!(
            "{} histories, {} operations, {} messages sent, {} received, {} kills, {} stops, {} redeliveries, \
             longest history {:.1?}, {:.0?}",
            self.histories,
            self.operations,
            self.sent,
            self.received,
            self.kills,
            self.stops,
            self.redeliveries,
            self.longest,
            begun.elapsed(),
        );
    }
}

/// Lets histories with seeds from `seed` on happen, `jobs` at a time, and fails at the first that is wrong.
pub(crate) fn run(count: u64, seed: u64, jobs: u64) {
    let (next, begun) = (AtomicU64::new(0), Instant::now());
    let tally = Mutex::new((Tally::default(), Instant::now()));
    let wrong = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while wrong.lock().unwrap().is_none() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let seed = seed + index;
                    let since = Instant::now();
                    let on = if seed.is_multiple_of(2) { On::Kernel } else { On::User };
                    let Some(history) = happen(on, seed) else { continue };
                    let violations = judge(&history);
                    if !violations.is_empty() {
                        for violation in violations.iter().take(TOLD) {
                            eprintln!("seed {seed}, {on:?}: {}", told(&history, violation));
                        }
                        wrong.lock().unwrap().get_or_insert(seed);
                    }
                    let mut tally = tally.lock().unwrap();
                    tally.0.add(&history);
                    tally.0.longest = tally.0.longest.max(since.elapsed());
                    if tally.1.elapsed() >= Duration::from_secs(10) {
                        tally.1 = Instant::now();
                        tally.0.tell(begun);
                    }
                }
            });
        }
    });
    tally.lock().unwrap().0.tell(begun);
    if let Some(seed) = wrong.into_inner().unwrap() {
        panic!(
            "the history with seed {seed} is wrong: `cargo xtask histories --count 1 --seed {seed}` has the same plan"
        );
    }
}
