//! The exclusive lock: one word names the owner, by slot and generation.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | owner, 0 for nobody |
//! | 4 | 4 | bell of those who wait |
//! | 8 | 4 | whose turn is next, 0 for whoever comes first |
//! | 12 | 4 | since when it is known to be free in somebody's turn: microseconds since 1970, the lowest bit set; or 0 |
//! | 16 | 8 | how many times it was taken; written by the owner |
//!
//! Free, it is taken by one compare-and-exchange and given back by one store. The owner's word is not what
//! waiters sleep on, so that the store can be a plain one: what it must not miss is the bell, and the barrier
//! between the two is executed by those who sleep. Who comes first takes it, whoever waits; one who has waited too
//! long takes the turn, and then nobody else gets the lock before him, unless he dies or does not come for long: all who
//! would take it know together how long, however short they wait. A dead owner's word is replaced by the waiter's in one
//! step, so that no two believe they have inherited.

use std::time::Duration;

use crate::bell::{Bell, LONGEST_SLEEP, Wake};
use crate::memory::Memory;
use crate::os;
use crate::participants::Owner;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

const OWNER: usize = 0;
const BELL: usize = 4;
const TURN: usize = 8;
const FREE_SINCE: usize = 12;
const ACQUISITIONS: usize = 16;

/// Looks at a taken lock before sleeping: together about as long as falling asleep and waking takes.
const SPIN_ROUNDS: u32 = if cfg!(coseg_model) { 0 } else { 24 };
/// The first pause before a look, as a power of two.
const FIRST_SPIN_LOG2: u32 = 5;
/// The longest pause between two looks, as a power of two.
const LONGEST_SPIN_LOG2: u32 = 6;
/// A turn keeps a free lock from others for so many times as long: whoever has it was woken, and may yet wait for a processor.
const ABSENCE: u64 = 5;
/// How long others may overtake a waiter.
#[cfg(not(coseg_model))]
const PATIENCE_NS: u64 = 2_000_000;
// The same in a model, where hardly any time passes: not at all, unless it says otherwise.
#[cfg(coseg_model)]
thread_local! {
    pub(crate) static PATIENCE_NS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}
/// First sleep before the owner is looked after.
const FIRST_PROBE: Duration = Duration::from_millis(10);

/// A lock's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockWords<'a> {
    owner: &'a AtomicU32,
    bell: Bell<'a>,
    turn: &'a AtomicU32,
    free_since: &'a AtomicU32,
    acquisitions: &'a AtomicU64,
}

/// What a lock asks about those who use it.
pub(crate) trait Company {
    /// Whether an owner is dead for certain.
    fn is_dead(&self, owner: Owner) -> bool;

    /// Told before the first sleep, with the number of acquisitions then.
    fn waits(&self, acquisition_count: u64);

    /// Told after the last.
    fn waits_no_more(&self);
}

/// How a lock was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Taken {
    Clean,
    /// Its owner had died.
    From(Owner),
}

/// When to give up, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    Never,
    At(u64),
}

impl Deadline {
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        match timeout {
            None => Deadline::Never,
            Some(timeout) => {
                let ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
                Deadline::At(os::monotonic_ns().saturating_add(ns))
            }
        }
    }

    /// What is left; `None` when it has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Deadline::Never => Some(Duration::MAX),
            Deadline::At(at) => {
                let left = at.saturating_sub(os::monotonic_ns());
                (left > 0).then(|| Duration::from_nanos(left))
            }
        }
    }
}

#[cfg(not(coseg_model))]
fn patience_ns() -> u64 {
    PATIENCE_NS
}

#[cfg(coseg_model)]
fn patience_ns() -> u64 {
    PATIENCE_NS.get()
}

impl<'a> LockWords<'a> {
    #[inline]
    pub(crate) fn new(memory: &'a Memory, at: usize) -> LockWords<'a> {
        let line = memory.line(at);
        LockWords {
            owner: line.half(OWNER),
            bell: Bell(line.half(BELL)),
            turn: line.half(TURN),
            free_since: line.half(FREE_SINCE),
            acquisitions: line.word(ACQUISITIONS),
        }
    }

    /// Who has it.
    pub(crate) fn owner(&self) -> Owner {
        Owner(self.owner.load(Ordering::Acquire))
    }

    /// How many times it was taken.
    pub(crate) fn acquisition_count(&self) -> u64 {
        self.acquisitions.load(Ordering::Relaxed)
    }

    /// Takes the lock if it is free, and it is nobody else's turn.
    #[inline]
    pub(crate) fn try_take(&self, me: Owner) -> bool {
        let turn = self.turn.load(Ordering::Relaxed);
        if turn != 0 && turn != me.0 {
            return false;
        }
        let taken = self.owner.compare_exchange(0, me.0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            self.count();
            if turn != 0 {
                self.turn.store(0, Ordering::Relaxed);
            }
        }
        taken
    }

    /// The same, but that the turn of one who is dead, or does not come, ends here.
    pub(crate) fn try_take_turn(&self, me: Owner, company: &impl Company) -> bool {
        self.try_take(me) || self.owner() == Owner::NOBODY && self.lapse_turn(company) && self.try_take(me)
    }

    /// Ends the turn that keeps a free lock from others, if its owner is dead, or has not come for so long that he seems
    /// stopped. What is remembered of an earlier turn makes that sooner, and costs a living one only his turn.
    fn lapse_turn(&self, company: &impl Company) -> bool {
        let turn = self.turn();
        if turn == Owner::NOBODY {
            return true;
        }
        let is_over = company.is_dead(turn) || self.is_free_for_long();
        if is_over {
            self.yield_turn(turn);
        }
        is_over
    }

    #[expect(clippy::cast_possible_truncation, reason = "differences of wrapped microseconds are exact")]
    fn is_free_for_long(&self) -> bool {
        // Before the clock is asked: another's time is then no later, unless the clock was set.
        let since = self.free_since.load(Ordering::Acquire);
        let now = (os::unix_ns() / 1000) as u32 | 1;
        if since == 0 {
            self.free_since.store(now, Ordering::Release);
        }
        since != 0 && u64::from(now.wrapping_sub(since)) * 1000 >= patience_ns().saturating_mul(ABSENCE)
    }

    #[inline]
    fn count(&self) {
        let count = self.acquisitions.load(Ordering::Relaxed);
        self.acquisitions.store(count.wrapping_add(1), Ordering::Relaxed);
    }

    /// Takes the lock from an owner who is dead. One of several who try does.
    pub(crate) fn try_inherit(&self, me: Owner, from: Owner) -> bool {
        let inherited =
            self.owner.compare_exchange(from.0, me.0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if inherited {
            self.count();
        }
        inherited
    }

    /// Takes the lock; `None` if the deadline passed first.
    #[inline]
    pub(crate) fn take(&self, me: Owner, deadline: Deadline, company: &impl Company) -> Option<Taken> {
        if self.try_take(me) { Some(Taken::Clean) } else { self.take_contended(me, deadline, company) }
    }

    #[cold]
    fn take_contended(&self, me: Owner, deadline: Deadline, company: &impl Company) -> Option<Taken> {
        for round in 0..SPIN_ROUNDS {
            // Every look takes the line from the owner, who needs it: look seldom, and let him get on meanwhile.
            for _ in 0..1 << (round + FIRST_SPIN_LOG2).min(LONGEST_SPIN_LOG2) {
                std::hint::spin_loop();
            }
            if self.owner() == Owner::NOBODY && self.try_take(me) {
                return Some(Taken::Clean);
            }
        }
        company.waits(self.acquisition_count());
        let taken = self.take_asleep(me, deadline, company);
        company.waits_no_more();
        if taken.is_none() {
            self.yield_turn(me);
            // He may have been woken instead of one who still waits.
            self.bell.ring_after_store(|| Wake::All);
        }
        taken
    }

    fn take_asleep(&self, me: Owner, deadline: Deadline, company: &impl Company) -> Option<Taken> {
        let impatient_at = os::monotonic_ns().saturating_add(patience_ns());
        let mut seen_for = (Owner::NOBODY, 0);
        let mut probe_after = Duration::ZERO;
        loop {
            // Also one who does not sleep again leaves the bell set: others may be asleep beside him.
            let ticket = self.bell.prepare_for_stores();
            if self.try_take_turn(me, company) {
                return Some(Taken::Clean);
            }
            let owner = self.owner();
            let now = (owner, self.acquisition_count());
            if now != seen_for || owner == Owner::NOBODY {
                (seen_for, probe_after) = (now, FIRST_PROBE);
            } else if company.is_dead(owner) {
                let inherited = self.inherit(me, owner);
                if inherited.is_some() {
                    return inherited;
                }
                // Another inherits, or a peer writes one dead owner after the other, for as long as he likes.
                deadline.left()?;
                continue;
            } else {
                probe_after = (probe_after * 2).min(LONGEST_SLEEP);
            }
            let Some(left) = deadline.left() else {
                // Who has little time, or got none of it from the scheduler, waits for none who is dead.
                let is_dead = owner != Owner::NOBODY && company.is_dead(owner);
                return is_dead.then(|| self.inherit(me, owner)).flatten();
            };
            if os::monotonic_ns() >= impatient_at && self.claim_turn(me) && self.owner() == Owner::NOBODY {
                continue;
            }
            self.bell.sleep(ticket, left.min(probe_after));
        }
    }

    /// Takes the lock, and no turn with it, from an owner who is dead, unless another does.
    fn inherit(&self, me: Owner, from: Owner) -> Option<Taken> {
        self.try_inherit(me, from).then(|| {
            self.yield_turn(me);
            Taken::From(from)
        })
    }

    /// Whether the turn was nobody's and now is ours.
    fn claim_turn(&self, me: Owner) -> bool {
        let claimed = self.turn.compare_exchange(0, me.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if claimed {
            self.free_since.store(0, Ordering::Relaxed);
            // Whoever rings and finds us asleep then finds that it is our turn.
            fence(Ordering::SeqCst);
        }
        claimed
    }

    /// Whose turn it is.
    pub(crate) fn turn(&self) -> Owner {
        Owner(self.turn.load(Ordering::Relaxed))
    }

    /// Gives up a turn: one's own, or one that is over.
    fn yield_turn(&self, me: Owner) {
        let _ = self.turn.compare_exchange(me.0, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Gives the lock back.
    #[inline]
    pub(crate) fn give_back(&self) {
        self.owner.store(0, Ordering::Release);
        // If it is somebody's turn, the one who is woken must be he.
        self.bell
            .ring_after_store(|| if self.turn.load(Ordering::Relaxed) == 0 { Wake::One } else { Wake::All });
    }

    /// Who has it, in one order with who says that he reads.
    #[inline]
    pub(crate) fn owner_in_order(&self) -> Owner {
        Owner(self.owner.load(Ordering::SeqCst))
    }
}
