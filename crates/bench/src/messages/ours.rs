//! Channels of a region, as a program uses them.

use std::sync::Arc;

use bytemuck::{bytes_of, bytes_of_mut};
use coseg::{
    Broadcast, Bytes, Channel, Contents, Key, Kind as AnyKind, Message, OneToOne, Queue, Receiver, Region,
    Sender, Shared, Stream, Whole,
};
use coseg_sysv::Backend;

use super::course::{Course, Kind, LENT_DEPTH, Means, Shape, Waits};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

/// A region with a channel for each way.
trait Lanes: Contents<Parts = Self, Initial: Default> + 'static {
    type Message: Message;
    type Kind: AnyKind;

    fn ways(&self) -> [&Channel<Self::Message, Self::Kind>; 2];
}

macro_rules! lanes {
    ($name:ident, $message:ty, $kind:ty) => {
        #[derive(Region)]
        struct $name {
            there: Channel<$message, $kind>,
            back: Channel<$message, $kind>,
        }

        impl Lanes for $name {
            type Message = $message;
            type Kind = $kind;

            fn ways(&self) -> [&Channel<$message, $kind>; 2] {
                [&self.there, &self.back]
            }
        }
    };
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

// As many messages as the others have room for.
lanes!(Numbers, u64, OneToOne<1024>);
lanes!(Lines, [u64; 8], OneToOne<1024>);
lanes!(Notes, [u64; KIB / 8], OneToOne<1024>);
lanes!(Blocks, Bytes<{ 64 * KIB }>, OneToOne<16>);
lanes!(Files, Bytes<{ 4 * MIB }>, Stream<8>);
lanes!(Rooms, Bytes<{ 4 * MIB }>, OneToOne<{ LENT_DEPTH }>);
lanes!(Tasks, u64, Queue<1024>);
lanes!(News, u64, Broadcast<1024>);

pub(super) fn prepare(course: Course, backend: Arc<dyn Backend>) -> Outcome<Prepared> {
    let spot = Spot { course, backend, key: Key::new(std::process::id().cast_signed()) };
    Ok(match (course.kind, course.means, course.size_bytes) {
        (Kind::Queue, _, 8) => spot.prepare(|own| Ok(Numbered::<Tasks>(own))),
        (Kind::Broadcast, _, 8) if course.waits == Waits::Spinning => spot.prepare(Announced::of),
        (Kind::OneToOne, Means::Copy, 8) => spot.prepare(|own| Ok(Numbered::<Numbers>(own))),
        (Kind::OneToOne, Means::Copy, 64) => spot.prepare::<8, _, _>(|own| Ok(Lined::<Lines>(own))),
        (Kind::OneToOne, Means::Copy, 0x400) => spot.prepare::<0x80, _, _>(|own| Ok(Lined::<Notes>(own))),
        (Kind::OneToOne, Means::Copy, 0x1_0000) => {
            spot.prepare::<0x2000, _, _>(|own| Ok(Texts::<Blocks>(own)))
        }
        (Kind::OneToOne, Means::Copy, 0x40_0000) => spot.prepare::<0x8_0000, _, _>(|own| Ok(Streamed(own))),
        (Kind::OneToOne, Means::Loan, 0x40_0000) => spot.prepare(|own| Ok(Lent(own))),
        _ => return Err("no such channel".into()),
    })
}

/// Where a region is to be.
struct Spot {
    course: Course,
    backend: Arc<dyn Backend>,
    /// The number of the first process, so that no two contenders have the same.
    key: Key,
}

impl Spot {
    fn prepare<const N: usize, L: Lanes, E: Ends<N> + 'static>(
        self,
        wrap: impl FnOnce(Own<L>) -> Outcome<E> + 'static,
    ) -> Prepared {
        Prepared::processes(self.course, move |side| wrap(Own::open(self, side)?))
    }
}

/// The ends of one side.
struct Own<L: Lanes> {
    sender: Sender<L::Message, L::Kind>,
    receiver: Receiver<L::Message, L::Kind>,
    region: Region<L>,
    side: Side,
}

impl<L: Lanes> Own<L> {
    fn open(spot: Spot, side: Side) -> Outcome<Own<L>> {
        let Spot { course, backend, key } = spot;
        let region = Region::<L>::at(key).backend(&backend).open_or_create(L::Initial::default)?;
        let [there, back] = region.ways();
        let (input, output) = match side {
            _ if course.shape == Shape::Crowd => (there, there),
            Side::First => (there, back),
            Side::Second => (back, there),
        };
        let mut own = Own { sender: input.sender()?, receiver: output.receiver()?, region, side };
        if course.waits == Waits::Sleeping {
            own.sender.spin(0);
            own.receiver.spin(0);
        }
        Ok(own)
    }
}

impl<L: Lanes> Drop for Own<L> {
    fn drop(&mut self) {
        if self.side == Side::First {
            // It was in a namespace that ends anyway.
            let _ = self.region.remove();
        }
    }
}

/// Numbers, each of which is a message.
struct Numbered<L: Lanes>(Own<L>);

impl<L: Lanes<Message = u64, Kind: Whole>> Ends<1> for Numbered<L> {
    type Place = Box<[u64; 1]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; 1]) -> Outcome {
        Ok(self.0.sender.send(&message[0])?)
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Box<[u64; 1]>) -> Outcome {
        message[0] = self.0.receiver.receive()?;
        Ok(())
    }

    #[inline]
    fn send_all(&mut self, words: &[u64]) -> Outcome {
        Ok(self.0.sender.send_all(words)?)
    }

    #[inline]
    fn receive_many<'a>(&mut self, words: &'a mut Vec<u64>, most: usize) -> Outcome<&'a [u64]> {
        words.clear();
        self.0.receiver.receive_many(words, most)?;
        Ok(words)
    }
}

/// Numbers, each of which is a message to two who receive.
struct Announced {
    own: Own<News>,
    second: Receiver<u64, Broadcast<1024>>,
}

impl Announced {
    fn of(own: Own<News>) -> Outcome<Announced> {
        let [there, back] = own.region.ways();
        let output = if own.side == Side::First { back } else { there };
        Ok(Announced { second: output.receiver()?, own })
    }
}

impl Ends<1> for Announced {
    type Place = Box<[u64; 1]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; 1]) -> Outcome {
        Ok(self.own.sender.send(&message[0])?)
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Box<[u64; 1]>) -> Outcome {
        message[0] = self.own.receiver.receive()?;
        let second = self.second.receive()?;
        if second == message[0] { Ok(()) } else { Err("two receivers received two messages".into()) }
    }
}

/// Several numbers in a message.
struct Lined<L: Lanes>(Own<L>);

impl<const N: usize, L> Ends<N> for Lined<L>
where
    [u64; N]: Shared,
    L: Lanes<Message = [u64; N], Kind: Whole>,
{
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        Ok(self.0.sender.send(message)?)
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Box<[u64; N]>) -> Outcome {
        Ok(self.0.receiver.receive_into(message)?)
    }
}

/// Bytes, each message in a slot.
struct Texts<L: Lanes>(Own<L>);

impl<L, const MAX: usize, const N: usize> Ends<N> for Texts<L>
where
    L: Lanes<Message = Bytes<MAX>, Kind: Whole>,
{
    type Place = Vec<u8>;

    #[inline]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        Ok(self.0.sender.send(bytes_of(message))?)
    }

    #[inline]
    fn receive(&mut self, message: &mut Vec<u8>) -> Outcome {
        message.clear();
        self.0.receiver.receive_into(message)?;
        Ok(())
    }
}

/// Bytes, each message in chunks.
struct Streamed(Own<Files>);

impl<const N: usize> Ends<N> for Streamed {
    type Place = Vec<u8>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        Ok(self.0.sender.send(bytes_of(message))?)
    }

    fn receive(&mut self, message: &mut Vec<u8>) -> Outcome {
        message.clear();
        self.0.receiver.receive_into(message)?;
        Ok(())
    }
}

/// Large messages that are written and read where they lie.
struct Lent(Own<Rooms>);

impl Ends<1> for Lent {
    type Place = Box<[u64; 1]>;

    #[inline]
    fn send(&mut self, message: &[u64; 1]) -> Outcome {
        let loan = self.0.sender.loan()?;
        loan.fill(4 * MIB, |place| place.write(0, bytes_of(message)))?.send()?;
        Ok(())
    }

    #[inline]
    fn receive(&mut self, message: &mut Box<[u64; 1]>) -> Outcome {
        let held = self.0.receiver.hold()?;
        held.read(0, bytes_of_mut(&mut **message));
        held.done();
        Ok(())
    }
}
