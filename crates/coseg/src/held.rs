//! Which locks the calling thread holds, so that it is told when it would wait for itself.

use std::cell::Cell;

/// More than anybody holds at a time; of what is held beyond, nothing is known.
const MOST: usize = 16;

struct Held {
    count: Cell<usize>,
    /// The region, by its address, and the lock's number.
    locks: [Cell<(usize, usize)>; MOST],
}

thread_local! {
    static HELD: Held = const { Held { count: Cell::new(0), locks: [const { Cell::new((0, 0)) }; MOST] } };
}

/// Notes that the thread holds a lock.
#[inline]
pub(crate) fn add(region: usize, number: usize) {
    HELD.with(|held| {
        let count = held.count.get();
        if let Some(lock) = held.locks.get(count) {
            lock.set((region, number));
        }
        held.count.set(count + 1);
    });
}

/// Notes that it no longer does.
#[inline]
pub(crate) fn remove(region: usize, number: usize) {
    HELD.with(|held| {
        let last = held.count.get() - 1;
        held.count.set(last);
        if held.locks.get(last).is_none_or(|lock| lock.get() != (region, number)) {
            held.close_gap((region, number), last);
        }
    });
}

impl Held {
    /// Guards may be dropped in any order.
    #[cold]
    fn close_gap(&self, removed: (usize, usize), last: usize) {
        let known = &self.locks[..MOST.min(last + 1)];
        if let Some(found) = known.iter().rposition(|lock| lock.get() == removed) {
            for at in found..known.len() - 1 {
                known[at].set(known[at + 1].get());
            }
        }
    }
}

/// A lock of the region that the thread holds and that does not come before `number`.
#[inline]
pub(crate) fn at_or_after(region: usize, number: usize) -> Option<usize> {
    HELD.with(|held| {
        let count = held.count.get();
        if count == 0 {
            return None;
        }
        let known = &held.locks[..MOST.min(count)];
        known.iter().map(Cell::get).find(|lock| lock.0 == region && lock.1 >= number).map(|lock| lock.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_known_until_they_are_given_back_in_any_order() {
        for number in 0..MOST + 3 {
            assert_eq!(at_or_after(7, number), None);
            add(7, number);
        }
        assert_eq!(at_or_after(7, 5), Some(5));
        assert_eq!(at_or_after(8, 0), None, "of another region");
        remove(7, 5);
        assert_eq!(at_or_after(7, 5), Some(6));
        for number in (0..MOST + 3).filter(|&number| number != 5) {
            remove(7, number);
        }
        assert_eq!(at_or_after(7, 0), None);
    }
}
