//! A region with a map of few entries, whose keys meet as they are wanted to.

use std::io;

use coseg::{Cell, Error, Map, Region};

use crate::world::{LOG_AT, On, World};

/// What an entry's value is: three times the same.
pub(crate) type Stock = [u64; 3];

#[derive(Region)]
pub(crate) struct Shop {
    pub(crate) sold: Cell<u64>,
    pub(crate) stock: Map<u64, Stock, CAPACITY>,
}

pub(crate) const CAPACITY: usize = 12;
const BUCKET_COUNT: u64 = 4;
/// As many keys as a bucket has places, two for its chain, and one more.
const MEETING_COUNT: usize = 10;
const OTHER_COUNT: usize = 4;

/// Where things lie in a map, as FORMAT.md says.
const SEED: usize = 8;
const SOONEST: usize = 16;
/// Behind a line each for bell, moves, bits and transit, the buckets, two for the links, and the slots of even versions.
const ENTRIES: usize = 4 * 64 + 4 * 64 + 2 * 64 + CAPACITY * ENTRY_SIZE;
/// Of a version and a slot of 40 bytes.
const ENTRY_SIZE: usize = 64;
const SLOT: usize = 8;
const TRANSIT: usize = 3 * 64;
const IN_TRANSIT: u64 = 1 << 63;
const WORD_OF_MAP: u64 = 1 << 62;

/// What an operation finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Three keys.
    Few,
    /// The same, and the bell says that somebody sleeps.
    Sleepers,
    /// One bucket is full, and has a chain of two.
    Crowded,
    /// All entries are in use, one of them expired.
    Full,
    /// A transaction on a crowded map is committed and not yet applied, and its process is dead.
    Committed,
    /// A value was put and committed, and its process died before it was where it belongs.
    InTransit,
}

/// The hash of a key, as FORMAT.md tells it, with a seed of nothing.
fn hash(key: u64) -> u64 {
    let fold = |word: u64, factor: u64| {
        let product = u128::from(word) * u128::from(factor);
        u64::try_from((product ^ product >> 64) & u128::from(u64::MAX)).unwrap()
    };
    fold(fold(key, 0x9e37_79b9_7f4a_7c15), 0xd6e8_feb8_6659_fd93)
}

fn keys_of(bucket: u64, count: usize) -> impl Iterator<Item = u64> {
    (1..).filter(move |&key| hash(key) % BUCKET_COUNT == bucket).take(count)
}

/// Keys of one bucket.
pub(crate) fn meeting() -> [u64; MEETING_COUNT] {
    let keys: Vec<u64> = keys_of(0, MEETING_COUNT).collect();
    keys.try_into().unwrap()
}

/// Keys of another.
pub(crate) fn other() -> [u64; OTHER_COUNT] {
    let keys: Vec<u64> = keys_of(1, OTHER_COUNT).collect();
    keys.try_into().unwrap()
}

pub(crate) fn all_keys() -> impl Iterator<Item = u64> {
    meeting().into_iter().chain(other())
}

/// The shop as an operation finds it.
pub(crate) fn shop(on: On, scene: Scene) -> io::Result<World<Shop>> {
    let mut world = World::<Shop>::of(on, 4, ShopInitial::default)?;
    let map_at = world.offset_of("stock");
    // The map is empty: its seed decides nothing yet.
    world.set_word(map_at + SEED, 0);
    let region = world.kept.as_ref().unwrap();
    let (meeting_count, other_count) = match scene {
        Scene::Few | Scene::Sleepers | Scene::InTransit => (2, 1),
        Scene::Crowded | Scene::Committed => (MEETING_COUNT - 1, 1),
        Scene::Full => (MEETING_COUNT - 1, CAPACITY - (MEETING_COUNT - 1)),
    };
    let keys = meeting().into_iter().take(meeting_count).chain(other().into_iter().take(other_count));
    for (number, key) in (1..).zip(keys) {
        region.stock.put(&key, [number; 3]).unwrap();
    }
    // By way of the transit slot.
    region.stock.put(&meeting()[0], [1; 3]).unwrap();
    match scene {
        Scene::Few | Scene::Crowded => world.leave(),
        Scene::Sleepers => {
            world.poke(map_at, world.half(map_at) | 1);
            world.leave();
        }
        Scene::Full => {
            expire(&world, map_at, MEETING_COUNT);
            world.leave();
        }
        Scene::Committed => die_committed(&mut world, map_at),
        Scene::InTransit => die_in_transit(&mut world, map_at),
    }
    Ok(world)
}

/// Makes an entry that was put once one that has expired long ago.
fn expire(world: &World<Shop>, map_at: usize, entry: usize) {
    let until_at = map_at + ENTRIES + entry * ENTRY_SIZE + SLOT;
    assert_eq!(world.word(until_at), u64::MAX, "the entry's time");
    world.set_word(until_at, 1);
    world.set_word(map_at + SOONEST, 1);
}

/// Has the last that was put stand in the transit slot alone.
fn die_in_transit(world: &mut World<Shop>, map_at: usize) {
    let entry = world.word(map_at + TRANSIT);
    let entry_at = map_at + ENTRIES + usize::try_from(entry).unwrap() * ENTRY_SIZE;
    world.set_word(entry_at, world.word(entry_at) | IN_TRANSIT);
    for at in (SLOT..ENTRY_SIZE).step_by(8) {
        world.set_word(entry_at + at, 0xdead);
    }
    world.die_holding("region");
}

/// Takes back what a transaction did after it was committed, and has its process die there.
fn die_committed(world: &mut World<Shop>, map_at: usize) {
    let sold_at = world.offset_of("sold");
    // Longer than the log of any one transaction here.
    let entries = || 0..24;
    for index in entries() {
        world.set_word(world.log_entry_at(index), 0);
        world.set_word(world.log_entry_at(index) + 8, 0);
    }
    let end = map_at + ENTRIES + CAPACITY * ENTRY_SIZE;
    let before: Vec<u64> = (0..end / 8).map(|index| world.word(index * 8)).collect();
    transaction(world.kept.as_ref().unwrap()).unwrap();
    let mut count = 0;
    for index in entries() {
        let at = world.log_entry_at(index);
        let place = match (world.word(at), world.word(at + 8)) {
            (0, 0) => break,
            (0, _) => sold_at,
            (word, _) if word & WORD_OF_MAP != 0 => usize::try_from(word & !WORD_OF_MAP).unwrap(),
            (number, _) => map_at + ENTRIES + (usize::try_from(number).unwrap() - 1) * ENTRY_SIZE,
        };
        world.set_word(place, before[place / 8]);
        count += 1;
    }
    assert_eq!(count, 8, "entries of the transaction");
    world.set_word(LOG_AT, world.word(LOG_AT) | count);
    world.die_holding("region");
}

/// Two keys, one of them new, and a cell; where a bucket is crowded, the new one goes to its chain.
pub(crate) fn transaction(region: &Region<Shop>) -> Result<(), Error> {
    let [gone, .., come] = meeting();
    region.transaction(|change| {
        change.map(&region.stock).put(&come, [70; 3])?;
        change.map(&region.stock).remove(&gone)?;
        change.update(&region.sold, |sold| *sold += 1)
    })
}
