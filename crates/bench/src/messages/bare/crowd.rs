//! A queue for several at both ends: a place's sequence number says whose turn it is there.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::course::depth;
use super::super::ends::Ends;
use super::super::pair::Prepared;
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

#[repr(C)]
struct Slot<const N: usize> {
    /// Twice the lap, less one if the message of the lap is there. All begin at zero, as the memory does.
    lap: AtomicUsize,
    message: UnsafeCell<[u64; N]>,
}

struct Queue<const N: usize> {
    counts: &'static Counts,
    slots: NonNull<Slot<N>>,
}

pub(super) fn prepare<const N: usize>(course: Course) -> Outcome<Prepared> {
    let counts: &Counts = shared()?;
    let address = calls::share(size_of::<Slot<N>>() * Queue::<N>::DEPTH)?;
    let slots = NonNull::new(address.cast()).ok_or("no address")?;
    Ok(Prepared::processes(course, move |_| Ok(Queue::<N> { counts, slots })))
}

impl<const N: usize> Queue<N> {
    const DEPTH: usize = depth(size_of::<[u64; N]>());

    /// The slot of the next message and what its lap is to be then: `offset` is 0 to send, 1 to receive. Who meets another
    /// stays away for longer each time, so that one of them gets on.
    #[inline]
    fn take(&self, count: &AtomicUsize, offset: usize) -> (&Slot<N>, usize) {
        let mut step = 0;
        let mut pause = |looks: u32| {
            for _ in 0..looks << step {
                std::hint::spin_loop();
            }
            step = (step + 1).min(6);
        };
        loop {
            let ticket = count.load(Ordering::Relaxed);
            // SAFETY: there are so many.
            let slot = unsafe { self.slots.add(ticket % Self::DEPTH) };
            // SAFETY: mapped for ever; zeroes are a value.
            let slot = unsafe { slot.as_ref() };
            let wanted = ticket / Self::DEPTH * 2 + offset;
            if slot.lap.load(Ordering::Acquire) != wanted {
                pause(4);
            } else if count
                .compare_exchange_weak(ticket, ticket + 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                return (slot, wanted + 1);
            } else {
                pause(16);
            }
        }
    }
}

impl<const N: usize> Ends<N> for Queue<N> {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let (slot, next) = self.take(&self.counts.sent.0, 0);
        // SAFETY: the ticket gives this place to this process alone, until it says the next lap.
        unsafe { *slot.message.get() = *message };
        slot.lap.store(next, Ordering::Release);
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        let (slot, next) = self.take(&self.counts.received.0, 1);
        // SAFETY: as above.
        unsafe { **message = *slot.message.get() };
        slot.lap.store(next, Ordering::Release);
        Ok(())
    }
}
