//! Threads that die, before any of their steps at shared words: as a killed process, they do nothing more. Others may still
//! see them living after the last.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use shuttle::rand::Rng as _;
use shuttle::sync::atomic;
use shuttle::thread;

use crate::lock::Company;
use crate::os;
use crate::participants::Owner;

shuttle::thread_local! {
    /// The steps that a thread is still to live; `None`: for ever.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

thread_local! {
    /// Of all threads in all orders of one test, which are one thread's.
    pub(crate) static DEATHS: Cell<u64> = const { Cell::new(0) };
}

/// What a death unwinds with.
struct Died;

fn step() {
    LEFT.with(|left| match left.get() {
        None => {}
        Some(0) => {
            // Others go on in between, as they do before any other step.
            left.set(None);
            thread::yield_now();
            panic::resume_unwind(Box::new(Died))
        }
        Some(steps) => left.set(Some(steps - 1)),
    });
}

/// Acts without dying meanwhile.
pub(crate) fn unharmed<R>(act: impl FnOnce() -> R) -> R {
    let left = LEFT.with(|left| left.replace(None));
    let done = act();
    LEFT.with(|own| own.set(left));
    done
}

/// A word; looking at it or changing it is a step.
#[derive(Debug, Default)]
pub(crate) struct Word<W>(W);

pub(crate) type AtomicU32 = Word<atomic::AtomicU32>;
pub(crate) type AtomicU64 = Word<atomic::AtomicU64>;

impl AtomicU32 {
    pub(crate) const fn new(value: u32) -> AtomicU32 {
        Word(atomic::AtomicU32::new(value))
    }
}

impl AtomicU64 {
    pub(crate) const fn new(value: u64) -> AtomicU64 {
        Word(atomic::AtomicU64::new(value))
    }
}

impl<W> Deref for Word<W> {
    type Target = W;

    fn deref(&self) -> &W {
        step();
        &self.0
    }
}

/// Who has died.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaths(Arc<Mutex<HashSet<u32>>>);

impl Deaths {
    /// Acts as `me`, who dies before one of so many steps, or not if there are fewer, and never within 0: `None`.
    pub(crate) fn within<R>(&self, steps: u32, me: Owner, act: impl FnOnce() -> R) -> Option<R> {
        let life = (steps > 0).then(|| shuttle::rand::thread_rng().gen_range(0..steps));
        LEFT.with(|left| left.set(life));
        let done = panic::catch_unwind(AssertUnwindSafe(act));
        LEFT.with(|left| left.set(None));
        match done {
            Ok(result) => Some(result),
            Err(reason) if reason.is::<Died>() => {
                thread::yield_now();
                DEATHS.set(DEATHS.get() + 1);
                self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(me.0);
                os::no_sleep_lasts();
                None
            }
            Err(reason) => panic::resume_unwind(reason),
        }
    }

    pub(crate) fn has_died(&self, number: u64) -> bool {
        u32::try_from(number).is_ok_and(|number| self.is_dead(Owner(number)))
    }
}

impl Company for Deaths {
    fn is_dead(&self, owner: Owner) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&owner.0)
    }

    fn waits(&self, _: u64) {}

    fn waits_no_more(&self) {}
}
