//! Values of a type that is only known from a schema.

use std::fmt;
use std::sync::Arc;

use crate::schema::{BYTES_LENGTH, Scalar, Struct, Type};

/// A value, decoded by its type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// An unsigned number of any width.
    Unsigned(u128),
    /// A signed number of any width.
    Signed(i128),
    /// A floating-point number; one of 32 bits keeps its shortest form.
    Float(f64),
    /// The same, of 32 bits.
    Float32(f32),
    /// A number that is written otherwise: one of an enum by its name, an address in hexadecimal.
    Named {
        /// How it is written.
        name: Arc<str>,
        /// The number.
        number: i128,
    },
    /// Text, up to its first zero byte.
    Text(String),
    /// Bytes of a message.
    Bytes(Vec<u8>),
    /// The elements of an array.
    Array(Vec<Value>),
    /// The fields of a struct by name.
    Struct(Vec<(String, Value)>),
}

/// Decodes the bytes of a value. They may be fewer than the type's, in a region made before fields were added: what
/// is missing is zero.
pub fn decode(of: &Type, bytes: &[u8]) -> Value {
    match of {
        Type::Scalar(scalar) => decode_scalar(*scalar, bytes),
        Type::Text { size_bytes } => {
            let bytes = &bytes[..bytes.len().min(*size_bytes)];
            let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
            Value::Text(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        Type::Bytes { max_bytes } => {
            let (length, bytes) = bytes.split_at(bytes.len().min(BYTES_LENGTH));
            let length = usize::try_from(u64::from_ne_bytes(own(length))).unwrap_or(usize::MAX);
            Value::Bytes(bytes[..length.min(*max_bytes).min(bytes.len())].to_vec())
        }
        Type::Array { element, count } => {
            let size = element.size_bytes();
            Value::Array((0..*count).map(|index| decode(element, from(bytes, index * size))).collect())
        }
        Type::Struct(Struct { fields, .. }) => Value::Struct(
            fields
                .iter()
                .map(|field| (field.name.clone(), decode(&field.of, from(bytes, field.offset))))
                .collect(),
        ),
    }
}

/// The most memory that what is read of a region at a time may take.
pub(crate) const DECODED_MAX: usize = 256 << 20;

/// Bytes of memory that a decoded value takes, about. A few bytes of a region can stand for millions of values: for
/// fields without size, or names that are repeated.
pub(crate) fn decoded_bytes(of: &Type) -> usize {
    let inside = match of {
        Type::Scalar(_) => 0,
        Type::Text { size_bytes } => *size_bytes,
        Type::Bytes { max_bytes } => *max_bytes,
        Type::Array { element, count } => decoded_bytes(element).saturating_mul(*count),
        Type::Struct(Struct { fields, .. }) => fields.iter().fold(0, |sum: usize, field| {
            sum.saturating_add(size_of::<String>() + field.name.len())
                .saturating_add(decoded_bytes(&field.of))
        }),
    };
    size_of::<Value>().saturating_add(inside)
}

fn from(bytes: &[u8], offset: usize) -> &[u8] {
    bytes.get(offset..).unwrap_or_default()
}

fn own<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut own = [0; N];
    let length = bytes.len().min(N);
    own[..length].copy_from_slice(&bytes[..length]);
    own
}

fn decode_scalar(scalar: Scalar, bytes: &[u8]) -> Value {
    match scalar {
        // What is neither is shown as what it is.
        Scalar::Bool => match own::<1>(bytes) {
            [value @ 0..=1] => Value::Bool(value == 1),
            [other] => Value::Unsigned(other.into()),
        },
        Scalar::U8 => Value::Unsigned(u8::from_ne_bytes(own(bytes)).into()),
        Scalar::U16 => Value::Unsigned(u16::from_ne_bytes(own(bytes)).into()),
        Scalar::U32 => Value::Unsigned(u32::from_ne_bytes(own(bytes)).into()),
        Scalar::U64 => Value::Unsigned(u64::from_ne_bytes(own(bytes)).into()),
        Scalar::U128 => Value::Unsigned(u128::from_ne_bytes(own(bytes))),
        Scalar::I8 => Value::Signed(i8::from_ne_bytes(own(bytes)).into()),
        Scalar::I16 => Value::Signed(i16::from_ne_bytes(own(bytes)).into()),
        Scalar::I32 => Value::Signed(i32::from_ne_bytes(own(bytes)).into()),
        Scalar::I64 => Value::Signed(i64::from_ne_bytes(own(bytes)).into()),
        Scalar::I128 => Value::Signed(i128::from_ne_bytes(own(bytes))),
        Scalar::F32 => Value::Float32(f32::from_ne_bytes(own(bytes))),
        Scalar::F64 => Value::Float(f64::from_ne_bytes(own(bytes))),
    }
}

/// Writes what `text` says into the bytes of a value that is a number, a truth value or text.
///
/// # Errors
/// What is wrong with the text: it is no such number, or too long.
pub(crate) fn encode_text(of: &Type, text: &str, bytes: &mut [u8]) -> Result<(), String> {
    let scalar = match of {
        Type::Scalar(scalar) => *scalar,
        Type::Text { size_bytes } => {
            if text.len() > *size_bytes {
                return Err(format!("`{text}` has {} bytes, there is room for {size_bytes}", text.len()));
            }
            bytes[..*size_bytes].fill(0);
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            return Ok(());
        }
        Type::Bytes { .. } | Type::Array { .. } | Type::Struct(_) => {
            return Err(format!("{of} is not one number or text: name a field or an element of it"));
        }
    };
    macro_rules! parse {
        ($type:ty) => {{
            let value = parse_number::<$type>(text).ok_or_else(|| format!("`{text}` is no {scalar}"))?;
            bytes[..size_of::<$type>()].copy_from_slice(&value.to_ne_bytes());
        }};
    }
    match scalar {
        Scalar::Bool => {
            let value: bool = text.parse().map_err(|_| format!("`{text}` is neither true nor false"))?;
            bytes[0] = u8::from(value);
        }
        Scalar::U8 => parse!(u8),
        Scalar::U16 => parse!(u16),
        Scalar::U32 => parse!(u32),
        Scalar::U64 => parse!(u64),
        Scalar::U128 => parse!(u128),
        Scalar::I8 => parse!(i8),
        Scalar::I16 => parse!(i16),
        Scalar::I32 => parse!(i32),
        Scalar::I64 => parse!(i64),
        Scalar::I128 => parse!(i128),
        Scalar::F32 => parse!(f32),
        Scalar::F64 => parse!(f64),
    }
    // One that is too large is read as infinite.
    let is_infinite = matches!(decode_scalar(scalar, bytes), Value::Float(value) if value.is_infinite())
        || matches!(decode_scalar(scalar, bytes), Value::Float32(value) if value.is_infinite());
    if is_infinite && !text.to_ascii_lowercase().contains("inf") {
        return Err(format!("`{text}` is beyond what {scalar} can hold"));
    }
    Ok(())
}

fn parse_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

impl fmt::Display for Value {
    /// One line, as Rust would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::Unsigned(value) => value.fmt(f),
            Value::Signed(value) => value.fmt(f),
            // The shortest form that reads back as the same number.
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Float32(value) => write!(f, "{value:?}"),
            Value::Named { name, .. } => name.escape_debug().fmt(f),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Value::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Value::Struct(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { " " };
                    write!(f, "{comma}{name}: {value}")?;
                }
                f.write_str(" }")
            }
        }
    }
}
