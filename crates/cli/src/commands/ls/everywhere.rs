//! `coseg ls --all-namespaces`: one listing of what every IPC namespace of the host has.

use std::process::ExitCode;

use coseg_sysv::{Listed, Stat};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Column, Ls, cells, chosen, print_on_terminal, sort};
use crate::args::Global;
use crate::backend::Facility;
use crate::container::Home;
use crate::failure::{Failure, Result, io_text};
use crate::namespaces::{self, Namespace};
use crate::output;
use crate::people::People;
use crate::process;
use crate::record::{Origin, Record};
use crate::regions;
use crate::table::{Align, Table};
use crate::view::View;
use crate::who::hidden_note;

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    namespaces: Vec<Place>,
    segments: Vec<Placed>,
    hidden_count: Option<u64>,
    /// Processes that do not show which namespace they are in.
    hidden_process_count: u64,
}

/// An IPC namespace, and by what people know it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
struct Place {
    ipc_namespace: u64,
    is_ours: bool,
    process_count: u64,
    oldest_pid: i32,
    oldest_command: Option<String>,
    #[serde(flatten)]
    home: Home,
    /// Null where it could not be entered.
    segment_count: Option<usize>,
    /// Why it could not be entered.
    error: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Placed {
    ipc_namespace: u64,
    #[serde(flatten)]
    record: Record,
}

/// A segment, as it was seen from within its namespace.
#[derive(Debug)]
struct Seen {
    listed: Listed,
    cells: Vec<String>,
    record: Record,
    hidden_count: u64,
}

pub(super) fn run(args: &Ls, columns: &[Column], global: &Global) -> Result<ExitCode> {
    let facility = Facility::open(global)?;
    if facility.user.is_some() {
        return Err(Failure::error(
            "ls: --all-namespaces belongs to the kernel backend: the user backend's segments are in directories",
        )
        .hint("--backend kernel, or COSEG_DIR for another directory's"));
    }
    let (namespaces, hidden_process_count) = namespaces::all();
    let mut places = Vec::new();
    let mut rows: Vec<(usize, Seen)> = Vec::new();
    for namespace in &namespaces {
        let seen = match namespace.within(|| look(args, columns, global)) {
            Ok(seen) => Ok(seen?),
            Err(error) => Err(io_text(&error)),
        };
        let place = places.len();
        places.push(Place::new(namespace, seen.as_ref().map(Vec::len).map_err(Clone::clone)));
        rows.extend(seen.unwrap_or_default().into_iter().map(|seen| (place, seen)));
    }
    sort(&mut rows, args, &People::default(), |(_, seen)| &seen.listed);
    let hidden = rows.iter().map(|(_, seen)| seen.hidden_count).sum();
    let notes = notes(&places, hidden_process_count, rows.is_empty());
    if global.json {
        let namespace_of = |place: usize| namespaces[place].inode;
        let placed =
            |(place, seen): (usize, Seen)| Placed { ipc_namespace: namespace_of(place), record: seen.record };
        output::print_json(&Document {
            origin: Origin::of(&facility),
            segments: rows.into_iter().map(placed).collect(),
            namespaces: places,
            hidden_count: (!args.no_who).then_some(hidden),
            hidden_process_count,
        })?;
    } else {
        print(&places, &rows, columns, global)?;
    }
    notes.iter().for_each(|note| output::note(note));
    if let Some(note) = hidden_note(hidden) {
        output::note(&note);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the namespace of the calling thread has.
fn look(args: &Ls, columns: &[Column], global: &Global) -> Result<Vec<Seen>> {
    let view = View::open(global)?;
    let listed = chosen(args, &view)?;
    let who = if args.no_who || listed.is_empty() { None } else { Some(view.who()?) };
    let mark = |stat: &Stat| args.regions.then(|| regions::mark(&view, stat, true));
    let seen = |listed: Listed| Seen {
        listed,
        cells: cells(columns, &listed, who, global, &view),
        record: Record::new(&listed, who, &view.people).marked(mark(&listed.stat)),
        hidden_count: who.map_or(0, |who| who.hidden(&listed.stat)),
    };
    Ok(listed.into_iter().map(seen).collect())
}

impl Place {
    fn new(namespace: &Namespace, seen: Result<usize, String>) -> Place {
        let oldest_pid = namespace.oldest_pid;
        Place {
            ipc_namespace: namespace.inode,
            is_ours: namespaces::own() == Some(namespace.inode),
            process_count: namespace.process_count,
            oldest_pid,
            oldest_command: process::command(oldest_pid),
            home: Home::of(oldest_pid),
            segment_count: seen.as_ref().ok().copied(),
            error: seen.err(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let command = self.oldest_command.as_deref().unwrap_or("?");
        let mark = if self.is_ours { "*" } else { "" };
        let oldest = output::words(format!("{} {command}", self.oldest_pid));
        vec![format!("{}{mark}", self.ipc_namespace), oldest, self.home.word()]
    }
}

fn print(places: &[Place], rows: &[(usize, Seen)], columns: &[Column], global: &Global) -> Result<()> {
    let mut headers = vec![("NAMESPACE", Align::Left), ("OLDEST", Align::Left), ("PLACE", Align::Left)];
    headers.extend(columns.iter().map(|column| column.header()));
    let mut table = Table::new(headers);
    for (place, seen) in rows {
        table.row([places[*place].cells(), seen.cells.clone()].concat());
    }
    if !output::is_terminal() {
        return output::print(&table.render());
    }
    let heading = format!(
        "backend kernel: {} in {}",
        output::count(rows.len() as u64, "segment", "segments"),
        output::count(places.len() as u64, "IPC namespace", "IPC namespaces"),
    );
    print_on_terminal(table, &heading, columns, global)
}

fn notes(places: &[Place], hidden_process_count: u64, is_empty: bool) -> Vec<String> {
    let namespaces = |count: usize| output::count(count as u64, "IPC namespace", "IPC namespaces");
    let shut: Vec<&Place> = places.iter().filter(|place| place.error.is_some()).collect();
    let mut notes = Vec::new();
    if is_empty {
        notes.push(format!("no segments to show in {}", namespaces(places.len() - shut.len())));
    }
    let as_root = if coseg_sysv::caller::effective_uid() == 0 { "" } else { "; run as root" };
    if let Some(first) = shut.first() {
        let error = first.error.as_deref().unwrap_or_default();
        notes.push(format!("{} could not be entered: {error}{as_root}", namespaces(shut.len())));
    }
    if hidden_process_count > 0 {
        let processes = output::count(hidden_process_count, "process does", "processes do");
        notes.push(format!("{processes} not show which IPC namespace is theirs{as_root}"));
    }
    notes
}
