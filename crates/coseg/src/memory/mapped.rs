//! The bytes of an attached segment.

use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;

use coseg_sysv::Attachment;

use super::{WORD, Words, outside, unit_of};
use crate::guard;
use crate::layout::LINE;
use crate::sync::{AtomicU32, AtomicU64};

/// The mapped bytes of a region.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    size_bytes: usize,
    /// The same in lines, words and half words, to check a place by one comparison.
    line_count: usize,
    word_count: usize,
    half_count: usize,
    keep: Keep,
    key: Option<guard::Key>,
}

/// What the bytes live in, for as long as they are used.
#[derive(Debug)]
enum Keep {
    Attachment(Attachment),
    #[cfg(test)]
    #[expect(dead_code, reason = "owns the bytes")]
    Heap(Box<[Lined]>),
}

/// A line of heap memory, which begins where one of the processor's does.
#[cfg(test)]
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lined {
    _words: [AtomicU64; LINE / WORD],
}

// SAFETY: the memory is reached through atomics only, and what it lives in may be moved between threads.
unsafe impl Send for Memory {}
// SAFETY: as above: every access is atomic.
unsafe impl Sync for Memory {}

/// A line of a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    start: *mut u8,
    of: PhantomData<&'a Memory>,
}

impl<'a> Line<'a> {
    /// The eight bytes at an offset in the line.
    #[inline]
    pub(crate) fn word(self, offset: usize) -> &'a AtomicU64 {
        assert!(offset < LINE && offset.is_multiple_of(WORD));
        // SAFETY: the assertion keeps the word inside the line.
        let pointer = unsafe { self.start.add(offset) }.cast();
        // SAFETY: aligned and mapped while the memory lives; an atomic may be shared with any writer.
        unsafe { AtomicU64::from_ptr(pointer) }
    }

    /// The four bytes at an offset in the line.
    #[inline]
    pub(crate) fn half(self, offset: usize) -> &'a AtomicU32 {
        assert!(offset < LINE && offset.is_multiple_of(WORD / 2));
        // SAFETY: the assertion keeps the half word inside the line.
        let pointer = unsafe { self.start.add(offset) }.cast();
        // SAFETY: as in `Memory::half`.
        unsafe { AtomicU32::from_ptr(pointer) }
    }
}

impl Memory {
    /// An attached segment's bytes.
    pub(crate) fn attached(attachment: Attachment) -> Memory {
        let base = NonNull::new(attachment.as_ptr()).expect("nothing is mapped at address zero");
        assert!(base.cast::<u64>().is_aligned(), "attachments start at pages");
        Memory::new(base, attachment.size_bytes(), Keep::Attachment(attachment))
    }

    /// Zeroed bytes of this process alone, to run the algorithms on where there are no segments.
    #[cfg(test)]
    pub(crate) fn heap(size_bytes: usize) -> Memory {
        let lines: Box<[Lined]> = (0..size_bytes.div_ceil(LINE)).map(|_| Lined::default()).collect();
        let base = NonNull::from(&*lines).cast::<u8>();
        let size_bytes = size_bytes.next_multiple_of(WORD);
        Memory::new(base, size_bytes, Keep::Heap(lines))
    }

    fn new(base: NonNull<u8>, size_bytes: usize, keep: Keep) -> Memory {
        // No slice has more, and no region.
        let size_bytes = size_bytes.min(isize::MAX.unsigned_abs());
        let [line_count, word_count, half_count] = [LINE, WORD, WORD / 2].map(|unit| size_bytes / unit);
        Memory { base, size_bytes, line_count, word_count, half_count, keep, key: None }
    }

    /// The same, of which [`Memory::guard`] marks pages.
    pub(crate) fn with_key(self, key: guard::Key) -> Memory {
        Memory { key: Some(key), ..self }
    }

    /// Marks pages, if there is a key: from now on they are written only while [`Memory::open`] lets the thread.
    /// To be done again once they were mapped anew.
    pub(crate) fn guard(&self, pages: impl Iterator<Item = Range<usize>>) -> std::io::Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        for pages in pages {
            assert!(self.fits(pages.start, pages.len()), "pages outside the region's layout");
            key.guard(self.base, &pages)?;
        }
        Ok(())
    }

    /// Lets this thread write guarded pages, for as long as the result lives.
    #[inline]
    pub(crate) fn open(&self) -> Option<guard::Open> {
        self.key.map(guard::Key::open)
    }

    /// Makes sure that this thread may read guarded pages.
    #[inline]
    pub(crate) fn let_read(&self) {
        if let Some(key) = self.key {
            key.let_read();
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Holds a mark of the segment; see [`Attachment::mark`].
    pub(crate) fn mark(&self, mark: u32) -> coseg_sysv::Result<Option<bool>> {
        match &self.keep {
            Keep::Attachment(attachment) => attachment.mark(mark),
            #[cfg(test)]
            Keep::Heap(_) => Ok(None),
        }
    }

    pub(crate) fn is_writable(&self) -> bool {
        match &self.keep {
            Keep::Attachment(attachment) => attachment.is_writable(),
            #[cfg(test)]
            Keep::Heap(_) => true,
        }
    }

    /// The line that starts at `offset`: one check for all of its words.
    #[inline]
    pub(crate) fn line(&self, offset: usize) -> Line<'_> {
        if unit_of::<LINE>(offset) >= self.line_count {
            outside();
        }
        // SAFETY: the comparison keeps the line inside the mapping.
        let start = unsafe { self.base.as_ptr().add(offset) };
        Line { start, of: PhantomData }
    }

    #[inline(always)]
    fn fits(&self, offset: usize, size: usize) -> bool {
        size <= self.size_bytes && offset <= self.size_bytes - size
    }

    /// Has the processor fetch the line of an offset, if it can be told to.
    #[inline(always)]
    pub(crate) fn prefetch(&self, offset: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint; it touches no memory that the program could see, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.base.as_ptr().wrapping_add(offset).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = offset;
    }

    /// The same, and take it away from other processors: it is to be written.
    #[inline(always)]
    pub(crate) fn prefetch_to_write(&self, offset: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a hint; it touches no memory that the program could see, whatever the address.
        unsafe {
            let line = self.base.as_ptr().wrapping_add(offset);
            std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, readonly, preserves_flags));
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = offset;
    }

    /// The four bytes at `offset`.
    #[inline]
    pub(crate) fn half(&self, offset: usize) -> &AtomicU32 {
        if unit_of::<{ WORD / 2 }>(offset) >= self.half_count {
            outside();
        }
        // SAFETY: the comparison keeps the place inside the mapping.
        let pointer = unsafe { self.base.as_ptr().add(offset) }.cast();
        // SAFETY: aligned and mapped while `self` lives; an atomic may be shared with any writer, and everybody uses this
        // place as one half word.
        unsafe { AtomicU32::from_ptr(pointer) }
    }
}

/// Its words.
impl Deref for Memory {
    type Target = Words;

    #[inline(always)]
    fn deref(&self) -> &Words {
        // SAFETY: so many are mapped while `self` lives, from a word's boundary on, and no more than a slice may have; atomics may
        // be shared with any writer.
        Words::of(unsafe { std::slice::from_raw_parts(self.base.as_ptr().cast(), self.word_count) })
    }
}
