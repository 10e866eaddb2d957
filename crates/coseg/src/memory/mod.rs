//! A region's bytes, which other processes write at any time: atomics of one fixed width per place, and copies.
//!
//! No reference to a value in here exists anywhere, only to atomics. Offsets come from a layout that was checked
//! when the region was opened and is kept in private memory; one that lies outside is our own bug and panics.
#![allow(unsafe_code, reason = "the one room that touches a region's memory")]

#[cfg_attr(not(all(target_arch = "x86_64", not(coseg_model), not(miri))), path = "no_blocks.rs")]
mod blocks;
mod fixed;
#[cfg(not(coseg_model))]
mod mapped;
#[cfg(coseg_model)]
mod modelled;
mod plain;

use std::fmt;
use std::mem::MaybeUninit;

pub(crate) use self::fixed::{Fixed, Slots};
#[cfg(not(coseg_model))]
pub(crate) use self::mapped::Memory;
#[cfg(coseg_model)]
pub(crate) use self::modelled::Memory;
pub(crate) use self::plain::Plain;

use self::blocks::{copy_blocks, is_faster_past, read_blocks, write_blocks, write_lines_past};
use crate::Shared;
use crate::layout::LINE;
use crate::sync::{AtomicU64, Ordering};

/// Bytes of the unit that is copied.
pub(crate) const WORD: usize = size_of::<u64>();

/// Says that our own code looked for a place that is none.
#[cold]
fn outside() -> ! {
    panic!("a place outside the region's layout")
}

/// Words side by side, which others read and write at any time: all of a region, or some of it. Offsets are in bytes, from
/// the first word on.
#[repr(transparent)]
pub(crate) struct Words([AtomicU64]);

/// Their number, for they may be many, and of anything.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("room_bytes", &self.room_bytes()).finish()
    }
}

impl Words {
    #[inline(always)]
    fn of(words: &[AtomicU64]) -> &Words {
        // SAFETY: a `Words` is laid out as what it consists of, and lent for as long.
        unsafe { &*(std::ptr::from_ref(words) as *const Words) }
    }

    /// How many bytes they are.
    #[inline]
    pub(crate) fn room_bytes(&self) -> usize {
        self.0.len() * WORD
    }

    /// The eight bytes at `offset`, which everybody uses as one word.
    #[inline]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        self.0.get(unit_of::<WORD>(offset)).unwrap_or_else(|| outside())
    }

    /// The words from `offset` on.
    #[inline]
    pub(crate) fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        let found = self.0.get(unit_of::<WORD>(offset)..).and_then(|rest| rest.get(..count));
        found.unwrap_or_else(|| outside())
    }

    /// Some of them.
    #[inline]
    pub(crate) fn part(&self, offset: usize, size_bytes: usize) -> &Words {
        Words::of(self.words(offset, size_bytes.div_ceil(WORD)))
    }

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
        read_words(self.words(offset, bytes.len().div_ceil(WORD)), bytes);
    }

    /// Copies `bytes` to `offset`, which must be a multiple of eight; the last word is filled up with zeroes.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        write_words(self.words(offset, bytes.len().div_ceil(WORD)), bytes);
    }

    /// Copies from one place to another, both multiples of eight; the last word as a whole.
    #[inline]
    pub(crate) fn copy(&self, from: usize, to: usize, size_bytes: usize) {
        let count = size_bytes.div_ceil(WORD);
        let (from, to) = copy_blocks(self.words(from, count), self.words(to, count));
        for (from, to) in from.iter().zip(to) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// As [`Words::write`], for many bytes that another core reads.
    pub(crate) fn write_for_another(&self, offset: usize, bytes: &[u8]) {
        if is_faster_past() {
            self.write_past(offset, bytes);
        } else {
            self.write(offset, bytes);
        }
    }

    /// As [`Words::write`], past the cache: the lines are not fetched first.
    fn write_past(&self, offset: usize, bytes: &[u8]) {
        // Whole lines are what goes past it.
        let address = self.0.as_ptr().addr() + offset;
        let (head, rest) = bytes.split_at(bytes.len().min(address.next_multiple_of(LINE) - address));
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

    /// Copies as [`Words::read`], to the end of a buffer.
    pub(crate) fn read_to_end(&self, offset: usize, length: usize, buffer: &mut Vec<u8>) {
        buffer.reserve(length);
        self.read_new(offset, &mut buffer.spare_capacity_mut()[..length]);
        // SAFETY: there is room for them, and all were written.
        unsafe { buffer.set_len(buffer.len() + length) };
    }

    /// As [`Words::read`], from any offset.
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
        loaded(self.words(offset, size_of::<T>().div_ceil(WORD)))
    }

    /// The same over another value. What is made first and then moved is copied twice.
    #[inline]
    pub(crate) fn load_into<T: Shared>(&self, offset: usize, value: &mut T) {
        match &T::PLAIN {
            Some(plain) => self.read(offset, plain.bytes_mut(value)),
            None => *value = self.load(offset),
        }
    }

    /// Copies a value in.
    #[inline]
    pub(crate) fn store<T: Shared>(&self, offset: usize, value: &T) {
        let mut image = MaybeUninit::uninit();
        self.write(offset, stored(value, &mut image));
    }

    /// Copies values in, side by side: each is a number of whole words.
    #[inline]
    pub(crate) fn store_all<T: Shared>(&self, offset: usize, values: &[T]) {
        let words = self.words(offset, size_of_val(values) / WORD);
        if let Some(plain) = &T::PLAIN {
            return write_words(words, plain.bytes(values));
        }
        for (value, words) in values.iter().zip(words.chunks_exact(size_of::<T>() / WORD)) {
            let mut image = MaybeUninit::uninit();
            write_words(words, stored(value, &mut image));
        }
    }

    /// Copies values that lie side by side to the end of a list.
    #[inline]
    pub(crate) fn load_all<T: Shared>(&self, offset: usize, count: usize, values: &mut Vec<T>) {
        assert!(size_of::<T>().is_multiple_of(WORD), "values that end within a word");
        let words = self.words(offset, count * size_of::<T>() / WORD);
        if let Some(plain) = &T::PLAIN {
            // SAFETY: the words are as many as the values have, and so all bytes are written.
            return unsafe { plain.append(values, count, |bytes| read_words(words, bytes)) };
        }
        values.extend(words.chunks_exact(size_of::<T>() / WORD).map(loaded::<T>));
    }
}

/// Which unit of a size, a power of two, starts at an offset; where none does, a number that is larger than any: what is
/// left of a division becomes the highest bits.
#[inline(always)]
const fn unit_of<const SIZE: usize>(offset: usize) -> usize {
    const { assert!(SIZE.is_power_of_two()) };
    offset.rotate_right(SIZE.trailing_zeros())
}

/// Copies words to bytes, all of which are written; of the last word, as many as there are.
#[inline]
fn read_words(words: &[AtomicU64], bytes: &mut [MaybeUninit<u8>]) {
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

/// Copies bytes to words, the last of which is filled up with zeroes.
#[inline]
fn write_words(words: &[AtomicU64], bytes: &[u8]) {
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

/// The value in words that are as many as it has.
#[inline]
fn loaded<T: Shared>(words: &[AtomicU64]) -> T {
    let mut image = MaybeUninit::<T>::uninit();
    read_words(words, new_bytes(&mut image));
    if let Some(plain) = &T::PLAIN {
        // SAFETY: all of it was written.
        return unsafe { plain.made(image) };
    }
    // SAFETY: as large as the image, of which all was written.
    T::load(unsafe { std::slice::from_raw_parts(image.as_ptr().cast(), size_of::<T>()) })
}

/// The bytes of a value as they are stored, in a place for it if its own are others.
#[inline]
pub(crate) fn stored<'i, T: Shared>(value: &'i T, image: &'i mut MaybeUninit<T>) -> &'i [u8] {
    if let Some(plain) = &T::PLAIN {
        return plain.bytes(std::slice::from_ref(value));
    }
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
            memory.part(16, 496).write_past(8, &bytes);
            memory.read(24, &mut back);
            assert_eq!(back, bytes);
            memory.write(8, &[0xff; 504]);
            memory.write(8, &bytes);
            memory.read(8, &mut back);
            assert_eq!(back, bytes);
            let other = Memory::heap(1024);
            other.write(8, &bytes);
            other.copy(8, 520, bytes.len());
            back.fill(0);
            other.read(520, &mut back);
            assert_eq!(back, bytes);
            let behind = other.word(520 + bytes.len().next_multiple_of(WORD)).load(Ordering::Relaxed);
            assert_eq!((behind, other.word(512).load(Ordering::Relaxed)), (0, 0), "nothing beside");
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
    fn bytes_cross_wherever_they_begin() {
        let bytes: Vec<u8> = (1..=251).cycle().take(2300).collect();
        let mut back = vec![0; bytes.len() + 2];
        for (at, skew) in (WORD..=9 * WORD).step_by(WORD).flat_map(|at| (0..65).map(move |skew| (at, skew))) {
            for length in [128, 129, 191 + skew, 512 + 8 * skew, 2100] {
                let (memory, bytes) = (Memory::heap(8192), &bytes[skew..][..length]);
                memory.write(at, bytes);
                back.fill(0);
                memory.read(at, &mut back[skew + 1..][..length]);
                assert_eq!(back[skew + 1..][..length], *bytes, "{length} from {skew} to {at}");
                assert_eq!((back[skew], back[skew + 1 + length]), (0, 0), "nothing beside");
                let end = at + length.next_multiple_of(WORD);
                let words = [at - WORD, end].map(|beside| memory.word(beside).load(Ordering::Relaxed));
                assert_eq!(words, [0, 0], "nothing beside {length} at {at}");
                let other = 4096 + skew / WORD * WORD;
                memory.copy(at, other, length);
                assert!(memory.holds(other, bytes), "{length} from {at} to {other}");
            }
        }
    }

    #[test]
    fn a_place_beyond_the_end_or_across_units_is_none() {
        let memory = Memory::heap(512);
        let refuses =
            |reach: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(reach)).is_err();
        for unit in [LINE, WORD, WORD / 2] {
            let reach = |offset| match unit {
                LINE => _ = memory.line(offset),
                WORD => _ = memory.word(offset),
                _ => _ = memory.half(offset),
            };
            for offset in (0..512).step_by(unit) {
                reach(offset);
            }
            for offset in
                [1, unit - 1, unit / 2, unit + 1, 512 - unit / 2, 512, 513, 1 << 40, usize::MAX, 1 << 63]
            {
                assert!(refuses(&|| reach(offset)), "{unit} bytes at {offset}");
            }
        }
        assert_eq!(memory.words(8, 63).len() + memory.words(512, 0).len(), 63);
        for (offset, count) in
            [(16, 63), (0, 65), (512, 1), (4, 1), (520, 0), (8, usize::MAX), (usize::MAX - 7, 2)]
        {
            assert!(refuses(&|| _ = memory.words(offset, count)), "{count} words at {offset}");
        }
    }

    #[test]
    fn values_that_lie_side_by_side_cross_at_once() {
        #[derive(coseg::Shared, Clone, Copy, Debug, PartialEq)]
        #[repr(C)]
        struct Pair {
            a: u8,
            b: i32,
        }
        fn crosses<T: Shared + PartialEq + std::fmt::Debug>(values: &[T]) {
            let memory = Memory::heap(1024);
            memory.store_all(8, values);
            let mut back = vec![values[0]];
            memory.load_all(8, values.len(), &mut back);
            assert_eq!(back[1..], *values);
            assert_eq!(back[0], values[0]);
            for (index, value) in values.iter().enumerate() {
                assert_eq!(memory.load::<T>(8 + index * size_of::<T>()), *value, "{index}");
            }
            let behind = memory.word(8 + size_of_val(values)).load(Ordering::Relaxed);
            assert_eq!((behind, memory.word(0).load(Ordering::Relaxed)), (0, 0), "nothing beside");
        }
        for count in [1, 3, 16, 63] {
            crosses::<u64>(&(1..=count).collect::<Vec<_>>());
            crosses::<[f32; 4]>(&(1..=count).map(|at| [at as f32; 4]).collect::<Vec<_>>());
            crosses::<[bool; 8]>(&(1..=count).map(|at| [at % 2 == 0; 8]).collect::<Vec<_>>());
            let pairs = (1..=count).map(|at| Pair { a: 7, b: -i32::try_from(at).unwrap() });
            crosses::<Pair>(&pairs.collect::<Vec<_>>());
        }
        // What a peer made up is a value too.
        let memory = Memory::heap(64);
        memory.write(0, &[0xff; 64]);
        let mut back = Vec::new();
        memory.load_all::<[bool; 8]>(0, 8, &mut back);
        assert_eq!(back, [[true; 8]; 8]);
    }

    #[test]
    fn padding_is_zero_whatever_the_stack_held() {
        #[derive(coseg::Shared, Clone, Copy)]
        #[repr(C)]
        struct Padded {
            a: u8,
            b: u64,
        }
        assert!(Padded::PLAIN.is_none() && <[Padded; 2]>::PLAIN.is_none());
        let memory = Memory::heap(16);
        let dirty = std::hint::black_box([0xee_u8; 4096]);
        for a in 0..100 {
            memory.store(0, &std::hint::black_box(Padded { a, b: u64::from(dirty[usize::from(a)]) }));
            assert_eq!(memory.word(0).load(Ordering::Relaxed).to_ne_bytes(), [a, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}
