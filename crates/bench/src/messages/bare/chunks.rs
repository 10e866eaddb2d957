//! A ring of pieces, through which a large message goes while it is still being written: both sides stay in cache.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::ends::{Ends, Side};
use super::super::pair::Prepared;
use super::copy::{Way as Copying, copy};
use super::{Course, Line};
use crate::Outcome;
use crate::calls::{self, Zeroes, shared};

/// Words of a piece.
const PIECE: usize = (64 << 10) / 8;
/// Words from one piece to the next, which does not begin at the same place of a page.
const STRIDE: usize = PIECE + 40;
const DEPTH: usize = 8;

#[repr(C)]
struct Counts {
    sent: Line<AtomicUsize>,
    received: Line<AtomicUsize>,
}

#[repr(C)]
struct Ways([Counts; 2]);

// SAFETY: atomic numbers.
unsafe impl Zeroes for Ways {}

/// For cores that share a cache.
pub(super) fn near<const N: usize>(course: Course) -> Outcome<Prepared> {
    prepare::<N>(course, Copying::Cached)
}

/// For cores that share none.
pub(super) fn far<const N: usize>(course: Course) -> Outcome<Prepared> {
    prepare::<N>(course, Copying::Past)
}

fn prepare<const N: usize>(course: Course, copying: Copying) -> Outcome<Prepared> {
    let ways: &Ways = shared()?;
    let pieces = || -> Outcome<NonNull<u64>> {
        let address = calls::share(STRIDE * DEPTH * size_of::<u64>())?;
        Ok(NonNull::new(address.cast()).ok_or("no address")?)
    };
    let pieces = [pieces()?, pieces()?];
    Ok(Prepared::processes::<_, N>(course, move |side| {
        let [there, back] = [0, 1].map(|way| Way { counts: &ways.0[way], pieces: pieces[way], count: 0 });
        let (mine, theirs) = if side == Side::First { (there, back) } else { (back, there) };
        Ok(Both { mine, theirs, copying })
    }))
}

/// One end of one way.
struct Way {
    counts: &'static Counts,
    pieces: NonNull<u64>,
    count: usize,
}

struct Both {
    mine: Way,
    theirs: Way,
    copying: Copying,
}

impl Way {
    #[inline]
    fn piece(&self) -> *mut u64 {
        // SAFETY: there are so many.
        unsafe { self.pieces.add(self.count % DEPTH * STRIDE) }.as_ptr()
    }
}

impl<const N: usize> Ends<N> for Both {
    type Place = Box<[u64; N]>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let way = &mut self.mine;
        for part in message.chunks(PIECE) {
            while way.count - way.counts.received.0.load(Ordering::Acquire) == DEPTH {
                std::hint::spin_loop();
            }
            // SAFETY: the receiver has done with this piece, which is aligned well enough.
            unsafe { copy(self.copying, part.as_ptr(), way.piece(), part.len()) };
            way.count += 1;
            way.counts.sent.0.store(way.count, Ordering::Release);
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        let way = &mut self.theirs;
        for part in message.chunks_mut(PIECE) {
            while way.counts.sent.0.load(Ordering::Acquire) == way.count {
                std::hint::spin_loop();
            }
            // SAFETY: the sender wrote it before it counted it.
            unsafe { copy(Copying::Cached, way.piece(), part.as_mut_ptr(), part.len()) };
            way.count += 1;
            way.counts.received.0.store(way.count, Ordering::Release);
        }
        Ok(())
    }
}
