//! Whether a program's types and a region's are the same, and if not, where they part.

use std::fmt::{self, Display};

use super::shown::{LISTED_MAX, shown};
use super::{Part, PartKind, Schema, Struct, Type};

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

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the region has {}, the program expects {}", self.path, self.region, self.program)
    }
}

/// Where a program and a region disagree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    listed: Vec<Difference>,
    count: usize,
}

impl Differences {
    /// The first of them, at most 16; long names in them are cut short.
    pub fn listed(&self) -> &[Difference] {
        &self.listed
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Nothing is put into words that is not listed: a region may say what it likes, and as much.
    fn add(&mut self, path: &str, region: impl Display, program: impl Display) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            let (region, program) = (shown(region), shown(program));
            self.listed.push(Difference { path: path.to_owned(), region, program });
        }
    }
}

impl Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, difference) in self.listed.iter().enumerate() {
            write!(f, "{}{difference}", if index == 0 { "" } else { "\n" })?;
        }
        match self.count - self.listed.len() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

const ABSENT: &str = "nothing";

/// Where a region made as `region` cannot be used as `program`.
///
/// Fields may have been added at the end of the struct that is a part's value, by either side, as long as it has
/// the room. Names of types, units and documentation may differ.
pub(crate) fn compare(region: &Schema, program: &Schema) -> Differences {
    let mut found = Differences::default();
    for (index, theirs) in region.parts.iter().enumerate() {
        let path = &shown(&theirs.name);
        let Some(ours) = program.parts.get(index) else {
            found.add(path, theirs.kind, ABSENT);
            continue;
        };
        if ours.name != theirs.name {
            found.add(path, format_args!("`{path}` as part {index}"), format_args!("`{}`", ours.name));
        }
        if ours.kind != theirs.kind {
            found.add(path, theirs.kind, ours.kind);
            continue;
        }
        if ours.row_count != theirs.row_count {
            let what = match ours.kind {
                PartKind::Map => "entries",
                kind if kind.is_channel() => "messages",
                _ => "rows",
            };
            let count = |part: &Part| format!("{} {what}", part.row_count);
            found.add(path, count(theirs), count(ours));
        }
        if ours.slot_count != theirs.slot_count {
            let count = |part: &Part| format!("{} versions", part.slot_count);
            found.add(path, count(theirs), count(ours));
        }
        if let (Some(their_type), Some(our_type)) = (&theirs.of, &ours.of) {
            let before = found.count;
            match (crate::map::types(theirs), crate::map::types(ours)) {
                (Some((their_key, their_value)), Some((our_key, our_value))) => {
                    // A key that grew would be another.
                    compare_types(&mut found, &format!("{path}.key"), their_key, our_key);
                    compare_values(&mut found, &format!("{path}.value"), their_value, our_value);
                }
                _ => compare_values(&mut found, path, their_type, our_type),
            }
            if found.count == before && ours.room_bytes != theirs.room_bytes {
                let room = |part: &Part| format!("room for {} bytes", part.room_bytes);
                found.add(path, room(theirs), room(ours));
            }
        }
    }
    for ours in program.parts.iter().skip(region.parts.len()) {
        found.add(&ours.name, ABSENT, ours.kind);
    }
    found
}

/// Compares a part's value, which may have grown.
fn compare_values(found: &mut Differences, path: &str, region: &Type, program: &Type) {
    match (region, program) {
        (Type::Struct(theirs), Type::Struct(ours)) => {
            compare_fields(found, path, theirs, ours, Growth::Allowed);
        }
        (theirs, ours) => compare_types(found, path, theirs, ours),
    }
}

/// Whether fields may have been added at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    Allowed,
    Refused,
}

fn compare_types(found: &mut Differences, path: &str, region: &Type, program: &Type) {
    match (region, program) {
        (Type::Array { element: theirs, count }, Type::Array { element: ours, count: our_count }) => {
            if count != our_count {
                found.add(path, region, program);
            }
            compare_types(found, &shown(format_args!("{path}[]")), theirs, ours);
        }
        (Type::Struct(theirs), Type::Struct(ours)) => {
            compare_fields(found, path, theirs, ours, Growth::Refused);
            if theirs.size_bytes != ours.size_bytes {
                let size = |of: &Struct| format!("{} bytes", of.size_bytes);
                found.add(path, size(theirs), size(ours));
            }
        }
        _ if region == program => {}
        _ => found.add(path, region, program),
    }
}

fn compare_fields(found: &mut Differences, path: &str, region: &Struct, program: &Struct, growth: Growth) {
    let below = |name: &str| shown(format_args!("{path}.{name}"));
    let common = region.fields.len().min(program.fields.len());
    for (theirs, ours) in region.fields.iter().zip(&program.fields) {
        let path = below(&theirs.name);
        if theirs.name != ours.name {
            found.add(&path, format_args!("`{}`", theirs.name), format_args!("`{}`", ours.name));
        } else if theirs.offset != ours.offset {
            found.add(
                &path,
                format_args!("offset {}", theirs.offset),
                format_args!("offset {}", ours.offset),
            );
        }
        compare_types(found, &path, &theirs.of, &ours.of);
    }
    // What one side takes for padding of its own it writes with the rest of the value.
    let is_beyond = |offset: usize, other: &Struct| growth == Growth::Allowed && offset >= other.size_bytes;
    for theirs in region.fields[common..].iter().filter(|field| !is_beyond(field.offset, program)) {
        found.add(&below(&theirs.name), &theirs.of, ABSENT);
    }
    for ours in program.fields[common..].iter().filter(|field| !is_beyond(field.offset, region)) {
        found.add(&below(&ours.name), ABSENT, &ours.of);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Field, Scalar};
    use super::*;

    fn cell(name: &str, fields: Vec<Field>) -> Schema {
        let of = Type::Struct(Struct { name: name.to_owned(), size_bytes: 1 << 20, fields });
        let part = Part {
            name: "value".to_owned(),
            doc: String::new(),
            kind: PartKind::Cell,
            of: Some(of),
            row_count: 1,
            slot_count: 2,
            room_bytes: 1 << 20,
            offset: 4096,
        };
        Schema { name: name.to_owned(), parts: vec![part] }
    }

    fn field(name: String, offset: usize) -> Field {
        let of = Type::Struct(Struct { name: name.clone(), size_bytes: 1, fields: Vec::new() });
        Field { name, offset, of, unit: String::new(), doc: String::new() }
    }

    #[test]
    fn what_a_region_says_at_length_is_told_in_short() {
        let long = "ä".repeat(30_000);
        let theirs = cell(&long, (0..1000).map(|at| field(format!("{long}{at}"), at)).collect());
        let of = Type::Scalar(Scalar::U8);
        let ours = cell("Own", vec![Field { of, ..field("own".to_owned(), 0) }]);
        let found = compare(&theirs, &ours);
        assert_eq!((found.count(), found.listed().len()), (1001, LISTED_MAX));
        let text = found.to_string();
        assert!(text.ends_with("\nand 985 more"), "{text}");
        assert!(text.len() < 10_000, "{}", text.len());
        assert!(text.starts_with("value.ää") && text.contains("ä…: the region has `ä"), "{text}");
        assert!(text.contains("the program expects `own`"), "{text}");
    }

    #[test]
    fn what_is_short_is_told_whole() {
        let found = compare(&cell("A", vec![field("b".to_owned(), 0)]), &cell("A", Vec::new()));
        assert_eq!(found.to_string(), "value.b: the region has b, the program expects nothing");
        assert_eq!(compare(&cell("A", Vec::new()), &cell("B", Vec::new())), Differences::default());
    }
}
