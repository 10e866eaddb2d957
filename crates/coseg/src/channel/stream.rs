//! Large messages in chunks, which the receiver copies while the next are written.
//!
//! A chunk's first word: its bytes in bits 0 to 61; bit 62: it is the first of its message; bit 63: the last.

use super::kind::SendEnd;
use super::lane::Lane;
use super::message::Place;
use super::refusal::Refusal;
use crate::schema::BYTES_LENGTH;
use crate::sync::Ordering;

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 32 * 1024;
/// Bytes there must be for a chunk and its first word.
pub(crate) const CHUNK_ROOM: usize = CHUNK + BYTES_LENGTH;

/// Chunks from this size on go past the sender's cache, which is faster between cores that share none, and slower between
/// those that do.
const LARGE: usize = 16 * 1024;

const FIRST: u64 = 1 << 62;
const LAST: u64 = 1 << 63;

/// A piece of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    bytes: &'a [u8],
    is_first: bool,
    is_last: bool,
}

/// What a receiver finds at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) length: usize,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

impl Piece {
    /// Whether a sender can have written it: all but the last of a message are full.
    pub(crate) fn is_possible(self) -> bool {
        self.is_last || self.length == CHUNK
    }
}

/// The pieces of a message; of an empty one, one.
pub(crate) fn chunks(message: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let count = message.len().div_ceil(CHUNK).max(1);
    (0..count).map(move |index| Chunk {
        bytes: &message[index * CHUNK..message.len().min((index + 1) * CHUNK)],
        is_first: index == 0,
        is_last: index + 1 == count,
    })
}

pub(super) fn try_chunk(
    lane: &mut Lane,
    end: &mut impl SendEnd,
    chunk: Chunk<'_>,
) -> Result<Option<()>, Refusal> {
    lane.check_process()?;
    if lane.is_closed() {
        return Err(Refusal::Closed);
    }
    let Some((at, _)) = end.reserve(lane, 1)? else { return Ok(None) };
    let place = Place { memory: lane.memory(), at, room: lane.geometry.stride };
    let flag = |is: bool, bit| if is { bit } else { 0 };
    let word = chunk.bytes.len() as u64 | flag(chunk.is_first, FIRST) | flag(chunk.is_last, LAST);
    place.memory.word(at).store(word, Ordering::Relaxed);
    if chunk.bytes.len() >= LARGE {
        place.memory.write_past(place.bytes_at(), chunk.bytes);
    } else {
        place.memory.write(place.bytes_at(), chunk.bytes);
    }
    end.publish(lane, 1);
    lane.ring();
    Ok(Some(()))
}

/// What is at a place.
pub(crate) fn piece(place: Place<'_>) -> Piece {
    let word = place.memory.word(place.at).load(Ordering::Relaxed);
    let length = usize::try_from(word & !(FIRST | LAST)).unwrap_or(usize::MAX).min(CHUNK);
    Piece { length, is_first: word & FIRST != 0, is_last: word & LAST != 0 }
}
