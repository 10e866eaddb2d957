//! Values from JSON, as [`value::Json`](crate::value::Json) writes it: the messages that `coseg channel send` takes, the
//! keys and values of `coseg map`.

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};
use coseg::Value;
use coseg::schema::{Scalar, Type};
use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value of this type, from its JSON. What else is to be said about its type is for [`coseg::encode`] to say.
pub(crate) fn json(of: &Type, text: &[u8]) -> Result<Value, String> {
    document::<Json>(text).and_then(|json| json.value_of(of))
}

/// What a line of JSON says.
pub(crate) fn document<D: DeserializeOwned>(text: &[u8]) -> Result<D, String> {
    serde_json::from_slice(text).map_err(|error| {
        let kind = if error.is_data() { "not as it should be" } else { "no JSON" };
        let (error, column) = (error.to_string(), error.column());
        let fact = error.split(" at line ").next().unwrap_or_default();
        format!("{kind}: {fact} at column {column}")
    })
}

/// A value of this type, from an argument: JSON, or a number, text or truth value without quotes.
pub(crate) fn argument(of: &Type, text: &str) -> Result<Value, String> {
    match of {
        // As a number, it is refused in the same words as a field that does not fit.
        Type::Scalar(scalar)
            if is_whole(*scalar)
                && let Some(number) = whole(text) =>
        {
            Ok(number)
        }
        Type::Scalar(_) | Type::Text { .. } => {
            Ok(Value::Text(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())))
        }
        _ => json(of, text.as_bytes()),
    }
}

fn is_whole(scalar: Scalar) -> bool {
    !matches!(scalar, Scalar::Bool | Scalar::F32 | Scalar::F64)
}

fn whole(text: &str) -> Option<Value> {
    let unsigned = text.parse().ok().map(Value::Unsigned);
    unsigned.or_else(|| text.parse().ok().map(Value::Signed))
}

/// What JSON says, before it is known of which type that is to be.
#[derive(Debug)]
pub(crate) struct Json(Value);

impl Json {
    pub(crate) fn value_of(self, of: &Type) -> Result<Value, String> {
        match (of, self.0) {
            (Type::Bytes { .. }, Value::Text(text)) => Ok(Value::Bytes(text.into_bytes())),
            (Type::Bytes { .. }, Value::Struct(fields)) => match fields.as_slice() {
                [(name, Value::Text(text))] if name == "base64" => {
                    let no_base64 = |error: DecodeError| {
                        format!("no base64: {}", error.to_string().trim_end_matches('.'))
                    };
                    STANDARD.decode(text).map(Value::Bytes).map_err(no_base64)
                }
                _ => Err(NO_BYTES.to_owned()),
            },
            (Type::Bytes { .. }, _) => Err(NO_BYTES.to_owned()),
            (_, value) => Ok(value),
        }
    }
}

const NO_BYTES: &str = "bytes are written as text, or as {\"base64\": \"…\"}";

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Reader).map(Json)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Err(E::custom("null is no value"))
    }

    fn visit_bool<E>(self, own: bool) -> Result<Value, E> {
        Ok(Value::Bool(own))
    }

    fn visit_u64<E>(self, own: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(own.into()))
    }

    fn visit_i64<E>(self, own: i64) -> Result<Value, E> {
        Ok(Value::Signed(own.into()))
    }

    fn visit_f64<E>(self, own: f64) -> Result<Value, E> {
        Ok(Value::Float(own))
    }

    fn visit_str<E>(self, own: &str) -> Result<Value, E> {
        Ok(Value::Text(own.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Json(own)) = seq.next_element()? {
            elements.push(own);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom(format!("`{name}` comes twice")));
            }
            let Json(own) = map.next_value()?;
            fields.push((name, own));
        }
        Ok(Value::Struct(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Json as Written;

    const U64: Type = Type::Scalar(Scalar::U64);
    const BYTES: Type = Type::Bytes { max_bytes: 10 };

    #[test]
    fn numbers_survive_both_ways() {
        for text in ["18446744073709551615", "-9223372036854775808", "0.1", "[1,2.5,true]", "\"a\\n\""] {
            let value = json(&U64, text.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&Written(&value)).unwrap(), text);
        }
        assert_eq!(json(&U64, b"1e400"), Err("no JSON: number out of range at column 5".into()));
    }

    #[test]
    fn bytes_are_text_or_say_how_they_are_written() {
        for bytes in [&b"caf\xc3\xa9 \0"[..], b"\xff\x00\x01", b""] {
            let text = serde_json::to_string(&Written(&Value::Bytes(bytes.to_vec()))).unwrap();
            assert_eq!(json(&BYTES, text.as_bytes()), Ok(Value::Bytes(bytes.to_vec())), "{text}");
        }
        for text in ["{}", "1", "{\"base64\":\"/wA=\",\"a\":1}", "{\"base64\":1}", "[]"] {
            assert_eq!(json(&BYTES, text.as_bytes()), Err(NO_BYTES.to_owned()), "{text}");
        }
        let error = json(&BYTES, b"{\"base64\":\"*\"}").unwrap_err();
        assert!(error.starts_with("no base64: ") && !error.ends_with('.'), "{error}");
    }

    #[test]
    fn what_is_no_json_is_told_by_its_column() {
        assert_eq!(json(&U64, b"{\"a\": }"), Err("no JSON: expected value at column 7".into()));
        for (text, fact) in [
            ("null", "null is no value at column 4"),
            ("{\"a\": [1, {\"b\": null}]}", "null is no value at column 20"),
            ("{\"a\": 1, \"b\": 2, \"a\": 3}", "`a` comes twice at column 20"),
        ] {
            assert_eq!(json(&U64, text.as_bytes()), Err(format!("not as it should be: {fact}")), "{text}");
        }
        assert!(json(&U64, b"1 2").unwrap_err().contains("column 3"));
    }

    #[test]
    fn arguments_need_no_quotes_where_they_are_one_word_or_number() {
        let text = Type::Text { size_bytes: 8 };
        for (of, argument_text, own) in [
            (&text, "EURUSD", "EURUSD"),
            (&text, "\"EURUSD\"", "EURUSD"),
            (&text, "17", "17"),
            (&text, "\"a", "\"a"),
            (&text, "\"\\\"\"", "\""),
            (&U64, "\"340282366920938463463374607431768211455\"", "340282366920938463463374607431768211455"),
        ] {
            assert_eq!(argument(of, argument_text), Ok(Value::Text(own.into())), "{argument_text}");
        }
        assert_eq!(argument(&U64, "17"), Ok(Value::Unsigned(17)));
        let pair = Type::Array { element: Box::new(U64), count: 2 };
        assert_eq!(argument(&pair, "[1, 2]"), Ok(Value::Array(vec![Value::Unsigned(1), Value::Unsigned(2)])));
        assert!(argument(&pair, "1 2").is_err());
    }
}
