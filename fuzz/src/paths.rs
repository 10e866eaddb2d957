//! Paths into a region: right ones, found in its schema, and others.

use coseg::schema::{PartKind, Schema, Type};

use crate::input::Input;

pub(crate) fn path(schema: &Schema, input: &mut Input<'_>) -> String {
    if schema.parts.is_empty() || input.byte() < 40 {
        return input.text();
    }
    let part = &schema.parts[input.below(schema.parts.len())];
    let mut path = part.name.clone();
    if part.kind == PartKind::Table {
        path += &index(part.row_count, input);
    }
    let mut of = part.of.as_ref();
    while let Some(here) = of {
        // Some paths end early, some go on where nothing is.
        match input.byte() {
            0..=15 => break,
            16..=23 => path += &input.text(),
            _ => {}
        }
        of = match here {
            Type::Array { element, count } => {
                path += &index(*count, input);
                Some(element)
            }
            Type::Struct(of) if !of.fields.is_empty() => {
                let field = &of.fields[input.below(of.fields.len())];
                path.push('.');
                path += &field.name;
                Some(&field.of)
            }
            _ => break,
        };
    }
    path
}

fn index(count: usize, input: &mut Input<'_>) -> String {
    match input.byte() {
        0..=19 => format!("[{}]", input.number()),
        20..=29 => "[".to_owned(),
        30..=49 => format!("[{}]", count.wrapping_sub(1)),
        _ => format!("[{}]", input.below(count)),
    }
}

/// Something that a value may be set to.
pub(crate) fn text(input: &mut Input<'_>) -> String {
    match input.byte() % 6 {
        0 => input.text(),
        1 => input.bit().to_string(),
        2 => f64::from_bits(input.word()).to_string(),
        3 => format!("-{}", input.number()),
        _ => input.number().to_string(),
    }
}
