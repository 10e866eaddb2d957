//! What is known of a segment that may be garbage.

use std::cell::OnceCell;

use coseg::{Label, Peek};
use coseg_sysv::{Stat, caller};
use schemars::JsonSchema;
use serde::Serialize;

use super::judge::Rules;
use crate::contents::sources;
use crate::failure::Result;
use crate::namespaces;
use crate::process::{self, Fate};
use crate::regions;
use crate::time;
use crate::view::{View, named};

/// The evidence, of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) stat: Stat,
    pub(crate) creator: Past,
    pub(crate) last_user: Past,
    /// Seconds since it was last created, changed, attached or detached.
    pub(crate) age: i64,
    pub(crate) contents: Contents,
    /// Whether the caller has the right to remove it.
    pub(crate) is_ours: bool,
}

/// Whether a pid that nobody has here is nobody's: asked of all processes once, and true of that moment.
#[derive(Debug, Default)]
pub(crate) struct Pids {
    not_shared: bool,
    known: OnceCell<bool>,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Past {
    /// There was none.
    Nobody,
    Alive,
    Gone,
    /// Gone, and its number is another's, who started later.
    Reused,
    /// Its number means nothing here.
    Unknown,
}

/// What the segment's bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    Region(Label),
    PostgreSql,
    Plain,
    /// Nobody could look without attaching.
    Unseen,
}

/// What PostgreSQL's shared memory begins with; its own size follows.
const POSTGRESQL_MAGIC: u32 = 679_834_894;

/// Keys of the time sources of ntpd, chrony and gpsd: `NTP0` and on.
const NTP_KEYS: std::ops::RangeInclusive<u32> = 0x4e54_5030..=0x4e54_512f;

impl Facts {
    /// Without attaching it.
    pub(crate) fn of(stat: &Stat, view: &View, pids: &Pids) -> Facts {
        let euid = caller::effective_uid();
        let used = stat.attach_time.max(stat.detach_time);
        let past = |pid, seen, was_there| match Past::of(pid, seen, was_there) {
            Past::Gone | Past::Reused if !pids.are_known(view) => Past::Unknown,
            past => past,
        };
        Facts {
            stat: *stat,
            creator: past(stat.creator_pid, stat.change_time, true),
            last_user: past(stat.last_pid, used, used != 0),
            age: time::now() - used.max(stat.change_time),
            contents: contents(view, stat),
            is_ours: euid == 0 || euid == stat.uid || euid == stat.creator_uid,
        }
    }

    /// The name as a region, where it is known.
    pub(crate) fn region_name(&self) -> Option<Option<&str>> {
        match &self.contents {
            Contents::Region(label) => Some(Some(&label.name)),
            Contents::PostgreSql | Contents::Plain => Some(None),
            Contents::Unseen => None,
        }
    }

    /// Whose it is, where that is known of such segments, and what he does with it.
    pub(crate) fn known_owner(&self) -> Option<String> {
        let bits = self.stat.key.bits();
        if self.contents == Contents::PostgreSql {
            Some("PostgreSQL: the server takes it away itself when it starts again".to_owned())
        } else if NTP_KEYS.contains(&bits) {
            let unit = bits - NTP_KEYS.start();
            Some(format!("NTP time source {unit}: ntpd, chronyd and gpsd meet by this key"))
        } else {
            None
        }
    }
}

impl Pids {
    /// Of whoever may have said that nobody in a PID namespace that is not seen from here uses the same segments.
    pub(super) fn of(rules: &Rules) -> Pids {
        Pids { not_shared: rules.not_shared, known: OnceCell::new() }
    }

    /// The kernel tells pids as they are here; the user backend keeps them as their processes saw them, and one of
    /// another PID namespace is not gone because nobody has its number here. Others' namespaces are seen from the
    /// first one only.
    fn are_known(&self, view: &View) -> bool {
        *self.known.get_or_init(|| {
            let Some(user) = &view.facility.user else { return true };
            let sees_all = self.not_shared || namespaces::sees_all_pids();
            sees_all && !process::is_open_in_other_pid_namespace(&user.directory().join("registry"))
        })
    }
}

impl Past {
    fn of(pid: i32, seen: i64, was_there: bool) -> Past {
        match process::fate(pid, seen) {
            Fate::None if was_there => Past::Unknown,
            Fate::None => Past::Nobody,
            Fate::Gone => Past::Gone,
            Fate::Reused => Past::Reused,
            Fate::Alive => Past::Alive,
        }
    }

    /// For a column: `1234:gone`
    pub(crate) fn word(self, pid: i32) -> String {
        match self {
            Past::Nobody => String::new(),
            Past::Unknown => "?".to_owned(),
            past => format!("{pid}:{past:?}").to_lowercase(),
        }
    }
}

/// What is seen without attaching.
fn contents(view: &View, stat: &Stat) -> Contents {
    let looks = sources(view, stat).map(|source| told(stat, |offset, bytes| source.read(offset, bytes)));
    looks.into_iter().find(|look| *look != Contents::Unseen).unwrap_or(Contents::Unseen)
}

/// What is seen by attaching, which changes the segment's times.
pub(crate) fn look_inside(view: &View, stat: &Stat) -> Result<Contents> {
    regions::refuse_destruction(view, stat)?;
    let memory = view.segment(stat).attach_read_only().map_err(named(stat))?;
    let read = |offset: u64, bytes: &mut [u8]| {
        usize::try_from(offset).is_ok_and(|offset| memory.read(offset, bytes).is_ok())
    };
    let contents = told(stat, read);
    memory.detach().map_err(named(stat))?;
    Ok(contents)
}

fn told(stat: &Stat, read: impl Fn(u64, &mut [u8]) -> bool) -> Contents {
    let mut head = [0; 16];
    let length = head.len().min(stat.size_bytes);
    if !read(0, &mut head[..length]) {
        return Contents::Unseen;
    }
    if is_postgresql(&head, stat.size_bytes) {
        return Contents::PostgreSql;
    }
    if stat.size_bytes < Label::BYTES_MIN {
        return Contents::Plain;
    }
    match Label::peek(read) {
        Peek::Region(label) => Contents::Region(label),
        Peek::Plain => Contents::Plain,
        Peek::Unknown => Contents::Unseen,
    }
}

/// Its `PGShmemHeader`: magic, pid of the creator, size of the whole.
fn is_postgresql(head: &[u8; 16], size_bytes: usize) -> bool {
    let magic = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
    let size = head.last_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    magic == POSTGRESQL_MAGIC && size == size_bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresql_is_known_by_its_header() {
        let mut head = [0; 16];
        head[..4].copy_from_slice(&POSTGRESQL_MAGIC.to_ne_bytes());
        head[8..].copy_from_slice(&56_u64.to_ne_bytes());
        assert!(is_postgresql(&head, 56));
        assert!(!is_postgresql(&head, 57), "a number that happens to be there");
        assert!(!is_postgresql(&[0; 16], 0));
    }

    #[test]
    fn a_pid_that_was_given_to_another_is_not_alive() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Past::of(pid, time::now(), true), Past::Alive);
        // This process started long after that moment, so it cannot be the one that was seen.
        assert_eq!(Past::of(pid, 1_000_000, true), Past::Reused);
        assert_eq!((Past::of(0, 5, true), Past::of(0, 0, false)), (Past::Unknown, Past::Nobody));
        assert_eq!((Past::Gone.word(7), Past::Nobody.word(0)), ("7:gone".to_owned(), String::new()));
    }
}
