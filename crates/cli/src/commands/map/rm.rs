//! `coseg map rm`: keys, removed with their values.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coseg::{UntypedMap, Value};
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Change, absent, chosen, keys, place, print_changes};
use crate::args::Global;
use crate::failure::{Failure, NOTHING, Result};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions::{self, patiently};
use crate::selector::Selector;
use crate::time;
use crate::value::line;
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg map rm name:book quotes EURUSD
  coseg map rm name:book positions 17 42 --dry-run     what would go
  coseg map rm name:book quotes --expired              make room, before a new key needs it
A change takes the region's lock, as the programs do. Several keys are removed one after the \
other; none is if one of them cannot be a key of the map.
Exit codes: 1 if there is no such region or map, or one of the keys is not there; 124 if the lock \
was held too long.";

/// Remove keys and their values
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, visible_alias = "remove")]
pub(crate) struct Rm {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The part that is a map
    map: String,
    /// A number or text without quotes, or JSON
    #[arg(required_unless_present = "expired", value_name = "KEY", allow_negative_numbers = true)]
    keys: Vec<String>,
    /// All that have expired
    #[arg(long, conflicts_with = "keys")]
    expired: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// How long to wait for the lock: 5s, 500ms, 1m
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = time::parse_duration)]
    timeout: Duration,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Summary<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    map: &'a str,
    dry_run: bool,
    expired_count: usize,
}

pub(crate) fn run(args: &Rm, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = if args.dry_run { regions::look(&view, &stat)? } else { regions::join(&view, &stat)? };
    let map = chosen(&region, &stat, &args.map)?;
    let done = if args.expired {
        remove_expired(args, &view, &stat, &map, global.json)
    } else {
        remove_keys(args, &view, &stat, &map, global.json)
    };
    regions::tell_recoveries(&region);
    done
}

fn remove_expired(args: &Rm, view: &View, stat: &Stat, map: &UntypedMap, json: bool) -> Result<ExitCode> {
    let expired_count = if args.dry_run { map.expired_count() } else { map.remove_expired(args.timeout)? };
    if json {
        let (origin, id) = (Origin::of(&view.facility), stat.id.raw());
        let (map, dry_run) = (&map.schema().name, args.dry_run);
        output::print_json(&Summary { origin, id, map, dry_run, expired_count })?;
    } else {
        let count = output::count(expired_count as u64, "expired entry", "expired entries");
        let of = printable(&map.schema().name);
        output::print(&format!("{} {count} of {of}\n", verb(args.dry_run)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove_keys(args: &Rm, view: &View, stat: &Stat, map: &UntypedMap, json: bool) -> Result<ExitCode> {
    let mut changes = Vec::new();
    let mut code = ExitCode::SUCCESS;
    let mut failed = None;
    for key in keys(map, stat, &args.keys)? {
        match remove(args, map, &key) {
            Ok(Some(before)) => {
                if !json {
                    let (place, before) = (place(map, &key), line(&before, true));
                    output::print(&format!("{} {place}: {before}\n", verb(args.dry_run)))?;
                }
                changes.push(Change { key, before: Some(before), after: None });
            }
            Ok(None) => {
                output::complain(&absent(map, stat, &key).to_string());
                code = ExitCode::from(NOTHING);
            }
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    if json {
        print_changes(view, stat, map, args.dry_run, &changes)?;
    }
    failed.map_or(Ok(code), Err)
}

/// What a key had.
fn remove(args: &Rm, map: &UntypedMap, key: &Value) -> Result<Option<Value>, Failure> {
    let entry =
        if args.dry_run { patiently(|| map.get(key))? } else { map.update(key, args.timeout, Option::take)? };
    Ok(entry.map(|entry| entry.value))
}

fn verb(dry_run: bool) -> &'static str {
    if dry_run { "would remove" } else { "removed" }
}
