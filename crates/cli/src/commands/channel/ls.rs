//! `coseg channel ls`: the channels of all regions, or of one.

use std::process::ExitCode;

use clap::Args;
use coseg::Inspection;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use super::state::{End, NamedChannel};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions::{self, Opened};
use crate::selector::Selector;
use crate::table::{Align, Table};
use crate::value::TypeJson;
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg channel ls                    the channels of all regions
  coseg channel ls name:desk          those of one
  coseg channel ls --json | jq -r '.channels[] | select(.closed).name'
READY: messages that wait to be received; of a broadcast, by its slowest receiver; of a stream, \
chunks. HELD: those that a receiver holds, and - where receivers keep that to themselves. SENT: all \
that ever were, where somebody counts. SENDERS and RECEIVERS: ends that are taken, +1 by the dead. \
STATUS: open, closed, full, or orphaned: of what is held or being written, something is the dead's; \
the next to send or receive takes it over.
Looking makes read-only attachments for a moment, and changes nothing in a region.";

/// List the channels of regions
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Ls {
    /// Only this region's
    #[arg(value_name = "SEGMENT")]
    selector: Option<Selector>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    channels: Vec<Row<'a>>,
    refused: Vec<String>,
}

#[derive(JsonSchema, Serialize)]
struct Row<'a> {
    region_id: i32,
    region_key_hex: String,
    region_name: &'a str,
    #[serde(flatten)]
    channel: &'a NamedChannel,
    r#type: TypeJson<'a>,
}

pub(crate) fn run(args: &Ls, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let (regions, refused) = regions::chosen_or_all(&view, args.selector.as_ref())?;
    let channels: Vec<(&(Stat, Inspection), Vec<NamedChannel>)> =
        regions.iter().map(|region| (region, NamedChannel::all(&region.1))).collect();
    if global.json {
        let rows = channels.iter().flat_map(|((stat, region), channels)| {
            channels.iter().map(|channel| Row {
                region_id: stat.id.raw(),
                region_key_hex: stat.key.to_string(),
                region_name: region.name(),
                channel,
                r#type: channel.r#type(),
            })
        });
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            channels: rows.collect(),
            refused: refused.iter().map(Failure::to_string).collect(),
        })?;
    } else {
        output::print(&table(&channels))?;
    }
    for failure in &refused {
        output::note(&format!("not looked into: {failure}"));
    }
    if channels.iter().all(|(_, channels)| channels.is_empty()) && refused.is_empty() {
        output::note(&nothing(&view, &regions));
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing(view: &View, regions: &Opened) -> String {
    let count = output::count(regions.len() as u64, "region", "regions");
    format!("no channels in {count} on the {} backend", view.facility.name())
}

fn table(regions: &[(&(Stat, Inspection), Vec<NamedChannel>)]) -> String {
    let mut table = Table::new(vec![
        ("REGION", Align::Left),
        ("CHANNEL", Align::Left),
        ("KIND", Align::Left),
        ("MESSAGE", Align::Left),
        ("CAPACITY", Align::Right),
        ("READY", Align::Right),
        ("HELD", Align::Right),
        ("SENT", Align::Right),
        ("SENDERS", Align::Right),
        ("RECEIVERS", Align::Right),
        ("STATUS", Align::Left),
    ]);
    for ((stat, region), channels) in regions {
        for channel in channels {
            let state = &channel.state;
            table.row(vec![
                output::words(regions::short_title(stat, region)),
                output::words(printable(&channel.name)),
                output::words(channel.kind.strip_suffix(" channel").unwrap_or(&channel.kind).to_owned()),
                output::words(printable(&channel.of.to_string())),
                state.capacity.to_string(),
                state.ready_count.to_string(),
                state.held_count.map(|held| held.to_string()).unwrap_or_default(),
                state.sent_count.map(|sent| sent.to_string()).unwrap_or_default(),
                ends(&state.senders),
                ends(&state.receivers),
                state.status().to_owned(),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    if output::is_terminal() {
        let width = output::terminal_width().into();
        table.fit(width, ("MESSAGE", 10), &["SENT", "HELD", "KIND", "CAPACITY"]);
    }
    table.render()
}

/// `2`, `1+1`: two living, one living and one dead.
fn ends(ends: &[End]) -> String {
    let dead = ends.iter().filter(|end| end.dead).count();
    let living = ends.len() - dead;
    if dead > 0 { format!("{living}+{dead}") } else { living.to_string() }
}
