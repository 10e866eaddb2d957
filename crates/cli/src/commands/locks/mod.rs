//! `coseg locks`: who holds the locks of regions, who waits for them, and what stands in the way.

mod cycles;
pub(crate) mod state;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coseg::Inspection;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use self::cycles::{Cycle, Wait};
use self::state::{LockState, Party, State, Waiter};
use crate::args::Global;
use crate::failure::{Failure, NOTHING, Result};
use crate::output::{self, BAD, printable};
use crate::record::Origin;
use crate::regions::{self, Opened};
use crate::selector::Selector;
use crate::table::{Align, Table};
use crate::time;
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg locks                    the locks of all regions
  coseg locks name:market        those of one
  coseg locks --json | jq '.regions[].locks[] | select(.state == \"orphaned\")'
`region` is the lock that every change of a region's values takes for a moment.
States: free, reading, held, and orphaned: the holder has died and nobody has taken the lock since; \
the next to lock it recovers it. HELD: for how long at least; nobody notes it while nobody waits. \
Processes that wait for one another are named, also across regions.
Looking makes read-only attachments for a moment, and changes nothing in a region.
Exit codes: 1 if a lock is orphaned, or processes wait for one another.";

/// Between two looks at who waits for whom.
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(50);

/// Show who holds the locks of regions, and who waits
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Locks {
    /// Only these regions
    #[arg(value_name = "SEGMENT")]
    selectors: Vec<Selector>,
}

/// The locks of one region.
#[derive(Debug, JsonSchema, Serialize)]
struct RegionLocks {
    id: i32,
    key: i32,
    key_hex: String,
    name: String,
    r#type: String,
    locks: Vec<LockState>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    regions: Vec<&'a RegionLocks>,
    orphan_count: usize,
    deadlocks: Vec<Deadlock<'a>>,
    /// Regions that could not be looked into.
    refused: Vec<String>,
}

#[derive(JsonSchema, Serialize)]
struct Deadlock<'a> {
    /// Each process has one thread, so none of them can go on.
    certain: bool,
    waits: Vec<WaitJson<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct WaitJson<'a> {
    region_id: i32,
    lock: &'a str,
    waiter: &'a Party,
    holder: &'a Party,
    since_unix_ns: Option<u64>,
}

impl RegionLocks {
    fn new(stat: &Stat, region: &Inspection) -> RegionLocks {
        RegionLocks {
            id: stat.id.raw(),
            key: stat.key.raw(),
            key_hex: stat.key.to_string(),
            name: region.name().to_owned(),
            r#type: region.schema().name.clone(),
            locks: LockState::all(region),
        }
    }

    /// In one word: its name, else its key, else its id.
    fn title(&self) -> String {
        match self.name.as_str() {
            "" if self.key == 0 => format!("id:{}", self.id),
            "" => self.key_hex.clone(),
            name => printable(name),
        }
    }
}

pub(crate) fn run(args: &Locks, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let (chosen, mut others, refused) = open(args, &view)?;
    let look = |regions: &[(Stat, Inspection)]| -> Vec<RegionLocks> {
        regions.iter().map(|(stat, region)| RegionLocks::new(stat, region)).collect()
    };
    let regions = look(&chosen);
    let is_waited_for = |region: &RegionLocks| region.locks.iter().any(|lock| !lock.waiters.is_empty());
    if !args.selectors.is_empty() && regions.iter().any(is_waited_for) {
        // Whoever holds the lock may wait in another region.
        let is_chosen = |stat: &Stat| chosen.iter().any(|(other, _)| other.id == stat.id);
        others = regions::all(&view).0.into_iter().filter(|(stat, _)| !is_chosen(stat)).collect();
    }
    let elsewhere = look(&others);
    let mut cycles = find_cycles(&[&regions[..], &elsewhere[..]]);
    if !cycles.is_empty() {
        std::thread::sleep(SECOND_LOOK_AFTER);
        cycles = lasting_cycles(&[&regions, &elsewhere], &[&look(&chosen), &look(&others)]);
    }
    cycles
        .retain(|cycle| cycle.0.iter().any(|wait| regions.iter().any(|region| region.id == wait.region_id)));
    let orphans = || {
        let locks = regions.iter().flat_map(|region| region.locks.iter().map(move |lock| (region, lock)));
        locks.filter(|(_, lock)| lock.state == State::Orphaned)
    };
    if global.json {
        let deadlocks = cycles.iter().map(deadlock).collect();
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            regions: regions.iter().collect(),
            orphan_count: orphans().count(),
            deadlocks,
            refused: refused.iter().map(Failure::to_string).collect(),
        })?;
    } else {
        let mut text = table(&regions);
        for (region, lock) in orphans() {
            let warning = format!("{} of {}: {}", printable(&lock.name), region.title(), lock.sentence());
            text.push_str(&format!("{}\n", output::paint(BAD, warning)));
        }
        let titles: Vec<(i32, String)> =
            regions.iter().chain(&elsewhere).map(|region| (region.id, region.title())).collect();
        for cycle in &cycles {
            text.push_str(&format!("{}\n", output::paint(BAD, sentence(cycle, &titles))));
        }
        output::print(&text)?;
    }
    for failure in &refused {
        output::note(&format!("not looked into: {failure}"));
    }
    if regions.is_empty() && refused.is_empty() {
        output::note(&format!("no regions on the {} backend", view.facility.name()));
    }
    let is_bad = !cycles.is_empty() || orphans().next().is_some();
    Ok(if is_bad { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS })
}

/// The regions that are meant, further ones, and why some are not among them.
fn open(args: &Locks, view: &View) -> Result<(Opened, Opened, Vec<Failure>)> {
    if args.selectors.is_empty() {
        let (regions, refused) = regions::all(view);
        return Ok((regions, Opened::new(), refused));
    }
    let mut chosen: Opened = Vec::new();
    for selector in &args.selectors {
        let found = selector.all(view)?;
        let is_one = found.len() == 1;
        for listed in found {
            if chosen.iter().any(|(stat, _)| stat.id == listed.stat.id) {
                continue;
            }
            match regions::look(view, &listed.stat) {
                Ok(region) => chosen.push((listed.stat, region)),
                // A process may be attached to anything.
                Err(_) if !is_one => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }
    Ok((chosen, Opened::new(), Vec::new()))
}

fn waits(regions: &[&[RegionLocks]]) -> Vec<Wait> {
    regions.iter().flat_map(|regions| cycles::waits(regions)).collect()
}

fn find_cycles(regions: &[&[RegionLocks]]) -> Vec<Cycle> {
    cycles::cycles(&waits(regions), has_one_thread)
}

fn lasting_cycles(first: &[&[RegionLocks]], second: &[&[RegionLocks]]) -> Vec<Cycle> {
    cycles::cycles(&cycles::lasting(&waits(first), &waits(second)), has_one_thread)
}

fn has_one_thread(party: &Party) -> bool {
    let tasks = party.pid.and_then(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok());
    tasks.is_some_and(|tasks| tasks.count() == 1)
}

fn table(regions: &[RegionLocks]) -> String {
    let mut table = Table::new(vec![
        ("REGION", Align::Left),
        ("LOCK", Align::Left),
        ("STATE", Align::Left),
        ("HOLDER", Align::Left),
        ("HELD", Align::Right),
        ("TAKEN", Align::Right),
        ("WAITING", Align::Left),
        ("READING", Align::Left),
    ]);
    let is_terminal = output::is_terminal();
    let list = |parts: Vec<String>| {
        let comma = if is_terminal { ", " } else { "," };
        parts.into_iter().map(output::words).collect::<Vec<_>>().join(comma)
    };
    for region in regions {
        for lock in &region.locks {
            let state = format!("{:?}", lock.state).to_lowercase();
            let held = lock.held_since_unix_ns.filter(|_| lock.state == State::Held);
            table.row(vec![
                output::words(region.title()),
                output::words(printable(&lock.name)),
                state,
                output::words(lock.holder.as_ref().map(Party::short).unwrap_or_default()),
                held.map(|since| format!("{}+", time::short_since(since))).unwrap_or_default(),
                lock.acquisition_count.to_string(),
                list(lock.waiters.iter().map(Waiter::short).collect()),
                list(lock.readers.iter().map(Party::short).collect()),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    if is_terminal {
        let width = output::terminal_width().into();
        table.fit(width, ("WAITING", 18), &["TAKEN", "READING"]);
    }
    table.render()
}

fn deadlock(cycle: &Cycle) -> Deadlock<'_> {
    let waits = cycle.0.iter().map(|wait| WaitJson {
        region_id: wait.region_id,
        lock: &wait.lock,
        waiter: &wait.waiter,
        holder: &wait.holder,
        since_unix_ns: wait.since_unix_ns,
    });
    Deadlock { certain: is_certain(cycle), waits: waits.collect() }
}

fn is_certain(cycle: &Cycle) -> bool {
    cycle.0.iter().all(|wait| has_one_thread(&wait.waiter))
}

/// A line for each process: what it waits for, and who has that.
fn sentence(cycle: &Cycle, titles: &[(i32, String)]) -> String {
    let processes = output::count(cycle.0.len() as u64, "process", "processes");
    let mut text = format!("deadlock of {processes}");
    if !is_certain(cycle) {
        // A thread that holds a lock may go on while another one of its process waits.
        text.push_str(", unless another thread of one of them goes on");
    }
    text.push(':');
    for wait in &cycle.0 {
        let title = titles.iter().find(|(id, _)| *id == wait.region_id).map_or("?", |(_, title)| title);
        let since = wait.since_unix_ns.map(|since| format!(" {}", time::short_since(since)));
        let has = if wait.since_unix_ns.is_some() { "has" } else { "reads" };
        text.push_str(&format!(
            "\n  {} waits{} for {} of {title}, which {} {has}",
            wait.waiter.short(),
            since.unwrap_or_default(),
            printable(&wait.lock),
            wait.holder.short(),
        ));
    }
    text + "\n  If one of them ends, whoever waits for its lock recovers it."
}
