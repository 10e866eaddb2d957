//! The redo log: several values change together, or none.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 256 | 8 | state: the number of commits in the upper 48 bits, the number of entries to apply in the lower 16 |
//!
//! and from `log_entries_at` on, for each entry, the number of a value and the version it is to have, 8 bytes each; or
//! the place of a message that was received, and its word; or the place of a word of a map's index, and what it is to be.
//!
//! New values are written where nobody reads yet, in the slots of the next versions. Then come the entries, then
//! the state: that one store commits. Applying an entry stores a version, which is the same however often it is
//! done; the state is cleared last. Recovery does nothing else than commit does after its store.

use crate::bell::Bell;
use crate::channel::queue::Slot;
use crate::layout::{Item, LOG_ENTRY_SIZE, Layout, at};
use crate::memory::Memory;
use crate::sync::{AtomicU64, Ordering, fence};

/// Marks an entry that ends a queue's message: of a slot's offset, and the slot's word while the message is held. It
/// is ended by compare-and-exchange, for others use the slot next without the region's lock.
const MESSAGE: u64 = 1 << 63;

/// Marks an entry that sets a word of a map's index: of its offset, and what it is to be. Only who holds the region's
/// lock applies it, for a helper could not tell whether it was set to something else since.
const WORD: u64 = 1 << 62;

const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What became of a dead owner's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It had not committed: nothing of it is to be seen.
    Nothing,
    /// It had committed: all of it is to be seen; so many values.
    Completed(usize),
}

/// The state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl State {
    /// How many commits there have been.
    pub(crate) fn commits(self) -> u64 {
        self.0 >> COUNT_BITS
    }

    /// How many entries are to be applied.
    pub(crate) fn pending(self) -> u64 {
        self.0 & COUNT_MASK
    }

    fn next(self, pending: u64) -> State {
        State((self.commits().wrapping_add(1)) << COUNT_BITS | pending & COUNT_MASK)
    }

    fn cleared(self) -> State {
        State(self.0 & !COUNT_MASK)
    }
}

/// An entry: this value is to have this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) version: u64,
}

impl Entry {
    /// Of no value.
    pub(crate) const NOTHING: Entry = Entry { number: u64::MAX, version: 0 };
}

/// A value and the version that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) number: u64,
    pub(crate) version: u64,
    version_at: usize,
    bell_at: usize,
}

impl Committed {
    pub(crate) const NOTHING: Committed =
        Committed { number: u64::MAX, version: 0, version_at: 0, bell_at: 0 };

    #[inline]
    pub(crate) fn new(item: &Item, version: u64) -> Committed {
        Committed { number: item.number, version, version_at: item.version_at, bell_at: item.bell_at }
    }

    /// The end of a message that was received.
    pub(crate) fn message(at: usize, held: u64, bell_at: usize) -> Committed {
        Committed { number: MESSAGE | at as u64, version: held, version_at: at, bell_at }
    }

    /// How entries of the log name a word of a map's index.
    #[inline]
    pub(crate) fn number_of_word(at: usize) -> u64 {
        WORD | at as u64
    }

    /// A word of a map's index, and what it is to be.
    #[inline]
    pub(crate) fn word(at: usize, value: u64, bell_at: usize) -> Committed {
        Committed { number: Committed::number_of_word(at), version: value, version_at: at, bell_at }
    }

    /// What an entry stands for; `None` for one that a peer made up.
    fn of(entry: Entry, layout: &Layout) -> Option<Committed> {
        if entry.number & (MESSAGE | WORD) == 0 {
            return Some(Committed::new(&layout.item(entry.number)?, entry.version));
        }
        if entry.number & MESSAGE == 0 {
            let at = usize::try_from(entry.number & !WORD).ok()?;
            return Some(Committed::word(at, entry.version, layout.map_of_word(at)?.at));
        }
        let at = usize::try_from(entry.number & !MESSAGE).ok()?;
        let queue = layout.queue_of_slot(at)?;
        Some(Committed::message(at, entry.version, queue.senders_bell_at()))
    }

    /// The message that it ends: its place, and its word while it is held.
    pub(crate) fn as_message(&self) -> Option<(usize, u64)> {
        (self.number & MESSAGE != 0 && *self != Committed::NOTHING).then_some((self.version_at, self.version))
    }

    /// The place of the word of a map's index that it sets.
    #[inline]
    pub(crate) fn as_word(&self) -> Option<usize> {
        (self.number & (MESSAGE | WORD) == WORD).then_some(self.version_at)
    }

    /// Whether it is of the part with this bell.
    #[inline]
    pub(crate) fn is_of(&self, bell_at: usize) -> bool {
        self.bell_at == bell_at
    }

    #[inline]
    pub(crate) fn entry(&self) -> Entry {
        Entry { number: self.number, version: self.version }
    }

    #[inline]
    pub(crate) fn bell<'a>(&self, memory: &'a Memory) -> Bell<'a> {
        Bell(memory.half(self.bell_at))
    }

    /// Makes the version the one that is read, sets the word, or ends the message. Done again, it does nothing.
    #[inline]
    fn apply(&self, memory: &Memory) {
        if let Some((at, held)) = self.as_message() {
            return Slot::held(at, held).free(memory);
        }
        memory.word(self.version_at).store(self.version, Ordering::Release);
    }
}

/// Where the log lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) entries_at: usize,
    pub(crate) count: usize,
}

impl Log<'_> {
    #[inline]
    fn word(&self) -> &AtomicU64 {
        self.memory.word(at::LOG)
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        State(self.word().load(Ordering::Acquire))
    }

    pub(crate) fn entry(&self, index: usize) -> Entry {
        let at = self.entries_at + index * LOG_ENTRY_SIZE;
        Entry {
            number: self.memory.word(at).load(Ordering::Relaxed),
            version: self.memory.word(at + 8).load(Ordering::Relaxed),
        }
    }

    /// Writes an entry that does not count yet. Its value was written before, behind a fence: who sees the entry sees
    /// also that the state was cleared since the last.
    #[inline]
    pub(crate) fn write_entry(&self, index: usize, entry: Entry) {
        let at = self.entries_at + index * LOG_ENTRY_SIZE;
        self.memory.word(at).store(entry.number, Ordering::Relaxed);
        self.memory.word(at + 8).store(entry.version, Ordering::Relaxed);
    }

    /// Makes one value's new version the one that is read.
    #[inline]
    pub(crate) fn commit_one(&self, set: Committed) {
        set.apply(self.memory);
        let state = State(self.word().load(Ordering::Relaxed));
        self.word().store(state.next(0).0, Ordering::Release);
    }

    /// Commits the first `pending` entries, which set these values to these versions.
    #[inline]
    pub(crate) fn commit(&self, pending: usize, set: impl Iterator<Item = Committed>) {
        let state = State(self.word().load(Ordering::Relaxed)).next(pending as u64);
        self.word().store(state.0, Ordering::Release);
        self.apply(state, set);
    }

    /// Applies what is committed, and clears the state.
    #[inline]
    fn apply(&self, state: State, set: impl Iterator<Item = Committed>) {
        // The commit is seen before any of what it commits.
        fence(Ordering::Release);
        for set in set {
            set.apply(self.memory);
        }
        fence(Ordering::Release);
        self.word().store(state.cleared().0, Ordering::Release);
    }

    /// Applies what somebody committed and has not yet applied, without having the lock: he may be stopped. Whoever
    /// has seen it committed then sees it in every later read.
    ///
    /// Nothing is applied twice, and nothing old: a version is replaced only by the one after it. Words of maps stay as
    /// they are; who finds no entry there looks at the log.
    #[cold]
    pub(crate) fn help(&self, layout: &Layout) {
        let state = self.state();
        let pending = usize::try_from(state.pending()).unwrap_or(usize::MAX).min(self.count);
        let entries: Vec<Entry> = (0..pending).map(|index| self.entry(index)).collect();
        fence(Ordering::Acquire);
        // Entries are written anew only after the state was cleared.
        if self.state() != state {
            return;
        }
        let _open = self.memory.open();
        for entry in entries {
            if let Some(set) = Committed::of(entry, layout) {
                // Only who committed the end of a message, or recovers from his death, may end it: to a helper who comes late
                // the slot could look the same, with the next message that he has taken. So could a map's word.
                if set.as_message().is_some() || set.as_word().is_some() {
                    continue;
                }
                let word = self.memory.word(set.version_at);
                let before = entry.version.wrapping_sub(1);
                let _ = word.compare_exchange(before, entry.version, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Finishes what a dead owner committed, forgets what it did not.
    pub(crate) fn settle(&self, layout: &Layout) -> Settled {
        // One at most: who puts a value does nothing else meanwhile.
        let arrived = layout.maps.iter().filter(|map| map.end_transit(self.memory)).count();
        let state = self.state();
        if state.pending() > 0 {
            let pending = usize::try_from(state.pending()).unwrap_or(usize::MAX).min(self.count);
            let mut count = 0;
            let entries = (0..pending).map(|index| self.entry(index));
            // A number that is no value's was not written by us.
            let set = entries.filter_map(|entry| Committed::of(entry, layout));
            self.apply(state, set.inspect(|set| count += usize::from(set.as_word().is_none())));
            return Settled::Completed(count);
        }
        // It may have changed one value and died before it counted.
        self.word().store(state.next(0).0, Ordering::Release);
        if arrived > 0 { Settled::Completed(arrived) } else { Settled::Nothing }
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;
    use crate::schema::{Part, PartKind, Scalar, Schema, Type};

    #[test]
    fn a_late_helper_takes_nothing_back() {
        let part = Part {
            name: "rows".into(),
            doc: String::new(),
            kind: PartKind::Table,
            of: Some(Type::Scalar(Scalar::U64)),
            row_count: 2,
            slot_count: 2,
            room_bytes: 8,
            offset: 0,
        };
        let layout = Layout::new(Schema { name: String::new(), parts: vec![part] }, 1).unwrap();
        let memory = Memory::heap(layout.size_bytes);
        let log = Log { memory: &memory, entries_at: layout.log_entries_at, count: layout.log_entry_count };
        let items = [layout.item(0).unwrap(), layout.item(1).unwrap()];
        let version = |item: Item| memory.word(item.version_at);
        for (index, item) in items.into_iter().enumerate() {
            log.write_entry(index, Entry { number: item.number, version: 5 });
        }
        memory.word(at::LOG).store(9 << COUNT_BITS | 2, Ordering::Relaxed);
        version(items[0]).store(4, Ordering::Relaxed);
        version(items[1]).store(6, Ordering::Relaxed);
        log.help(&layout);
        assert_eq!(items.map(|item| version(item).load(Ordering::Relaxed)), [5, 6]);
        assert_eq!(log.state().pending(), 2, "clearing is the owner's");
    }
}
