//! Who is attached: every mapping with the name of its process, and how many are out of sight.

use std::collections::HashMap;

use coseg_sysv::{Backend, ShmId, Stat};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Result;
use crate::namespaces;
use crate::people::People;
use crate::process;

/// One mapping of one process.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    pub(crate) command: Option<String>,
    pub(crate) uid: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) read_only: bool,
    pub(crate) address: usize,
    pub(crate) address_hex: String,
    pub(crate) size_bytes: usize,
    pub(crate) offset_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Who {
    holders: HashMap<ShmId, Vec<Holder>>,
}

impl Who {
    pub(crate) fn look(backend: &dyn Backend, people: &People) -> Result<Who> {
        let mut who = Who::default();
        // One process may hold many segments: ask for its name once.
        let mut last: Option<(i32, Option<String>, Option<u32>)> = None;
        for found in backend.attachers()?.found {
            let (command, uid) = match &last {
                Some((pid, command, uid)) if *pid == found.pid => (command.clone(), *uid),
                _ => (process::command(found.pid), process::uid(found.pid)),
            };
            last = Some((found.pid, command.clone(), uid));
            who.holders.entry(found.id).or_default().push(Holder {
                pid: found.pid,
                command,
                uid,
                user: uid.and_then(|uid| people.user(uid)),
                read_only: !found.writable,
                address: found.address,
                address_hex: format!("{:#x}", found.address),
                size_bytes: found.size_bytes,
                offset_bytes: found.offset_bytes,
            });
        }
        Ok(who)
    }

    pub(crate) fn of(&self, id: ShmId) -> &[Holder] {
        self.holders.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn holds(&self, pid: i32, id: ShmId) -> bool {
        self.of(id).iter().any(|holder| holder.pid == pid)
    }

    /// Attachments that /proc does not show us: those counted less those seen.
    pub(crate) fn hidden(&self, stat: &Stat) -> u64 {
        stat.attachment_count.saturating_sub(self.of(stat.id).len() as u64)
    }

    /// Who is attached, in words.
    pub(crate) fn sentence(&self, stat: &Stat) -> String {
        sentence(self.of(stat.id), self.hidden(stat))
    }
}

/// `1234 postgres, 1240 psql ro, +2 hidden`; a process with several mappings is named once.
pub(crate) fn sentence(holders: &[Holder], hidden: u64) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (index, holder) in holders.iter().enumerate() {
        if holders[..index].iter().any(|earlier| earlier.pid == holder.pid) {
            continue;
        }
        let same = || holders.iter().filter(|other| other.pid == holder.pid);
        let mut part = format!("{} {}", holder.pid, holder.command.as_deref().unwrap_or("?"));
        if same().all(|holder| holder.read_only) {
            part.push_str(" ro");
        }
        if same().count() > 1 {
            part.push_str(&format!(" x{}", same().count()));
        }
        parts.push(part);
    }
    if hidden > 0 {
        parts.push(format!("+{hidden} hidden"));
    }
    parts.join(", ")
}

/// Why attachments are hidden, and what shows them.
pub(crate) fn hidden_note(hidden: u64) -> Option<String> {
    if hidden == 0 {
        return None;
    }
    let attachers = crate::output::count(hidden, "attacher", "attachers");
    Some(format!("{attachers} hidden; {}", shown_by()))
}

/// Where the hidden are, and what would show them.
fn shown_by() -> &'static str {
    if coseg_sysv::caller::effective_uid() != 0 {
        "run as root"
    } else if namespaces::sees_all_pids() {
        "they have left this IPC namespace since, or are gone by now"
    } else {
        "in another PID namespace: run in the host's; or gone by now"
    }
}
