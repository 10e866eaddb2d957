//! Copies of words by the processor's widest loads and stores: what the compiler makes of a loop over atomics takes
//! four times as long. To other processes a copy by a loop is as before: each word whole, and in no order. A string move
//! promises not even that: who reads so much and needs it of one moment looks at a version afterwards. Some words are copied
//! twice.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{__cpuid, __m256i, _mm_sfence};
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use super::WORD;
use crate::sync::AtomicU64;

/// Bytes that one turn of the loop copies.
const BLOCK: usize = 64;
/// Fewer bytes are copied as fast word by word.
const LEAST: usize = 128;
/// Blocks that the registers hold: so many are all loaded before any is stored, so that no load waits for a store that it
/// might depend on. Twice as many are copied as fast by a loop, and go back and forth faster so.
const REGISTERS: usize = 8;
/// Fewer blocks are copied as fast by a loop, or faster: a string move takes its time to begin.
const STRING: usize = 32;

/// Copies so many blocks.
type Inner = unsafe fn(*mut u8, *const u8, usize);

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
    let (to, from) = (to.as_mut_ptr().cast(), from.as_ptr().cast());
    if is_faster_as_string(count) {
        // SAFETY: both have `count` blocks, at least two; the words are atomics, which may be read while others write them,
        // and no bytes that are lent to be written.
        unsafe { copy(move_string, to, from, count) };
    } else if (REGISTERS..2 * REGISTERS).contains(&count) && is_x86_feature_detected!("avx") {
        // SAFETY: as above; there are so many, and the processor has what it takes.
        unsafe { load_all_then_store(to, from, count) };
    } else {
        // SAFETY: as above.
        unsafe { copy(loop_over, to, from, count) };
    }
    (rest, tail)
}

/// Copies most of `bytes` to `words`; what is left of both.
#[inline]
pub(super) fn write_blocks<'w, 'b>(words: &'w [AtomicU64], bytes: &'b [u8]) -> (&'w [AtomicU64], &'b [u8]) {
    let count = bytes.len() / BLOCK;
    if bytes.len() < LEAST {
        return (words, bytes);
    }
    let (to, rest) = words.split_at(count * BLOCK / WORD);
    let (from, tail) = bytes.split_at(count * BLOCK);
    // SAFETY: both have `count` blocks, at least two; the words are atomics, which may be written through a shared reference,
    // and no bytes that are lent as if nobody wrote them.
    unsafe { copy(loop_over, to.as_ptr().cast_mut().cast(), from.as_ptr(), count) };
    (rest, tail)
}

/// Copies most of the words `from` to as many, `to`, which are others; what is left of both.
#[inline]
pub(super) fn copy_blocks<'f, 't>(
    from: &'f [AtomicU64],
    to: &'t [AtomicU64],
) -> (&'f [AtomicU64], &'t [AtomicU64]) {
    let count = from.len() * WORD / BLOCK;
    if from.len() * WORD < LEAST {
        return (from, to);
    }
    let (from, rest) = from.split_at(count * BLOCK / WORD);
    let (to, tail) = to.split_at(count * BLOCK / WORD);
    let (one, other) = (from.as_ptr_range(), to.as_ptr_range());
    assert!(one.end <= other.start || other.end <= one.start, "a copy over itself");
    // SAFETY: both have `count` blocks, at least two, and do not overlap; they are atomics, which may be read while others write them,
    // and written through a shared reference.
    unsafe { copy(loop_over, to.as_ptr().cast_mut().cast(), from.as_ptr().cast(), count) };
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

/// Whether a string move reads so many blocks faster than a loop: Intel's processors ask for more lines at a time in one,
/// a quarter more of what another core has written gets through. AMD's take up to ten times as long where both places lie
/// alike in their pages, as large buffers and shared memory do.
fn is_faster_as_string(count: usize) -> bool {
    count >= STRING && is_intel()
}

/// Whether what another core reads next had better not stay in this one's cache: not on Intel's processors, whose cores share
/// one, and hand on what is there a third faster. On AMD's, whose cores may share none, it is twice as fast.
pub(super) fn is_faster_past() -> bool {
    !is_intel()
}

fn is_intel() -> bool {
    const UNKNOWN: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    match KNOWN.load(Relaxed) {
        UNKNOWN => {
            // To a virtual machine it is a call of its host.
            let is_intel = __cpuid(0).ebx.to_ne_bytes() == *b"Genu";
            KNOWN.store(u8::from(is_intel), Relaxed);
            is_intel
        }
        known => known == 1,
    }
}

/// Copies so that whole lines are written, where words lie as words do: of the blocks at both ends, some bytes are copied
/// twice.
///
/// # Safety
/// `count` blocks can be read at `from` and written at `to`, and do not overlap; each of them may be atomics that
/// other threads use at the same time. `count` is not less than 2. `inner` asks for no more than that.
#[inline(always)]
unsafe fn copy(inner: Inner, to: *mut u8, from: *const u8, count: usize) {
    const { assert!(LEAST >= 2 * BLOCK) };
    let ahead = to_next_line(to.addr());
    if ahead == 0 {
        // SAFETY: as the caller promises.
        return unsafe { inner(to, from, count) };
    }
    let part = |inner: Inner, first: usize, count: usize| {
        // SAFETY: it begins in the first block, or with the last.
        let to = unsafe { to.add(first) };
        // SAFETY: as above.
        let from = unsafe { from.add(first) };
        // SAFETY: as the caller promises: it ends where all of it ends, or before.
        unsafe { inner(to, from, count) };
    };
    part(loop_over, 0, 1);
    part(inner, ahead, count - 1);
    part(loop_over, (count - 1) * BLOCK, 1);
}

/// Bytes to the next line, less what would take words apart.
fn to_next_line(address: usize) -> usize {
    address.wrapping_neg() % BLOCK / WORD * WORD
}

/// # Safety
/// As for [`copy`], of at least one block.
unsafe fn move_string(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: as the caller promises. In which pieces it is moved, nobody promises: whoever reads what may change meanwhile
    // looks at a version afterwards, and here as in a loop finds no mixture that it takes for a value.
    unsafe {
        std::arch::asm!(
            "rep movsq",
            inout("rcx") count * BLOCK / WORD => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// As for [`copy`], of at least one block.
#[inline]
unsafe fn loop_over(to: *mut u8, from: *const u8, count: usize) {
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

/// # Safety
/// As for [`loop_over`], of at least [`REGISTERS`] blocks. The processor has AVX, and the system keeps its registers. Those
/// load and store words whole too.
#[target_feature(enable = "avx")]
unsafe fn load_all_then_store(to: *mut u8, from: *const u8, count: usize) {
    const { assert!(REGISTERS * BLOCK == 16 * size_of::<__m256i>()) };
    macro_rules! through {
        ($($register:tt at $offset:literal),*) => {
            std::arch::asm!(
                $(concat!("vmovdqu ", $register, ", [{from} + ", $offset, "]"),)*
                $(concat!("vmovdqu [{to} + ", $offset, "], ", $register),)*
                "vzeroupper",
                from = in(reg) from,
                to = in(reg) to,
                $(out($register) _,)*
                options(nostack, preserves_flags),
            )
        };
    }
    // SAFETY: as the caller promises, for so many.
    unsafe {
        through!(
            "ymm0" at 0, "ymm1" at 32, "ymm2" at 64, "ymm3" at 96, "ymm4" at 128, "ymm5" at 160, "ymm6" at 192,
            "ymm7" at 224, "ymm8" at 256, "ymm9" at 288, "ymm10" at 320, "ymm11" at 352, "ymm12" at 384,
            "ymm13" at 416, "ymm14" at 448, "ymm15" at 480
        );
    }
    if count > REGISTERS {
        let first = REGISTERS * BLOCK;
        // SAFETY: there are more blocks than that.
        let to = unsafe { to.add(first) };
        // SAFETY: as above.
        let from = unsafe { from.add(first) };
        // SAFETY: as many as are left.
        unsafe { loop_over(to, from, count - REGISTERS) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_where_they_can() {
        for address in 0..3 * BLOCK {
            let ahead = to_next_line(address);
            assert!(ahead < BLOCK && ahead.is_multiple_of(WORD), "{ahead} from {address}");
            let beyond = (address + ahead) % BLOCK;
            assert!(beyond == 0 || beyond > BLOCK - WORD, "{address}");
        }
    }
}
