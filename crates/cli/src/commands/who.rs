//! `coseg who`: every attachment, with its process, its container and its namespace.

use std::process::ExitCode;

use clap::Args;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::container::Home;
use crate::failure::{NOTHING, Result};
use crate::namespaces;
use crate::output::{self, printable};
use crate::process;
use crate::record::Origin;
use crate::regions::{self, Mark};
use crate::selector::Selector;
use crate::size;
use crate::table::{Align, Table};
use crate::view::{View, title};
use crate::who::{Holder, hidden_note};

const EXAMPLES: &str = "\
Examples:
  coseg who                      the attachments of all segments
  coseg who 0x4242
  ID    PID  COMMAND  USER  ACCESS  SIZE  PLACE  IPC          PARTICIPANT
   0  28278  coseg    root  rw      4KiB         4026532179*
  coseg who pid:1234             all that a process is attached to, and with whom
  coseg who name:market --json | jq -r '.segments[].attached[].pid'
  coseg who 0x4242 >/dev/null && echo in use

PLACE: the container, else the unit of systemd. IPC: the IPC namespace's number; * is ours. PARTICIPANT: a \
region's name for the process, and its slot; to tell it, a region that somebody is attached to is attached \
for reading, for a moment. A process is named once for each mapping.
Exit codes: 0 somebody is attached, 1 nobody is or no such segment, 2 usage or error.";

/// Show who is attached: process, user, access, container and namespace
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WhoArgs {
    /// Only the attachers of these segments
    #[arg(value_name = "SEGMENT")]
    selectors: Vec<Selector>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    /// That of the caller.
    ipc_namespace: Option<u64>,
    segments: Vec<Segment>,
    hidden_count: u64,
    /// Why they are hidden, and what would show them.
    hidden_note: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Segment {
    id: i32,
    key: i32,
    key_hex: String,
    size_bytes: usize,
    removed: bool,
    attachment_count: u64,
    hidden_count: u64,
    region: Mark,
    attached: Vec<Attacher>,
    #[serde(skip)]
    title: String,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Attacher {
    #[serde(flatten)]
    holder: Holder,
    #[serde(flatten)]
    home: Home,
    ipc_namespace: Option<u64>,
    ipc_namespace_is_ours: Option<bool>,
    /// What the process is to the region; empty for what is no region.
    participants: Vec<Member>,
}

/// A process's place in a region.
#[derive(Clone, Debug, JsonSchema, Serialize)]
struct Member {
    name: String,
    slot: usize,
    generation: u32,
    #[serde(skip)]
    process: (u64, u32),
}

pub(crate) fn run(args: &WhoArgs, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let (chosen, code) = super::each_once(&args.selectors, &view)?;
    if chosen.is_empty() && !args.selectors.is_empty() {
        return Ok(code);
    }
    // Before any region is looked into: then we would be attached too.
    view.who()?;
    let segments = chosen.iter().map(|listed| segment(&listed.stat, &view)).collect::<Result<Vec<_>>>()?;
    let hidden_count = segments.iter().map(|segment| segment.hidden_count).sum();
    let is_anybody = segments.iter().any(|segment| !segment.attached.is_empty()) || hidden_count > 0;
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            ipc_namespace: namespaces::own(),
            segments,
            hidden_count,
            hidden_note: hidden_note(hidden_count),
        })?;
    } else {
        output::print(&table(&segments, global.bytes, &view))?;
        for segment in &segments {
            if let Some(note) = hidden_note(segment.hidden_count) {
                output::note(&format!("{}: {note}", segment.title));
            }
        }
        if !is_anybody {
            output::note(&nobody(&segments, &view));
        }
    }
    Ok(if is_anybody { code } else { ExitCode::from(NOTHING) })
}

fn nobody(segments: &[Segment], view: &View) -> String {
    let name = view.facility.name();
    match segments {
        [] => format!("no segments on the {name} backend"),
        [one] => format!("nobody is attached to {}", one.title),
        several => format!("nobody is attached to any of {} segments on the {name} backend", several.len()),
    }
}

fn segment(stat: &Stat, view: &View) -> Result<Segment> {
    let who = view.who()?;
    let holders = who.of(stat.id);
    let region = regions::mark(view, stat, false);
    let members = match &region {
        Mark::Region(_) if !holders.is_empty() => members(stat, view),
        _ => Vec::new(),
    };
    let mut attached: Vec<Attacher> = Vec::new();
    for holder in holders {
        let known = attached.last().filter(|last| last.holder.pid == holder.pid);
        attached.push(match known {
            Some(known) => known.at(holder),
            None => Attacher::new(holder, &members),
        });
    }
    Ok(Segment {
        id: stat.id.raw(),
        key: stat.key.raw(),
        key_hex: stat.key.to_string(),
        size_bytes: stat.size_bytes,
        removed: stat.removed,
        attachment_count: stat.attachment_count,
        hidden_count: who.hidden(stat),
        region,
        attached,
        title: title(stat),
    })
}

/// The participants of a region; none where it does not let us look.
fn members(stat: &Stat, view: &View) -> Vec<Member> {
    let Ok(region) = regions::look(view, stat) else { return Vec::new() };
    let living = region.participants().into_iter().filter(|one| one.alive != Some(false));
    let member = |one: coseg::Participant| Member {
        process: (one.pid_namespace, one.pid),
        name: one.name,
        slot: one.slot,
        generation: one.generation,
    };
    living.map(member).collect()
}

impl Attacher {
    fn new(holder: &Holder, members: &[Member]) -> Attacher {
        let pid = holder.pid;
        let ipc_namespace = namespaces::of(pid);
        let own = process::own_pid(pid);
        Attacher {
            holder: holder.clone(),
            home: Home::of(pid),
            ipc_namespace,
            ipc_namespace_is_ours: ipc_namespace.map(|theirs| namespaces::own() == Some(theirs)),
            participants: members.iter().filter(|member| Some(member.process) == own).cloned().collect(),
        }
    }

    /// Another mapping of the same process.
    fn at(&self, holder: &Holder) -> Attacher {
        Attacher {
            holder: holder.clone(),
            home: self.home.clone(),
            participants: self.participants.clone(),
            ..*self
        }
    }

    fn cells(&self, bytes: bool, view: &View) -> Vec<String> {
        let unknown = || "?".to_owned();
        let holder = &self.holder;
        let mark = if self.ipc_namespace_is_ours == Some(true) { "*" } else { "" };
        let members = self.participants.iter();
        let members: Vec<String> =
            members.map(|member| format!("{}/{}", printable(&member.name), member.slot)).collect();
        vec![
            holder.pid.to_string(),
            holder.command.clone().unwrap_or_else(unknown),
            holder.uid.map_or_else(unknown, |uid| view.people.user_or_number(uid)),
            if holder.read_only { "ro" } else { "rw" }.to_owned(),
            holder.address_hex.clone(),
            size::show(holder.size_bytes as u64, bytes),
            self.home.word(),
            self.ipc_namespace.map_or_else(unknown, |inode| format!("{inode}{mark}")),
            members.join(","),
        ]
    }
}

fn table(segments: &[Segment], bytes: bool, view: &View) -> String {
    let mut table = Table::new(vec![
        ("ID", Align::Right),
        ("KEY", Align::Left),
        ("PID", Align::Right),
        ("COMMAND", Align::Left),
        ("USER", Align::Left),
        ("ACCESS", Align::Left),
        ("ADDRESS", Align::Left),
        ("SIZE", Align::Right),
        ("PLACE", Align::Left),
        ("IPC", Align::Left),
        ("PARTICIPANT", Align::Left),
    ]);
    for segment in segments {
        for attacher in &segment.attached {
            let mut cells = vec![segment.id.to_string(), segment.key_hex.clone()];
            cells.extend(attacher.cells(bytes, view).into_iter().map(output::words));
            table.row(cells);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    if output::is_terminal() {
        table.fit(output::terminal_width().into(), ("PLACE", 18), &["KEY", "ADDRESS", "IPC", "PARTICIPANT"]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_looked_up_once_for_all_its_mappings() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let holder = Holder {
            pid,
            command: None,
            uid: None,
            user: None,
            read_only: true,
            address: 0x1000,
            address_hex: "0x1000".to_owned(),
            size_bytes: 1,
            offset_bytes: 0,
        };
        let process = process::own_pid(pid).unwrap();
        let member = |name: &str, process| Member { name: name.to_owned(), slot: 3, generation: 1, process };
        let members = [member("us", process), member("them", (process.0, process.1 + 1))];
        let one = Attacher::new(&holder, &members);
        assert_eq!(one.ipc_namespace_is_ours, Some(true));
        let other = one.at(&Holder { address: 0x2000, ..holder });
        assert_eq!((one.participants.len(), one.participants[0].name.as_str()), (1, "us"));
        assert_eq!((other.holder.address, other.participants.len()), (0x2000, 1));
    }
}
