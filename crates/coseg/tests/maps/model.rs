//! Random operations on a map and on `HashMap`, which must agree.

use std::collections::HashMap;
use std::time::Duration;

use coseg::{ErrorKind, Map, Region, Result, Stamp, Swap};
use coseg_crash::SplitMix;

use crate::book::{Book, PLACES, Position, hash, keys_alike, keys_that_meet, position, seed};
use crate::world::on_each;

struct Numbers(SplitMix);

impl Numbers {
    /// The seed that COSEG_SEED tells, or one of the clock's.
    fn new() -> Numbers {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let told = std::env::var("COSEG_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = told.unwrap_or(u64::from(now.subsec_nanos()));
        eprintln!("COSEG_SEED={seed}");
        Numbers(SplitMix::new(seed))
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.number() % count as u64).unwrap()
    }
}

fn is_long() -> bool {
    std::env::var_os("COSEG_LONG").is_some_and(|value| value == "1")
}

struct Pair<'m> {
    map: &'m Map<u64, Position, 64>,
    model: HashMap<u64, Position>,
    stamps: HashMap<u64, Stamp>,
}

impl Pair<'_> {
    /// A put of a key that has no place is refused.
    fn expect_put<T>(&self, key: u64, done: Result<T>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::Full);
                assert!(!self.model.contains_key(&key) && self.model.len() == 64, "{error}");
                None
            }
        }
    }

    fn step(&mut self, numbers: &mut Numbers, key: u64) {
        let value = position(i64::try_from(numbers.0.number() >> 1).unwrap());
        let before = self.model.get(&key).copied();
        match numbers.below(9) {
            0 | 1 => {
                if let Some(was) = self.expect_put(key, self.map.put(&key, value)) {
                    assert_eq!(was, before);
                    self.model.insert(key, value);
                }
            }
            2 => {
                if let Some(inserted) = self.expect_put(key, self.map.insert(&key, value)) {
                    assert_eq!(inserted, before.is_none());
                    self.model.entry(key).or_insert(value);
                }
            }
            3 | 4 => {
                assert_eq!(self.map.remove(&key).unwrap(), before);
                self.model.remove(&key);
            }
            5 => {
                let removes = numbers.below(2) == 0;
                let change = |own: &mut Option<Position>| {
                    assert_eq!(*own, before);
                    *own = (!removes).then_some(value);
                };
                if self.expect_put(key, self.map.update(&key, change)).is_some() {
                    self.model.remove(&key);
                    self.model.extend((!removes).then_some((key, value)));
                }
            }
            6 => {
                let seen = if numbers.below(4) == 0 { None } else { self.stamps.get(&key).copied() };
                let current = self.map.get_stamped(&key).unwrap();
                assert_eq!(current.map(|(value, _)| value), before);
                match self.expect_put(key, self.map.compare_and_swap(&key, seen, value)) {
                    Some(Swap::Done(stamp)) => {
                        assert_eq!(seen, current.map(|(_, stamp)| stamp));
                        self.model.insert(key, value);
                        self.stamps.insert(key, stamp);
                    }
                    Some(Swap::Other(other)) => {
                        assert_eq!(other, current);
                        assert_ne!(seen, current.map(|(_, stamp)| stamp));
                    }
                    None => {}
                }
            }
            7 => {
                let got = self.map.get_stamped(&key).unwrap();
                assert_eq!(got.map(|(value, _)| value), before);
                self.stamps.extend(got.map(|(_, stamp)| (key, stamp)));
            }
            _ => {
                assert_eq!(self.map.contains(&key).unwrap(), before.is_some());
                if numbers.below(50) == 0 {
                    self.map.clear().unwrap();
                    self.model.clear();
                }
            }
        }
    }

    /// Several changes at once, or none of them.
    fn transaction(&mut self, book: &Region<Book>, numbers: &mut Numbers, keys: &[u64]) {
        let mut model = self.model.clone();
        let commits = numbers.below(3) > 0;
        let done: Result<()> = book.transaction(|change| {
            for _ in 0..numbers.below(12) {
                let key = keys[numbers.below(keys.len())];
                let value = position(i64::try_from(numbers.0.number() >> 1).unwrap());
                let mut own = change.map(self.map);
                match numbers.below(4) {
                    0 => assert_eq!(own.remove(&key)?, model.remove(&key)),
                    1 => assert_eq!(own.get(&key)?, model.get(&key).copied()),
                    2 => {
                        own.update(&key, |own| own.as_mut().map(|own| own.amount = 1))?;
                        model.entry(key).and_modify(|own| own.amount = 1);
                    }
                    _ if model.len() < 64 || model.contains_key(&key) => {
                        assert_eq!(
                            own.put_for(&key, value, Duration::from_secs(600))?,
                            model.insert(key, value)
                        );
                    }
                    _ => assert_eq!(own.put(&key, value).unwrap_err().kind(), &ErrorKind::Full),
                }
            }
            if commits { Ok(()) } else { book.names.get(&"".into()).map(drop).and(Err(refusal(book))) }
        });
        assert_eq!(done.is_ok(), commits);
        if commits {
            self.model = model;
        }
    }

    fn check(&self) {
        let found: HashMap<u64, Position> = self.map.iter().collect();
        assert_eq!(found, self.model);
        assert_eq!((self.map.len(), self.map.iter().count()), (self.model.len(), self.model.len()));
        for (key, value) in &self.model {
            assert_eq!(self.map.get(key).unwrap(), Some(*value));
        }
    }
}

fn refusal(book: &Region<Book>) -> coseg::Error {
    book.positions.update(&0, |_| book.total.set(1)).unwrap_err()
}

fn agree(count: usize, keys_of: impl Fn(&Region<Book>) -> Vec<u64> + Sync) {
    on_each(|world| {
        let book = world.book();
        let keys = keys_of(&book);
        let mut numbers = Numbers::new();
        let mut pair = Pair { map: &book.positions, model: HashMap::new(), stamps: HashMap::new() };
        for round in 0..if is_long() { 50 * count } else { count } {
            if numbers.below(10) == 0 {
                pair.transaction(&book, &mut numbers, &keys);
            } else {
                let key = keys[numbers.below(keys.len())];
                pair.step(&mut numbers, key);
            }
            if round % 64 == 0 {
                pair.check();
            }
        }
        pair.check();
        book.remove().unwrap();
    });
}

#[test]
fn keys_that_spread() {
    agree(20_000, |_| (0..90).collect());
}

#[test]
fn keys_of_one_bucket() {
    agree(20_000, |book| keys_that_meet(book, 70));
}

#[test]
fn keys_that_just_overflow_a_bucket() {
    agree(20_000, |book| keys_that_meet(book, PLACES + 2));
}

/// Also keys of which the index cannot tell that they are others.
#[test]
fn keys_with_the_same_hash_are_told_apart() {
    on_each(|world| {
        let book = world.book();
        let seed = seed(&book, "wide");
        for [one, other] in keys_alike(&book, 2) {
            let [first, second] = [one, other].map(|key| hash(seed, key));
            assert_eq!((first >> 32, first % 512), (second >> 32, second % 512));
            book.wide.put(&one, [1; 8]).unwrap();
            assert_eq!(book.wide.get(&other).unwrap(), None);
            book.wide.put(&other, [2; 8]).unwrap();
            assert_eq!(
                (book.wide.get(&one).unwrap(), book.wide.get(&other).unwrap()),
                (Some([1; 8]), Some([2; 8]))
            );
            book.wide.remove(&one).unwrap();
            assert_eq!((book.wide.get(&one).unwrap(), book.wide.get(&other).unwrap()), (None, Some([2; 8])));
        }
        book.remove().unwrap();
    });
}
