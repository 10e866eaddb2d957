//! Large messages in chunks, which the receiver copies while the next are written.
//!
//! A chunk's first word: its bytes in bits 0 to 61; bit 62: it is the first of its message; bit 63: the last.

use super::kind::SendEnd;
use super::lane::Lane;
use super::message::Place;
use super::refusal::Refusal;
use super::sender::reserve;
use crate::schema::BYTES_LENGTH;
use crate::sync::Ordering;
use crate::{Error, ErrorKind};

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 32 * 1024;
/// Bytes there must be for a chunk and its first word.
pub(crate) const CHUNK_ROOM: usize = CHUNK + BYTES_LENGTH;

/// Chunks from this size on go past the sender's cache where that is faster.
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
    let Some((at, _)) = reserve(lane, end, 1)? else { return Ok(None) };
    let place = end.places(lane, at, 1);
    let flag = |is: bool, bit| if is { bit } else { 0 };
    let word = chunk.bytes.len() as u64 | flag(chunk.is_first, FIRST) | flag(chunk.is_last, LAST);
    place.words.word(0).store(word, Ordering::Relaxed);
    if chunk.bytes.len() >= LARGE {
        place.words.write_for_another(BYTES_LENGTH, chunk.bytes);
    } else {
        place.words.write(BYTES_LENGTH, chunk.bytes);
    }
    end.publish(lane, 1);
    lane.ring();
    Ok(Some(()))
}

/// Puts a message together from its chunks, at the end of a buffer.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    from: usize,
    has_begun: bool,
}

/// What a chunk made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It goes on; or it was begun by another receiver, and is nobody's.
    Begun,
    Whole,
    /// No sender writes such chunks.
    Impossible,
}

impl Assembly {
    pub(crate) fn at_end_of(buffer: &[u8]) -> Assembly {
        Assembly { from: buffer.len(), has_begun: false }
    }

    /// Takes the chunk at a place, of a message of `most` bytes at most.
    pub(crate) fn take(&mut self, place: Place<'_>, most: usize, buffer: &mut Vec<u8>) -> Progress {
        let word = place.words.word(0).load(Ordering::Relaxed);
        let (is_first, is_last) = (word & FIRST != 0, word & LAST != 0);
        let length = usize::try_from(word & !(FIRST | LAST)).unwrap_or(usize::MAX);
        if is_first {
            self.forget(buffer);
            self.has_begun = true;
        }
        if !self.has_begun {
            return Progress::Begun;
        }
        // All but the last are full.
        let is_possible = length == CHUNK || is_last && length < CHUNK;
        if !is_possible || buffer.len() - self.from + length > most {
            self.forget(buffer);
            return Progress::Impossible;
        }
        place.words.read_to_end(BYTES_LENGTH, length, buffer);
        self.has_begun = !is_last;
        if is_last { Progress::Whole } else { Progress::Begun }
    }

    /// Leaves nothing of a message that was begun.
    pub(crate) fn forget(&mut self, buffer: &mut Vec<u8>) {
        buffer.truncate(self.from);
        self.has_begun = false;
    }
}

/// Says that chunks make no message.
#[cold]
pub(super) fn impossible(lane: &Lane, most: usize) -> Refusal {
    let fact = format!("chunks of no message of at most {most} bytes: something writes over it");
    Error::new("receive from", lane.spot.object(), ErrorKind::Damaged, fact).into()
}
