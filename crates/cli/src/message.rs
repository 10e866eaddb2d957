//! Messages of a channel as JSON: what `coseg channel tail` prints, and `send` takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coseg::Value;
use coseg::schema::Type;
use serde_json::Value as Json;

/// A message of this type, from its JSON. What else is to be said about its type is for [`coseg::encode`] to say.
pub(crate) fn parse(of: &Type, text: &[u8]) -> Result<Value, String> {
    let json: Json = serde_json::from_slice(text).map_err(|error| {
        let (error, column) = (error.to_string(), error.column());
        let fact = error.split(" at line ").next().unwrap_or_default();
        format!("no JSON: {fact} at column {column}")
    })?;
    match of {
        Type::Bytes { .. } => bytes(json),
        _ => value(json, ""),
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
        Json::Null if path.is_empty() => return Err("null is no message".to_owned()),
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
            let value = parse(&U64, text.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&Written(&value)).unwrap(), text);
        }
        assert_eq!(parse(&U64, b"1e400"), Err("no JSON: number out of range at column 5".into()));
    }

    #[test]
    fn bytes_are_text_or_say_how_they_are_written() {
        for bytes in [&b"caf\xc3\xa9 \0"[..], b"\xff\x00\x01", b""] {
            let text = serde_json::to_string(&Written(&Value::Bytes(bytes.to_vec()))).unwrap();
            assert_eq!(parse(&BYTES, text.as_bytes()), Ok(Value::Bytes(bytes.to_vec())), "{text}");
        }
        for text in ["{}", "1", "{\"base64\":\"/wA=\",\"a\":1}", "{\"base64\":1}"] {
            assert_eq!(parse(&BYTES, text.as_bytes()), Err(NO_BYTES.to_owned()), "{text}");
        }
        assert!(parse(&BYTES, b"{\"base64\":\"*\"}").unwrap_err().starts_with("no base64: "));
    }

    #[test]
    fn what_is_no_json_is_told_by_its_column() {
        assert_eq!(parse(&U64, b"{\"a\": }"), Err("no JSON: expected value at column 7".into()));
        assert_eq!(parse(&U64, b"null"), Err("null is no message".into()));
        assert_eq!(parse(&U64, b"{\"a\": [1, {\"b\": null}]}"), Err("`a[1].b`: null is no value".into()));
        assert!(parse(&U64, b"1 2").unwrap_err().contains("column 3"));
    }
}
