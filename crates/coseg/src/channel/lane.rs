//! One end of a channel, as this process has it: which it is, who is at the others, and when to look after them.

use std::cell::Cell;
use std::time::Duration;

use super::geometry::{CLOSED, END_OWNER, Geometry, RECEIVED, RECEIVERS_BELL, SENDERS_BELL, SENT, Side};
use super::message::Place;
use super::refusal::Refusal;
use crate::base::Base;
use crate::bell::{Bell, LONGEST_SLEEP};
use crate::lock::Deadline;
use crate::memory::{Fixed, Memory};
use crate::os;
use crate::part::Spot;
use crate::participants::Owner;
use crate::schema::PartKind;
use crate::sync::{AtomicU32, Ordering};
use crate::{Error, ErrorKind, Participant, Result};

/// How long a peer's death may stay unnoticed by one who is busy.
const LOOK_AFTER_NS: u64 = 10_000_000;
/// How often the clock is not asked: one who has done much and now does little must not take it for quick.
const INTERVAL_MAX: i32 = 63;
/// The first sleep of one who waits.
const FIRST_SLEEP: Duration = Duration::from_millis(10);
/// Looks at a channel before sleeping: together about 100 µs, as long as falling asleep and waking can take.
pub(crate) const SPIN_LOOKS: u32 = if cfg!(coseg_model) { 0 } else { 256 };
/// The longest pause between two looks: every look takes lines from the other side, who needs them to get on.
const LONGEST_PAUSE: u32 = 32;

/// How often in vain a barrier is executed before every ring.
const UNHEARD_MAX: u32 = 64;
/// Looks between two at the clock and after the peers.
const LOOKS_AT_A_TIME: u32 = 64;
/// Where no end is.
const NO_END: usize = 0;

/// What one who waits looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    /// A word of the region: as long as it has this value, another attempt is in vain.
    pub(crate) at: usize,
    pub(crate) value: u64,
    /// What is read once it has another: fetched together with the word, not after it.
    pub(crate) next: Option<usize>,
}

/// One end of a channel.
#[derive(Debug)]
pub struct Lane {
    pub(crate) spot: Spot,
    pub(crate) kind: PartKind,
    pub(crate) geometry: Geometry,
    pub(crate) side: Side,
    pub(crate) end_at: usize,
    pub(crate) me: Owner,
    presence: Fixed<std::sync::atomic::AtomicU32, Base>,
    closed: Fixed<AtomicU32, Base>,
    own_bell: Fixed<AtomicU32, Base>,
    their_bell: Fixed<AtomicU32, Base>,
    /// Asked once: a process that takes barriers from others does so for ever.
    needs_barrier: bool,
    /// It was a dead process's before, which may have received a message and not said so.
    pub(crate) inherited: bool,
    pub(crate) spin_looks: u32,
    /// The peer whose death was told last.
    told: Owner,
    /// A position that peers move on, as it was when they were last looked after.
    progress: u64,
    pub(super) awaited: Option<Awaited>,
    peers: Watch,
    dead: Watch,
    /// How often nobody was asleep who had asked for a barrier.
    unheard: Cell<u32>,
    #[cfg(feature = "async")]
    sleeper: Option<super::sleeper::Sleeper>,
}

impl Lane {
    /// Takes an end that nobody living has: a free one, if there is, for it takes system calls to tell who is dead. But where
    /// all others at this side have died, peers hear of them until somebody comes, who frees all their ends.
    pub(crate) fn claim(spot: &Spot, side: Side) -> Result<Lane> {
        let base = spot.base();
        let part = spot.schema();
        let geometry =
            Geometry::of(part, base.layout.participant_count).expect("the layout was made with it");
        let me = base.me()?;
        let half = |offset| Fixed::new(&spot.base, |base| base.memory.half(geometry.at + offset));
        let mut lane = Lane {
            spot: spot.clone(),
            kind: part.kind,
            geometry,
            side,
            end_at: NO_END,
            me,
            presence: Fixed::new(&spot.base, Base::presence),
            closed: half(CLOSED),
            own_bell: half(bell_of(side)),
            their_bell: half(bell_of(side.other())),
            needs_barrier: os::needs_barrier(),
            inherited: false,
            spin_looks: SPIN_LOOKS,
            told: Owner::NOBODY,
            progress: 0,
            awaited: None,
            peers: Watch::default(),
            dead: Watch::default(),
            unheard: Cell::new(0),
            #[cfg(feature = "async")]
            sleeper: None,
        };
        // The last time, those that others have freed while they were asked about.
        for want_dead in [false, true, false] {
            for index in 0..geometry.end_count {
                let end_at = geometry.end_at(side, index);
                let owner = Owner(lane.memory().half(end_at + END_OWNER).load(Ordering::Acquire));
                let takes = if want_dead { base.is_dead(owner) } else { owner == Owner::NOBODY };
                if takes && lane.hand_over(end_at, owner, me) {
                    (lane.end_at, lane.inherited) = (end_at, owner != Owner::NOBODY);
                    if lane.lost(side).is_some() {
                        lane.free_ends_of_dead(side);
                    }
                    return Ok(lane);
                }
            }
        }
        Err(lane.all_taken())
    }

    /// Gives an end to another; false: it is not `from`'s.
    fn hand_over(&self, end_at: usize, from: Owner, to: Owner) -> bool {
        let word: &AtomicU32 = self.memory().half(end_at + END_OWNER);
        word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes the ends of the dead from them; whether there were any.
    #[cold]
    pub(super) fn free_ends_of_dead(&self, side: Side) -> bool {
        let mut found = false;
        for (end_at, owner) in owners(self.memory(), self.geometry, side) {
            if owner != self.me && self.base().is_dead(owner) {
                found |= self.hand_over(end_at, owner, Owner::NOBODY);
            }
        }
        found
    }

    #[cold]
    fn all_taken(&self) -> Error {
        let who = self.owners(self.side).next().map(|owner| self.base().describe(owner));
        let end = if self.side == Side::Send { "sender" } else { "receiver" };
        let fact = match (self.geometry.end_count, who) {
            (1, Some(who)) => format!("it has one {end}, and that is {who}"),
            (count, _) => format!("all of its {count} {end}s are taken by living processes"),
        };
        Error::new("join", self.spot.object(), ErrorKind::InUse, fact)
    }

    #[inline]
    pub(crate) fn base(&self) -> &Base {
        self.spot.base()
    }

    #[inline]
    pub(crate) fn memory(&self) -> &Memory {
        &self.base().memory
    }

    /// The place of a message at an offset of the region.
    #[inline(always)]
    pub(super) fn place(&self, offset: usize) -> Place<'_> {
        Place { words: self.memory().part(offset, self.geometry.stride) }
    }

    /// An error in a child of fork, which does not have the end.
    #[inline(always)]
    pub(crate) fn check_process(&self) -> Result<(), Refusal> {
        if self.is_own() { Ok(()) } else { Err(self.forked()) }
    }

    /// Whether the process that has the end is this one, and no child of fork.
    #[inline(always)]
    pub(crate) fn is_own(&self) -> bool {
        self.presence.load(Ordering::Relaxed) == self.me.0
    }

    /// Whether there is nothing to be said to who sends: nobody was forked, nobody closed the channel, and the peers need
    /// not be looked after yet. Only then does it count as an operation, of which so many go without a look.
    #[inline(always)]
    pub(crate) fn passes_undisturbed(&mut self) -> bool {
        self.is_own() && !self.is_closed() && self.peers.passes_early()
    }

    #[cold]
    fn forked(&self) -> Refusal {
        let fact = "the process was forked, and this end is its parent's: take another";
        Refusal::Failed(Error::new("use", self.spot.object(), ErrorKind::Forked, fact))
    }

    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Wakes those who wait at the other side.
    #[inline(always)]
    pub(crate) fn ring(&self) {
        if !Bell(&self.their_bell).ring_with(self.needs_barrier) {
            self.count_unheard();
        }
    }

    #[inline(never)]
    fn count_unheard(&self) {
        self.unheard.set(self.unheard.get() + 1);
        if self.unheard.get() == UNHEARD_MAX {
            self.unheard.set(0);
            Bell(&self.their_bell).calm();
        }
    }

    /// Wakes those who wait at this side.
    pub(crate) fn ring_own_side(&self) {
        Bell(&self.own_bell).ring_for_frequent();
    }

    /// Who has the ends of a side.
    pub(crate) fn owners(&self, side: Side) -> impl Iterator<Item = Owner> {
        owners(self.memory(), self.geometry, side).map(|(_, owner)| owner)
    }

    /// The peer that died, if all who are at the other side have.
    #[cold]
    pub(crate) fn lost_peer(&self) -> Option<Owner> {
        self.lost(self.side.other())
    }

    /// One who died, if all who have other ends of a side have.
    fn lost(&self, side: Side) -> Option<Owner> {
        let mut lost = None;
        let others = owners(self.memory(), self.geometry, side).filter(|(end_at, _)| *end_at != self.end_at);
        for (_, owner) in others {
            if owner == self.me || !self.base().is_dead(owner) {
                return None;
            }
            lost = Some(owner);
        }
        lost
    }

    /// Says that a peer died.
    #[cold]
    pub(crate) fn disconnected(&mut self, peer: Owner) -> Refusal {
        self.told = peer;
        match self.base().describe_owner(peer) {
            Some(participant) => Refusal::Disconnected(Box::new(participant)),
            None => Refusal::Disconnected(Box::new(Participant::forgotten(peer))),
        }
    }

    /// Now and then, whether all peers have died since it was last said.
    #[inline(always)]
    pub(crate) fn check_peers(&mut self) -> Result<(), Refusal> {
        if self.peers.is_due() { self.look_after_peers() } else { Ok(()) }
    }

    #[cold]
    fn look_after_peers(&mut self) -> Result<(), Refusal> {
        // Where something moves, somebody lives.
        let word = if self.kind.is_broadcast() { SENT } else { RECEIVED };
        let progress = self.memory().word(self.geometry.at + word).load(Ordering::Relaxed);
        if std::mem::replace(&mut self.progress, progress) != progress {
            return Ok(());
        }
        match self.lost_peer() {
            Some(peer) if peer != self.told => Err(self.disconnected(peer)),
            _ => Ok(()),
        }
    }

    /// What a look that found no message comes to. Now and then it is said that all peers have died, unless another look
    /// finds what they did before.
    #[cold]
    pub(crate) fn find_nothing<R>(
        &mut self,
        look: impl FnOnce(&mut Lane) -> Result<Option<R>, Refusal>,
    ) -> Result<R, Refusal> {
        let told = self.told;
        let Err(lost) = self.check_peers() else { return Err(self.refuse(Refusal::Empty)) };
        self.look_at_once();
        let last = look(self);
        if !matches!(last, Ok(None)) {
            self.told = told;
        }
        last?.ok_or(lost)
    }

    /// Whether something that the dead left is to be looked for.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        self.dead.is_due()
    }

    /// Has it looked for with the next operation.
    #[cold]
    pub(crate) fn look_at_once(&mut self) {
        self.dead.look_now();
    }

    /// What an operation in vain says. Who is told so may come again late: his next one asks the clock, whatever he did
    /// before.
    #[cold]
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.dead.ask_next_time();
        self.peers.ask_next_time();
        refusal
    }

    /// Tries until something comes of what has just been tried in vain: again and again at first, then whenever the other
    /// side rings.
    #[inline(never)]
    pub(crate) fn wait<R>(
        &mut self,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut Lane) -> Result<Option<R>, Refusal>,
    ) -> Result<R, Refusal> {
        let deadline = Deadline::after(timeout);
        for look in 0..self.spin_looks {
            let has_come = self.pause((1 + look / 8).min(LONGEST_PAUSE));
            let looks_around = look % LOOKS_AT_A_TIME == LOOKS_AT_A_TIME - 1;
            if (has_come || looks_around)
                && let Some(result) = attempt(self)?
            {
                return Ok(result);
            }
            // Who looks for long keeps his time, and hears of deaths, as if he slept.
            if looks_around {
                if let Some(result) = self.miss_peers(&mut attempt)? {
                    return Ok(result);
                }
                self.check_wait(timeout, deadline)?;
            }
        }
        self.wait_asleep(timeout, deadline, &mut attempt)
    }

    /// Whether what an operation in vain is to wait for comes within some looks: then it need not be gone about at length.
    #[inline(always)]
    pub(crate) fn changes_soon(&self) -> bool {
        self.awaited.is_some() && self.pause(self.spin_looks.min(LOOKS_AT_A_TIME))
    }

    /// Pauses so often, or until what is waited for has come. False: another attempt would be in vain, as far as one word
    /// tells; it costs many times what the word does, and a message that comes meanwhile would wait for it.
    #[inline(always)]
    fn pause(&self, pauses: u32) -> bool {
        let Some(Awaited { at, value, next }) = self.awaited else {
            (0..pauses).for_each(|_| std::hint::spin_loop());
            return true;
        };
        let word = self.memory().word(at);
        (0..pauses).any(|_| {
            std::hint::spin_loop();
            if let Some(next) = next {
                self.memory().prefetch(next);
            }
            word.load(Ordering::Relaxed) != value
        })
    }

    #[cold]
    fn wait_asleep<R>(
        &mut self,
        timeout: Option<Duration>,
        deadline: Deadline,
        attempt: &mut dyn FnMut(&mut Lane) -> Result<Option<R>, Refusal>,
    ) -> Result<R, Refusal> {
        let mut longest = FIRST_SLEEP;
        loop {
            let ticket = Bell(&self.own_bell).prepare_again();
            if let Some(result) = attempt(self)? {
                return Ok(result);
            }
            // Also where it rings again and again, and before it is told that the time is over.
            if let Some(result) = self.miss_peers(attempt)? {
                return Ok(result);
            }
            let left = self.check_wait(timeout, deadline)?;
            if !Bell(&self.own_bell).sleep(ticket, left.min(longest)) {
                longest = (longest * 2).min(LONGEST_SLEEP);
                self.dead.look_now();
                self.peers.look_now();
            }
        }
    }

    /// How much is left of a wait; an error if it is over, or the region was removed.
    #[cold]
    fn check_wait(&mut self, timeout: Option<Duration>, deadline: Deadline) -> Result<Duration, Refusal> {
        self.base().check_open("wait at", || self.spot.object())?;
        deadline.left().ok_or_else(|| self.refuse(Refusal::TimedOut(timeout.unwrap_or_default())))
    }

    /// Now and then while waiting, whether all peers have died.
    #[cold]
    fn miss_peers<R>(
        &mut self,
        attempt: &mut dyn FnMut(&mut Lane) -> Result<Option<R>, Refusal>,
    ) -> Result<Option<R>, Refusal> {
        if !(self.kind_misses_peers() && self.peers.is_due()) {
            return Ok(None);
        }
        let Some(peer) = self.lost_peer() else { return Ok(None) };
        // It may have done something before it died, and told nobody.
        self.look_at_once();
        match attempt(self)? {
            None => Err(self.disconnected(peer)),
            last => Ok(last),
        }
    }

    /// As [`Lane::wait`], of a task.
    #[cfg(feature = "async")]
    pub(crate) async fn wait_async<R>(
        &mut self,
        mut attempt: impl FnMut(&mut Lane) -> Result<Option<R>, Refusal>,
    ) -> Result<R, Refusal> {
        loop {
            if let Some(result) = attempt(self)? {
                return Ok(result);
            }
            let ticket = Bell(&self.own_bell).prepare_again();
            if let Some(result) = attempt(self)? {
                return Ok(result);
            }
            self.base().check_open("wait at", || self.spot.object())?;
            // It may have been given up, again and again.
            self.dead.ask_next_time();
            self.peers.ask_next_time();
            if let Some(result) = self.miss_peers(&mut attempt)? {
                return Ok(result);
            }
            if self.sleeper.is_none() {
                self.sleeper = Some(super::sleeper::Sleeper::start(self)?);
            }
            let Lane { sleeper: Some(sleeper), spot, .. } = self else { continue };
            sleeper.sleep(spot, ticket).await?;
        }
    }

    #[cfg(feature = "async")]
    pub(super) fn own_bell_at(&self) -> usize {
        self.geometry.at + bell_of(self.side)
    }

    /// Who sends to all waits for nobody in particular.
    fn kind_misses_peers(&self) -> bool {
        self.side == Side::Receive || !self.kind.is_broadcast()
    }
}

/// Where the bell is of those who wait at a side.
fn bell_of(side: Side) -> usize {
    if side == Side::Send { SENDERS_BELL } else { RECEIVERS_BELL }
}

/// Gives the end back.
impl Drop for Lane {
    fn drop(&mut self) {
        if !self.base().is_current(self.me) {
            // What a child of fork has is its parent's, also what waits for the runtime of both.
            #[cfg(feature = "async")]
            std::mem::forget(self.sleeper.take());
            return;
        }
        if self.end_at != NO_END {
            self.hand_over(self.end_at, self.me, Owner::NOBODY);
            // Who was waiting for the slowest receiver need not wait for this one.
            if self.side == Side::Receive && self.kind.is_broadcast() {
                self.ring();
            }
        }
    }
}

/// Who has the ends of a side, and where they are.
pub(crate) fn owners(
    memory: &Memory,
    geometry: Geometry,
    side: Side,
) -> impl Iterator<Item = (usize, Owner)> {
    (0..geometry.end_count).map(move |index| geometry.end_at(side, index)).filter_map(move |end_at| {
        let owner = Owner(memory.half(end_at + END_OWNER).load(Ordering::Acquire));
        (owner != Owner::NOBODY).then_some((end_at, owner))
    })
}

/// When to look after the peers: every 10 ms, without asking the clock more often than need be.
#[derive(Debug, Default)]
struct Watch {
    /// Operations until the next look at the clock; one after the other is counted, down to less than none.
    left: i32,
    interval: i32,
    last_ns: u64,
}

impl Watch {
    #[inline]
    fn is_due(&mut self) -> bool {
        !self.passes_early() && self.ask_clock()
    }

    /// Whether it is too early for a look; one operation less until then.
    #[inline]
    fn passes_early(&mut self) -> bool {
        self.left = self.left.wrapping_sub(1);
        self.left >= 0
    }

    /// Who does much asks seldom, who does little each time.
    #[cold]
    fn ask_clock(&mut self) -> bool {
        let now = os::coarse_ns();
        let elapsed = now.saturating_sub(self.last_ns);
        let is_due = elapsed >= LOOK_AFTER_NS;
        if is_due {
            self.last_ns = now;
            let fewer = u64::from(self.interval.unsigned_abs()) * LOOK_AFTER_NS / elapsed;
            self.interval = i32::try_from(fewer).unwrap_or(0);
        } else {
            self.interval = (self.interval * 2 + 1).min(INTERVAL_MAX);
        }
        self.left = self.interval;
        is_due
    }

    fn ask_next_time(&mut self) {
        self.left = 0;
    }

    fn look_now(&mut self) {
        self.ask_next_time();
        self.last_ns = 0;
    }
}
