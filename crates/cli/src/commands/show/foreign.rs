//! A segment that no region describes, by a type that is told otherwise.

use std::fmt::Write;

use coseg::Value;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Show, parts};
use crate::args::Global;
use crate::contents::Contents;
use crate::failure::{Failure, Result};
use crate::output::{self, DIM, printable};
use crate::record::Origin;
use crate::size;
use crate::told::{Found, Subject};
use crate::value::{Json, TypeJson};
use crate::view::{View, title};

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    key: i32,
    key_hex: String,
    segment_size_bytes: usize,
    declared: &'a str,
    declared_by: &'a str,
    offset_bytes: usize,
    looked_through: &'static str,
    r#type: TypeJson<'a>,
    value: Json<&'a Value>,
}

/// Shows a segment by a type that is told or known.
pub(super) fn show(args: &Show, global: &Global, view: &View, stat: &Stat) -> Result<()> {
    let contents = Contents::open(view, stat)?;
    let read = |offset: usize, bytes: &mut [u8]| contents.read(offset, bytes);
    let subject = Subject::of("show", view, stat);
    let Some(found) = args.told.find(&subject, &read)? else { return Err(subject.untold()) };
    if let Some(part) = &args.part {
        let text = format!("show {}: it is no region, and has no part `{}`", title(stat), printable(part));
        return Err(Failure::nothing(text).hint("coseg get, which takes paths to fields"));
    }
    let value = found.value(&subject, &read)?;
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id: stat.id.raw(),
            key: stat.key.raw(),
            key_hex: stat.key.to_string(),
            segment_size_bytes: stat.size_bytes,
            declared: &found.text,
            declared_by: found.told_by,
            offset_bytes: found.offset_bytes,
            looked_through: contents.looked_through(),
            r#type: TypeJson::from(&found.of),
            value: Json(&value),
        })?;
    } else {
        let through = contents.looked_through();
        let mut text = header(global, view, stat, through, &found);
        parts::describe_value(&mut text, &found.of, &value, args.all);
        output::print(&text)?;
    }
    found.remember(&subject);
    contents.close()
}

fn header(global: &Global, view: &View, stat: &Stat, through: &str, found: &Found) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {value}", output::paint(DIM, format!("{name:>12}")));
    };
    line("segment", format!("{}, {}", title(stat), size::show(stat.size_bytes as u64, global.bytes)));
    line("backend", view.facility.place());
    let at = match found.offset_bytes {
        0 => String::new(),
        offset => format!(", from byte {offset} on"),
    };
    line("type", format!("{} ({}{at})", printable(&found.text), found.told_by));
    line("looked at by", through.to_owned());
    text.push('\n');
    text
}
