//! Reading and replacing a key's value, as each contender does it.

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::duel::Contender;
use crate::turn::{Tally, Turn};

/// How many keys there are.
pub(super) const KEY_COUNT: usize = 10_000;
/// Numbers of keys fit in so many bits.
const NUMBER_BITS: u32 = 16;

pub(super) type Value = [u64; 8];

/// What is done again and again, with keys in random order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Job {
    /// Copy a key's value and see that it is whole and the key's.
    Get,
    /// Replace a key's value.
    Put,
}

/// The key of a number below [`KEY_COUNT`]. What it is of is not to be seen in it.
#[inline]
pub(super) fn key(number: usize) -> u64 {
    (number as u64).wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5bd1_e995_7b93_a0c7
}

/// All words of a key's value are the same: which of its values it is, and the key's number.
#[inline]
fn value(number: usize, count: u64) -> Value {
    [count << NUMBER_BITS | number as u64; 8]
}

/// All keys with their first values.
pub(super) fn first_values() -> impl Iterator<Item = (u64, Value)> {
    (0..KEY_COUNT).map(|number| (key(number), value(number, 0)))
}

#[inline]
fn is_whole(value: &Value, number: usize) -> bool {
    let same = value.iter().fold(0, |differences, word| differences | (word ^ value[0])) == 0;
    same && value[0] & ((1 << NUMBER_BITS) - 1) == number as u64
}

/// A map as its users have it.
pub(super) trait Store {
    /// Whether an operation takes microseconds.
    const IS_SLOW: bool = false;

    /// Called before a turn.
    fn prepare(&mut self, _: Job) -> Outcome {
        Ok(())
    }

    /// A copy of a key's value; `None`: it has none.
    fn get(&mut self, key: u64) -> Outcome<Option<Value>>;

    /// Replaces a key's value.
    fn put(&mut self, key: u64, value: Value) -> Outcome;
}

impl<S: Store> Contender<Job> for S {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        self.prepare(job)?;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut count, mut torn_count) = (0, 0);
        let get = |store: &mut S, number: usize| {
            let value = store.get(key(number))?.ok_or("a key is not there")?;
            torn_count += u64::from(!is_whole(&value, number));
            Ok(())
        };
        let put = |store: &mut S, number: usize| {
            count += 1;
            store.put(key(number), value(number, count))
        };
        let tally = match job {
            Job::Get => repeat(self, turn, &mut random, get),
            Job::Put => repeat(self, turn, &mut random, put),
        };
        Ok(Tally { torn_count, ..tally? })
    }
}

#[inline]
fn repeat<S: Store>(
    store: &mut S,
    turn: &Turn<'_>,
    random: &mut Random,
    mut act: impl FnMut(&mut S, usize) -> Outcome,
) -> Outcome<Tally> {
    let operation = || act(store, random.number());
    if S::IS_SLOW { turn.repeat_slow(operation) } else { turn.repeat(operation) }
}

/// The same numbers in every turn, of no pattern that a processor could learn.
struct Random(u64);

impl Random {
    #[inline]
    fn number(&mut self) -> usize {
        let Random(state) = self;
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (((*state >> 32) * KEY_COUNT as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_values_tell_whose_they_are() {
        let keys: std::collections::HashSet<u64> = (0..KEY_COUNT).map(key).collect();
        assert_eq!(keys.len(), KEY_COUNT);
        let own = value(7, 3);
        assert!(is_whole(&own, 7) && !is_whole(&own, 8));
        let mut torn = own;
        torn[5] = value(7, 4)[5];
        assert!(!is_whole(&torn, 7));
    }

    #[test]
    fn every_key_is_asked_for() {
        let mut random = Random(1);
        let numbers: std::collections::HashSet<usize> =
            (0..20 * KEY_COUNT).map(|_| random.number()).collect();
        assert_eq!(numbers.len(), KEY_COUNT);
    }
}
