//! The algorithms under a model checker: every order in which up to three threads can run, and every value that the
//! memory model lets a load return.
//!
//! Run by `RUSTFLAGS="--cfg coseg_model" cargo test -p coseg --lib --release models`.

use crate::bell::{Bell, Wake};
use crate::item::Typed;
use crate::layout::{Item, Layout, at};
use crate::lock::{Company, Deadline, LockWords, Taken};
use crate::log::{Committed, Entry, Log, Settled};
use crate::memory::Memory;
use crate::os;
use crate::participants::Owner;
use crate::schema::{Part, PartKind, Scalar, Schema, Type};
use crate::snapshot::Moment;
use crate::sync::checker::sync::Arc;
use crate::sync::checker::thread;
use crate::sync::{Ordering, fence};

const ONE: Owner = Owner(1);
const TWO: Owner = Owner(2);
const THREE: Owner = Owner(3);

/// All are alive but one.
struct Dead(Owner);

impl Company for Dead {
    fn is_dead(&self, owner: Owner) -> bool {
        owner == self.0
    }

    fn waits(&self, _: u64) {}

    fn waits_no_more(&self) {}
}

/// A lock at 0 and a word at 64 that it protects.
fn add_under_lock(memory: &Memory, me: Owner, company: &impl Company) -> Taken {
    let lock = LockWords::new(memory, 0);
    let taken = lock.take(me, Deadline::Never, company).expect("there is no deadline");
    let word = memory.word(64);
    let value = word.load(Ordering::Relaxed);
    word.store(value + 1, Ordering::Relaxed);
    lock.give_back();
    taken
}

/// Without a turn to claim, waiters are woken one by one.
#[test]
fn three_who_are_patient_are_all_woken() {
    crate::lock::PATIENCE_NS.set(u64::MAX);
    model(2, three_add);
}

/// Every order with so many preemptions, or some of them at random.
#[cfg(not(coseg_crowd))]
pub(crate) fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

#[cfg(coseg_crowd)]
pub(crate) fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    shuttle::check_pct(check, 100, preemptions + 1);
}

#[test]
fn two_exclude_each_other_and_none_sleeps_for_ever() {
    model(3, || {
        let memory = Arc::new(Memory::heap(128));
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || add_under_lock(&memory, TWO, &Dead(THREE)))
        };
        let _ = add_under_lock(&memory, ONE, &Dead(THREE));
        let _ = other.join().unwrap();
        assert_eq!(memory.word(64).load(Ordering::Relaxed), 2);
    });
}

#[test]
fn three_exclude_each_other_and_none_sleeps_for_ever() {
    model(2, three_add);
}

fn three_add() {
    let memory = Arc::new(Memory::heap(128));
    let others = [TWO, THREE].map(|owner| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || add_under_lock(&memory, owner, &Dead(Owner(9))))
    });
    let _ = add_under_lock(&memory, ONE, &Dead(Owner(9)));
    for other in others {
        let _ = other.join().unwrap();
    }
    assert_eq!(memory.word(64).load(Ordering::Relaxed), 3);
}

#[test]
fn one_of_two_inherits() {
    model(3, || {
        let memory = Arc::new(Memory::heap(128));
        assert!(LockWords::new(&memory, 0).try_take(THREE));
        let inherits = |me: Owner, memory: &Memory| LockWords::new(memory, 0).try_inherit(me, THREE);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || inherits(TWO, &memory))
        };
        let own = inherits(ONE, &memory);
        assert!(own ^ other.join().unwrap(), "one of them");
    });
}

/// With barriers of those who ring, and with those of the sleepers, which all execute.
fn of_either_barrier(preemptions: usize, check: fn()) {
    for relies in [false, true] {
        model(preemptions, move || {
            os::RELIED_ON.set(relies);
            check();
            os::RELIED_ON.set(false);
        });
    }
}

#[test]
fn a_bell_rung_after_a_change_is_heard() {
    of_either_barrier(3, || {
        let memory = Arc::new(Memory::heap(64));
        let sleeper = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let bell = Bell(memory.half(0));
                while memory.word(8).load(Ordering::Acquire) == 0 {
                    let ticket = bell.prepare_for_stores();
                    if memory.word(8).load(Ordering::Acquire) == 0 {
                        bell.sleep(ticket, std::time::Duration::MAX);
                    }
                }
            })
        };
        memory.word(8).store(1, Ordering::Release);
        Bell(memory.half(0)).ring_after_store(|| Wake::All);
        os::be_interrupted(true);
        sleeper.join().unwrap();
    });
}

/// Two exchange messages and each sleeps between: the second sleep relies on the barrier of those who ring.
#[test]
fn one_who_sleeps_again_and_again_is_woken() {
    of_either_barrier(3, || {
        let memory = Arc::new(Memory::heap(64));
        let sleeper = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || (1..=2).for_each(|round| sleep_until(&memory, round)))
        };
        for round in 1..=2 {
            memory.word(8).store(round, Ordering::Release);
            if !Bell(memory.half(0)).ring_for_frequent() {
                Bell(memory.half(0)).calm();
            }
            os::be_interrupted(round == 2);
        }
        sleeper.join().unwrap();
    });
}

/// After a time in which nobody slept: one of them relies on the barrier that the other asks for.
#[test]
fn two_who_sleep_again_are_woken() {
    of_either_barrier(2, || {
        let memory = Arc::new(Memory::heap(64));
        let bell = Bell(memory.half(0));
        let relies = os::RELIED_ON.replace(false);
        bell.prepare_again();
        bell.ring_for_frequent();
        bell.calm();
        os::RELIED_ON.set(relies);
        let sleepers = [(); 2].map(|()| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || sleep_until(&memory, 1))
        });
        memory.word(8).store(1, Ordering::Release);
        bell.ring_for_frequent();
        os::be_interrupted(true);
        sleepers.map(|sleeper| sleeper.join().unwrap());
    });
}

fn sleep_until(memory: &Memory, round: u64) {
    let bell = Bell(memory.half(0));
    while memory.word(8).load(Ordering::Acquire) < round {
        let ticket = bell.prepare_again();
        if memory.word(8).load(Ordering::Acquire) < round {
            bell.sleep(ticket, std::time::Duration::MAX);
        }
    }
}

/// Two cells of two words each, both words always equal.
pub(crate) fn two_cells() -> (Arc<Memory>, Arc<Layout>, [Item; 2]) {
    let pair = Type::Array { element: Box::new(Type::Scalar(Scalar::U64)), count: 2 };
    let part = |name: &str| Part {
        name: name.into(),
        doc: String::new(),
        kind: PartKind::Table,
        of: Some(pair.clone()),
        row_count: 1,
        slot_count: 2,
        room_bytes: 16,
        offset: 0,
    };
    let schema = Schema { name: String::new(), parts: vec![part("a"), part("b")] };
    let layout = Layout::new(schema, 1).unwrap();
    let memory = Memory::heap(layout.size_bytes);
    let items = [layout.item(0).unwrap(), layout.item(1).unwrap()];
    (Arc::new(memory), Arc::new(layout), items)
}

pub(crate) fn log<'a>(memory: &'a Memory, layout: &Layout) -> Log<'a> {
    Log { memory, entries_at: layout.log_entries_at, count: layout.log_entry_count }
}

/// Sets an item as the holder of the lock does.
fn set_one(memory: &Memory, layout: &Layout, item: Item, value: u64) {
    let version = item.version(memory);
    item.write_next(memory, version, &[value; 2]);
    log(memory, layout).commit_one(Committed::new(&item, version + 1));
}

/// Writes the next transaction, all but its commit.
fn prepare_both(memory: &Memory, layout: &Layout, items: [Item; 2], value: u64) -> [Committed; 2] {
    // The versions are asked before anybody can help, and change them.
    let set = items.map(|item| Committed::new(&item, item.version(memory) + 1));
    for (index, item) in items.into_iter().enumerate() {
        item.write_next(memory, set[index].version - 1, &[value; 2]);
        log(memory, layout).write_entry(index, set[index].entry());
    }
    set
}

pub(crate) fn set_both(memory: &Memory, layout: &Layout, items: [Item; 2], value: u64) {
    let set = prepare_both(memory, layout, items, value);
    log(memory, layout).commit(2, set.into_iter());
}

pub(crate) fn both(memory: &Memory, layout: &Layout, items: [Item; 2]) -> Option<[[u64; 2]; 2]> {
    let moment = Moment::now(log(memory, layout))?;
    let read = |item| moment.copy(item, &Typed::<[u64; 2]>::NEW);
    Some([read(items[0])?, read(items[1])?])
}

#[test]
fn a_value_is_read_whole() {
    model(4, || {
        let (memory, layout, items) = two_cells();
        let reader = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || items[0].try_read(&memory, &Typed::<[u64; 2]>::NEW))
        };
        set_one(&memory, &layout, items[0], 1);
        set_one(&memory, &layout, items[0], 2);
        if let Some((value, version)) = reader.join().unwrap() {
            assert_eq!(value, [version; 2]);
        }
    });
}

/// The second writer is another than the first: what orders their writes is the lock between them.
#[test]
fn a_value_of_two_writers_is_read_whole() {
    model(3, || {
        let (memory, layout, items) = two_cells();
        let write = move |memory: &Memory, layout: &Layout, me: Owner| {
            let lock = LockWords::new(memory, at::LOCK);
            if lock.try_take(me) {
                set_one(memory, layout, items[0], items[0].version(memory) + 1);
                lock.give_back();
            }
        };
        let reader = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || items[0].try_read(&memory, &Typed::<[u64; 2]>::NEW))
        };
        let other = {
            let (memory, layout) = (Arc::clone(&memory), Arc::clone(&layout));
            thread::spawn(move || write(&memory, &layout, TWO))
        };
        write(&memory, &layout, ONE);
        other.join().unwrap();
        if let Some((value, version)) = reader.join().unwrap() {
            assert_eq!(value, [version; 2]);
        }
    });
}

#[test]
fn a_snapshot_sees_all_of_a_transaction_or_nothing() {
    model(4, || {
        let (memory, layout, items) = two_cells();
        let reader = {
            let (memory, layout) = (Arc::clone(&memory), Arc::clone(&layout));
            thread::spawn(move || both(&memory, &layout, items))
        };
        set_both(&memory, &layout, items, 1);
        set_both(&memory, &layout, items, 2);
        if let Some(values) = reader.join().unwrap() {
            assert_eq!(values[0], values[1]);
            assert_eq!(values[0][0], values[0][1]);
        }
    });
}

/// He may have read that there is something to apply, and read the entries of the next transaction then.
#[test]
fn a_helper_applies_only_what_is_committed() {
    model(2, || {
        let (memory, layout, items) = two_cells();
        let helper = {
            let (memory, layout) = (Arc::clone(&memory), Arc::clone(&layout));
            thread::spawn(move || log(&memory, &layout).help(&layout))
        };
        set_both(&memory, &layout, items, 1);
        let _ = prepare_both(&memory, &layout, items, 2);
        helper.join().unwrap();
        assert_eq!(items.map(|item| item.version(&memory)), [1, 1]);
    });
}

#[test]
fn what_was_committed_is_finished_and_seen_by_readers_meanwhile() {
    model(2, || {
        let (memory, layout, items) = two_cells();
        // The owner died between committing and applying.
        let log_of = |memory| log(memory, &layout);
        for (index, item) in items.into_iter().enumerate() {
            item.write_next(&memory, 0, &[7_u64; 2]);
            log_of(&memory).write_entry(index, Entry { number: item.number, version: 1 });
        }
        memory.word(at::LOG).store(1 << 16 | 2, Ordering::Release);
        fence(Ordering::SeqCst);
        let reader = {
            let (memory, layout) = (Arc::clone(&memory), Arc::clone(&layout));
            thread::spawn(move || both(&memory, &layout, items))
        };
        let helper = {
            let (memory, layout) = (Arc::clone(&memory), Arc::clone(&layout));
            thread::spawn(move || {
                log(&memory, &layout).help(&layout);
                items[0].version(&memory)
            })
        };
        assert_eq!(log_of(&memory).settle(&layout), Settled::Completed(2));
        assert_eq!(helper.join().unwrap(), 1, "a helper has seen it applied when he goes on");
        if let Some(values) = reader.join().unwrap() {
            assert_eq!(values, [[7; 2]; 2], "committed before it began");
        }
        assert_eq!(items.map(|item| item.version(&memory)), [1, 1]);
    });
}
