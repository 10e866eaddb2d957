//! Who has joined a region: numbered slots, each with a generation that tells its holders apart.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use crate::identity::{Identity, Life, Namespaces};
use crate::layout::at;
use crate::memory::Memory;
use crate::os;
use crate::sync::Ordering;

/// Most participants a region can have room for.
pub const PARTICIPANTS_MAX: usize = 1024;

/// Bytes of a slot.
pub(crate) const SLOT_SIZE: usize = 128;

const IDENTITY: usize = 0;
const GENERATION: usize = 8;
const WAITS_FOR: usize = 12;
const WAITS_SINCE: usize = 16;
const WAITS_AT: usize = 24;
const PID_NAMESPACE: usize = 32;
const JOINED: usize = 40;
const UID: usize = 48;
const TIME_NAMESPACE: usize = 56;
const NAME: Range<usize> = 64..128;

/// Longest name of a participant in bytes.
pub(crate) const NAME_SIZE: usize = NAME.end - NAME.start;

const SLOT_BITS: u32 = 12;
const GENERATION_MASK: u32 = (1 << (32 - SLOT_BITS)) - 1;

/// The generation after `last`. An owner's word has room for the lower bits only, so later ones look like those that
/// were: none is given out under whose name something is still to be taken from the dead.
fn next_generation(last: u32, slot: usize, named: impl FnOnce() -> Vec<Owner>) -> u32 {
    let after = |generation: u32| generation.checked_add(1).unwrap_or(GENERATION_MASK + 1);
    let mut next = after(last);
    if next > GENERATION_MASK {
        let named: HashSet<Owner> = named().into_iter().collect();
        // All of them only a peer that writes what it likes can have named.
        for _ in 0..GENERATION_MASK {
            if !named.contains(&Owner::new(slot, next)) {
                break;
            }
            next = after(next);
        }
    }
    next
}

/// A slot and its generation, as lock words hold them: never 0, which is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(pub(crate) u32);

impl Owner {
    pub(crate) const NOBODY: Owner = Owner(0);

    fn new(slot: usize, generation: u32) -> Owner {
        let slot = u32::try_from(slot + 1).expect("slots are few");
        Owner(slot | (generation & GENERATION_MASK) << SLOT_BITS)
    }

    /// The slot; `None` for nobody, and for what no participant can have written.
    #[inline]
    pub(crate) fn slot(self, count: usize) -> Option<usize> {
        let slot = (self.0 & ((1 << SLOT_BITS) - 1)) as usize;
        (1..=count).contains(&slot).then(|| slot - 1)
    }

    pub(crate) fn generation(self) -> u32 {
        self.0 >> SLOT_BITS
    }
}

/// A process joined to a region.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// Its slot.
    pub slot: usize,
    /// Which of the slot's holders it is.
    pub generation: u32,
    /// Its pid, in its own PID namespace.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// The number of its PID namespace.
    pub pid_namespace: u64,
    /// The name it gave, or its command.
    pub name: String,
    /// When it joined, in nanoseconds since 1970.
    pub joined_unix_ns: u64,
    /// Whether it still runs; `None` where that cannot be told from here.
    pub alive: Option<bool>,
    /// The number of the lock it waits for, and since when, in nanoseconds since 1970.
    pub waits_for: Option<Waiting>,
}

/// What a participant waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The lock's number.
    pub lock: usize,
    /// Since when, in nanoseconds since 1970.
    pub since_unix_ns: u64,
    /// How many times the lock had been taken then.
    pub acquisition_count: u64,
}

impl Participant {
    /// One whose slot is another's by now.
    pub(crate) fn forgotten(owner: Owner) -> Participant {
        Participant {
            slot: owner.slot(PARTICIPANTS_MAX).unwrap_or(0),
            generation: owner.generation(),
            pid: 0,
            uid: 0,
            pid_namespace: 0,
            name: "somebody".to_owned(),
            joined_unix_ns: 0,
            alive: Some(false),
            waits_for: None,
        }
    }
}

impl fmt::Display for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}, slot {}, generation {})", self.name, self.pid, self.slot, self.generation)
    }
}

/// Where the slots of a region lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Participants<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) at: usize,
    pub(crate) count: usize,
}

impl Participants<'_> {
    /// No slot from this on was ever taken.
    pub(crate) fn used_count(&self) -> usize {
        let used = self.memory.word(at::SLOTS_USED).load(Ordering::SeqCst);
        usize::try_from(used).unwrap_or(usize::MAX).min(self.count)
    }

    fn place(&self, slot: usize, field: usize) -> usize {
        debug_assert!(slot < self.count);
        self.at + slot * SLOT_SIZE + field
    }

    pub(crate) fn identity(&self, slot: usize) -> Identity {
        Identity(self.memory.word(self.place(slot, IDENTITY)).load(Ordering::Acquire))
    }

    /// The slot's holder as lock words name it.
    pub(crate) fn owner(&self, slot: usize) -> Owner {
        Owner::new(slot, self.memory.half(self.place(slot, GENERATION)).load(Ordering::Acquire))
    }

    /// Takes a slot that `from` holds: nobody, or somebody dead. `None`: another was quicker. `named` tells by what
    /// names of its earlier holders the region still has something; asked only once generations begin again.
    ///
    /// # Crash
    /// One word takes the slot. Killed before the generation is counted on, the joiner has not used the old one.
    pub(crate) fn take(
        &self,
        slot: usize,
        from: Identity,
        own: Identity,
        name: &str,
        named: impl FnOnce() -> Vec<Owner>,
    ) -> Option<Owner> {
        self.memory.word(at::SLOTS_USED).fetch_max(slot as u64 + 1, Ordering::SeqCst);
        let word = self.memory.word(self.place(slot, IDENTITY));
        word.compare_exchange(from.0, own.0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let generation = self.memory.half(self.place(slot, GENERATION));
        let next = next_generation(generation.load(Ordering::Relaxed), slot, named);
        generation.store(next, Ordering::Release);
        let set = |field, value| self.memory.word(self.place(slot, field)).store(value, Ordering::Relaxed);
        self.memory.half(self.place(slot, WAITS_FOR)).store(0, Ordering::Relaxed);
        let namespaces = Namespaces::of_self().unwrap_or_default();
        set(PID_NAMESPACE, namespaces.pid);
        set(TIME_NAMESPACE, namespaces.time);
        set(JOINED, os::unix_ns());
        set(UID, u64::from(coseg_sysv::caller::effective_uid()));
        let mut bytes = [0; NAME_SIZE];
        let length = name.floor_char_boundary(NAME_SIZE);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.memory.write(self.place(slot, NAME.start), &bytes);
        Some(Owner::new(slot, next))
    }

    /// Whether a slot's holder counts pids and times as the caller does.
    pub(crate) fn is_of_our_namespaces(&self, slot: usize) -> bool {
        let get = |field| self.memory.word(self.place(slot, field)).load(Ordering::Acquire);
        let theirs = Namespaces { pid: get(PID_NAMESPACE), time: get(TIME_NAMESPACE) };
        // Not yet written by one who is just taking the slot: then the identity tells it well enough.
        theirs.pid == 0 || Namespaces::of_self() == Some(theirs)
    }

    /// Whether a slot's holder runs; nothing is known of one whose pid or start time means something else here.
    pub(crate) fn life(&self, slot: usize, holder: Identity) -> Life {
        match holder.life() {
            Life::Dead if !holder.is_nobody() && !self.is_of_our_namespaces(slot) => Life::Unknown,
            life => life,
        }
    }

    /// Gives the slot back, if it still is ours.
    pub(crate) fn leave(&self, owner: Owner, own: Identity) {
        if let Some(slot) = owner.slot(self.count)
            && self.owner(slot) == owner
        {
            let word = self.memory.word(self.place(slot, IDENTITY));
            let _ = word.compare_exchange(own.0, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Says in one's own slot that one waits for a lock; `None` that one no longer does.
    pub(crate) fn announce(&self, owner: Owner, waiting: Option<Waiting>) {
        let Some(slot) = owner.slot(self.count) else { return };
        let word = self.memory.half(self.place(slot, WAITS_FOR));
        match waiting {
            None => word.store(0, Ordering::Release),
            Some(waiting) => {
                let set =
                    |field, value| self.memory.word(self.place(slot, field)).store(value, Ordering::Relaxed);
                set(WAITS_SINCE, waiting.since_unix_ns);
                set(WAITS_AT, waiting.acquisition_count);
                word.store(u32::try_from(waiting.lock + 1).unwrap_or(0), Ordering::Release);
            }
        }
    }

    /// What is known of whoever holds a slot.
    pub(crate) fn describe(&self, slot: usize) -> Option<Participant> {
        let identity = self.identity(slot);
        if identity == Identity::NOBODY {
            return None;
        }
        let get = |field| self.memory.word(self.place(slot, field)).load(Ordering::Relaxed);
        let mut name = [0; NAME_SIZE];
        self.memory.read(self.place(slot, NAME.start), &mut name);
        let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
        let waits_for = self.memory.half(self.place(slot, WAITS_FOR)).load(Ordering::Acquire);
        Some(Participant {
            slot,
            generation: self.owner(slot).generation(),
            pid: identity.pid(),
            uid: u32::try_from(get(UID)).unwrap_or(u32::MAX),
            pid_namespace: get(PID_NAMESPACE),
            name: String::from_utf8_lossy(&name[..length]).into_owned(),
            joined_unix_ns: get(JOINED),
            alive: match self.life(slot, identity) {
                Life::Alive => Some(true),
                Life::Dead => Some(false),
                Life::Unknown => None,
            },
            waits_for: (waits_for as usize).checked_sub(1).map(|lock| Waiting {
                lock,
                since_unix_ns: get(WAITS_SINCE),
                acquisition_count: get(WAITS_AT),
            }),
        })
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_is_still_named_is_left_out() {
        let named = || [1, 2, 4].map(|generation| Owner::new(3, generation)).to_vec();
        let wrap = GENERATION_MASK + 1;
        assert_eq!(next_generation(0, 3, || panic!("nothing can be named twice yet")), 1);
        assert_eq!(next_generation(wrap - 1, 3, named), wrap);
        assert_eq!(next_generation(wrap, 3, named), wrap + 3);
        assert_eq!(next_generation(wrap, 2, named), wrap + 1, "another slot's");
        assert_eq!(next_generation(u32::MAX, 3, named), wrap);
        let all = || (0..wrap).map(|generation| Owner::new(3, generation)).collect();
        assert!(next_generation(u32::MAX - 5, 3, all) >= wrap);
    }
}
