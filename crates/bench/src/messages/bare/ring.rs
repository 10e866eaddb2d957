//! A ring with a count at either end, each in a line of its own, and of each a copy with who waits for it: the line
//! travels only when the copy says that there is no room, or no message.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::ends::Ends;
use super::super::pair::Prepared;
use super::copy::{Way, copy};
use super::{Course, Line};
use crate::Outcome;
use crate::calls::{self, Zeroes, shared};

#[repr(C)]
struct Counts {
    sent: Line<AtomicUsize>,
    received: Line<AtomicUsize>,
}

// SAFETY: atomic numbers.
unsafe impl Zeroes for Counts {}

/// For cores that share a cache.
pub(super) fn near<const N: usize>(course: Course) -> Outcome<Prepared> {
    prepare::<N, false>(course)
}

/// For cores that share none: the C library's `memcpy`, which does not fetch what it overwrites.
pub(super) fn far<const N: usize>(course: Course) -> Outcome<Prepared> {
    prepare::<N, true>(course)
}

fn prepare<const N: usize, const FAR: bool>(course: Course) -> Outcome<Prepared> {
    let counts: &Counts = shared()?;
    let address = calls::share(Ring::<N, FAR>::STRIDE * Ring::<N, FAR>::DEPTH * size_of::<u64>())?;
    let words = NonNull::new(address.cast()).ok_or("no address")?;
    Ok(Prepared::processes(course, move |_| Ok(Ring::<N, FAR> { counts, words, count: 0, theirs: 0 })))
}

/// One end of it.
struct Ring<const N: usize, const FAR: bool> {
    counts: &'static Counts,
    words: NonNull<u64>,
    /// What this end sent, or received.
    count: usize,
    /// What the other end received, or sent, as far as is known.
    theirs: usize,
}

impl<const N: usize, const FAR: bool> Ring<N, FAR> {
    const DEPTH: usize = match N {
        0..0x80 => 1024,
        0x80..0x400 => 64,
        _ => 32,
    };
    /// Words from one message to the next: large ones do not begin all at the same place of a page.
    const STRIDE: usize = if N < 1 << 10 { N } else { N + 40 };

    /// The place of the message after so many.
    #[inline]
    fn place(&self, ahead: usize) -> *mut u64 {
        let index = (self.count + ahead) % Self::DEPTH;
        // SAFETY: there are so many.
        unsafe { self.words.add(index * Self::STRIDE) }.as_ptr()
    }

    /// Copies a message.
    ///
    /// # Safety
    /// It can be read and written there, nobody writes it meanwhile, and these are two places.
    #[inline]
    unsafe fn copy(from: *const u64, to: *mut u64) {
        if FAR {
            // SAFETY: as the caller promises.
            unsafe { from.copy_to_nonoverlapping(to, N) };
        } else {
            // SAFETY: as the caller promises.
            unsafe { copy(Way::Cached, from, to, N) };
        }
    }

    /// Waits until so many can be sent.
    #[inline]
    fn find_room(&mut self, wanted: usize) {
        while self.count + wanted > self.theirs + Self::DEPTH {
            self.theirs = self.counts.received.0.load(Ordering::Acquire);
            std::hint::spin_loop();
        }
    }

    /// Waits until one can be received.
    #[inline]
    fn find_message(&mut self) {
        while self.count == self.theirs {
            self.theirs = self.counts.sent.0.load(Ordering::Acquire);
            std::hint::spin_loop();
        }
    }

    /// So many messages in two parts: up to the ring's end, and from its beginning on.
    #[inline]
    fn split(&self, count: usize) -> [(usize, usize); 2] {
        let first = count.min(Self::DEPTH - self.count % Self::DEPTH);
        [(0, first), (first, count - first)]
    }
}

impl<const N: usize, const FAR: bool> Ends<N> for Ring<N, FAR> {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        self.find_room(1);
        // SAFETY: room is what the receiver has done with.
        unsafe { Self::copy(message.as_ptr(), self.place(0)) };
        self.count += 1;
        self.counts.sent.0.store(self.count, Ordering::Release);
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        self.find_message();
        // SAFETY: the sender wrote it before it counted it.
        unsafe { Self::copy(self.place(0), message.as_mut_ptr()) };
        self.count += 1;
        self.counts.received.0.store(self.count, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn send_all(&mut self, words: &[u64]) -> Outcome {
        let count = words.len() / N;
        self.find_room(count);
        for (first, count) in self.split(count) {
            let (from, to) = (words[first * N..].as_ptr(), self.place(first));
            // SAFETY: messages that lie together, for which there is room.
            unsafe { from.copy_to_nonoverlapping(to, count * N) };
        }
        self.count += count;
        self.counts.sent.0.store(self.count, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn receive_many<'a>(&mut self, words: &'a mut Vec<u64>, most: usize) -> Outcome<&'a [u64]> {
        self.find_message();
        let count = most.min(self.theirs - self.count);
        for (first, count) in self.split(count) {
            let (from, to) = (self.place(first), words[first * N..][..count * N].as_mut_ptr());
            // SAFETY: messages that lie together, which the sender wrote before it counted them.
            unsafe { from.copy_to_nonoverlapping(to, count * N) };
        }
        self.count += count;
        self.counts.received.0.store(self.count, Ordering::Release);
        Ok(&words[..count * N])
    }
}
