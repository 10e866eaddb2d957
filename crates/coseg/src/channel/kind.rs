//! The kinds of channels, and how their ends go through the slots.

use super::ends::{BroadcastReceive, BroadcastSend, OneReceive, OneSend, QueueReceive, QueueSend};
use super::lane::Lane;
use super::message::Place;
use super::refusal::Refusal;
use crate::Result;
use crate::schema::PartKind;

/// What kind of channel it is; recorded in the region. `N`, a power of two, is how many messages it holds.
pub trait Kind: 'static {
    #[doc(hidden)]
    const KIND: PartKind;
    #[doc(hidden)]
    const CAPACITY: usize;
    #[doc(hidden)]
    type Send: SendEnd;
    #[doc(hidden)]
    type Receive: ReceiveEnd;
}

/// A kind whose messages each have a slot of their own: all but [`Stream`].
pub trait Whole: Kind {}

/// One sender and one receiver at a time: the fastest.
///
/// A receiver that found several messages at its last look pauses for 400 ns to 1 µs before the next two, also in
/// [`Receiver::try_receive`](crate::Receiver::try_receive): a sender that goes on is not disturbed at each message. Where
/// messages come one at a time, all came at once that were wanted, or the sender is about to wait for room, it looks at
/// once. A sender who looks for room and finds a ring of 1024 messages or more over half full pauses once and looks again.
///
/// # Crash
/// A sender that is killed loses at most the message it had not sent. What a receiver had not received waits for the
/// next; one message that it held is received again.
#[derive(Debug)]
pub enum OneToOne<const N: usize> {}

/// One sender and one receiver of large byte messages, which cross in chunks of 32 KiB; `N` is
/// how many chunks there are, and what the channel takes of the region. A message may be larger than all of them: sending
/// it then waits for the receiver.
///
/// # Crash
/// Of a message that its sender had begun and its receiver not got whole, nothing is received.
#[derive(Debug)]
pub enum Stream<const N: usize> {}

/// Many senders, many receivers; each message goes to one receiver at a time.
///
/// A receiver behind several messages who finds no further one pauses and looks again, also at the end of a batch, and
/// so does a sender who finds no further room: for 100 to 300 ns where they were two, and for 3 to 8 µs at most, behind
/// 48 or more. Who loses a place to others at the same moment lets them go on for a while, at first for 2 to 5 µs and in
/// one look for 25 to 70 µs at most, unless it is in a transaction: messages that one process sends or receives in a row
/// stay in its cache.
///
/// # Crash
/// A sender that is killed loses at most the message it had not sent. A message whose receiver dies holding it goes to
/// another, and says so. One that was received in a transaction is done exactly when the transaction is.
#[derive(Debug)]
pub enum Queue<const N: usize> {}

/// Many senders, many receivers; each receiver gets every message sent since it came. `P` says what becomes of a
/// receiver who falls behind by `N` messages. One who was overtaken goes on with the newest, `N / 8` fewer than `N` (at
/// least one): with that head start it is not overtaken again at once.
///
/// # Crash
/// A sender that is killed loses at most the message it had not sent. A receiver that is killed holds nobody up.
#[derive(Debug)]
pub enum Broadcast<const N: usize, P = Wait> {
    #[doc(hidden)]
    Never(std::convert::Infallible, std::marker::PhantomData<P>),
}

/// Senders wait for the slowest receiver.
#[derive(Debug)]
pub enum Wait {}
/// The slowest receiver loses the oldest messages, and counts them.
#[derive(Debug)]
pub enum DropOldest {}
/// The slowest receiver gets [`Refusal::Missed`], and goes on with what is left.
#[derive(Debug)]
pub enum Fail {}

/// What becomes of a receiver who falls behind.
pub trait Policy: 'static {
    #[doc(hidden)]
    const KIND: PartKind;
}

impl Policy for Wait {
    const KIND: PartKind = PartKind::Broadcast;
}
impl Policy for DropOldest {
    const KIND: PartKind = PartKind::BroadcastDropping;
}
impl Policy for Fail {
    const KIND: PartKind = PartKind::BroadcastFailing;
}

impl<const N: usize> Kind for OneToOne<N> {
    const KIND: PartKind = PartKind::OneToOne;
    const CAPACITY: usize = N;
    type Send = OneSend;
    type Receive = OneReceive;
}
impl<const N: usize> Whole for OneToOne<N> {}

impl<const N: usize> Kind for Stream<N> {
    const KIND: PartKind = PartKind::Stream;
    const CAPACITY: usize = N;
    type Send = OneSend;
    type Receive = OneReceive;
}

impl<const N: usize> Kind for Queue<N> {
    const KIND: PartKind = PartKind::Queue;
    const CAPACITY: usize = N;
    type Send = QueueSend;
    type Receive = QueueReceive;
}
impl<const N: usize> Whole for Queue<N> {}

impl<const N: usize, P: Policy> Kind for Broadcast<N, P> {
    const KIND: PartKind = P::KIND;
    const CAPACITY: usize = N;
    type Send = BroadcastSend;
    type Receive = BroadcastReceive;
}
impl<const N: usize, P: Policy> Whole for Broadcast<N, P> {}

/// Where a message lies, as its end knows it: by the number of a slot, or an offset of the region.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub(super) usize);

/// Where the next message can be written, and how many side by side.
pub(super) type Room = Option<(At, usize)>;

/// A sender's way through the slots.
#[doc(hidden)]
pub trait SendEnd: std::fmt::Debug + Sized {
    /// Goes on where senders before it ended.
    fn resume(lane: &Lane) -> Self;
    /// Up to `want` places.
    fn reserve(&mut self, lane: &mut Lane, want: usize) -> Result<Room, Refusal>;
    /// Reserved places, of so many messages.
    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l>;
    /// Sends what was written into so many of the reserved places.
    fn publish(&mut self, lane: &Lane, count: usize);
    /// Sends nothing of what was reserved.
    fn cancel(&mut self, lane: &Lane);
}

/// What a receiver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// So many messages side by side, and where.
    Messages(At, usize),
    /// None.
    Nothing,
    /// So many are gone.
    Missed(u64),
}

impl From<Room> for Next {
    #[inline]
    fn from(room: Room) -> Next {
        room.map_or(Next::Nothing, |(at, count)| Next::Messages(at, count))
    }
}

/// What for a message is claimed.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// To be copied, and received with it.
    Copy,
    /// To be read where it lies, and received later or given back.
    Hold,
}

/// A receiver's way through the slots.
#[doc(hidden)]
pub trait ReceiveEnd: std::fmt::Debug + Sized {
    fn resume(lane: &Lane) -> Result<Self>;
    /// Up to `want` messages.
    fn claim(&mut self, lane: &mut Lane, want: usize, means: Means) -> Result<Next, Refusal>;
    /// Places of so many messages that were claimed.
    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l>;
    /// Whether, after some were claimed and received, it is worth while to claim more.
    fn has_more(&self) -> bool {
        true
    }
    /// Whether what was copied was a message all the time, and this receiver's.
    fn is_whole(&mut self, lane: &Lane) -> bool;
    /// So many of what was claimed are received.
    fn done(&mut self, lane: &Lane, count: usize);
    /// What was claimed is not received.
    fn give_back(&mut self, lane: &Lane);
    /// Others may have what is still held here, by one who has forgotten it.
    fn leave(&mut self, _: &Lane) {}
    /// Whether somebody may have received it before.
    fn is_repeated(&self) -> bool;
    /// Whether there is a message, as far as can be seen without taking it.
    fn is_ready(&mut self, lane: &mut Lane) -> bool;
    /// Whether a message that the dead held is still to be given to somebody.
    fn is_owed(&self, _: &Lane) -> bool {
        false
    }
}
