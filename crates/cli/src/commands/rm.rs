//! `coseg rm`: removes segments, and says who is still attached.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use coseg::Inspection;
use coseg_sysv::{Listed, ShmId, Stat};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::failure::{Failure, NOTHING, Result};
use crate::filter::Filter;
use crate::output;
use crate::record::Origin;
use crate::selector::Selector;
use crate::size;
use crate::view::{View, named, title};

const EXAMPLES: &str = "\
Examples:
  coseg rm 0x4242
  coseg rm id:3 id:7 key:5678
  coseg rm --unattached --mine --dry-run    what would go
  coseg rm --unattached --mine --yes        and go it does
  coseg rm --force 0x4242                   although somebody is attached
A removed segment's key is free at once; its memory when the last process detaches. Who waits in a \
region is told that it was removed. There is no way \
to remove everything: name segments, or say which by filters.";

/// Remove segments
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, visible_alias = "remove")]
pub(crate) struct Rm {
    /// The segments; without any, those that pass the filters
    #[arg(value_name = "SEGMENT")]
    selectors: Vec<Selector>,
    #[command(flatten)]
    filter: Filter,
    /// Remove those too that somebody is attached to
    #[arg(long, short)]
    force: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    dry_run: bool,
    results: Vec<Outcome>,
}

/// What became of a segment.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Outcome {
    id: i32,
    key: i32,
    key_hex: String,
    size_bytes: usize,
    pub(crate) removed: bool,
    destroyed: bool,
    pub(crate) error: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Although somebody is attached.
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

pub(crate) fn run(args: &Rm, global: &Global) -> Result<ExitCode> {
    if args.selectors.is_empty() && args.filter.is_empty() {
        return Err(Failure::error("rm: nothing is named, and everything is never meant")
            .hint("coseg rm 0xKEY, or filters: coseg rm --unattached --mine"));
    }
    let view = View::open(global)?;
    let (chosen, absent) = choose(args, &view)?;
    if chosen.is_empty() {
        if !absent {
            output::note(&format!(
                "rm: no segment on the {} backend passes the filters",
                view.facility.name()
            ));
        }
        return Ok(ExitCode::from(NOTHING));
    }
    if !args.dry_run {
        agree(args, &chosen)?;
    }
    let mut results = Vec::new();
    for listed in &chosen {
        let outcome = remove(listed, &view, How { force: args.force, dry_run: args.dry_run });
        if !global.json {
            tell(&outcome, &listed.stat, args.dry_run, global.bytes)?;
        }
        results.push(outcome);
    }
    let failed = absent || results.iter().any(|outcome| outcome.error.is_some());
    if global.json {
        output::print_json(&Document { origin: Origin::of(&view.facility), dry_run: args.dry_run, results })?;
    }
    Ok(if failed { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS })
}

/// The segments meant, each once, and whether a selector met none.
fn choose(args: &Rm, view: &View) -> Result<(Vec<Listed>, bool)> {
    if args.selectors.is_empty() {
        let all = view.listed.iter().filter(|listed| args.filter.accepts(listed));
        return Ok((all.copied().collect(), false));
    }
    let mut chosen: Vec<Listed> = Vec::new();
    let mut absent = false;
    for selector in &args.selectors {
        match selector.all(view) {
            Ok(found) => {
                for listed in found.into_iter().filter(|listed| args.filter.accepts(listed)) {
                    if !chosen.iter().any(|other| other.stat.id == listed.stat.id) {
                        chosen.push(*listed);
                    }
                }
            }
            Err(failure) => {
                output::complain(&failure.to_string());
                absent = true;
            }
        }
    }
    Ok((chosen, absent))
}

/// Asks where somebody can answer; elsewhere only filters need `--yes`, as nobody saw what they would match.
fn agree(args: &Rm, chosen: &[Listed]) -> Result<()> {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if args.yes {
        return Ok(());
    }
    let by_filter = args.selectors.is_empty();
    if !is_terminal && by_filter {
        let found = output::count(chosen.len() as u64, "segment passes", "segments pass");
        return Err(Failure::error(format!("rm: {found} the filters, and nobody is here to ask"))
            .hint("--dry-run to see them, --yes to remove them"));
    }
    if is_terminal && (by_filter || args.force || chosen.len() > 1) {
        for listed in chosen {
            let stat = &listed.stat;
            let attached = output::count(stat.attachment_count, "attachment", "attachments");
            eprintln!("  {}, {}, {attached}", title(stat), size::human(stat.size_bytes as u64));
        }
        let question = format!("remove {}?", output::count(chosen.len() as u64, "segment", "segments"));
        if !output::confirm(&question) {
            return Err(Failure::new(NOTHING, "rm: not confirmed, nothing was removed"));
        }
    }
    Ok(())
}

/// Removes what was listed, after another look at who is attached.
pub(crate) fn remove(listed: &Listed, view: &View, how: How) -> Outcome {
    let before = &listed.stat;
    let mut outcome = Outcome {
        id: before.id.raw(),
        key: before.key.raw(),
        key_hex: before.key.to_string(),
        size_bytes: before.size_bytes,
        removed: false,
        destroyed: false,
        error: None,
    };
    let done = || -> Result<(bool, bool)> {
        // The kernel has no remove-if-unattached: look again as late as possible.
        let now = if how.force { before.attachment_count } else { count_now(before, view)? };
        if now > 0 && !how.force {
            return Err(busy(before, now, view)?);
        }
        if how.dry_run {
            return Ok((false, now == 0));
        }
        Inspection::remove(&view.segment(before)).map_err(named(before))?;
        Ok((true, !exists(before.id, view)))
    };
    match done() {
        Ok((removed, destroyed)) => (outcome.removed, outcome.destroyed) = (removed, destroyed),
        Err(failure) => outcome.error = Some(failure.to_string()),
    }
    outcome
}

fn count_now(before: &Stat, view: &View) -> Result<u64> {
    match view.facility.backend.stat(before.id) {
        Ok(stat) => Ok(stat.attachment_count),
        // Without read permission the list still tells.
        Err(_) => Ok(view.again(before)?.stat.attachment_count),
    }
}

pub(super) fn exists(id: ShmId, view: &View) -> bool {
    view.facility.backend.stat(id).map_or_else(|error| error.errno() == coseg_sysv::Errno::EACCES, |_| true)
}

fn busy(stat: &Stat, count: u64, view: &View) -> Result<Failure> {
    let found = view.who()?;
    let who = if found.of(stat.id).is_empty() {
        format!("{}, hidden from you", output::count(count, "attacher", "attachers"))
    } else {
        found.sentence(stat)
    };
    Ok(Failure::nothing(format!("remove {}: EBUSY: attached by {who}", title(stat))).hint(format!(
        "coseg rm --force id:{}, which frees the key now and the memory when they detach",
        stat.id
    )))
}

fn tell(outcome: &Outcome, stat: &Stat, dry_run: bool, bytes: bool) -> Result<()> {
    if let Some(error) = &outcome.error {
        output::complain(error);
        return Ok(());
    }
    let size = size::show(stat.size_bytes as u64, bytes);
    let what = format!("{}, {size}", title(stat));
    let verb = if dry_run { "would remove" } else { "removed" };
    output::print(&format!("{}\n", done(verb, &what, outcome.destroyed)))
}

/// What is done to a segment, and what that leaves.
pub(super) fn done(verb: &str, what: &str, destroyed: bool) -> String {
    let stays = if destroyed { "" } else { "; its memory stays until the last of its attachers detaches" };
    format!("{verb} {what}{stays}")
}
