//! Places that are looked up and checked once, for those who come to them millions of times a second.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{WORD, Words, outside};

/// A place in what `K` has.
#[derive(Debug)]
pub(crate) struct Fixed<W: ?Sized, K> {
    place: NonNull<W>,
    /// Keeps it where it is.
    _keep: Arc<K>,
}

// SAFETY: stands for a shared reference to the place, and for the pointer that keeps it.
unsafe impl<W: Sync + ?Sized, K: Send + Sync> Send for Fixed<W, K> {}
// SAFETY: as above.
unsafe impl<W: Sync + ?Sized, K: Send + Sync> Sync for Fixed<W, K> {}

impl<W: ?Sized, K> Fixed<W, K> {
    pub(crate) fn new(keep: &Arc<K>, find: impl FnOnce(&K) -> &W) -> Fixed<W, K> {
        Fixed { place: NonNull::from(find(keep)), _keep: Arc::clone(keep) }
    }
}

impl<W: ?Sized, K> Deref for Fixed<W, K> {
    type Target = W;

    #[inline(always)]
    fn deref(&self) -> &W {
        // SAFETY: it was borrowed from what `_keep` points to, which nobody moves or changes while that is shared.
        unsafe { self.place.as_ref() }
    }
}

/// Slots of one size, side by side, as many as a power of two; any number is one of theirs.
#[derive(Debug)]
pub(crate) struct Slots<K> {
    words: Fixed<Words, K>,
    /// The number of the last one, all of whose bits are set.
    last: usize,
    /// Words from one to the next, and of each.
    step: usize,
    room: usize,
}

impl<K> Slots<K> {
    /// `count` slots, of `step_bytes` each, of which the first `room_bytes` are used.
    pub(crate) fn new(
        keep: &Arc<K>,
        find: impl FnOnce(&K) -> &Words,
        count: usize,
        step_bytes: usize,
        room_bytes: usize,
    ) -> Slots<K> {
        let words = Fixed::new(keep, find);
        let (step, room) = (step_bytes / WORD, room_bytes / WORD);
        let is_all = count.checked_mul(step) == Some(words.0.len());
        assert!(count.is_power_of_two() && room <= step && is_all, "slots that are not side by side");
        Slots { words, last: count - 1, step, room }
    }

    /// So many from one on, none of them beyond the last.
    #[inline(always)]
    pub(crate) fn run(&self, first: usize, count: usize) -> &Words {
        let first = first & self.last;
        if count == 0 || count - 1 > self.last - first {
            outside();
        }
        let start = first * self.step;
        let end = start + (count - 1) * self.step + self.room;
        // SAFETY: the number of the last slot of the run is at most `self.last`, and its room at most a step: all of it ends
        // within `(self.last + 1) * self.step`, which is how many words there are.
        Words::of(unsafe { self.words.0.get_unchecked(start..end) })
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::super::Memory;
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn any_number_is_a_slots_and_no_run_goes_beyond_the_last() {
        let memory = Arc::new(Memory::heap(1024));
        let at = |offset: usize| std::ptr::from_ref(memory.word(offset));
        let slots = Slots::new(&memory, |memory| memory.part(64, 4 * 24), 4, 24, 16);
        for number in [0, 1, 3, 4, 7, 1 << 40, usize::MAX] {
            let slot = slots.run(number, 1);
            assert_eq!((slot.room_bytes(), std::ptr::from_ref(slot.word(0))), (16, at(64 + number % 4 * 24)));
            slot.word(8).store(number as u64, Ordering::Relaxed);
            assert_eq!(memory.word(72 + number % 4 * 24).load(Ordering::Relaxed), number as u64);
        }
        let several = slots.run(5, 3);
        assert_eq!((several.room_bytes(), std::ptr::from_ref(several.word(0))), (2 * 24 + 16, at(64 + 24)));
        for (first, count) in [(0, 5), (1, 4), (3, 2), (0, 0), (0, usize::MAX)] {
            let run = AssertUnwindSafe(|| slots.run(first, count).room_bytes());
            assert!(catch_unwind(run).is_err(), "{count} from {first} on");
        }
        for (count, step, room) in [(3, 24, 16), (4, 24, 32), (8, 24, 16), (4, 16, 16)] {
            let made = || Slots::new(&memory, |memory| memory.part(64, 4 * 24), count, step, room);
            assert!(catch_unwind(AssertUnwindSafe(made)).is_err(), "{count} of {step}");
        }
    }
}
