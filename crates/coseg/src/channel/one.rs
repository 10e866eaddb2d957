//! One sender, one receiver: a ring, and a count of messages at either end, each in a line of its own.
//!
//! Either side knows its own count, and keeps what it last saw of the other's: that line travels only when there seems
//! to be no message, or no room. Sending ends with the store of one count, receiving with that of the other: killed
//! before, either has not happened.

use super::geometry::{Geometry, RECEIVED, SENT};
use super::lane::Awaited;
use crate::memory::Memory;
use crate::sync::{Ordering, fence};

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

/// Up to `want` places from a position on, of so many that are there, side by side: up to the ring's end.
#[inline(always)]
fn side_by_side(geometry: &Geometry, position: u64, there: u64, want: usize) -> Option<(usize, usize)> {
    let index = geometry.index(position);
    // Fewer than the capacity, or a peer made them up.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked by who calls to be no more than the capacity"
    )]
    let count = if want == 1 {
        usize::from(there > 0)
    } else {
        want.min(there as usize).min(geometry.capacity - index)
    };
    (count > 0).then(|| (geometry.slots_at + index * geometry.slot_size, count))
}

/// The sender's way.
#[derive(Debug)]
pub(crate) struct Sending {
    /// The next position.
    position: u64,
    /// The receiver's, as it was last seen.
    received: u64,
}

impl Sending {
    /// Goes on behind what was sent.
    pub(crate) fn resume(memory: &Memory, geometry: &Geometry) -> Sending {
        Sending { position: sent(memory, geometry), received: received(memory, geometry) }
    }

    /// How many messages can be written, side by side, up to `want`, and where.
    #[inline(always)]
    pub(crate) fn reserve(
        &mut self,
        memory: &Memory,
        geometry: &Geometry,
        want: usize,
    ) -> Option<(usize, usize)> {
        let capacity = geometry.capacity as u64;
        // A peer can make up any number, and then there is no room.
        let free = |received| capacity.saturating_sub(self.position.wrapping_sub(received));
        let mut room = free(self.received);
        if room < want as u64 {
            let mut now = received(memory, geometry);
            // So does a sender who waits for a receiver.
            if geometry.capacity >= FULL_FOR_LONG && (1..capacity / 2).contains(&free(now)) {
                slip();
                now = received(memory, geometry);
            }
            room = free(now);
            self.received = now;
        }
        side_by_side(geometry, self.position, room, want)
    }

    /// What changes when there is more room.
    pub(crate) fn awaited(&self, geometry: &Geometry) -> Awaited {
        Awaited { at: geometry.at + RECEIVED, value: self.received, next: None }
    }

    /// Sends what was written into so many reserved places.
    #[inline(always)]
    pub(crate) fn publish(&mut self, memory: &Memory, geometry: &Geometry, count: usize) {
        self.position = self.position.wrapping_add(count as u64);
        memory.word(geometry.at + SENT).store(self.position, Ordering::Release);
    }
}

/// The receiver's way.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// The next position.
    position: u64,
    /// The sender's, as it was last seen.
    sent: u64,
    /// Looks to pause before: some, once there were several messages and room for as many again.
    slips: u8,
}

impl Receiving {
    /// Goes on behind what was received.
    pub(crate) fn resume(memory: &Memory, geometry: &Geometry) -> Receiving {
        let position = received(memory, geometry);
        Receiving { position, sent: position, slips: 0 }
    }

    /// How many messages can be read, side by side, up to `want`, and where.
    #[inline(always)]
    pub(crate) fn claim(
        &mut self,
        memory: &Memory,
        geometry: &Geometry,
        want: usize,
    ) -> Option<(usize, usize)> {
        let seen = self.sent.wrapping_sub(self.position);
        if seen < want as u64 {
            if seen == 0 && self.slips > 0 {
                self.slips -= 1;
                slip();
            }
            let now = sent(memory, geometry);
            let found = now.wrapping_sub(self.position);
            // More than there can be a peer made up.
            if found == 0 || found > geometry.capacity as u64 {
                return None;
            }
            // Who gets as many at once as it wants need not wait for more.
            let is_few = want == 1 || found < want as u64;
            let streams = is_few && found > 1 && found <= geometry.capacity as u64 / 2;
            self.slips = if streams { SLIPS } else { 0 };
            self.sent = now;
        }
        side_by_side(geometry, self.position, self.sent.wrapping_sub(self.position), want)
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
    pub(crate) fn done(&mut self, memory: &Memory, geometry: &Geometry, count: usize) {
        self.position = self.position.wrapping_add(count as u64);
        memory.word(geometry.at + RECEIVED).store(self.position, Ordering::Release);
    }
}
