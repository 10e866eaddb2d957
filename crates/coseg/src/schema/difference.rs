//! Whether a program's types and a region's are the same, and if not, where they part.

use std::fmt;

use super::{Part, Schema, Struct, Type};

/// One place where a program and a region disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The place: `board[].sell`.
    pub path: String,
    /// What the region has there.
    pub region: String,
    /// What the program expects.
    pub program: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the region has {}, the program expects {}", self.path, self.region, self.program)
    }
}

/// Where a region made as `region` cannot be used as `program`.
///
/// Fields may have been added at the end of the struct that is a part's value, by either side, as long as it has
/// the room. Names of types, units and documentation may differ.
pub(crate) fn compare(region: &Schema, program: &Schema) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |path: &str, region: String, program: String| {
        found.push(Difference { path: path.to_owned(), region, program });
    };
    let absent = || "nothing".to_owned();
    for (index, theirs) in region.parts.iter().enumerate() {
        let path = &theirs.name;
        let Some(ours) = program.parts.get(index) else {
            differ(path, theirs.kind.to_string(), absent());
            continue;
        };
        if ours.name != *path {
            differ(path, format!("`{path}` as part {index}"), format!("`{}`", ours.name));
        }
        if ours.kind != theirs.kind {
            differ(path, theirs.kind.to_string(), ours.kind.to_string());
            continue;
        }
        if ours.row_count != theirs.row_count {
            let what = if ours.kind.is_channel() { "messages" } else { "rows" };
            let count = |part: &Part| format!("{} {what}", part.row_count);
            differ(path, count(theirs), count(ours));
        }
        if ours.slot_count != theirs.slot_count {
            differ(path, format!("{} versions", theirs.slot_count), format!("{} versions", ours.slot_count));
        }
        if let (Some(their_type), Some(our_type)) = (&theirs.of, &ours.of) {
            let before = differ_count(&mut differ, path, their_type, our_type);
            if before == 0 && ours.room_bytes != theirs.room_bytes {
                differ(
                    path,
                    format!("room for {} bytes", theirs.room_bytes),
                    format!("room for {} bytes", ours.room_bytes),
                );
            }
        }
    }
    for ours in program.parts.iter().skip(region.parts.len()) {
        differ(&ours.name, absent(), ours.kind.to_string());
    }
    found
}

/// Compares a part's value; how many differences were found.
fn differ_count(
    differ: &mut impl FnMut(&str, String, String),
    path: &str,
    region: &Type,
    program: &Type,
) -> usize {
    let mut count = 0;
    let mut counted = |path: &str, region: String, program: String| {
        count += 1;
        differ(path, region, program);
    };
    match (region, program) {
        (Type::Struct(region), Type::Struct(program)) => {
            compare_fields(&mut counted, path, region, program, Growth::Allowed);
        }
        _ => compare_types(&mut counted, path, region, program),
    }
    count
}

/// Whether fields may have been added at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    Allowed,
    Refused,
}

fn compare_types(differ: &mut dyn FnMut(&str, String, String), path: &str, region: &Type, program: &Type) {
    match (region, program) {
        (Type::Array { element: theirs, count }, Type::Array { element: ours, count: our_count }) => {
            if count != our_count {
                differ(path, region.to_string(), program.to_string());
            }
            compare_types(differ, &format!("{path}[]"), theirs, ours);
        }
        (Type::Struct(theirs), Type::Struct(ours)) => {
            compare_fields(differ, path, theirs, ours, Growth::Refused);
            if theirs.size_bytes != ours.size_bytes {
                differ(path, format!("{} bytes", theirs.size_bytes), format!("{} bytes", ours.size_bytes));
            }
        }
        _ if region == program => {}
        _ => differ(path, region.to_string(), program.to_string()),
    }
}

fn compare_fields(
    differ: &mut dyn FnMut(&str, String, String),
    path: &str,
    region: &Struct,
    program: &Struct,
    growth: Growth,
) {
    let absent = || "nothing".to_owned();
    let common = region.fields.len().min(program.fields.len());
    for (theirs, ours) in region.fields.iter().zip(&program.fields) {
        let path = format!("{path}.{}", theirs.name);
        if theirs.name != ours.name {
            differ(&path, format!("`{}`", theirs.name), format!("`{}`", ours.name));
        } else if theirs.offset != ours.offset {
            differ(&path, format!("offset {}", theirs.offset), format!("offset {}", ours.offset));
        }
        compare_types(differ, &path, &theirs.of, &ours.of);
    }
    // What one side takes for padding of its own it writes with the rest of the value.
    let is_beyond = |offset: usize, other: &Struct| growth == Growth::Allowed && offset >= other.size_bytes;
    for theirs in region.fields[common..].iter().filter(|field| !is_beyond(field.offset, program)) {
        differ(&format!("{path}.{}", theirs.name), theirs.of.to_string(), absent());
    }
    for ours in program.fields[common..].iter().filter(|field| !is_beyond(field.offset, region)) {
        differ(&format!("{path}.{}", ours.name), absent(), ours.of.to_string());
    }
}
