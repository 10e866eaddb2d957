//! The region of these tests, keys that meet in its maps, and processes that play a part.

use coseg::{Cell, Map, Region, Shared, Text};

use crate::world::{KEY, World, backend_told, say};

#[derive(Shared, Clone, Copy, Debug, PartialEq, Default)]
#[repr(C)]
pub(crate) struct Position {
    pub(crate) amount: i64,
    /// What one costs.
    #[shared(unit = "EUR")]
    pub(crate) price: f64,
    pub(crate) open: bool,
}

#[derive(Region)]
pub(crate) struct Book {
    pub(crate) total: Cell<i64>,
    /// What is held.
    pub(crate) positions: Map<u64, Position, 64>,
    pub(crate) names: Map<Text<12>, u32, 5>,
    /// Each word of a value is the same.
    pub(crate) wide: Map<u64, [u64; 8], 1000>,
}

/// Words of a bucket that name an entry each.
pub(crate) const PLACES: usize = 7;

impl World {
    pub(crate) fn book(&self) -> Region<Book> {
        self.at::<Book>(KEY).open_or_create(BookInitial::default).unwrap()
    }
}

pub(crate) fn position(amount: i64) -> Position {
    Position { amount, price: 1.5, open: true }
}

/// The hash of a key of eight bytes, as FORMAT.md tells it.
pub(crate) fn hash(seed: u64, key: u64) -> u64 {
    let fold = |word: u64, factor: u64| {
        let product = u128::from(word) * u128::from(factor);
        u64::try_from((product ^ product >> 64) & u128::from(u64::MAX)).unwrap()
    };
    fold(fold(seed ^ key, 0x9e37_79b9_7f4a_7c15), 0xd6e8_feb8_6659_fd93)
}

/// The seed of a map.
pub(crate) fn seed(book: &Region<Book>, map: &str) -> u64 {
    let part = book.schema().parts.iter().find(|part| part.name == map).unwrap();
    let mut word = [0; 8];
    book.segment().attach_read_only().unwrap().read(part.offset + 8, &mut word).unwrap();
    u64::from_ne_bytes(word)
}

/// Keys that all belong into the first bucket of `positions`.
pub(crate) fn keys_that_meet(book: &Region<Book>, count: usize) -> Vec<u64> {
    let seed = seed(book, "positions");
    (0..).filter(|&key| hash(seed, key).is_multiple_of(32)).take(count).collect()
}

/// Keys of `wide` of which two each cannot be told apart by the halves of their hashes that the index has.
pub(crate) fn keys_alike(book: &Region<Book>, count: usize) -> Vec<[u64; 2]> {
    let seed = seed(book, "wide");
    let mut known = std::collections::HashMap::new();
    let alike = |key: u64| {
        let hash = hash(seed, key);
        known.insert((hash >> 32, hash % 512), key).map(|other| [other, key])
    };
    (0..).filter_map(alike).take(count).collect()
}

/// What [`World::actor_in`] starts; nothing in a usual run.
#[test]
fn actor() {
    let Ok(role) = std::env::var("COSEG_TEST_ROLE") else { return };
    let book = Region::<Book>::at(KEY).backend(&backend_told()).participant(&role).open().unwrap();
    match role.split_once(' ') {
        Some(("puts", amount)) => {
            book.positions.put(&7, position(amount.parse().unwrap())).unwrap();
            say("put");
        }
        Some(("waits", amount)) => {
            say("waits");
            let amount = amount.parse().unwrap();
            let is_other = |position: Option<&Position>| position.is_none_or(|own| own.amount != amount);
            book.positions.wait_while(&7, is_other, None).unwrap();
            say("seen");
        }
        _ => panic!("{role}?"),
    }
}
