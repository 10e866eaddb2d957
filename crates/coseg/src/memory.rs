//! A region's bytes, which other processes write at any time: atomics of one fixed width per place, and copies.
//!
//! No reference to a value in here exists anywhere, only to atomics. Offsets come from a layout that was checked
//! when the region was opened and is kept in private memory; one that lies outside is our own bug and panics.
#![allow(unsafe_code, reason = "the one room that touches a region's memory")]

use std::mem::MaybeUninit;

use crate::Shared;
use crate::layout::LINE;
use crate::sync::{AtomicU64, Ordering};

#[cfg(not(coseg_model))]
pub(crate) use mapped::Memory;

#[cfg(coseg_model)]
pub(crate) use modelled::Memory;

/// Bytes of the unit that is copied.
pub(crate) const WORD: usize = size_of::<u64>();

#[cfg(not(coseg_model))]
mod mapped {
    use std::marker::PhantomData;
    use std::ops::Range;
    use std::ptr::NonNull;

    use coseg_sysv::Attachment;

    use super::WORD;
    use crate::guard;
    use crate::layout::LINE;
    use crate::sync::{AtomicU32, AtomicU64};

    /// The mapped bytes of a region.
    #[derive(Debug)]
    pub(crate) struct Memory {
        base: NonNull<u8>,
        size_bytes: usize,
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
            // SAFETY: as in `Memory::word`.
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
            Memory {
                base,
                size_bytes: attachment.size_bytes(),
                keep: Keep::Attachment(attachment),
                key: None,
            }
        }

        /// Zeroed bytes of this process alone, to run the algorithms on where there are no segments.
        #[cfg(test)]
        pub(crate) fn heap(size_bytes: usize) -> Memory {
            let lines: Box<[Lined]> = (0..size_bytes.div_ceil(LINE)).map(|_| Lined::default()).collect();
            let base = NonNull::from(&*lines).cast::<u8>();
            let size_bytes = size_bytes.next_multiple_of(WORD);
            Memory { base, size_bytes, keep: Keep::Heap(lines), key: None }
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
            assert!(
                self.fits(offset, LINE) && offset.is_multiple_of(LINE),
                "a place outside the region's layout"
            );
            // SAFETY: the assertion keeps the line inside the mapping.
            let start = unsafe { self.base.as_ptr().add(offset) };
            Line { start, of: PhantomData }
        }

        /// The words from `offset` on.
        #[inline]
        pub(crate) fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
            let fits = count.checked_mul(WORD).is_some_and(|size| self.fits(offset, size));
            assert!(fits && offset.is_multiple_of(WORD), "a place outside the region's layout");
            // SAFETY: the assertion keeps the start inside the mapping.
            let start = unsafe { self.base.as_ptr().add(offset) }.cast::<AtomicU64>();
            // SAFETY: all of it is in bounds, aligned and mapped while `self` lives; as in `word`.
            unsafe { std::slice::from_raw_parts(start, count) }
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
            assert!(
                self.fits(offset, size_of::<W>()) && offset.is_multiple_of(size_of::<W>()),
                "a place outside the region's layout"
            );
            // SAFETY: the assertion keeps the whole word inside the mapping.
            unsafe { self.base.as_ptr().add(offset) }.cast()
        }
    }
}

/// Words of a model checker, one of each width at each place.
#[cfg(coseg_model)]
mod modelled {
    use crate::sync::{AtomicU32, AtomicU64};

    #[derive(Debug)]
    pub(crate) struct Memory {
        words: Vec<AtomicU64>,
        halves: Vec<AtomicU32>,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Line<'a> {
        memory: &'a Memory,
        start: usize,
    }

    impl<'a> Line<'a> {
        pub(crate) fn word(self, offset: usize) -> &'a AtomicU64 {
            self.memory.word(self.start + offset)
        }

        pub(crate) fn half(self, offset: usize) -> &'a AtomicU32 {
            self.memory.half(self.start + offset)
        }
    }

    impl Memory {
        pub(crate) fn line(&self, start: usize) -> Line<'_> {
            Line { memory: self, start }
        }

        pub(crate) fn attached(_: coseg_sysv::Attachment) -> Memory {
            unimplemented!("models run on heap memory")
        }

        pub(crate) fn heap(size_bytes: usize) -> Memory {
            Memory {
                words: (0..size_bytes / 8).map(|_| AtomicU64::new(0)).collect(),
                halves: (0..size_bytes / 4).map(|_| AtomicU32::new(0)).collect(),
            }
        }

        pub(crate) fn with_key(self, _: crate::guard::Key) -> Memory {
            self
        }

        pub(crate) fn guard(&self, _: impl Iterator<Item = std::ops::Range<usize>>) -> std::io::Result<()> {
            Ok(())
        }

        pub(crate) fn open(&self) -> Option<crate::guard::Open> {
            None
        }

        pub(crate) fn let_read(&self) {}

        pub(crate) fn prefetch(&self, _: usize) {}

        pub(crate) fn size_bytes(&self) -> usize {
            self.words.len() * 8
        }

        pub(crate) fn mark(&self, _: u32) -> coseg_sysv::Result<Option<bool>> {
            Ok(None)
        }

        pub(crate) fn is_writable(&self) -> bool {
            true
        }

        pub(crate) fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
            assert!(offset.is_multiple_of(8));
            &self.words[offset / 8..][..count]
        }

        pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
            assert!(offset.is_multiple_of(8));
            &self.words[offset / 8]
        }

        pub(crate) fn half(&self, offset: usize) -> &AtomicU32 {
            assert!(offset.is_multiple_of(4));
            &self.halves[offset / 4]
        }
    }
}

impl Memory {
    /// Copies what is at `offset`, which must be a multiple of eight, word by word.
    #[inline]
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        // SAFETY: of the same layout, and no byte becomes uninitialised.
        let bytes = unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) };
        self.read_new(offset, bytes);
    }

    /// The same, into bytes that are all written by it.
    #[inline]
    fn read_new(&self, offset: usize, bytes: &mut [MaybeUninit<u8>]) {
        let words = self.words(offset, bytes.len().div_ceil(WORD));
        let (words, bytes) = read_blocks(words, bytes);
        let (whole, tail) = bytes.as_chunks_mut::<WORD>();
        for (to, from) in whole.iter_mut().zip(words) {
            *to = from.load(Ordering::Relaxed).to_ne_bytes().map(MaybeUninit::new);
        }
        if !tail.is_empty() {
            let word = words[words.len() - 1].load(Ordering::Relaxed).to_ne_bytes();
            tail.write_copy_of_slice(&word[..tail.len()]);
        }
    }

    /// Copies `bytes` to `offset`, which must be a multiple of eight; the last word is filled up with zeroes.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let words = self.words(offset, bytes.len().div_ceil(WORD));
        let (words, bytes) = write_blocks(words, bytes);
        let (whole, tail) = bytes.as_chunks::<WORD>();
        for (from, to) in whole.iter().zip(words) {
            to.store(u64::from_ne_bytes(*from), Ordering::Relaxed);
        }
        if !tail.is_empty() {
            let mut word = [0; WORD];
            word[..tail.len()].copy_from_slice(tail);
            words[words.len() - 1].store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// As [`Memory::write`], past the cache: for many bytes that another core reads, whose lines are not fetched first.
    pub(crate) fn write_past(&self, offset: usize, bytes: &[u8]) {
        // Whole lines are what goes past it.
        let (head, rest) = bytes.split_at(bytes.len().min(offset.next_multiple_of(LINE) - offset));
        self.write(offset, head);
        if rest.is_empty() {
            return;
        }
        let at = offset + head.len();
        let words = self.words(at, rest.len().div_ceil(WORD));
        let (_, tail) = write_lines_past(words, rest);
        self.write(at + rest.len() - tail.len(), tail);
    }

    /// Whether these bytes are at `offset`, which must be a multiple of eight, the last word filled up with zeroes.
    #[inline]
    pub(crate) fn holds(&self, offset: usize, bytes: &[u8]) -> bool {
        let words = self.words(offset, bytes.len().div_ceil(WORD));
        let (whole, tail) = bytes.as_chunks::<WORD>();
        let same = |own: [u8; WORD], word: &AtomicU64| word.load(Ordering::Relaxed).to_ne_bytes() == own;
        let mut last = [0; WORD];
        last[..tail.len()].copy_from_slice(tail);
        whole.iter().zip(words).all(|(own, word)| same(*own, word))
            && (tail.is_empty() || same(last, &words[words.len() - 1]))
    }

    /// Copies as [`Memory::read`], to the end of a buffer.
    pub(crate) fn read_to_end(&self, offset: usize, length: usize, buffer: &mut Vec<u8>) {
        buffer.reserve(length);
        self.read_new(offset, &mut buffer.spare_capacity_mut()[..length]);
        // SAFETY: there is room for them, and all were written.
        unsafe { buffer.set_len(buffer.len() + length) };
    }

    /// As [`Memory::read`], from any offset.
    pub(crate) fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let inside = offset % WORD;
        if inside == 0 {
            return self.read(offset, bytes);
        }
        let (head, rest) = bytes.split_at_mut(bytes.len().min(WORD - inside));
        let word = self.word(offset - inside).load(Ordering::Relaxed).to_ne_bytes();
        head.copy_from_slice(&word[inside..][..head.len()]);
        if !rest.is_empty() {
            self.read(offset - inside + WORD, rest);
        }
    }

    /// Copies bytes to any offset; what is beside them stays.
    pub(crate) fn write_at(&self, offset: usize, bytes: &[u8]) {
        let inside = offset % WORD;
        let (head, rest) = bytes.split_at(if inside == 0 { 0 } else { bytes.len().min(WORD - inside) });
        self.write_within(offset, head);
        let (whole, tail) = rest.split_at(rest.len() / WORD * WORD);
        let at = offset + head.len();
        if !whole.is_empty() {
            self.write(at, whole);
        }
        self.write_within(at + whole.len(), tail);
    }

    /// Copies bytes into a part of a word.
    fn write_within(&self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let inside = offset % WORD;
        let word = self.word(offset - inside);
        let mut own = word.load(Ordering::Relaxed).to_ne_bytes();
        own[inside..][..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_ne_bytes(own), Ordering::Relaxed);
    }

    /// Copies a value that may be half of one write and half of another: the caller checks.
    #[inline]
    pub(crate) fn load<T: Shared>(&self, offset: usize) -> T {
        let mut image = MaybeUninit::<T>::uninit();
        self.read_new(offset, new_bytes(&mut image));
        // SAFETY: as large as the image, of which all was written.
        T::load(unsafe { std::slice::from_raw_parts(image.as_ptr().cast(), size_of::<T>()) })
    }

    /// Copies a value in.
    #[inline]
    pub(crate) fn store<T: Shared>(&self, offset: usize, value: &T) {
        let mut image = MaybeUninit::<T>::uninit();
        let bytes = zeroed_bytes(&mut image);
        value.store(bytes);
        self.write(offset, bytes);
    }

    /// Copies values in, side by side: each is a number of whole words.
    #[inline]
    pub(crate) fn store_all<T: Shared>(&self, offset: usize, values: &[T]) {
        let words = self.words(offset, size_of_val(values) / WORD);
        for (value, words) in values.iter().zip(words.chunks_exact(size_of::<T>() / WORD)) {
            let mut image = MaybeUninit::<T>::uninit();
            let (own, _) = stored(value, &mut image).as_chunks::<WORD>();
            for (from, to) in own.iter().zip(words) {
                to.store(u64::from_ne_bytes(*from), Ordering::Relaxed);
            }
        }
    }

    /// Copies values that lie side by side to the end of a list.
    #[inline]
    pub(crate) fn load_all<T: Shared>(&self, offset: usize, count: usize, values: &mut Vec<T>) {
        let words = self.words(offset, count * size_of::<T>() / WORD);
        values.extend(words.chunks_exact(size_of::<T>() / WORD).map(|words| {
            let mut image = MaybeUninit::<T>::uninit();
            let bytes = zeroed_bytes(&mut image);
            for (to, from) in bytes.as_chunks_mut::<WORD>().0.iter_mut().zip(words) {
                *to = from.load(Ordering::Relaxed).to_ne_bytes();
            }
            T::load(bytes)
        }));
    }
}

/// Copies of words by the processor's widest loads and stores: what the compiler makes of a loop over atomics takes
/// four times as long. To other processes a copy is as before: each word whole, and in no order.
#[cfg(all(target_arch = "x86_64", not(coseg_model), not(miri)))]
mod blocks {
    use std::arch::x86_64::_mm_sfence;
    use std::mem::MaybeUninit;

    use super::WORD;
    use crate::sync::AtomicU64;

    /// Bytes that one turn of the loop copies.
    const BLOCK: usize = 64;
    /// Fewer bytes are copied as fast word by word.
    const LEAST: usize = 128;

    /// Copies most of `words` to `bytes`; what is left of both.
    #[inline]
    pub(super) fn read_blocks<'w, 'b>(
        words: &'w [AtomicU64],
        bytes: &'b mut [MaybeUninit<u8>],
    ) -> (&'w [AtomicU64], &'b mut [MaybeUninit<u8>]) {
        let count = bytes.len() / BLOCK;
        if bytes.len() < LEAST {
            return (words, bytes);
        }
        let (from, rest) = words.split_at(count * BLOCK / WORD);
        let (to, tail) = bytes.split_at_mut(count * BLOCK);
        // SAFETY: both have `count` blocks; the words are atomics, which may be read while others write them.
        unsafe { copy(to.as_mut_ptr().cast(), from.as_ptr().cast(), count) };
        (rest, tail)
    }

    /// Copies most of `bytes` to `words`; what is left of both.
    #[inline]
    pub(super) fn write_blocks<'w, 'b>(
        words: &'w [AtomicU64],
        bytes: &'b [u8],
    ) -> (&'w [AtomicU64], &'b [u8]) {
        let count = bytes.len() / BLOCK;
        if bytes.len() < LEAST {
            return (words, bytes);
        }
        let (to, rest) = words.split_at(count * BLOCK / WORD);
        let (from, tail) = bytes.split_at(count * BLOCK);
        // SAFETY: both have `count` blocks; the words are atomics, which may be written through a shared reference.
        unsafe { copy(to.as_ptr().cast_mut().cast(), from.as_ptr(), count) };
        (rest, tail)
    }

    /// As [`write_blocks`], of lines, by stores that fetch none, and are done when this returns.
    pub(super) fn write_lines_past<'w, 'b>(
        words: &'w [AtomicU64],
        bytes: &'b [u8],
    ) -> (&'w [AtomicU64], &'b [u8]) {
        let count = bytes.len() / BLOCK;
        let (to, rest) = words.split_at(count * BLOCK / WORD);
        let (from, tail) = bytes.split_at(count * BLOCK);
        for (to, from) in to.chunks_exact(BLOCK / WORD).zip(from.as_chunks::<BLOCK>().0) {
            assert!(to.as_ptr().addr().is_multiple_of(BLOCK), "no line begins here");
            // SAFETY: a block each, and the one written is aligned. It is of atomics, which may be written through a shared
            // reference; each word is written as a whole.
            unsafe {
                std::arch::asm!(
                    "movups {a}, [{from}]",
                    "movups {b}, [{from} + 16]",
                    "movups {c}, [{from} + 32]",
                    "movups {d}, [{from} + 48]",
                    "movntps [{to}], {a}",
                    "movntps [{to} + 16], {b}",
                    "movntps [{to} + 32], {c}",
                    "movntps [{to} + 48], {d}",
                    from = in(reg) from.as_ptr(),
                    to = in(reg) to.as_ptr(),
                    a = out(xmm_reg) _,
                    b = out(xmm_reg) _,
                    c = out(xmm_reg) _,
                    d = out(xmm_reg) _,
                    options(nostack, preserves_flags),
                );
            }
        }
        // SAFETY: every processor of this architecture has it.
        unsafe { _mm_sfence() };
        (rest, tail)
    }

    /// # Safety
    /// `count` blocks can be read at `from` and written at `to`, and do not overlap; one of them may be atomics that
    /// other threads use at the same time. `count` is not 0.
    #[inline]
    unsafe fn copy(to: *mut u8, from: *const u8, count: usize) {
        // SAFETY: as the caller promises. Processors with SSE2, so all of this architecture, load and store each aligned word of
        // a register as one.
        unsafe {
            std::arch::asm!(
                "2:",
                "movups {a}, [{from}]",
                "movups {b}, [{from} + 16]",
                "movups {c}, [{from} + 32]",
                "movups {d}, [{from} + 48]",
                "movups [{to}], {a}",
                "movups [{to} + 16], {b}",
                "movups [{to} + 32], {c}",
                "movups [{to} + 48], {d}",
                "add {from}, 64",
                "add {to}, 64",
                "dec {count}",
                "jnz 2b",
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                count = inout(reg) count => _,
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                options(nostack),
            );
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(coseg_model), not(miri)))]
use blocks::{read_blocks, write_blocks, write_lines_past};

#[cfg(not(all(target_arch = "x86_64", not(coseg_model), not(miri))))]
fn read_blocks<'w, 'b>(
    words: &'w [crate::sync::AtomicU64],
    bytes: &'b mut [MaybeUninit<u8>],
) -> (&'w [crate::sync::AtomicU64], &'b mut [MaybeUninit<u8>]) {
    (words, bytes)
}

#[cfg(not(all(target_arch = "x86_64", not(coseg_model), not(miri))))]
use write_blocks as write_lines_past;

#[cfg(not(all(target_arch = "x86_64", not(coseg_model), not(miri))))]
fn write_blocks<'w, 'b>(
    words: &'w [crate::sync::AtomicU64],
    bytes: &'b [u8],
) -> (&'w [crate::sync::AtomicU64], &'b [u8]) {
    (words, bytes)
}

/// The bytes of a value as they are stored, in a place for it.
#[inline]
pub(crate) fn stored<'i, T: Shared>(value: &T, image: &'i mut MaybeUninit<T>) -> &'i [u8] {
    let bytes = zeroed_bytes(image);
    value.store(bytes);
    bytes
}

/// The bytes of a place for a value.
#[inline]
fn new_bytes<T>(image: &mut MaybeUninit<T>) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the place is as large as a `T`, and whatever is written to it is no `T` yet.
    unsafe { std::slice::from_raw_parts_mut(image.as_mut_ptr().cast(), size_of::<T>()) }
}

/// The bytes of a place for a value, zeroed where they are: moving a `T` would leave its padding behind.
#[inline]
fn zeroed_bytes<T>(image: &mut MaybeUninit<T>) -> &mut [u8] {
    let start = image.as_mut_ptr().cast::<u8>();
    // SAFETY: the place is as large as a `T`.
    unsafe { start.write_bytes(0, size_of::<T>()) };
    // SAFETY: all bytes are initialised now; nothing but bytes is written while they are lent.
    unsafe { std::slice::from_raw_parts_mut(start, size_of::<T>()) }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_cross_and_fill_their_last_word() {
        for length in (0..=17).chain(250..400) {
            let memory = Memory::heap(512);
            memory.write(8, &[0xff; 504]);
            let bytes: Vec<u8> = (1..=250).cycle().take(length).collect();
            let mut back = vec![0; bytes.len()];
            memory.write_past(8, &bytes);
            memory.read(8, &mut back);
            assert_eq!(back, bytes);
            memory.write(8, &[0xff; 504]);
            memory.write(8, &bytes);
            memory.read(8, &mut back);
            assert_eq!(back, bytes);
            back.clear();
            memory.read_to_end(8, bytes.len(), &mut back);
            assert_eq!(back, bytes);
            assert!(memory.holds(8, &bytes));
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert!(!memory.holds(8, &other), "{at} of {length}");
            }
            let last = (bytes.len().next_multiple_of(WORD)).max(WORD);
            let mut word = [0; WORD];
            memory.read(8 + last - WORD, &mut word);
            let filled = last - bytes.len();
            assert!(length == 0 || word[WORD - filled..].iter().all(|&byte| byte == 0), "{word:?}");
            assert_eq!(memory.word(0).load(Ordering::Relaxed), 0, "nothing before");
        }
    }

    #[test]
    fn padding_is_zero_whatever_the_stack_held() {
        #[derive(coseg::Shared, Clone, Copy)]
        #[repr(C)]
        struct Padded {
            a: u8,
            b: u64,
        }
        let memory = Memory::heap(16);
        let dirty = std::hint::black_box([0xee_u8; 4096]);
        for a in 0..100 {
            memory.store(0, &std::hint::black_box(Padded { a, b: u64::from(dirty[usize::from(a)]) }));
            assert_eq!(memory.word(0).load(Ordering::Relaxed).to_ne_bytes(), [a, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    #[test]
    #[should_panic(expected = "outside the region's layout")]
    fn a_word_across_the_end_is_refused() {
        let _ = Memory::heap(32).word(32);
    }

    #[test]
    #[should_panic(expected = "outside the region's layout")]
    fn a_crooked_word_is_refused() {
        let _ = Memory::heap(32).word(4);
    }
}
