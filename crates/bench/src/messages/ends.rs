//! Sending and receiving, as each contender does it.

use crate::Outcome;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It asks, or sends, and says when the turn is over.
    First,
    /// It answers, or receives.
    Second,
}

/// One side's ends of two channels, one for each way; or of one queue, for both.
///
/// All calls wait: for room, or for a message. Where sending takes no longer than a call, it is always inlined, as it would
/// be in a program that sends in one place.
pub(super) trait Ends<const N: usize> {
    type Place: Place<N> + Send;

    fn send(&mut self, message: &[u64; N]) -> Outcome;

    fn receive(&mut self, place: &mut Self::Place) -> Outcome;

    /// Sends several in one call; here are their words.
    fn send_all(&mut self, _words: &[u64]) -> Outcome {
        Err("sends one by one".into())
    }

    /// Receives in one call as many as there are, at least one and at most so many. Their words are here then.
    fn receive_many<'a>(&mut self, _words: &'a mut Vec<u64>, _most: usize) -> Outcome<&'a [u64]> {
        Err("receives one by one".into())
    }
}

/// The receiver's own memory for a message.
pub(super) trait Place<const N: usize> {
    fn new() -> Self;

    /// The message; nothing, if what is here is none.
    fn words(&self) -> Option<&[u64; N]>;
}

impl<const N: usize> Place<N> for Box<[u64; N]> {
    fn new() -> Self {
        bytemuck::zeroed_box()
    }

    #[inline]
    fn words(&self) -> Option<&[u64; N]> {
        Some(self)
    }
}

impl<const N: usize> Place<N> for Vec<u8> {
    fn new() -> Self {
        Vec::new()
    }

    #[inline]
    fn words(&self) -> Option<&[u64; N]> {
        bytemuck::try_from_bytes(self).ok()
    }
}
