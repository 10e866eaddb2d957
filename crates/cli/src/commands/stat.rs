//! `coseg stat`: everything about a segment, and what to make of it.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use coseg_sysv::{Listed, Stat};
use schemars::JsonSchema;
use serde::Serialize;

use super::ls::status;
use crate::args::Global;
use crate::failure::Result;
use crate::output::{self, BOLD, DIM};
use crate::process::{self, Fate};
use crate::record::{Origin, Record};
use crate::regions::{self, Mark};
use crate::selector::Selector;
use crate::table::{Align, Table};
use crate::view::{View, title};
use crate::who::hidden_note;
use crate::{size, time};

const EXAMPLES: &str = "\
Examples:
  coseg stat 0x4242
  coseg stat 3 id:7                    several, by id
  coseg stat ftok:/etc/app.conf:A      by what the program gave to ftok
  coseg stat pid:1234                  all that a process is attached to
  coseg stat 0x4242 --json | jq '.segments[0].attached[].pid'";

/// Show everything about a segment
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatArgs {
    /// The segments
    #[arg(required = true, value_name = "SEGMENT")]
    selectors: Vec<Selector>,
    /// Tell regions too where that takes a read-only attachment, for a moment
    #[arg(long)]
    regions: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    segments: Vec<Described>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Described {
    #[serde(flatten)]
    record: Record,
    hints: Vec<String>,
}

pub(crate) fn run(args: &StatArgs, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let (found, code) = super::each_once(&args.selectors, &view)?;
    if found.is_empty() {
        return Ok(code);
    }
    if global.json {
        let mut segments = Vec::new();
        for listed in found {
            let record = view.record(listed)?.marked(mark(&view, &listed.stat, args));
            segments.push(Described { record, hints: hints(&listed.stat, &view)? });
        }
        output::print_json(&Document { origin: Origin::of(&view.facility), segments })?;
        return Ok(code);
    }
    let mut text = String::new();
    for (index, listed) in found.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let region = mark(&view, &listed.stat, args);
        describe(&mut text, listed, region.as_ref(), &view, global)?;
    }
    output::print(&text)?;
    Ok(code)
}

/// What is told without attaching the segment, or at any rate where that is asked for.
fn mark(view: &View, stat: &Stat, args: &StatArgs) -> Option<Mark> {
    match regions::mark(view, stat, args.regions) {
        Mark::Unreadable(_) if !args.regions => None,
        mark => Some(mark),
    }
}

fn describe(
    text: &mut String,
    listed: &Listed,
    region: Option<&Mark>,
    view: &View,
    global: &Global,
) -> Result<()> {
    let stat = &listed.stat;
    let people = &view.people;
    let user = |uid| format!("{} (uid {uid})", people.user_or_number(uid));
    let group = |gid| format!("{} (gid {gid})", people.group_or_number(gid));
    let bytes = |number: u64| match global.bytes {
        true => number.to_string(),
        false => size::sentence(number),
    };
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {value}", output::paint(DIM, format!("{name:>11}")));
    };
    line("segment", output::paint(BOLD, title(stat)));
    line("backend", view.facility.place());
    match region {
        Some(mark @ Mark::Region(_)) => {
            line("region", format!("{}; coseg show id:{}", mark.sentence(), stat.id))
        }
        Some(mark @ Mark::Unreadable(_)) => line("region", mark.sentence()),
        Some(Mark::Plain) | None => {}
    }
    if !stat.key.is_private() {
        let (inode, device, project) = stat.key.parts();
        let parts = format!("{}; if ftok made it: inode …{inode:04x}, device …{device:02x}", stat.key.raw());
        line("key", format!("{} = {parts}, project {}", stat.key, super::key::project_name(project)));
    }
    line("size", bytes(stat.size_bytes as u64));
    line("resident", resident(listed, &bytes));
    line("mode", format!("{}: {}", stat.mode, meaning(stat, view)));
    line("owner", format!("{}, {}", user(stat.uid), group(stat.gid)));
    line("creator", format!("{}, {}", user(stat.creator_uid), group(stat.creator_gid)));
    line("created by", pid_sentence(stat.creator_pid, stat.change_time));
    line("last used by", pid_sentence(stat.last_pid, stat.attach_time.max(stat.detach_time)));
    match status(stat) {
        empty if empty.is_empty() => {}
        status => line("status", status),
    }
    line("changed", time::with_age(stat.change_time));
    line("attached", time::with_age(stat.attach_time));
    line("detached", time::with_age(stat.detach_time));
    line("attachers", output::count(stat.attachment_count, "attachment", "attachments"));
    attachers(text, stat, view)?;
    for hint in hints(stat, view)? {
        let _ = writeln!(text, "{} {hint}", output::paint(output::WARN, format!("{:>11}", "note")));
    }
    Ok(())
}

fn resident(listed: &Listed, bytes: &impl Fn(u64) -> String) -> String {
    match listed.swapped_bytes {
        0 => bytes(listed.resident_bytes),
        swapped => format!("{}, and {} swapped out", bytes(listed.resident_bytes), bytes(swapped)),
    }
}

/// What the nine bits let whom do.
fn meaning(stat: &Stat, view: &View) -> String {
    let may = |bits: u32| match bits & 6 {
        6 => "read and write",
        4 => "read",
        2 => "write, so not attach, which takes reading",
        _ => "do nothing",
    };
    let bits = stat.mode.bits();
    format!(
        "user {} may {}; group {} may {}; others may {}",
        view.people.user_or_number(stat.uid),
        may(bits >> 6),
        view.people.group_or_number(stat.gid),
        may(bits >> 3),
        may(bits)
    )
}

fn pid_sentence(pid: i32, seen: i64) -> String {
    match process::fate(pid, seen) {
        Fate::None => "nobody, as far as is known here".to_owned(),
        Fate::Gone => format!("pid {pid}, gone"),
        Fate::Reused => format!("pid {pid}, gone; the number is another process's now"),
        Fate::Alive => format!("pid {pid} ({})", process::command(pid).unwrap_or_else(|| "?".to_owned())),
    }
}

fn attachers(text: &mut String, stat: &Stat, view: &View) -> Result<()> {
    let who = view.who()?;
    let mut table = Table::new(vec![
        ("PID", Align::Right),
        ("USER", Align::Left),
        ("ACCESS", Align::Left),
        ("ADDRESS", Align::Left),
        ("SIZE", Align::Right),
        ("COMMAND", Align::Left),
    ]);
    for holder in who.of(stat.id) {
        let command = process::command_line(holder.pid).or_else(|| holder.command.clone());
        table.row(vec![
            holder.pid.to_string(),
            holder.uid.map_or_else(|| "?".to_owned(), |uid| view.people.user_or_number(uid)),
            if holder.read_only { "ro" } else { "rw" }.to_owned(),
            holder.address_hex.clone(),
            size::human(holder.size_bytes as u64),
            command.unwrap_or_else(|| "?".to_owned()),
        ]);
    }
    if !who.of(stat.id).is_empty() {
        for line in table.render().lines() {
            let _ = writeln!(text, "            {line}");
        }
    }
    if let Some(note) = hidden_note(who.hidden(stat)) {
        let _ = writeln!(text, "            +{note}");
    }
    Ok(())
}

/// What an attentive colleague would say about this segment.
fn hints(stat: &Stat, view: &View) -> Result<Vec<String>> {
    let mut hints = Vec::new();
    let gone = |pid, seen| matches!(process::fate(pid, seen), Fate::Gone | Fate::Reused);
    let is_unattached = stat.attachment_count == 0;
    if stat.removed {
        hints.push(format!(
            "removed: no key finds it, and it vanishes when {} end",
            output::count(stat.attachment_count, "attachment", "attachments")
        ));
    }
    if gone(stat.creator_pid, stat.change_time) {
        hints.push(match (is_unattached, gone(stat.last_pid, stat.detach_time)) {
            (true, true) if stat.key.is_private() => format!(
                "garbage, by all that can be seen: no key finds it, nobody is attached, and the processes that made \
                 and used it are gone. Try: coseg rm id:{}",
                stat.id
            ),
            (true, _) => {
                let meeting = if stat.key.is_private() { "by id" } else { "by key" };
                format!("its creator is gone and nobody is attached: left behind, or waiting to be met {meeting}")
            }
            (false, _) => "its creator is gone; others are attached".to_owned(),
        });
    }
    if stat.mode.bits() & 0o002 != 0 {
        hints.push(format!("any user may write to it. Try: coseg chmod 600 id:{}", stat.id));
    }
    if stat.uid != stat.creator_uid {
        hints.push(format!(
            "user {} made it and keeps the owner's rights",
            view.people.user_or_number(stat.creator_uid)
        ));
    }
    Ok(hints)
}
