//! A slot and its first word, which says how far its message is and whose turn it is to bring it further:
//!
//! | bits | |
//! |---|---|
//! | 0 to 31 | who writes or holds it; while it is ready, how many laps it was moved on so |
//! | 32, 33 | free, being written, ready, held |
//! | 34 | it was held before and given back |
//! | 35 | receivers went on before it was ready; while it is held: a transaction is to end it |
//! | 36 to 63 | lap: how many times the slot was used, or moved on |
//!
//! A step is not taken where anything has become of the slot since it was looked at, unless that was a multiple of 2^28 laps
//! meanwhile.

use super::super::geometry::{BEHIND, Geometry};
use crate::memory::{Memory, WORD};
use crate::participants::Owner;
use crate::sync::{AtomicU64, Ordering, fence};

pub(super) const PHASE_AT: u32 = 32;
pub(super) const REPEATED: u64 = 1 << 34;
pub(super) const PASSED: u64 = 1 << 35;
/// Of what is held.
pub(super) const IN_TRANSACTION: u64 = PASSED;
pub(super) const LAP_AT: u32 = 36;
pub(super) const LAP_MASK: u64 = (1 << (64 - LAP_AT)) - 1;

pub(super) const FREE: u64 = 0;
pub(super) const WRITING: u64 = 1;
pub(super) const READY: u64 = 2;
pub(super) const HELD: u64 = 3;

/// How often others may change a word of ours while we do.
pub(super) const DISTURBANCES: usize = 1000;

/// A slot's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl State {
    pub(super) fn new(lap: u64, phase: u64, owner: Owner) -> State {
        State((lap & LAP_MASK) << LAP_AT | phase << PHASE_AT | u64::from(owner.0))
    }

    fn lap(self) -> u64 {
        self.0 >> LAP_AT
    }

    pub(super) fn phase(self) -> u64 {
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
    pub(super) fn into_phase(self, phase: u64, owner: Owner) -> State {
        State(self.0 & !(3 << PHASE_AT | u64::from(u32::MAX)) | phase << PHASE_AT | u64::from(owner.0))
    }

    /// Ready for receivers, who have gone on or not.
    pub(super) fn ready(self) -> State {
        State(self.into_phase(READY, Owner::NOBODY).0 & !PASSED)
    }

    /// Nobody's, for the next lap.
    pub(super) fn freed(self) -> State {
        State::new(self.lap().wrapping_add(1), FREE, Owner::NOBODY)
    }

    /// The same message, in the next lap.
    pub(super) fn moved_on(self) -> State {
        let next = State(self.0.wrapping_add(1 << LAP_AT));
        if self.phase() == READY {
            next.into_phase(READY, Owner(self.owner().0.wrapping_add(1)))
        } else {
            next
        }
    }

    /// How many laps it is ahead of `lap`.
    pub(super) fn ahead_of(self, lap: u64) -> i64 {
        let difference = self.lap().wrapping_sub(lap) << LAP_AT;
        difference.cast_signed() >> LAP_AT
    }

    /// The same of the lap that its message was sent in.
    pub(super) fn message_ahead_of(self, lap: u64) -> i64 {
        let moved_on = if self.phase() == READY { self.owner().0 } else { 0 };
        self.ahead_of(lap) - i64::from(moved_on)
    }

    /// Whether it is a message for who receives what is of `lap`.
    pub(super) fn is_ready_in(self, lap: u64) -> bool {
        self.phase() == READY && self.ahead_of(lap) >= 0 && self.message_ahead_of(lap) <= 0
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
    pub(super) fn of(memory: &Memory, at: usize) -> Slot {
        Slot { at, state: State(memory.word(at).load(Ordering::Acquire)) }
    }

    /// Replaces the state, if nobody else has.
    #[inline]
    pub(super) fn step(self, memory: &Memory, next: State) -> Option<Slot> {
        let word: &AtomicU64 = memory.word(self.at);
        word.compare_exchange(self.state.0, next.0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Slot { state: next, ..self })
    }

    /// Whether it is anybody's.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.state.phase() == READY
    }

    #[inline]
    pub(crate) fn payload_at(self) -> usize {
        self.at + WORD
    }

    /// Brings a message that is ours a step further, however often others have marked it or moved it on meanwhile; the
    /// state before. A slot that has been used again is not ours: another thread of the dead may hold it, but in no
    /// transaction, for there is one at a time.
    #[inline]
    fn step_of_own(self, memory: &Memory, next: impl Fn(State) -> State) -> Option<State> {
        match self.step(memory, next(self.state)) {
            Some(_) => Some(self.state),
            None => self.step_disturbed(memory, next),
        }
    }

    #[cold]
    fn step_disturbed(self, memory: &Memory, next: impl Fn(State) -> State) -> Option<State> {
        for _ in 0..DISTURBANCES {
            let own = Slot::of(memory, self.at);
            if !own.state.is_held_as(self.state) {
                break;
            }
            if own.step(memory, next(own.state)).is_some() {
                return Some(own.state);
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

    pub(super) fn count_behind(memory: &Memory, geometry: &Geometry) {
        memory.half(geometry.at + BEHIND).fetch_add(1, Ordering::AcqRel);
    }
}

impl Slot {
    /// A message that a transaction holds, as its log names it. To end it again does nothing.
    pub(crate) fn held(at: usize, state: u64) -> Slot {
        Slot { at, state: State(state) }
    }
}
