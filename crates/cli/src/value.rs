//! Values and types of a region, for people and for programs.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coseg::Value;
use coseg::schema::{Field, Type};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::output::printable;

/// Elements of an array that one line shows.
const LINE_ELEMENTS: usize = 16;

/// A value as JSON: numbers as numbers, those that JSON's readers cannot hold and those that are none (NaN) as the text
/// that `coseg set` takes. Bytes are text if they can be, else `{"base64": "…"}`.
#[derive(Debug)]
pub(crate) struct Json<V>(pub(crate) V);

impl<V: Borrow<Value>> Serialize for Json<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.borrow() {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Unsigned(value) => match u64::try_from(*value) {
                Ok(value) => serializer.serialize_u64(value),
                Err(_) => serializer.collect_str(value),
            },
            Value::Signed(value) => match i64::try_from(*value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.collect_str(value),
            },
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Float32(value) if value.is_finite() => serializer.serialize_f32(*value),
            Value::Text(text) => serializer.serialize_str(text),
            // What is no text has a field that says how it is written.
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => {
                    let mut map = serializer.serialize_map(Some(1))?;
                    map.serialize_entry("base64", &STANDARD.encode(bytes))?;
                    map.end()
                }
            },
            Value::Array(values) => {
                let mut array = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    array.serialize_element(&Json(value))?;
                }
                array.end()
            }
            Value::Struct(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, &Json(value))?;
                }
                map.end()
            }
            other => serializer.collect_str(other),
        }
    }
}

impl<V> JsonSchema for Json<V> {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "As the region's schema has it: a number, true or false, text, an array, or an object by the \
                names of fields. Numbers that readers of JSON cannot hold, and those that are none, are text. Bytes \
                that are no text are {\"base64\": …}. A number of an enum that has a name is that name, an address is \
                text in hexadecimal."
        })
    }
}

/// What is at a path in a value: `.quotes[1].rate`; the first dot may be left out.
pub(crate) fn at<'v>(mut value: &'v Value, path: &str) -> Result<&'v Value, String> {
    let mut rest = path;
    while !rest.is_empty() {
        let step = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(index) = rest.strip_prefix('[') {
            let (index, behind) = index.split_once(']').ok_or_else(|| format!("`{rest}` has no `]`"))?;
            let number: usize = index.parse().map_err(|_| format!("`{index}` is no index"))?;
            let Value::Array(values) = value else { return Err(format!("no array is there for [{number}]")) };
            let last = || format!("there is no [{number}]: there are {}", values.len());
            (value, rest) = (values.get(number).ok_or_else(last)?, behind);
        } else {
            let (name, behind) = step.split_at(step.find(['.', '[']).unwrap_or(step.len()));
            let Value::Struct(fields) = value else { return Err(format!("no struct is there for `{name}`")) };
            let names = || fields.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ");
            let found = fields.iter().find(|(own, _)| own == name);
            let (_, own) =
                found.ok_or_else(|| format!("there is no field `{name}`: there are {}", names()))?;
            (value, rest) = (own, behind);
        }
    }
    Ok(value)
}

/// A type as JSON.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub(crate) enum TypeJson<'a> {
    Scalar { kind: String },
    Text { kind: &'static str, size_bytes: usize },
    Bytes { kind: &'static str, max_bytes: usize },
    Array { kind: &'static str, count: usize, element: Box<TypeJson<'a>> },
    Struct { kind: &'static str, name: &'a str, size_bytes: usize, fields: Vec<FieldJson<'a>> },
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct FieldJson<'a> {
    name: &'a str,
    offset_bytes: usize,
    unit: &'a str,
    doc: &'a str,
    r#type: TypeJson<'a>,
}

impl<'a> From<&'a Type> for TypeJson<'a> {
    fn from(of: &'a Type) -> TypeJson<'a> {
        match of {
            Type::Text { size_bytes } => TypeJson::Text { kind: "text", size_bytes: *size_bytes },
            Type::Bytes { max_bytes } => TypeJson::Bytes { kind: "bytes", max_bytes: *max_bytes },
            Type::Array { element, count } => {
                TypeJson::Array { kind: "array", count: *count, element: Box::new((&**element).into()) }
            }
            Type::Struct(of) => {
                let fields = of.fields.iter().map(FieldJson::from).collect();
                TypeJson::Struct { kind: "struct", name: &of.name, size_bytes: of.size_bytes, fields }
            }
            scalar => TypeJson::Scalar { kind: scalar.to_string() },
        }
    }
}

impl<'a> From<&'a Field> for FieldJson<'a> {
    fn from(field: &'a Field) -> FieldJson<'a> {
        let Field { name, offset, of, unit, doc } = field;
        FieldJson { name, offset_bytes: *offset, unit, doc, r#type: of.into() }
    }
}

/// Whether nothing but zeroes is in it, as in a row that nobody has written.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Unsigned(value) => *value == 0,
        Value::Signed(value) => *value == 0,
        // -0.0 was written by somebody.
        Value::Float(value) => value.to_bits() == 0,
        Value::Float32(value) => value.to_bits() == 0,
        Value::Text(text) => text.is_empty(),
        Value::Named { number, .. } => *number == 0,
        Value::Array(values) => values.iter().all(is_zero),
        Value::Struct(fields) => fields.iter().all(|(_, value)| is_zero(value)),
        _ => false,
    }
}

/// The order of keys in a list: that of numbers and of text.
pub(crate) fn in_order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Unsigned(one), Value::Unsigned(other)) => one.cmp(other),
        (Value::Signed(one), Value::Signed(other)) => one.cmp(other),
        (Value::Float(one), Value::Float(other)) => one.total_cmp(other),
        (Value::Float32(one), Value::Float32(other)) => one.total_cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (one, other) => line(one, true).cmp(&line(other, true)),
    }
}

/// A value alone: text without quotes.
pub(crate) fn bare(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => line(other, true),
    }
}

/// A value on one line. Long arrays are cut unless `all` of them is wanted.
pub(crate) fn line(value: &Value, all: bool) -> String {
    let mut out = String::new();
    write_line(&mut out, value, all);
    out
}

fn write_line(out: &mut String, value: &Value, all: bool) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Array(values) => {
            out.push('[');
            let shown = if all || values.len() <= LINE_ELEMENTS { values.len() } else { LINE_ELEMENTS };
            for (index, value) in values[..shown].iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_line(out, value, all);
            }
            let rest = &values[shown..];
            if !rest.is_empty() {
                let what = if rest.iter().all(is_zero) { "zeroes" } else { "more" };
                let _ = write!(out, ", … {} {what}", rest.len());
            }
            out.push(']');
            Ok(())
        }
        Value::Struct(fields) => {
            out.push_str("{ ");
            for (index, (name, value)) in fields.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                let _ = write!(out, "{comma}{}: ", printable(name));
                write_line(out, value, all);
            }
            out.push_str(" }");
            Ok(())
        }
        // Text in quotes, with what would steer the terminal spelled out.
        other => write!(out, "{other}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        serde_json::to_string(&Json(value)).unwrap()
    }

    #[test]
    fn numbers_are_numbers_where_they_can_be() {
        for (value, text) in [
            (Value::Unsigned(u64::MAX.into()), "18446744073709551615"),
            (Value::Unsigned(u128::MAX), "\"340282366920938463463374607431768211455\""),
            (Value::Signed(i64::MIN.into()), "-9223372036854775808"),
            (Value::Signed(i128::MIN), "\"-170141183460469231731687303715884105728\""),
            (Value::Float(f64::NAN), "\"NaN\""),
            (Value::Float(f64::NEG_INFINITY), "\"-inf\""),
            (Value::Float32(0.1), "0.1"),
            (Value::Array(vec![Value::Bool(true), Value::Text("a\"".into())]), "[true,\"a\\\"\"]"),
            (Value::Bytes(b"k\xc3\xa4se\n".to_vec()), "\"käse\\n\""),
            (Value::Bytes(vec![0xff, 0]), "{\"base64\":\"/wA=\"}"),
        ] {
            assert_eq!(json(&value), text);
        }
        let value = Value::Struct(vec![("b".into(), Value::Signed(-1)), ("a".into(), Value::Float(1.5))]);
        assert_eq!(json(&value), "{\"b\":-1,\"a\":1.5}");
    }

    #[test]
    fn one_line_holds_any_value() {
        let numbers = |count| Value::Array((1..=count).map(Value::Unsigned).collect());
        assert_eq!(line(&numbers(3), false), "[1, 2, 3]");
        assert!(line(&numbers(20), false).ends_with("16, … 4 more]"));
        assert!(line(&numbers(20), true).ends_with("19, 20]"));
        assert!(line(&Value::Array(vec![Value::Unsigned(0); 20]), false).ends_with("0, … 4 zeroes]"));
        assert_eq!(line(&Value::Float(1e300), false), "1e300");
        assert_eq!(line(&Value::Float(13.72), false), "13.72");
        assert_eq!(line(&Value::Float(-0.0), false), "-0.0");
        assert_eq!(line(&Value::Float32(0.1), false), "0.1");
        assert_eq!(line(&Value::Text("\x1b[2J".into()), false), "\"\\u{1b}[2J\"");
        assert_eq!(bare(&Value::Text("two words".into())), "two words");
    }

    #[test]
    fn negative_zero_is_not_nothing() {
        assert!(is_zero(&Value::Struct(vec![("a".into(), Value::Array(vec![Value::Float(0.0)]))])));
        assert!(!is_zero(&Value::Float(-0.0)));
        assert!(!is_zero(&Value::Float32(f32::NAN)));
    }
}
