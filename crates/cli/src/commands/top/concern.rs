//! What there is to worry about in a segment.

use crate::commands::gc::judge::Verdict;
use crate::live::SegmentLook;

/// How much of a worry, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Told,
    Warn,
    Bad,
}

/// A worry in a word or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Concern {
    pub(super) level: Level,
    pub(super) text: String,
}

/// All that there is, the gravest first.
pub(super) fn concerns(segment: &SegmentLook) -> Vec<Concern> {
    let mut found = Vec::new();
    let mut add = |level, text: String| found.push(Concern { level, text });
    if segment.verdict == Verdict::Garbage {
        add(Level::Bad, "garbage".to_owned());
    }
    if let Some(inside) = &segment.inside {
        match inside.orphaned_locks().count() {
            0 => {}
            1 => add(Level::Bad, "orphaned lock".to_owned()),
            count => add(Level::Bad, format!("{count} orphaned locks")),
        }
        match inside.dead_count() {
            0 => {}
            count => add(Level::Warn, format!("{count} dead")),
        }
    }
    if segment.stat.removed {
        add(Level::Warn, "removed".to_owned());
    }
    if segment.verdict == Verdict::Unsure {
        add(Level::Told, "unsure".to_owned());
    }
    if segment.stat.locked {
        add(Level::Told, "locked".to_owned());
    }
    found
}

/// How much of a worry a segment is; none is the least.
pub(super) fn level(segment: &SegmentLook) -> Option<Level> {
    concerns(segment).first().map(|concern| concern.level)
}
