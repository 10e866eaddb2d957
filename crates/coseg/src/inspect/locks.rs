//! The locks of a region: who holds them, and who waits.

use super::Inspection;
use crate::Participant;
use crate::lock::LockWords;
use crate::participants::Owner;
use crate::schema::PartKind;

/// A lock of a region, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockView {
    /// Its number: the order in which locks are to be taken.
    pub number: usize,
    /// The part's name, or `region`.
    pub name: String,
    /// Who holds it.
    pub holder: Option<Holder>,
    /// How many times it was taken.
    pub acquisition_count: u64,
    /// The slots of those who say that they wait for it.
    pub waiter_slots: Vec<usize>,
    /// The slots of those who hold it for reading.
    pub reader_slots: Vec<usize>,
}

/// The owner of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its slot; `None` if no participant can have written what stands there.
    pub slot: Option<usize>,
    /// Who it is; `None` if the slot is another's by now.
    pub participant: Option<Participant>,
    /// It has died, and nobody has taken the lock since.
    pub orphaned: bool,
    /// It has held the lock at least since this moment, in nanoseconds since 1970: since then somebody waits for
    /// it. `None` if nobody does.
    pub held_since_unix_ns: Option<u64>,
}

impl Inspection {
    /// The locks, in their order; the region's own is the last.
    pub fn locks(&self) -> Vec<LockView> {
        let participants = self.participants();
        let locks = self.base.layout.locks().enumerate();
        locks.map(|(number, (name, lock_at))| self.lock_view(number, name, lock_at, &participants)).collect()
    }

    fn lock_view(&self, number: usize, name: &str, lock_at: usize, participants: &[Participant]) -> LockView {
        let words = LockWords::new(&self.base.memory, lock_at);
        let (owner, acquisition_count) = (words.owner(), words.acquisition_count());
        let waiters = || {
            participants.iter().filter(|who| who.alive != Some(false)).filter_map(|who| {
                who.waits_for.filter(|waiting| waiting.lock == number).map(|waiting| (who.slot, waiting))
            })
        };
        let holder = (owner != Owner::NOBODY).then(|| {
            let slot = owner.slot(self.base.layout.participant_count);
            let participant = participants
                .iter()
                .find(|who| Some(who.slot) == slot && who.generation == owner.generation())
                .cloned();
            Holder {
                slot,
                participant,
                orphaned: self.base.is_dead(owner),
                held_since_unix_ns: waiters()
                    .filter(|(_, waiting)| waiting.acquisition_count == acquisition_count)
                    .map(|(_, waiting)| waiting.since_unix_ns)
                    .min(),
            }
        });
        let rwlock = self.schema().parts.iter().find(|part| part.offset == lock_at);
        let reader_slots = match rwlock {
            Some(part) if part.kind == PartKind::RwLock => (0..self.base.layout.participant_count)
                .filter(|&slot| crate::rwlock::is_reading(&self.base.memory, lock_at, slot))
                .collect(),
            _ => Vec::new(),
        };
        LockView {
            number,
            name: name.to_owned(),
            holder,
            acquisition_count,
            waiter_slots: waiters().map(|(slot, _)| slot).collect(),
            reader_slots,
        }
    }
}
