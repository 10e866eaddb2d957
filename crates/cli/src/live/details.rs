//! One segment, looked at closely: its values, or its first bytes, and its pages.

use std::collections::HashMap;
use std::ops::Range;

use coseg::schema::{Field, PartKind, Type};
use coseg::{Inspection, Value};
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::channel::state::NamedChannel;
use crate::commands::locks::state;
use crate::commands::show::parts;
use crate::contents::Contents;
use crate::extents::Extents;
use crate::image::PAGE_BYTES;
use crate::output::printable;
use crate::value::{is_zero, line};
use crate::view::View;

/// Values that are told one by one; the rest is counted.
const FIELDS_MAX: usize = 500;
/// Rows of a table that are looked at for it.
const ROWS_MAX: usize = 1000;
/// Bytes that are shown of what is no region.
const BYTES_MAX: usize = 512;
const BYTES_PER_LINE: usize = 16;
/// Into so many cells a segment's pages are put at most.
const CELLS_MAX: usize = 256;

/// What one segment holds. The field names are a promise.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Details {
    pub(crate) id: i32,
    pub(crate) title: String,
    /// Of a region its values; of what is none, lines of its first bytes, by their offsets.
    pub(crate) fields: Vec<FieldLook>,
    pub(crate) left_out_count: usize,
    pub(crate) page_bytes: usize,
    pub(crate) page_count: usize,
    pub(crate) cells: Vec<CellLook>,
}

#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct FieldLook {
    pub(crate) path: String,
    pub(crate) value: String,
    pub(crate) unit: String,
    /// Whether it is not what it was when it was last asked for.
    pub(crate) changed: bool,
}

/// Pages side by side.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct CellLook {
    pub(crate) first_page: usize,
    pub(crate) page_count: usize,
    /// How many of them are resident; null where that cannot be told.
    pub(crate) resident_count: Option<usize>,
    /// Whether one of those that were compared has changed.
    pub(crate) changed: bool,
}

impl Details {
    /// `region`: a copy of it; `changed`: what has changed of the pages; `before`: these details at the look before.
    pub(super) fn of(
        view: &View,
        stat: &Stat,
        title: &str,
        region: Option<&Inspection>,
        changed: &[Range<usize>],
        before: Option<&Details>,
    ) -> Details {
        let contents = Contents::unattached(view, stat);
        let mut fields = Fields::default();
        match (region, &contents) {
            (Some(region), _) => fields.add_region(region),
            (None, Some(contents)) => fields.add_bytes(contents),
            (None, None) => {}
        }
        if let Some(before) = before {
            let before: HashMap<&str, &str> =
                before.fields.iter().map(|field| (&*field.path, &*field.value)).collect();
            for field in &mut fields.found {
                field.changed = before.get(&*field.path).is_some_and(|value| *value != field.value);
            }
        }
        let page_bytes = contents.as_ref().map_or(PAGE_BYTES, Contents::page_bytes);
        let page_count = stat.size_bytes.div_ceil(page_bytes);
        let resident = contents.as_ref().and_then(Contents::told_extents);
        let cells = cells(page_count, page_bytes, resident.as_ref(), &Extents::of_ranges(changed));
        Details {
            id: stat.id.raw(),
            title: title.to_owned(),
            fields: fields.found,
            left_out_count: fields.left_out_count,
            page_bytes,
            page_count,
            cells,
        }
    }
}

fn cells(
    page_count: usize,
    page_bytes: usize,
    resident: Option<&Extents>,
    changed: &Extents,
) -> Vec<CellLook> {
    let per_cell = page_count.div_ceil(CELLS_MAX).max(1);
    let cell = |first_page: usize| {
        let page_count = per_cell.min(page_count - first_page);
        let bytes = (first_page * page_bytes) as u64..((first_page + page_count) * page_bytes) as u64;
        let pages = |extents: &Extents| {
            let pages = extents
                .within(bytes.clone())
                .map(|extent| (extent.end - extent.start).div_ceil(page_bytes as u64));
            usize::try_from(pages.sum::<u64>()).map_or(page_count, |pages| pages.min(page_count))
        };
        CellLook {
            first_page,
            page_count,
            resident_count: resident.map(pages),
            changed: changed.touch(&bytes),
        }
    };
    (0..page_count).step_by(per_cell).map(cell).collect()
}

#[derive(Default)]
struct Fields {
    found: Vec<FieldLook>,
    left_out_count: usize,
}

impl Fields {
    fn add_region(&mut self, region: &Inspection) {
        for (index, part) in region.schema().parts.iter().enumerate() {
            let name = printable(&part.name);
            match (part.kind, &part.of) {
                (PartKind::Table, Some(of)) => {
                    for row in 0..part.row_count.min(ROWS_MAX) {
                        let path = format!("{}[{row}]", part.name);
                        match region.get(&path) {
                            Ok(value) if is_zero(&value) => {}
                            Ok(value) => self.add(&printable(&path), of, "", &value),
                            Err(error) => self.leaf(&printable(&path), printable(&error.to_string()), ""),
                        }
                    }
                    self.left_out_count += part.row_count.saturating_sub(ROWS_MAX);
                }
                (PartKind::Map, Some(Type::Struct(of))) => {
                    let [_, value] = of.fields.as_slice() else { continue };
                    for (key, own) in parts::entries(region, index).unwrap_or_default() {
                        self.add(&format!("{name}[{}]", line(&key, true)), &value.of, "", &own);
                    }
                }
                (kind, _) if kind.is_lock() => self.leaf(&name, state::of_part(region, &part.name), ""),
                (kind, _) if kind.is_channel() => {
                    let channel = NamedChannel::of_part(region, &part.name);
                    self.leaf(&name, channel.map(|channel| channel.state.sentence()).unwrap_or_default(), "");
                }
                // The copy stands still: whoever wrote it when it was made is not to be waited for.
                (_, of) => match (region.part(index), of) {
                    (Ok(Some(value)), Some(of)) => self.add(&name, of, "", &value),
                    (Ok(Some(value)), None) => self.leaf(&name, line(&value, true), ""),
                    (Ok(None), _) => {}
                    (Err(error), _) => self.leaf(&name, printable(&error.to_string()), ""),
                },
            }
        }
    }

    fn add(&mut self, path: &str, of: &Type, unit: &str, value: &Value) {
        match (of, value) {
            (Type::Struct(of), Value::Struct(values)) => {
                for (Field { name, of, unit, .. }, (_, value)) in of.fields.iter().zip(values) {
                    self.add(&format!("{path}.{}", printable(name)), of, unit, value);
                }
            }
            (Type::Array { element, .. }, Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.add(&format!("{path}[{index}]"), element, unit, value);
                }
            }
            _ => self.leaf(path, line(value, true), unit),
        }
    }

    fn add_bytes(&mut self, contents: &Contents<'_>) {
        let mut bytes = vec![0; contents.size_bytes().min(BYTES_MAX)];
        if contents.read(0, &mut bytes).is_err() {
            return;
        }
        for (number, line) in bytes.chunks(BYTES_PER_LINE).enumerate() {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let text =
                line.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' });
            let value = format!("{:<47}  {}", hex.join(" "), text.collect::<String>());
            self.leaf(&format!("{:#06x}", number * BYTES_PER_LINE), value, "");
        }
        self.left_out_count = (contents.size_bytes() - bytes.len()).div_ceil(BYTES_PER_LINE);
    }

    fn leaf(&mut self, path: &str, value: String, unit: &str) {
        if self.found.len() >= FIELDS_MAX {
            self.left_out_count += 1;
            return;
        }
        let (path, unit) = (path.to_owned(), printable(unit));
        self.found.push(FieldLook { path, value, unit, changed: false });
    }
}
