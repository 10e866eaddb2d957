//! What the workers work on, and what they send.

use std::sync::Arc;

use coseg::{
    Broadcast, Bytes, Cell, Channel, DropOldest, Map, OneToOne, Queue, Region, RegionOptions, Shared, Stream,
};
use coseg_sysv::{Backend, Key};

pub(crate) const WORKERS: usize = 8;
const KEY: Key = Key::new(0x4157);

pub(crate) const QUEUE: usize = 8;
pub(crate) const JOBS: usize = 8;
pub(crate) const LINE: usize = 16;
pub(crate) const NEWS: usize = 16;
pub(crate) const TICKS: usize = 16;
/// Keys of the map that are worked on: nearly as many as it can have, so that they take one another's entries.
pub(crate) const KEY_COUNT: usize = 6;
/// The longest message of a stream, which is longer than all its chunks.
pub(crate) const FILM_BYTES: usize = 160 * 1024;

#[derive(Region)]
pub(crate) struct Hall {
    pub(crate) queue: Channel<Letter, Queue<QUEUE>>,
    /// Received in transactions only.
    pub(crate) jobs: Channel<Letter, Queue<JOBS>>,
    /// How often each job was done, by its number.
    pub(crate) done: Map<u64, u64, 16384>,
    pub(crate) done_count: Cell<u64>,
    pub(crate) line: Channel<Note, OneToOne<LINE>>,
    pub(crate) news: Channel<Letter, Broadcast<NEWS>>,
    pub(crate) ticks: Channel<Letter, Broadcast<TICKS, DropOldest>>,
    pub(crate) film: Channel<Bytes<FILM_BYTES>, Stream<4>>,
    pub(crate) map: Map<u64, u64, 8>,
}

pub(crate) fn hall(backend: &Arc<dyn Backend>) -> RegionOptions<Hall> {
    Region::<Hall>::at(KEY).backend(backend).participants(WORKERS + 4)
}

/// A part of the hall, as it is named in messages and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Part {
    Queue,
    Jobs,
    Line,
    News,
    Ticks,
    Film,
    Map,
}

impl Part {
    pub(crate) const ALL: [Part; 7] =
        [Part::Queue, Part::Jobs, Part::Line, Part::News, Part::Ticks, Part::Film, Part::Map];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Queue => "queue",
            Part::Jobs => "jobs",
            Part::Line => "line",
            Part::News => "news",
            Part::Ticks => "ticks",
            Part::Film => "film",
            Part::Map => "map",
        }
    }
}

/// The number of a message or value: no other has it. One that is sent later by the same life has a higher one.
pub(crate) fn number(life: usize, part: Part, count: u64) -> u64 {
    (life as u64 + 1) << 40 | (part as u64) << 32 | count
}

/// The life that made a number.
pub(crate) fn life_of(number: u64) -> usize {
    usize::try_from(number >> 40).unwrap().wrapping_sub(1)
}

/// Numbers as people read them: life and count.
pub(crate) fn shown(number: u64) -> String {
    if number == 0 { "none".to_owned() } else { format!("{}.{}", life_of(number), number & 0xffff_ffff) }
}

/// Says which bits belong to a number, so that parts of two messages are not taken for one.
fn mixed(number: u64, index: u64) -> u64 {
    let mixed = (number ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 29)
}

/// What a message consists of: its number, and bits that only this number has.
pub(crate) trait Content: Shared + Copy {
    fn of(number: u64) -> Self;
    fn number(&self) -> u64;

    /// The number, if all of it is of one message.
    fn checked(&self) -> Option<u64>
    where
        Self: PartialEq,
    {
        (*self == Self::of(self.number())).then(|| self.number())
    }
}

/// So small that several share a line.
#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Note {
    number: u64,
    mixed: u64,
}

/// Reaches over several lines.
#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Letter {
    number: u64,
    mixed: [u64; 20],
}

impl Content for Note {
    fn of(number: u64) -> Note {
        Note { number, mixed: mixed(number, 0) }
    }

    fn number(&self) -> u64 {
        self.number
    }
}

impl Content for Letter {
    fn of(number: u64) -> Letter {
        Letter { number, mixed: std::array::from_fn(|index| mixed(number, index as u64)) }
    }

    fn number(&self) -> u64 {
        self.number
    }
}

/// A message of a stream: a number and its bits, as many as its length has room for.
pub(crate) fn film(number: u64, length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(8) as u64 + 1)
        .map(|index| if index == 0 { number } else { mixed(number, index) });
    let mut bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
    bytes.truncate(length.max(8));
    bytes
}

/// The number of a stream's message, if it is whole.
pub(crate) fn checked_film(bytes: &[u8], length_of: impl Fn(u64) -> usize) -> Option<u64> {
    let number = u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
    (film(number, length_of(number)) == bytes).then_some(number)
}

/// The length of a stream's message, from its number alone: none, about a chunk, several.
pub(crate) fn film_length(number: u64) -> usize {
    const CHUNK: u64 = 32 * 1024;
    let drawn = mixed(number, 1 << 40);
    let length = match drawn % 8 {
        0..4 => 8 + (drawn >> 8) % 200,
        4 => CHUNK - 2 + (drawn >> 8) % 4,
        5 => 2 * CHUNK - 2 + (drawn >> 8) % 4,
        _ => (drawn >> 8) % FILM_BYTES as u64,
    };
    usize::try_from(length).unwrap().clamp(8, FILM_BYTES)
}
