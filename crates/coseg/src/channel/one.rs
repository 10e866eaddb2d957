//! One sender, one receiver: a ring, and a count of messages at either end, each in a line of its own.
//!
//! Either side knows its own count, and keeps what it last saw of the other's: that line travels only when there seem
//! to be fewer messages, or less room, than is asked for. Sending ends with the store of one count, receiving with that of the other: killed
//! before, either has not happened.

use std::sync::Arc;

use super::geometry::{Geometry, RECEIVED, SENT};
use super::kind::{At, Room};
use super::lane::Awaited;
use super::message::Place;
use crate::memory::{Fixed, Memory, Slots};
use crate::sync::{AtomicU64, Ordering, fence};

/// Pauses before a look where messages stream: a receiver as quick as the sender would take the sender's lines away for
/// each single message. So it stays behind by some 400 ns, or 1 µs where pauses are long, as on Intel's processors
/// (Giacomoni et al., FastForward, PPoPP 2008).
const SLIP: u32 = if cfg!(coseg_model) { 0 } else { 24 };

/// Stays behind the other side.
pub(super) fn slip() {
    (0..SLIP).for_each(|_| std::hint::spin_loop());
}

/// Looks that pause behind one that found several: more than one, so that one in vain ends no stream.
const SLIPS: u8 = 2;

/// Half of so many messages keep any receiver busy for longer than a sender pauses.
const FULL_FOR_LONG: usize = 1024;

/// The next position to receive.
#[inline]
pub(crate) fn received(memory: &Memory, geometry: &Geometry) -> u64 {
    memory.word(geometry.at + RECEIVED).load(Ordering::Acquire)
}

/// The next position to send.
#[inline]
pub(crate) fn sent(memory: &Memory, geometry: &Geometry) -> u64 {
    memory.word(geometry.at + SENT).load(Ordering::Acquire)
}

/// Whether the message of a position, which was copied, was there all the time.
pub(crate) fn is_unreceived(memory: &Memory, geometry: &Geometry, position: u64) -> bool {
    fence(Ordering::Acquire);
    received(memory, geometry).wrapping_sub(position).cast_signed() <= 0
}

/// The number of a position's slot, any that is the same once it is masked, and up to `want` from there on, of so many that
/// are there, side by side: up to the ring's end.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "masked, or no more than the capacity")]
fn side_by_side(geometry: &Geometry, position: u64, there: u64, want: usize) -> Room {
    let count = if want == 1 {
        usize::from(there > 0)
    } else {
        want.min(there as usize).min(geometry.capacity - geometry.index(position))
    };
    (count > 0).then_some((At(position as usize), count))
}

/// Both counts and the slots, looked up once; `K` keeps them where they are.
#[derive(Debug)]
pub(super) struct Ring<K> {
    received: Fixed<AtomicU64, K>,
    sent: Fixed<AtomicU64, K>,
    slots: Slots<K>,
}

impl<K> Ring<K> {
    fn find(keep: &Arc<K>, memory: impl Fn(&K) -> &Memory, geometry: &Geometry) -> Ring<K> {
        let count = |offset| Fixed::new(keep, |keep| memory(keep).word(geometry.at + offset));
        let Geometry { slots_at, slot_size, stride, capacity, .. } = *geometry;
        let slots = Slots::new(
            keep,
            |keep| memory(keep).part(slots_at, slot_size * capacity),
            capacity,
            slot_size,
            stride,
        );
        Ring { received: count(RECEIVED), sent: count(SENT), slots }
    }

    /// So many slots.
    #[inline(always)]
    pub(super) fn places(&self, At(first): At, count: usize) -> Place<'_> {
        Place { words: self.slots.run(first, count) }
    }
}

/// The sender's way.
#[derive(Debug)]
pub(crate) struct Sending<K> {
    pub(super) ring: Ring<K>,
    /// The next position.
    position: u64,
    /// The first for which there is no room, as far as was seen.
    full: u64,
    /// The receiver's, as it was last seen.
    received: u64,
}

impl<K> Sending<K> {
    /// Goes on behind what was sent.
    pub(crate) fn resume(keep: &Arc<K>, memory: impl Fn(&K) -> &Memory, geometry: &Geometry) -> Sending<K> {
        let ring = Ring::find(keep, memory, geometry);
        let position = ring.sent.load(Ordering::Acquire);
        Sending { ring, position, full: position, received: position }
    }

    /// How many messages can be written, side by side, up to `want`, and which slot is the first.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, geometry: &Geometry, want: usize) -> Room {
        if self.room() < want as u64 {
            self.look(geometry);
        }
        side_by_side(geometry, self.position, self.room(), want)
    }

    #[inline(always)]
    fn room(&self) -> u64 {
        self.full.wrapping_sub(self.position)
    }

    /// Looks how far the receiver is.
    #[inline(never)]
    fn look(&mut self, geometry: &Geometry) {
        let capacity = geometry.capacity as u64;
        let look = || self.ring.received.load(Ordering::Acquire);
        // A peer can make up any number, and then there is no room.
        let free = |received| capacity.saturating_sub(self.position.wrapping_sub(received));
        let mut received = look();
        // So does a sender who waits for a receiver.
        if geometry.capacity >= FULL_FOR_LONG && (1..capacity / 2).contains(&free(received)) {
            slip();
            received = look();
        }
        self.full = self.position.wrapping_add(free(received));
        self.received = received;
    }

    /// What changes when there is more room.
    pub(crate) fn awaited(&self, geometry: &Geometry) -> Awaited {
        Awaited { at: geometry.at + RECEIVED, value: self.received, next: None }
    }

    /// Sends what was written into so many reserved places.
    #[inline(always)]
    pub(crate) fn publish(&mut self, count: usize) {
        self.position = self.position.wrapping_add(count as u64);
        self.ring.sent.store(self.position, Ordering::Release);
    }
}

/// The receiver's way.
#[derive(Debug)]
pub(crate) struct Receiving<K> {
    pub(super) ring: Ring<K>,
    /// The next position.
    position: u64,
    /// The sender's, as it was last seen.
    sent: u64,
    /// Looks to pause before: some, once there were several messages and room for as many again.
    slips: u8,
}

impl<K> Receiving<K> {
    /// Goes on behind what was received.
    pub(crate) fn resume(keep: &Arc<K>, memory: impl Fn(&K) -> &Memory, geometry: &Geometry) -> Receiving<K> {
        let ring = Ring::find(keep, memory, geometry);
        let position = ring.received.load(Ordering::Acquire);
        Receiving { ring, position, sent: position, slips: 0 }
    }

    /// How many messages can be read, side by side, up to `want`, and which slot is the first.
    #[inline(always)]
    pub(crate) fn claim(&mut self, geometry: &Geometry, want: usize) -> Room {
        let seen = self.sent.wrapping_sub(self.position);
        let there = if seen < want as u64 { self.look(geometry, seen, want) } else { seen };
        side_by_side(geometry, self.position, there, want)
    }

    /// Looks how far the sender is; how many messages there are, of which so many were seen.
    #[inline(always)]
    fn look(&mut self, geometry: &Geometry, seen: u64, want: usize) -> u64 {
        if seen == 0 && self.slips > 0 {
            self.slips -= 1;
            slip();
        }
        let now = self.ring.sent.load(Ordering::Acquire);
        let found = now.wrapping_sub(self.position);
        // More than there can be a peer made up.
        if found <= seen || found > geometry.capacity as u64 {
            return seen;
        }
        // Who gets as many at once as it wants need not wait for more.
        let is_few = want == 1 || found < want as u64;
        let streams = is_few && found > 1 && found <= geometry.capacity as u64 / 2;
        self.slips = if streams { SLIPS } else { 0 };
        self.sent = now;
        found
    }

    /// Whether there was more at the last look, beyond the ring's end.
    pub(crate) fn has_seen_more(&self) -> bool {
        self.sent != self.position
    }

    /// What changes when there is another message.
    pub(crate) fn awaited(&self, geometry: &Geometry) -> Awaited {
        let next = Some(geometry.slot_at(self.position));
        Awaited { at: geometry.at + SENT, value: self.sent, next }
    }

    /// The position of the next message.
    pub(crate) fn next_position(&self) -> u64 {
        self.position
    }

    /// Says that so many were received.
    #[inline(always)]
    pub(crate) fn done(&mut self, count: usize) {
        self.position = self.position.wrapping_add(count as u64);
        self.ring.received.store(self.position, Ordering::Release);
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;

    const RING: Geometry =
        Geometry { at: 0, end_count: 1, slots_at: 1024, slot_size: 8, stride: 8, capacity: 16 };

    #[test]
    fn what_was_seen_is_received_whatever_the_count_becomes() {
        for made_up in [0, 1, 3, 27, 1 << 40, u64::MAX] {
            let memory = Arc::new(Memory::heap(RING.slots_at + 16 * 8));
            let sent = memory.word(SENT);
            let mut way = Receiving::resume(&memory, |memory| memory, &RING);
            assert_eq!(way.claim(&RING, 100), None);
            sent.store(10, Ordering::Release);
            assert_eq!(way.claim(&RING, 1), Some((At(0), 1)));
            way.done(1);
            sent.store(made_up, Ordering::Release);
            for position in 1..10_usize {
                assert_eq!(way.claim(&RING, 100), Some((At(position), 10 - position)), "{made_up}");
                way.done(1);
            }
            assert_eq!(way.claim(&RING, 100), None, "{made_up}");
        }
    }
}
