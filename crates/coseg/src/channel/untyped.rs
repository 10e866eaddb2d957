//! A channel of a region that is known from the region's schema only.

use std::time::Duration;

use super::Channel;
use super::any::{Any, Raw};
use super::kind::ReceiveEnd;
use super::message::Place;
use super::receiver::Receiver;
use super::refusal::Refusal;
use super::sender::Sender;
use super::stream::{self, Assembly, Progress};
use crate::bell::LONGEST_SLEEP;
use crate::lock::Deadline;
use crate::part::Spot;
use crate::schema::{BYTES_LENGTH, Part, PartKind, Type};
use crate::{Result, Value, decode, encode};

/// A channel whose kind and messages are told by the region; see [`Inspection::channel`](crate::Inspection::channel).
#[derive(Debug)]
pub struct UntypedChannel {
    channel: Channel<Raw, Any>,
}

/// The end of a channel that sends values by their schema; given back when dropped.
#[derive(Debug)]
pub struct UntypedSender {
    sender: Sender<Raw, Any>,
}

/// The end of a channel that receives values by their schema; given back when dropped.
#[derive(Debug)]
pub struct UntypedReceiver {
    receiver: Receiver<Raw, Any>,
    /// A message was shown and is not done.
    holds: bool,
    is_redelivered: bool,
    /// What there is of a streamed message whose first chunk was received.
    begun: Assembly,
    message: Vec<u8>,
}

impl UntypedChannel {
    pub(crate) fn new(spot: Spot) -> UntypedChannel {
        UntypedChannel { channel: Channel { spot, of: std::marker::PhantomData } }
    }

    /// Its name, its kind, and what it says of its messages.
    pub fn schema(&self) -> &Part {
        self.channel.spot.schema()
    }

    /// The end that sends.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`](crate::ErrorKind::InUse); [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly): the region was looked into and not joined.
    pub fn sender(&self) -> Result<UntypedSender> {
        Ok(UntypedSender { sender: self.channel.sender()? })
    }

    /// The end that receives; of a broadcast, what is sent from now on.
    ///
    /// # Errors
    /// Those of [`UntypedChannel::sender`].
    pub fn receiver(&self) -> Result<UntypedReceiver> {
        let receiver = self.channel.receiver()?;
        Ok(UntypedReceiver {
            receiver,
            holds: false,
            is_redelivered: false,
            begun: Assembly::default(),
            message: Vec::new(),
        })
    }

    /// Closes the channel: nothing more is sent, and receivers are told once they have what was.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn close(&self) -> Result<()> {
        self.channel.close()
    }

    /// Opens a closed channel again.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn reopen(&self) -> Result<()> {
        self.channel.reopen()
    }
}

impl UntypedSender {
    /// Sends a value, and waits for room until `timeout` has passed or `stop` says so, which is asked ten times a second;
    /// of a stream, for room for each chunk.
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`](crate::ErrorKind::BadValue): it is no message of this channel. [`Refusal::TimedOut`], also when it was stopped;
    /// [`Refusal::Closed`]; [`Refusal::Disconnected`]. Of a stream's message that was begun and not sent, nothing is
    /// received.
    pub fn send(
        &mut self,
        message: &Value,
        timeout: Option<Duration>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Refusal> {
        let Part { kind, of: Some(of), .. } = self.sender.lane.spot.schema() else { return Ok(()) };
        let (kind, is_value) = (*kind, !matches!(of, Type::Bytes { .. }));
        let mut bytes = encode(of, message)?;
        if kind == PartKind::Stream {
            return self.send_chunks(&bytes[BYTES_LENGTH..], timeout, stop);
        }
        if is_value {
            // Fields that this schema does not have are zero for programs that have them.
            bytes.resize(self.sender.lane.geometry.stride, 0);
        }
        patiently(timeout, stop, |slice| self.sender.send_timeout(&bytes, slice))
    }

    fn send_chunks(
        &mut self,
        message: &[u8],
        timeout: Option<Duration>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Refusal> {
        let Sender { lane, end, .. } = &mut self.sender;
        lane.check_peers()?;
        for chunk in stream::chunks(message) {
            patiently(timeout, stop, |slice| {
                lane.wait(Some(slice), |lane| stream::try_chunk(lane, end, chunk))
            })?;
        }
        Ok(())
    }
}

impl UntypedReceiver {
    /// Receives a value, and waits for one until `timeout` has passed or `stop` says so, which is asked ten times a
    /// second; of a stream, for each chunk.
    ///
    /// # Errors
    /// [`Refusal::TimedOut`], also when it was stopped; [`Refusal::Closed`]; [`Refusal::Disconnected`];
    /// [`Refusal::Missed`].
    pub fn receive(&mut self, timeout: Option<Duration>, stop: &dyn Fn() -> bool) -> Result<Value, Refusal> {
        let message = self.hold(timeout, stop)?;
        self.done();
        Ok(message)
    }

    /// The same, but that the message is received only once [`UntypedReceiver::done`] says so. Until then a queue gives
    /// it to no other; asked for the next, or dropped, the receiver gives it back. A stream's message is received at
    /// once: it may be larger than the channel.
    ///
    /// # Errors
    /// Those of [`UntypedReceiver::receive`].
    pub fn hold(&mut self, timeout: Option<Duration>, stop: &dyn Fn() -> bool) -> Result<Value, Refusal> {
        self.give_back();
        let part = self.receiver.lane.spot.schema().clone();
        let Some(of) = &part.of else { return Err(Refusal::Empty) };
        if part.kind == PartKind::Stream {
            return self.receive_chunks(of, timeout, stop).map(Value::Bytes);
        }
        let message = patiently(timeout, stop, |slice| {
            let held = self.receiver.hold_timeout(slice)?;
            let bytes = read(of, held.place());
            self.is_redelivered = held.is_redelivered();
            // Overwritten while it was copied, it is none.
            if held.keep() { Ok(bytes) } else { Err(Refusal::TimedOut(slice)) }
        })?;
        self.holds = true;
        Ok(decode(of, &message))
    }

    /// Says that the message which was shown last is received.
    pub fn done(&mut self) {
        let Receiver { lane, end, .. } = &mut self.receiver;
        // What a child of fork has is its parent's.
        if std::mem::take(&mut self.holds) && lane.check_process().is_ok() {
            end.done(lane, 1);
            lane.ring();
        }
    }

    fn give_back(&mut self) {
        let Receiver { lane, end, .. } = &mut self.receiver;
        if std::mem::take(&mut self.holds) && lane.check_process().is_ok() {
            end.give_back(lane);
        }
    }

    /// Whether the last message was held by another receiver before, who gave it back or died.
    pub fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }

    /// How many messages of a broadcast were overwritten before this receiver came to them.
    pub fn missed_count(&self) -> u64 {
        self.receiver.missed_count()
    }

    /// What was received of a message stays for the next call if the time is over in its middle.
    fn receive_chunks(
        &mut self,
        of: &Type,
        timeout: Option<Duration>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, Refusal> {
        let most = of.size_bytes() - BYTES_LENGTH;
        loop {
            let progress = patiently(timeout, stop, |slice| {
                let held = self.receiver.hold_timeout(slice)?;
                let progress = self.begun.take(held.place(), most, &mut self.message);
                held.done();
                Ok(progress)
            })?;
            match progress {
                Progress::Begun => {}
                Progress::Whole => return Ok(std::mem::take(&mut self.message)),
                Progress::Impossible => return Err(stream::impossible(&self.receiver.lane, most)),
            }
        }
    }
}

impl Drop for UntypedReceiver {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The bytes of a message, as [`decode`] takes them.
pub(crate) fn read(of: &Type, place: Place<'_>) -> Vec<u8> {
    let size = match of {
        Type::Bytes { max_bytes } => BYTES_LENGTH + place.length(*max_bytes),
        of => of.size_bytes(),
    };
    let mut bytes = vec![0; size.min(place.room())];
    place.words.read(0, &mut bytes);
    bytes
}

/// Tries in short waits, so that whoever waits can be stopped.
fn patiently<R>(
    timeout: Option<Duration>,
    stop: &dyn Fn() -> bool,
    mut attempt: impl FnMut(Duration) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let deadline = Deadline::after(timeout);
    loop {
        let left = deadline.left();
        match attempt(left.unwrap_or_default().min(LONGEST_SLEEP)) {
            Err(Refusal::TimedOut(_)) if left.is_some() && !stop() => {}
            Err(Refusal::TimedOut(_)) => return Err(Refusal::TimedOut(timeout.unwrap_or_default())),
            result => return result,
        }
    }
}
