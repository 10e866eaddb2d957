//! Where the words and entries of a map lie.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | bell of those who wait for a value |
//! | 8 | 8 | seed of the hash |
//! | 16 | 8 | no entry expires before this time; a hint |
//! | 24 | 8 | the entry with which the next search for expired ones begins; a hint |
//! | 64 | 8 | moves |
//! | 128 | 8 for every 64 entries | which entries are in use, a bit each |
//! | next line | | which entry is in transit, and the transit slot |
//! | next line | 64 each | buckets |
//! | next line | 8 for each entry | links |
//! | next line | | for each entry, the slot of its even versions |
//! | then | | for each entry, the version and the slot of its odd versions |
//!
//! A slot holds when the entry expires, then the key, then the value, each from the next multiple of 8.
//!
//! What is read and put again and again lies as near together as it can, so that much of it stays in caches: an entry
//! is first added in an odd version, and who puts a value gives it an odd one again, by way of the one transit slot.
//! Transactions, and what else changes a key, take the other slot each time.

use crate::layout::{Item, LINE, line_after};
use crate::memory::{Memory, WORD};
use crate::schema::{Field, Part, PartKind, Struct, Type};
use crate::sync::{AtomicU64, Ordering};

/// Offsets from the part's start.
const SEED: usize = 8;
pub(crate) const SOONEST: usize = 16;
pub(crate) const SWEEP: usize = 24;
const MOVES: usize = LINE;
const USED: usize = 2 * LINE;

/// Offsets from a slot's start.
pub(crate) const UNTIL: usize = 0;
pub(crate) const KEY: usize = WORD;

/// Words of a bucket. All but the last name an entry each; the last begins the chain of those that found no place.
pub(crate) const BUCKET_WORDS: usize = if cfg!(coseg_model) { 2 } else { LINE / WORD };
/// The chain's word among them.
pub(crate) const CHAIN: usize = BUCKET_WORDS - 1;
/// Entries for which a word of bits stands.
pub(crate) const BITS: usize = 64;

/// Versions an entry keeps.
pub(crate) const SLOTS: usize = 2;
/// Entries begin at multiples of it: those of 64 bytes and more reach into no more lines than they must.
const ENTRY_ALIGNMENT: usize = LINE / 2;
/// Most entries of a map: a word of the index has 32 bits for an entry's number plus one.
const CAPACITY_MAX: usize = (u32::MAX - 1) as usize;
/// Words that changing an entry may change beside two for the entry itself.
const WORDS_BESIDE: usize = 6;

/// Where everything of a map lies, in offsets of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) at: usize,
    /// How many entries it has room for.
    pub(crate) capacity: usize,
    transit_at: usize,
    buckets_at: usize,
    /// One less than the number of buckets, a power of two.
    bucket_mask: u64,
    links_at: usize,
    entries_at: usize,
    stride: usize,
    /// The first entry.
    first: Item,
    pub(crate) key_bytes: usize,
    /// Where the value begins in a slot.
    pub(crate) value_at: usize,
}

/// What an entry consists of, as a schema tells it: the key and the value, where they are in a slot.
pub(crate) fn entry_type(key: Type, value: Type) -> Type {
    let value_offset = value_offset(key.size_bytes());
    let size_bytes = value_offset + value.size_bytes();
    let field = |name: &str, offset, of| Field {
        name: name.into(),
        offset,
        of,
        unit: String::new(),
        doc: String::new(),
    };
    let fields = vec![field("key", KEY, key), field("value", value_offset, value)];
    Type::Struct(Struct { name: "Entry".into(), size_bytes, fields })
}

/// Where the value begins in a slot.
pub(crate) const fn value_offset(key_bytes: usize) -> usize {
    KEY + key_bytes.next_multiple_of(WORD)
}

/// The types of key and value; `None` for a part that no program of ours can have made.
pub(crate) fn types(part: &Part) -> Option<(&Type, &Type)> {
    let Some(Type::Struct(Struct { fields, .. })) = &part.of else { return None };
    let [key, value] = fields.as_slice() else { return None };
    let key_bytes = key.of.size_bytes().checked_next_multiple_of(WORD)?;
    let as_made = key.name == "key" && value.name == "value" && key.offset == KEY;
    (as_made && value.offset.checked_sub(KEY)? == key_bytes).then_some((&key.of, &value.of))
}

/// Entries of the log that a map of so many entries should have room for, beside one for each entry: two words for each
/// entry, and those of one change.
pub(crate) fn log_word_count(capacity: usize) -> usize {
    capacity.saturating_mul(2).saturating_add(WORDS_BESIDE)
}

impl Geometry {
    /// `None` for a part that no program of ours can have made. `number` is its first entry's among all of the region's
    /// values.
    pub(crate) fn of(part: &Part, number: u64) -> Option<Geometry> {
        let capacity = part.row_count;
        if part.kind != PartKind::Map || part.slot_count != SLOTS || !(1..=CAPACITY_MAX).contains(&capacity) {
            return None;
        }
        let (key, value) = types(part)?;
        let used_at = part.offset.checked_add(USED)?;
        let slot_bytes = part.room_bytes.checked_next_multiple_of(WORD)?;
        let with_word = slot_bytes.checked_add(WORD)?;
        let transit_at = line_after(used_at.checked_add(capacity.div_ceil(BITS) * WORD)?)?;
        let buckets_at = line_after(transit_at.checked_add(with_word)?)?;
        // Half of the places of all buckets are filled at most, so that few of them overflow; in a model, most do.
        let bucket_count = if cfg!(coseg_model) {
            2
        } else {
            capacity.checked_mul(2)?.div_ceil(CHAIN).checked_next_power_of_two()?
        };
        let links_at = bucket_count.checked_mul(LINE)?.checked_add(buckets_at)?;
        let even_at = line_after(links_at.checked_add(capacity.checked_mul(WORD)?)?)?;
        let stride = with_word.checked_next_multiple_of(ENTRY_ALIGNMENT)?;
        let size_of_all = stride.checked_mul(capacity)?;
        let entries_at = line_after(even_at.checked_add(size_of_all)?)?;
        entries_at.checked_add(size_of_all)?;
        let value_at = value_offset(key.size_bytes());
        if value_at.checked_add(value.size_bytes())? > slot_bytes {
            return None;
        }
        let first = Item {
            number,
            version_at: entries_at,
            slots_at: even_at,
            slot_stride: entries_at + WORD - even_at,
            slot_mask: SLOTS as u64 - 1,
            transit_at: transit_at + WORD,
            room_bytes: part.room_bytes,
            bell_at: part.offset,
        };
        Some(Geometry {
            at: part.offset,
            capacity,
            transit_at,
            buckets_at,
            bucket_mask: bucket_count as u64 - 1,
            links_at,
            entries_at,
            stride,
            first,
            key_bytes: key.size_bytes(),
            value_at,
        })
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.entries_at - self.at + self.stride * self.capacity
    }

    /// What the hash of its keys begins with.
    #[inline]
    pub(crate) fn seed(&self, memory: &Memory) -> u64 {
        memory.word(self.at + SEED).load(Ordering::Relaxed)
    }

    /// Gives a new map its seed.
    pub(crate) fn set_seed(&self, memory: &Memory, seed: u64) {
        memory.word(self.at + SEED).store(seed, Ordering::Relaxed);
    }

    /// The first entry, and how far it is from one to the next.
    pub(crate) fn entries(&self) -> (Item, usize) {
        (self.first, self.stride)
    }

    /// An entry. Its number must be below the capacity.
    #[inline]
    pub(crate) fn item(&self, entry: usize) -> Item {
        let ahead = entry * self.stride;
        Item {
            number: self.first.number + entry as u64,
            version_at: self.first.version_at + ahead,
            slots_at: self.first.slots_at + ahead,
            ..self.first
        }
    }

    /// The word that says which entry may be in transit.
    #[inline]
    pub(crate) fn in_transit<'m>(&self, memory: &'m Memory) -> &'m AtomicU64 {
        memory.word(self.transit_at)
    }

    /// Bytes of a slot that are an entry's.
    #[inline]
    pub(crate) fn room_bytes(&self) -> usize {
        self.first.room_bytes
    }

    /// The word that counts what may lead a reader astray.
    #[inline]
    pub(crate) fn moves_at(&self) -> usize {
        self.at + MOVES
    }

    /// The bucket of a hash.
    #[inline]
    pub(crate) fn bucket_at(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "masked to the number of buckets")]
        let bucket = (hash & self.bucket_mask) as usize;
        self.buckets_at + bucket * LINE
    }

    /// The word that leads on from an entry in a chain.
    #[inline]
    pub(crate) fn link_at(&self, entry: usize) -> usize {
        self.links_at + entry * WORD
    }

    /// Whether a word names an entry that stands in a bucket itself, and not in a chain.
    pub(crate) fn is_place_of_bucket(&self, at: usize) -> bool {
        at < self.links_at && at % LINE != CHAIN * WORD
    }

    /// How many words of bits there are.
    pub(crate) fn used_word_count(&self) -> usize {
        self.capacity.div_ceil(BITS)
    }

    /// The word with the bits of 64 entries.
    pub(crate) fn used_at(&self, index: usize) -> usize {
        self.at + USED + index * WORD
    }

    /// The bits of a word that stand for no entry.
    pub(crate) fn bits_beyond(&self, index: usize) -> u64 {
        match self.capacity - (index * BITS).min(self.capacity) {
            BITS.. => 0,
            count => u64::MAX << count,
        }
    }

    /// Whether a word of the log may be for this place: one of moves, used, buckets or links.
    pub(crate) fn is_word(&self, at: usize) -> bool {
        let is_index = (self.moves_at()..self.transit_at).contains(&at)
            || (self.buckets_at..self.first.slots_at).contains(&at);
        at.is_multiple_of(WORD) && is_index
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;
    use crate::layout::IN_TRANSIT;
    use crate::schema::Scalar;

    fn part(capacity: usize, room_bytes: usize) -> Part {
        Part {
            name: "m".into(),
            doc: String::new(),
            kind: PartKind::Map,
            of: Some(entry_type(Type::Scalar(Scalar::U32), Type::Text { size_bytes: 12 })),
            row_count: capacity,
            slot_count: SLOTS,
            room_bytes,
            offset: 1024,
        }
    }

    #[test]
    fn everything_lies_one_after_the_other() {
        for capacity in [1, 2, 3, 7, 8, 63, 64, 65, 1000, 10_000] {
            let map = Geometry::of(&part(capacity, 28), 5).unwrap();
            let words = map.used_word_count();
            assert!(map.used_at(words - 1) + WORD <= map.transit_at && words * BITS >= capacity);
            assert!(map.item(0).slot_at(IN_TRANSIT) + map.room_bytes() <= map.buckets_at);
            let last_bucket = map.bucket_at(u64::MAX);
            assert_eq!(last_bucket + LINE, map.links_at);
            assert!(map.is_place_of_bucket(last_bucket) && !map.is_place_of_bucket(last_bucket + 56));
            let (first, last) = (map.item(0), map.item(capacity - 1));
            assert!(map.link_at(capacity - 1) + WORD <= first.slot_at(0));
            assert!(last.slot_at(0) + map.room_bytes() <= first.version_at);
            assert_eq!(last.slot_at(1), last.version_at + WORD);
            assert!(last.slot_at(1) + map.room_bytes() <= map.at + map.size_bytes());
            assert_eq!((last.number, last.version_at % ENTRY_ALIGNMENT), (4 + capacity as u64, 0));
            let places = (last_bucket + LINE - map.buckets_at) / LINE * CHAIN;
            assert!(places >= 2 * capacity, "{places} places for {capacity}");
            let unused: u32 = (0..words).map(|index| map.bits_beyond(index).count_ones()).sum();
            assert_eq!(words * BITS - usize::try_from(unused).unwrap(), capacity);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (capacity, room) in [(0, 28), (CAPACITY_MAX + 1, 28), (1 << 31, usize::MAX / 64), (1, usize::MAX)]
        {
            assert_eq!(Geometry::of(&part(capacity, room), 0), None, "{capacity} of {room}");
        }
        assert_eq!(Geometry::of(&part(1, 8), 0), None, "no room for the value");
        let mut other = part(1, 28);
        other.of = Some(Type::Scalar(Scalar::U64));
        assert_eq!(Geometry::of(&other, 0), None, "no key");
        let mut other = part(1, 28);
        if let Some(Type::Struct(of)) = &mut other.of {
            of.fields[0].offset = 0;
        }
        assert_eq!(Geometry::of(&other, 0), None, "the key where the time belongs");
    }
}
