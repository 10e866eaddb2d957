//! Whether operations that overlap can have happened one after the other: Wing and Gong's search, with Lowe's memory of
//! what was tried.

use std::collections::HashSet;
use std::hash::Hash;

/// One operation on an object.
pub(super) trait Operation {
    type State: Copy + Eq + Hash;

    fn begin(&self) -> u64;
    /// `None`: it was not completed; it has happened at any time since, or never.
    fn end(&self) -> Option<u64>;
    /// The state after it, if it can have found this one.
    fn apply(&self, state: Self::State) -> Option<Self::State>;
}

/// Beginnings and ends of operations in the order of time, as a list that operations are taken out of and put back into.
struct Entries {
    /// The operation, and whether it is its end.
    of: Vec<(usize, bool)>,
    next: Vec<usize>,
    before: Vec<usize>,
    begin_of: Vec<usize>,
    end_of: Vec<Option<usize>>,
}

/// Stands before the first entry.
const HEAD: usize = 0;

impl Entries {
    fn new<O: Operation>(operations: &[O]) -> Entries {
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            times.push((operation.begin(), false, index));
            times.extend(operation.end().map(|end| (end, true, index)));
        }
        // At the same time, what begins overlaps with what ends.
        times.sort_unstable();
        let count = times.len() + 1;
        let mut entries = Entries {
            of: vec![(usize::MAX, false)],
            next: (1..=count).collect(),
            before: (0..=count).map(|at| at.wrapping_sub(1)).collect(),
            begin_of: vec![0; operations.len()],
            end_of: vec![None; operations.len()],
        };
        for (at, (_, is_end, operation)) in times.into_iter().enumerate() {
            entries.of.push((operation, is_end));
            if is_end {
                entries.end_of[operation] = Some(at + 1);
            } else {
                entries.begin_of[operation] = at + 1;
            }
        }
        entries
    }

    fn is_entry(&self, at: usize) -> bool {
        at < self.of.len()
    }

    fn unlink(&mut self, at: usize) {
        let (before, next) = (self.before[at], self.next[at]);
        self.next[before] = next;
        self.before[next] = before;
    }

    fn link(&mut self, at: usize) {
        let (before, next) = (self.before[at], self.next[at]);
        self.next[before] = at;
        self.before[next] = at;
    }

    fn take(&mut self, operation: usize) {
        self.unlink(self.begin_of[operation]);
        if let Some(end) = self.end_of[operation] {
            self.unlink(end);
        }
    }

    fn put_back(&mut self, operation: usize) {
        if let Some(end) = self.end_of[operation] {
            self.link(end);
        }
        self.link(self.begin_of[operation]);
    }
}

/// Finds an order from a first state on. An error is the operation that no order got past: the one that ended first of
/// those that the best attempt could not explain.
pub(super) fn check<O: Operation>(first: O::State, operations: &[O]) -> Result<(), usize> {
    let mut entries = Entries::new(operations);
    let mut state = first;
    let mut taken: Vec<(usize, O::State)> = Vec::new();
    let mut done = vec![0_u64; operations.len().div_ceil(64)];
    let mut tried: HashSet<(Vec<u64>, O::State)> = HashSet::new();
    let mut furthest = HEAD;
    let mut at = entries.next[HEAD];
    // What is left when no end is left are operations that need not have happened.
    while entries.is_entry(at) {
        let (operation, is_end) = entries.of[at];
        if !is_end {
            let bit = 1 << (operation % 64);
            let after = operations[operation].apply(state).filter(|after| {
                done[operation / 64] |= bit;
                let is_new = tried.insert((done.clone(), *after));
                if !is_new {
                    done[operation / 64] &= !bit;
                }
                is_new
            });
            if let Some(after) = after {
                taken.push((operation, state));
                state = after;
                entries.take(operation);
                at = entries.next[HEAD];
            } else {
                at = entries.next[at];
            }
            continue;
        }
        // This one has ended, and whatever came before it does not explain it.
        furthest = furthest.max(at);
        let Some((last, before)) = taken.pop() else {
            return Err(entries.of[furthest].0);
        };
        done[last / 64] &= !(1 << (last % 64));
        state = before;
        entries.put_back(last);
        at = entries.next[entries.begin_of[last]];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Operation, check};
    use crate::hall::Part;
    use crate::record::{Deed, Record};

    /// An operation on the one key, from `begin` to `end`; 0 is never.
    fn operation(begin: u64, end: u64, deed: Deed, value: u64, found: u64) -> Record {
        let end = (end != 0).then_some(end);
        Record { begin, end, value, found: [found, 0, 0, 0], ..Record::new(deed, Part::Map) }
    }

    fn put(begin: u64, end: u64, value: u64, found: u64) -> Record {
        operation(begin, end, Deed::Put, value, found)
    }

    fn get(begin: u64, end: u64, found: u64) -> Record {
        operation(begin, end, Deed::Get, 0, found)
    }

    fn stuck(records: &[Record]) -> Option<usize> {
        check(0, &records.iter().collect::<Vec<_>>()).err()
    }

    #[test]
    fn those_that_overlap_may_have_been_in_either_order() {
        assert_eq!(stuck(&[]), None);
        assert_eq!(stuck(&[put(1, 4, 7, 0), get(2, 3, 0)]), None);
        assert_eq!(stuck(&[put(1, 4, 7, 0), get(2, 3, 7)]), None);
        assert_eq!(stuck(&[put(1, 9, 7, 8), put(2, 8, 8, 0), get(3, 4, 8), get(5, 6, 7)]), None);
    }

    #[test]
    fn what_was_seen_is_not_unseen() {
        assert_eq!(stuck(&[put(1, 9, 7, 0), get(2, 3, 7), get(4, 5, 0)]), Some(2));
        assert_eq!(stuck(&[put(1, 2, 7, 0), get(3, 4, 0)]), Some(1));
        assert_eq!(stuck(&[put(1, 9, 7, 0), put(2, 8, 8, 7), get(3, 4, 8), get(5, 6, 7)]), Some(3));
        assert_eq!(stuck(&[get(1, 2, 7), put(3, 4, 7, 0)]), Some(0));
    }

    #[test]
    fn two_do_not_both_find_the_same_before() {
        assert!(stuck(&[put(1, 9, 7, 0), put(2, 8, 8, 0)]).is_some());
        assert_eq!(stuck(&[operation(1, 9, Deed::Remove, 0, 7), put(2, 8, 7, 0), get(10, 11, 7)]), Some(2));
    }

    #[test]
    fn one_who_was_killed_did_it_at_any_time_or_never() {
        let killed = |rest: &[Record]| stuck(&[&[put(1, 0, 7, 0)], rest].concat());
        assert_eq!(killed(&[]), None);
        assert_eq!(killed(&[get(2, 3, 0), get(4, 5, 7)]), None);
        assert_eq!(killed(&[get(2, 3, 0), get(4, 5, 0)]), None);
        assert_eq!(killed(&[get(2, 3, 7), get(4, 5, 0)]), Some(2));
        assert_eq!(stuck(&[get(1, 2, 7), put(3, 0, 7, 0)]), Some(0));
    }

    #[test]
    fn many_at_once_are_soon_told() {
        // All overlap, and only one order explains them.
        let chain = |last| -> Vec<Record> {
            let step =
                |index: u64| put(1 + index, 1000 - index, index + 1, if index == last { 99 } else { index });
            (0..40).rev().map(step).collect()
        };
        assert_eq!(stuck(&chain(u64::MAX)), None);
        assert!(stuck(&chain(0)).is_some());
        let record = get(1, 2, 0);
        assert_eq!((&record).apply(3), None);
    }
}
