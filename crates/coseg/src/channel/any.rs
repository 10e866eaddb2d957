//! Kinds and messages that are known from a region's schema only.

use super::ends::{BroadcastReceive, BroadcastSend, OneReceive, OneSend, QueueReceive, QueueSend};
use super::kind::{At, Kind, Means, Next, ReceiveEnd, Room, SendEnd, Whole};
use super::lane::Lane;
use super::message::{Message, Place};
use super::refusal::Refusal;
use crate::Result;
use crate::schema::{PartKind, Type};

/// A message as it lies in the region. Of the room for it, what is beyond the bytes that are sent stays as it was.
#[derive(Debug)]
pub(crate) enum Raw {}

impl Message for Raw {
    type Sent = [u8];
    type Received = Vec<u8>;
    const ROOM: usize = 0;

    fn describe() -> Type {
        Type::Bytes { max_bytes: 0 }
    }

    fn fits(message: &[u8], room: usize) -> bool {
        message.len() <= room
    }

    fn put(place: Place<'_>, message: &[u8]) {
        place.words.write(0, message);
    }

    fn take(place: Place<'_>) -> Vec<u8> {
        let mut bytes = vec![0; place.room()];
        place.words.read(0, &mut bytes);
        bytes
    }
}

/// Whatever kind the channel is. Of a stream, what is sent and received whole is a chunk.
#[derive(Debug)]
pub(crate) enum Any {}

impl Kind for Any {
    // Such a channel is only ever opened: one without room for a message is not made.
    const KIND: PartKind = PartKind::Queue;
    const CAPACITY: usize = 0;
    type Send = AnySend;
    type Receive = AnyReceive;
}
impl Whole for Any {}

/// A sender of any kind.
#[derive(Debug)]
pub(crate) enum AnySend {
    One(OneSend),
    Queue(QueueSend),
    Broadcast(BroadcastSend),
}

/// A receiver of any kind.
#[derive(Debug)]
pub(crate) enum AnyReceive {
    One(OneReceive),
    Queue(QueueReceive),
    Broadcast(BroadcastReceive),
}

macro_rules! pass_on {
    ($own:expr, $end:ident => $call:expr) => {
        match $own {
            Self::One($end) => $call,
            Self::Queue($end) => $call,
            Self::Broadcast($end) => $call,
        }
    };
}

impl SendEnd for AnySend {
    fn resume(lane: &Lane) -> AnySend {
        match lane.kind {
            PartKind::Queue => AnySend::Queue(SendEnd::resume(lane)),
            kind if kind.is_broadcast() => AnySend::Broadcast(SendEnd::resume(lane)),
            _ => AnySend::One(SendEnd::resume(lane)),
        }
    }

    fn reserve(&mut self, lane: &mut Lane, want: usize) -> Result<Room, Refusal> {
        pass_on!(self, end => end.reserve(lane, want))
    }

    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l> {
        pass_on!(self, end => end.places(lane, at, count))
    }

    fn publish(&mut self, lane: &Lane, count: usize) {
        pass_on!(self, end => end.publish(lane, count));
    }

    fn cancel(&mut self, lane: &Lane) {
        pass_on!(self, end => end.cancel(lane));
    }
}

impl ReceiveEnd for AnyReceive {
    fn resume(lane: &Lane) -> Result<AnyReceive> {
        Ok(match lane.kind {
            PartKind::Queue => AnyReceive::Queue(ReceiveEnd::resume(lane)?),
            kind if kind.is_broadcast() => AnyReceive::Broadcast(ReceiveEnd::resume(lane)?),
            _ => AnyReceive::One(ReceiveEnd::resume(lane)?),
        })
    }

    fn claim(&mut self, lane: &mut Lane, want: usize, means: Means) -> Result<Next, Refusal> {
        pass_on!(self, end => end.claim(lane, want, means))
    }

    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l> {
        pass_on!(self, end => end.places(lane, at, count))
    }

    fn has_more(&self) -> bool {
        pass_on!(self, end => end.has_more())
    }

    fn is_whole(&mut self, lane: &Lane) -> bool {
        pass_on!(self, end => end.is_whole(lane))
    }

    fn done(&mut self, lane: &Lane, count: usize) {
        pass_on!(self, end => end.done(lane, count));
    }

    fn give_back(&mut self, lane: &Lane) {
        pass_on!(self, end => end.give_back(lane));
    }

    fn leave(&mut self, lane: &Lane) {
        pass_on!(self, end => end.leave(lane));
    }

    fn is_repeated(&self) -> bool {
        pass_on!(self, end => end.is_repeated())
    }

    fn is_ready(&mut self, lane: &mut Lane) -> bool {
        pass_on!(self, end => end.is_ready(lane))
    }

    fn is_owed(&self, lane: &Lane) -> bool {
        pass_on!(self, end => end.is_owed(lane))
    }
}
