//! Whether a segment's bytes change, told from some of its pages.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::contents::Contents;
use crate::failure::Result;
use crate::image::PAGE_BYTES;

/// Pages of a segment that are compared with what they were, if there are few segments.
const PAGES_MAX: usize = 16;
/// The same of one that somebody looks at closely.
pub(super) const PAGES_MAX_CLOSE: usize = 1024;
/// Pages of all segments together, unless that is less than one of each.
const PAGES_MAX_OF_ALL: usize = 512;

/// How many pages of each of so many segments to look at. A power of two: it is to stay the same when one comes or goes.
pub(super) fn pages_max(segment_count: usize) -> usize {
    let share = (PAGES_MAX_OF_ALL / segment_count.max(1)).clamp(1, PAGES_MAX);
    1 << share.ilog2()
}

/// How many of the pages that were looked at have changed since the look before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct Activity {
    /// All pages, or some that are spread over all that were ever written.
    pub(crate) looked_page_count: usize,
    pub(crate) changed_page_count: usize,
}

/// What some pages were at the last look.
#[derive(Debug, Default)]
pub(super) struct Pages {
    at: Vec<Range<usize>>,
    bytes: Vec<u8>,
    /// Those that are not what they were the time before.
    pub(super) changed: Vec<Range<usize>>,
}

impl Pages {
    /// Looks at pages again. Others are chosen when others were written, and then the first look at them tells nothing.
    pub(super) fn look(&mut self, contents: &Contents<'_>, pages_max: usize) -> Result<Activity> {
        let at = chosen(contents, pages_max);
        let mut bytes = vec![0; at.iter().map(Range::len).sum()];
        let mut room = &mut bytes[..];
        for neighbours in at.chunk_by(|page, next| page.end == next.start) {
            let (own, rest) = room.split_at_mut(neighbours.iter().map(Range::len).sum());
            contents.read(neighbours[0].start, own)?;
            room = rest;
        }
        let mut changed = Vec::new();
        if self.at == at {
            let pages = bytes.chunks(PAGE_BYTES).zip(self.bytes.chunks(PAGE_BYTES));
            let differing = at.iter().zip(pages).filter(|(_, (now, before))| now != before);
            changed.extend(differing.map(|(page, _)| page.clone()));
        }
        let activity = Activity { looked_page_count: at.len(), changed_page_count: changed.len() };
        *self = Pages { at, bytes, changed };
        Ok(activity)
    }
}

/// Pages spread over all that were ever written; all of those if they are few.
fn chosen(contents: &Contents<'_>, most: usize) -> Vec<Range<usize>> {
    let size_bytes = contents.size_bytes();
    let extents = contents.extents();
    let whole = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let pages =
        |extent: &Range<u64>| whole(extent.start) / PAGE_BYTES..whole(extent.end).div_ceil(PAGE_BYTES);
    let count: usize = extents.ranges().iter().map(|extent| pages(extent).len()).sum();
    let step = count.div_ceil(most).max(1);
    let page = |number: usize| number * PAGE_BYTES..((number + 1) * PAGE_BYTES).min(size_bytes);
    extents.ranges().iter().flat_map(pages).step_by(step).map(page).filter(|page| !page.is_empty()).collect()
}
