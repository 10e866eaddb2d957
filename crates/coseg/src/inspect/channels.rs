//! The channels of a region: how full they are, who has their ends, and what is in them.

use super::Inspection;
use crate::channel::broadcast::{Broadcast, Found};
use crate::channel::queue::Queue;
use crate::channel::stream::{Assembly, Progress};
use crate::channel::{CLOSED, Geometry, LOCK, Place, Side, UntypedChannel, one, owners, read};
use crate::lock::LockWords;
use crate::memory::Memory;
use crate::part::Spot;
use crate::participants::Owner;
use crate::schema::{BYTES_LENGTH, Part, PartKind, Type};
use crate::sync::Ordering;
use crate::{Participant, Result, Value, decode};

/// A channel of a region, as it is now. What changes meanwhile may be seen half.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelView {
    /// The part's name.
    pub name: String,
    /// What kind of channel it is.
    pub kind: PartKind,
    /// What it says of its messages.
    pub of: Type,
    /// Most messages that it holds; of a stream, chunks of a message.
    pub capacity: usize,
    /// Most bytes of one message.
    pub message_bytes: usize,
    /// Bytes of the region that it takes.
    pub size_bytes: usize,
    /// Nothing more is sent.
    pub is_closed: bool,
    /// Messages that wait to be received; of a broadcast, by the slowest receiver; of a stream, chunks.
    pub ready_count: usize,
    /// Messages that receivers hold; `None` where they keep that to themselves.
    pub held_count: Option<usize>,
    /// Messages that are being written; `None` where senders keep that to themselves.
    pub writing_count: Option<usize>,
    /// How many of the held and of the written are the dead's. The next to come gives them to others, or drops them.
    pub orphan_count: usize,
    /// Messages that were ever sent, where that is known.
    pub sent_count: Option<u64>,
    /// Messages that were ever received, where that is known.
    pub received_count: Option<u64>,
    /// Who has the ends that send.
    pub senders: Vec<ChannelEnd>,
    /// Who has the ends that receive.
    pub receivers: Vec<ChannelEnd>,
}

/// An end of a channel that somebody has, or had when he died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelEnd {
    /// Its holder's slot; `None` if no participant can have written what stands there.
    pub slot: Option<usize>,
    /// Its holder; `None` if the slot is another's by now.
    pub participant: Option<Participant>,
    /// Its holder has died: the end is free to take.
    pub is_dead: bool,
    /// Messages that a broadcast's receiver is still to receive. Those beyond the capacity are lost to it.
    pub lag: Option<u64>,
}

impl Inspection {
    /// The channels, in the order of their declaration. Looking disturbs nobody.
    pub fn channels(&self) -> Vec<ChannelView> {
        let parts = self.schema().parts.iter();
        parts.filter_map(|part| self.channel_view(part, self.geometry(part)?)).collect()
    }

    /// A channel, to send to or to receive from. For that the region is to be [joined](Inspection::join).
    ///
    /// ```
    /// use coseg::{Bytes, Channel, Inspection, Key, Queue, Region, Value};
    ///
    /// #[derive(Region)]
    /// struct Post {
    ///     letters: Channel<Bytes<100>, Queue<8>>,
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let backend = coseg_sysv::User::at(dir.path())?;
    /// let post = Region::<Post>::at(Key::new(7)).backend(&backend).create(PostInitial::default)?;
    /// let look = Inspection::join(post.segment())?;
    /// look.channel("letters")?.sender()?.send(&Value::Text("Dear Ada".into()), None, &|| false)?;
    /// assert_eq!(look.channels()[0].ready_count, 1);
    /// assert_eq!(post.letters.receiver()?.receive()?, b"Dear Ada");
    /// # post.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::BadPath`](crate::ErrorKind::BadPath): there is no such part, or it is no channel.
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): a message takes more than 256 MiB.
    pub fn channel(&self, name: &str) -> Result<UntypedChannel> {
        let (part, _) = self.find_channel(name)?;
        Ok(UntypedChannel::new(Spot { base: std::sync::Arc::clone(&self.base), part }))
    }

    /// Copies of the messages that wait in a channel, in the order in which they would be received; of a broadcast, the
    /// last that were sent. None of them is received by this; what is received or overwritten meanwhile is left out.
    ///
    /// # Errors
    /// Those of [`Inspection::channel`].
    pub fn messages(&self, name: &str) -> Result<Box<dyn Iterator<Item = Value> + '_>> {
        let (part, geometry) = self.find_channel(name)?;
        let Part { kind, of: Some(of), .. } = &self.schema().parts[part] else {
            return Ok(Box::new(std::iter::empty()));
        };
        let memory = &self.base.memory;
        let copy = move |at| read(of, Place { words: memory.part(at, geometry.stride) });
        Ok(match kind {
            PartKind::Queue => {
                let ready = Queue { memory, geometry: &geometry }.ready();
                Box::new(ready.into_iter().filter_map(move |slot| {
                    let bytes = copy(slot.payload_at());
                    slot.is_same(memory).then(|| decode(of, &bytes))
                }))
            }
            PartKind::Stream => Box::new(self.streamed(geometry, of.size_bytes() - BYTES_LENGTH)),
            PartKind::OneToOne => Box::new(waiting(memory, &geometry).filter_map(move |position| {
                let bytes = copy(geometry.slot_at(position));
                one::is_unreceived(memory, &geometry, position).then(|| decode(of, &bytes))
            })),
            _ => {
                let sent = Broadcast { memory, geometry: &geometry }.sent().load(Ordering::Acquire);
                let first = sent.saturating_sub(geometry.capacity as u64);
                Box::new((first..sent).filter_map(move |position| {
                    let words = Broadcast { memory, geometry: &geometry };
                    let Found::Message(at) = words.look(position) else { return None };
                    let bytes = copy(at);
                    words.is_whole(position).then(|| decode(of, &bytes))
                }))
            }
        })
    }

    /// The messages of a stream that are there from their first chunk to their last.
    fn streamed(&self, geometry: Geometry, most: usize) -> impl Iterator<Item = Value> {
        let memory = &self.base.memory;
        let (mut begun, mut message) = (Assembly::default(), Vec::new());
        waiting(memory, &geometry).filter_map(move |position| {
            let place = Place { words: memory.part(geometry.slot_at(position), geometry.stride) };
            let progress = begun.take(place, most, &mut message);
            if !one::is_unreceived(memory, &geometry, position) {
                begun.forget(&mut message);
                return None;
            }
            (progress == Progress::Whole).then(|| Value::Bytes(std::mem::take(&mut message)))
        })
    }

    /// The number of a part that is a channel, and where its words are.
    fn find_channel(&self, name: &str) -> Result<(usize, Geometry)> {
        let parts = &self.schema().parts;
        let Some(part) = parts.iter().position(|part| part.name == name) else {
            let channels = parts.iter().filter(|part| part.kind.is_channel());
            let names: Vec<_> = channels.map(|part| part.name.as_str()).collect();
            let fact = match names.as_slice() {
                [] => "it has no channels".to_owned(),
                names => format!("there is no such channel: it has {}", names.join(", ")),
            };
            return Err(self.bad_path(name, fact));
        };
        let schema = &parts[part];
        let Some(geometry) = self.geometry(schema) else {
            return Err(self.bad_path(name, format!("a {} is no channel", schema.kind)));
        };
        // Bytes are as many as there are, and no more than a channel has room for.
        if let Some(of) = schema.of.as_ref().filter(|of| !matches!(of, Type::Bytes { .. })) {
            self.check_size(of, schema.room_bytes, 1)?;
        }
        Ok((part, geometry))
    }

    fn geometry(&self, part: &Part) -> Option<Geometry> {
        part.kind.is_channel().then(|| Geometry::of(part, self.base.layout.participant_count))?
    }

    fn channel_view(&self, part: &Part, geometry: Geometry) -> Option<ChannelView> {
        let memory = &self.base.memory;
        let of = part.of.clone()?;
        let dead = |owner: &Owner| self.base.is_dead(*owner);
        let mut view = ChannelView {
            name: part.name.clone(),
            kind: part.kind,
            capacity: geometry.capacity,
            message_bytes: of.size_bytes() - if matches!(of, Type::Bytes { .. }) { BYTES_LENGTH } else { 0 },
            of,
            size_bytes: geometry.size_bytes(),
            is_closed: memory.half(geometry.at + CLOSED).load(Ordering::Acquire) != 0,
            ready_count: 0,
            held_count: None,
            writing_count: None,
            orphan_count: 0,
            sent_count: None,
            received_count: None,
            senders: self.ends(&geometry, Side::Send, None),
            receivers: Vec::new(),
        };
        let mut sent = None;
        match part.kind {
            PartKind::Queue => {
                let queue = Queue { memory, geometry: &geometry };
                let (ready, writing, held) = queue.depth();
                view.ready_count = ready;
                (view.writing_count, view.held_count) = (Some(writing), Some(held));
                view.orphan_count = queue.busy().filter(dead).count();
            }
            kind if kind.is_broadcast() => {
                let position = Broadcast { memory, geometry: &geometry }.sent().load(Ordering::Acquire);
                let writer = LockWords::new(memory, geometry.at + LOCK).owner();
                let is_writing = writer != Owner::NOBODY;
                view.writing_count = Some(usize::from(is_writing));
                view.orphan_count = usize::from(is_writing && dead(&writer));
                view.sent_count = Some(position);
                sent = Some(position);
            }
            kind => {
                let received = one::received(memory, &geometry);
                view.ready_count = waiting(memory, &geometry).count();
                if kind == PartKind::OneToOne {
                    view.received_count = Some(received);
                    view.sent_count = Some(received.wrapping_add(view.ready_count as u64));
                }
            }
        }
        view.receivers = self.ends(&geometry, Side::Receive, sent);
        if sent.is_some() {
            let living = view.receivers.iter().filter(|end| !end.is_dead);
            let slowest = living.filter_map(|end| end.lag).max().unwrap_or(0);
            view.ready_count = usize::try_from(slowest).unwrap_or(usize::MAX).min(geometry.capacity);
        }
        Some(view)
    }

    /// The ends of a side that are taken; `sent` is the next position that a broadcast sends to.
    fn ends(&self, geometry: &Geometry, side: Side, sent: Option<u64>) -> Vec<ChannelEnd> {
        let memory = &self.base.memory;
        let words = Broadcast { memory, geometry };
        let end = |(end_at, owner): (usize, Owner)| ChannelEnd {
            slot: owner.slot(self.base.layout.participant_count),
            participant: self.base.describe_owner(owner),
            is_dead: self.base.is_dead(owner),
            lag: sent.map(|sent| words.lag(sent, std::iter::once(end_at))),
        };
        owners(memory, *geometry, side).map(end).collect()
    }
}

/// The positions of the messages that wait for the one receiver.
fn waiting(memory: &Memory, geometry: &Geometry) -> impl Iterator<Item = u64> + use<> {
    let (from, to) = (one::received(memory, geometry), one::sent(memory, geometry));
    // What was received between the two looks makes it more than there can be.
    let count = to.wrapping_sub(from).min(geometry.capacity as u64);
    (0..count).map(move |ahead| from.wrapping_add(ahead))
}
