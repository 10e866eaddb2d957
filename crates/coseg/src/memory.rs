//! A region's bytes, which other processes write at any time: atomics of one fixed width per place, and copies.
//!
//! No reference to a value in here exists anywhere, only to atomics. Offsets come from a layout that was checked
//! when the region was opened and is kept in private memory; one that lies outside is our own bug and panics.
#![allow(unsafe_code, reason = "the one room that touches a region's memory")]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use coseg_sysv::Attachment;

use crate::Shared;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bytes of the unit that is copied.
pub(crate) const WORD: usize = size_of::<u64>();

/// The mapped bytes of a region.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    size_bytes: usize,
    keep: Keep,
}

/// What the bytes live in, for as long as they are used.
#[derive(Debug)]
enum Keep {
    Attachment(Attachment),
    #[cfg(test)]
    #[expect(dead_code, reason = "owns the bytes")]
    Heap(Box<[AtomicU64]>),
}

// SAFETY: the memory is reached through atomics only, and what it lives in may be moved between threads.
unsafe impl Send for Memory {}
// SAFETY: as above: every access is atomic.
unsafe impl Sync for Memory {}

impl Memory {
    /// An attached segment's bytes.
    pub(crate) fn attached(attachment: Attachment) -> Memory {
        let base = NonNull::new(attachment.as_ptr()).expect("nothing is mapped at address zero");
        assert!(base.cast::<u64>().is_aligned(), "attachments start at pages");
        Memory { base, size_bytes: attachment.size_bytes(), keep: Keep::Attachment(attachment) }
    }

    /// Zeroed bytes of this process alone, to run the algorithms on where there are no segments.
    #[cfg(test)]
    pub(crate) fn heap(size_bytes: usize) -> Memory {
        let words: Box<[AtomicU64]> = (0..size_bytes.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect();
        let base = NonNull::from(&*words).cast::<u8>();
        Memory { base, size_bytes: words.len() * WORD, keep: Keep::Heap(words) }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn is_writable(&self) -> bool {
        match &self.keep {
            Keep::Attachment(attachment) => attachment.is_writable(),
            #[cfg(test)]
            Keep::Heap(_) => true,
        }
    }

    /// The eight bytes at `offset`.
    #[inline]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        let pointer = self.place::<u64>(offset);
        // SAFETY: in bounds, aligned and mapped while `self` lives; an atomic may be shared with any writer, and
        // everybody uses this place as one word.
        unsafe { AtomicU64::from_ptr(pointer) }
    }

    /// The four bytes at `offset`.
    #[inline]
    pub(crate) fn half(&self, offset: usize) -> &AtomicU32 {
        let pointer = self.place::<u32>(offset);
        // SAFETY: as in `word`, with four bytes.
        unsafe { AtomicU32::from_ptr(pointer) }
    }

    #[inline]
    fn place<W>(&self, offset: usize) -> *mut W {
        let fits = offset.checked_add(size_of::<W>()).is_some_and(|end| end <= self.size_bytes);
        assert!(fits && offset.is_multiple_of(size_of::<W>()), "a place outside the region's layout");
        // SAFETY: the assertion keeps the whole word inside the mapping.
        unsafe { self.base.as_ptr().add(offset) }.cast()
    }

    /// Copies what is at `offset`, which must be a multiple of eight, word by word.
    #[inline]
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        let (words, tail) = bytes.as_chunks_mut::<WORD>();
        let tail_at = offset + words.len() * WORD;
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.word(offset + index * WORD).load(Ordering::Relaxed).to_ne_bytes();
        }
        if !tail.is_empty() {
            let word = self.word(tail_at).load(Ordering::Relaxed).to_ne_bytes();
            tail.copy_from_slice(&word[..tail.len()]);
        }
    }

    /// Copies `bytes` to `offset`, which must be a multiple of eight; the last word is filled up with zeroes.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<WORD>();
        for (index, word) in words.iter().enumerate() {
            self.word(offset + index * WORD).store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        if !tail.is_empty() {
            let mut word = [0; WORD];
            word[..tail.len()].copy_from_slice(tail);
            self.word(offset + words.len() * WORD).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// Copies a value that may be half of one write and half of another: the caller checks.
    #[inline]
    pub(crate) fn load<T: Shared>(&self, offset: usize) -> T {
        let mut image = MaybeUninit::<T>::zeroed();
        let bytes = image_bytes(&mut image);
        self.read(offset, bytes);
        T::load(bytes)
    }

    /// Copies a value in.
    #[inline]
    pub(crate) fn store<T: Shared>(&self, offset: usize, value: &T) {
        let mut image = MaybeUninit::<T>::zeroed();
        let bytes = image_bytes(&mut image);
        value.store(bytes);
        self.write(offset, bytes);
    }
}

/// The bytes of a place for a value, all of them zero so far.
#[inline]
fn image_bytes<T>(zeroed: &mut MaybeUninit<T>) -> &mut [u8] {
    let start = zeroed.as_mut_ptr().cast::<u8>();
    // SAFETY: the bytes were zeroed, so all are initialised; nothing but bytes is written while they are lent.
    unsafe { std::slice::from_raw_parts_mut(start, size_of::<T>()) }
}
