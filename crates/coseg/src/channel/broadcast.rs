//! Each message to all receivers.
//!
//! A slot's first word is one more than its message's position, or 0 while it is written. Senders take turns under a
//! lock. The message is sent by the store of that word; the position to send to next, stored after it, is corrected by
//! whoever takes the lock from a dead sender. Receivers keep their positions in their ends.

use super::geometry::{END_POSITION, Geometry, SENT, Side};
use super::lane::owners;
use crate::memory::{Memory, WORD};
use crate::sync::{AtomicU64, Ordering, fence};

/// Slots between the oldest message and the one that a receiver who fell behind goes on with, as a part of all: so that
/// he is not overtaken again at once.
const HEAD_START: u64 = 8;

/// The channel's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broadcast<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) geometry: &'a Geometry,
}

/// What a receiver finds at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A message, and where.
    Message(usize),
    /// None yet.
    Nothing,
    /// Later ones; so many are gone.
    Missed(u64),
}

impl<'a> Broadcast<'a> {
    pub(crate) fn sent(&self) -> &'a AtomicU64 {
        self.memory.word(self.geometry.at + SENT)
    }

    fn stamp(&self, position: u64) -> &'a AtomicU64 {
        self.memory.word(self.geometry.slot_at(position))
    }

    /// Where the next message is to be written. Only for who holds the lock of those who send.
    pub(crate) fn open(&self, position: u64) -> usize {
        // Who sees that it is no more sees also how many were sent.
        self.stamp(position).store(0, Ordering::Release);
        // Who sees a word of the new message sees that the old one is no more.
        fence(Ordering::Release);
        self.geometry.slot_at(position) + WORD
    }

    /// Shows what was written to all.
    pub(crate) fn publish(&self, position: u64) {
        self.stamp(position).store(position.wrapping_add(1), Ordering::Release);
        self.sent().store(position.wrapping_add(1), Ordering::Release);
    }

    /// Counts what a sender had sent and not counted when it died.
    pub(crate) fn settle(&self) {
        let position = self.sent().load(Ordering::Acquire);
        if self.stamp(position).load(Ordering::Acquire) == position.wrapping_add(1) {
            self.sent().store(position.wrapping_add(1), Ordering::Release);
        }
    }

    /// Has an end that was just taken receive what is sent from now on; the position it begins with.
    pub(crate) fn begin(&self, end_at: usize) -> u64 {
        // Either a sender sees that the end is taken, or this sees what he had sent when he looked.
        fence(Ordering::SeqCst);
        let counted = self.sent().load(Ordering::Acquire);
        // One may have been sent and not counted.
        let is_sent = self.stamp(counted).load(Ordering::Acquire) == counted.wrapping_add(1);
        let position = counted.wrapping_add(u64::from(is_sent));
        self.position(end_at).store(position, Ordering::Release);
        position
    }

    /// How many messages the slowest receiver still is to receive, when `position` is the next to send. Whoever comes and
    /// is not seen begins at this position, or later.
    pub(crate) fn slowest_lag(&self, position: u64) -> u64 {
        fence(Ordering::SeqCst);
        let ends = owners(self.memory, *self.geometry, Side::Receive);
        self.lag(position, ends.map(|(end_at, _)| end_at))
    }

    /// How many messages the slowest of these ends still is to receive, when `position` is the next to send.
    pub(crate) fn lag(&self, position: u64, ends: impl Iterator<Item = usize>) -> u64 {
        let behind = |end| position.wrapping_sub(self.position(end).load(Ordering::Acquire)).cast_signed();
        ends.map(behind).max().map_or(0, |lag| lag.max(0).unsigned_abs())
    }

    /// The next position an end receives.
    pub(crate) fn position(&self, end_at: usize) -> &'a AtomicU64 {
        self.memory.word(end_at + END_POSITION)
    }

    /// What is at a position.
    #[inline]
    pub(crate) fn look(&self, position: u64) -> Found {
        let stamp = || self.stamp(position).load(Ordering::Acquire);
        let expected = position.wrapping_add(1);
        if stamp() == expected {
            return Found::Message(self.geometry.slot_at(position) + WORD);
        }
        let sent = self.sent().load(Ordering::Acquire);
        if sent.wrapping_sub(position).cast_signed() <= 0 {
            return Found::Nothing;
        }
        // It was there when the next position was counted: if it is not now, it has been overwritten.
        if stamp() == expected {
            return Found::Message(self.geometry.slot_at(position) + WORD);
        }
        Found::Missed(self.first_kept().wrapping_sub(position))
    }

    /// Whether the message at a position was not overwritten while it was copied.
    #[inline]
    pub(crate) fn is_whole(&self, position: u64) -> bool {
        fence(Ordering::Acquire);
        self.stamp(position).load(Ordering::Relaxed) == position.wrapping_add(1)
    }

    /// The position with which a receiver who fell behind goes on.
    pub(crate) fn first_kept(&self) -> u64 {
        let capacity = self.geometry.capacity as u64;
        let sent = self.sent().load(Ordering::Acquire);
        sent.wrapping_sub(capacity - (capacity / HEAD_START).max(1))
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;
    use crate::schema::{Part, PartKind};

    #[test]
    fn who_comes_after_a_message_does_not_hear_it_though_its_sender_died_before_counting() {
        let part = Part {
            name: String::new(),
            doc: String::new(),
            kind: PartKind::Broadcast,
            of: None,
            row_count: 4,
            slot_count: 1,
            room_bytes: WORD,
            offset: 0,
        };
        let geometry = Geometry::of(&part, 1).unwrap();
        let memory = Memory::heap(geometry.size_bytes());
        let words = Broadcast { memory: &memory, geometry: &geometry };
        let end_at = geometry.end_at(Side::Receive, 0);
        words.open(0);
        words.publish(0);
        words.sent().store(0, Ordering::Relaxed);
        let position = words.begin(end_at);
        assert_eq!((position, words.look(position)), (1, Found::Nothing));
        words.settle();
        assert_eq!(words.look(position), Found::Nothing);
        words.open(1);
        words.publish(1);
        assert!(matches!(words.look(position), Found::Message(_)));
    }
}
