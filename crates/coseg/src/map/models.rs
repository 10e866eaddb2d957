//! Maps under a model checker; see [`crate::models`]. Two buckets, each of one place and a chain.

use std::mem::MaybeUninit;

use super::edit::{Edit, Image, Put};
use super::find::{self, NEVER, Now, Overtaken};
use super::geometry::{Geometry, SLOTS, entry_type, value_offset};
use super::hash::{HashedKey, hash};
use crate::Shared;
use crate::few::Few;
use crate::item::Typed;
use crate::layout::{IN_TRANSIT, Layout, at};
use crate::log::{Committed, Log, Settled};
use crate::memory::{Memory, WORD, stored};
use crate::models::model;
use crate::schema::{Part, PartKind, Schema};
use crate::snapshot::Moment;
use crate::sync::checker::sync::Arc;
use crate::sync::checker::thread;
use crate::sync::{AtomicU64, Ordering};

const CAPACITY: usize = 4;

pub(super) struct World {
    pub(super) memory: Memory,
    pub(super) layout: Layout,
    free_from: AtomicU64,
}

/// The same twice: the key, and a number above it.
type Value = [u64; 2];

pub(super) type Found = Result<Option<u64>, Overtaken>;

/// The number-th key of a bucket.
pub(super) fn key(bucket: u64, number: usize) -> u64 {
    (1..).filter(|key: &u64| hash(0, &key.to_ne_bytes()) & 1 == bucket).nth(number).unwrap()
}

pub(super) fn world() -> Arc<World> {
    let part = Part {
        name: "map".into(),
        doc: String::new(),
        kind: PartKind::Map,
        of: Some(entry_type(u64::describe(), Value::describe())),
        row_count: CAPACITY,
        slot_count: SLOTS,
        room_bytes: value_offset(8) + size_of::<Value>(),
        offset: 0,
    };
    let layout = Layout::new(Schema { name: String::new(), parts: vec![part] }, 1).unwrap();
    Arc::new(World { memory: Memory::heap(layout.size_bytes), layout, free_from: AtomicU64::new(0) })
}

/// A transaction of who holds the lock, all but its end.
pub(super) struct Change<'w> {
    world: &'w World,
    set: Few<Committed>,
}

impl<'w> Change<'w> {
    fn edit(&mut self) -> Edit<'_> {
        let World { free_from, .. } = self.world;
        Edit { map: self.world.map(), log: self.world.log(), set: &mut self.set, free_from }
    }

    pub(super) fn put(mut self, key: u64, number: u64) -> Change<'w> {
        let put = Put { until: NEVER, value: [number << 32 | key; 2] };
        let bytes = key.to_ne_bytes();
        let hashed = HashedKey::new(0, &bytes);
        let found = self.edit().find(&hashed).unwrap();
        self.edit().put(&hashed, found.as_ref(), &put, || 0).unwrap();
        self
    }

    pub(super) fn remove(mut self, key: u64) -> Change<'w> {
        let bytes = key.to_ne_bytes();
        let found = self.edit().find(&HashedKey::new(0, &bytes)).unwrap().unwrap();
        self.edit().remove(&found).unwrap();
        self
    }

    pub(super) fn commit(self) {
        let log = self.world.log();
        match self.set.iter().next() {
            Some(&only) if self.set.len() == 1 => log.commit_one(only),
            _ => log.commit(self.set.len(), self.set.iter().copied()),
        }
    }

    /// Commits it, and goes no further.
    fn commit_and_stop(self) {
        let word = self.world.memory.word(at::LOG);
        let commits = (word.load(Ordering::Relaxed) >> 16) + 1;
        word.store(commits << 16 | self.set.len() as u64, Ordering::Release);
    }
}

impl World {
    fn map(&self) -> &Geometry {
        self.layout.map_of(0).unwrap()
    }

    pub(super) fn log(&self) -> Log<'_> {
        Log {
            memory: &self.memory,
            entries_at: self.layout.log_entries_at,
            count: self.layout.log_entry_count,
        }
    }

    pub(super) fn change(&self) -> Change<'_> {
        Change { world: self, set: Few::new(Committed::NOTHING) }
    }

    /// Sets the value of a key that is there, and nothing else.
    pub(super) fn replace(&self, key: u64, number: u64) {
        let mut image = MaybeUninit::uninit();
        let value = [number << 32 | key; 2];
        let put = Put { until: NEVER, value: Image(stored(&value, &mut image)) };
        let bytes = key.to_ne_bytes();
        let hashed = HashedKey::new(0, &bytes);
        self.map().replace(self.log(), &self.found(&hashed), &hashed, &put);
    }

    /// The same, and goes no further than to commit it.
    fn depart(&self, key: u64, number: u64) {
        self.replace(key, number);
        let found = self.found(&HashedKey::new(0, &key.to_ne_bytes()));
        let item = self.map().item(found.entry);
        self.memory.word(item.version_at).store(found.version | IN_TRANSIT, Ordering::Relaxed);
        // What is not to be read yet.
        self.memory.write(item.slot_at(found.version), &[0; 3 * WORD]);
    }

    fn found(&self, key: &HashedKey<'_>) -> find::Found {
        self.map().find(&self.memory, &Now::to_write(&self.memory), key).unwrap().unwrap()
    }

    /// The number in the value of a key, which must be the key's own.
    pub(super) fn get(&self, key: u64) -> Found {
        let bytes = key.to_ne_bytes();
        let found =
            self.map().read_for_certain(&self.log(), &HashedKey::new(0, &bytes), &Typed::<Value>::NEW)?;
        Ok(found.map(|(_, value)| World::number_of(key, value)))
    }

    /// The same as a snapshot reads it.
    pub(super) fn get_in(&self, moment: &Moment<'_>, key: u64) -> Found {
        let bytes = key.to_ne_bytes();
        let found =
            self.map().read(&self.memory, moment, &HashedKey::new(0, &bytes), &Typed::<Value>::NEW)?;
        if !moment.is_now() {
            return Err(Overtaken);
        }
        Ok(found.map(|(_, value)| World::number_of(key, value)))
    }

    fn number_of(key: u64, [value, again]: Value) -> u64 {
        assert_eq!(value, again, "half of two values");
        assert_eq!(value & u64::from(u32::MAX), key, "another key's value");
        value >> 32
    }
}

fn spawn<T: Send + 'static>(
    world: &Arc<World>,
    act: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || act(&world))
}

/// The entry that stood before it in the chain goes to the other bucket's.
#[test]
fn a_key_that_stays_is_found_while_its_chain_is_changed() {
    model(1, || {
        let world = world();
        let [place, last, first] = [0, 1, 2].map(|number| key(0, number));
        // A chain begins with the entry that came last.
        world.change().put(place, 0).put(last, 1).put(first, 2).put(key(1, 0), 3).commit();
        let reader = spawn(&world, move |world| world.get(last));
        world.change().remove(first).commit();
        world.change().put(key(1, 1), 4).commit();
        assert!(matches!(reader.join().unwrap(), Ok(Some(1)) | Err(Overtaken)));
    });
}

/// One transaction removes it, gives its entry to another, and puts it anew.
#[test]
fn a_key_that_moves_is_found() {
    model(2, || {
        let world = world();
        let [own, other] = [key(0, 0), key(1, 0)];
        world.change().put(own, 1).commit();
        let reader = spawn(&world, move |world| world.get(own));
        world.change().put(own, 2).remove(own).put(other, 3).put(own, 4).commit();
        assert!(matches!(reader.join().unwrap(), Ok(Some(1 | 4)) | Err(Overtaken)));
    });
}

#[test]
fn a_value_is_whole_and_neither_an_old_one_nor_another_keys() {
    model(1, || {
        let world = world();
        let [own, other] = [key(0, 0), key(0, 1)];
        world.change().put(own, 0).commit();
        world.change().put(own, 1).commit();
        let reader = spawn(&world, move |world| world.get(own));
        // What the entry held before is in the slot of the version that removes it.
        world.change().remove(own).commit();
        world.change().put(other, 2).commit();
        assert!(matches!(reader.join().unwrap(), Ok(Some(1) | None) | Err(Overtaken)));
    });
}

/// The next one's way is the same.
#[test]
fn a_value_that_comes_by_transit_is_whole() {
    model(2, || {
        let world = world();
        let [own, other] = [key(0, 0), key(1, 0)];
        world.change().put(own, 1).put(other, 1).commit();
        let reader = spawn(&world, move |world| world.get(own));
        world.replace(own, 2);
        world.replace(other, 3);
        assert!(matches!(reader.join().unwrap(), Ok(Some(1 | 2)) | Err(Overtaken)));
        assert_eq!((world.get(own), world.get(other)), (Ok(Some(2)), Ok(Some(3))));
    });
}

/// Whose process is dead or stopped on the way; somebody takes it over meanwhile.
#[test]
fn a_value_in_transit_is_seen_before_it_has_arrived() {
    model(2, || {
        let world = world();
        let [own, other] = [key(0, 0), key(1, 0)];
        world.change().put(own, 1).put(other, 1).commit();
        world.depart(own, 2);
        let reader = spawn(&world, move |world| [own, own, other].map(|key| world.get(key)));
        assert_eq!(world.log().settle(&world.layout), Settled::Completed(1));
        world.replace(other, 3);
        let [once, again, beside] = reader.join().unwrap();
        for seen in [once, again] {
            assert!(matches!(seen, Ok(Some(2)) | Err(Overtaken)));
        }
        assert!(matches!(beside, Ok(Some(1 | 3)) | Err(Overtaken)));
    });
}

/// A moment shows neither as it is to be before the other is.
#[test]
fn values_that_come_by_transit_are_of_one_moment() {
    model(1, || {
        let world = world();
        let [first, second] = [key(0, 0), key(1, 0)];
        world.change().put(first, 1).put(second, 1).commit();
        let reader = spawn(&world, move |world| {
            Moment::now(world.log())
                .map(|moment| [second, first, second].map(|key| world.get_in(&moment, key)))
        });
        world.replace(first, 2);
        world.replace(second, 2);
        if let Some([Ok(second), Ok(first), Ok(again)]) = reader.join().unwrap() {
            assert_eq!(second, again);
            assert!(first >= second, "{first:?} with {second:?}");
        }
    });
}

/// Also one who reads later than another who has seen it.
#[test]
fn nobody_sees_a_change_and_then_not() {
    model(1, || {
        let world = world();
        let [gone, come] = [key(0, 0), key(0, 1)];
        world.change().put(gone, 1).commit();
        let reader = spawn(&world, move |world| {
            let snapshot = Moment::now(world.log()).map(|moment| {
                world.log().help(&world.layout);
                [gone, come].map(|key| world.get_in(&moment, key))
            });
            (snapshot, [gone, come].map(|key| world.get(key)))
        });
        world.change().remove(gone).put(come, 2).commit();
        let (snapshot, later) = reader.join().unwrap();
        let [gone, come] = snapshot.unwrap_or([Err(Overtaken); 2]);
        if let (Ok(gone), Ok(come)) = (gone, come) {
            assert_eq!(gone.is_none(), come.is_some(), "half of it");
        }
        if gone == Ok(None) {
            assert!(matches!(later[0], Ok(None) | Err(Overtaken)));
        }
        if matches!(come, Ok(Some(_))) {
            assert!(matches!(later[1], Ok(Some(2)) | Err(Overtaken)));
        }
    });
}

/// Its process is dead or stopped: nobody waits for it, and somebody recovers it meanwhile.
#[test]
fn what_is_committed_is_seen_before_it_is_applied() {
    model(1, || {
        let world = world();
        let [gone, come] = [key(0, 0), key(0, 1)];
        world.change().put(gone, 1).commit();
        world.change().remove(gone).put(come, 2).commit_and_stop();
        let reader = spawn(&world, move |world| [world.get(come), world.get(come), world.get(gone)]);
        assert!(matches!(world.log().settle(&world.layout), Settled::Completed(_)));
        let [once, again, gone_now] = reader.join().unwrap();
        for seen in [once, again] {
            assert!(matches!(seen, Ok(Some(2)) | Err(Overtaken)));
        }
        assert!(matches!(gone_now, Ok(None | Some(1)) | Err(Overtaken)));
        assert_eq!((world.get(gone), world.get(come)), (Ok(None), Ok(Some(2))));
    });
}
