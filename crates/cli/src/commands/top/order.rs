//! Which segments are shown, and in what order.

use std::cmp::{Ordering, Reverse};

use clap::ValueEnum;

use super::concern;
use crate::commands::gc::judge::Verdict;
use crate::live::SegmentLook;
use crate::regions::Mark;

/// A column to sort by: what is most, gravest or newest comes first; names and ids, from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    Id,
    Name,
    Owner,
    Size,
    Resident,
    Attached,
    Activity,
    Status,
    Age,
}

/// What is asked for of all the segments.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) sort: Sort,
    pub(super) reverse: bool,
    /// Part of a title, key, owner, command or type.
    pub(super) filter: String,
    pub(super) garbage_only: bool,
}

impl Sort {
    /// The column that shows it.
    pub(super) fn column(self) -> &'static str {
        match self {
            Sort::Id => "ID",
            Sort::Name => "SEGMENT",
            Sort::Owner => "OWNER",
            Sort::Size => "SIZE",
            Sort::Resident => "RESIDENT",
            Sort::Attached => "ATTACHED-BY",
            Sort::Activity => "ACTIVITY",
            Sort::Status => "STATUS",
            Sort::Age => "AGE",
        }
    }

    /// The one so many places further, round and round.
    pub(super) fn step(self, forward: bool) -> Sort {
        let all = Sort::value_variants();
        let here = all.iter().position(|&sort| sort == self).unwrap_or(0);
        all[(here + if forward { 1 } else { all.len() - 1 }) % all.len()]
    }

    fn compare(self, a: &SegmentLook, b: &SegmentLook) -> Ordering {
        let owner = |segment: &SegmentLook| (segment.record.user.clone(), segment.record.uid);
        let most = |number: fn(&SegmentLook) -> u64| Reverse(number(a)).cmp(&Reverse(number(b)));
        match self {
            Sort::Id => a.record.id.cmp(&b.record.id),
            Sort::Name => a.title.cmp(&b.title),
            Sort::Owner => owner(a).cmp(&owner(b)),
            Sort::Size => most(|segment| segment.record.size_bytes as u64),
            Sort::Resident => most(|segment| segment.record.resident_bytes),
            Sort::Attached => most(|segment| segment.record.attachment_count),
            Sort::Activity => most(|segment| changed_per_mille(segment).unwrap_or(0)),
            Sort::Status => concern::level(b).cmp(&concern::level(a)),
            Sort::Age => b.record.change_time.cmp(&a.record.change_time),
        }
    }
}

/// How many of the pages that were looked at have changed, of a thousand; some is more than none.
pub(super) fn changed_per_mille(segment: &SegmentLook) -> Option<u64> {
    let activity = segment.activity?;
    let (changed, looked) = (activity.changed_page_count as u64, activity.looked_page_count as u64);
    Some(if changed == 0 { 0 } else { (changed * 1000 / looked.max(1)).clamp(1, 1000) })
}

impl Order {
    pub(super) fn apply<'a>(&self, segments: &'a [SegmentLook]) -> Vec<&'a SegmentLook> {
        let mut rows: Vec<&SegmentLook> = segments.iter().filter(|segment| self.accepts(segment)).collect();
        rows.sort_by(|a, b| {
            let order = self.sort.compare(a, b);
            let order = if self.reverse { order.reverse() } else { order };
            order.then_with(|| a.record.id.cmp(&b.record.id))
        });
        rows
    }

    pub(super) fn is_everything(&self) -> bool {
        self.filter.is_empty() && !self.garbage_only
    }

    fn accepts(&self, segment: &SegmentLook) -> bool {
        if self.garbage_only && segment.verdict != Verdict::Garbage {
            return false;
        }
        let sought = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&sought);
        let record = &segment.record;
        // As it is shown, and as people write it.
        let has_key = || {
            has(&record.key_hex) || has(&format!("{:#x}", record.key)) || has(&format!("id:{}", record.id))
        };
        let is_of_type =
            || matches!(&record.region, Some(Mark::Region(label)) if has(&label.of) || has(&label.name));
        sought.is_empty()
            || has(&segment.title)
            || has_key()
            || record.user.as_deref().map_or_else(|| has(&record.uid.to_string()), has)
            || record.attached.iter().flatten().any(|holder| holder.command.as_deref().is_some_and(has))
            || is_of_type()
    }
}
