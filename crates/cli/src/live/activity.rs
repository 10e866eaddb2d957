//! Whether a segment's bytes change, told from some of its pages.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::contents::Contents;
use crate::extents::Extents;
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
    /// All that had been written; none before the first look.
    written: Option<Extents>,
    at: Vec<Range<usize>>,
    bytes: Vec<u8>,
    /// Those that are not what they were the time before.
    pub(super) changed: Vec<Range<usize>>,
}

impl Pages {
    /// Looks at pages again. What has been written for the first time has changed; of others that were not looked at
    /// before nothing can be told.
    pub(super) fn look(&mut self, contents: &Contents<'_>, pages_max: usize) -> Result<Option<Activity>> {
        let extents = contents.extents();
        let at = chosen(&extents, contents.size_bytes(), pages_max);
        let mut bytes = vec![0; at.iter().map(Range::len).sum()];
        let mut room = &mut bytes[..];
        for neighbours in at.chunk_by(|page, next| page.end == next.start) {
            let (own, rest) = room.split_at_mut(neighbours.iter().map(Range::len).sum());
            contents.read(neighbours[0].start, own)?;
            room = rest;
        }
        let (mut looked_page_count, mut changed) = (0, Vec::new());
        for (page, now) in at.iter().zip(bytes.chunks(PAGE_BYTES)) {
            let has_changed = match self.before(page) {
                Some(before) => before != now,
                None if self.is_first_written(page) => true,
                None => continue,
            };
            looked_page_count += 1;
            changed.extend(has_changed.then(|| page.clone()));
        }
        let tells = looked_page_count > 0 || at.is_empty();
        let activity = Activity { looked_page_count, changed_page_count: changed.len() };
        *self = Pages { written: Some(extents), at, bytes, changed };
        Ok(tells.then_some(activity))
    }

    /// What a page was, if it was looked at.
    fn before(&self, page: &Range<usize>) -> Option<&[u8]> {
        let index = self.at.binary_search_by_key(&page.start, |page| page.start).ok()?;
        self.bytes.chunks(PAGE_BYTES).nth(index)
    }

    fn is_first_written(&self, page: &Range<usize>) -> bool {
        let bytes = page.start as u64..page.end as u64;
        self.written.as_ref().is_some_and(|written| !written.touch(&bytes))
    }
}

/// Pages spread over all that were ever written; all of those if they are few. Mostly the same when more are written.
fn chosen(extents: &Extents, size_bytes: usize, most: usize) -> Vec<Range<usize>> {
    let whole = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let pages =
        |extent: &Range<u64>| whole(extent.start) / PAGE_BYTES..whole(extent.end).div_ceil(PAGE_BYTES);
    let count: usize = extents.ranges().iter().map(|extent| pages(extent).len()).sum();
    let step = count.div_ceil(most).max(1).next_power_of_two();
    let page = |number: usize| number * PAGE_BYTES..((number + 1) * PAGE_BYTES).min(size_bytes);
    let all = || extents.ranges().iter().flat_map(pages).filter(|&number| !page(number).is_empty());
    let round: Vec<_> = all().filter(|number| number % step == 0).take(most).map(page).collect();
    // None of those that are far from one another may have such a number.
    if round.is_empty() { all().step_by(step).map(page).collect() } else { round }
}
