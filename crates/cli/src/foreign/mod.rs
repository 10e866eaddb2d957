//! Types of segments that no region describes: told by the user, by the program that made them, or known by their bytes.

mod c;
mod dwarf;
mod known;
mod layout;
mod remembered;
mod tokens;

use std::fmt;
use std::path::PathBuf;

use coseg::Value;
use coseg::schema::Type;
use serde::{Deserialize, Serialize};

pub(crate) use self::known::known;
pub(crate) use self::remembered::{Remembered, forget, remember, remembered};

/// What bytes are declared to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) of: Type,
    /// One after the other, as many as there is room for.
    pub(crate) is_open: bool,
    pub(crate) bits: Vec<BitField>,
}

/// A field that is some bits of a number: of that which its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BitField {
    /// The names that lead to it, through arrays as if they were not there.
    pub(crate) path: Vec<String>,
    pub(crate) from: usize,
    pub(crate) count: usize,
    pub(crate) is_signed: bool,
}

impl BitField {
    /// Leaves the bits of the field where the number was, in all elements of an array.
    pub(crate) fn extract(&self, value: &mut Value) {
        self.extract_at(value, &self.path);
    }

    fn extract_at(&self, value: &mut Value, path: &[String]) {
        match (value, path) {
            (Value::Array(values), _) => values.iter_mut().for_each(|value| self.extract_at(value, path)),
            (Value::Struct(fields), [name, rest @ ..]) => {
                for (_, value) in fields.iter_mut().filter(|(own, _)| own == name) {
                    self.extract_at(value, rest);
                }
            }
            (value, []) => {
                let Value::Unsigned(number) = *value else { return };
                let unused = u128::BITS as usize - self.count;
                let bits = number >> self.from << unused;
                *value = match self.is_signed {
                    true => Value::Signed(bits.cast_signed() >> unused),
                    false => Value::Unsigned(bits >> unused),
                };
            }
            _ => {}
        }
    }
}

/// How a type is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Choice {
    /// As a C declaration.
    Declaration(String),
    /// As a program's own.
    Program { name: String, file: PathBuf },
}

impl Choice {
    pub(crate) fn declared(&self) -> Result<Declared, String> {
        match self {
            Choice::Declaration(text) => c::declared(text),
            Choice::Program { name, file } => {
                match name.strip_suffix(']').and_then(|own| own.split_once('[')) {
                    None => dwarf::declared(file, name),
                    Some((name, "")) => Ok(Declared { is_open: true, ..dwarf::declared(file, name.trim())? }),
                    Some((name, count)) => {
                        let wrong = || format!("`{count}` is no number of elements");
                        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
                        let own = dwarf::declared(file, name.trim())?;
                        Ok(Declared { of: array(own.of, count as usize), ..own })
                    }
                }
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Declaration(text) => f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" ")),
            Choice::Program { name, file } => write!(f, "{name} of {}", file.display()),
        }
    }
}

impl Declared {
    /// The type that it is where there is room for so many bytes.
    pub(crate) fn within(self, room_bytes: usize) -> Result<(Type, Vec<BitField>), String> {
        let size_bytes = self.of.size_bytes();
        if self.is_open && size_bytes > room_bytes {
            return Err(format!("one has {size_bytes} bytes, and there are {room_bytes}"));
        }
        let of = match (self.of, self.is_open) {
            (Type::Text { size_bytes: 1 }, true) => Type::Text { size_bytes: room_bytes },
            (element, true) if size_bytes > 0 => array(element, room_bytes / size_bytes),
            (of, _) => of,
        };
        match of.size_bytes() {
            0 => Err("the type has no bytes".to_owned()),
            size if size > room_bytes => {
                Err(format!("the type has {size} bytes, and there are {room_bytes}"))
            }
            _ => Ok((of, self.bits)),
        }
    }
}

fn array(element: Type, count: usize) -> Type {
    Type::Array { element: Box::new(element), count }
}

/// How many values there are in one of a type.
pub(crate) fn value_count(of: &Type) -> usize {
    match of {
        Type::Array { element, count } => value_count(element).saturating_mul(*count).saturating_add(1),
        Type::Struct(of) => {
            of.fields.iter().fold(1, |sum: usize, field| sum.saturating_add(value_count(&field.of)))
        }
        _ => 1,
    }
}
