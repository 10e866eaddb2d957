//! `coseg get`: one value of a region.

use std::process::ExitCode;

use clap::Args;
use coseg::Value;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::failure::Result;
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions::{self, patiently};
use crate::selector::Selector;
use crate::value::{Json, bare};
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg get name:market 'board[1].stock'    a number alone, for a script
  coseg get name:market '[1].stock'         the same where the region has one cell
  coseg get name:market 'ledger[3]'         a row of a table, on one line
  coseg get name:market 'quotes[\"EURUSD\"]' a map's value, by its key
  coseg get name:market trades              a counter
  coseg get name:market board --json | jq .value
Text comes without quotes, in a struct or an array with them. On a terminal, what would steer it is
spelled out.
Exit codes: 1 if there is no such region, part, field or row.";

/// Print one value of a region
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// PART, then .FIELD and `[INDEX]` or `[KEY]` as deep as wanted
    path: String,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    path: &'a str,
    value: Json<&'a Value>,
}

pub(crate) fn run(args: &Get, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = regions::look(&view, &stat)?;
    let value = patiently(|| region.get(&args.path))?;
    if global.json {
        let origin = Origin::of(&view.facility);
        let (id, value) = (stat.id.raw(), Json(&value));
        output::print_json(&Document { origin, id, path: &args.path, value })?;
    } else {
        let text = bare(&value);
        let text = if output::is_terminal() { printable(&text) } else { text };
        output::print_raw(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
