//! Fields of two regions that differ.

use std::collections::BTreeMap;
use std::fmt;

use coseg::schema::{Field, Part, PartKind, Type};
use coseg::{Inspection, Value};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::channel::state::NamedChannel;
use crate::commands::locks::state::LockState;
use crate::commands::show::parts;
use crate::failure::Result;
use crate::image::Image;
use crate::output::printable;
use crate::table::{Align, Table};
use crate::value::{Json, is_zero, line};

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct FieldDifference {
    field: String,
    /// Null where there is none: a key of a map, or a part, that the other side alone has.
    before: Option<Json<Value>>,
    after: Option<Json<Value>>,
    unit: String,
}

impl FieldDifference {
    pub(in crate::commands) fn field(&self) -> &str {
        &self.field
    }
}

/// `board[0].sell  13.72 -> 14.0 EUR`
impl fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<Json<Value>>| {
            value.as_ref().map_or("nothing".into(), |Json(value)| line(value, false))
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", printable(&self.unit)) };
        write!(f, "{}  {} -> {}{unit}", self.field, value(&self.before), value(&self.after))
    }
}

/// A region and the copy that it was found in.
type One<'a> = (&'a Image, &'a Inspection);

pub(in crate::commands) struct Both<'a> {
    before: One<'a>,
    after: One<'a>,
    leaves: Leaves,
}

/// What was found so far.
#[derive(Default)]
struct Leaves {
    found: Vec<FieldDifference>,
    count: usize,
    limit: usize,
}

/// How two values of one type differ: how many differences there are, and the first of them.
pub(in crate::commands) fn of_values(
    of: &Type,
    (before, after): (&Value, &Value),
    limit: usize,
) -> (usize, Vec<FieldDifference>) {
    let mut leaves = Leaves { limit, ..Leaves::default() };
    leaves.values("", of, "", before, after);
    (leaves.count, leaves.found)
}

impl<'a> Both<'a> {
    pub(in crate::commands) fn new(before: One<'a>, after: One<'a>) -> Both<'a> {
        Both { before, after, leaves: Leaves::default() }
    }

    /// How many there are, and the first of them.
    pub(in crate::commands) fn differences(mut self, limit: usize) -> Result<(usize, Vec<FieldDifference>)> {
        self.leaves.limit = limit;
        let (before, after) = (self.before.1.schema(), self.after.1.schema());
        let name = |region: &Inspection| Some(Value::Text(region.name().to_owned()));
        self.leaves.leaf("name of the region", "", name(self.before.1), name(self.after.1));
        for (index, part) in before.parts.iter().enumerate() {
            match after.parts.iter().position(|other| other.name == part.name) {
                None => self.leaves.leaf(&printable(&part.name), "", what(Some(part)), None),
                Some(other_index) => {
                    let other = &after.parts[other_index];
                    if (part.kind, &part.of) == (other.kind, &other.of) {
                        self.part(part, other, (index, other_index))?;
                    } else {
                        self.leaves.leaf(&printable(&part.name), "", what(Some(part)), what(Some(other)));
                    }
                }
            }
        }
        for part in &after.parts {
            if !before.parts.iter().any(|other| other.name == part.name) {
                self.leaves.leaf(&printable(&part.name), "", None, what(Some(part)));
            }
        }
        Ok((self.leaves.count, self.leaves.found))
    }

    fn part(&mut self, part: &'a Part, other: &Part, (index, other_index): (usize, usize)) -> Result<()> {
        let name = printable(&part.name);
        let (before, after) = (self.before.1, self.after.1);
        match (part.kind, &part.of) {
            (PartKind::Table, Some(of)) => {
                for row in 0..part.row_count.max(other.row_count) {
                    if self.is_same_row((index, other_index), row)? {
                        continue;
                    }
                    let path = format!("{}[{row}]", part.name);
                    let one = (row < part.row_count).then(|| before.get(&path)).transpose()?;
                    let two = (row < other.row_count).then(|| after.get(&path)).transpose()?;
                    match (one, two) {
                        (Some(one), Some(two)) => self.leaves.values(&printable(&path), of, "", &one, &two),
                        // A row that nobody wrote is as one that is not there.
                        (one, two) => {
                            let written = |value: &Value| !is_zero(value);
                            self.leaves.leaf(&printable(&path), "", one.filter(written), two.filter(written));
                        }
                    }
                }
            }
            (PartKind::Map, Some(Type::Struct(of))) => {
                let [_, value] = of.fields.as_slice() else { return Ok(()) };
                let mut keys: BTreeMap<String, [Option<Value>; 2]> = BTreeMap::new();
                for (side, (region, index)) in [(before, index), (after, other_index)].into_iter().enumerate()
                {
                    for (key, value) in parts::entries(region, index)? {
                        keys.entry(line(&key, true)).or_default()[side] = Some(value);
                    }
                }
                for (key, [one, two]) in keys {
                    let path = format!("{name}[{key}]");
                    match (one, two) {
                        (Some(one), Some(two)) => self.leaves.values(&path, &value.of, "", &one, &two),
                        (one, two) => self.leaves.leaf(&path, "", one, two),
                    }
                }
            }
            (kind, _) if kind.is_lock() => {
                let state =
                    |region| LockState::of_part(region, &part.name).map(|lock| Value::Text(lock.owned_by()));
                self.leaves.leaf(&name, "", state(before), state(after));
            }
            (kind, _) if kind.is_channel() => {
                let state = |region| {
                    NamedChannel::of_part(region, &part.name)
                        .map(|channel| Value::Text(channel.state.sentence()))
                };
                self.leaves.leaf(&name, "", state(before), state(after));
            }
            (_, of) => {
                let (one, two) = (parts::value(before, index)?, parts::value(after, other_index)?);
                match of {
                    Some(of) => self.leaves.values(&name, of, "", &one, &two),
                    None => self.leaves.leaf(&name, "", Some(one), Some(two)),
                }
            }
        }
        Ok(())
    }

    /// Whether a row is the same with all its versions; most rows of a large table are.
    fn is_same_row(&self, (index, other_index): (usize, usize), row: usize) -> Result<bool> {
        let ((one_image, one), (two_image, two)) = (self.before, self.after);
        let (Some(one), Some(two)) = (one.row_range(index, row), two.row_range(other_index, row)) else {
            return Ok(false);
        };
        if one.len() != two.len() || one.end > one_image.size_bytes() || two.end > two_image.size_bytes() {
            return Ok(false);
        }
        let (mut one_bytes, mut two_bytes) = (vec![0; one.len()], vec![0; two.len()]);
        one_image.read(one.start, &mut one_bytes)?;
        two_image.read(two.start, &mut two_bytes)?;
        Ok(one_bytes == two_bytes)
    }
}

impl Leaves {
    fn values(&mut self, path: &str, of: &Type, unit: &str, before: &Value, after: &Value) {
        match (of, before, after) {
            (Type::Struct(of), Value::Struct(before), Value::Struct(after)) => {
                for (Field { name, of, unit, .. }, (before, after)) in
                    of.fields.iter().zip(before.iter().zip(after))
                {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.values(&format!("{path}{dot}{}", printable(name)), of, unit, &before.1, &after.1);
                }
            }
            (Type::Array { element, .. }, Value::Array(before), Value::Array(after)) => {
                for (index, (before, after)) in before.iter().zip(after).enumerate() {
                    self.values(&format!("{path}[{index}]"), element, unit, before, after);
                }
            }
            _ => self.leaf(path, unit, Some(before.clone()), Some(after.clone())),
        }
    }

    fn leaf(&mut self, path: &str, unit: &str, before: Option<Value>, after: Option<Value>) {
        // As text, in which one NaN is like another, and -0 is not 0.
        let text = |value: &Option<Value>| value.as_ref().map(|value| line(value, true));
        if text(&before) == text(&after) {
            return;
        }
        self.count += 1;
        if self.found.len() < self.limit {
            let (field, unit) = (path.to_owned(), unit.to_owned());
            let (before, after) = (before.map(Json), after.map(Json));
            self.found.push(FieldDifference { field, before, after, unit });
        }
    }
}

/// What a part is, where its values cannot be compared.
fn what(part: Option<&Part>) -> Option<Value> {
    part.map(|part| {
        let of = part.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
        Value::Text(format!("{}{of}", part.kind))
    })
}

pub(in crate::commands) fn table<'a>(differences: impl Iterator<Item = &'a FieldDifference>) -> String {
    let mut table = Table::new(vec![
        ("FIELD", Align::Left),
        ("BEFORE", Align::Right),
        ("AFTER", Align::Right),
        ("UNIT", Align::Left),
    ]);
    for difference in differences {
        let value = |value: &Option<Json<Value>>| {
            value.as_ref().map_or_else(String::new, |Json(value)| line(value, false))
        };
        table.row(vec![
            difference.field.clone(),
            value(&difference.before),
            value(&difference.after),
            printable(&difference.unit),
        ]);
    }
    table.render()
}
