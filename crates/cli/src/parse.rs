//! Values from JSON, as [`value::Json`](crate::value::Json) writes it: the messages that `coseg channel send` takes, the
//! keys and values of `coseg map`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coseg::Value;
use coseg::schema::Type;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// A value of this type, from its JSON. What else is to be said about its type is for [`coseg::encode`] to say.
pub(crate) fn json(of: &Type, text: &[u8]) -> Result<Value, String> {
    document(text).and_then(|json| value_of(of, json))
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

/// A value of this type, from JSON that was read.
pub(crate) fn value_of(of: &Type, json: Json) -> Result<Value, String> {
    match of {
        Type::Bytes { .. } => bytes(json),
        _ => value(json, ""),
    }
}

/// A value of this type, from an argument: JSON, or a number, text or truth value without quotes.
pub(crate) fn argument(of: &Type, text: &str) -> Result<Value, String> {
    match of {
        Type::Scalar(_) | Type::Text { .. } => {
            Ok(Value::Text(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())))
        }
        _ => json(of, text.as_bytes()),
    }
}

fn bytes(json: Json) -> Result<Value, String> {
    match json {
        Json::String(text) => Ok(Value::Bytes(text.into_bytes())),
        Json::Object(mut fields) => match (fields.remove("base64"), fields.len()) {
            (Some(Json::String(text)), 0) => {
                let bytes = STANDARD.decode(&text).map_err(|error| format!("no base64: {error}"))?;
                Ok(Value::Bytes(bytes))
            }
            _ => Err(NO_BYTES.to_owned()),
        },
        _ => Err(NO_BYTES.to_owned()),
    }
}

const NO_BYTES: &str = "bytes are written as text, or as {\"base64\": \"…\"}";

fn value(json: Json, path: &str) -> Result<Value, String> {
    Ok(match json {
        Json::Null if path.is_empty() => return Err("null is no value".to_owned()),
        Json::Null => return Err(format!("`{path}`: null is no value")),
        Json::Bool(own) => Value::Bool(own),
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(own), ..) => Value::Unsigned(own.into()),
            (_, Some(own), _) => Value::Signed(own.into()),
            (_, _, Some(own)) => Value::Float(own),
            _ => return Err(format!("`{path}`: {number} is too large a number")),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(elements) => {
            let elements = elements.into_iter().enumerate();
            let elements = elements.map(|(index, own)| value(own, &format!("{path}[{index}]")));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            let fields = fields.into_iter().map(|(name, own)| {
                let own = value(own, &format!("{path}{dot}{name}"))?;
                Ok((name, own))
            });
            Value::Struct(fields.collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use coseg::schema::Scalar;

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
        for text in ["{}", "1", "{\"base64\":\"/wA=\",\"a\":1}", "{\"base64\":1}"] {
            assert_eq!(json(&BYTES, text.as_bytes()), Err(NO_BYTES.to_owned()), "{text}");
        }
        assert!(json(&BYTES, b"{\"base64\":\"*\"}").unwrap_err().starts_with("no base64: "));
    }

    #[test]
    fn what_is_no_json_is_told_by_its_column() {
        assert_eq!(json(&U64, b"{\"a\": }"), Err("no JSON: expected value at column 7".into()));
        assert_eq!(json(&U64, b"null"), Err("null is no value".into()));
        assert_eq!(json(&U64, b"{\"a\": [1, {\"b\": null}]}"), Err("`a[1].b`: null is no value".into()));
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
            (&U64, "17", "17"),
            (&U64, "\"340282366920938463463374607431768211455\"", "340282366920938463463374607431768211455"),
        ] {
            assert_eq!(argument(of, argument_text), Ok(Value::Text(own.into())), "{argument_text}");
        }
        let pair = Type::Array { element: Box::new(U64), count: 2 };
        assert_eq!(argument(&pair, "[1, 2]"), Ok(Value::Array(vec![Value::Unsigned(1), Value::Unsigned(2)])));
        assert!(argument(&pair, "1 2").is_err());
    }
}
