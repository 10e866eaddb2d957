//! Where the words and slots of a channel lie.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | 1 if closed |
//! | 4 | 4 | bell of receivers |
//! | 8 | 4 | bell of senders |
//! | 12 | 4 | how many messages became ready behind a receiver; a queue's |
//! | 128 | 8 | next position to receive; a queue's is a hint; not a broadcast's |
//! | 256 | 8 | next position to send; a queue's is a hint |
//! | 384 | 64 | lock of those who send; a broadcast's |
//! | 512 | 64 each | ends: senders, then receivers |
//! | | | slots |
//!
//! An end: who has it (4), and the next position it receives (8 at 8, a broadcast's), or one more than the position of a
//! message that was held and not received (8 at 16, a one-to-one channel's receiver).

use crate::layout::{LINE, line_after};
use crate::memory::WORD;
use crate::schema::{Part, PartKind};

/// Processors fetch lines in pairs: what one side writes and what the other does lie so far apart.
const PAIR: usize = 2 * LINE;

/// Offsets from the part's start.
pub(crate) const CLOSED: usize = 0;
pub(crate) const RECEIVERS_BELL: usize = 4;
pub(crate) const SENDERS_BELL: usize = 8;
pub(crate) const BEHIND: usize = 12;
pub(crate) const RECEIVED: usize = PAIR;
pub(crate) const SENT: usize = 2 * PAIR;
pub(crate) const LOCK: usize = 3 * PAIR;
const ENDS: usize = 4 * PAIR;

/// Offsets from an end's start.
pub(crate) const END_OWNER: usize = 0;
pub(crate) const END_POSITION: usize = 8;
pub(crate) const END_REPEATED: usize = 16;

/// Messages from this size on begin at a line of their own.
const LARGE: usize = 8 * LINE;

/// Which end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Send,
    Receive,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Send => Side::Receive,
            Side::Receive => Side::Send,
        }
    }
}

/// Where everything of a channel lies, in offsets of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) at: usize,
    /// How many ends there can be of a side.
    pub(crate) end_count: usize,
    /// A slot for each message; where there is more than one end of a side, it begins with a word about it.
    pub(crate) slots_at: usize,
    pub(crate) slot_size: usize,
    /// Room for a message.
    pub(crate) stride: usize,
    /// Most messages that are held at a time: a power of two.
    pub(crate) capacity: usize,
}

impl Geometry {
    /// `None` for a part that no program of ours can have made.
    pub(crate) fn of(part: &Part, participant_count: usize) -> Option<Geometry> {
        let capacity = part.row_count;
        let stride = part.room_bytes.checked_next_multiple_of(WORD)?.max(WORD);
        if !capacity.is_power_of_two() || !part.kind.is_channel() {
            return None;
        }
        let one_to_one = matches!(part.kind, PartKind::OneToOne | PartKind::Stream);
        let end_count = if one_to_one { 1 } else { participant_count };
        let slot_size = match stride.checked_add(if one_to_one { 0 } else { WORD })? {
            size if size >= LARGE => line_after(size)?,
            size => size,
        };
        let slots_at = part.offset.checked_add(ENDS + 2 * end_count * LINE)?;
        slot_size.checked_mul(capacity)?.checked_add(slots_at)?;
        Some(Geometry { at: part.offset, end_count, slots_at, slot_size, stride, capacity })
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.slots_at - self.at + self.slot_size * self.capacity
    }

    pub(crate) fn end_at(&self, side: Side, index: usize) -> usize {
        let first = if side == Side::Send { 0 } else { self.end_count };
        self.at + ENDS + (first + index) * LINE
    }

    pub(crate) fn senders_bell_at(&self) -> usize {
        self.at + SENDERS_BELL
    }

    /// The number of a position's slot.
    #[inline(always)]
    pub(crate) fn index(&self, position: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
        let index = (position & (self.capacity as u64 - 1)) as usize;
        index
    }

    /// Where the slot of a position starts.
    #[inline(always)]
    pub(crate) fn slot_at(&self, position: u64) -> usize {
        self.slots_at + self.index(position) * self.slot_size
    }

    /// Whether a slot starts at this offset.
    pub(crate) fn is_slot(&self, offset: usize) -> bool {
        offset
            .checked_sub(self.slots_at)
            .is_some_and(|from| from.is_multiple_of(self.slot_size) && from / self.slot_size < self.capacity)
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;

    fn part(kind: PartKind, capacity: usize, room_bytes: usize) -> Part {
        Part {
            name: "c".into(),
            doc: String::new(),
            kind,
            of: None,
            row_count: capacity,
            slot_count: 1,
            room_bytes,
            offset: 1024,
        }
    }

    #[test]
    fn small_messages_lie_close_and_large_ones_begin_at_a_line() {
        for (kind, room, slot_size) in [
            (PartKind::OneToOne, 1, 8),
            (PartKind::OneToOne, 8, 8),
            (PartKind::OneToOne, 64, 64),
            (PartKind::OneToOne, 1032, 1088),
            (PartKind::Queue, 8, 16),
            (PartKind::Queue, 1024, 1088),
        ] {
            let found = Geometry::of(&part(kind, 64, room), 8).unwrap();
            assert_eq!(found.slot_size, slot_size, "{kind:?} of {room}");
            assert_eq!(found.slots_at + slot_size * 64, 1024 + found.size_bytes());
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (capacity, room) in [(0, 8), (3, 8), (1 << 40, 1 << 40), (1, usize::MAX)] {
            for kind in [PartKind::OneToOne, PartKind::Queue, PartKind::Broadcast] {
                assert_eq!(Geometry::of(&part(kind, capacity, room), 8), None, "{capacity} of {room}");
            }
        }
    }
}
