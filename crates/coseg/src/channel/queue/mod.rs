//! Many senders, many receivers; each message to one of them.
//!
//! Every step is one compare-and-exchange of a slot's first word: from free to being written, to ready, to held, and to free
//! again; or from ready to free, by one who has copied the message before. Where to send to and to receive from next each end
//! knows for itself, and passes what others have taken. Two hints say it to those who come or were away; they are at most
//! three positions behind, so that their lines travel once for four messages. A message that is being written or held keeps
//! others from nothing: receivers go on beyond it, and senders who come round to it move it on to the next lap, in the same
//! slot. One that becomes ready after receivers have gone on, since it was given back or written slowly, is counted, and
//! whoever sees a new count looks behind first: so messages of one sender are received in their order. It too is moved on
//! by senders who come round, and stays the message of its first position.
//!
//! What a dead process was writing is dropped; what it held goes to another, under the region's lock: so a transaction
//! that it had committed with the message is finished first, and the message with it.

mod slot;
mod track;

use super::geometry::{BEHIND, Geometry, RECEIVED, SENT};
use crate::memory::Memory;
use crate::participants::Owner;
use crate::sync::{AtomicU64, Ordering};

pub(crate) use slot::Slot;
use slot::{FREE, HELD, IN_TRANSACTION, LAP_MASK, PASSED, READY, REPEATED, State, WRITING};
use track::{Losses, UNSAID, is_before};
pub(crate) use track::{Receiving, Track};

/// How many slots a receiver looks at behind one that is being written, before it leaves that one behind; and how many that
/// wait a sender looks past for a free one.
const LOOK_AHEAD: u64 = if cfg!(coseg_model) { 2 } else { 64 };

/// How often a receiver looks at all slots in one operation.
const SCANS: u32 = 64;

/// What a receiver finds.
enum Ahead {
    /// A message at this position.
    Ready(u64, Slot),
    /// Messages, but behind this one, which has long been being written.
    Unfinished(Slot),
    /// What another holds or has done; it is passed.
    Passed,
    /// What was taken and not sent, for more than a lap.
    Unsent,
    /// Nothing, and if so, what will change first.
    Nothing(Option<Slot>),
}

/// The channel's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) geometry: &'a Geometry,
}

impl<'a> Queue<'a> {
    #[inline]
    fn sent(&self) -> &'a AtomicU64 {
        self.memory.word(self.geometry.at + SENT)
    }

    #[inline]
    fn received(&self) -> &'a AtomicU64 {
        self.memory.word(self.geometry.at + RECEIVED)
    }

    #[inline]
    fn slot(&self, position: u64) -> (Slot, u64) {
        let lap = position >> self.geometry.capacity.trailing_zeros();
        (Slot::of(self.memory, self.geometry.slot_at(position)), lap & LAP_MASK)
    }

    /// The same, where it is likely to be taken: loaded and then changed, its line would travel twice.
    #[inline]
    fn slot_to_change(&self, position: u64) -> (Slot, u64) {
        self.memory.prefetch_to_write(self.geometry.slot_at(position));
        self.slot(position)
    }

    /// How many looks at slots are enough: others make progress if this does not.
    fn tries(&self) -> usize {
        2 * self.geometry.capacity + 64
    }

    /// Where a sender goes on.
    pub(crate) fn sending(&self) -> Track {
        Track::at(self.sent())
    }

    /// Where a receiver goes on, who looks behind first.
    pub(crate) fn receiving(&self) -> Receiving {
        let track = Track::at(self.received());
        let (seen, known_to) = (self.unseen(), track.position);
        Receiving { track, seen, known: seen, known_to }
    }

    /// Takes a slot to write to; `None`: there is none.
    #[cfg(test)]
    pub(crate) fn reserve(&self, me: Owner, track: &mut Track) -> Option<Slot> {
        self.reserve_next(me, track).or_else(|| self.look_for_room(me, track))
    }

    /// Takes the slot at the next position, if it is free; apart from all else, so that it stays in registers.
    #[inline(always)]
    pub(crate) fn reserve_next(&self, me: Owner, track: &mut Track) -> Option<Slot> {
        track.catch_up(self.sent());
        let (slot, lap) = self.slot_to_change(track.position);
        if slot.state != State::new(lap, FREE, Owner::NOBODY) {
            return None;
        }
        let own = slot.step(self.memory, State::new(lap, WRITING, me))?;
        track.pass(self.sent());
        Some(own)
    }

    /// Takes whichever slot is free; `None`: there is none.
    #[inline(never)]
    pub(crate) fn look_for_room(&self, me: Owner, track: &mut Track) -> Option<Slot> {
        let own = self.try_reserve(me, track);
        if own.is_none() && track.looks_again() { self.try_reserve(me, track) } else { own }
    }

    fn try_reserve(&self, me: Owner, track: &mut Track) -> Option<Slot> {
        let sent = self.sent();
        let (mut free_at, mut losses) = (None, Losses::default());
        for _ in 0..self.tries() {
            if track.catch_up(sent) {
                losses.back_off();
            }
            let position = track.position;
            let (slot, lap) = self.slot(position);
            let ahead = slot.state.ahead_of(lap);
            if ahead == 0 && slot.state.phase() == FREE {
                if let Some(own) = slot.step(self.memory, State::new(lap, WRITING, me)) {
                    track.pass(sent);
                    return Some(own);
                }
                losses.back_off();
            } else if ahead >= 0 {
                track.pass(sent);
            } else if ahead == -1 && self.is_left_behind(position, slot, &mut free_at) {
                if slot.step(self.memory, slot.state.moved_on()).is_some() {
                    track.pass(sent);
                }
            } else {
                // Who holds it may be slow: then a slot behind it is free before.
                track.changing = Some(slot).filter(|slot| slot.state.phase() == READY);
                return None;
            }
        }
        track.changing = None;
        None
    }

    /// Whether others have gone on without the message that is still in a position's slot: receivers have said so, or a
    /// slot behind it is free. All before the free one that was found last are like it.
    #[cold]
    fn is_left_behind(&self, position: u64, slot: Slot, free_at: &mut Option<u64>) -> bool {
        if slot.state.phase() == FREE {
            return false;
        }
        let waits = slot.state.phase() == READY;
        let before = position.wrapping_sub(self.geometry.capacity as u64);
        if waits && is_before(before, self.received().load(Ordering::Acquire)) {
            return true;
        }
        if !free_at.is_some_and(|free| is_before(position, free)) {
            *free_at = self.free_behind(position, if waits { UNSAID } else { LOOK_AHEAD });
        }
        free_at.is_some()
    }

    /// The first position behind one whose slot is free, if all between are being written or held, or wait, but not many:
    /// then the queue is full.
    fn free_behind(&self, position: u64, waiting_max: u64) -> Option<u64> {
        let mut waiting = 0;
        for behind in 1..self.geometry.capacity as u64 {
            let at = position.wrapping_add(behind);
            let (slot, lap) = self.slot(at);
            match slot.state.phase() {
                FREE => return (slot.state.ahead_of(lap) == 0).then_some(at),
                READY if waiting == waiting_max => return None,
                READY => waiting += 1,
                _ => {}
            }
        }
        None
    }

    /// Takes the next message; `None`: there is none.
    #[cfg(test)]
    pub(crate) fn claim(&self, me: Owner, way: &mut Receiving) -> Option<Slot> {
        self.claim_next(me, way).or_else(|| self.look_for_message(me, way))
    }

    /// Takes the message at the next position, if it is ready; apart from all else, so that it stays in registers.
    #[inline(always)]
    pub(crate) fn claim_next(&self, me: Owner, way: &mut Receiving) -> Option<Slot> {
        let slot = self.find_next(way)?;
        let own = slot.step(self.memory, slot.state.into_phase(HELD, me))?;
        self.pass(way);
        Some(own)
    }

    /// Ends a message that was found, and copied without being taken: a step less than to hold it meanwhile. False: somebody
    /// else has taken it, and what was copied may be of two. Else its receiver is to [`Queue::pass`] it.
    #[inline(always)]
    pub(crate) fn end_found(&self, found: Slot) -> bool {
        // Who writes to the slot next comes behind this step, and so behind the copy.
        found.step(self.memory, found.state.freed()).is_some()
    }

    /// Goes on behind the message at the next position, which was received.
    #[inline(always)]
    pub(crate) fn pass(&self, way: &mut Receiving) {
        way.track.pass(self.received());
    }

    /// The message at the next position, if it is ready.
    #[inline(always)]
    pub(crate) fn find_next(&self, way: &mut Receiving) -> Option<Slot> {
        way.catch_up(self.received());
        let (slot, lap) = self.slot_to_change(way.track.position);
        // The one before it, of the same sender, may have become ready behind: then it was counted before this one became
        // ready.
        let is_next = slot.state == State::new(lap, READY, Owner::NOBODY) && self.behind() == way.seen;
        is_next.then_some(slot)
    }

    /// Takes whichever message is ready; `None`: there is none.
    #[inline(never)]
    pub(crate) fn look_for_message(&self, me: Owner, way: &mut Receiving) -> Option<Slot> {
        let own = self.try_claim(me, way, Losses::default());
        if own.is_none() && way.track.looks_again() {
            self.try_claim(me, way, Losses::default())
        } else {
            own
        }
    }

    /// Takes the next message, by who holds the region's lock, for which others wait.
    pub(crate) fn claim_without_pause(&self, me: Owner, way: &mut Receiving) -> Option<Slot> {
        self.try_claim(me, way, Losses::BORNE)
    }

    fn try_claim(&self, me: Owner, way: &mut Receiving, mut losses: Losses) -> Option<Slot> {
        let received = self.received();
        way.track.changing = None;
        let mut scans = 0;
        for _ in 0..self.tries() {
            if scans == SCANS {
                break;
            }
            if way.catch_up(received) {
                losses.back_off();
            }
            if self.behind() != way.seen {
                scans += 1;
                if let Some(own) = self.claim_behind(me, way) {
                    return Some(own);
                }
                continue;
            }
            match self.look_ahead(&mut way.track) {
                Ahead::Nothing(changing) => {
                    way.track.changing = changing;
                    return None;
                }
                Ahead::Passed => {}
                Ahead::Unsent => {
                    scans += 1;
                    way.track.pass_to(self.behind_unsent(way.track.position), received);
                }
                Ahead::Ready(position, slot) => {
                    // As above.
                    if self.behind() != way.seen {
                        continue;
                    }
                    if let Some(own) = slot.step(self.memory, slot.state.into_phase(HELD, me)) {
                        if position == way.track.position {
                            way.track.pass(received);
                        }
                        return Some(own);
                    }
                    losses.back_off();
                }
                Ahead::Unfinished(slot) => {
                    if slot.step(self.memory, State(slot.state.0 | PASSED)).is_some() {
                        way.track.pass(received);
                    }
                }
            }
        }
        None
    }

    /// What there is from the next position on, which is passed if it is held or done.
    fn look_ahead(&self, track: &mut Track) -> Ahead {
        let next = track.position;
        let (slot, lap) = self.slot(next);
        if slot.state.is_ready_in(lap) {
            return Ahead::Ready(next, slot);
        }
        match (slot.state.ahead_of(lap), slot.state.phase()) {
            (0, WRITING) => self.look_beyond(next, slot),
            (1, _) | (0, HELD) => {
                track.pass(self.received());
                Ahead::Passed
            }
            (2.., _) => Ahead::Unsent,
            _ => Ahead::Nothing(Some(slot)),
        }
    }

    /// What there is behind a message that is being written.
    #[cold]
    fn look_beyond(&self, next: u64, unfinished: Slot) -> Ahead {
        for ahead in 1..LOOK_AHEAD {
            let position = next.wrapping_add(ahead);
            let (slot, lap) = self.slot(position);
            if slot.state.is_ready_in(lap) {
                return self.first_ready(next, position, slot);
            }
            match (slot.state.ahead_of(lap), slot.state.phase()) {
                (0, WRITING | HELD) | (1.., _) => {}
                // It or this one may change first.
                _ => return Ahead::Nothing(None),
            }
        }
        Ahead::Unfinished(unfinished)
    }

    /// The first message from a position on up to one that is ready. What was found unfinished before that one may be
    /// ready by now, and of the same sender: then it was ready first.
    #[cold]
    fn first_ready(&self, from: u64, mut position: u64, mut slot: Slot) -> Ahead {
        let is_ready = |at| {
            let (slot, lap) = self.slot(at);
            slot.state.is_ready_in(lap).then_some((at, slot))
        };
        // Again for each that is found, which may have another before it.
        while let Some(found) =
            (0..position.wrapping_sub(from)).find_map(|index| is_ready(from.wrapping_add(index)))
        {
            (position, slot) = found;
        }
        Ahead::Ready(position, slot)
    }

    /// The next position, from one on, that there can be a message at: senders who take slots and send nothing leave
    /// receivers far behind.
    #[cold]
    fn behind_unsent(&self, position: u64) -> u64 {
        let capacity = self.geometry.capacity as u64;
        // Laps only go up: what a slot has left behind comes to nothing more.
        let next = |index| {
            let at = position.wrapping_add(index);
            let (slot, lap) = self.slot(at);
            index.wrapping_add(slot.state.message_ahead_of(lap).max(0).unsigned_abs().wrapping_mul(capacity))
        };
        position.wrapping_add((0..capacity).map(next).min().unwrap_or(0))
    }

    /// Takes the first message up to the next position. If there is none, the count as it was then is seen.
    ///
    /// Of two of one sender, the one that is sent first is found first: it was being written, or held, when this receiver or
    /// another who said so went on, and is counted before the other is ready. Beyond the next position it would not be
    /// counted.
    #[cold]
    fn claim_behind(&self, me: Owner, way: &mut Receiving) -> Option<Slot> {
        let next = way.track.position;
        let count = self.behind();
        let (_, lap) = self.slot(next);
        let place = |slot: &Slot| (slot.state.message_ahead_of(lap), slot.at);
        let last = (0, self.geometry.slot_at(next));
        let ready = self.slots().filter(|slot| slot.state.phase() == READY && place(slot) <= last);
        let Some(first) = ready.min_by_key(place) else {
            if count != way.known {
                way.known = count;
                // Where loads overtake a peer's exchanges it may be less: what is then jumped over is found by the next
                // look behind that is due.
                way.known_to = self.received().load(Ordering::Acquire).wrapping_add(UNSAID);
            }
            way.seen = count;
            return None;
        };
        // One before it may have become ready since.
        if self.behind() != count {
            return None;
        }
        first.step(self.memory, first.state.into_phase(HELD, me))
    }

    /// All slots, one after the other.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<'a> {
        let (memory, geometry) = (self.memory, *self.geometry);
        (0..geometry.capacity as u64).map(move |position| Slot::of(memory, geometry.slot_at(position)))
    }

    /// How many messages became ready after receivers had gone on.
    #[inline]
    fn behind(&self) -> u32 {
        self.memory.half(self.geometry.at + BEHIND).load(Ordering::Acquire)
    }

    /// What a receiver has seen who is to look behind.
    fn unseen(&self) -> u32 {
        self.behind().wrapping_sub(1)
    }

    /// Has a receiver look at all slots once.
    pub(crate) fn look_behind(&self, way: &mut Receiving) {
        way.seen = self.unseen();
    }

    /// Drops what the dead were writing.
    pub(crate) fn drop_unfinished(&self, is_dead: impl Fn(Owner) -> bool) -> usize {
        let dead = |slot: &Slot| slot.state.phase() == WRITING && is_dead(slot.state.owner());
        self.slots().filter(dead).filter_map(|slot| slot.step(self.memory, slot.state.freed())).count()
    }

    /// The messages that dead processes hold.
    pub(crate) fn orphans(&self, is_dead: impl Fn(Owner) -> bool) -> impl Iterator<Item = Slot> {
        self.slots().filter(move |slot| slot.state.phase() == HELD && is_dead(slot.state.owner()))
    }

    /// Takes over a message that a dead process held. Only for who holds the region's lock.
    pub(crate) fn inherit(&self, orphan: Slot, me: Owner) -> Option<Slot> {
        let held = orphan.state.into_phase(HELD, me).0 & !IN_TRANSACTION;
        orphan.step(self.memory, State(held | REPEATED))
    }

    /// The messages that are ready, in the order in which they are received.
    pub(crate) fn ready(&self) -> Vec<Slot> {
        let (_, lap) = self.slot(self.received().load(Ordering::Acquire));
        let mut ready: Vec<Slot> = self.slots().filter(|slot| slot.state.phase() == READY).collect();
        ready.sort_by_key(|slot| (slot.state.message_ahead_of(lap), slot.at));
        ready
    }

    /// Who writes and who holds messages.
    pub(crate) fn busy(&self) -> impl Iterator<Item = Owner> + use<'a> {
        let states = self.slots().map(|slot| slot.state);
        states.filter(|state| matches!(state.phase(), WRITING | HELD)).map(State::owner)
    }

    /// Whether a message is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.slots().any(|slot| slot.state.phase() == READY)
    }

    /// How many messages are ready, and how many are written or held.
    pub(crate) fn depth(&self) -> (usize, usize, usize) {
        self.slots().fold((0, 0, 0), |(ready, writing, held), slot| match slot.state.phase() {
            READY => (ready + 1, writing, held),
            WRITING => (ready, writing + 1, held),
            HELD => (ready, writing, held + 1),
            _ => (ready, writing, held),
        })
    }
}

#[cfg(all(test, not(coseg_model)))]
#[allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]
mod tests {
    use super::*;
    use crate::layout::{Layout, at};
    use crate::log::{Committed, Log};
    use crate::schema::{Part, PartKind, Scalar, Schema, Type};

    fn part(name: &str, kind: PartKind, slot_count: usize) -> Part {
        Part {
            name: name.into(),
            doc: String::new(),
            kind,
            of: Some(Type::Scalar(Scalar::U64)),
            row_count: 1,
            slot_count,
            room_bytes: 8,
            offset: 0,
        }
    }

    const SENDER: Owner = Owner(1 | 1 << 12);
    const RECEIVER: Owner = Owner(2 | 1 << 12);

    /// What is done with a queue that is all there is of a region.
    fn with_queue(capacity: usize, act: impl Fn(Queue<'_>, &dyn Fn(u64), &dyn Fn(Slot) -> u64)) {
        let geometry = Geometry::of(&Part { row_count: capacity, ..part("queue", PartKind::Queue, 1) }, 1);
        let geometry = geometry.unwrap();
        let memory = Memory::heap(geometry.size_bytes());
        let queue = Queue { memory: &memory, geometry: &geometry };
        let send = |message| {
            let own = queue.reserve(SENDER, &mut queue.sending()).unwrap();
            memory.word(own.payload_at()).store(message, Ordering::Relaxed);
            own.publish(&memory, &geometry);
        };
        let end = |own: Slot| {
            own.free(&memory);
            memory.word(own.payload_at()).load(Ordering::Relaxed)
        };
        act(queue, &send, &end);
    }

    #[test]
    fn a_message_that_was_given_back_takes_no_room_from_those_behind_it() {
        with_queue(4, |queue, send, end| {
            (0..4).for_each(send);
            let mut way = queue.receiving();
            let slow = queue.claim(RECEIVER, &mut way).unwrap();
            for message in 1..4 {
                assert_eq!(end(queue.claim(RECEIVER, &mut way).unwrap()), message);
            }
            slow.give_back(queue.memory, queue.geometry);
            for lap in 0..3 {
                (4..7).for_each(|message| send(10 * lap + message));
                assert!(queue.reserve(SENDER, &mut queue.sending()).is_none(), "four are there");
                let listed: Vec<u64> = queue
                    .ready()
                    .iter()
                    .map(|slot| queue.memory.word(slot.payload_at()).load(Ordering::Relaxed))
                    .collect();
                assert_eq!(listed, [0, 10 * lap + 4, 10 * lap + 5, 10 * lap + 6]);
                let first = queue.claim(RECEIVER, &mut way).unwrap();
                assert!(first.state.is_repeated());
                for message in 4..7 {
                    assert_eq!(end(queue.claim(RECEIVER, &mut way).unwrap()), 10 * lap + message);
                }
                first.give_back(queue.memory, queue.geometry);
            }
            assert_eq!(end(queue.claim(RECEIVER, &mut way).unwrap()), 0);
            assert_eq!(queue.depth(), (0, 0, 0));
        });
    }

    /// Receivers have gone on, and nobody has said so.
    #[test]
    fn nor_does_one_that_was_given_back_soon() {
        for capacity in [2, 4] {
            with_queue(capacity, |queue, send, end| {
                (0..capacity as u64).for_each(send);
                let [mut slow, mut quick] = [(); 2].map(|()| queue.receiving());
                let first = queue.claim(RECEIVER, &mut slow).unwrap();
                let taken = capacity as u64 / 2;
                for message in 1..=taken {
                    assert_eq!(end(queue.claim(RECEIVER, &mut quick).unwrap()), message);
                }
                first.give_back(queue.memory, queue.geometry);
                (10..10 + taken).for_each(send);
                assert!(queue.reserve(SENDER, &mut queue.sending()).is_none());
                let rest = [0].into_iter().chain(taken + 1..capacity as u64).chain(10..10 + taken);
                for message in rest {
                    assert_eq!(end(queue.claim(RECEIVER, &mut quick).unwrap()), message);
                }
            });
        }
    }

    #[test]
    fn nor_does_one_behind_another_that_is_being_written() {
        with_queue(64, |queue, send, end| {
            let slow = queue.reserve(SENDER, &mut queue.sending()).unwrap();
            (1..64).for_each(send);
            let mut way = queue.receiving();
            let first = queue.claim(RECEIVER, &mut way).unwrap();
            for message in 2..64 {
                assert_eq!(end(queue.claim(RECEIVER, &mut way).unwrap()), message);
            }
            first.give_back(queue.memory, queue.geometry);
            (100..162).for_each(send);
            assert!(queue.reserve(SENDER, &mut queue.sending()).is_none());
            slow.free(queue.memory);
            for message in [1].into_iter().chain(100..162) {
                assert_eq!(end(queue.claim(RECEIVER, &mut way).unwrap()), message);
            }
        });
    }

    /// One receiver knows of a message behind another, and is not there yet, when that one says how far it has come.
    #[test]
    fn who_catches_up_leaves_nothing_behind() {
        with_queue(16, |queue, send, end| {
            (0..3).for_each(send);
            let [mut first, mut second, mut late] = [(); 3].map(|()| queue.receiving());
            for message in 0..2 {
                assert_eq!(end(queue.claim(RECEIVER, &mut first).unwrap()), message);
            }
            let slow = queue.claim(RECEIVER, &mut first).unwrap();
            assert_eq!(queue.claim(RECEIVER, &mut second), None);
            assert_eq!(queue.claim_behind(RECEIVER, &mut late), None);
            slow.give_back(queue.memory, queue.geometry);
            assert_eq!(queue.claim_behind(RECEIVER, &mut late), None);
            (3..8).for_each(send);
            // It looked just before that.
            second.seen = queue.behind();
            for message in 3..5 {
                assert_eq!(end(queue.claim(RECEIVER, &mut second).unwrap()), message);
            }
            for message in [2, 5, 6, 7] {
                assert_eq!(end(queue.claim(RECEIVER, &mut late).unwrap()), message);
            }
        });
    }

    /// A thread has ended a message in a transaction and not yet cleared the log; another of the same process holds the
    /// next message of that slot.
    #[test]
    fn recovery_ends_no_message_that_another_thread_of_the_dead_held() {
        let parts = vec![part("queue", PartKind::Queue, 1), part("cell", PartKind::Cell, 4)];
        let layout = Layout::new(Schema { name: String::new(), parts }, 1).unwrap();
        let memory = Memory::heap(layout.size_bytes);
        let geometry = Geometry::of(&layout.schema.parts[0], 1).unwrap();
        let queue = Queue { memory: &memory, geometry: &geometry };
        let send = || queue.reserve(SENDER, &mut queue.sending()).unwrap().publish(&memory, &geometry);
        let receive = || queue.claim(RECEIVER, &mut queue.receiving()).unwrap();
        send();
        let own = receive().in_transaction(&memory).unwrap();
        let log = Log { memory: &memory, entries_at: layout.log_entries_at, count: layout.log_entry_count };
        let message = Committed::message(own.at, own.state.0, geometry.senders_bell_at());
        log.write_entry(0, message.entry());
        log.write_entry(1, Committed::new(&layout.item(0).unwrap(), 1).entry());
        memory.word(at::LOG).store(1 << 16 | 2, Ordering::Release);
        own.free(&memory);
        send();
        let held = receive();
        assert_eq!(held.at, own.at);
        log.settle(&layout);
        let orphans: Vec<Slot> = queue.orphans(|owner| owner == RECEIVER).collect();
        assert_eq!(orphans, [held]);
        assert_eq!(queue.inherit(held, SENDER).unwrap().state.owner(), SENDER);
    }
}
