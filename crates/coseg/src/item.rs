//! A versioned value: several slots and a version word that says which of them is read.
//!
//! A writer fills the slot of the next version and then stores that version. A reader copies the slot of the version
//! it finds and looks again: only if the writers have come round to this slot in between, may the copy be of two
//! values. Nobody waits for a writer who has stopped or died, for what he was writing is not what is read.

use crate::Shared;
use crate::base::Base;
use crate::bell::Bell;
use crate::layout::Item;
use crate::lock::Deadline;
use crate::memory::Memory;
use crate::sync::{Ordering, fence};

/// Copies that are tried before something else is.
pub(crate) const TRIES: u32 = if cfg!(coseg_model) { 2 } else { 64 };

/// A value as copies of it are made.
pub(crate) trait Copied {
    /// What is copied.
    type Value;

    /// Copies it from a slot.
    fn copy(&self, memory: &Memory, slot_at: usize) -> Self::Value;
}

/// Copies a `T`.
#[derive(Debug)]
pub(crate) struct Typed<T>(pub(crate) std::marker::PhantomData<T>);

impl<T> Typed<T> {
    pub(crate) const NEW: Typed<T> = Typed(std::marker::PhantomData);
}

impl<T: Shared> Copied for Typed<T> {
    type Value = T;

    #[inline]
    fn copy(&self, memory: &Memory, slot_at: usize) -> T {
        memory.load(slot_at)
    }
}

/// Copies all bytes of the room, whatever they mean.
#[derive(Debug)]
pub(crate) struct Bytes(pub(crate) usize);

impl Copied for Bytes {
    type Value = Vec<u8>;

    fn copy(&self, memory: &Memory, slot_at: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.0];
        memory.read(slot_at, &mut bytes);
        bytes
    }
}

impl Item {
    /// The version that is read now.
    #[inline]
    pub(crate) fn version(&self, memory: &Memory) -> u64 {
        memory.let_read();
        memory.word(self.version_at).load(Ordering::Acquire)
    }

    /// Copies the value of a version; `None` if its slot has been used again.
    #[inline]
    pub(crate) fn copy<C: Copied>(&self, memory: &Memory, version: u64, how: &C) -> Option<C::Value> {
        let value = how.copy(memory, self.slot_at(version));
        self.is_whole(memory, version).then_some(value)
    }

    /// Whether what was read of a version since is its value.
    #[inline]
    pub(crate) fn is_whole(&self, memory: &Memory, version: u64) -> bool {
        fence(Ordering::Acquire);
        let now = memory.word(self.version_at).load(Ordering::Relaxed);
        // A version that is committed and not yet applied is one ahead.
        let ahead = now.wrapping_sub(version).wrapping_add(1);
        ahead <= self.slot_mask
    }

    /// Copies the value, with its version; `None` if writers were faster every time.
    #[inline]
    pub(crate) fn try_read<C: Copied>(&self, memory: &Memory, how: &C) -> Option<(C::Value, u64)> {
        for _ in 0..TRIES {
            let version = self.version(memory);
            if let Some(value) = self.copy(memory, version, how) {
                return Some((value, version));
            }
        }
        None
    }

    /// Copies the value, however busy the writers are.
    #[inline]
    pub(crate) fn read<C: Copied>(&self, base: &Base, how: &C) -> (C::Value, u64) {
        // Kept apart from the other tries, the copy goes straight to where it is wanted.
        let version = self.version(&base.memory);
        let value = how.copy(&base.memory, self.slot_at(version));
        if self.is_whole(&base.memory, version) {
            return (value, version);
        }
        self.read_again(base, how)
    }

    #[cold]
    fn read_again<C: Copied>(&self, base: &Base, how: &C) -> (C::Value, u64) {
        loop {
            if let Some(found) = self.read_until(base, how, Deadline::Never) {
                return found;
            }
        }
    }

    /// As [`Item::read`]; `None` if the deadline passed first, which takes writers who are always faster and never give
    /// the lock back: no honest ones.
    #[inline]
    pub(crate) fn read_until<C: Copied>(
        &self,
        base: &Base,
        how: &C,
        deadline: Deadline,
    ) -> Option<(C::Value, u64)> {
        self.try_read(&base.memory, how).or_else(|| self.read_among_writers(base, how, deadline))
    }

    /// Writers overtake: take the lock when it is free, or see them stop, whichever comes first. A writer who is
    /// stopped while he has the lock changes nothing more, and one who goes on gives the lock back.
    #[cold]
    fn read_among_writers<C: Copied>(
        &self,
        base: &Base,
        how: &C,
        deadline: Deadline,
    ) -> Option<(C::Value, u64)> {
        loop {
            // One who reads only cannot lock, and sleeps a little between his attempts.
            let soon = Deadline::after(Some(std::time::Duration::from_millis(1)));
            if let Ok(_guard) = base.lock(soon) {
                let version = self.version(&base.memory);
                return Some((how.copy(&base.memory, self.slot_at(version)), version));
            }
            if let Some(found) = self.try_read(&base.memory, how) {
                return Some(found);
            }
            deadline.left()?;
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }

    /// Where the next version's value is to be written. Only for who holds the region's lock.
    #[inline]
    fn next_slot(&self, version: u64) -> usize {
        self.slot_at(version.wrapping_add(1))
    }

    /// Writes the value of the next version; what the room has beyond the value stays as it is in this version.
    #[inline]
    pub(crate) fn write_next<T: Shared>(&self, memory: &Memory, version: u64, value: &T) {
        let (from, to) = (self.slot_at(version), self.next_slot(version));
        before_writing();
        memory.store(to, value);
        let written = size_of::<T>();
        if written < self.room_bytes {
            self.keep_beyond(memory, from, to, written);
        }
    }

    /// Writes all bytes of the next version's room.
    pub(crate) fn write_next_bytes(&self, memory: &Memory, version: u64, bytes: &[u8]) {
        before_writing();
        memory.write(self.next_slot(version), bytes);
    }

    /// Another program's value may be longer than ours: fields were added at its end.
    #[cold]
    fn keep_beyond(&self, memory: &Memory, from: usize, to: usize, written: usize) {
        let first = written / 8 * 8;
        let mut tail = vec![0; self.room_bytes - first];
        memory.read(from + first, &mut tail);
        let mut own = [0; 8];
        memory.read(to + first, &mut own[..tail.len().min(8)]);
        let ours = written - first;
        tail[..ours].copy_from_slice(&own[..ours]);
        memory.write(to + first, &tail);
    }

    #[inline(always)]
    pub(crate) fn bell<'a>(&self, memory: &'a Memory) -> Bell<'a> {
        Bell(memory.half(self.bell_at))
    }
}

/// Whoever sees a slot written anew sees also that it was no longer the one to read, by whatever process the
/// version before was stored.
#[inline]
fn before_writing() {
    fence(Ordering::Release);
}
