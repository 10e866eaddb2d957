//! `coseg set`: values of a region, changed under its lock.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use coseg::{ErrorKind, Inspection, Value};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::failure::{ERROR, Failure, Result};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions::{self, Refused};
use crate::selector::Selector;
use crate::time;
use crate::value::{Json, line};
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg set name:market 'board[1].stock=500'
  coseg set name:market 'ledger[0].holding=0' 'ledger[0].name=nobody'
  coseg set name:market --dry-run 'board[1].stock=500'    what it would change
  coseg set name:market --timeout 500ms 'board[1].stock=500'
A change takes the region's lock, as the programs do, and is seen whole or not at all, whoever \
is killed. Several are made one after the other, each of them all or nothing; none is made if \
one of them cannot be a value of its field.
Exit codes: 1 if there is no such region, part, field or row; 124 if the lock was held too long.";

/// Set values of a region, under its lock
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Set {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// Where, and what: a number, true or false, or text without quotes
    #[arg(required = true, value_name = "PATH=VALUE")]
    assignments: Vec<Assignment>,
    /// How long to wait for the lock: 5s, 500ms, 1m
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = time::parse_duration)]
    timeout: Duration,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment {
    path: String,
    text: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Assignment, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.is_empty() => {
                Ok(Assignment { path: path.to_owned(), text: value.to_owned() })
            }
            _ => Err(format!("`{text}` is no PATH=VALUE: write 'board[1].stock=500'")),
        }
    }
}

#[derive(Debug)]
struct Change<'a> {
    path: &'a str,
    before: Value,
    after: Value,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    dry_run: bool,
    changes: Vec<ChangeJson<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct ChangeJson<'a> {
    path: &'a str,
    before: Json<&'a Value>,
    after: Json<&'a Value>,
}

pub(crate) fn run(args: &Set, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let mut changes = {
        let region = regions::look(&view, &stat).map_err(|refused| {
            let is_plain =
                matches!(&refused, Refused::Error(error) if *error.kind() == ErrorKind::NotARegion);
            let failure = Failure::from(refused);
            if is_plain {
                failure.hint("coseg write, at an offset: nothing locks what is no region")
            } else {
                failure
            }
        })?;
        args.assignments.iter().map(|wanted| check(&region, wanted)).collect::<Result<Vec<_>>>()?
    };
    let mut failed = None;
    if !args.dry_run {
        let region = regions::join(&view, &stat)?;
        changes.clear();
        for wanted in &args.assignments {
            match set(&region, wanted, args.timeout) {
                Ok(change) => changes.push(change),
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        regions::tell_recoveries(&region);
    }
    if global.json {
        let changes = changes.iter().map(|Change { path, before, after }| ChangeJson {
            path,
            before: Json(before),
            after: Json(after),
        });
        let (id, changes) = (stat.id.raw(), changes.collect());
        let origin = Origin::of(&view.facility);
        output::print_json(&Document { origin, id, dry_run: args.dry_run, changes })?;
    } else {
        let verb = if args.dry_run { "would set " } else { "" };
        for Change { path, before, after } in &changes {
            let (before, after) = (line(before, true), line(after, true));
            output::print(&format!("{verb}{}: {before} -> {after}\n", printable(path)))?;
        }
    }
    match failed {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) if changes.is_empty() => Err(failure),
        Some(failure) => {
            let (done, all) = (changes.len(), args.assignments.len());
            Err(failure.retell(|text| format!("{text}; {done} of {all} set before")))
        }
    }
}

/// What an assignment would do. A place that is not there is nothing found, a text that is no value wrong usage.
fn check<'a>(region: &Inspection, wanted: &'a Assignment) -> Result<Change<'a>> {
    regions::patiently(|| region.get(&wanted.path))?;
    let (before, after) = region
        .check(&wanted.path, &wanted.text)
        .map_err(|error| Failure::new(ERROR, error.to_string()).hint("coseg show, which tells its type"))?;
    Ok(Change { path: &wanted.path, before, after })
}

fn set<'a>(region: &Inspection, wanted: &'a Assignment, timeout: Duration) -> Result<Change<'a>> {
    let (before, after) = region.set(&wanted.path, &wanted.text, timeout)?;
    Ok(Change { path: &wanted.path, before, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_split_at_the_first_equals_sign() {
        let parsed: Assignment = "a[1].b=x=y".parse().unwrap();
        assert_eq!((parsed.path.as_str(), parsed.text.as_str()), ("a[1].b", "x=y"));
        assert_eq!("a=".parse::<Assignment>().unwrap().text, "");
        for text in ["a", "=1", ""] {
            assert!(text.parse::<Assignment>().unwrap_err().contains("PATH=VALUE"), "{text}");
        }
    }
}
