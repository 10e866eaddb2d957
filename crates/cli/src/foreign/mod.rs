//! Types of segments that no region describes: told by the user, by the program that made them, or known by their bytes.

mod c;
mod dwarf;
mod known;
mod layout;
mod reading;
mod remembered;
mod tokens;

use std::fmt;
use std::path::PathBuf;

use coseg::schema::Type;
use serde::{Deserialize, Serialize};

pub(crate) use self::known::known;
pub(crate) use self::reading::{Reading, Readings};
pub(crate) use self::remembered::{Remembered, forget, remember, remembered};

/// What bytes are declared to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) of: Type,
    /// One after the other, as many as there is room for.
    pub(crate) is_open: bool,
    pub(crate) readings: Vec<Reading>,
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
    pub(crate) fn within(self, room_bytes: usize) -> Result<(Type, Vec<Reading>), String> {
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
            _ => Ok((of, self.readings)),
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
