//! Regions beside the C library's locks and other libraries that share values between processes.

mod bare;
mod contender;
mod iceoryx;
mod job;
mod mmap_sync;
mod ours;
mod rows;

use self::bare::Page;
use self::contender::Ground;
use crate::Outcome;
use crate::duel::{self, Style, Terms};
use crate::table::Report;

const STYLE: Style = Style {
    notes: &[
        "Every copy of a value is checked to be of one write, every sum of increments to be complete; where ours fails, it has no figure.",
        "mmap-sync's writer looks at waiting readers without the second's sleep that is its default. iceoryx2 and \
     mmap-sync allow one writer, ours any number, each exclusive.",
    ],
    length: 4,
};

/// Measures everything there is about regions.
pub(crate) fn run(terms: Terms<'_>) -> Outcome<Report> {
    let prepare = |backend, directory| Ok(Ground { page: Page::new()?, backend, directory });
    duel::run(terms, STYLE, prepare, rows::all)
}
