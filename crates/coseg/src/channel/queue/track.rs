//! How far the ends of a queue have come.

use super::super::lane::Awaited;
use super::slot::{DISTURBANCES, Slot};
use crate::sync::{AtomicU64, Ordering};

/// How often one who loses pauses in one look, and for how long at first: 2 to 5 µs, and 25 to 70 in all. So long the other,
/// whose line it is, gets many messages through by itself; after less, both wait for lines that travel.
const BACK_OFFS: u32 = if cfg!(coseg_model) { 0 } else { 4 };
const FIRST_BACK_OFF: u32 = 96;

/// How long one pauses at the end of a stream: for each message of it, and at most. Where the other side takes twice as long
/// for a message as this one, streams grow until they are as long as that.
const PAUSES_EACH: u64 = if cfg!(coseg_model) { 0 } else { 4 };
const PAUSES_MAX: u64 = 192;

/// Positions that an end passes before it says so.
pub(super) const UNSAID: u64 = if cfg!(coseg_model) { 2 } else { 4 };

/// How far one end has come.
#[derive(Debug)]
pub(crate) struct Track {
    /// The next position.
    pub(super) position: u64,
    /// What was last known to be said.
    pub(super) said: u64,
    /// The position that it last looked at in vain.
    pub(super) vain: u64,
    /// What it saw there, if that is what will change.
    pub(super) changing: Option<Slot>,
}

impl Track {
    pub(super) fn at(hint: &AtomicU64) -> Track {
        let position = hint.load(Ordering::Acquire);
        Track { position, said: position, vain: position, changing: None }
    }

    /// Goes on to where others have said they are; whether they have come further.
    #[inline]
    pub(super) fn catch_up(&mut self, hint: &AtomicU64) -> bool {
        let said = hint.load(Ordering::Acquire);
        let is_behind = is_before(self.position, said);
        if is_behind {
            // What others have done is no stream of this one's.
            self.vain = self.vain.wrapping_add(said.wrapping_sub(self.position));
            (self.position, self.said) = (said, said);
        }
        is_behind
    }

    /// Goes on to a position.
    #[inline]
    pub(super) fn pass_to(&mut self, position: u64, hint: &AtomicU64) {
        self.position = position;
        if position.wrapping_sub(self.said) >= UNSAID {
            self.say(hint);
        }
    }

    /// Nobody is further than so many positions beyond what somebody has said.
    #[inline]
    fn say(&mut self, hint: &AtomicU64) {
        let mut said = hint.load(Ordering::Acquire);
        for _ in 0..DISTURBANCES {
            if !is_before(said, self.position) {
                break;
            }
            match hint.compare_exchange(said, self.position, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => said = now,
            }
        }
        self.said = self.position;
    }

    #[inline]
    pub(super) fn pass(&mut self, hint: &AtomicU64) {
        self.pass_to(self.position.wrapping_add(1), hint);
    }

    /// Whether to look again at once, behind a look in vain: at the end of a stream, after a pause. Otherwise it would take
    /// the line away from the other side for each single message.
    pub(super) fn looks_again(&mut self) -> bool {
        let passed = self.position.wrapping_sub(std::mem::replace(&mut self.vain, self.position));
        // To a model checker the same look twice is many more cases of one kind.
        let streams = passed > 1 && !cfg!(coseg_model);
        if streams {
            (0..passed.saturating_mul(PAUSES_EACH).min(PAUSES_MAX)).for_each(|_| std::hint::spin_loop());
        }
        streams
    }

    /// What changes when another look is worth it.
    pub(crate) fn awaited(&self) -> Option<Awaited> {
        self.changing.map(|slot| Awaited { at: slot.at, value: slot.state.0, next: None })
    }
}

/// How often others were quicker during one look.
#[derive(Default)]
pub(super) struct Losses(u32);

impl Losses {
    /// So many that there is no more pause.
    pub(super) const BORNE: Losses = Losses(BACK_OFFS);

    /// Lets them go on for a while, twice as long each time: two who take turns at each message wait for lines that travel,
    /// one alone does not.
    pub(super) fn back_off(&mut self) {
        if self.0 < BACK_OFFS {
            (0..FIRST_BACK_OFF << self.0).for_each(|_| std::hint::spin_loop());
            self.0 += 1;
        }
    }
}

/// How far a receiver has come.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) track: Track,
    /// How many messages had become ready behind when they were last looked for.
    pub(in crate::channel) seen: u32,
    /// The last of these counts, and how far any receiver had come then.
    pub(super) known: u32,
    pub(super) known_to: u64,
}

impl Receiving {
    /// As [`Track::catch_up`].
    #[inline]
    pub(super) fn catch_up(&mut self, hint: &AtomicU64) -> bool {
        let from = self.track.position;
        let is_behind = self.track.catch_up(hint);
        if is_behind && is_before(from, self.known_to) {
            // What was behind the others and not yet behind this one is so now.
            self.seen = self.known.wrapping_sub(1);
        }
        is_behind
    }
}

#[inline]
pub(super) fn is_before(position: u64, other: u64) -> bool {
    other.wrapping_sub(position).cast_signed() > 0
}
