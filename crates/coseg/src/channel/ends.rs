//! The ends of each kind, and how they go through its slots.

use std::cell::RefCell;
use std::time::Duration;

use super::broadcast::{Broadcast, Found};
use super::geometry::{END_REPEATED, LOCK, Side};
use super::kind::{At, Means, Next, ReceiveEnd, Room, SendEnd};
use super::lane::Lane;
use super::message::Place;
use super::one;
use super::queue::{Queue, Receiving, Slot, Track};
use super::refusal::Refusal;
use crate::Result;
use crate::base::Base;
use crate::lock::{Company, Deadline, LockWords, Taken};
use crate::participants::Owner;
use crate::schema::PartKind;
use crate::sync::{AtomicU64, Ordering};

/// How long a sender tries to get the turn of all who send, before it waits as if there were no room.
const SENDERS_PATIENCE: Duration = Duration::from_micros(50);
/// Larger messages are copied from a queue by one receiver at a time, so that none is copied in vain.
const SHARED_MAX: usize = 128;
/// How long one who looks for what the dead held waits for the region's lock.
const BURIAL_PATIENCE: Duration = Duration::from_millis(1);

/// The one sender.
#[doc(hidden)]
#[derive(Debug)]
pub struct OneSend(one::Sending<Base>);

impl SendEnd for OneSend {
    fn resume(lane: &Lane) -> OneSend {
        OneSend(one::Sending::resume(&lane.spot.base, |base| &base.memory, &lane.geometry))
    }

    #[inline(always)]
    fn reserve(&mut self, lane: &mut Lane, want: usize) -> Result<Room, Refusal> {
        let room = self.0.reserve(&lane.geometry, want);
        if room.is_none() {
            lane.awaited = Some(self.0.awaited(&lane.geometry));
        }
        Ok(room)
    }

    #[inline(always)]
    fn places<'l>(&'l self, _: &'l Lane, at: At, count: usize) -> Place<'l> {
        self.0.ring.places(at, count)
    }

    #[inline(always)]
    fn publish(&mut self, _: &Lane, count: usize) {
        self.0.publish(count);
    }

    fn cancel(&mut self, _: &Lane) {}
}

/// The one receiver.
#[doc(hidden)]
#[derive(Debug)]
pub struct OneReceive {
    way: one::Receiving<Base>,
    is_repeated: bool,
}

impl OneReceive {
    /// Where it stands which message may have been received before.
    fn mark<'l>(&self, lane: &'l Lane) -> &'l AtomicU64 {
        lane.memory().word(lane.end_at + END_REPEATED)
    }

    /// What stands there if it is the next; 0 is none.
    fn marked(&self) -> u64 {
        self.way.next_position().wrapping_add(1)
    }
}

impl ReceiveEnd for OneReceive {
    fn resume(lane: &Lane) -> Result<OneReceive> {
        let way = one::Receiving::resume(&lane.spot.base, |base| &base.memory, &lane.geometry);
        let mut end = OneReceive { way, is_repeated: false };
        let had_it = lane.inherited || end.mark(lane).load(Ordering::Relaxed) == end.marked();
        // What is sent later nobody has had before.
        if had_it && end.way.claim(&lane.geometry, 1).is_some() {
            end.give_back(lane);
        }
        Ok(end)
    }

    #[inline(always)]
    fn claim(&mut self, lane: &mut Lane, want: usize, _: Means) -> Result<Next, Refusal> {
        // Only the first may have been held by the one before.
        let want = if self.is_repeated { 1 } else { want };
        let found = self.way.claim(&lane.geometry, want);
        if found.is_none() {
            lane.awaited = Some(self.way.awaited(&lane.geometry));
        }
        Ok(found.into())
    }

    #[inline(always)]
    fn places<'l>(&'l self, _: &'l Lane, at: At, count: usize) -> Place<'l> {
        self.way.ring.places(at, count)
    }

    /// Not if the last look showed no more: it was part of this batch.
    #[inline(always)]
    fn has_more(&self) -> bool {
        self.way.has_seen_more()
    }

    #[inline(always)]
    fn is_whole(&mut self, _: &Lane) -> bool {
        true
    }

    #[inline(always)]
    fn done(&mut self, _: &Lane, count: usize) {
        self.way.done(count);
        self.is_repeated = false;
    }

    /// Whoever comes after this receiver is to know it too.
    fn give_back(&mut self, lane: &Lane) {
        self.is_repeated = true;
        self.mark(lane).store(self.marked(), Ordering::Relaxed);
    }

    #[inline(always)]
    fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    fn is_ready(&mut self, lane: &mut Lane) -> bool {
        let is_ready = self.way.claim(&lane.geometry, 1).is_some();
        if !is_ready {
            lane.awaited = Some(self.way.awaited(&lane.geometry));
        }
        is_ready
    }
}

/// The place of the one message that queues and broadcasts hand out at a time, by its offset.
#[inline(always)]
fn one_place(lane: &Lane, At(offset): At, count: usize) -> Place<'_> {
    debug_assert_eq!(count, 1, "messages of this kind are not side by side");
    lane.place(offset)
}

fn queue(lane: &Lane) -> Queue<'_> {
    Queue { memory: lane.memory(), geometry: &lane.geometry }
}

/// A sender to a queue.
#[doc(hidden)]
#[derive(Debug)]
pub struct QueueSend {
    lent: Option<Slot>,
    way: Track,
}

impl QueueSend {
    #[inline(never)]
    fn look_for_room(&mut self, lane: &mut Lane) -> Result<Room, Refusal> {
        let mut own = queue(lane).look_for_room(lane.me, &mut self.way);
        if own.is_none() && lane.is_due() && bury(lane, false) {
            own = queue(lane).look_for_room(lane.me, &mut self.way);
        }
        if own.is_none() {
            lane.awaited = self.way.awaited();
        }
        self.lent = own;
        Ok(own.map(|slot| (At(slot.payload_at()), 1)))
    }
}

impl SendEnd for QueueSend {
    fn resume(lane: &Lane) -> QueueSend {
        QueueSend { lent: None, way: queue(lane).sending() }
    }

    #[inline]
    fn reserve(&mut self, lane: &mut Lane, _: usize) -> Result<Room, Refusal> {
        // One that was lent and forgotten is lent again.
        if let Some(own) = self.lent {
            return Ok(Some((At(own.payload_at()), 1)));
        }
        if let Some(own) = queue(lane).reserve_next(lane.me, &mut self.way) {
            self.lent = Some(own);
            return Ok(Some((At(own.payload_at()), 1)));
        }
        self.look_for_room(lane)
    }

    #[inline(always)]
    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l> {
        one_place(lane, at, count)
    }

    #[inline]
    fn publish(&mut self, lane: &Lane, _: usize) {
        if let Some(own) = self.lent.take() {
            own.publish(lane.memory(), &lane.geometry);
        }
    }

    fn cancel(&mut self, lane: &Lane) {
        if let Some(own) = self.lent.take() {
            own.free(lane.memory());
            lane.ring_own_side();
        }
    }
}

/// Makes what the dead were writing room again, and gives what they held to the living; whether there was something.
#[cold]
fn bury(lane: &Lane, has_lock: bool) -> bool {
    let words = queue(lane);
    // It takes system calls to tell, and one process may have many messages.
    let known = RefCell::new(Vec::new());
    let is_dead = |owner| {
        let told = known.borrow().iter().find(|(other, _)| *other == owner).map(|(_, dead)| *dead);
        told.unwrap_or_else(|| {
            let dead = lane.base().is_dead(owner);
            known.borrow_mut().push((owner, dead));
            dead
        })
    };
    let mut found = words.drop_unfinished(is_dead) > 0;
    if words.orphans(is_dead).next().is_some() {
        found |= has_lock && inherit(lane, is_dead);
        // The lock makes sure that what the dead had committed is applied, and with it the end of a message. Who does
        // not get it soon, since somebody else or he himself is in a transaction, looks another time.
        if !has_lock && let Ok(_lock) = lane.base().lock(Deadline::after(Some(BURIAL_PATIENCE))) {
            found |= inherit(lane, is_dead);
        }
    }
    if found {
        lane.ring();
        lane.ring_own_side();
    }
    found
}

/// Gives what the dead held to the living; only for who holds the region's lock. True also if it turns out that they had
/// ended it.
fn inherit(lane: &Lane, is_dead: impl Fn(Owner) -> bool) -> bool {
    let words = queue(lane);
    for orphan in words.orphans(is_dead) {
        if let Some(own) = words.inherit(orphan, lane.me) {
            own.give_back(lane.memory(), &lane.geometry);
        }
    }
    true
}

/// A receiver of a queue.
#[doc(hidden)]
#[derive(Debug)]
pub struct QueueReceive {
    /// What it holds, or is copying: that anybody may end.
    held: Option<Slot>,
    way: Receiving,
}

impl QueueReceive {
    /// Takes a message that somebody else is to end. Only for who holds the region's lock.
    pub(crate) fn take(&mut self, lane: &mut Lane) -> Option<Slot> {
        self.look_after(lane, true);
        queue(lane).claim_without_pause(lane.me, &mut self.way)?.in_transaction(lane.memory())
    }

    /// Now and then, what the dead have left: what they held, and what became ready just before they died, so that nobody
    /// was told of it.
    #[inline]
    fn look_after(&mut self, lane: &mut Lane, has_lock: bool) {
        if lane.is_due() {
            bury(lane, has_lock);
            queue(lane).look_behind(&mut self.way);
        }
    }

    #[inline(never)]
    fn look_for_message(&mut self, lane: &mut Lane) -> Result<Next, Refusal> {
        self.held = queue(lane).look_for_message(lane.me, &mut self.way);
        if self.held.is_none() {
            lane.awaited = self.way.track.awaited();
        }
        Ok(self.held.map(|slot| (At(slot.payload_at()), 1)).into())
    }
}

impl ReceiveEnd for QueueReceive {
    fn resume(lane: &Lane) -> Result<QueueReceive> {
        Ok(QueueReceive { held: None, way: queue(lane).receiving() })
    }

    #[inline]
    fn claim(&mut self, lane: &mut Lane, _: usize, means: Means) -> Result<Next, Refusal> {
        // Also where there is always another message, what the dead held must come through.
        self.look_after(lane, false);
        self.leave(lane);
        let next = match means {
            Means::Copy if lane.geometry.stride <= SHARED_MAX => queue(lane).find_next(&mut self.way),
            _ => queue(lane).claim_next(lane.me, &mut self.way),
        };
        if let Some(next) = next {
            self.held = Some(next);
            return Ok(Next::Messages(At(next.payload_at()), 1));
        }
        self.look_for_message(lane)
    }

    #[inline(always)]
    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l> {
        one_place(lane, at, count)
    }

    #[inline]
    fn is_whole(&mut self, lane: &Lane) -> bool {
        let Some(found) = self.held.filter(Slot::is_ready) else { return true };
        let is_own = queue(lane).end_found(found);
        if is_own {
            queue(lane).pass(&mut self.way);
        } else {
            self.held = None;
        }
        is_own
    }

    #[inline]
    fn done(&mut self, lane: &Lane, _: usize) {
        if let Some(held) = self.held.take()
            && !held.is_ready()
        {
            held.free(lane.memory());
        }
    }

    fn give_back(&mut self, lane: &Lane) {
        if let Some(held) = self.held.take()
            && !held.is_ready()
        {
            held.give_back(lane.memory(), &lane.geometry);
            lane.ring_own_side();
        }
    }

    #[inline]
    fn leave(&mut self, lane: &Lane) {
        if self.held.is_some() {
            self.give_back(lane);
        }
    }

    #[inline]
    fn is_repeated(&self) -> bool {
        self.held.is_some_and(|held| held.state.is_repeated())
    }

    fn is_ready(&mut self, lane: &mut Lane) -> bool {
        self.look_after(lane, false);
        // Any of them may become ready.
        lane.awaited = None;
        queue(lane).is_ready()
    }

    fn is_owed(&self, lane: &Lane) -> bool {
        queue(lane).orphans(|owner| lane.base().is_dead(owner)).next().is_some()
    }
}

fn words(lane: &Lane) -> Broadcast<'_> {
    Broadcast { memory: lane.memory(), geometry: &lane.geometry }
}

/// Who sends to all takes turns with others who do.
struct Senders<'a>(&'a Base);

impl Company for Senders<'_> {
    fn is_dead(&self, owner: Owner) -> bool {
        self.0.is_dead(owner)
    }

    fn waits(&self, _: u64) {}

    fn waits_no_more(&self) {}
}

/// Takes the lock of those who send, also from one who has died; false: somebody else has it all the time.
fn lock_senders(lane: &Lane) -> bool {
    let lock = LockWords::new(lane.memory(), lane.geometry.at + LOCK);
    let taken = lock.take(lane.me, Deadline::after(Some(SENDERS_PATIENCE)), &Senders(lane.base()));
    if let Some(Taken::From(_)) = taken {
        words(lane).settle();
    }
    taken.is_some()
}

fn unlock_senders(lane: &Lane) {
    LockWords::new(lane.memory(), lane.geometry.at + LOCK).give_back();
}

/// Gives the lock back, and wakes those who gave up waiting for it. Only for who has done something: of two without room,
/// one would wake the other for ever.
fn leave_senders(lane: &Lane) {
    unlock_senders(lane);
    lane.ring_own_side();
}

/// A sender to all.
#[doc(hidden)]
#[derive(Debug)]
pub struct BroadcastSend {
    /// The position it writes to.
    open: Option<u64>,
    /// No receiver is to receive an earlier one, as far as is known.
    slowest: u64,
}

impl BroadcastSend {
    /// Whether the slowest receiver leaves room for a message at a position.
    fn has_room(&mut self, lane: &mut Lane, position: u64) -> bool {
        let capacity = lane.geometry.capacity as u64;
        if lane.kind != PartKind::Broadcast || position.wrapping_sub(self.slowest) < capacity {
            return true;
        }
        let lag = words(lane).slowest_lag(position);
        self.slowest = position.wrapping_sub(lag);
        lag < capacity
    }
}

impl SendEnd for BroadcastSend {
    fn resume(lane: &Lane) -> BroadcastSend {
        let sent = words(lane).sent().load(Ordering::Acquire);
        BroadcastSend { open: None, slowest: sent.wrapping_sub(lane.geometry.capacity as u64) }
    }

    #[inline]
    fn reserve(&mut self, lane: &mut Lane, _: usize) -> Result<Room, Refusal> {
        // One that was lent and forgotten is lent again.
        if let Some(position) = self.open {
            return Ok(Some((At(words(lane).open(position)), 1)));
        }
        for is_last in [false, true] {
            if !lock_senders(lane) {
                break;
            }
            let position = words(lane).sent().load(Ordering::Acquire);
            if self.has_room(lane, position) {
                self.open = Some(position);
                return Ok(Some((At(words(lane).open(position)), 1)));
            }
            unlock_senders(lane);
            if is_last || !lane.is_due() || !lane.free_ends_of_dead(Side::Receive) {
                break;
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l> {
        one_place(lane, at, count)
    }

    #[inline]
    fn publish(&mut self, lane: &Lane, _: usize) {
        if let Some(position) = self.open.take() {
            words(lane).publish(position);
            leave_senders(lane);
        }
    }

    fn cancel(&mut self, lane: &Lane) {
        if self.open.take().is_some() {
            leave_senders(lane);
        }
    }
}

/// A receiver of all.
#[doc(hidden)]
#[derive(Debug)]
pub struct BroadcastReceive {
    position: u64,
}

impl ReceiveEnd for BroadcastReceive {
    fn resume(lane: &Lane) -> Result<BroadcastReceive> {
        let position = words(lane).begin(lane.end_at);
        // Until now it stood where the one before had left it, and somebody may have waited for that.
        lane.ring();
        Ok(BroadcastReceive { position })
    }

    #[inline]
    fn claim(&mut self, lane: &mut Lane, _: usize, _: Means) -> Result<Next, Refusal> {
        Ok(match words(lane).look(self.position) {
            Found::Message(at) => Next::Messages(At(at), 1),
            Found::Nothing => Next::Nothing,
            Found::Missed(count) => {
                self.position = self.position.wrapping_add(count);
                words(lane).position(lane.end_at).store(self.position, Ordering::Release);
                Next::Missed(count)
            }
        })
    }

    #[inline(always)]
    fn places<'l>(&'l self, lane: &'l Lane, at: At, count: usize) -> Place<'l> {
        one_place(lane, at, count)
    }

    #[inline]
    fn is_whole(&mut self, lane: &Lane) -> bool {
        words(lane).is_whole(self.position)
    }

    #[inline]
    fn done(&mut self, lane: &Lane, _: usize) {
        self.position = self.position.wrapping_add(1);
        words(lane).position(lane.end_at).store(self.position, Ordering::Release);
    }

    fn give_back(&mut self, _: &Lane) {}

    #[inline]
    fn is_repeated(&self) -> bool {
        false
    }

    fn is_ready(&mut self, lane: &mut Lane) -> bool {
        words(lane).look(self.position) != Found::Nothing
    }
}
