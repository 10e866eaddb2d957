//! `coseg map ls`: the maps of regions, or the entries of one.

use std::process::ExitCode;

use clap::Args;
use coseg::schema::{Part, PartKind, Type};
use coseg::{Inspection, UntypedEntry, UntypedMap, Value};
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use super::{EntryJson, chosen, milliseconds};
use crate::args::Global;
use crate::columns::Column;
use crate::failure::{Failure, Result};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions;
use crate::selector::Selector;
use crate::table::{Align, Table};
use crate::time;
use crate::value::{TypeJson, in_order, line};
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg map ls                                 the maps of all regions
  coseg map ls name:book                       those of one
  coseg map ls name:book quotes                the keys and values of a map
  coseg map ls name:book quotes --json | jq -c 'select(.value > 1)'
  coseg map ls name:book quotes --json | coseg map put name:copy quotes
USED: entries in use; of these, EXPIRED ones are as none, and make room when a new key needs it. \
The entries of a map as --json are lines, one for each, in no order, as coseg map put reads them: \
{\"key\": …, \"value\": …, \"expires_in_ms\": …}, the last only where there is a time. \
Entries are read one after the other, while programs may change them. Looking makes read-only \
attachments for a moment, and changes nothing in a region.
Exit codes: 1 if there is no such region or map.";

/// List the maps of regions, or the keys and values of one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Ls {
    /// Only this region's
    #[arg(value_name = "SEGMENT")]
    selector: Option<Selector>,
    /// The keys and values of this map
    map: Option<String>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    maps: Vec<Row<'a>>,
    refused: Vec<String>,
}

/// The field names are a promise.
#[derive(JsonSchema, Serialize)]
struct Row<'a> {
    region_id: i32,
    region_key_hex: String,
    region_name: &'a str,
    name: &'a str,
    doc: &'a str,
    capacity: usize,
    used_count: usize,
    expired_count: usize,
    key_type: TypeJson<'a>,
    value_type: TypeJson<'a>,
}

pub(crate) fn run(args: &Ls, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    if let (Some(selector), Some(name)) = (&args.selector, &args.map) {
        let stat = selector.one(&view)?.stat;
        let region = regions::look(&view, &stat)?;
        return entries(&chosen(&region, &stat, name)?, global);
    }
    let (regions, refused) = regions::chosen_or_all(&view, args.selector.as_ref())?;
    let maps: Vec<(&(Stat, Inspection), UntypedMap)> =
        regions.iter().flat_map(|region| maps(&region.1).map(move |map| (region, map))).collect();
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            maps: maps.iter().map(|(region, map)| row(region, map)).collect(),
            refused: refused.iter().map(Failure::to_string).collect(),
        })?;
    } else {
        output::print(&table(&maps))?;
    }
    for failure in &refused {
        output::note(&format!("not looked into: {failure}"));
    }
    if maps.is_empty() && refused.is_empty() {
        let count = output::count(regions.len() as u64, "region", "regions");
        output::note(&format!("no maps in {count} on the {} backend", view.facility.name()));
    }
    Ok(ExitCode::SUCCESS)
}

fn maps(region: &Inspection) -> impl Iterator<Item = UntypedMap> {
    let is_map = |part: &&Part| part.kind == PartKind::Map;
    region.schema().parts.iter().filter(is_map).filter_map(|part| region.map(&part.name).ok())
}

fn row<'a>((stat, region): &'a (Stat, Inspection), map: &'a UntypedMap) -> Row<'a> {
    Row {
        region_id: stat.id.raw(),
        region_key_hex: stat.key.to_string(),
        region_name: region.name(),
        name: &map.schema().name,
        doc: &map.schema().doc,
        capacity: map.capacity(),
        used_count: map.len(),
        expired_count: map.expired_count(),
        key_type: map.key_type().into(),
        value_type: map.value_type().into(),
    }
}

fn table(maps: &[(&(Stat, Inspection), UntypedMap)]) -> String {
    let mut table = Table::new(vec![
        ("REGION", Align::Left),
        ("MAP", Align::Left),
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("CAPACITY", Align::Right),
        ("USED", Align::Right),
        ("EXPIRED", Align::Right),
    ]);
    for ((stat, region), map) in maps {
        table.row(vec![
            output::words(regions::short_title(stat, region)),
            output::words(printable(&map.schema().name)),
            output::words(printable(&map.key_type().to_string())),
            output::words(printable(&map.value_type().to_string())),
            map.capacity().to_string(),
            map.len().to_string(),
            map.expired_count().to_string(),
        ]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

fn entries(map: &UntypedMap, global: &Global) -> Result<ExitCode> {
    if global.json {
        for entry in map.iter() {
            let (key, entry) = entry?;
            output::print_line(&EntryJson::new(&key, &entry))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut entries = map.iter().collect::<coseg::Result<Vec<(Value, UntypedEntry)>>>()?;
    entries.sort_by(|(one, _), (other, _)| in_order(one, other));
    output::print(&entry_table(map, &entries))?;
    if entries.is_empty() {
        output::note(&format!("no keys in {}", printable(&map.schema().name)));
    }
    Ok(ExitCode::SUCCESS)
}

fn entry_table(map: &UntypedMap, entries: &[(Value, UntypedEntry)]) -> String {
    let columns = Column::all(map.value_type());
    let expires = entries.iter().any(|(_, entry)| entry.expires_in.is_some());
    let is_number = matches!(map.key_type(), Type::Scalar(_));
    let mut header = vec![("key".to_owned(), if is_number { Align::Right } else { Align::Left })];
    header.extend(columns.iter().map(|column| (column.header(), column.align())));
    if expires {
        header.push(("expires_in".to_owned(), Align::Right));
    }
    let mut table = Table::new(header);
    for (key, entry) in entries {
        let mut row = vec![line(key, true)];
        row.extend(columns.iter().map(|column| column.cell(&entry.value, false)));
        if expires {
            let left = entry.expires_in.map(|left| time::short(milliseconds(left)));
            row.push(left.unwrap_or_default());
        }
        table.row(row);
    }
    if table.is_empty() { String::new() } else { table.render() }
}
