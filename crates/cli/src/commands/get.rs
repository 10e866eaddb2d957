//! `coseg get`: one value of a region.

use std::process::ExitCode;

use clap::Args;
use coseg::Value;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::contents::Contents;
use crate::failure::{Failure, Result};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions::patiently;
use crate::selector::Selector;
use crate::told::{Subject, Told};
use crate::value::{Json, at, bare};
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg get name:market 'board[1].stock'    a number alone, for a script
  coseg get name:market '[1].stock'         the same where the region has one cell
  coseg get name:market 'ledger[3]'         a row of a table, on one line
  coseg get name:market 'quotes[\"EURUSD\"]'  a map's value, by its key
  coseg get name:market trades              a counter
  coseg get name:market board --json | jq .value
  coseg get 0x4558 '[1].sell' --as 'struct { double sell, buy; } [4]'       of what is no region
  coseg get 0x4557 'quotes[0].name' --type 'struct market'                  by a type of its program
A type that was told of a key is remembered, as by coseg show, which forgets it with --forget. \
Text comes without quotes, in a struct or an array with them. On a terminal, what would steer it is \
spelled out.
Exit codes: 1 if there is no such region, part, field or row.";

/// Print one value of a region, or of what is told to be in a segment
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// PART, then .FIELD and `[INDEX]` or `[KEY]` as deep as wanted; without a region from .FIELD or `[INDEX]` on
    path: String,
    #[command(flatten)]
    told: Told,
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
    let value = match args.told.region(&view, &stat)? {
        Some(region) => patiently(|| region.get(&args.path))?,
        None => of_type(args, &view, &stat)?,
    };
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

/// The value at the path, by a type that is told.
fn of_type(args: &Get, view: &View, stat: &Stat) -> Result<Value> {
    let contents = Contents::open(view, stat)?;
    let read = |offset: usize, bytes: &mut [u8]| contents.read(offset, bytes);
    let subject = Subject::of("get", view, stat);
    let Some(found) = args.told.find(&subject, &read)? else { return Err(subject.untold()) };
    let whole = found.value(&subject, &read)?;
    contents.close()?;
    let value = at(&whole, &args.path).map_err(|fact| {
        Failure::nothing(printable(&format!("find `{}` in {}: {fact}", args.path, title(stat))))
    })?;
    found.remember(&subject);
    Ok(value.clone())
}
