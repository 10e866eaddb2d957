//! Where everything in a region lies. FORMAT.md describes the same bytes in prose.
//!
//! ```text
//! 0    header: magic, versions, sizes, where the rest is
//! 192  the region's lock
//! 256  the log's state
//! 384  participants, 128 bytes each
//!      the log's entries, 16 bytes each
//!      the schema
//!      the parts, each from a multiple of 64
//! ```
//!
//! In a guardable region the values of a part begin and end at multiples of 4,096.
//!
//! All of it follows from the schema and two counts. A region records its offsets for readers in other languages;
//! we compute them again and refuse a region whose record differs.

use std::ops::Range;

use crate::channel::Geometry;
use crate::map;
use crate::memory::Memory;
use crate::participants::{PARTICIPANTS_MAX, SLOT_SIZE};
use crate::schema::{Part, PartKind, Schema, encode};

/// The first eight bytes.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"COSEGRGN");
/// The version of this layout.
pub(crate) const FORMAT: u32 = 1;
/// Reads so only where the writer's byte order is the reader's.
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;

/// Offsets in the header.
pub(crate) mod at {
    pub(crate) const MAGIC: usize = 0;
    /// Who made the region, or is making it.
    pub(crate) const BUILDER: usize = 8;
    pub(crate) const STATE: usize = 16;
    pub(crate) const FORMAT: usize = 20;
    pub(crate) const BYTE_ORDER: usize = 24;
    /// 0, or [`super::PAGE`] in a guardable region.
    pub(crate) const VALUE_ALIGNMENT: usize = 28;
    pub(crate) const SIZE: usize = 32;
    pub(crate) const SCHEMA: usize = 40;
    pub(crate) const SCHEMA_SIZE: usize = 48;
    pub(crate) const SCHEMA_CHECKSUM: usize = 56;
    pub(crate) const PARTICIPANT_COUNT: usize = 64;
    pub(crate) const LOG_ENTRY_COUNT: usize = 72;
    pub(crate) const CREATED: usize = 80;
    pub(crate) const HEADER_CHECKSUM: usize = 88;
    pub(crate) const NAME: usize = 128;
    pub(crate) const LOCK: usize = 192;
    pub(crate) const LOG: usize = 256;
    /// How many times a lock was taken from a dead owner.
    pub(crate) const RECOVERIES: usize = 328;
    /// How many slots for participants were ever taken, counted from the first.
    pub(crate) const SLOTS_USED: usize = 320;
    pub(crate) const PARTICIPANTS: usize = 384;
}

/// Bytes of a region's own name.
pub(crate) const NAME_SIZE: usize = at::LOCK - at::NAME;
/// The state of a region that may be used.
pub(crate) const READY: u32 = 1;
/// The state of a region that was removed: those who are in may finish, nobody else comes.
pub(crate) const REMOVED: u32 = 2;
/// Bytes of a cache line; what is written by different processes lies in different ones.
pub(crate) const LINE: usize = 64;
/// Where values begin and end in a guardable region: pages are guarded whole.
pub(crate) const PAGE: usize = 4096;
/// Bytes of an entry of the log.
pub(crate) const LOG_ENTRY_SIZE: usize = 16;
/// Most values one transaction can set.
pub(crate) const LOG_ENTRIES_MAX: usize = 4096;
/// Most messages of one queue that the log has room for beside all values.
const LOG_MESSAGES: usize = 64;
/// Longest schema.
pub(crate) const SCHEMA_SIZE_MAX: usize = 1 << 20;
/// Bytes of a lock's words.
pub(crate) const LOCK_SIZE: usize = LINE;
/// Marks a version whose value is still in its map's transit slot, and not yet where the version says.
pub(crate) const IN_TRANSIT: u64 = 1 << 63;

/// Where a region's parts lie, in private memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) schema: Schema,
    pub(crate) participant_count: usize,
    pub(crate) log_entry_count: usize,
    pub(crate) log_entries_at: usize,
    pub(crate) schema_at: usize,
    pub(crate) size_bytes: usize,
    /// The pages of values, if they have pages of their own.
    pub(crate) guardable: Option<Vec<Range<usize>>>,
    /// The maps, in their order.
    pub(crate) maps: Vec<map::Geometry>,
    items: Vec<ItemRange>,
}

/// The versioned values of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ItemRange {
    first: u64,
    count: usize,
    item: Item,
    stride: usize,
}

/// A versioned value: where its version word, its slots and its bell are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its number among all of the region's.
    pub(crate) number: u64,
    pub(crate) version_at: usize,
    pub(crate) slots_at: usize,
    pub(crate) slot_stride: usize,
    /// One less than the number of slots, a power of two.
    pub(crate) slot_mask: u64,
    /// The transit slot of a map's entry; 0: it has none.
    pub(crate) transit_at: usize,
    pub(crate) room_bytes: usize,
    pub(crate) bell_at: usize,
}

impl Item {
    /// Where the value of a version is.
    #[inline]
    pub(crate) fn slot_at(&self, version: u64) -> usize {
        if version & IN_TRANSIT != 0 && self.transit_at != 0 {
            return self.transit_at;
        }
        #[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
        let slot = (version & self.slot_mask) as usize;
        self.slots_at + slot * self.slot_stride
    }
}

/// Why no layout can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Layout {
    /// Lays out parts whose offsets are not yet known.
    pub(crate) fn new(schema: Schema, participant_count: usize) -> Result<Layout, TooLarge> {
        Layout::checked(schema, participant_count, false).ok_or(TooLarge)
    }

    /// The same with the values of each part in pages of their own.
    pub(crate) fn guardable(schema: Schema, participant_count: usize) -> Result<Layout, TooLarge> {
        Layout::checked(schema, participant_count, true).ok_or(TooLarge)
    }

    fn checked(mut schema: Schema, participant_count: usize, guardable: bool) -> Option<Layout> {
        if !(1..=PARTICIPANTS_MAX).contains(&participant_count) {
            return None;
        }
        let mut item_count: usize = 0;
        for part in schema.parts.iter().filter(|part| part.kind.has_values()) {
            if !part.slot_count.is_power_of_two() || part.slot_count < 2 {
                return None;
            }
            item_count = item_count.checked_add(part.row_count)?;
        }
        // A transaction may receive messages as well.
        let queues = schema.parts.iter().filter(|part| part.kind == PartKind::Queue);
        let message_count: usize = queues.map(|part| part.row_count.min(LOG_MESSAGES)).sum();
        let maps = schema.parts.iter().filter(|part| part.kind == PartKind::Map);
        let words = maps.fold(0, |sum: usize, part| sum.saturating_add(map::log_word_count(part.row_count)));
        let log_entry_count =
            item_count.checked_add(message_count)?.saturating_add(words).min(LOG_ENTRIES_MAX);
        let log_entries_at = at::PARTICIPANTS + participant_count * SLOT_SIZE;
        let schema_at = line_after(log_entries_at + log_entry_count * LOG_ENTRY_SIZE)?;
        let schema_size = encode(&schema).len();
        if schema_size > SCHEMA_SIZE_MAX {
            return None;
        }
        let mut end = line_after(schema_at + schema_size)?;
        let mut items = Vec::new();
        let mut pages = Vec::new();
        let mut maps = Vec::new();
        let mut first = 0;
        for part in &mut schema.parts {
            let in_pages = guardable && part.kind.has_values();
            if in_pages {
                // What is written without the region's lock comes first, in a line that is not guarded.
                end = end.checked_add(LINE)?.checked_next_multiple_of(PAGE)? - LINE;
            }
            part.offset = end;
            let (size, range) = size_of_part(part, participant_count, first)?;
            maps.extend(map::Geometry::of(part, first));
            first += range.map_or(0, |range| range.count as u64);
            items.extend(range);
            end = line_after(end.checked_add(size)?)?;
            if in_pages {
                end = end.checked_next_multiple_of(PAGE)?;
                pages.push(part.offset + LINE..end);
            }
            // Offsets are added to without checks from here on, first by the next part.
            isize::try_from(end).ok()?;
        }
        Some(Layout {
            schema,
            participant_count,
            log_entry_count,
            log_entries_at,
            schema_at,
            size_bytes: end,
            guardable: guardable.then_some(pages),
            maps,
            items,
        })
    }

    /// The versioned value of a number; `None` for one that a peer made up.
    pub(crate) fn item(&self, number: u64) -> Option<Item> {
        let range = self.items.iter().rev().find(|range| range.first <= number)?;
        let row = usize::try_from(number - range.first).ok().filter(|&row| row < range.count)?;
        Some(range.row(row))
    }

    /// The versioned value of a part's row.
    pub(crate) fn item_of(&self, part: usize, row: usize) -> Option<Item> {
        let before = self.schema.parts.iter().take(part).filter(|part| part.kind.has_values()).count();
        if !self.schema.parts.get(part)?.kind.has_values() {
            return None;
        }
        self.items.get(before).filter(|range| row < range.count).map(|range| range.row(row))
    }

    /// The queue of which a slot starts at this offset.
    pub(crate) fn queue_of_slot(&self, at: usize) -> Option<Geometry> {
        let queues = self.schema.parts.iter().filter(|part| part.kind == PartKind::Queue);
        queues
            .filter_map(|part| Geometry::of(part, self.participant_count))
            .find(|geometry| geometry.is_slot(at))
    }

    /// Where everything of a part that is a map lies.
    pub(crate) fn map_of(&self, part: usize) -> Option<&map::Geometry> {
        let at = self.schema.parts.get(part)?.offset;
        self.maps.iter().find(|map| map.at == at)
    }

    /// The map of which a word of the index is at this offset.
    pub(crate) fn map_of_word(&self, at: usize) -> Option<&map::Geometry> {
        self.maps.iter().find(|map| map.is_word(at))
    }

    /// Where each lock's words are: the parts' in their order, then the region's own.
    pub(crate) fn locks(&self) -> impl Iterator<Item = (&str, usize)> {
        let parts = self.schema.parts.iter().filter(|part| part.kind.is_lock());
        parts.map(|part| (part.name.as_str(), part.offset)).chain([("region", at::LOCK)])
    }

    /// The number of a part that is a lock.
    pub(crate) fn lock_number(&self, part: usize) -> usize {
        self.schema.parts.iter().take(part).filter(|part| part.kind.is_lock()).count()
    }
}

impl ItemRange {
    fn row(&self, row: usize) -> Item {
        Item {
            number: self.first + row as u64,
            version_at: self.item.version_at + row * self.stride,
            slots_at: self.item.slots_at + row * self.stride,
            ..self.item
        }
    }
}

/// Bytes of a part, and its values.
fn size_of_part(part: &Part, participant_count: usize, first: u64) -> Option<(usize, Option<ItemRange>)> {
    let (room_bytes, slots) = (part.room_bytes, part.slot_count);
    let slot_mask = (slots as u64).wrapping_sub(1);
    match part.kind {
        PartKind::Cell => {
            let slot_stride = line_after(room_bytes)?;
            let item = Item {
                number: first,
                version_at: part.offset,
                slots_at: part.offset + LINE,
                slot_stride,
                slot_mask,
                transit_at: 0,
                room_bytes,
                bell_at: part.offset + 8,
            };
            let size = slots.checked_mul(slot_stride)?.checked_add(LINE)?;
            (part.row_count == 1).then_some((size, Some(ItemRange { first, count: 1, item, stride: 0 })))
        }
        PartKind::Table => {
            let slot_stride = room_bytes.checked_next_multiple_of(8)?;
            let stride = line_after(slots.checked_mul(slot_stride)?.checked_add(8)?)?;
            let item = Item {
                number: first,
                version_at: part.offset + LINE,
                slots_at: part.offset + LINE + 8,
                slot_stride,
                slot_mask,
                transit_at: 0,
                room_bytes,
                bell_at: part.offset,
            };
            let size = part.row_count.checked_mul(stride)?.checked_add(LINE)?;
            Some((size, Some(ItemRange { first, count: part.row_count, item, stride })))
        }
        PartKind::Map => {
            let map = map::Geometry::of(part, first)?;
            let (item, stride) = map.entries();
            Some((map.size_bytes(), Some(ItemRange { first, count: part.row_count, item, stride })))
        }
        PartKind::Counter | PartKind::Event => Some((LINE, None)),
        PartKind::Lock => Some((LOCK_SIZE, None)),
        PartKind::RwLock => Some((LOCK_SIZE + participant_count * LINE, None)),
        PartKind::OneToOne
        | PartKind::Queue
        | PartKind::Broadcast
        | PartKind::BroadcastDropping
        | PartKind::BroadcastFailing
        | PartKind::Stream => Some((Geometry::of(part, participant_count)?.size_bytes(), None)),
    }
}

pub(crate) fn line_after(offset: usize) -> Option<usize> {
    offset.checked_next_multiple_of(LINE)
}

/// FNV-1a, 64 bits: finds accidents, not malice.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The checksum of the header's constant words.
pub(crate) fn header_checksum(memory: &Memory) -> u64 {
    let mut bytes = [0; at::HEADER_CHECKSUM - at::SIZE];
    memory.read(at::SIZE, &mut bytes);
    checksum(&bytes)
}

const _: () = {
    assert!(at::PARTICIPANTS.is_multiple_of(SLOT_SIZE), "a slot lies in lines of its own");
    assert!(at::LOCK.is_multiple_of(LINE) && at::LOG.is_multiple_of(LINE));
    assert!(at::NAME + NAME_SIZE == at::LOCK);
};
