//! `coseg ls`: every segment on one line, with the processes attached to it.

pub(super) mod everywhere;

use std::cmp::Ordering;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use coseg_sysv::{Listed, Stat};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::filter::Filter;
use crate::output::{self, DIM};
use crate::people::People;
use crate::record::{Origin, Record};
use crate::regions;
use crate::selector::Selector;
use crate::size;
use crate::table::{Align, Table};
use crate::time;
use crate::view::View;
use crate::who::{Who, hidden_note};

const EXAMPLES: &str = "\
Examples:
  coseg ls                                     all segments, and who is attached
  coseg ls --mine --unattached                 yours, and nobody is using them
  coseg ls pid:1234                            those a process is attached to
  coseg ls --larger 1M --sort size             the largest first
  coseg ls --columns key,size,attached-by      three columns
  coseg ls --regions                           which are typed regions, and of what type
  coseg ls --json | jq '.segments[] | select(.removed)'
  coseg ls --all-namespaces                    as root: those of every container, too

Columns: key, id, owner, group, creator, mode, size, resident, swapped, attached (a count), status, \
changed (when created, or last changed), attach-time, detach-time, cpid (the creator), lpid (who \
attached or detached last), attached-by (who is attached now; `ro` reads only), region (type and name). \
To tell regions, a segment's first bytes are read where that takes no attachment, else through a \
read-only one that lasts a moment.";

/// List segments, and who is attached to them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, visible_alias = "list")]
pub(crate) struct Ls {
    /// Only these segments
    #[arg(value_name = "SEGMENT")]
    selectors: Vec<Selector>,
    #[command(flatten)]
    filter: Filter,
    /// Do not look who is attached: no process is examined
    #[arg(long)]
    no_who: bool,
    /// Tell which are regions: type and name
    #[arg(long)]
    regions: bool,
    /// List those of every IPC namespace that a process is in: as root, on the kernel backend
    #[arg(long, conflicts_with = "selectors")]
    all_namespaces: bool,
    /// Sort by this column instead of by the kernel's order: what is most or newest first, keys, ids and names from the
    /// beginning
    #[arg(long, value_enum, value_name = "COLUMN")]
    sort: Option<Sort>,
    /// Turn the order around
    #[arg(long)]
    reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Key,
    Id,
    Owner,
    Size,
    Resident,
    Attached,
    Changed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Key,
    Id,
    Owner,
    Group,
    Creator,
    Mode,
    Size,
    Resident,
    Swapped,
    Attached,
    Status,
    Changed,
    AttachTime,
    DetachTime,
    Cpid,
    Lpid,
    AttachedBy,
    Region,
}

const USUAL: [Column; 11] = [
    Column::Key,
    Column::Id,
    Column::Owner,
    Column::Mode,
    Column::Size,
    Column::Resident,
    Column::Attached,
    Column::Status,
    Column::Changed,
    Column::Cpid,
    Column::AttachedBy,
];

/// What a narrow terminal does without, first things first.
const EXPENDABLE: [&str; 5] = ["CPID", "RESIDENT", "CHANGED", "STATUS", "OWNER"];

/// Columns that names of processes need at least: they may wrap, numbers should not.
const ATTACHED_BY_MIN: usize = 18;

impl Column {
    fn header(self) -> (&'static str, Align) {
        match self {
            Column::Key => ("KEY", Align::Left),
            Column::Id => ("ID", Align::Right),
            Column::Owner => ("OWNER", Align::Left),
            Column::Group => ("GROUP", Align::Left),
            Column::Creator => ("CREATOR", Align::Left),
            Column::Mode => ("MODE", Align::Left),
            Column::Size => ("SIZE", Align::Right),
            Column::Resident => ("RESIDENT", Align::Right),
            Column::Swapped => ("SWAPPED", Align::Right),
            Column::Attached => ("ATTACHED", Align::Right),
            Column::Status => ("STATUS", Align::Left),
            Column::Changed => ("CHANGED", Align::Left),
            Column::AttachTime => ("ATTACH-TIME", Align::Left),
            Column::DetachTime => ("DETACH-TIME", Align::Left),
            Column::Cpid => ("CPID", Align::Right),
            Column::Lpid => ("LPID", Align::Right),
            Column::AttachedBy => ("ATTACHED-BY", Align::Left),
            Column::Region => ("REGION", Align::Left),
        }
    }
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    segments: Vec<Record>,
    hidden_count: Option<u64>,
}

pub(crate) fn run(args: &Ls, global: &Global) -> Result<ExitCode> {
    let columns = columns(&global.columns, args)?;
    if args.all_namespaces {
        return everywhere::run(args, &columns, global);
    }
    let view = View::open(global)?;
    let mut listed = chosen(args, &view)?;
    sort(&mut listed, args, &view.people, |listed| listed);
    let wants_who = !args.no_who && (global.json || columns.contains(&Column::AttachedBy));
    let who = if wants_who && !listed.is_empty() { Some(view.who()?) } else { None };
    let hidden = who.map_or(0, |who| listed.iter().map(|listed| who.hidden(&listed.stat)).sum());
    if global.json {
        let no_one = Who::default();
        let who = if args.no_who { None } else { who.or(Some(&no_one)) };
        let mark = |stat: &Stat| args.regions.then(|| regions::mark(&view, stat, true));
        let record = |listed: &Listed| Record::new(listed, who, &view.people).marked(mark(&listed.stat));
        let segments = listed.iter().map(record).collect();
        let hidden_count = (!args.no_who).then_some(hidden);
        output::print_json(&Document { origin: Origin::of(&view.facility), segments, hidden_count })?;
    } else {
        print_table(&listed, &columns, who, global, &view)?;
    }
    if listed.is_empty() {
        output::note(&nothing_to_show(args, &view));
    }
    if let Some(note) = hidden_note(hidden) {
        output::note(&note);
    }
    Ok(ExitCode::SUCCESS)
}

fn columns(names: &[String], args: &Ls) -> Result<Vec<Column>> {
    let mut columns = match names {
        [] => USUAL.to_vec(),
        // Telling regions may attach, which only its own word asks for.
        [all] if all == "all" => {
            Column::value_variants().iter().copied().filter(|column| *column != Column::Region).collect()
        }
        names => names.iter().map(|name| column(name)).collect::<Result<_>>()?,
    };
    if args.no_who {
        columns.retain(|column| *column != Column::AttachedBy);
    }
    if args.regions && !columns.contains(&Column::Region) {
        columns.push(Column::Region);
    }
    Ok(columns)
}

fn column(name: &str) -> Result<Column> {
    Column::from_str(name, true).map_err(|_| {
        let known: Vec<String> = Column::value_variants()
            .iter()
            .filter_map(|column| Some(column.to_possible_value()?.get_name().to_owned()))
            .collect();
        Failure::error(format!("ls: no column `{name}`: there are {}, and all", known.join(", ")))
    })
}

fn chosen(args: &Ls, view: &View) -> Result<Vec<Listed>> {
    let mut named = Vec::new();
    for selector in &args.selectors {
        for listed in selector.all(view)? {
            if !named.contains(&listed.stat.id) {
                named.push(listed.stat.id);
            }
        }
    }
    let is_named = |stat: &Stat| args.selectors.is_empty() || named.contains(&stat.id);
    let all = view.listed.iter();
    Ok(all.filter(|listed| is_named(&listed.stat) && args.filter.accepts(listed)).copied().collect())
}

fn sort<T>(rows: &mut [T], args: &Ls, people: &People, listed: impl Fn(&T) -> &Listed) {
    if let Some(column) = args.sort {
        rows.sort_by(|a, b| compare(column, listed(a), listed(b), people));
    }
    if args.reverse {
        rows.reverse();
    }
}

fn compare(column: Sort, a: &Listed, b: &Listed, people: &People) -> Ordering {
    match column {
        Sort::Key => a.stat.key.bits().cmp(&b.stat.key.bits()),
        Sort::Id => a.stat.id.cmp(&b.stat.id),
        Sort::Owner => people.user_or_number(a.stat.uid).cmp(&people.user_or_number(b.stat.uid)),
        Sort::Size => b.stat.size_bytes.cmp(&a.stat.size_bytes),
        Sort::Resident => b.resident_bytes.cmp(&a.resident_bytes),
        Sort::Attached => b.stat.attachment_count.cmp(&a.stat.attachment_count),
        Sort::Changed => b.stat.change_time.cmp(&a.stat.change_time),
    }
}

fn print_table(
    listed: &[Listed],
    columns: &[Column],
    who: Option<&Who>,
    global: &Global,
    view: &View,
) -> Result<()> {
    let table = fill(listed, columns, who, global, view);
    if !output::is_terminal() {
        return output::print(&table.render());
    }
    let bytes = view.listed.iter().map(|listed| listed.stat.size_bytes as u64).sum();
    let heading = format!(
        "backend {}: {}, {}",
        view.facility.place(),
        output::count(view.listed.len() as u64, "segment", "segments"),
        size::human(bytes)
    );
    print_on_terminal(table, &heading, columns, global)
}

fn print_on_terminal(mut table: Table, heading: &str, columns: &[Column], global: &Global) -> Result<()> {
    // Columns asked for by name are shown, whatever becomes of them.
    let expendable = match (global.columns.is_empty(), columns.contains(&Column::Region)) {
        (true, true) => [&EXPENDABLE[..], &["ATTACHED-BY", "MODE"]].concat(),
        (true, false) => EXPENDABLE.to_vec(),
        (false, _) => Vec::new(),
    };
    let gone = table.fit(output::terminal_width().into(), ("ATTACHED-BY", ATTACHED_BY_MIN), &expendable);
    output::print(&format!("{}\n{}", output::paint(DIM, heading), table.render()))?;
    if !gone.is_empty() {
        let gone = gone.join(", ").to_lowercase();
        output::note(&format!("no room for {gone}; a wider terminal or --columns shows them"));
    }
    Ok(())
}

fn fill(listed: &[Listed], columns: &[Column], who: Option<&Who>, global: &Global, view: &View) -> Table {
    let mut table = Table::new(columns.iter().map(|column| column.header()).collect());
    for segment in listed {
        table.row(cells(columns, segment, who, global, view));
    }
    table
}

fn cells(
    columns: &[Column],
    segment: &Listed,
    who: Option<&Who>,
    global: &Global,
    view: &View,
) -> Vec<String> {
    let separator = if output::is_terminal() { ' ' } else { 'T' };
    columns.iter().map(|column| cell(*column, segment, who, global.bytes, separator, view)).collect()
}

fn cell(
    column: Column,
    listed: &Listed,
    who: Option<&Who>,
    bytes: bool,
    separator: char,
    view: &View,
) -> String {
    let stat = &listed.stat;
    match column {
        Column::Key => stat.key.to_string(),
        Column::Id => stat.id.to_string(),
        Column::Owner => view.people.user_or_number(stat.uid),
        Column::Group => view.people.group_or_number(stat.gid),
        Column::Creator => view.people.user_or_number(stat.creator_uid),
        Column::Mode => stat.mode.to_string(),
        Column::Size => size::show(stat.size_bytes as u64, bytes),
        Column::Resident => size::show(listed.resident_bytes, bytes),
        Column::Swapped => size::show(listed.swapped_bytes, bytes),
        Column::Attached => stat.attachment_count.to_string(),
        Column::Status => status(stat),
        Column::Changed => time::stamp(stat.change_time, separator),
        Column::AttachTime => time::stamp(stat.attach_time, separator),
        Column::DetachTime => time::stamp(stat.detach_time, separator),
        Column::Cpid => stat.creator_pid.to_string(),
        Column::Lpid => stat.last_pid.to_string(),
        Column::AttachedBy => who.map(|who| who.sentence(stat)).unwrap_or_default(),
        Column::Region => regions::mark(view, stat, true).sentence(),
    }
}

/// ipcs's words, so that scripts that know them go on working.
pub(crate) fn status(stat: &Stat) -> String {
    match (stat.removed, stat.locked) {
        (false, false) => String::new(),
        (true, false) => "dest".to_owned(),
        (false, true) => "locked".to_owned(),
        (true, true) => "dest,locked".to_owned(),
    }
}

fn nothing_to_show(args: &Ls, view: &View) -> String {
    let name = view.facility.name();
    if !view.listed.is_empty() {
        return format!("none of the {} on the {name} backend passes the filters", view.listed.len());
    }
    let other = view.facility.elsewhere(|backend| backend.list().is_ok_and(|all| !all.is_empty()));
    match other {
        Some(other) if args.filter.is_empty() => {
            format!("no segments on the {name} backend; the {other} backend has some: --backend {other}")
        }
        _ => format!("no segments on the {name} backend"),
    }
}
