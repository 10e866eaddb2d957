//! What the type of a field does not tell: which bits are its own, what its numbers are called, that it is an address.

use std::sync::Arc;

use coseg::Value;
use coseg::schema::{Field, Scalar, Type};

/// The numbers of an enum, and what they are called.
pub(super) type Names = Arc<[(i128, String)]>;

/// Names that a field's comment tells.
const TOLD_MAX: usize = 12;

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
    Names(Names),
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

    /// Reads the field where its number is, in all elements of an array.
    pub(crate) fn apply(&self, value: &mut Value) {
        self.apply_at(value, &self.path);
    }

    fn apply_at(&self, value: &mut Value, path: &[String]) {
        match (value, path) {
            (Value::Array(values), _) => values.iter_mut().for_each(|value| self.apply_at(value, path)),
            (Value::Struct(fields), [name, rest @ ..]) => {
                for (_, value) in fields.iter_mut().filter(|(own, _)| own == name) {
                    self.apply_at(value, rest);
                }
            }
            (value, []) => {
                if let Some(read) = self.how.read(value) {
                    *value = read;
                }
            }
            _ => {}
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
            How::Names(names) => name_of(names, number),
            How::Address => Some(format!("{number:#x}")),
        };
        name.map(|name| Value::Named { name, number })
    }
}

/// The name of a number; of flags that are set, the names of all of them.
fn name_of(names: &[(i128, String)], number: i128) -> Option<String> {
    if let Some((_, name)) = names.iter().find(|(own, _)| *own == number) {
        return Some(name.clone());
    }
    let (mut left, mut set) = (number, Vec::new());
    for (own, name) in names.iter().filter(|(own, _)| *own > 0) {
        // Where one has several bits, or two have the same, they are no flags.
        if own.count_ones() > 1 || left & own == 0 && number & own != 0 {
            return None;
        }
        if left & own != 0 {
            left &= !own;
            set.push(name.as_str());
        }
    }
    (left == 0 && !set.is_empty()).then(|| set.join(" | "))
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
        names.iter().take(TOLD_MAX).map(|(number, name)| format!("{number} {name}")).collect();
    told.join(", ") + if names.len() > TOLD_MAX { ", …" } else { "" }
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
    let mut doc = format!("bits {from} to {last} of {unit_bytes} bytes");
    let is_read = last < unit_bytes * 8;
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

    #[test]
    fn numbers_have_names_where_they_were_given_some() {
        let names = |all: &[(i128, &str)]| {
            all.iter().map(|(number, name)| (*number, (*name).to_owned())).collect::<Vec<_>>()
        };
        let colors = names(&[(0, "RED"), (5, "GREEN"), (6, "BLUE"), (-1, "NONE")]);
        for (number, name) in [(5, Some("GREEN")), (-1, Some("NONE")), (7, None), (1, None)] {
            assert_eq!(name_of(&colors, number).as_deref(), name, "{number}");
        }
        let flags = names(&[(0, "CLEAR"), (1, "READ"), (2, "WRITE"), (8, "LAST")]);
        for (number, name) in [
            (0, Some("CLEAR")),
            (8, Some("LAST")),
            (11, Some("READ | WRITE | LAST")),
            (4, None),
            (7, None),
            (-1, None),
        ] {
            assert_eq!(name_of(&flags, number).as_deref(), name, "{number}");
        }
        assert_eq!(name_of(&names(&[(1, "A"), (1, "B"), (2, "C")]), 3), None, "two for one bit");
    }
}
