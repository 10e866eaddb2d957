//! Who takes part.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use coseg_sysv::Backend;
use serde::{Deserialize, Serialize};

use super::bare::{Door, Lockable, Page, RwLock, Slots};
use super::iceoryx::Iceoryx;
use super::job::Job;
use super::mmap_sync::MmapSync;
use super::ours::Ours;
use crate::Outcome;
use crate::calls::{futex_wait, futex_wake};
use crate::duel::{self, Contender};
use crate::turn::{Control, Tally, Turn, tally};

/// A contender's name, known to both processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Who {
    Ours,
    Mutex,
    RobustMutex,
    RwLock,
    TestAndSet,
    CasAndSwap,
    FetchAdd,
    Slots,
    Words,
    MmapSync,
    Iceoryx,
}

/// Where the contenders' things are.
pub(super) struct Ground {
    pub(super) page: &'static Page,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) directory: PathBuf,
}

impl duel::Ground for Ground {
    type Who = Who;
    type Job = Job;

    fn control(&self) -> &'static Control {
        &self.page.control
    }

    fn open(&self, who: Who) -> Outcome<Box<dyn Contender<Job>>> {
        let page = self.page;
        let path = |name: &str| Path::new(&self.directory).join(name);
        Ok(match who {
            Who::Ours => Box::new(Ours::open(Arc::clone(&self.backend), page)?),
            Who::Mutex => Box::new(&page.shared),
            Who::RobustMutex => Box::new(&page.robust),
            Who::RwLock => Box::new(&page.rwlock),
            Who::TestAndSet => Box::new(&page.test_and_set),
            Who::CasAndSwap => Box::new(&page.cas),
            Who::FetchAdd => Box::new(FetchAdd(page)),
            Who::Slots => Box::new(&page.slots),
            Who::Words => Box::new(Words(page)),
            Who::MmapSync => Box::new(MmapSync::open(&path("mmap-sync"))?),
            Who::Iceoryx => Box::new(Iceoryx::open(&path("iceoryx2"))?),
        })
    }
}

/// Whether a value is of one write: all its words are equal then.
#[inline]
pub(super) fn is_whole(words: &[u64; 8]) -> bool {
    words.iter().fold(0, |differences, word| differences | (word ^ words[0])) == 0
}

/// A job that a contender has no means for.
pub(super) fn unable(job: Job) -> Outcome<Tally> {
    Err(format!("cannot do {job:?}").into())
}

/// What never fails.
fn sure(operation: impl FnOnce()) -> Outcome {
    operation();
    Ok(())
}

impl<L: Lockable> Contender<Job> for &'static Door<L> {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        match job {
            Job::Lock => turn.repeat(|| sure(|| self.pass())),
            Job::Increment => turn.repeat(|| sure(|| self.increment())),
            _ => unable(job),
        }
    }

    fn total(&self, job: Job) -> Option<u64> {
        (job == Job::Increment).then(|| Door::total(self))
    }
}

impl Contender<Job> for &'static Door<RwLock> {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        match job {
            Job::LockToRead => turn.repeat(|| sure(|| self.pass_to_read())),
            Job::LockToWrite => turn.repeat(|| sure(|| self.pass_to_write())),
            _ => unable(job),
        }
    }
}

struct FetchAdd(&'static Page);

impl Contender<Job> for FetchAdd {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        let count = &self.0.added.0;
        match job {
            Job::Lock | Job::Increment => turn.repeat(|| sure(|| _ = count.fetch_add(1, Ordering::SeqCst))),
            _ => unable(job),
        }
    }

    fn total(&self, job: Job) -> Option<u64> {
        (job == Job::Increment).then(|| self.0.added.0.load(Ordering::SeqCst))
    }
}

impl Contender<Job> for &'static Slots {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        let (mut number, mut torn_count) = (0, 0);
        let mut write = || {
            number += 1;
            self.write(&[number; 8]);
        };
        let tally = match job {
            Job::Read => turn.repeat(|| sure(|| torn_count += u64::from(!is_whole(&Slots::read(self))))),
            Job::Write => turn.repeat(|| sure(&mut write)),
            Job::WritePaced => turn.repeat_paced(|| sure(&mut write)),
            _ => unable(job),
        };
        Ok(Tally { torn_count, ..tally? })
    }
}

/// Two words to signal by, in a line each.
struct Words(&'static Page);

impl Words {
    fn ping(&self, turn: &Turn<'_>, wake: bool, wait: impl Fn(&AtomicU32, u32)) -> Outcome<Tally> {
        let (ping, pong) = (&self.0.ping.0, &self.0.pong.0);
        let tell = || {
            ping.fetch_add(1, Ordering::Release);
            if wake {
                futex_wake(ping);
            }
        };
        let tally = turn.repeat_slow(|| {
            let seen = pong.load(Ordering::Acquire);
            tell();
            wait(pong, seen);
            Ok(())
        });
        turn.control.release();
        tell();
        tally
    }

    fn pong(&self, turn: &Turn<'_>, wake: bool, wait: impl Fn(&AtomicU32, u32)) -> Tally {
        let (ping, pong) = (&self.0.ping.0, &self.0.pong.0);
        let mut seen = ping.load(Ordering::Acquire);
        turn.start();
        let started = Instant::now();
        let mut count = 0;
        while !turn.is_over(Duration::ZERO) {
            wait(ping, seen);
            seen = seen.wrapping_add(1);
            pong.fetch_add(1, Ordering::Release);
            if wake {
                futex_wake(pong);
            }
            count += 1;
        }
        tally(count, started.elapsed())
    }
}

fn spin(word: &AtomicU32, seen: u32) {
    while word.load(Ordering::Acquire) == seen {
        std::hint::spin_loop();
    }
}

fn sleep(word: &AtomicU32, seen: u32) {
    while word.load(Ordering::Acquire) == seen {
        futex_wait(word, seen, None);
    }
}

impl Contender<Job> for Words {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        match job {
            Job::PingSpinning => self.ping(turn, false, spin),
            Job::PingSleeping => self.ping(turn, true, sleep),
            Job::PongSpinning => Ok(self.pong(turn, false, spin)),
            Job::PongSleeping => Ok(self.pong(turn, true, sleep)),
            _ => unable(job),
        }
    }
}
