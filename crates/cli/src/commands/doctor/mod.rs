//! `coseg doctor`: what is wrong or soon will be, by what it shows, and the command that mends it.

mod capacity;
mod segments;
mod system;

use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::failure::{NOTHING, Result};
use crate::output::{self, BAD, DIM, GOOD, WARN};
use crate::record::Origin;
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg doctor
  warning  mode: 1 segment may be written by any user
           key 0x00004242 (id 1), 4KiB: mode 0666, of root
           Try: coseg chmod 600 id:1
  0 problems and 1 warning on the kernel backend, by 12 checks
  coseg doctor --json | jq -r '.findings[] | select(.severity != \"note\") | .mend'

It looks at limits (shmmni, shmall, shmmax), at the room in /dev/shm, at systemd's RemoveIPC, at IPC \
namespaces, huge pages and shm_rmid_forced; at segments that leaked, may be written by any user, have the \
key that ftok's failure makes or one that two files share; and at regions' locks and participants. Nothing \
is changed. To look into a region that somebody is attached to, it is attached for reading, for a moment.
Exit codes: 0 all is well, but for notes; 1 a problem or a warning; 2 usage or error.";

/// Look for what is wrong or soon will be, and say what mends it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {}

/// How bad it is; all but notes make the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// Something fails now.
    Problem,
    /// Something may fail, or is lost or open to others.
    Warning,
    /// Good to know.
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
struct Finding {
    severity: Severity,
    check: &'static str,
    fact: String,
    evidence: Vec<String>,
    /// The command that mends it, or shows more.
    mend: Option<String>,
}

impl Finding {
    fn new(severity: Severity, check: &'static str, fact: impl Into<String>) -> Finding {
        Finding { severity, check, fact: fact.into(), evidence: Vec::new(), mend: None }
    }

    fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Finding {
        self.evidence.extend(lines);
        self
    }

    fn mend(mut self, command: impl Into<String>) -> Finding {
        self.mend = Some(command.into());
        self
    }
}

/// A part of the examination.
type Check = fn(&View) -> Result<Vec<Finding>>;

const CHECKS: [(&str, Check); 12] = [
    ("limits", capacity::limits),
    ("storage", capacity::storage),
    ("remove-ipc", system::remove_ipc),
    ("rmid-forced", system::rmid_forced),
    ("namespaces", system::other_namespaces),
    ("huge-pages", system::huge_pages),
    ("garbage", segments::garbage),
    ("leaked", segments::leaked),
    ("mode", segments::open_to_all),
    ("failed-ftok", segments::failed_ftok),
    ("ftok-collision", segments::collisions),
    ("regions", segments::regions),
];

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    checks: Vec<&'a str>,
    findings: &'a [Finding],
    problem_count: usize,
    warning_count: usize,
    note_count: usize,
}

pub(crate) fn run(_: &Doctor, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    // Before any region is looked into: then we would be attached too.
    view.who()?;
    let mut findings = Vec::new();
    for (name, check) in CHECKS {
        match check(&view) {
            Ok(found) => findings.extend(found),
            Err(failure) => {
                findings.push(Finding::new(Severity::Note, name, format!("could not be checked: {failure}")));
            }
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (problem_count, warning_count) = (count(Severity::Problem), count(Severity::Warning));
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            checks: CHECKS.map(|(name, _)| name).to_vec(),
            findings: &findings,
            problem_count,
            warning_count,
            note_count: count(Severity::Note),
        })?;
    } else {
        let text: String = findings.iter().map(Finding::text).collect();
        output::print(&(text + &verdict(problem_count, warning_count, &view)))?;
    }
    let is_well = problem_count + warning_count == 0;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(NOTHING) })
}

fn verdict(problem_count: usize, warning_count: usize, view: &View) -> String {
    let backend = view.facility.name();
    let checks = CHECKS.len();
    if problem_count + warning_count == 0 {
        let text = format!("all is well on the {backend} backend, by {checks} checks");
        return format!("{}\n", output::paint(GOOD, text));
    }
    let problems = output::count(problem_count as u64, "problem", "problems");
    let warnings = output::count(warning_count as u64, "warning", "warnings");
    format!("{problems} and {warnings} on the {backend} backend, by {checks} checks\n")
}

impl Severity {
    fn style(self) -> Style {
        match self {
            Severity::Problem => BAD,
            Severity::Warning => WARN,
            Severity::Note => DIM,
        }
    }
}

impl Finding {
    fn text(&self) -> String {
        // As wide as the longest of the three, so that facts stand below one another.
        let severity = format!("{:<9}", format!("{:?}", self.severity).to_lowercase());
        let mut text =
            format!("{}{}: {}\n", output::paint(self.severity.style(), severity), self.check, self.fact);
        let mend = self.mend.iter().map(|mend| format!("Try: {mend}"));
        for line in self.evidence.iter().cloned().chain(mend) {
            text.push_str(&format!("{:9}{line}\n", ""));
        }
        text
    }
}
