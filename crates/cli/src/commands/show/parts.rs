//! Parts of a region as text: cells as indented lines, tables and maps as rows.

use std::fmt::Write;

use coseg::schema::{Field, Part, PartKind, Struct, Type};
use coseg::{Inspection, Value};

use super::Shown;
use crate::columns::Column;
use crate::commands::channel::state::NamedChannel;
use crate::commands::locks::state;
use crate::failure::Result;
use crate::output::{self, BOLD, DIM, printable};
use crate::regions::patiently;
use crate::table::{Align, Table};
use crate::value::{in_order, is_zero, line};

const INDENT: &str = "  ";
/// Characters of a value beside which there is room for more.
const VALUE_WIDTH: usize = 24;

/// One part: its heading, and its values below or, where they are one, beside it.
pub(super) fn describe(text: &mut String, shown: &Shown<'_>, index: usize) -> Result<()> {
    let Shown { region, all, .. } = *shown;
    let part = &region.schema().parts[index];
    match (part.kind, &part.of) {
        (PartKind::Cell, Some(of)) => {
            describe_cell(text, part, of, &value(region, index)?, all);
        }
        (PartKind::Table, Some(of)) => {
            heading(text, part, &format!("table of {} {of}", part.row_count), None);
            let rows = rows(shown, part)?;
            let folded = part.row_count - rows.len();
            describe_rows(text, of, &labelled(rows), folded, "row", all);
        }
        (PartKind::Map, Some(of)) => describe_map(text, shown, index, part, of)?,
        (kind, _) if kind.is_lock() => {
            let state = state::of_part(region, &part.name);
            heading(text, part, &kind.to_string(), Some(&state));
        }
        (kind, Some(of)) if kind.is_channel() => {
            let channel = NamedChannel::of_part(region, &part.name);
            let state = channel.map(|channel| channel.state.sentence()).unwrap_or_default();
            let room = match kind {
                PartKind::Stream => String::new(),
                _ => format!("{} ", part.row_count),
            };
            heading(text, part, &format!("{kind} for {room}messages of {of}"), Some(&state));
        }
        (kind, _) => {
            let value = line(&value(region, index)?, all);
            heading(text, part, &kind.to_string(), Some(&value));
        }
    }
    Ok(())
}

/// A table's rows, without those that are all zero unless `all` are wanted.
pub(super) fn rows(shown: &Shown<'_>, part: &Part) -> Result<Vec<(usize, Value)>> {
    let mut rows = Vec::new();
    for row in 0..part.row_count {
        if !shown.all && shown.is_untouched(part, row) {
            continue;
        }
        let value = patiently(|| shown.region.get(&format!("{}[{row}]", part.name)))?;
        if shown.all || !is_zero(&value) {
            rows.push((row, value));
        }
    }
    Ok(rows)
}

/// A map's keys and values, in the order of the keys.
pub(crate) fn entries(region: &Inspection, index: usize) -> Result<Vec<(Value, Value)>> {
    let Value::Array(entries) = value(region, index)? else { return Ok(Vec::new()) };
    let pairs = entries.into_iter().filter_map(|entry| match entry {
        Value::Struct(fields) => {
            let mut fields = fields.into_iter().map(|(_, value)| value);
            fields.next().zip(fields.next())
        }
        _ => None,
    });
    let mut pairs: Vec<(Value, Value)> = pairs.collect();
    pairs.sort_by(|(one, _), (other, _)| in_order(one, other));
    Ok(pairs)
}

fn describe_map(text: &mut String, shown: &Shown<'_>, index: usize, part: &Part, of: &Type) -> Result<()> {
    let entries = entries(shown.region, index)?;
    let Type::Struct(Struct { fields, .. }) = of else { return Ok(()) };
    let [key, value] = fields.as_slice() else { return Ok(()) };
    let count = output::count(part.row_count as u64, "entry", "entries");
    let kind = format!("map of {} to {}, {} of {count} in use", key.of, value.of, entries.len());
    heading(text, part, &kind, None);
    // As a path names it.
    let rows = entries.into_iter().map(|(key, value)| (format!("[{}]", line(&key, true)), value));
    describe_rows(text, &value.of, &rows.collect::<Vec<_>>(), 0, "key", shown.all);
    Ok(())
}

/// The values of a part that has some.
pub(crate) fn value(region: &Inspection, index: usize) -> Result<Value> {
    Ok(patiently(|| region.part(index).map(|value| value.unwrap_or(Value::Bool(false))))?)
}

/// `board  cell of [Currency; 4]  What is bought and sold.`, and a long value on a line of its own.
fn heading(text: &mut String, part: &Part, kind: &str, value: Option<&str>) {
    let name = output::paint(BOLD, printable(&part.name));
    // Writing to a String cannot fail.
    let _ = write!(text, "{name}{INDENT}{}", output::paint(DIM, printable(kind)));
    let is_long = |value: &&str| value.chars().count() > VALUE_WIDTH;
    if let Some(value) = value.filter(|value| !is_long(value)) {
        let _ = write!(text, "{INDENT}{value}");
    }
    if !part.doc.is_empty() {
        let _ = write!(text, "{INDENT}{}", output::paint(DIM, printable(&part.doc)));
    }
    text.push('\n');
    if let Some(value) = value.filter(is_long) {
        let _ = writeln!(text, "{INDENT}{value}");
    }
}

fn describe_cell(text: &mut String, part: &Part, of: &Type, value: &Value, all: bool) {
    let kind = format!("cell of {of}");
    if has_lines(of) {
        heading(text, part, &kind, None);
        describe_value(text, of, value, all);
    } else {
        heading(text, part, &kind, Some(&line(value, all)));
    }
}

/// Whether a value takes lines of its own.
fn has_lines(of: &Type) -> bool {
    match of {
        Type::Struct(_) => true,
        Type::Array { element, .. } => matches!(**element, Type::Struct(_)),
        _ => false,
    }
}

/// A value alone: indented lines, or rows.
pub(super) fn describe_value(text: &mut String, of: &Type, value: &Value, all: bool) {
    match (of, value) {
        (Type::Array { element, .. }, Value::Array(values)) if has_lines(of) => {
            let rows: Vec<(usize, Value)> = values
                .iter()
                .enumerate()
                .filter(|(_, value)| all || !is_zero(value))
                .map(|(index, value)| (index, value.clone()))
                .collect();
            let folded = values.len() - rows.len();
            describe_rows(text, element, &labelled(rows), folded, "element", all);
        }
        _ if has_lines(of) => {
            let mut tree = Tree { lines: Vec::new(), all };
            tree.add("", 0, of, value, None);
            tree.write(text);
        }
        // Writing to a String cannot fail.
        _ => _ = writeln!(text, "{INDENT}{}", line(value, all)),
    }
}

/// Rows as a path names them.
fn labelled(rows: Vec<(usize, Value)>) -> Vec<(String, Value)> {
    rows.into_iter().map(|(index, value)| (format!("[{index}]"), value)).collect()
}

/// Values of one type, each a row; as blocks of lines where the terminal is too narrow for all columns.
fn describe_rows(
    text: &mut String,
    of: &Type,
    rows: &[(String, Value)],
    folded: usize,
    what: &str,
    all: bool,
) {
    let found = Column::all(of);
    let mut header = vec![(what.to_owned(), Align::Right)];
    header.extend(found.iter().map(|column| (column.header(), column.align())));
    let mut table = Table::new(header);
    for (label, value) in rows {
        let cells = found.iter().map(|column| column.cell(value, all));
        table.row(std::iter::once(label.clone()).chain(cells).collect());
    }
    let room = usize::from(output::terminal_width());
    if output::is_terminal() && INDENT.len() + table.width() > room {
        let mut tree = Tree { lines: Vec::new(), all };
        for (label, value) in rows {
            tree.add(label, 0, of, value, None);
        }
        tree.write(text);
    } else {
        for doc in found.iter().filter_map(Column::doc) {
            let _ = writeln!(text, "{INDENT}{}", output::paint(DIM, doc));
        }
        if !table.is_empty() {
            for line in table.render().lines() {
                let _ = writeln!(text, "{INDENT}{line}");
            }
        }
    }
    if folded > 0 {
        let count = output::count(folded as u64, what, &format!("{what}s"));
        let _ = writeln!(text, "{INDENT}{}", output::paint(DIM, format!("… {count} of zeroes")));
    }
}

/// Names and values, one below the other, indented as they are nested.
struct Tree {
    lines: Vec<(String, String, String)>,
    all: bool,
}

impl Tree {
    /// A value, and all that is in it; without a name, only what is in it.
    fn add(&mut self, name: &str, depth: usize, of: &Type, value: &Value, field: Option<&Field>) {
        let doc = field.map_or(String::new(), |field| printable(&field.doc));
        let label = format!("{}{}", INDENT.repeat(depth + 1), printable(name));
        let below = if name.is_empty() { depth } else { depth + 1 };
        match (of, value) {
            (Type::Struct(of), Value::Struct(values)) => {
                if !name.is_empty() {
                    self.lines.push((label, String::new(), doc));
                }
                for (field, (_, value)) in of.fields.iter().zip(values) {
                    self.add(&field.name, below, &field.of, value, Some(field));
                }
            }
            (Type::Array { element, .. }, Value::Array(values))
                if matches!(**element, Type::Struct(_) | Type::Array { .. }) =>
            {
                self.lines.push((label, String::new(), doc));
                let mut folded = 0;
                for (index, value) in values.iter().enumerate() {
                    if self.all || !is_zero(value) {
                        self.add(&format!("[{index}]"), below, element, value, None);
                    } else {
                        folded += 1;
                    }
                }
                if folded > 0 {
                    let count = output::count(folded, "element", "elements");
                    let label = format!("{}… {count} of zeroes", INDENT.repeat(below + 1));
                    self.lines.push((label, String::new(), String::new()));
                }
            }
            _ => {
                let unit = field.map_or(String::new(), |field| printable(&field.unit));
                let text = line(value, self.all);
                self.lines.push((label, format!("{text} {unit}").trim_end().to_owned(), doc));
            }
        }
    }

    fn write(&self, text: &mut String) {
        let wide = |text: &String| text.chars().count();
        // Lines without a value stretch nobody's column.
        let with_value = || self.lines.iter().filter(|(_, value, _)| !value.is_empty());
        let name_width = with_value().map(|(label, ..)| wide(label)).max().unwrap_or(0);
        let value_width =
            with_value().map(|(_, value, _)| wide(value)).filter(|&width| width <= VALUE_WIDTH).max();
        let value_width = value_width.unwrap_or(0);
        for (label, value, doc) in &self.lines {
            let line = format!("{label:<name_width$}{INDENT}{value:<value_width$}");
            let doc = if doc.is_empty() { String::new() } else { output::paint(DIM, doc) };
            let line =
                if doc.is_empty() { line.trim_end().to_owned() } else { format!("{line}{INDENT}{doc}") };
            let _ = writeln!(text, "{line}");
        }
    }
}
