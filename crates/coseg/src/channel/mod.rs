//! Messages between processes.

mod any;
pub(crate) mod broadcast;
#[cfg(all(test, coseg_crowd))]
mod crowds;
mod ends;
mod geometry;
mod kind;
mod lane;
mod message;
#[cfg(all(test, coseg_model))]
mod models;
pub(crate) mod one;
pub(crate) mod queue;
mod receiver;
mod refusal;
mod sender;
#[cfg(feature = "async")]
mod sleeper;
pub(crate) mod stream;
mod untyped;

use std::marker::PhantomData;

pub(crate) use geometry::{CLOSED, Geometry, LOCK, Side};
pub use kind::{Broadcast, DropOldest, Fail, Kind, OneToOne, Policy, Queue, Stream, Wait, Whole};
pub(crate) use lane::owners;
pub(crate) use message::Place;
pub use message::{Bytes, Message};
pub use receiver::{Held, Receiver};
pub use refusal::Refusal;
pub use sender::{Blank, Loan, Sender, Written};
pub(crate) use untyped::read;
pub use untyped::{UntypedChannel, UntypedReceiver, UntypedSender};

use self::geometry::{RECEIVERS_BELL, SENDERS_BELL};
use self::lane::Lane;
use crate::bell::Bell;
use crate::part::{Part, Plan, Site, Spot};
use crate::schema::PartKind;
use crate::sync::Ordering;
use crate::{Participant, Result};

/// A channel of messages `M` between processes and threads; what kind `K` it is, [`OneToOne`], [`Queue`],
/// [`Broadcast`] or [`Stream`], is recorded in the region, and so is what a message consists of.
///
/// Messages stay in the region until they are received, whoever ends meanwhile. Nobody waits for one who was killed. For
/// one who was stopped waits the one peer of a one-to-one channel; of a broadcast, whoever sends while that one was just
/// sending or, if receivers are waited for, receives.
///
/// ```
/// use coseg::{Channel, Key, Queue, Region, Shared};
///
/// #[derive(Shared, Clone, Copy, PartialEq, Debug)]
/// #[repr(C)]
/// struct Order {
///     trader: u32,
///     #[shared(unit = "EUR")]
///     amount: i64,
/// }
///
/// #[derive(Region)]
/// struct Exchange {
///     orders: Channel<Order, Queue<64>>,
/// }
///
/// # let dir = tempfile::tempdir()?;
/// # let backend = coseg_sysv::User::at(dir.path())?;
/// let exchange = Region::<Exchange>::at(Key::new(7)).backend(&backend).create(ExchangeInitial::default)?;
/// let mut trader = exchange.orders.sender()?;
/// let mut desk = exchange.orders.receiver()?;
///
/// trader.send(&Order { trader: 1, amount: 500 })?;
/// let order = desk.hold()?;
/// assert_eq!(order.get().amount, 500);
/// // Killed before this, the desk leaves the order to another.
/// order.done();
/// # exchange.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Channel<M, K> {
    spot: Spot,
    of: PhantomData<fn() -> (M, K)>,
}

impl<M, K: Kind> Channel<M, K> {
    /// The end that sends. In the same process another thread may have one too, where the kind has more than one.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`](crate::ErrorKind::InUse): all ends of this side are taken by the living.
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn sender(&self) -> Result<Sender<M, K>> {
        Ok(Sender::new(Lane::claim(&self.spot, Side::Send)?))
    }

    /// The end that receives; of a broadcast, what is sent from now on.
    ///
    /// # Errors
    /// Those of [`Channel::sender`].
    pub fn receiver(&self) -> Result<Receiver<M, K>> {
        Receiver::new(Lane::claim(&self.spot, Side::Receive)?)
    }

    /// How many messages it holds at most.
    pub fn capacity(&self) -> usize {
        self.spot.schema().row_count
    }

    /// Closes the channel: nothing more is sent, and receivers are told once they have what was. A message that another
    /// is sending at this moment is refused, or comes: also, to a receiver who looks again, after it was told.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn close(&self) -> Result<()> {
        self.spot.base().me()?;
        close(&self.spot);
        Ok(())
    }

    /// Opens a closed channel again.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn reopen(&self) -> Result<()> {
        self.spot.base().me()?;
        self.spot.base().memory.half(self.spot.offset() + CLOSED).store(0, Ordering::Release);
        Ok(())
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.spot.base().memory.half(self.spot.offset() + CLOSED).load(Ordering::Acquire) != 0
    }

    /// Who has the ends that send.
    pub fn senders(&self) -> Vec<Participant> {
        self.who(Side::Send)
    }

    /// Who has the ends that receive.
    pub fn receivers(&self) -> Vec<Participant> {
        self.who(Side::Receive)
    }

    fn who(&self, side: Side) -> Vec<Participant> {
        let base = self.spot.base();
        let Some(geometry) = Geometry::of(self.spot.schema(), base.layout.participant_count) else {
            return Vec::new();
        };
        let owners = lane::owners(&base.memory, geometry, side);
        owners.filter_map(|(_, owner)| base.describe_owner(owner)).collect()
    }
}

fn close(spot: &Spot) {
    let memory = &spot.base().memory;
    memory.half(spot.offset() + CLOSED).swap(1, Ordering::SeqCst);
    ring_all(memory, spot.offset());
}

/// Wakes all who wait at a channel.
pub(crate) fn ring_all(memory: &crate::memory::Memory, at: usize) {
    for bell_at in [RECEIVERS_BELL, SENDERS_BELL] {
        Bell(memory.half(at + bell_at)).ring_for_frequent();
    }
}

impl<M: Message, K: Kind> Part for Channel<M, K> {
    type Initial = ();

    fn zero() {}

    fn plan(plan: &mut Plan, name: &str, doc: &str) {
        const { assert!(K::CAPACITY.is_power_of_two(), "a channel holds a power of two of messages") }
        let room = if K::KIND == PartKind::Stream { stream::CHUNK_ROOM } else { M::ROOM };
        plan.messages(K::KIND, name, doc, K::CAPACITY, M::describe(), room);
    }

    fn open(site: &mut Site) -> Self {
        Channel { spot: site.next(), of: PhantomData }
    }

    fn fill(&self, (): ()) {}
}
