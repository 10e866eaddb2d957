//! What happens to segments and regions, told once.

use std::fmt;

use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::printable;
use crate::size;
use crate::view::View;

/// Something that has happened between two looks.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct Event {
    pub(crate) unix_ms: u64,
    pub(crate) kind: EventKind,
    /// The segment's.
    pub(crate) id: i32,
    pub(crate) title: String,
    /// The rest of a sentence that begins with the title.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventKind {
    /// A segment was made.
    Created,
    /// It was removed, and goes with its last attachment.
    Removed,
    /// It is no more.
    Gone,
    /// A process attached it.
    Attached,
    /// A process has detached it, or ended.
    Detached,
    /// A process joined a region.
    Joined,
    /// It is a participant no more: it left, or died and was settled between two looks.
    Left,
    /// It died without leaving.
    Died,
    /// A lock's holder died, and nobody has taken the lock since.
    Orphaned,
    /// What the dead had begun was settled.
    Recovered,
    /// Nobody seems to use the segment any more.
    Garbage,
    /// A channel was closed.
    Closed,
}

impl EventKind {
    /// Whether somebody may want to do something about it.
    pub(crate) fn is_bad(self) -> bool {
        matches!(self, EventKind::Died | EventKind::Orphaned | EventKind::Garbage)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EventKind::Created => "created",
            EventKind::Removed => "removed",
            EventKind::Gone => "gone",
            EventKind::Attached => "attached",
            EventKind::Detached => "detached",
            EventKind::Joined => "joined",
            EventKind::Left => "left",
            EventKind::Died => "died",
            EventKind::Orphaned => "orphaned",
            EventKind::Recovered => "recovered",
            EventKind::Garbage => "garbage",
            EventKind::Closed => "closed",
        })
    }
}

/// Who has made a segment, and how large.
pub(super) fn created(stat: &Stat, view: &View) -> String {
    let size = size::human(stat.size_bytes as u64);
    format!(
        "{size}, by {}, pid {}",
        printable(&view.people.user_or_number(stat.creator_uid)),
        stat.creator_pid
    )
}
