//! What is sent: values of a type, or bytes.

use crate::Shared;
use crate::memory::{WORD, Words};
use crate::schema::{BYTES_LENGTH, Type};
use crate::sync::Ordering;

/// What a channel carries: a [`Shared`] value, or [`Bytes`].
pub trait Message: 'static {
    /// What is handed to [`Sender::send`](crate::Sender::send).
    type Sent: ?Sized;
    /// What is received.
    type Received;
    #[doc(hidden)]
    const ROOM: usize;

    #[doc(hidden)]
    fn describe() -> Type;

    /// Whether there can be such a message.
    #[doc(hidden)]
    fn fits(message: &Self::Sent, room: usize) -> bool;

    #[doc(hidden)]
    fn put(place: Place<'_>, message: &Self::Sent);

    #[doc(hidden)]
    fn take(place: Place<'_>) -> Self::Received;
}

/// Where a message lies, or several side by side.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub(crate) words: &'a Words,
}

impl Place<'_> {
    /// Bytes there are.
    pub(crate) fn room(self) -> usize {
        self.words.room_bytes()
    }

    /// The length of bytes, as their sender wrote it, and never more than there can be.
    pub(crate) fn length(self, most: usize) -> usize {
        let length = self.words.word(0).load(Ordering::Relaxed);
        usize::try_from(length).unwrap_or(usize::MAX).min(most).min(self.room() - BYTES_LENGTH)
    }

    pub(crate) fn set_length(self, length: usize) {
        self.words.word(0).store(length as u64, Ordering::Relaxed);
    }
}

impl<T: Shared> Message for T {
    type Sent = T;
    type Received = T;
    const ROOM: usize = if T::ROOM > size_of::<T>() { T::ROOM } else { size_of::<T>() };

    fn describe() -> Type {
        T::describe()
    }

    #[inline]
    fn fits(_: &T, _: usize) -> bool {
        true
    }

    #[inline]
    fn put(place: Place<'_>, message: &T) {
        place.words.store(0, message);
        if T::ROOM > size_of::<T>() {
            zero_beyond(place, size_of::<T>());
        }
    }

    #[inline]
    fn take(place: Place<'_>) -> T {
        place.words.load(0)
    }
}

/// Fields that this program does not know are zero in what it sends.
fn zero_beyond(place: Place<'_>, size: usize) {
    let first = size.next_multiple_of(WORD);
    for word in place.words.words(first, (place.room() - first) / WORD) {
        word.store(0, Ordering::Relaxed);
    }
}

/// Bytes of varying length, at most `MAX`. Each message has room for `MAX`, so that what fits is always so many
/// messages.
#[derive(Debug)]
pub enum Bytes<const MAX: usize> {}

impl<const MAX: usize> Message for Bytes<MAX> {
    type Sent = [u8];
    type Received = Vec<u8>;
    const ROOM: usize = MAX + BYTES_LENGTH;

    fn describe() -> Type {
        Type::Bytes { max_bytes: MAX }
    }

    #[inline]
    fn fits(message: &[u8], _: usize) -> bool {
        message.len() <= MAX
    }

    #[inline]
    fn put(place: Place<'_>, message: &[u8]) {
        place.set_length(message.len());
        place.words.write(BYTES_LENGTH, message);
    }

    #[inline]
    fn take(place: Place<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        take_into(place, MAX, &mut bytes);
        bytes
    }
}

/// Copies bytes, `most` at most, to the end of a buffer.
#[inline]
pub(crate) fn take_into(place: Place<'_>, most: usize, buffer: &mut Vec<u8>) {
    let length = place.length(most);
    place.words.read_to_end(BYTES_LENGTH, length, buffer);
}
