//! What the type of a field does not tell: which bits are its own, what its numbers are called, that it is an address.

use std::collections::HashMap;
use std::sync::Arc;

use coseg::Value;
use coseg::schema::{Field, Scalar, Type};

use crate::output;

/// Names that a field's comment tells.
const TOLD_MAX: usize = 12;
/// Longer names are cut: a hostile program's have any length, and there may be millions of values.
const NAME_BYTES_MAX: usize = 128;
/// Fewer numbers of one bit each are hardly flags: of three states in a row, two are so too.
const FLAGS_MIN: usize = 3;

/// The numbers of an enum, and what they are called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// In order, each once.
    by_number: Vec<(i128, Arc<str>)>,
    /// Each is one bit, as is all that is not zero.
    are_flags: bool,
}

/// How a field is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The names that lead to it, through arrays as if they were not there.
    path: Vec<String>,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is some bits of a number.
    Bits { from: usize, count: usize, sort: Sort },
    /// Some of its numbers have names.
    Names(Arc<Names>),
    /// It is where something is in a program's memory.
    Address,
}

/// What bits stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Unsigned,
    Signed,
    Truth,
}

impl Reading {
    pub(super) fn new(path: Vec<String>, how: How) -> Reading {
        Reading { path, how }
    }

    /// The same, seen from a struct that has a field of this name.
    pub(super) fn inside(mut self, name: &str) -> Reading {
        self.path.insert(0, name.to_owned());
        self
    }

    pub(super) fn is_of_address(&self) -> bool {
        self.how == How::Address
    }
}

/// Readings by the fields they are of, for one walk through a value.
#[derive(Default)]
pub(crate) struct Readings<'r> {
    here: Vec<&'r How>,
    inside: HashMap<&'r str, Readings<'r>>,
}

impl<'r> Readings<'r> {
    pub(crate) fn of(all: &'r [Reading]) -> Readings<'r> {
        let mut root = Readings::default();
        for reading in all {
            let place =
                reading.path.iter().fold(&mut root, |place, name| place.inside.entry(name).or_default());
            place.here.push(&reading.how);
        }
        root
    }

    /// Reads fields where their numbers are, in all elements of arrays.
    pub(crate) fn apply(&self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.apply(value)),
            Value::Struct(fields) => {
                for (name, value) in fields {
                    if let Some(readings) = self.inside.get(name.as_str()) {
                        readings.apply(value);
                    }
                }
            }
            value => {
                for how in &self.here {
                    if let Some(read) = how.read(value) {
                        *value = read;
                    }
                }
            }
        }
    }
}

impl How {
    fn read(&self, value: &Value) -> Option<Value> {
        if let (How::Bits { from, count, sort }, Value::Unsigned(number)) = (self, value) {
            let unused = u128::BITS as usize - count;
            let bits = number >> from << unused;
            return Some(match sort {
                Sort::Unsigned => Value::Unsigned(bits >> unused),
                Sort::Signed => Value::Signed(bits.cast_signed() >> unused),
                Sort::Truth => Value::Bool(bits != 0),
            });
        }
        let number = match *value {
            Value::Unsigned(number) => i128::try_from(number).ok()?,
            Value::Signed(number) => number,
            _ => return None,
        };
        let name = match self {
            How::Bits { .. } => None,
            How::Names(names) => names.of(number),
            How::Address => Some(format!("{number:#x}").into()),
        };
        name.map(|name| Value::Named { name, number })
    }
}

impl Names {
    pub(super) fn new(all: impl IntoIterator<Item = (i128, String)>) -> Names {
        let cut = |name: String| Arc::from(&name[..name.floor_char_boundary(NAME_BYTES_MAX)]);
        let mut by_number: Vec<(i128, Arc<str>)> =
            all.into_iter().map(|(number, name)| (number, cut(name))).collect();
        by_number.sort_by_key(|(number, _)| *number);
        // Where one has several names, it is called by the first.
        by_number.dedup_by_key(|(number, _)| *number);
        let is_flag = |number: i128| number > 0 && number.count_ones() == 1;
        let are_flags = by_number.iter().all(|(number, _)| *number == 0 || is_flag(*number))
            && by_number.iter().filter(|(number, _)| is_flag(*number)).count() >= FLAGS_MIN;
        Names { by_number, are_flags }
    }

    pub(super) fn any_is_negative(&self) -> bool {
        self.by_number.first().is_some_and(|(number, _)| *number < 0)
    }

    /// The name of a number; of flags that are set, the names of all of them.
    fn of(&self, number: i128) -> Option<Arc<str>> {
        if let Ok(index) = self.by_number.binary_search_by_key(&number, |(own, _)| *own) {
            return Some(Arc::clone(&self.by_number[index].1));
        }
        if !self.are_flags {
            return None;
        }
        let set: Vec<&(i128, Arc<str>)> =
            self.by_number.iter().filter(|(own, _)| number & own != 0).collect();
        let known = set.iter().fold(0, |known, (own, _)| known | own);
        let names: Vec<&str> = set.iter().map(|(_, name)| &**name).collect();
        let text = format!("{} ({number:#x})", names.join(" | "));
        (known == number && text.len() <= 2 * NAME_BYTES_MAX).then(|| text.into())
    }
}

/// What the numbers of the field at a path are called; empty if they are not.
pub(super) fn legend(readings: &[Reading], path: &[String]) -> String {
    let names =
        readings.iter().filter(|reading| reading.path == path).find_map(|reading| match &reading.how {
            How::Names(names) => Some(names),
            _ => None,
        });
    let Some(names) = names else { return String::new() };
    let told: Vec<String> =
        names.by_number.iter().take(TOLD_MAX).map(|(number, name)| format!("{number} {name}")).collect();
    told.join(", ") + if names.by_number.len() > TOLD_MAX { ", …" } else { "" }
}

/// A field of some bits of a struct, the first of them so many from its start: the bytes that hold them, and which of
/// their bits it is, unless no number has as many.
pub(super) fn bit_field(
    name: &str,
    own: &Type,
    first: usize,
    bit_count: usize,
    struct_bytes: usize,
) -> (Field, Option<How>) {
    // The least number of bytes that holds them, and lies in the struct.
    let (start, end) = (first / 8, first.saturating_add(bit_count).div_ceil(8));
    let held_by =
        [1, 2, 4, 8, 16].into_iter().find(|&held_by| end - start <= held_by && held_by <= struct_bytes);
    let unit_bytes = held_by.unwrap_or(own.size_bytes().max(1));
    let offset = start.min(struct_bytes.saturating_sub(unit_bytes));
    let (from, count) = (first - offset * 8, bit_count.max(1));
    let last = from.saturating_add(count) - 1;
    let bits = if count == 1 { format!("bit {from}") } else { format!("bits {from} to {last}") };
    let mut doc = format!("{bits} of {}", output::count(unit_bytes as u64, "byte", "bytes"));
    let is_read = held_by.is_some_and(|held_by| last < held_by * 8);
    if !is_read {
        doc += ", which are shown whole";
    }
    let field =
        Field { name: name.to_owned(), offset, of: integer(unit_bytes, false), unit: String::new(), doc };
    (field, is_read.then_some(How::Bits { from, count, sort: sort(own) }))
}

fn sort(own: &Type) -> Sort {
    match own {
        Type::Scalar(Scalar::Bool) => Sort::Truth,
        Type::Scalar(Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64 | Scalar::I128) => Sort::Signed,
        // A character.
        Type::Text { .. } if std::ffi::c_char::MIN != 0 => Sort::Signed,
        _ => Sort::Unsigned,
    }
}

/// A whole number of so many bytes; bytes, where there is none.
pub(super) fn integer(size_bytes: usize, is_signed: bool) -> Type {
    let scalar = match (size_bytes, is_signed) {
        (1, true) => Scalar::I8,
        (2, true) => Scalar::I16,
        (4, true) => Scalar::I32,
        (8, true) => Scalar::I64,
        (16, true) => Scalar::I128,
        (1, false) => Scalar::U8,
        (2, false) => Scalar::U16,
        (4, false) => Scalar::U32,
        (8, false) => Scalar::U64,
        (16, false) => Scalar::U128,
        _ => return bytes(size_bytes),
    };
    Type::Scalar(scalar)
}

/// What there is no number for.
pub(super) fn bytes(size_bytes: usize) -> Type {
    Type::Array { element: Box::new(Type::Scalar(Scalar::U8)), count: size_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[(i128, &str)]) -> Names {
        Names::new(all.iter().map(|(number, name)| (*number, (*name).to_owned())))
    }

    #[test]
    fn numbers_have_names_where_they_were_given_some() {
        let colors = names(&[(5, "GREEN"), (0, "RED"), (6, "BLUE"), (-1, "NONE"), (5, "LIME")]);
        for (number, name) in [(5, Some("GREEN")), (-1, Some("NONE")), (7, None), (1, None)] {
            assert_eq!(colors.of(number).as_deref(), name, "{number}");
        }
        let flags = names(&[(0, "CLEAR"), (1, "READ"), (2, "WRITE"), (8, "LAST")]);
        for (number, name) in [
            (0, Some("CLEAR")),
            (8, Some("LAST")),
            (11, Some("READ | WRITE | LAST (0xb)")),
            (4, None),
            (7, None),
            (-1, None),
        ] {
            assert_eq!(flags.of(number).as_deref(), name, "{number}");
        }
        assert_eq!(names(&[(0, "IDLE"), (1, "RUNS"), (2, "STOPPED")]).of(3), None, "no flags");
        let long = names(&[(1, &"ä".repeat(1000))]);
        assert_eq!(long.of(1).unwrap().len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_bit_field_that_no_number_holds_is_shown_whole() {
        let (field, how) = bit_field("x", &bytes(25), 3, 150, 25);
        assert_eq!((field.of, how), (bytes(25), None));
    }

    #[test]
    fn readings_are_applied_in_one_walk() {
        let readings = [
            Reading::new(vec!["a".into(), "b".into()], How::Bits { from: 1, count: 2, sort: Sort::Unsigned }),
            Reading::new(vec!["a".into(), "b".into()], How::Names(Arc::new(names(&[(2, "TWO")])))),
            Reading::new(vec!["p".into()], How::Address),
        ];
        let inner = |value| Value::Struct(vec![("b".into(), value), ("c".into(), Value::Unsigned(4))]);
        let outer = |b, p| Value::Struct(vec![("a".into(), Value::Array(vec![inner(b)])), ("p".into(), p)]);
        let mut value = outer(Value::Unsigned(0b101), Value::Unsigned(0x10));
        Readings::of(&readings).apply(&mut value);
        let named = |name: &str, number| Value::Named { name: name.into(), number };
        assert_eq!(value, outer(named("TWO", 2), named("0x10", 16)));
    }
}
