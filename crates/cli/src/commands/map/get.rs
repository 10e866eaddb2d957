//! `coseg map get`: values by their keys.

use std::process::ExitCode;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{EntryJson, absent, chosen, keys};
use crate::args::Global;
use crate::failure::{NOTHING, Result};
use crate::output;
use crate::record::Origin;
use crate::regions::{self, patiently};
use crate::selector::Selector;
use crate::value::Json;
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg map get name:book quotes EURUSD             1.07
  coseg map get name:book positions 17 42           two of them, a line each
  coseg map get name:book pairs '[1, 2]'            a key that is no number or text, as JSON
  coseg map get name:book positions 17 | jq .amount
  coseg map get name:book quotes EURUSD --json | jq '.entries[0].expires_in_ms'
Values are JSON: {\"field\": …}, [elements], numbers, text. One field without quotes: coseg get.
Exit codes: 1 if there is no such region or map, or one of the keys is not there.";

/// Print the values of keys: JSON, a line each
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The part that is a map
    map: String,
    /// A number or text without quotes, or JSON
    #[arg(required = true, value_name = "KEY", allow_negative_numbers = true)]
    keys: Vec<String>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    map: &'a str,
    entries: Vec<EntryJson<'a>>,
}

pub(crate) fn run(args: &Get, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = regions::look(&view, &stat)?;
    let map = chosen(&region, &stat, &args.map)?;
    let keys = keys(&map, &stat, &args.keys)?;
    let mut found = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for key in &keys {
        match patiently(|| map.get(key))? {
            Some(entry) if global.json => found.push((key, entry)),
            Some(entry) => output::print_line(&Json(&entry.value))?,
            None => {
                output::complain(&absent(&map, &stat, key).to_string());
                code = ExitCode::from(NOTHING);
            }
        }
    }
    if global.json {
        let entries = found.iter().map(|(key, entry)| EntryJson::new(key, entry)).collect();
        let (origin, id) = (Origin::of(&view.facility), stat.id.raw());
        output::print_json(&Document { origin, id, map: &map.schema().name, entries })?;
    }
    Ok(code)
}
