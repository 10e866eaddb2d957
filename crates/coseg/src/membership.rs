//! This process's place in a region, and who else has one.

use std::process;

use coseg_sysv::ShmId;

use crate::base::Base;
use crate::channel::queue::Queue;
use crate::channel::{Geometry, LOCK, Side, owners};
use crate::identity::{self, Identity, Life};
use crate::lock::LockWords;
use crate::os;
use crate::participants::{Owner, Participant};
use crate::schema::PartKind;
use crate::sync::{AtomicU64, Ordering, fence};
use crate::wiped::{Alone, WipedWord};
use crate::{Error, ErrorKind, Result};

/// The slot that this process has taken, or will take.
#[derive(Debug)]
pub(crate) struct Membership {
    /// How others see us named.
    name: String,
    /// Our slot and generation; nobody's in a child of fork, which has none yet.
    me: WipedWord,
    /// As whom this process has joined, if it has.
    identity: AtomicU64,
}

impl Membership {
    pub(crate) fn new(name: String, id: ShmId) -> Membership {
        Membership { name, me: WipedWord::new(id.raw()), identity: AtomicU64::new(0) }
    }
}

impl Base {
    /// Our slot. A child of fork has none of its own yet and joins.
    #[inline]
    pub(crate) fn me(&self) -> Result<Owner> {
        match self.current() {
            Some(owner) => Ok(owner),
            None => self.join(),
        }
    }

    /// Our slot, if this very process has one.
    #[inline]
    pub(crate) fn current(&self) -> Option<Owner> {
        let me = Owner(self.membership.me.get());
        (me != Owner::NOBODY).then_some(me)
    }

    /// Whether this very process has the slot that `owner`, who is somebody, names.
    #[inline(always)]
    pub(crate) fn is_current(&self, owner: Owner) -> bool {
        self.presence().load(Ordering::Relaxed) == owner.0
    }

    /// The word of this process's memory that names its slot.
    #[inline(always)]
    pub(crate) fn presence(&self) -> &std::sync::atomic::AtomicU32 {
        self.membership.me.word()
    }

    /// Takes a slot for this process.
    #[cold]
    pub(crate) fn join(&self) -> Result<Owner> {
        let error = |kind, fact: String| Err(Error::new("join", self.object(), kind, fact));
        if !self.memory.is_writable() {
            return error(ErrorKind::ReadOnly, "it was opened for reading: open it for writing".into());
        }
        // All handles of the process: what one of them is just taking must not look to another like a slot that is
        // left from before an exec.
        let alone = Alone::in_process();
        if let Some(owner) = self.current() {
            return Ok(owner);
        }
        let Some(own) = Identity::of_self() else {
            return error(
                ErrorKind::NoIdentity,
                "/proc/self/stat does not tell when we started: mount /proc".into(),
            );
        };
        if self.is_marked(0).is_none() && !identity::proc_is_of_our_namespace() {
            let fact = "/proc shows another PID namespace: mount one of this namespace";
            return error(ErrorKind::NoIdentity, fact.into());
        }
        os::accept_barriers();
        let owner = self.take_slot(own)?;
        // Taking a slot maps the region anew, and so did the fork that this process came by.
        if let Err(fault) = self.memory.guard(self.layout.guardable.iter().flatten().cloned()) {
            self.participants().leave(owner, own);
            return error(ErrorKind::NoProtectionKeys, format!("its pages take no protection key: {fault}"));
        }
        self.membership.identity.store(own.0, Ordering::Relaxed);
        self.forget_holders();
        // A lock word that names us is seen by nobody who does not see the slot taken.
        fence(Ordering::SeqCst);
        self.membership.me.set(owner.0);
        drop(alone);
        Ok(owner)
    }

    fn take_slot(&self, own: Identity) -> Result<Owner> {
        let participants = self.participants();
        self.refuse_strangers()?;
        let taken = self.take_free_slot(own)?;
        // Two who came at once may both have found nobody.
        self.refuse_strangers().inspect_err(|_| participants.leave(taken, own))?;
        Ok(taken)
    }

    fn take_free_slot(&self, own: Identity) -> Result<Owner> {
        let participants = self.participants();
        // What this process took before it replaced its program is nobody's, and only this process can know that.
        for slot in (0..participants.used_count()).filter(|&slot| participants.identity(slot) == own) {
            if !self.is_own(participants.owner(slot))
                && let Some(owner) = self.take_slot_from(slot, own, own)?
            {
                return Ok(owner);
            }
        }
        // Free slots first: what is left of a dead participant can still tell who it was.
        for want_dead in [false, true] {
            for slot in 0..participants.count {
                let holder = participants.identity(slot);
                let takes = if want_dead {
                    holder != Identity::NOBODY && self.is_gone(slot, holder)
                } else {
                    holder == Identity::NOBODY
                };
                if takes && let Some(owner) = self.take_slot_from(slot, holder, own)? {
                    return Ok(owner);
                }
            }
        }
        let fact = format!(
            "all {} slots are taken by living processes: end one, or make the region with more participants",
            participants.count
        );
        Err(Error::new("join", self.object(), ErrorKind::NoSlot, fact))
    }

    /// Takes a slot from nobody, or from somebody dead; `None`: it is not to be had.
    fn take_slot_from(&self, slot: usize, holder: Identity, own: Identity) -> Result<Option<Owner>> {
        if self.memory.mark(mark_of(slot))? == Some(false) {
            return Ok(None);
        }
        let named = || self.names().filter(|owner| owner.slot(self.layout.participant_count) == Some(slot));
        let taken = self.participants().take(slot, holder, own, &self.membership.name, || named().collect());
        if taken.is_some() {
            self.reset_reader(slot);
        }
        Ok(taken)
    }

    /// The owners that the region's words name: all that the dead can have left something under.
    fn names(&self) -> impl Iterator<Item = Owner> {
        let (memory, count) = (&self.memory, self.layout.participant_count);
        let parts = &self.layout.schema.parts;
        let channels = parts.iter().filter_map(move |part| Some((part, Geometry::of(part, count)?)));
        let in_channels = channels.flat_map(move |(part, geometry)| {
            let ends = [Side::Send, Side::Receive].into_iter();
            let ends = ends.flat_map(move |side| owners(memory, geometry, side).map(|(_, owner)| owner));
            let messages = (part.kind == PartKind::Queue)
                .then(|| Queue { memory, geometry: &geometry }.busy().collect::<Vec<_>>());
            ends.chain(messages.into_iter().flatten())
        });
        let channel_locks = parts.iter().filter(|part| part.kind.is_channel()).map(|part| part.offset + LOCK);
        let locks = self.layout.locks().map(|(_, lock_at)| lock_at).chain(channel_locks);
        let of_locks = locks.flat_map(|lock_at| {
            let words = LockWords::new(&self.memory, lock_at);
            [words.owner(), words.turn()]
        });
        of_locks.chain(in_channels)
    }

    /// Whether this very program took a slot.
    fn is_own(&self, owner: Owner) -> bool {
        WipedWord::any(self.segment.id().raw(), owner.0)
    }

    /// Without marks there is only the pid to tell whether a participant lives, and that means nothing in another
    /// PID namespace.
    fn refuse_strangers(&self) -> Result<()> {
        let participants = self.participants();
        for slot in 0..participants.count {
            let holder = participants.identity(slot);
            if holder == Identity::NOBODY
                || participants.is_of_our_namespaces(slot)
                || self.is_marked(slot).is_some()
                || self.is_gone(slot, holder)
            {
                continue;
            }
            let fact = format!(
                "participant {} is in another PID namespace, where its death could not be seen: run both in one, \
                 or use the user backend on a directory that both see",
                holder.pid()
            );
            return Err(Error::new("join", self.object(), ErrorKind::OtherPidNamespace, fact));
        }
        Ok(())
    }

    /// The words by which a slot's process reads; a new holder of the slot reads nothing yet.
    fn reset_reader(&self, slot: usize) {
        for part in self.layout.schema.parts.iter().filter(|part| part.kind == PartKind::RwLock) {
            crate::rwlock::reset_reader(&self.memory, part.offset, slot);
        }
    }

    /// Whether some attachment holds the slot's mark; `None` where there are no marks.
    fn is_marked(&self, slot: usize) -> Option<bool> {
        if self.is_lone_copy {
            return None;
        }
        self.segment.backend().is_marked(self.segment.id(), mark_of(slot)).ok().flatten()
    }

    /// Whether a slot's holder is dead for certain, or has let go of the segment by exec.
    fn is_gone(&self, slot: usize, holder: Identity) -> bool {
        // Its own mark a process does not see.
        if self.own_slot() == Some(slot) {
            return false;
        }
        let life = self.participants().life(slot, holder);
        match (life, self.is_marked(slot)) {
            (Life::Dead, _) | (_, Some(false)) => true,
            (_, Some(true)) => false,
            (Life::Alive | Life::Unknown, None) if self.is_lone_copy => false,
            (Life::Alive, None) => self.has_let_go(holder.pid()),
            (Life::Unknown, None) => self.segment.stat().is_ok_and(|stat| stat.attachment_count <= 1),
        }
    }

    fn own_slot(&self) -> Option<usize> {
        self.current()?.slot(self.layout.participant_count)
    }

    /// What is known of a slot's holder.
    pub(crate) fn participant(&self, slot: usize) -> Option<Participant> {
        let participants = self.participants();
        let mut found = participants.describe(slot)?;
        let holder = participants.identity(slot);
        if self.is_gone(slot, holder) {
            found.alive = Some(false);
        } else if self.own_slot() == Some(slot) || self.is_marked(slot) == Some(true) {
            found.alive = Some(true);
        }
        Some(found)
    }

    /// Everybody who has joined.
    pub(crate) fn everybody(&self) -> Vec<Participant> {
        (0..self.layout.participant_count).filter_map(|slot| self.participant(slot)).collect()
    }

    /// A process that still runs may have replaced its program, which detaches it.
    fn has_let_go(&self, pid: u32) -> bool {
        if pid == process::id() {
            return false;
        }
        let backend = self.segment.backend();
        i32::try_from(pid)
            .is_ok_and(|pid| matches!(backend.is_attached(self.segment.id(), pid), Ok(Some(false))))
    }

    pub(crate) fn is_dead(&self, owner: Owner) -> bool {
        let participants = self.participants();
        let Some(slot) = owner.slot(participants.count) else { return true };
        let holder = participants.identity(slot);
        holder == Identity::NOBODY || participants.owner(slot) != owner || self.is_gone(slot, holder)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        if let Some(owner) = self.current() {
            self.participants().leave(owner, Identity(self.membership.identity.load(Ordering::Relaxed)));
        }
    }
}

/// The mark of a slot's holder.
fn mark_of(slot: usize) -> u32 {
    u32::try_from(slot).expect("slots are few")
}
