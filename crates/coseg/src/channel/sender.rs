//! Sending.

use std::marker::PhantomData;
use std::time::Duration;

use super::geometry::Geometry;
use super::kind::{At, Kind, Room, SendEnd, Stream, Whole};
use super::lane::Lane;
use super::message::{Bytes, Message, Place};
use super::refusal::Refusal;
use super::stream;
use crate::schema::BYTES_LENGTH;
use crate::{Error, ErrorKind, Result, Shared};

/// The end of a channel that sends; given back when dropped.
///
/// Where there is no room, [`Sender::send`] waits, first looking again and again, then asleep until a receiver makes
/// room. Where the other end has died and nobody has taken its place, the next operation says so once, as
/// [`Refusal::Disconnected`], within 20 ms of sending or 128 messages, whichever is later; then messages are kept for the
/// next receiver as long as there is room.
#[derive(Debug)]
pub struct Sender<M, K: Kind> {
    pub(super) lane: Lane,
    pub(super) end: K::Send,
    of: PhantomData<fn(M)>,
}

/// A place for a message, which is written where it will be received. Dropped, it sends nothing.
///
/// ```
/// # use coseg::{Bytes, Channel, Key, OneToOne, Region};
/// # #[derive(Region)]
/// # struct Post { letters: Channel<Bytes<4096>, OneToOne<8>> }
/// # let dir = tempfile::tempdir()?;
/// # let backend = coseg_sysv::User::at(dir.path())?;
/// # let post = Region::<Post>::at(Key::new(7)).backend(&backend).create(PostInitial::default)?;
/// let mut sender = post.letters.sender()?;
/// sender.loan()?.fill(10, |letter| {
///     letter.write(0, b"Dear ");
///     letter.write(5, b"Ada, ");
/// })?.send()?;
/// assert_eq!(post.letters.receiver()?.receive()?, b"Dear Ada, ");
/// # post.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "dropped, it sends nothing"]
pub struct Loan<'a, M: Message, K: Kind> {
    sender: &'a mut Sender<M, K>,
    at: At,
}

/// A message that is written, and can be sent. Dropped, it is not.
#[derive(Debug)]
#[must_use = "it is not sent yet"]
pub struct Written<'a, M: Message, K: Kind> {
    loan: Loan<'a, M, K>,
}

/// The bytes of a loan, to be written piece by piece.
#[derive(Debug)]
pub struct Blank<'a> {
    place: Place<'a>,
    length: usize,
}

impl<M, K: Kind> Sender<M, K> {
    pub(super) fn new(lane: Lane) -> Sender<M, K> {
        let end = K::Send::resume(&lane);
        Sender { lane, end, of: PhantomData }
    }

    /// How often to look for room before sleeping, more and more seldom: 256 times by default, which takes about 100 µs, as
    /// a sleep and a wake-up can. 0 sleeps at once; a large number is for those who have a core of their own.
    pub fn spin(&mut self, looks: u32) {
        self.lane.spin_looks = looks;
    }

    /// Closes the channel: nothing more is sent, and receivers are told once they have what was.
    pub fn close(self) {
        super::close(&self.lane.spot);
    }
}

/// What became of a message.
enum AtOnce {
    Sent,
    NoRoom,
    /// There may be more to say than that.
    Disturbed,
}

impl<M: Message, K: Whole> Sender<M, K> {
    /// Sends a message, if there is room.
    ///
    /// # Errors
    /// [`Refusal::Full`], [`Refusal::Closed`], [`Refusal::Disconnected`]; [`ErrorKind::TooLarge`]: more bytes than a
    /// message can have.
    #[inline]
    pub fn try_send(&mut self, message: &M::Sent) -> Result<(), Refusal> {
        match self.send_at_once(message) {
            AtOnce::Sent => Ok(()),
            AtOnce::NoRoom => Err(self.lane.refuse(Refusal::Full)),
            AtOnce::Disturbed => self.try_send_late(message),
        }
    }

    #[inline(never)]
    fn try_send_late(&mut self, message: &M::Sent) -> Result<(), Refusal> {
        self.check(message)?;
        self.lane.check_peers()?;
        match try_one::<M, K>(&mut self.lane, &mut self.end, message)? {
            Some(()) => Ok(()),
            None => Err(self.lane.refuse(Refusal::Full)),
        }
    }

    /// Sends if nothing but room may be missing. What else there is to say is found out apart: to hand a refusal through
    /// takes as many instructions as to send.
    #[inline(always)]
    fn send_at_once(&mut self, message: &M::Sent) -> AtOnce {
        let Sender { lane, end, .. } = self;
        if !M::fits(message, lane.geometry.stride) || !lane.passes_undisturbed() {
            return AtOnce::Disturbed;
        }
        match end.reserve(lane, 1) {
            Ok(Some((at, _))) => {
                put_one::<M, K>(lane, end, at, message);
                AtOnce::Sent
            }
            Ok(None) => AtOnce::NoRoom,
            Err(_) => AtOnce::Disturbed,
        }
    }

    /// Sends a message, and waits while there is no room.
    ///
    /// # Errors
    /// Those of [`Sender::try_send`] but [`Refusal::Full`].
    #[inline]
    pub fn send(&mut self, message: &M::Sent) -> Result<(), Refusal> {
        self.send_within(message, None)
    }

    /// Sends a message, and waits for room for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Sender::send`], and [`Refusal::TimedOut`].
    pub fn send_timeout(&mut self, message: &M::Sent, timeout: Duration) -> Result<(), Refusal> {
        self.send_within(message, Some(timeout))
    }

    #[inline(always)]
    fn send_within(&mut self, message: &M::Sent, timeout: Option<Duration>) -> Result<(), Refusal> {
        match self.send_at_once(message) {
            AtOnce::Sent => Ok(()),
            AtOnce::NoRoom => self.send_to_room(message, timeout),
            AtOnce::Disturbed => self.send_late(message, timeout),
        }
    }

    #[inline(never)]
    fn send_late(&mut self, message: &M::Sent, timeout: Option<Duration>) -> Result<(), Refusal> {
        self.check(message)?;
        self.lane.check_peers()?;
        if let Some(()) = try_one::<M, K>(&mut self.lane, &mut self.end, message)? {
            return Ok(());
        }
        self.send_to_room(message, timeout)
    }

    /// Waits for room.
    #[inline(never)]
    fn send_to_room(&mut self, message: &M::Sent, timeout: Option<Duration>) -> Result<(), Refusal> {
        let end = &mut self.end;
        self.lane.wait(timeout, |lane| try_one::<M, K>(lane, end, message))
    }

    /// Sends a message, and lets other tasks run while there is no room. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    /// Those of [`Sender::send`]. [`ErrorKind::NoResources`]: no descriptor or thread can be had.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    #[cfg(feature = "async")]
    pub async fn send_async(&mut self, message: &M::Sent) -> Result<(), Refusal> {
        self.check(message)?;
        self.lane.check_peers()?;
        let end = &mut self.end;
        self.lane.wait_async(|lane| try_one::<M, K>(lane, end, message)).await
    }

    #[inline(always)]
    fn check(&self, message: &M::Sent) -> Result<(), Refusal> {
        if M::fits(message, self.lane.geometry.stride) { Ok(()) } else { Err(self.too_large()) }
    }

    #[cold]
    fn too_large(&self) -> Refusal {
        let most = self.lane.spot.schema().of.as_ref().map_or(0, message_bytes);
        let fact = format!("a message of this channel has at most {most} bytes");
        Refusal::Failed(Error::new("send to", self.lane.spot.object(), ErrorKind::TooLarge, fact))
    }

    /// Lends the place of the next message, and waits while there is none. To all but the one receiver of a
    /// [`OneToOne`](crate::OneToOne) it is as if the sender were slow: a queue goes on without it, a broadcast's other
    /// senders wait.
    ///
    /// # Errors
    /// Those of [`Sender::send`].
    #[inline]
    pub fn loan(&mut self) -> Result<Loan<'_, M, K>, Refusal> {
        self.lane.check_peers()?;
        let at = match reserve(&mut self.lane, &mut self.end, 1)? {
            Some((at, _)) => at,
            None => {
                let end = &mut self.end;
                self.lane.wait(None, |lane| Ok(reserve(lane, end, 1)?.map(|(at, _)| at)))?
            }
        };
        Ok(Loan { sender: self, at })
    }

    /// As [`Sender::loan`], without waiting.
    ///
    /// # Errors
    /// Those of [`Sender::try_send`].
    pub fn try_loan(&mut self) -> Result<Loan<'_, M, K>, Refusal> {
        self.lane.check_peers()?;
        match reserve(&mut self.lane, &mut self.end, 1)? {
            Some((at, _)) => Ok(Loan { sender: self, at }),
            None => Err(self.lane.refuse(Refusal::Full)),
        }
    }
}

impl<T: Shared, K: Whole> Sender<T, K> {
    /// Sends as many of the messages as there is room for; how many.
    ///
    /// # Errors
    /// Those of [`Sender::try_send`], if none was sent.
    #[inline]
    pub fn try_send_many(&mut self, messages: &[T]) -> Result<usize, Refusal> {
        self.lane.check_peers()?;
        let sent = try_many::<T, K>(&mut self.lane, &mut self.end, messages)?;
        if sent == 0 && !messages.is_empty() { Err(self.lane.refuse(Refusal::Full)) } else { Ok(sent) }
    }

    /// Sends all the messages, one after the other, and waits while there is no room.
    ///
    /// # Errors
    /// Those of [`Sender::send`]; some of the messages may have been sent.
    #[inline]
    pub fn send_all(&mut self, messages: &[T]) -> Result<(), Refusal> {
        self.lane.check_peers()?;
        let mut rest = messages;
        let end = &mut self.end;
        rest = &rest[try_many::<T, K>(&mut self.lane, end, rest)?..];
        while !rest.is_empty() {
            let sent = self.lane.wait(None, |lane| {
                let sent = try_many::<T, K>(lane, end, rest)?;
                Ok((sent > 0).then_some(sent))
            })?;
            rest = &rest[sent..];
        }
        Ok(())
    }
}

/// Writes messages side by side.
#[inline(always)]
fn put_all<T: Shared>(lane: &Lane, end: &impl SendEnd, at: At, messages: &[T]) {
    let Geometry { stride, slot_size, .. } = lane.geometry;
    let Place { words } = end.places(lane, at, messages.len());
    if slot_size == size_of::<T>() {
        return words.store_all(0, messages);
    }
    for (index, message) in messages.iter().enumerate() {
        T::put(Place { words: words.part(index * slot_size, stride) }, message);
    }
}

/// The most bytes a message of a type has.
fn message_bytes(of: &crate::schema::Type) -> usize {
    match of {
        crate::schema::Type::Bytes { max_bytes } => *max_bytes,
        other => other.size_bytes(),
    }
}

#[inline(always)]
pub(super) fn reserve(lane: &mut Lane, end: &mut impl SendEnd, want: usize) -> Result<Room, Refusal> {
    check_sendable(lane)?;
    end.reserve(lane, want)
}

#[inline(always)]
fn check_sendable(lane: &Lane) -> Result<(), Refusal> {
    lane.check_process()?;
    if lane.is_closed() { Err(Refusal::Closed) } else { Ok(()) }
}

#[inline(always)]
fn try_one<M: Message, K: Kind>(
    lane: &mut Lane,
    end: &mut K::Send,
    message: &M::Sent,
) -> Result<Option<()>, Refusal> {
    let Some((at, _)) = reserve(lane, end, 1)? else { return Ok(None) };
    put_one::<M, K>(lane, end, at, message);
    Ok(Some(()))
}

/// Sends a message, where a place was reserved.
#[inline(always)]
fn put_one<M: Message, K: Kind>(lane: &Lane, end: &mut K::Send, at: At, message: &M::Sent) {
    M::put(end.places(lane, at, 1), message);
    end.publish(lane, 1);
    lane.ring();
}

#[inline(always)]
fn try_many<T: Shared, K: Kind>(
    lane: &mut Lane,
    end: &mut K::Send,
    messages: &[T],
) -> Result<usize, Refusal> {
    let mut sent = 0;
    while sent < messages.len() {
        let (at, count) = match reserve(lane, end, messages.len() - sent) {
            Ok(Some(room)) => room,
            // It is refused again the next time.
            Err(refusal) if sent == 0 => return Err(refusal),
            _ => break,
        };
        put_all(lane, end, at, &messages[sent..sent + count]);
        end.publish(lane, count);
        sent += count;
    }
    if sent > 0 {
        lane.ring();
    }
    Ok(sent)
}

impl<'a, M: Message, K: Kind> Loan<'a, M, K> {
    fn place(&self) -> Place<'_> {
        let Sender { lane, end, .. } = &*self.sender;
        end.places(lane, self.at, 1)
    }

    /// Writes a message that exists already.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`]: more bytes than a message can have. [`ErrorKind::Forked`]: the loan is the parent's.
    pub fn write(self, message: &M::Sent) -> Result<Written<'a, M, K>, Refusal> {
        self.sender.lane.check_process()?;
        if !M::fits(message, self.place().room()) {
            let lane = &self.sender.lane;
            let fact = "more bytes than a message of this channel has";
            return Err(Refusal::Failed(Error::new(
                "write to",
                lane.spot.object(),
                ErrorKind::TooLarge,
                fact,
            )));
        }
        M::put(self.place(), message);
        Ok(Written { loan: self })
    }
}

impl<'a, const MAX: usize, K: Kind> Loan<'a, Bytes<MAX>, K> {
    /// Makes it a message of `length` bytes, which `write` writes where they are to be. What it leaves out is what an
    /// earlier message had there.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`]: `length` is more than `MAX`. [`ErrorKind::Forked`]: the loan is the parent's.
    #[inline]
    pub fn fill(
        self,
        length: usize,
        write: impl FnOnce(&mut Blank<'_>),
    ) -> Result<Written<'a, Bytes<MAX>, K>, Refusal> {
        self.sender.lane.check_process()?;
        if length > MAX {
            let fact = format!("{length} bytes: a message of this channel has at most {MAX}");
            let object = self.sender.lane.spot.object();
            return Err(Refusal::Failed(Error::new("write to", object, ErrorKind::TooLarge, fact)));
        }
        let place = self.place();
        place.set_length(length);
        write(&mut Blank { place, length });
        Ok(Written { loan: self })
    }
}

impl Blank<'_> {
    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Copies bytes to an offset.
    ///
    /// # Panics
    /// If they reach beyond the length.
    #[inline]
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= self.length);
        assert!(fits, "{} bytes at {offset} of a message of {}", bytes.len(), self.length);
        self.place.words.write_at(BYTES_LENGTH + offset, bytes);
    }
}

impl<M: Message, K: Kind> Written<'_, M, K> {
    /// Sends it.
    ///
    /// # Errors
    /// [`Refusal::Closed`]: the channel was closed meanwhile. [`ErrorKind::Forked`]: the loan is the parent's.
    #[inline]
    pub fn send(self) -> Result<(), Refusal> {
        check_sendable(&self.loan.sender.lane)?;
        let mut own = std::mem::ManuallyDrop::new(self);
        let sender = &mut own.loan.sender;
        sender.end.publish(&sender.lane, 1);
        sender.lane.ring();
        Ok(())
    }
}

impl<M: Message, K: Kind> Drop for Loan<'_, M, K> {
    fn drop(&mut self) {
        let Sender { lane, end, .. } = &mut *self.sender;
        if lane.check_process().is_ok() {
            end.cancel(lane);
        }
    }
}

impl<const MAX: usize, const N: usize> Sender<Bytes<MAX>, Stream<N>> {
    /// Sends a message chunk by chunk, and waits while there is no room for the next.
    ///
    /// # Errors
    /// Those of [`Sender::try_send`] but [`Refusal::Full`]; of a message that was begun, nothing is received.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.send_chunks(message, None)
    }

    /// The same, waiting at most `timeout` for each chunk.
    ///
    /// # Errors
    /// Those of [`Sender::send`], and [`Refusal::TimedOut`].
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<(), Refusal> {
        self.send_chunks(message, Some(timeout))
    }

    fn send_chunks(&mut self, message: &[u8], timeout: Option<Duration>) -> Result<(), Refusal> {
        if message.len() > MAX {
            let fact = format!("{} bytes: a message of this channel has at most {MAX}", message.len());
            let object = self.lane.spot.object();
            return Err(Refusal::Failed(Error::new("send to", object, ErrorKind::TooLarge, fact)));
        }
        self.lane.check_peers()?;
        let end = &mut self.end;
        for chunk in stream::chunks(message) {
            if stream::try_chunk(&mut self.lane, end, chunk)?.is_none() {
                self.lane.wait(timeout, |lane| stream::try_chunk(lane, end, chunk))?;
            }
        }
        Ok(())
    }
}

/// Lets others have what was lent and forgotten; the end is given back by its lane.
impl<M, K: Kind> Drop for Sender<M, K> {
    fn drop(&mut self) {
        if self.lane.check_process().is_ok() {
            self.end.cancel(&self.lane);
        }
    }
}
