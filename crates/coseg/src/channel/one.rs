//! One sender, one receiver: a ring of lines.
//!
//! A slot's first word counts the messages in it, behind the slot's number, so that a receiver finds a small message
//! in the line that says it is there. Sending ends with the store of that word, receiving with that of the next
//! position: killed before, either has not happened.

use super::geometry::{Geometry, RECEIVED};
use crate::memory::{Memory, WORD};
use crate::sync::{AtomicU64, Ordering, fence};

const COUNT_BITS: u32 = 8;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The word of a slot with so many messages.
fn filled(slot: u64, count: usize) -> u64 {
    slot.wrapping_add(1) << COUNT_BITS | count as u64
}

/// How many messages are in the slot of this number, by its word.
#[inline(always)]
fn count_in(word: u64, slot: u64, per_slot: usize) -> usize {
    if (word ^ filled(slot, 0)) & !COUNT_MASK != 0 {
        return 0;
    }
    let count = (word & COUNT_MASK) as usize;
    count.min(per_slot)
}

/// A way through the slots.
#[derive(Clone, Copy, Debug)]
struct Path {
    /// The next message's.
    position: u64,
    slot: u64,
    slot_at: usize,
    in_slot: usize,
}

impl Path {
    fn at(geometry: &Geometry, position: u64) -> Path {
        let slot = position / geometry.per_slot as u64;
        let in_slot = usize::try_from(position % geometry.per_slot as u64).unwrap_or(0);
        let index = usize::try_from(slot % geometry.slot_count as u64).unwrap_or(0);
        Path { position, slot, slot_at: geometry.slots_at + index * geometry.slot_size, in_slot }
    }

    #[inline(always)]
    fn payload_at(&self, geometry: &Geometry) -> usize {
        self.slot_at + WORD + self.in_slot * geometry.stride
    }

    /// Past `count` messages of this slot. True: it has no more.
    #[inline(always)]
    fn advance(&mut self, geometry: &Geometry, count: usize) -> bool {
        self.position = self.position.wrapping_add(count as u64);
        self.in_slot += count;
        if self.in_slot < geometry.per_slot {
            return false;
        }
        self.in_slot = 0;
        self.slot = self.slot.wrapping_add(1);
        self.slot_at += geometry.slot_size;
        if self.slot_at == geometry.slots_at + geometry.slot_size * geometry.slot_count {
            self.slot_at = geometry.slots_at;
        }
        true
    }
}

/// The next position to receive.
pub(crate) fn received(memory: &Memory, geometry: &Geometry) -> u64 {
    memory.word(geometry.at + RECEIVED).load(Ordering::Acquire)
}

/// The position after the last message that was sent: from the first that was not received on, slot by slot.
pub(crate) fn sent(memory: &Memory, geometry: &Geometry) -> u64 {
    let start = Path::at(geometry, received(memory, geometry));
    let mut path = start;
    for _ in 0..geometry.slot_count {
        let count = count_in(memory.word(path.slot_at).load(Ordering::Acquire), path.slot, geometry.per_slot);
        if count < geometry.per_slot {
            let more = count.saturating_sub(path.in_slot);
            return path.position.wrapping_add(more as u64);
        }
        let rest = geometry.per_slot - path.in_slot;
        path.advance(geometry, rest);
    }
    path.position
}

/// Where the message of a position lies.
pub(crate) fn place_of(geometry: &Geometry, position: u64) -> usize {
    Path::at(geometry, position).payload_at(geometry)
}

/// Whether the message of a position, which was copied, was there all the time.
pub(crate) fn is_unreceived(memory: &Memory, geometry: &Geometry, position: u64) -> bool {
    fence(Ordering::Acquire);
    received(memory, geometry).wrapping_sub(position).cast_signed() <= 0
}

/// The sender's way.
#[derive(Debug)]
pub(crate) struct Sending {
    path: Path,
    /// As far as is known.
    received: u64,
}

impl Sending {
    /// Goes on behind what was sent.
    pub(crate) fn resume(memory: &Memory, geometry: &Geometry) -> Sending {
        let position = sent(memory, geometry);
        Sending { path: Path::at(geometry, position), received: received(memory, geometry) }
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
        let mut used = self.path.position.wrapping_sub(self.received);
        if used >= capacity || capacity - used < want as u64 {
            self.received = received(memory, geometry);
            used = self.path.position.wrapping_sub(self.received);
        }
        // A peer can make up any number, and then there is no room.
        let free = usize::try_from(capacity.checked_sub(used)?).ok()?;
        let count = want.min(free).min(geometry.per_slot - self.path.in_slot);
        (count > 0).then(|| (self.path.payload_at(geometry), count))
    }

    /// Sends what was written into so many reserved places.
    #[inline(always)]
    pub(crate) fn publish(&mut self, memory: &Memory, geometry: &Geometry, count: usize) {
        let Path { slot, slot_at, in_slot, .. } = self.path;
        memory.word(slot_at).store(filled(slot, in_slot + count), Ordering::Release);
        self.path.advance(geometry, count);
    }
}

/// The receiver's way.
#[derive(Debug)]
pub(crate) struct Receiving {
    path: Path,
    /// Messages known to be in the slot.
    filled: usize,
}

impl Receiving {
    /// Goes on behind what was received.
    pub(crate) fn resume(memory: &Memory, geometry: &Geometry) -> Receiving {
        Receiving { path: Path::at(geometry, received(memory, geometry)), filled: 0 }
    }

    /// How many messages can be read, side by side, up to `want`, and where.
    #[inline(always)]
    pub(crate) fn claim(
        &mut self,
        memory: &Memory,
        geometry: &Geometry,
        want: usize,
    ) -> Option<(usize, usize)> {
        if self.path.in_slot >= self.filled {
            let word = memory.word(self.path.slot_at).load(Ordering::Acquire);
            self.filled = count_in(word, self.path.slot, geometry.per_slot);
        }
        let count = want.min(self.filled.checked_sub(self.path.in_slot)?);
        (count > 0).then(|| (self.path.payload_at(geometry), count))
    }

    /// The position of the next message.
    pub(crate) fn next_position(&self) -> u64 {
        self.path.position
    }

    /// Says that so many were received.
    #[inline(always)]
    pub(crate) fn done(&mut self, memory: &Memory, geometry: &Geometry, count: usize) {
        if self.path.advance(geometry, count) {
            self.filled = 0;
        }
        let word: &AtomicU64 = memory.word(geometry.at + RECEIVED);
        word.store(self.path.position, Ordering::Release);
    }
}
