//! `coseg channel stat`: one channel, and who is at its ends.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use coseg::schema::{PartKind, Type};
use schemars::JsonSchema;
use serde::Serialize;

use super::state::{ChannelState, End, NamedChannel};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{self, BOLD, DIM, printable};
use crate::record::Origin;
use crate::regions;
use crate::selector::Selector;
use crate::size;
use crate::value::TypeJson;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg channel stat name:desk orders     one channel
  coseg channel stat name:desk            the same where the region has one
  coseg channel stat name:desk prices --json | jq '.channel.receivers[] | {pid, lag}'
Looking makes one read-only attachment for a moment, and changes nothing in the region.";

/// Show one channel: how full it is, and who is at its ends
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatArgs {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The channel; may be left out where the region has one
    channel: Option<String>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    key_hex: String,
    region_name: &'a str,
    channel: Channel<'a>,
}

#[derive(JsonSchema, Serialize)]
struct Channel<'a> {
    #[serde(flatten)]
    channel: &'a NamedChannel,
    doc: &'a str,
    r#type: TypeJson<'a>,
}

pub(crate) fn run(args: &StatArgs, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = regions::look(&view, &stat)?;
    let part = super::chosen(&region, &stat, args.channel.as_deref())?;
    let gone = || Failure::nothing(format!("find `{}` of {}: it is gone", part.name, title(&stat)));
    let channel = NamedChannel::of_part(&region, &part.name).ok_or_else(gone)?;
    if global.json {
        let own = Channel { channel: &channel, doc: &part.doc, r#type: channel.r#type() };
        let (id, key_hex) = (stat.id.raw(), stat.key.to_string());
        let origin = Origin::of(&view.facility);
        output::print_json(&Document { origin, id, key_hex, region_name: region.name(), channel: own })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {value}", output::paint(DIM, format!("{name:>9}")));
    };
    let state = &channel.state;
    let doc = if part.doc.is_empty() { String::new() } else { format!("  {}", printable(&part.doc)) };
    line("channel", format!("{}{}", output::paint(BOLD, printable(&channel.name)), output::paint(DIM, doc)));
    line("of", format!("{}, {}", regions::short_title(&stat, &region), title(&stat)));
    line("kind", format!("{}: {}", channel.kind, promise(part.kind)));
    let bytes = |number: usize| size::show(number as u64, global.bytes);
    let message = printable(&channel.of.to_string());
    line(
        "message",
        match channel.of {
            Type::Bytes { .. } => message,
            _ => format!("{message}, {}", output::count(state.message_bytes as u64, "byte", "bytes")),
        },
    );
    for field in fields(&channel.of, "") {
        line("", format!("  {field}"));
    }
    line("capacity", format!("{} {}, {} in all", state.capacity, state.unit(), bytes(state.size_bytes)));
    line("depth", state.depth());
    line("ever", ever(state));
    line("status", state.status().to_owned());
    for (name, ends) in [("senders", &state.senders), ("receivers", &state.receivers)] {
        line(name, if ends.is_empty() { "none".to_owned() } else { ends.len().to_string() });
        for end in ends {
            line("", format!("  {}", End::sentence(end, state.capacity)));
        }
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The fields of a message with their types, units and documentation: `lines[].amount  i64 EUR  What it costs.`
fn fields(of: &Type, path: &str) -> Vec<String> {
    match of {
        Type::Struct(of) => of
            .fields
            .iter()
            .flat_map(|field| {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{}", printable(&field.name));
                let inner = fields(&field.of, &path);
                let own = [&path, &printable(&field.of.to_string()), &printable(&field.unit)];
                let own: Vec<&str> =
                    own.into_iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
                let doc = output::paint(DIM, printable(&field.doc));
                let space = if field.doc.is_empty() { "" } else { "  " };
                std::iter::once(format!("{}{space}{doc}", own.join(" "))).chain(inner)
            })
            .collect(),
        Type::Array { element, .. } => fields(element, &format!("{path}[]")),
        _ => Vec::new(),
    }
}

fn ever(state: &ChannelState) -> String {
    let count = |count: Option<u64>, what: &str| Some(format!("{} {what}", output::grouped(count?)));
    let counts = [count(state.sent_count, "sent"), count(state.received_count, "received")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() { "nobody counts them".to_owned() } else { counts.join(", ") }
}

/// What becomes of a message.
fn promise(kind: PartKind) -> &'static str {
    match kind {
        PartKind::OneToOne => "one sender, one receiver, in order",
        PartKind::Queue => "each message goes to one receiver",
        PartKind::Broadcast => "each message goes to all receivers, and senders wait for the slowest",
        PartKind::BroadcastDropping => {
            "each message goes to all receivers; one who falls behind loses the oldest"
        }
        PartKind::BroadcastFailing => {
            "each message goes to all receivers; one who falls behind gets an error"
        }
        _ => "large messages of one sender, in chunks, to one receiver",
    }
}
