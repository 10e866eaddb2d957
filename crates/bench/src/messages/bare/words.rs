//! A word for each way that says how many messages were sent, and the last of them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::super::ends::{Ends, Side};
use super::super::pair::Prepared;
use super::{Course, Line};
use crate::Outcome;
use crate::calls::{Zeroes, futex_wait, futex_wake, shared};

#[repr(C)]
struct Words {
    ways: [Line<Word>; 2],
}

#[repr(C)]
struct Word {
    number: AtomicU64,
    count: AtomicU32,
}

// SAFETY: atomic numbers.
unsafe impl Zeroes for Words {}

pub(super) fn spinning(course: Course) -> Outcome<Prepared> {
    let words: &Words = shared()?;
    Ok(Prepared::processes(course, move |side| Ok(Spinning::new(words, side))))
}

pub(super) fn sleeping(course: Course) -> Outcome<Prepared> {
    let words: &Words = shared()?;
    Ok(Prepared::processes(course, move |side| Ok(Sleeping(Spinning::new(words, side)))))
}

struct Spinning {
    mine: &'static Word,
    theirs: &'static Word,
    /// What was received last.
    number: u64,
    count: u32,
}

impl Spinning {
    fn new(words: &'static Words, side: Side) -> Spinning {
        let [there, back] = &words.ways;
        let (mine, theirs) = if side == Side::First { (there, back) } else { (back, there) };
        Spinning { mine: &mine.0, theirs: &theirs.0, number: 0, count: 0 }
    }
}

impl Ends<1> for Spinning {
    type Place = Box<[u64; 1]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; 1]) -> Outcome {
        // One more, so that the first message differs from the zero that is there.
        self.mine.number.store(message[0].wrapping_add(1), Ordering::Release);
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        loop {
            let number = self.theirs.number.load(Ordering::Acquire);
            if number != self.number {
                self.number = number;
                message[0] = number.wrapping_sub(1);
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
}

struct Sleeping(Spinning);

impl Ends<1> for Sleeping {
    type Place = Box<[u64; 1]>;

    fn send(&mut self, message: &[u64; 1]) -> Outcome {
        self.0.mine.number.store(message[0], Ordering::Relaxed);
        self.0.mine.count.fetch_add(1, Ordering::Release);
        futex_wake(&self.0.mine.count);
        Ok(())
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        while self.0.theirs.count.load(Ordering::Acquire) == self.0.count {
            futex_wait(&self.0.theirs.count, self.0.count, None);
        }
        self.0.count = self.0.count.wrapping_add(1);
        message[0] = self.0.theirs.number.load(Ordering::Relaxed);
        Ok(())
    }
}
