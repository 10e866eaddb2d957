//! A ring in which each message lies beside its sequence number: one line travels for a message, if it fits.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::course::depth;
use super::super::ends::{Ends, Side};
use super::super::pair::Prepared;
use super::{Course, Line};
use crate::Outcome;
use crate::calls::{self, Zeroes, shared};

/// A message and its number; `A` says how it is aligned.
#[repr(C)]
struct Slot<A, const N: usize> {
    _aligned: [A; 0],
    /// How many messages were sent when this one was.
    count: AtomicUsize,
    message: UnsafeCell<[u64; N]>,
}

/// In lines of its own.
#[repr(align(64))]
struct Apart;

/// How many messages were received, each way: for who finds the ring full.
#[repr(C)]
struct Received([Line<AtomicUsize>; 2]);

// SAFETY: atomic numbers.
unsafe impl Zeroes for Received {}

/// What suits a course.
#[derive(Clone, Copy)]
struct Tuning {
    depth: usize,
    /// Looks between which nothing is done, where there is no message yet: so that more will be.
    pause: u32,
    /// Received messages are told of by so many.
    told_by: usize,
}

/// For round trips: few slots, so that always the same lines travel.
pub(super) fn few<const N: usize>(course: Course) -> Outcome<Prepared> {
    prepare::<Apart, N>(course, Tuning { depth: 2, pause: 1, told_by: 1 })
}

/// For what goes one way: many slots, as close as can be.
pub(super) fn many<const N: usize>(course: Course) -> Outcome<Prepared> {
    let pause = if N == 1 { 1 } else { 32 };
    prepare::<u64, N>(course, Tuning { depth: depth(course.size_bytes), pause, told_by: 64 })
}

fn prepare<A: 'static, const N: usize>(course: Course, tuning: Tuning) -> Outcome<Prepared> {
    let received: &Received = shared()?;
    let slots = || -> Outcome<NonNull<Slot<A, N>>> {
        let address = calls::share(size_of::<Slot<A, N>>() * tuning.depth)?;
        Ok(NonNull::new(address.cast()).ok_or("no address")?)
    };
    let ways = [slots()?, slots()?];
    Ok(Prepared::processes(course, move |side| {
        let [there, back] = [0, 1].map(|way| End {
            slots: ways[way],
            received: &received.0[way].0,
            count: 0,
            room: tuning.depth,
            tuning,
        });
        let (mine, theirs) = if side == Side::First { (there, back) } else { (back, there) };
        Ok(Both { mine, theirs })
    }))
}

/// One end of one way.
struct End<A, const N: usize> {
    slots: NonNull<Slot<A, N>>,
    received: &'static AtomicUsize,
    count: usize,
    /// Up to this count there is room, as far as the sender knows.
    room: usize,
    tuning: Tuning,
}

struct Both<A, const N: usize> {
    mine: End<A, N>,
    theirs: End<A, N>,
}

impl<A, const N: usize> End<A, N> {
    #[inline]
    fn slot(&self) -> &Slot<A, N> {
        // All depths are powers of two.
        let index = self.count & (self.tuning.depth - 1);
        // SAFETY: there are so many.
        let slot = unsafe { self.slots.add(index) };
        // SAFETY: mapped for ever; zeroes are a value.
        unsafe { slot.as_ref() }
    }
}

impl<A, const N: usize> Ends<N> for Both<A, N> {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let end = &mut self.mine;
        while end.count == end.room {
            end.room = end.received.load(Ordering::Acquire) + end.tuning.depth;
            std::hint::spin_loop();
        }
        let slot = end.slot();
        // SAFETY: the receiver has done with this slot, and looks at it again when the count says so.
        unsafe { *slot.message.get() = *message };
        slot.count.store(end.count + 1, Ordering::Release);
        end.count += 1;
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        let end = &mut self.theirs;
        let slot = end.slot();
        while slot.count.load(Ordering::Acquire) != end.count + 1 {
            for _ in 0..end.tuning.pause {
                std::hint::spin_loop();
            }
        }
        // SAFETY: the sender wrote it before the count, and not again before the slot is given back.
        unsafe { **message = *slot.message.get() };
        end.count += 1;
        if end.count.is_multiple_of(end.tuning.told_by) {
            end.received.store(end.count, Ordering::Release);
        }
        Ok(())
    }
}
