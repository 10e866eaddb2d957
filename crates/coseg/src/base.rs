//! An opened region: its memory, its layout, and how its locks are taken and the dead's recovered.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, TryLockError};

use coseg_sysv::Segment;

use crate::bell::{Bell, Wake};
use crate::channel;
use crate::header;
use crate::layout::{Layout, REMOVED, at};
use crate::lock::{Company, Deadline, LockWords, Taken};
use crate::log::{Log, Settled};
use crate::membership::Membership;
use crate::memory::Memory;
use crate::os;
use crate::participants::{Owner, Participant, Participants, Waiting};
use crate::schema::PartKind;
use crate::sync::{AtomicU64, Ordering};
use crate::wiped::WipedWord;
use crate::{Error, ErrorKind, Result};

/// Most recoveries that are remembered: some programs never ask for them, and a peer can make up any number of deaths.
const RECOVERIES_MAX: usize = 256;

/// What was found and mended when a lock was taken from a dead owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The name of the lock: a part's, or `region`.
    pub lock: String,
    /// Who died; `None` if its slot is another's by now.
    pub participant: Option<Participant>,
    /// What became of the transaction it was in.
    pub settled: Settled,
}

/// How a lock was come by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acquired {
    /// Nobody died.
    Clean,
    /// Its owner had died; what it protects in the region is consistent again.
    Recovered(Box<Recovery>),
}

/// An opened region, shared by the handles of its parts.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) memory: Memory,
    pub(crate) layout: Layout,
    pub(crate) segment: Segment,
    pub(crate) membership: Membership,
    /// Who has joined is not attached to this segment.
    pub(crate) is_lone_copy: bool,
    /// For each lock, the thread of this process that holds it, or 0.
    holders: Box<[AtomicU64]>,
    /// The number of the region's own lock: the last in the order.
    own_lock: usize,
    memories: Memories,
}

/// The deaths that this handle was told of.
#[derive(Debug)]
struct Memories {
    /// Held by the thread that is at the list.
    turn: WipedWord,
    list: Mutex<Vec<Recovery>>,
}

impl Memories {
    /// `None` in a child that was forked while another thread was at the list. That thread is not there to finish, so
    /// such a child remembers no deaths, rather than wait for ever.
    fn change<R>(&self, change: impl FnOnce(&mut Vec<Recovery>) -> R) -> Option<R> {
        let _alone = self.turn.lock();
        match self.list.try_lock() {
            Ok(mut list) => Some(change(&mut list)),
            Err(TryLockError::Poisoned(list)) => Some(change(&mut list.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Base {
    /// A region that may be read; [`Base::join`] makes it one that may be changed.
    pub(crate) fn new(memory: Memory, layout: Layout, segment: Segment, name: String) -> Base {
        let holders: Box<[AtomicU64]> = layout.locks().map(|_| AtomicU64::new(0)).collect();
        Base {
            memory,
            layout,
            membership: Membership::new(name, segment.id()),
            segment,
            is_lone_copy: false,
            own_lock: holders.len() - 1,
            holders,
            memories: Memories { turn: WipedWord::new(WipedWord::LOCK), list: Mutex::default() },
        }
    }

    pub(crate) fn participants(&self) -> Participants<'_> {
        Participants { memory: &self.memory, at: at::PARTICIPANTS, count: self.layout.participant_count }
    }

    /// How errors name the region.
    pub(crate) fn object(&self) -> String {
        match self.segment.key() {
            coseg_sysv::Key::PRIVATE => format!("region id {}", self.segment.id()),
            key => format!("region {key} (id {})", self.segment.id()),
        }
    }

    /// What the parent's threads held, a child of fork does not.
    pub(crate) fn forget_holders(&self) {
        for holder in &self.holders {
            holder.store(0, Ordering::Relaxed);
        }
    }

    /// Notes which thread of this process holds a lock.
    #[inline(always)]
    pub(crate) fn set_holder(&self, number: usize, holds: bool) {
        let thread = if holds { thread_number() } else { 0 };
        self.holders[number].store(thread, Ordering::Relaxed);
    }

    /// Takes the region's own lock, and settles what a dead owner left.
    #[inline(always)]
    pub(crate) fn lock(&self, deadline: Deadline) -> Result<RegionGuard<'_>> {
        let me = self.me()?;
        if !LockWords::new(&self.memory, at::LOCK).try_take(me) {
            self.lock_contended(me, deadline)?;
        }
        self.set_holder(self.own_lock, true);
        Ok(RegionGuard { base: self, me, stays: PhantomData })
    }

    /// Who died is remembered for [`Base::take_recoveries`].
    #[cold]
    fn lock_contended(&self, me: Owner, deadline: Deadline) -> Result<()> {
        let _ = self.take_checked(self.own_lock, at::LOCK, me, deadline)?;
        Ok(())
    }

    /// Takes the lock of this number and place, unless that would wait for the calling thread itself.
    #[cold]
    pub(crate) fn take_checked(
        &self,
        number: usize,
        lock_at: usize,
        me: Owner,
        deadline: Deadline,
    ) -> Result<Acquired> {
        let words = LockWords::new(&self.memory, lock_at);
        self.check_order(number)?;
        let company = Party { base: self, me, lock: number };
        let taken = words.take(me, deadline, &company);
        match taken {
            Some(Taken::Clean) => Ok(Acquired::Clean),
            Some(Taken::From(dead)) => Ok(Acquired::Recovered(Box::new(self.recover(number, dead)))),
            None => {
                let holder = self.describe(words.owner());
                let object = format!("{} of {}", self.lock_name(number), self.object());
                let fact = format!("the deadline passed while {holder} held it: see `coseg locks`");
                Err(Error::new("lock", object, ErrorKind::TimedOut, fact))
            }
        }
    }

    /// Locks are waited for in the order of their numbers, the region's own last: so nobody waits in a circle.
    fn check_order(&self, number: usize) -> Result<()> {
        let thread = thread_number();
        let mut held = number..self.holders.len();
        match held.find(|&held| self.holders[held].load(Ordering::Relaxed) == thread) {
            None => Ok(()),
            Some(held) => Err(self.out_of_order(number, held)),
        }
    }

    fn out_of_order(&self, number: usize, held: usize) -> Error {
        let fact = if held == number {
            "this thread holds it already".to_owned()
        } else {
            format!(
                "this thread holds `{}`, which comes after it, and somebody else this one: lock in the order of \
                 declaration",
                self.lock_name(held)
            )
        };
        let object = format!("`{}` of {}", self.lock_name(number), self.object());
        Error::new("lock", object, ErrorKind::WouldDeadlock, fact)
    }

    /// Mends what the dead owner of a lock left, and remembers who it was.
    pub(crate) fn recover(&self, number: usize, dead: Owner) -> Recovery {
        let open = self.memory.open();
        let settled =
            if number == self.own_lock { self.log().settle(&self.layout) } else { Settled::Nothing };
        drop(open);
        let participant = dead
            .slot(self.layout.participant_count)
            .and_then(|slot| (self.participants().owner(slot) == dead).then(|| self.participant(slot))?);
        self.memory.word(at::RECOVERIES).fetch_add(1, Ordering::Relaxed);
        let recovery = Recovery { lock: self.lock_name(number).to_owned(), participant, settled };
        let copy = recovery.clone();
        self.memories.change(|recoveries| {
            if recoveries.len() == RECOVERIES_MAX {
                recoveries.remove(0);
            }
            recoveries.push(copy);
        });
        recovery
    }

    /// Lets nobody else in, and wakes all who wait for a value or an event.
    pub(crate) fn close(&self) {
        header::close(&self.memory);
        for part in &self.layout.schema.parts {
            let bell_at = match part.kind {
                PartKind::Cell | PartKind::Event => part.offset + 8,
                PartKind::Table | PartKind::Map => part.offset,
                PartKind::Counter | PartKind::Lock | PartKind::RwLock => continue,
                _ => {
                    channel::ring_all(&self.memory, part.offset);
                    continue;
                }
            };
            Bell(self.memory.half(bell_at)).ring(Wake::All);
        }
    }

    /// An error if the region was removed.
    pub(crate) fn check_open(&self, doing: &'static str, object: impl FnOnce() -> String) -> Result<()> {
        if self.memory.half(at::STATE).load(Ordering::SeqCst) != REMOVED {
            return Ok(());
        }
        Err(Error::new(doing, object(), ErrorKind::Removed, "the region was removed meanwhile"))
    }

    pub(crate) fn take_recoveries(&self) -> Vec<Recovery> {
        self.memories.change(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn log(&self) -> Log<'_> {
        Log {
            memory: &self.memory,
            entries_at: self.layout.log_entries_at,
            count: self.layout.log_entry_count,
        }
    }

    pub(crate) fn lock_name(&self, number: usize) -> &str {
        self.layout.locks().nth(number).map_or("?", |(name, _)| name)
    }

    /// Who an owner is; `None` if its slot is another's by now.
    pub(crate) fn describe_owner(&self, owner: Owner) -> Option<Participant> {
        let slot = owner.slot(self.layout.participant_count)?;
        (self.participants().owner(slot) == owner).then(|| self.participant(slot))?
    }

    pub(crate) fn describe(&self, owner: Owner) -> String {
        match self.describe_owner(owner) {
            Some(participant) => participant.to_string(),
            None => "nobody known".to_owned(),
        }
    }
}

/// A number of the calling thread, never 0.
#[inline(always)]
fn thread_number() -> u64 {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr() as u64)
}

/// What a lock asks about the participants.
pub(crate) struct Party<'a> {
    pub(crate) base: &'a Base,
    pub(crate) me: Owner,
    pub(crate) lock: usize,
}

impl Company for Party<'_> {
    fn is_dead(&self, owner: Owner) -> bool {
        self.base.is_dead(owner)
    }

    fn waits(&self, acquisition_count: u64) {
        let waiting = Waiting { lock: self.lock, since_unix_ns: os::unix_ns(), acquisition_count };
        self.base.participants().announce(self.me, Some(waiting));
    }

    fn waits_no_more(&self) {
        self.base.participants().announce(self.me, None);
    }
}

/// The region's own lock, held: the right to change values.
#[derive(Debug)]
pub(crate) struct RegionGuard<'a> {
    pub(crate) base: &'a Base,
    me: Owner,
    /// Which thread holds it is known to that thread.
    stays: PhantomData<*const ()>,
}

impl RegionGuard<'_> {
    /// An error in a child that was forked within the change: its parent has the lock, and goes on.
    #[inline(always)]
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.base.is_current(self.me) { Ok(()) } else { Err(self.forked()) }
    }

    #[cold]
    fn forked(&self) -> Error {
        let fact = "the process was forked within the change, which its parent goes on with: nothing was changed here";
        Error::new("change", self.base.object(), ErrorKind::Forked, fact)
    }
}

impl Drop for RegionGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // A child that was forked in here holds nothing.
        if self.base.is_current(self.me) {
            self.base.set_holder(self.base.own_lock, false);
            LockWords::new(&self.base.memory, at::LOCK).give_back();
        }
    }
}

/// A reference to an opened region.
pub(crate) type Shelf = Arc<Base>;
