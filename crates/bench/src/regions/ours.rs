//! Regions, as a program uses them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use coseg::{Cell, ErrorKind, Event, Key, Lock, Region, RwLock, Shared, Table};
use coseg_sysv::Backend;

use super::bare::{Page, bump};
use super::contender::is_whole;
use super::job::Job;
use crate::Outcome;
use crate::duel::Contender;
use crate::turn::{Tally, Turn, tally};

const KEY: Key = Key::new(0x4558);
/// What a waiter waits at most before it looks whether its turn is over.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Shared, Clone, Copy, Default)]
#[repr(C)]
struct Value64 {
    words: [u64; 8],
}

#[derive(Region)]
struct Desk {
    door: Lock,
    gate: RwLock,
    value: Cell<Value64>,
    rows: Table<Value64, 8>,
    ping: Event,
    pong: Event,
}

pub(super) struct Ours {
    desk: Region<Desk>,
    page: &'static Page,
}

impl Ours {
    /// Opens the region, or makes it.
    pub(super) fn open(backend: Arc<dyn Backend>, page: &'static Page) -> Outcome<Ours> {
        let desk = Region::<Desk>::at(KEY).backend(&backend).open_or_create(DeskInitial::default)?;
        Ok(Ours { desk, page })
    }

    fn ping(&self, turn: &Turn<'_>, answered: impl Fn(u64) -> coseg::Result<u64>) -> coseg::Result<Tally> {
        let mut seen = self.desk.pong.count();
        let tally = turn.repeat_slow(|| {
            self.desk.ping.notify()?;
            seen = answered(seen)?;
            Ok(())
        });
        // The partner looks up and finds that the turn is over.
        turn.control.release();
        self.desk.ping.notify()?;
        tally
    }

    fn pong(&self, turn: &Turn<'_>, asked: impl Fn(u64) -> coseg::Result<u64>) -> coseg::Result<Tally> {
        let mut seen = self.desk.ping.count();
        turn.start();
        let started = Instant::now();
        let mut count = 0;
        while !turn.is_over(Duration::ZERO) {
            match asked(seen) {
                Ok(now) => seen = now,
                // The other was kept from its CPU, or is done.
                Err(error) if *error.kind() == ErrorKind::TimedOut => continue,
                Err(error) => return Err(error),
            }
            self.desk.pong.notify()?;
            count += 1;
        }
        Ok(tally(count, started.elapsed()))
    }
}

impl Contender<Job> for Ours {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        let Ours { desk, page } = &*self;
        let (mut torn_count, mut number) = (0, 0);
        let mut next = || {
            number += 1;
            Value64 { words: [number; 8] }
        };
        let mut look = |value: Value64| torn_count += u64::from(!is_whole(&value.words));
        let row = desk.rows.row(1)?;
        let other = desk.rows.row(5)?;
        let tally: coseg::Result<Tally> = match job {
            Job::Lock => turn.repeat(|| desk.door.lock().map(drop)),
            Job::Increment => turn.repeat(|| {
                let _held = desk.door.lock()?;
                bump(&page.ours.0);
                Ok(())
            }),
            Job::LockToRead => turn.repeat(|| desk.gate.read().map(drop)),
            Job::LockToWrite => turn.repeat(|| desk.gate.write().map(drop)),
            Job::Read => turn.repeat(|| {
                look(desk.value.read());
                Ok(())
            }),
            Job::Write => turn.repeat(|| desk.value.set(next())),
            Job::WritePaced => turn.repeat_paced(|| desk.value.set(next())),
            Job::Update => {
                turn.repeat(|| desk.value.update(|value| value.words.iter_mut().for_each(|word| *word += 1)))
            }
            Job::Transaction => turn.repeat(|| {
                let value = next();
                desk.transaction(|change| {
                    change.update(&row, |own| *own = value)?;
                    change.update(&other, |own| *own = value)
                })
            }),
            Job::Snapshot => turn.repeat(|| {
                let (one, two) =
                    desk.snapshot(|now| Ok::<_, coseg::Error>((now.get(&row)?, now.get(&other)?)))?;
                look(one);
                look(two);
                // Both are always changed together.
                let mut both = one;
                both.words[7] = two.words[0];
                look(both);
                Ok(())
            }),
            Job::PingSpinning => self.ping(turn, |seen| desk.pong.spin(seen, Duration::from_secs(1))),
            Job::PingSleeping => self.ping(turn, |seen| desk.pong.wait(seen, Some(Duration::from_secs(1)))),
            Job::PongSpinning => self.pong(turn, |seen| desk.ping.spin(seen, LOOK)),
            Job::PongSleeping => self.pong(turn, |seen| desk.ping.wait(seen, Some(LOOK))),
        };
        Ok(Tally { torn_count, ..tally? })
    }

    fn total(&self, job: Job) -> Option<u64> {
        (job == Job::Increment).then(|| self.page.ours.0.load(Ordering::SeqCst))
    }
}
