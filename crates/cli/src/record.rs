//! A segment as JSON: the field names are a promise.

use coseg_sysv::Listed;
use schemars::JsonSchema;
use serde::Serialize;

use crate::backend::Facility;
use crate::opened;
use crate::people::People;
use crate::regions::Mark;
use crate::who::{Holder, Who};

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Record {
    pub(crate) id: i32,
    pub(crate) key: i32,
    pub(crate) key_hex: String,
    pub(crate) size_bytes: usize,
    pub(crate) resident_bytes: u64,
    pub(crate) swapped_bytes: u64,
    pub(crate) mode: u32,
    pub(crate) mode_octal: String,
    pub(crate) uid: u32,
    pub(crate) user: Option<String>,
    pub(crate) gid: u32,
    pub(crate) group: Option<String>,
    pub(crate) creator_uid: u32,
    pub(crate) creator_gid: u32,
    pub(crate) creator_pid: i32,
    pub(crate) last_pid: i32,
    pub(crate) removed: bool,
    pub(crate) locked: bool,
    pub(crate) attachment_count: u64,
    /// Seconds since 1970, null for never; as the next two.
    pub(crate) attach_time: Option<i64>,
    pub(crate) detach_time: Option<i64>,
    pub(crate) change_time: Option<i64>,
    /// Null where nobody looked: `--no-who`.
    pub(crate) attached: Option<Vec<Holder>>,
    pub(crate) hidden_count: Option<u64>,
    /// Absent where nobody looked, null for what is no region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<Mark>,
}

impl Record {
    /// The owner's name, else number.
    pub(crate) fn owner(&self) -> String {
        self.user.clone().unwrap_or_else(|| self.uid.to_string())
    }

    /// With what is known of its contents.
    #[must_use]
    pub(crate) fn marked(mut self, mark: Option<Mark>) -> Record {
        self.region = mark;
        self
    }

    pub(crate) fn new(listed: &Listed, who: Option<&Who>, people: &People) -> Record {
        let stat = &listed.stat;
        let time = |seconds: i64| (seconds != 0).then_some(seconds);
        Record {
            id: stat.id.raw(),
            key: stat.key.raw(),
            key_hex: stat.key.to_string(),
            size_bytes: stat.size_bytes,
            resident_bytes: listed.resident_bytes,
            swapped_bytes: listed.swapped_bytes,
            mode: stat.mode.bits(),
            mode_octal: stat.mode.to_string(),
            uid: stat.uid,
            user: people.user(stat.uid),
            gid: stat.gid,
            group: people.group(stat.gid),
            creator_uid: stat.creator_uid,
            creator_gid: stat.creator_gid,
            creator_pid: stat.creator_pid,
            last_pid: stat.last_pid,
            removed: stat.removed,
            locked: stat.locked,
            attachment_count: stat.attachment_count,
            attach_time: time(stat.attach_time),
            detach_time: time(stat.detach_time),
            change_time: time(stat.change_time),
            attached: who.map(|who| who.of(stat.id).to_vec()),
            hidden_count: who.map(|who| who.hidden(stat)),
            region: None,
        }
    }
}

/// What every document about segments begins with.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Origin {
    pub(crate) backend: &'static str,
    pub(crate) backend_is_fallback: bool,
    /// The dump's, of `coseg open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<&'static str>,
}

impl Origin {
    pub(crate) fn of(facility: &Facility) -> Origin {
        let file = opened::get().map(|opened| &*opened.name);
        Origin { backend: facility.origin(), backend_is_fallback: facility.is_fallback, file }
    }
}
