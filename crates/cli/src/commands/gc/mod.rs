//! `coseg gc`: what nobody uses any more, by what can be seen; and its removal.

pub(crate) mod facts;
pub(crate) mod judge;
pub(crate) mod leftovers;
mod policy;
mod sweep;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coseg_sysv::Listed;
use schemars::JsonSchema;
use serde::Serialize;

use self::facts::{Facts, Past, Pids};
use self::judge::{Judgement, Rules, Verdict};
use self::leftovers::Leftovers;
use self::sweep::{Fate, Outcome};
use crate::args::Global;
use crate::failure::{Failure, NOTHING, Result};
use crate::namespaces;
use crate::output;
use crate::record::Origin;
use crate::selector::Selector;
use crate::table::{Align, Table};
use crate::view::{View, title};
use crate::{size, time};

const EXAMPLES: &str = "\
Examples:
  coseg gc                            what is garbage, what is not, and why; nothing is removed
  ID  KEY         OWNER  SIZE  AGE  VERDICT  WHY
   0  0x00004242  root   4KiB  2m   keep     1 attachment
   1  0x00000000  root   4KiB  2m   garbage  no key leads to it, nobody is
                                             attached, its creator is gone and
                                             nobody ever used it
  coseg gc --apply                    ask, look again, and remove the garbage
  coseg gc --apply --yes --older-than 1h --policy /etc/coseg/gc.toml      for a timer
  coseg gc --json | jq '.segments[] | select(.verdict == \"unsure\")'

Garbage: nobody is attached, who made it and who used it last are gone (or their pids are others', who \
started later), no key leads to it, and it has not been used for a while. A segment that has a key may be \
waiting for a program to come back, and is never garbage unless a policy names it:
  [[policy]]
  name = \"nightly batch\"               # what its removals are reported under
  keys = [\"0x4242\", \"0x5000-0x50ff\", \"ftok:/etc/batch.conf:A\"]
  names = [\"batch-*\"]                  # or: names of regions
  users = [\"batch\"]                    # of these owners alone; optional
  older_than = \"1h\"
  known_owners = false                 # spares PostgreSQL's and time sources' (NTP) all the same
The first policy that matches counts. To read a region's name, --apply may attach it a moment, for reading; the plan attaches nothing. \
Garbage too, as old: data files of the user backend that no segment has; and copies of yours in TMPDIR \
(coseg-copy-…) that a killed dump, diff or watch left.
On the user backend pids are as their processes saw them: while processes of another PID namespace use it, \
none is called gone. From within a PID namespace, those outside are not seen, and none is called gone \
unless --not-shared says that nobody outside uses the directory.
Exit codes: 0 nothing to do, or all of it was removed; 1 garbage found (and not removed), or a removal \
failed; 2 usage or error.";

/// Find segments nobody uses any more, say why, and remove them if asked to
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Gc {
    /// Only these segments
    #[arg(value_name = "SEGMENT")]
    selectors: Vec<Selector>,
    /// Remove the garbage, each after another look
    #[arg(long)]
    apply: bool,
    /// Do not ask
    #[arg(long, short, requires = "apply")]
    yes: bool,
    /// Spare what was used within this time, such as 1h
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time::parse_duration)]
    older_than: Duration,
    /// A file of policies, which name segments with keys that may go too
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// From within a PID namespace: nobody outside of it uses the user backend's directory
    #[arg(long)]
    not_shared: bool,
}

/// A segment, what is known of it, and what to make of that.
#[derive(Clone, Debug)]
struct Candidate {
    facts: Facts,
    judgement: Judgement,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    applied: bool,
    segments: Vec<SegmentJson<'a>>,
    /// Data files of the user backend that no segment has.
    strays: &'a [String],
    /// Directories of copies that a killed command left.
    copies: &'a [PathBuf],
    garbage_count: usize,
    garbage_bytes: u64,
    removed_count: usize,
    failed_count: usize,
}

#[derive(Debug, JsonSchema, Serialize)]
struct SegmentJson<'a> {
    id: i32,
    key: i32,
    key_hex: String,
    size_bytes: usize,
    uid: u32,
    user: Option<String>,
    attachment_count: u64,
    removed: bool,
    creator_pid: i32,
    creator: Past,
    last_pid: i32,
    last_user: Past,
    age_s: i64,
    /// Its name as a region, where it is one and that was seen.
    region: Option<&'a str>,
    known_owner: Option<String>,
    verdict: Verdict,
    why: &'a str,
    policy: Option<&'a str>,
    /// What `--apply` did; null where it had nothing to do.
    outcome: Option<&'a Outcome>,
}

pub(crate) fn run(args: &Gc, global: &Global) -> Result<ExitCode> {
    let policies = args.policy.as_deref().map(policy::read).transpose()?.unwrap_or_default();
    let rules = Rules { older_than: args.older_than, policies, not_shared: args.not_shared };
    let view = View::open(global)?;
    let (chosen, code) = super::each_once(&args.selectors, &view)?;
    if chosen.is_empty() && !args.selectors.is_empty() {
        return Ok(code);
    }
    let candidates = Candidate::all(chosen, &view, &rules);
    let mut leftovers = match args.selectors.is_empty() {
        true => Leftovers::find(&view, args.older_than)?,
        false => Leftovers::default(),
    };
    let mut left_errors = Vec::new();
    let outcomes = if args.apply {
        agree(args, &candidates, &leftovers)?;
        left_errors = leftovers.remove(&view);
        sweep::all(&candidates, &view, &rules)
    } else {
        candidates.iter().map(|_| None).collect()
    };
    let garbage = || candidates.iter().filter(|one| one.judgement.verdict == Verdict::Garbage);
    let count = |fate: Fate| outcomes.iter().flatten().filter(|outcome| outcome.fate == fate).count();
    let failed_count = count(Fate::Failed) + left_errors.len();
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            applied: args.apply,
            segments: candidates
                .iter()
                .zip(&outcomes)
                .map(|(one, outcome)| one.json(outcome.as_ref(), &view))
                .collect(),
            strays: &leftovers.strays,
            copies: &leftovers.copies,
            garbage_count: garbage().count(),
            garbage_bytes: garbage().map(|one| one.facts.stat.size_bytes as u64).sum(),
            removed_count: count(Fate::Removed),
            failed_count,
        })?;
    } else if args.apply {
        let is_quiet = tell(&candidates, &outcomes, global.bytes)?;
        leftovers.lines().try_for_each(|line| output::print(&format!("removed {line}\n")))?;
        if is_quiet && leftovers.count() + left_errors.len() == 0 {
            output::note("no garbage");
        }
    } else {
        output::print(&table(&candidates, global.bytes, &view))?;
        leftovers.lines().try_for_each(|line| output::print(&format!("{line}\n")))?;
        output::note(&summary(&candidates, &leftovers, &view));
    }
    if view.facility.user.is_some() && !args.not_shared && !namespaces::sees_all_pids() {
        output::note(
            "this is a PID namespace, from which nobody outside is seen: nobody is called gone, unless --not-shared \
             says that nobody outside uses the directory",
        );
    }
    left_errors.iter().for_each(|failure| output::complain(&failure.to_string()));
    let is_left = if args.apply { failed_count > 0 } else { garbage().count() + leftovers.count() > 0 };
    Ok(if is_left { ExitCode::from(NOTHING) } else { code })
}

impl Candidate {
    fn all<'a>(segments: impl IntoIterator<Item = &'a Listed>, view: &View, rules: &Rules) -> Vec<Candidate> {
        let pids = Pids::of(rules);
        let judged = segments.into_iter().map(|listed| {
            let facts = Facts::of(&listed.stat, view, &pids);
            let judgement = rules.judge(&facts);
            Candidate { facts, judgement }
        });
        judged.collect()
    }

    /// Whether `--apply` has something to do with it.
    fn is_wanted(&self) -> bool {
        self.judgement.verdict == Verdict::Garbage || self.judgement.wants_look
    }

    fn json<'a>(&'a self, outcome: Option<&'a Outcome>, view: &View) -> SegmentJson<'a> {
        let (facts, stat) = (&self.facts, &self.facts.stat);
        SegmentJson {
            id: stat.id.raw(),
            key: stat.key.raw(),
            key_hex: stat.key.to_string(),
            size_bytes: stat.size_bytes,
            uid: stat.uid,
            user: view.people.user(stat.uid),
            attachment_count: stat.attachment_count,
            removed: stat.removed,
            creator_pid: stat.creator_pid,
            creator: facts.creator,
            last_pid: stat.last_pid,
            last_user: facts.last_user,
            age_s: facts.age,
            region: facts.region_name().flatten(),
            known_owner: facts.known_owner(),
            verdict: self.judgement.verdict,
            why: &self.judgement.why,
            policy: self.judgement.policy.as_deref(),
            outcome,
        }
    }
}

/// Asks where somebody can answer; elsewhere `--yes` must have been said.
fn agree(args: &Gc, candidates: &[Candidate], leftovers: &Leftovers) -> Result<()> {
    let wanted: Vec<&Candidate> = candidates.iter().filter(|one| one.is_wanted()).collect();
    if args.yes || wanted.is_empty() && leftovers.count() == 0 {
        return Ok(());
    }
    let mut parts = leftovers.counted();
    if !wanted.is_empty() {
        parts.insert(0, output::count(wanted.len() as u64, "segment", "segments"));
    }
    let found = parts.join(" and ");
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::error(format!("gc: {found} to remove, and nobody is here to ask"))
            .hint("coseg gc to see them, --apply --yes to remove them"));
    }
    for one in wanted {
        let stat = &one.facts.stat;
        eprintln!("  {}, {}: {}", title(stat), size::human(stat.size_bytes as u64), one.judgement.why);
    }
    if output::confirm(&format!("remove {found}?")) {
        return Ok(());
    }
    Err(Failure::new(NOTHING, "gc: not confirmed, nothing was removed"))
}

/// What was done about segments; whether that was nothing.
fn tell(candidates: &[Candidate], outcomes: &[Option<Outcome>], bytes: bool) -> Result<bool> {
    let mut is_quiet = true;
    for (one, outcome) in candidates.iter().zip(outcomes) {
        let Some(outcome) = outcome else { continue };
        is_quiet = false;
        let stat = &one.facts.stat;
        let what = format!("{}, {}: {}", title(stat), size::show(stat.size_bytes as u64, bytes), outcome.why);
        match outcome.fate {
            Fate::Removed => output::print(&format!("removed {what}\n"))?,
            Fate::Kept => output::print(&format!("kept {what}\n"))?,
            Fate::Failed => output::complain(&outcome.why),
        }
    }
    Ok(is_quiet)
}

fn table(candidates: &[Candidate], bytes: bool, view: &View) -> String {
    let mut table = Table::new(vec![
        ("ID", Align::Right),
        ("KEY", Align::Left),
        ("OWNER", Align::Left),
        ("SIZE", Align::Right),
        ("ATTACHED", Align::Right),
        ("CREATOR", Align::Left),
        ("LAST-USER", Align::Left),
        ("AGE", Align::Left),
        ("VERDICT", Align::Left),
        ("WHY", Align::Left),
    ]);
    for Candidate { facts, judgement } in candidates {
        let stat = &facts.stat;
        table.row(vec![
            stat.id.to_string(),
            stat.key.to_string(),
            view.people.user_or_number(stat.uid),
            size::show(stat.size_bytes as u64, bytes),
            stat.attachment_count.to_string(),
            facts.creator.word(stat.creator_pid),
            facts.last_user.word(stat.last_pid),
            time::short(u64::try_from(facts.age).unwrap_or(0).saturating_mul(1000)),
            format!("{:?}", judgement.verdict).to_lowercase(),
            judgement.why.clone(),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    if output::is_terminal() {
        let expendable = ["ATTACHED", "LAST-USER", "CREATOR", "OWNER", "KEY"];
        table.fit(output::terminal_width().into(), ("WHY", 30), &expendable);
    }
    table.render()
}

fn summary(candidates: &[Candidate], leftovers: &Leftovers, view: &View) -> String {
    let of = |verdict: Verdict| candidates.iter().filter(move |one| one.judgement.verdict == verdict);
    let bytes: u64 = of(Verdict::Garbage).map(|one| one.facts.stat.size_bytes as u64).sum();
    let mut text = format!(
        "{} garbage ({}), {} unsure, {} kept",
        of(Verdict::Garbage).count(),
        size::human(bytes),
        of(Verdict::Unsure).count(),
        of(Verdict::Keep).count()
    );
    leftovers.counted().iter().for_each(|count| text.push_str(&format!(", {count}")));
    text.push_str(&format!(" on the {} backend", view.facility.name()));
    if of(Verdict::Garbage).count() + leftovers.count() > 0 {
        text.push_str(". Try: coseg gc --apply");
    }
    text
}
