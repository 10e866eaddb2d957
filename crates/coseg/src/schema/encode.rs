//! A schema as bytes; FORMAT.md, "Schema", is their description.

use super::{Field, Part, Schema, Struct, Type};

pub(super) const TEXT: u8 = 64;
pub(super) const ARRAY: u8 = 65;
pub(super) const STRUCT: u8 = 66;
pub(super) const BYTES: u8 = 67;
pub(super) const NO_TYPE: u8 = 0;

/// The bytes of a schema.
pub(crate) fn encode(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, &schema.name);
    number(&mut out, schema.parts.len());
    for part in &schema.parts {
        encode_part(&mut out, part);
    }
    out
}

fn encode_part(out: &mut Vec<u8>, part: &Part) {
    string(out, &part.name);
    string(out, &part.doc);
    out.push(part.kind as u8);
    for value in [part.row_count, part.slot_count, part.room_bytes, part.offset] {
        out.extend((value as u64).to_ne_bytes());
    }
    match &part.of {
        None => out.push(NO_TYPE),
        Some(of) => encode_type(out, of),
    }
}

fn encode_type(out: &mut Vec<u8>, of: &Type) {
    match of {
        Type::Scalar(scalar) => out.push(*scalar as u8),
        Type::Text { size_bytes } => {
            out.push(TEXT);
            number(out, *size_bytes);
        }
        Type::Bytes { max_bytes } => {
            out.push(BYTES);
            number(out, *max_bytes);
        }
        Type::Array { element, count } => {
            out.push(ARRAY);
            number(out, *count);
            encode_type(out, element);
        }
        Type::Struct(Struct { name, size_bytes, fields }) => {
            out.push(STRUCT);
            string(out, name);
            number(out, *size_bytes);
            number(out, fields.len());
            for Field { name, offset, of, unit, doc } in fields {
                string(out, name);
                number(out, *offset);
                string(out, unit);
                string(out, doc);
                encode_type(out, of);
            }
        }
    }
}

fn number(out: &mut Vec<u8>, value: usize) {
    let value = u32::try_from(value).expect("types of a region are smaller than 4 GiB");
    out.extend(value.to_ne_bytes());
}

/// Longer text is cut: a doc line may be of any length.
fn string(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend(text.as_bytes());
}
