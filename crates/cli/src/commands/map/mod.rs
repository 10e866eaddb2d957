//! `coseg map`: the maps of regions, and their values by their keys.

pub(super) mod get;
pub(super) mod ls;
pub(super) mod put;
pub(super) mod rm;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use coseg::schema::{PartKind, Type};
use coseg::{Inspection, UntypedEntry, UntypedMap, Value};
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{self, printable};
use crate::parse;
use crate::record::Origin;
use crate::regions;
use crate::value::{Json, line};
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg map ls                                every map of every region
  coseg map ls name:book quotes               its keys, values, and when they expire
  coseg map get name:book quotes EURUSD       a value, as JSON
  coseg map put name:book quotes EURUSD 1.07 --for 1m
  coseg map put name:book positions 17 '{\"amount\": 5, \"price\": 1.5}'
  coseg map rm name:book quotes EURUSD
  coseg map ls name:book quotes --json | coseg map put name:copy quotes
What keys and values consist of is told by the region; the programs that made it are not needed.";

/// See the maps of regions; read, set and remove values by their keys
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Map {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(ls::Ls),
    Get(get::Get),
    Put(put::Put),
    Rm(rm::Rm),
}

impl Map {
    /// Whether it leaves the region as it is.
    pub(super) fn only_looks(&self) -> bool {
        matches!(self.command, Command::Ls(_) | Command::Get(_))
    }
}

pub(crate) fn run(args: &Map, global: &Global) -> Result<ExitCode> {
    match &args.command {
        Command::Ls(args) => ls::run(args, global),
        Command::Get(args) => get::run(args, global),
        Command::Put(args) => put::run(args, global),
        Command::Rm(args) => rm::run(args, global),
    }
}

/// The map of this name.
fn chosen(region: &Inspection, stat: &Stat, name: &str) -> Result<UntypedMap> {
    let part = regions::part_of_kind(region, stat, "map", |kind| kind == PartKind::Map, Some(name))?;
    Ok(region.map(&part.name)?)
}

/// How messages name a key's place: `quotes["EURUSD"]`, as paths do.
fn place(map: &UntypedMap, key: &Value) -> String {
    format!("{}[{}]", printable(&map.schema().name), line(key, true))
}

/// A key or value that is an argument.
fn argument(what: &str, stat: &Stat, of: &Type, text: &str) -> Result<Value> {
    let value = parse::argument(of, text).and_then(|value| checked(of, value));
    value.map_err(|fact| {
        Failure::error(format!("{what}: {}", printable(&fact)))
            .hint(format!("coseg map ls id:{}, which shows the types of keys and values", stat.id))
    })
}

fn keys(map: &UntypedMap, stat: &Stat, texts: &[String]) -> Result<Vec<Value>> {
    texts.iter().map(|text| argument(&format!("key {text}"), stat, map.key_type(), text)).collect()
}

/// A value as the region will have it, or why it cannot: `5` where a number with a fraction belongs is 5.0.
fn checked(of: &Type, value: Value) -> Result<Value, String> {
    let bytes = coseg::encode(of, &value).map_err(|error| error.to_string())?;
    Ok(coseg::decode(of, &bytes))
}

fn absent(map: &UntypedMap, stat: &Stat, key: &Value) -> Failure {
    Failure::nothing(format!("find {} of {}: there is no such key", place(map, key), title(stat)))
        .hint(format!("coseg map ls id:{} {}, which lists its keys", stat.id, printable(&map.schema().name)))
}

/// An entry as `ls` prints it, and `put` reads it.
#[derive(JsonSchema, Serialize)]
pub(crate) struct EntryJson<'a> {
    key: Json<&'a Value>,
    value: Json<&'a Value>,
    /// Absent where it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl EntryJson<'_> {
    fn new<'a>(key: &'a Value, entry: &'a UntypedEntry) -> EntryJson<'a> {
        EntryJson {
            key: Json(key),
            value: Json(&entry.value),
            expires_in_ms: entry.expires_in.map(milliseconds),
        }
    }
}

/// Rounded up: what is there still has some time left.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What became of a key.
#[derive(Debug)]
struct Change {
    key: Value,
    before: Option<Value>,
    after: Option<Value>,
}

/// Changes as a document.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    map: &'a str,
    dry_run: bool,
    changes: Vec<ChangeJson<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct ChangeJson<'a> {
    key: Json<&'a Value>,
    before: Option<Json<&'a Value>>,
    after: Option<Json<&'a Value>>,
}

fn print_changes(
    view: &View,
    stat: &Stat,
    map: &UntypedMap,
    dry_run: bool,
    changes: &[Change],
) -> Result<()> {
    let changes = changes.iter().map(|change| ChangeJson {
        key: Json(&change.key),
        before: change.before.as_ref().map(Json),
        after: change.after.as_ref().map(Json),
    });
    output::print_json(&Document {
        origin: Origin::of(&view.facility),
        id: stat.id.raw(),
        map: &map.schema().name,
        dry_run,
        changes: changes.collect(),
    })
}
