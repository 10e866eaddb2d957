//! The algorithms in a crowd: more threads, and longer ways, than every order can be tried of. So orders are tried at
//! random, with sequentially consistent memory, and any thread may die before any of its steps at shared words while the
//! others go on.
//!
//! Run by `RUSTFLAGS="--cfg coseg_model --cfg coseg_crowd" cargo test -p coseg --lib --release crowds`; with
//! `COSEG_LONG=1`, a hundred times as many orders.

use std::env;
use std::sync::Arc;

use shuttle::thread::{self, JoinHandle};

use crate::bell::{Bell, Wake};
use crate::lock::{Deadline, LockWords, PATIENCE_NS, Taken};
use crate::memory::Memory;
use crate::models::{both, log, set_both, two_cells};
use crate::mortal::{DEATHS, Deaths};
use crate::participants::Owner;
use crate::sync::Ordering;

/// Half of the orders are any, the others those of threads that are mostly let run, with some preemptions.
pub(crate) fn crowd(check: fn()) {
    let half = if env::var_os("COSEG_LONG").is_some_and(|value| value == "1") { 50_000 } else { 500 };
    shuttle::check_random(check, half);
    shuttle::check_pct(check, half, 4);
}

/// The same, in many of which somebody dies.
pub(crate) fn mortal_crowd(check: fn()) {
    crowd(check);
    let deaths = DEATHS.get();
    println!("{deaths} deaths");
    assert!(deaths > 500, "{deaths} deaths prove little");
}

/// So many who work beside each other, and do not all live to the end of it; what they came to.
pub(crate) fn mortals<R: Send + 'static>(
    count: u32,
    steps: u32,
    deaths: &Deaths,
    work: impl Fn(Owner) -> R + Clone + Send + 'static,
) -> Vec<JoinHandle<Option<R>>> {
    let start = |number| {
        let (me, deaths, work) = (Owner(number), deaths.clone(), work.clone());
        thread::spawn(move || deaths.within(steps, me, || work(me)))
    };
    (1..=count).map(start).collect()
}

pub(crate) fn living<R>(workers: Vec<JoinHandle<Option<R>>>) -> Vec<R> {
    workers.into_iter().filter_map(|worker| worker.join().unwrap()).collect()
}

/// Who comes when all are done.
pub(crate) const LAST: Owner = Owner(100);

/// A lock at 0, and at 64 who is inside.
fn enter(memory: &Memory, me: Owner, deaths: &Deaths) {
    let lock = LockWords::new(memory, 0);
    let inside = memory.word(64);
    let taken = lock.take(me, Deadline::Never, deaths).expect("there is no deadline");
    let found = inside.load(Ordering::Relaxed);
    let is_left = deaths.has_died(found) && taken != Taken::Clean;
    assert!(found == 0 || is_left, "{found} is inside, {taken:?}");
    inside.store(me.0.into(), Ordering::Relaxed);
    assert_eq!(inside.load(Ordering::Relaxed), u64::from(me.0), "two are inside");
    inside.store(0, Ordering::Relaxed);
    lock.give_back();
}

fn lock_goes_round(steps: u32) {
    let memory = Arc::new(Memory::heap(128));
    let deaths = Deaths::default();
    let workers = mortals(5, steps, &deaths, {
        let (memory, deaths) = (Arc::clone(&memory), deaths.clone());
        move |me| (0..4).for_each(|_| enter(&memory, me, &deaths))
    });
    living(workers);
    enter(&memory, LAST, &deaths);
}

/// Waiters claim turns.
#[test]
fn a_lock_of_the_dead_goes_round() {
    mortal_crowd(|| lock_goes_round(150));
}

/// Waiters are woken one by one.
#[test]
fn a_lock_of_the_dead_goes_round_patiently() {
    PATIENCE_NS.set(u64::MAX);
    mortal_crowd(|| lock_goes_round(150));
}

/// Nobody dies, and no sleep ends by itself.
#[test]
fn nobody_sleeps_for_ever_at_a_lock() {
    crowd(|| lock_goes_round(0));
}

#[test]
fn nobody_sleeps_for_ever_at_a_lock_patiently() {
    PATIENCE_NS.set(u64::MAX);
    crowd(|| lock_goes_round(0));
}

/// Each waits for the other, again and again, and rings him.
#[test]
fn bells_are_heard_in_turn() {
    crowd(|| {
        let memory = Arc::new(Memory::heap(128));
        let play = |memory: &Memory, own: usize, other: usize| {
            for round in 1..=20 {
                memory.word(own + 8).store(round, Ordering::Release);
                if !Bell(memory.half(own)).ring_for_frequent() {
                    Bell(memory.half(own)).calm();
                }
                while memory.word(other + 8).load(Ordering::Acquire) < round {
                    let ticket = Bell(memory.half(other)).prepare_again();
                    if memory.word(other + 8).load(Ordering::Acquire) < round {
                        Bell(memory.half(other)).sleep(ticket, std::time::Duration::MAX);
                    }
                }
            }
        };
        let partner = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || play(&memory, 64, 0))
        };
        play(&memory, 0, 64);
        partner.join().unwrap();
    });
}

/// One rings for many.
#[test]
fn all_who_sleep_at_a_bell_are_woken() {
    crowd(|| {
        let memory = Arc::new(Memory::heap(64));
        let sleepers: Vec<_> = (0..5)
            .map(|_| {
                let memory = Arc::clone(&memory);
                thread::spawn(move || {
                    let bell = Bell(memory.half(0));
                    for round in 1..=3 {
                        while memory.word(8).load(Ordering::Acquire) < round {
                            let ticket = bell.prepare_for_stores();
                            if memory.word(8).load(Ordering::Acquire) < round {
                                bell.sleep(ticket, std::time::Duration::MAX);
                            }
                        }
                    }
                })
            })
            .collect();
        for round in 1..=3 {
            memory.word(8).store(round, Ordering::Release);
            Bell(memory.half(0)).ring_after_store(|| Wake::All);
        }
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

/// Both values count the transactions, whoever dies in the middle of one, and readers see them equal and rising. In the end
/// they are what was counted.
#[test]
fn transactions_of_the_dead_are_whole_or_not_at_all() {
    mortal_crowd(|| {
        let (memory, layout, items) = two_cells();
        let deaths = Deaths::default();
        let lock_at = crate::layout::at::LOCK;
        let count_one = {
            let (memory, layout, deaths) = (memory.clone(), layout.clone(), deaths.clone());
            move |me| {
                let lock = LockWords::new(&memory, lock_at);
                if let Taken::From(_) = lock.take(me, Deadline::Never, &deaths).expect("there is no deadline")
                {
                    log(&memory, &layout).settle(&layout);
                }
                let [count, other] = items.map(|item| item.version(&memory));
                assert_eq!(count, other, "half of a transaction");
                set_both(&memory, &layout, items, count + 1);
                lock.give_back();
            }
        };
        let writers = mortals(3, 250, &deaths, {
            let count_one = count_one.clone();
            move |me| (0..4).for_each(|_| count_one(me))
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (memory, layout) = (memory.clone(), layout.clone());
                thread::spawn(move || {
                    let mut last = 0;
                    for round in 0..6 {
                        if round % 2 == 0 {
                            log(&memory, &layout).help(&layout);
                        }
                        if let Some([one, other]) = both(&memory, &layout, items) {
                            assert_eq!(one, other);
                            assert!(one[0] == one[1] && one[0] >= last, "{one:?} after {last}");
                            last = one[0];
                        }
                    }
                })
            })
            .collect();
        let done = 4 * living(writers).len() as u64;
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        count_one(LAST);
        let count = items[0].version(&memory);
        assert!((done + 1..=13).contains(&count), "{count}, and {done} by the living");
        assert_eq!(both(&memory, &layout, items), Some([[count; 2]; 2]));
    });
}
