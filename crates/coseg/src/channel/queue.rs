//! Many senders, many receivers; each message to one of them.
//!
//! A slot's first word says how far its message is and whose turn it is to bring it further:
//!
//! | bits | |
//! |---|---|
//! | 0 to 31 | who writes or holds it |
//! | 32, 33 | free, being written, ready, held |
//! | 34 | it was held before and given back |
//! | 35 | receivers went on before it was ready; while it is held: a transaction is to end it |
//! | 36 to 63 | lap: how many times the slot was used, or moved on |
//!
//! Every step is one compare-and-exchange of this word. The positions to send to and to receive from next are only
//! hints, which anybody corrects. A message that is being written or held keeps others from nothing: receivers go on
//! beyond it, and senders who come round to it move it on to the next lap, in the same slot. One that becomes ready behind
//! the hint, since it was given back or written slowly, is counted, and whoever sees a new count looks behind the hint
//! first: so messages of one sender are received in their order.
//!
//! What a dead process was writing is dropped; what it held goes to another, under the region's lock: so a transaction
//! that it had committed with the message is finished first, and the message with it.

use super::geometry::{BEHIND, Geometry, RECEIVED, SENT};
use crate::memory::{Memory, WORD};
use crate::participants::Owner;
use crate::sync::{AtomicU64, Ordering, fence};

const PHASE_AT: u32 = 32;
const REPEATED: u64 = 1 << 34;
const PASSED: u64 = 1 << 35;
/// Of what is held.
const IN_TRANSACTION: u64 = PASSED;
const LAP_AT: u32 = 36;
const LAP_MASK: u64 = (1 << (64 - LAP_AT)) - 1;

const FREE: u64 = 0;
const WRITING: u64 = 1;
const READY: u64 = 2;
const HELD: u64 = 3;

/// How often others may change a word of ours while we do.
const DISTURBANCES: usize = 1000;

/// A slot's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl State {
    fn new(lap: u64, phase: u64, owner: Owner) -> State {
        State((lap & LAP_MASK) << LAP_AT | phase << PHASE_AT | u64::from(owner.0))
    }

    fn lap(self) -> u64 {
        self.0 >> LAP_AT
    }

    fn phase(self) -> u64 {
        self.0 >> PHASE_AT & 3
    }

    pub(crate) fn owner(self) -> Owner {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        Owner(self.0 as u32)
    }

    pub(crate) fn is_repeated(self) -> bool {
        self.0 & REPEATED != 0
    }

    /// Whether it is in the same hands as it was, for the same.
    fn is_held_as(self, before: State) -> bool {
        let marked = |state: State| state.phase() == HELD && state.0 & IN_TRANSACTION != 0;
        self.phase() == before.phase() && self.owner() == before.owner() && marked(self) == marked(before)
    }

    /// The same message one step further.
    fn into_phase(self, phase: u64, owner: Owner) -> State {
        State(self.0 & !(3 << PHASE_AT | u64::from(u32::MAX)) | phase << PHASE_AT | u64::from(owner.0))
    }

    /// Ready for receivers, who have gone on or not.
    fn ready(self) -> State {
        State(self.into_phase(READY, Owner::NOBODY).0 & !PASSED)
    }

    /// Nobody's, for the next lap.
    fn freed(self) -> State {
        State::new(self.lap().wrapping_add(1), FREE, Owner::NOBODY)
    }

    /// The same message, in the next lap.
    fn moved_on(self) -> State {
        State(self.0.wrapping_add(1 << LAP_AT))
    }

    /// How many laps it is ahead of `lap`.
    fn ahead_of(self, lap: u64) -> i64 {
        let difference = self.lap().wrapping_sub(lap) << LAP_AT;
        difference.cast_signed() >> LAP_AT
    }
}

/// A slot and the state it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: usize,
    pub(crate) state: State,
}

impl Slot {
    #[inline]
    fn of(memory: &Memory, at: usize) -> Slot {
        Slot { at, state: State(memory.word(at).load(Ordering::Acquire)) }
    }

    /// Replaces the state, if nobody else has.
    #[inline]
    fn step(self, memory: &Memory, next: State) -> Option<Slot> {
        let word: &AtomicU64 = memory.word(self.at);
        word.compare_exchange(self.state.0, next.0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Slot { state: next, ..self })
    }

    #[inline]
    pub(crate) fn payload_at(self) -> usize {
        self.at + WORD
    }

    /// Brings a message that is ours a step further, however often others have marked it or moved it on meanwhile; the
    /// state before. A slot that has been used again is not ours: another thread of the dead may hold it, but in no
    /// transaction, for there is one at a time.
    fn step_of_own(self, memory: &Memory, next: impl Fn(State) -> State) -> Option<State> {
        let mut own = self;
        for _ in 0..DISTURBANCES {
            if own.step(memory, next(own.state)).is_some() {
                return Some(own.state);
            }
            own = Slot::of(memory, self.at);
            if !own.state.is_held_as(self.state) {
                break;
            }
        }
        // Done already, or a peer has written over it.
        None
    }

    /// The same, for a transaction to end.
    pub(crate) fn in_transaction(self, memory: &Memory) -> Option<Slot> {
        let marked = |own: State| State(own.0 | IN_TRANSACTION);
        let before = self.step_of_own(memory, marked)?;
        Some(Slot { state: marked(before), ..self })
    }

    /// Whether nothing has become of it since.
    pub(crate) fn is_same(self, memory: &Memory) -> bool {
        fence(Ordering::Acquire);
        memory.word(self.at).load(Ordering::Relaxed) == self.state.0
    }

    /// Lets receivers have what was written.
    #[inline]
    pub(crate) fn publish(self, memory: &Memory, geometry: &Geometry) {
        if self.step_of_own(memory, State::ready).is_some_and(|before| before.0 & PASSED != 0) {
            Slot::count_behind(memory, geometry);
        }
    }

    /// Ends the message: it was received, or will not be written.
    #[inline]
    pub(crate) fn free(self, memory: &Memory) {
        self.step_of_own(memory, State::freed);
    }

    /// Lets another receiver have it.
    pub(crate) fn give_back(self, memory: &Memory, geometry: &Geometry) {
        self.step_of_own(memory, |own| State(own.ready().0 | REPEATED));
        Slot::count_behind(memory, geometry);
    }

    fn count_behind(memory: &Memory, geometry: &Geometry) {
        memory.half(geometry.at + BEHIND).fetch_add(1, Ordering::AcqRel);
    }
}

impl Slot {
    /// A message that a transaction holds, as its log names it. To end it again does nothing.
    pub(crate) fn held(at: usize, state: u64) -> Slot {
        Slot { at, state: State(state) }
    }
}

/// How many slots a receiver looks at behind one that is being written, before it leaves that one behind.
const LOOK_AHEAD: u64 = if cfg!(coseg_model) { 2 } else { 64 };

/// What a receiver finds.
enum Ahead {
    /// A message at this position.
    Ready(u64, Slot),
    /// Messages, but behind this one, which has long been being written.
    Unfinished(Slot),
    /// Only what others hold or have done; the hint is beyond it now.
    Passed,
    Nothing,
}

/// The channel's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) geometry: &'a Geometry,
}

impl<'a> Queue<'a> {
    fn sent(&self) -> &'a AtomicU64 {
        self.memory.word(self.geometry.at + SENT)
    }

    fn received(&self) -> &'a AtomicU64 {
        self.memory.word(self.geometry.at + RECEIVED)
    }

    #[inline]
    fn slot(&self, position: u64) -> (Slot, u64) {
        let lap = position >> self.geometry.capacity.trailing_zeros();
        (Slot::of(self.memory, self.geometry.slot_at(position)), lap & LAP_MASK)
    }

    /// How many looks at slots are enough: others make progress if this does not.
    fn tries(&self) -> usize {
        2 * self.geometry.capacity + 64
    }

    /// Corrects a hint that was found to be one behind.
    #[inline]
    fn pass(hint: &AtomicU64, position: u64) {
        let _ =
            hint.compare_exchange(position, position.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Takes a slot to write to; `None`: there is none.
    #[inline]
    pub(crate) fn reserve(&self, me: Owner) -> Option<Slot> {
        let sent = self.sent();
        let mut free_at = None;
        for _ in 0..self.tries() {
            let position = sent.load(Ordering::Acquire);
            let (slot, lap) = self.slot(position);
            let ahead = slot.state.ahead_of(lap);
            if ahead == 0 && slot.state.phase() == FREE {
                if let Some(own) = slot.step(self.memory, State::new(lap, WRITING, me)) {
                    Queue::pass(sent, position);
                    return Some(own);
                }
            } else if ahead >= 0 {
                Queue::pass(sent, position);
            } else if ahead == -1 && self.is_overtaken(position, slot, &mut free_at) {
                if slot.step(self.memory, slot.state.moved_on()).is_some() {
                    Queue::pass(sent, position);
                }
            } else {
                return None;
            }
        }
        None
    }

    /// Whether the message that is still in a position's slot is being written or held, and a slot behind it is free: then
    /// others have gone on without it. All before the free one that was found last are like it.
    #[cold]
    fn is_overtaken(&self, position: u64, slot: Slot, free_at: &mut Option<u64>) -> bool {
        let is_before = |free: u64| free.wrapping_sub(position).cast_signed() > 0;
        if !free_at.is_some_and(is_before) {
            *free_at = self.free_behind(position);
        }
        matches!(slot.state.phase(), WRITING | HELD) && free_at.is_some()
    }

    /// The first position behind one whose slot is free, if all between are being written or held.
    fn free_behind(&self, position: u64) -> Option<u64> {
        for behind in 1..self.geometry.capacity as u64 {
            let at = position.wrapping_add(behind);
            let (slot, lap) = self.slot(at);
            match slot.state.phase() {
                FREE => return (slot.state.ahead_of(lap) == 0).then_some(at),
                WRITING | HELD => {}
                _ => return None,
            }
        }
        None
    }

    /// Takes the next message; `None`: there is none. `seen` is the count of messages that became ready behind the hint,
    /// as this receiver knows it.
    #[inline]
    pub(crate) fn claim(&self, me: Owner, seen: &mut u32) -> Option<Slot> {
        let received = self.received();
        for _ in 0..self.tries() {
            if self.behind() != *seen {
                if let Some(own) = self.claim_behind(me, seen) {
                    return Some(own);
                }
                continue;
            }
            let next = received.load(Ordering::Acquire);
            match self.look_ahead(next) {
                Ahead::Nothing => return None,
                Ahead::Passed => {}
                Ahead::Ready(position, slot) => {
                    // The one before it, of the same sender, may have become ready behind the hint: then it was counted
                    // before this one became ready.
                    if self.behind() != *seen {
                        continue;
                    }
                    if let Some(own) = slot.step(self.memory, slot.state.into_phase(HELD, me)) {
                        if position == next {
                            Queue::pass(received, next);
                        }
                        return Some(own);
                    }
                }
                Ahead::Unfinished(slot) => {
                    if slot.step(self.memory, State(slot.state.0 | PASSED)).is_some() {
                        Queue::pass(received, next);
                    }
                }
            }
        }
        None
    }

    /// The first message that is ready from a position on. What is held or done there the hint passes.
    #[inline]
    fn look_ahead(&self, next: u64) -> Ahead {
        let mut unfinished = None;
        let mut position = next;
        for _ in 0..LOOK_AHEAD {
            let (slot, lap) = self.slot(position);
            match (slot.state.ahead_of(lap), slot.state.phase()) {
                (0, READY) if unfinished.is_some() => return self.first_ready(next, position, slot),
                (0, READY) => return Ahead::Ready(position, slot),
                (0, FREE) => return Ahead::Nothing,
                (0, WRITING) => unfinished = unfinished.or(Some(slot)),
                (2.., _) if unfinished.is_none() => {
                    self.pass_unsent(position);
                    return Ahead::Passed;
                }
                (0.., _) => {}
                _ => return Ahead::Nothing,
            }
            if unfinished.is_none() {
                Queue::pass(self.received(), position);
            }
            position = position.wrapping_add(1);
        }
        unfinished.map_or(Ahead::Passed, Ahead::Unfinished)
    }

    /// The first message from a position on up to one that is ready. What was found unfinished before that one may be
    /// ready by now, and of the same sender: then it was ready first.
    #[cold]
    fn first_ready(&self, from: u64, mut position: u64, mut slot: Slot) -> Ahead {
        let is_ready = |at| {
            let (slot, lap) = self.slot(at);
            (slot.state.ahead_of(lap) == 0 && slot.state.phase() == READY).then_some((at, slot))
        };
        // Again for each that is found, which may have another before it.
        while let Some(found) =
            (0..position.wrapping_sub(from)).find_map(|index| is_ready(from.wrapping_add(index)))
        {
            (position, slot) = found;
        }
        Ahead::Ready(position, slot)
    }

    /// Brings the hint of receivers to the next position that there can be a message at. Senders who take slots and send
    /// nothing leave it far behind.
    #[cold]
    fn pass_unsent(&self, position: u64) {
        let capacity = self.geometry.capacity as u64;
        // Laps only go up: what a slot has left behind comes to nothing more.
        let next = |index| {
            let at = position.wrapping_add(index);
            let (slot, lap) = self.slot(at);
            index.wrapping_add(slot.state.ahead_of(lap).max(0).unsigned_abs().wrapping_mul(capacity))
        };
        let count = (0..capacity).map(next).min().unwrap_or(0);
        let _ = self.received().compare_exchange(
            position,
            position.wrapping_add(count),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    /// Takes the first message that is not beyond the hint. If there is none, `seen` is the count as it was then.
    ///
    /// Of two of one sender, the one that is sent first is found first: it was being written when the hint passed it, and
    /// is counted before the other is ready. Beyond the hint it would not be counted.
    #[cold]
    fn claim_behind(&self, me: Owner, seen: &mut u32) -> Option<Slot> {
        let count = self.behind();
        let hint = self.received().load(Ordering::Acquire);
        let (_, lap) = self.slot(hint);
        let place = |slot: &Slot| (slot.state.ahead_of(lap), slot.at);
        let last = (0, self.geometry.slot_at(hint));
        let ready = self.slots().filter(|slot| slot.state.phase() == READY && place(slot) <= last);
        let Some(first) = ready.min_by_key(place) else {
            *seen = count;
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

    /// How many messages became ready behind the hint.
    #[inline]
    fn behind(&self) -> u32 {
        self.memory.half(self.geometry.at + BEHIND).load(Ordering::Acquire)
    }

    /// What a receiver has seen who is to look behind the hint.
    pub(crate) fn unseen(&self) -> u32 {
        self.behind().wrapping_sub(1)
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
        ready.sort_by_key(|slot| (slot.state.ahead_of(lap), slot.at));
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

    /// A thread has ended a message in a transaction and not yet cleared the log; another of the same process holds the
    /// next message of that slot.
    #[test]
    fn recovery_ends_no_message_that_another_thread_of_the_dead_held() {
        let parts = vec![part("queue", PartKind::Queue, 1), part("cell", PartKind::Cell, 4)];
        let layout = Layout::new(Schema { name: String::new(), parts }, 1).unwrap();
        let memory = Memory::heap(layout.size_bytes);
        let geometry = Geometry::of(&layout.schema.parts[0], 1).unwrap();
        let queue = Queue { memory: &memory, geometry: &geometry };
        let (sender, receiver) = (Owner(1 | 1 << 12), Owner(2 | 1 << 12));
        let send = || queue.reserve(sender).unwrap().publish(&memory, &geometry);
        send();
        let own = queue.claim(receiver, &mut 0).unwrap().in_transaction(&memory).unwrap();
        let log = Log { memory: &memory, entries_at: layout.log_entries_at, count: layout.log_entry_count };
        let message = Committed::message(own.at, own.state.0, geometry.senders_bell_at());
        log.write_entry(0, message.entry());
        log.write_entry(1, Committed::new(&layout.item(0).unwrap(), 1).entry());
        memory.word(at::LOG).store(1 << 16 | 2, Ordering::Release);
        own.free(&memory);
        send();
        let held = queue.claim(receiver, &mut 0).unwrap();
        assert_eq!(held.at, own.at);
        log.settle(&layout);
        let orphans: Vec<Slot> = queue.orphans(|owner| owner == receiver).collect();
        assert_eq!(orphans, [held]);
        assert_eq!(queue.inherit(held, sender).unwrap().state.owner(), sender);
    }
}
