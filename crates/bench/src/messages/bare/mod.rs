//! Limits: shared words without any care for crashes, for types, or for who else is there. One per row: of several
//! ways, the one that was fastest.
#![allow(unsafe_code, reason = "messages in plain memory that two processes share")]

mod chunks;
mod copy;
mod crowd;
mod ring;
mod slots;
mod words;

use super::course::{Course, Kind, Means, Shape, Waits};
use super::pair::{Page, Prepared};
use crate::Outcome;
use crate::calls::Zeroes;

// SAFETY: it is made of atomic numbers.
unsafe impl Zeroes for Page {}

/// Something in a line of its own, and not in the pair of lines that a core fetches together with another.
#[repr(C, align(128))]
struct Line<T>(T);

/// The words alone, with a number for a message: what no channel can be faster than.
pub(super) fn floor(course: Course) -> Outcome<Prepared> {
    match course.waits {
        Waits::Spinning => words::spinning(course),
        Waits::Sleeping => words::sleeping(course),
    }
}

/// The fastest ring for a course, between cores that share a cache.
pub(super) fn ring<const N: usize>(course: Course) -> Outcome<Prepared> {
    match course {
        Course { means: Means::Loan, .. } | Course { kind: Kind::Broadcast, .. } => {
            Err("no such ring".into())
        }
        Course { kind: Kind::Queue, .. } => crowd::prepare::<N>(course),
        Course { size_bytes, .. } if size_bytes > LARGE_BYTES => chunks::near::<N>(course),
        Course { shape: Shape::RoundTrip, .. } => slots::few::<N>(course),
        Course { shape: Shape::OneWay { batch: 1 }, size_bytes: 8 | 64, .. } => slots::many::<N>(course),
        _ => ring::near::<N>(course),
    }
}

/// The fastest between cores that share none, for what takes long to copy.
pub(super) fn far_ring<const N: usize>(course: Course) -> Outcome<Prepared> {
    if course.size_bytes > LARGE_BYTES { chunks::far::<N>(course) } else { ring::far::<N>(course) }
}

const LARGE_BYTES: usize = 1 << 20;
