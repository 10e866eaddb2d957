//! Receiving.

use std::marker::PhantomData;
use std::time::Duration;

use super::any::Raw;
use super::geometry::Geometry;
use super::kind::{At, Kind, Means, Next, Queue, ReceiveEnd, Room, Stream, Whole};
use super::lane::Lane;
use super::message::{Bytes, Message, Place, take_into};
use super::queue::Slot;
use super::refusal::Refusal;
use super::stream::{self, Assembly, Progress};
use crate::schema::{BYTES_LENGTH, PartKind};
use crate::{Result, Shared};

/// Copies of a message that are tried while senders overwrite it.
const TRIES: usize = 64;

/// The end of a channel that receives; given back when dropped.
///
/// Where there is no message, [`Receiver::receive`] waits, first looking again and again, then asleep until one is sent.
/// Where all senders have died, it says so, as [`Refusal::Disconnected`], after the last message.
#[derive(Debug)]
pub struct Receiver<M, K: Kind> {
    pub(crate) lane: Lane,
    pub(crate) end: K::Receive,
    is_repeated: bool,
    missed_count: u64,
    of: PhantomData<fn() -> M>,
}

/// A message that is being received: it stays where it is until [`Held::done`]. Dropped before, it is not received: a
/// queue gives it to another receiver, a one-to-one channel and a broadcast show it again.
#[derive(Debug)]
#[must_use = "dropped, it is not received"]
pub struct Held<'a, M: Message, K: Kind> {
    receiver: &'a mut Receiver<M, K>,
    at: At,
}

impl<M, K: Kind> Receiver<M, K> {
    pub(super) fn new(lane: Lane) -> Result<Receiver<M, K>> {
        let end = K::Receive::resume(&lane)?;
        Ok(Receiver { lane, end, is_repeated: false, missed_count: 0, of: PhantomData })
    }

    /// How often to look for a message before sleeping; see [`Sender::spin`](crate::Sender::spin).
    pub fn spin(&mut self, looks: u32) {
        self.lane.spin_looks = looks;
    }

    /// Whether the last message was held by another receiver before, who gave it back or died.
    pub fn is_redelivered(&self) -> bool {
        self.is_repeated
    }

    /// How many messages of a broadcast were overwritten before this receiver came to them.
    pub fn missed_count(&self) -> u64 {
        self.missed_count
    }

    /// Closes the channel: nothing more is sent.
    pub fn close(self) {
        super::close(&self.lane.spot);
    }

    /// Sleeps until there is a message, which is not received by this: another receiver may be quicker.
    ///
    /// # Errors
    /// Those of [`Receiver::receive_timeout`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Refusal> {
        let end = &mut self.end;
        self.lane.wait(timeout, |lane| {
            let is_closed = lane.is_closed();
            if is_closed {
                lane.look_at_once();
            }
            match end.is_ready(lane) {
                true => Ok(Some(())),
                false if is_closed && !end.is_owed(lane) => Err(Refusal::Closed),
                false => Ok(None),
            }
        })
    }
}

impl<M, K: Kind> Receiver<M, K> {
    #[inline(always)]
    fn split(&mut self) -> (&mut Lane, Way<'_, K::Receive>) {
        let Receiver { lane, end, is_repeated, missed_count, .. } = self;
        (lane, Way { end, is_repeated, missed_count })
    }

    /// Where the next message is; waits until there is one.
    #[inline(always)]
    fn claim_within(&mut self, timeout: Option<Duration>, means: Means) -> Result<At, Refusal> {
        let Receiver { lane, end, .. } = self;
        if lane.is_own() {
            for is_last in [false, true] {
                match end.claim(lane, 1, means) {
                    Ok(Next::Messages(at, _)) => return Ok(at),
                    Ok(Next::Nothing) if !is_last && lane.changes_soon() => {}
                    Ok(Next::Nothing) => break,
                    refused => return self.claim_refused(refused, timeout),
                }
            }
        }
        self.claim_late(timeout)
    }

    #[cold]
    fn claim_refused(
        &mut self,
        refused: Result<Next, Refusal>,
        timeout: Option<Duration>,
    ) -> Result<At, Refusal> {
        let (lane, mut own) = self.split();
        if let Next::Missed(count) = refused? {
            own.miss(lane, count)?;
        }
        self.claim_late(timeout)
    }

    /// Apart, so that one who need not wait for long keeps everything in registers. Held, whatever for: who has waited does
    /// not lose it to another, and wait again.
    #[inline(never)]
    fn claim_late(&mut self, timeout: Option<Duration>) -> Result<At, Refusal> {
        let (lane, mut own) = self.split();
        // It is in vain, unless there is something to be told.
        if (lane.is_closed() || !lane.is_own())
            && let Some((at, _)) = own.claim(lane, 1, Means::Hold)?
        {
            return Ok(at);
        }
        lane.wait(timeout, |lane| Ok(own.claim(lane, 1, Means::Hold)?.map(|(at, _)| at)))
    }
}

impl<M: Message, K: Whole> Receiver<M, K> {
    /// Receives a message, if there is one.
    ///
    /// # Errors
    /// [`Refusal::Empty`], [`Refusal::Closed`], [`Refusal::Disconnected`], [`Refusal::Missed`].
    #[inline]
    pub fn try_receive(&mut self) -> Result<M::Received, Refusal> {
        let (lane, mut own) = self.split();
        match own.try_copy(lane, Means::Copy, M::take)? {
            Some(message) => Ok(message),
            None => lane.find_nothing(|lane| own.try_copy(lane, Means::Copy, M::take)),
        }
    }

    /// Receives a message, and waits until there is one.
    ///
    /// # Errors
    /// Those of [`Receiver::try_receive`] but [`Refusal::Empty`].
    #[inline]
    pub fn receive(&mut self) -> Result<M::Received, Refusal> {
        self.receive_with(None, M::take)
    }

    /// Receives a message, and waits for one for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Receiver::receive`], and [`Refusal::TimedOut`].
    pub fn receive_timeout(&mut self, timeout: Duration) -> Result<M::Received, Refusal> {
        self.receive_with(Some(timeout), M::take)
    }

    #[inline(always)]
    fn receive_with<R>(
        &mut self,
        timeout: Option<Duration>,
        mut take: impl FnMut(Place<'_>) -> R,
    ) -> Result<R, Refusal> {
        // Only the place is handed through what waits: a message is moved once.
        let at = self.claim_within(timeout, Means::Copy)?;
        let (lane, mut own) = self.split();
        let message = take(own.end.places(lane, at, 1));
        if own.end_copy(lane) { Ok(message) } else { self.receive_again(timeout, take) }
    }

    /// After a copy that turned out to be of two messages, or of another's.
    #[cold]
    fn receive_again<R>(
        &mut self,
        timeout: Option<Duration>,
        mut take: impl FnMut(Place<'_>) -> R,
    ) -> Result<R, Refusal> {
        let (lane, mut own) = self.split();
        if let Some(message) = own.try_copy(lane, Means::Hold, &mut take)? {
            return Ok(message);
        }
        lane.wait(timeout, |lane| own.try_copy(lane, Means::Hold, &mut take))
    }

    /// Receives a message, and lets other tasks run until there is one. Dropped before it is ready, it has received
    /// nothing.
    ///
    /// # Errors
    /// Those of [`Receiver::receive`]. [`ErrorKind::NoResources`](crate::ErrorKind::NoResources): no descriptor or thread can be had.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    #[cfg(feature = "async")]
    pub async fn receive_async(&mut self) -> Result<M::Received, Refusal> {
        let (lane, mut own) = self.split();
        lane.wait_async(|lane| own.try_copy(lane, Means::Copy, M::take)).await
    }

    /// Holds the next message where it lies, and waits until there is one.
    ///
    /// # Errors
    /// Those of [`Receiver::receive`].
    #[inline]
    pub fn hold(&mut self) -> Result<Held<'_, M, K>, Refusal> {
        self.hold_within(None)
    }

    /// The same, waiting for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Receiver::receive_timeout`].
    pub fn hold_timeout(&mut self, timeout: Duration) -> Result<Held<'_, M, K>, Refusal> {
        self.hold_within(Some(timeout))
    }

    #[inline]
    fn hold_within(&mut self, timeout: Option<Duration>) -> Result<Held<'_, M, K>, Refusal> {
        let at = self.claim_within(timeout, Means::Hold)?;
        Ok(Held { receiver: self, at })
    }

    /// Receives messages until the channel is closed, or all who sent have died. Senders that leave may come again, and are
    /// waited for: who sends the last closes the channel.
    pub fn iter(&mut self) -> impl Iterator<Item = M::Received> {
        std::iter::from_fn(|| {
            loop {
                match self.receive() {
                    Ok(message) => return Some(message),
                    Err(Refusal::Missed(_)) => {}
                    Err(_) => return None,
                }
            }
        })
    }

    /// Receives what messages there are.
    pub fn try_iter(&mut self) -> impl Iterator<Item = M::Received> {
        std::iter::from_fn(|| self.try_receive().ok())
    }
}

impl<T: Shared, K: Whole> Receiver<T, K> {
    /// Receives a message over another, and waits until there is one. A large one is copied once by this, where one that is
    /// returned is moved as well. Where it is refused, what is there may be of no message.
    ///
    /// # Errors
    /// Those of [`Receiver::receive`].
    #[inline]
    pub fn receive_into(&mut self, message: &mut T) -> Result<(), Refusal> {
        self.receive_with(None, |place| place.words.load_into(0, message))
    }

    /// Receives up to `most` messages to the end of a list, and waits until there is one; how many. One that was held by
    /// another before is the last of them.
    ///
    /// # Errors
    /// Those of [`Receiver::receive`]. Where some were missed, what was received before is in the list.
    ///
    /// # Crash
    /// Killed in here, the process takes with it what it has received so far, up to `most` messages of which it has seen
    /// none. What must not be lost is received one by one, held, or in a transaction.
    #[inline]
    pub fn receive_many(&mut self, messages: &mut Vec<T>, most: usize) -> Result<usize, Refusal> {
        let before = messages.len();
        let (lane, mut own) = self.split();
        if own.try_batch(lane, messages, most)? == 0 && most > 0 {
            lane.wait(None, |lane| own.try_some(lane, messages, most))?;
        }
        Ok(messages.len() - before)
    }

    /// Receives the messages there are, up to `most`, to the end of a list; how many. One that was held by another before
    /// is the last of them.
    ///
    /// # Errors
    /// Those of [`Receiver::try_receive`]. Where some were missed, what was received before is in the list.
    ///
    /// # Crash
    /// As [`Receiver::receive_many`].
    pub fn try_receive_many(&mut self, messages: &mut Vec<T>, most: usize) -> Result<usize, Refusal> {
        let (lane, mut own) = self.split();
        match own.try_batch(lane, messages, most)? {
            0 if most > 0 => lane.find_nothing(|lane| own.try_some(lane, messages, most)),
            got => Ok(got),
        }
    }
}

impl<const MAX: usize, K: Whole> Receiver<Bytes<MAX>, K> {
    /// Receives a message to the end of a buffer, and waits until there is one; its length.
    ///
    /// # Errors
    /// Those of [`Receiver::receive`].
    pub fn receive_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Refusal> {
        let before = buffer.len();
        let received = self.receive_with(None, |place| {
            buffer.truncate(before);
            take_into(place, MAX, buffer);
        });
        // Copies that turned out to be of two messages are none.
        received.inspect_err(|_| buffer.truncate(before))?;
        Ok(buffer.len() - before)
    }
}

impl<M: Message, const N: usize> Receiver<M, Queue<N>> {
    /// Takes a message that a transaction is to end.
    pub(crate) fn take_for_transaction(&mut self) -> Option<(Slot, M::Received)> {
        let lane = &mut self.lane;
        let slot = self.end.take(lane)?;
        self.is_repeated = slot.state.is_repeated();
        Some((slot, M::take(lane.place(slot.payload_at()))))
    }
}

/// A receiver but for its lane.
struct Way<'a, E> {
    end: &'a mut E,
    is_repeated: &'a mut bool,
    missed_count: &'a mut u64,
}

impl<E: ReceiveEnd> Way<'_, E> {
    /// What is next; `Closed` once nothing is.
    #[inline(always)]
    fn claim(&mut self, lane: &mut Lane, want: usize, means: Means) -> Result<Room, Refusal> {
        lane.check_process()?;
        let mut was_closed = false;
        for _ in 0..TRIES {
            match self.end.claim(lane, want, means)? {
                Next::Messages(at, count) => return Ok(Some((at, count))),
                // Somebody has the lock without which the dead do not hand it over.
                Next::Nothing if was_closed && self.end.is_owed(lane) => return Ok(None),
                Next::Nothing if was_closed => return Err(Refusal::Closed),
                Next::Nothing if lane.is_closed() => {
                    // It may have been sent before the channel was closed, and after the first look; or the dead have it.
                    lane.look_at_once();
                    was_closed = true;
                }
                Next::Nothing => return Ok(None),
                Next::Missed(count) => self.miss(lane, count)?,
            }
        }
        Ok(None)
    }

    /// Counts what is gone; an error where that is to be told.
    #[cold]
    fn miss(&mut self, lane: &Lane, count: u64) -> Result<(), Refusal> {
        *self.missed_count = self.missed_count.wrapping_add(count);
        if lane.kind == PartKind::BroadcastDropping { Ok(()) } else { Err(Refusal::Missed(count)) }
    }

    #[inline(always)]
    fn try_copy<R>(
        &mut self,
        lane: &mut Lane,
        first: Means,
        mut take: impl FnMut(Place<'_>) -> R,
    ) -> Result<Option<R>, Refusal> {
        // Where others were quicker, it is not shared with them the next time.
        for means in std::iter::once(first).chain(std::iter::repeat_n(Means::Hold, TRIES)) {
            let Some((at, _)) = self.claim(lane, 1, means)? else { return Ok(None) };
            let message = take(self.end.places(lane, at, 1));
            if self.end_copy(lane) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Says that the message that was copied is received; false: it was overwritten meanwhile.
    #[inline(always)]
    fn end_copy(&mut self, lane: &mut Lane) -> bool {
        let is_whole = self.end.is_whole(lane);
        if is_whole {
            *self.is_repeated = self.end.is_repeated();
            self.end.done(lane, 1);
            lane.ring();
        }
        is_whole
    }

    /// Receives messages up to one that may have been received before, and tells the other side that there is room. What
    /// is refused after some were received is so again the next time; but that messages were missed is said only once.
    fn try_batch<T: Shared>(
        &mut self,
        lane: &mut Lane,
        messages: &mut Vec<T>,
        most: usize,
    ) -> Result<usize, Refusal> {
        let before = messages.len();
        // More are never there at a time: a sender who keeps pace makes no batch endless.
        let most = most.min(lane.geometry.capacity);
        let mut refused = None;
        while messages.len() - before < most {
            match self.try_many(lane, messages, most - (messages.len() - before)) {
                Ok(0) => break,
                Ok(_) if *self.is_repeated || !self.end.has_more() => break,
                Ok(_) => {}
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
        }
        let got = messages.len() - before;
        if got > 0 {
            lane.ring();
        }
        match refused {
            Some(refusal) if got == 0 || matches!(refusal, Refusal::Missed(_)) => Err(refusal),
            _ => Ok(got),
        }
    }

    /// The same; `None`: there are none.
    fn try_some<T: Shared>(
        &mut self,
        lane: &mut Lane,
        messages: &mut Vec<T>,
        most: usize,
    ) -> Result<Option<usize>, Refusal> {
        let got = self.try_batch(lane, messages, most)?;
        Ok((got > 0).then_some(got))
    }

    /// Receives messages that lie side by side. The other side is not told yet that there is room.
    #[inline(always)]
    fn try_many<T: Shared>(
        &mut self,
        lane: &mut Lane,
        messages: &mut Vec<T>,
        most: usize,
    ) -> Result<usize, Refusal> {
        for means in [Means::Copy, Means::Hold] {
            let Some((at, count)) = self.claim(lane, most, means)? else { break };
            let before = messages.len();
            take_all(lane, self.end, at, count, messages);
            if self.end.is_whole(lane) {
                *self.is_repeated = self.end.is_repeated();
                self.end.done(lane, count);
                return Ok(count);
            }
            messages.truncate(before);
        }
        Ok(0)
    }
}

/// Copies messages that lie side by side.
#[inline(always)]
fn take_all<T: Shared>(lane: &Lane, end: &impl ReceiveEnd, at: At, count: usize, messages: &mut Vec<T>) {
    let Geometry { stride, slot_size, .. } = lane.geometry;
    let Place { words } = end.places(lane, at, count);
    if slot_size == size_of::<T>() {
        return words.load_all(0, count, messages);
    }
    let place = |index| Place { words: words.part(index * slot_size, stride) };
    messages.extend((0..count).map(|index| T::take(place(index))));
}

impl<M: Message, K: Kind> Held<'_, M, K> {
    pub(super) fn place(&self) -> Place<'_> {
        let Receiver { lane, end, .. } = &*self.receiver;
        end.places(lane, self.at, 1)
    }

    /// A copy of the message.
    pub fn get(&self) -> M::Received {
        M::take(self.place())
    }

    /// Whether another receiver held it before, who gave it back or died.
    pub fn is_redelivered(&self) -> bool {
        self.receiver.end.is_repeated()
    }

    /// Says that it was received. False: it was overwritten meanwhile, by a sender of a broadcast that does not wait, and
    /// what was read of it may be of two messages.
    #[inline]
    pub fn done(self) -> bool {
        let mut own = std::mem::ManuallyDrop::new(self);
        let Receiver { lane, end, is_repeated, .. } = &mut *own.receiver;
        if lane.check_process().is_err() {
            return false;
        }
        let is_whole = end.is_whole(lane);
        *is_repeated = end.is_repeated();
        end.done(lane, 1);
        lane.ring();
        is_whole
    }
}

impl<K: Kind> Held<'_, Raw, K> {
    /// Leaves it held by its receiver, whose end is to say what becomes of it. False: it was overwritten meanwhile.
    pub(super) fn keep(self) -> bool {
        let mut own = std::mem::ManuallyDrop::new(self);
        let Receiver { lane, end, .. } = &mut *own.receiver;
        end.is_whole(lane)
    }
}

impl<const MAX: usize, K: Kind> Held<'_, Bytes<MAX>, K> {
    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.place().length(MAX)
    }

    /// Copies bytes from an offset on.
    ///
    /// # Panics
    /// If they reach beyond `MAX`.
    #[inline]
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= MAX);
        assert!(fits, "{} bytes at {offset} of a message of at most {MAX}", bytes.len());
        self.place().words.read_at(BYTES_LENGTH + offset, bytes);
    }
}

impl<M: Message, K: Kind> Drop for Held<'_, M, K> {
    fn drop(&mut self) {
        let Receiver { lane, end, .. } = &mut *self.receiver;
        if lane.check_process().is_ok() {
            end.give_back(lane);
        }
    }
}

impl<const MAX: usize, const N: usize> Receiver<Bytes<MAX>, Stream<N>> {
    /// Receives a message, chunk by chunk, and waits until it is there.
    ///
    /// # Errors
    /// Those of [`Receiver::receive_into`].
    pub fn receive(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut message = Vec::new();
        self.receive_into(&mut message)?;
        Ok(message)
    }

    /// Receives a message to the end of a buffer, and waits until it is there; its length. Of one whose sender died, or
    /// that a receiver before this one had begun, nothing is received.
    ///
    /// # Errors
    /// [`Refusal::Closed`], [`Refusal::Disconnected`]. [`ErrorKind::Damaged`](crate::ErrorKind::Damaged): a peer has written more than a message
    /// can have.
    pub fn receive_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Refusal> {
        let before = buffer.len();
        let mut message = Assembly::at_end_of(buffer);
        loop {
            let at = self.claim_within(None, Means::Hold).inspect_err(|_| message.forget(buffer))?;
            let (lane, own) = self.split();
            let progress = message.take(own.end.places(lane, at, 1), MAX, buffer);
            own.end.done(lane, 1);
            lane.ring();
            match progress {
                Progress::Begun => {}
                Progress::Whole => return Ok(buffer.len() - before),
                Progress::Impossible => return Err(stream::impossible(lane, MAX)),
            }
        }
    }
}

/// Lets others have what it holds; the end is given back by its lane.
impl<M, K: Kind> Drop for Receiver<M, K> {
    fn drop(&mut self) {
        if self.lane.check_process().is_ok() {
            self.end.leave(&self.lane);
        }
    }
}
