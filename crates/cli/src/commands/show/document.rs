//! A region as JSON: the field names are a promise.

use coseg::Value;
use coseg::schema::PartKind;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use super::Shown;
use super::parts::{entries, rows, value};
use crate::commands::channel::state::{ChannelState, NamedChannel};
use crate::commands::locks::state::{LockState, Party};
use crate::failure::Result;
use crate::output;
use crate::record::Origin;
use crate::value::{Json, TypeJson};
use crate::view::View;

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    key: i32,
    key_hex: String,
    segment_size_bytes: usize,
    name: &'a str,
    r#type: &'a str,
    size_bytes: usize,
    created_unix_ns: u64,
    participants_max: usize,
    participants: Vec<Joined>,
    /// What looking did to the segment's attachments.
    looked_through: &'static str,
    parts: Vec<PartJson<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct Joined {
    #[serde(flatten)]
    party: Party,
    uid: u32,
    joined_unix_ns: u64,
}

#[derive(JsonSchema, Serialize)]
struct PartJson<'a> {
    name: &'a str,
    kind: String,
    doc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<TypeJson<'a>>,
    #[serde(flatten)]
    contents: Contents,
}

#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Contents {
    Value {
        value: Json<Value>,
    },
    /// Rows that are all zero are counted instead.
    Rows {
        row_count: usize,
        zero_rows_left_out: usize,
        rows: Vec<Row>,
    },
    /// Those that have not expired.
    Entries {
        capacity: usize,
        entries: Vec<Entry>,
    },
    Lock {
        lock: Option<LockState>,
    },
    Channel {
        channel: Option<ChannelState>,
    },
}

#[derive(JsonSchema, Serialize)]
struct Row {
    row: usize,
    value: Json<Value>,
}

#[derive(JsonSchema, Serialize)]
struct Entry {
    key: Json<Value>,
    value: Json<Value>,
}

pub(super) fn print(view: &View, stat: &Stat, shown: &Shown<'_>, chosen: &[usize]) -> Result<()> {
    let region = shown.region;
    let parts = chosen.iter().map(|&part| part_of(shown, part)).collect::<Result<_>>()?;
    let participants = region.participants();
    let joined = participants.iter().map(|participant| Joined {
        party: Party::of(participant),
        uid: participant.uid,
        joined_unix_ns: participant.joined_unix_ns,
    });
    output::print_json(&Document {
        origin: Origin::of(&view.facility),
        id: stat.id.raw(),
        key: stat.key.raw(),
        key_hex: stat.key.to_string(),
        segment_size_bytes: stat.size_bytes,
        name: region.name(),
        r#type: &region.schema().name,
        size_bytes: region.size_bytes(),
        created_unix_ns: region.created_unix_ns(),
        participants_max: region.participants_max(),
        participants: joined.collect(),
        looked_through: "one read-only attachment",
        parts,
    })
}

fn part_of<'a>(shown: &Shown<'a>, index: usize) -> Result<PartJson<'a>> {
    let region = shown.region;
    let part = &region.schema().parts[index];
    let contents = match part.kind {
        PartKind::Table => {
            let rows = rows(shown, part)?;
            let zero_rows_left_out = part.row_count - rows.len();
            let rows = rows.into_iter().map(|(row, value)| Row { row, value: Json(value) }).collect();
            Contents::Rows { row_count: part.row_count, zero_rows_left_out, rows }
        }
        PartKind::Map => {
            let pairs = entries(region, index)?.into_iter();
            let entries = pairs.map(|(key, value)| Entry { key: Json(key), value: Json(value) }).collect();
            Contents::Entries { capacity: part.row_count, entries }
        }
        kind if kind.is_lock() => Contents::Lock { lock: LockState::of_part(region, &part.name) },
        kind if kind.is_channel() => {
            let channel = NamedChannel::of_part(region, &part.name);
            Contents::Channel { channel: channel.map(|channel| channel.state) }
        }
        _ => Contents::Value { value: Json(value(region, index)?) },
    };
    let r#type = part.of.as_ref().map(TypeJson::from);
    Ok(PartJson { name: &part.name, kind: part.kind.to_string(), doc: &part.doc, r#type, contents })
}
