//! Where there are no wide copies, all is left to be copied word by word.

use std::mem::MaybeUninit;

use crate::sync::AtomicU64;

pub(super) fn read_blocks<'w, 'b>(
    words: &'w [AtomicU64],
    bytes: &'b mut [MaybeUninit<u8>],
) -> (&'w [AtomicU64], &'b mut [MaybeUninit<u8>]) {
    (words, bytes)
}

pub(super) fn write_blocks<'w, 'b>(words: &'w [AtomicU64], bytes: &'b [u8]) -> (&'w [AtomicU64], &'b [u8]) {
    (words, bytes)
}

pub(super) fn copy_blocks<'f, 't>(
    from: &'f [AtomicU64],
    to: &'t [AtomicU64],
) -> (&'f [AtomicU64], &'t [AtomicU64]) {
    (from, to)
}

pub(super) use write_blocks as write_lines_past;

pub(super) const fn is_faster_past() -> bool {
    false
}
