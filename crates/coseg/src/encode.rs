//! Values into bytes, by a type that is only known from a schema: the way back from [`decode`](crate::decode).

use std::fmt::Display;

use crate::schema::{BYTES_LENGTH, Scalar, Struct, Type};
use crate::value::encode_text;
use crate::{Error, ErrorKind, Result, Value};

/// Whole numbers up to here are exact as floating-point numbers of 64 bits.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The bytes of a value, as they lie in a region.
///
/// Numbers may come in any shape that loses nothing: `Unsigned(5)`, `Float(5.0)` and `Text("5")` are all an `i32`. A
/// struct is to have each field of its type, and no other.
///
/// ```
/// use coseg::{Shared, Value, decode, encode};
///
/// let of = <[u8; 2]>::describe();
/// let bytes = encode(&of, &Value::Array(vec![Value::Unsigned(1), Value::Text("255".into())]))?;
/// assert_eq!(bytes, [1, 255]);
/// let error = encode(&of, &Value::Array(vec![Value::Unsigned(1), Value::Signed(-1)])).unwrap_err();
/// assert_eq!(error.to_string(), "encode `[1]` of [u8; 2]: -1 is no u8, which goes from 0 to 255");
/// # Ok::<(), coseg::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::BadValue`]: it is no value of the type; which part of it, and why.
pub fn encode(of: &Type, value: &Value) -> Result<Vec<u8>> {
    let mut bytes = vec![0; if matches!(of, Type::Bytes { .. }) { 0 } else { of.size_bytes() }];
    let result = match of {
        Type::Bytes { max_bytes } => put_bytes(*max_bytes, value, &mut bytes),
        _ => put(of, value, &mut bytes),
    };
    result.map_err(|Misfit { path, fact }| {
        let object = match of {
            Type::Bytes { .. } => format!("a message of {of}"),
            _ if path.is_empty() => of.to_string(),
            _ => format!("`{path}` of {of}"),
        };
        Error::new("encode", object, ErrorKind::BadValue, fact)
    })?;
    Ok(bytes)
}

/// What is no value of its type, and why.
#[derive(Debug)]
struct Misfit {
    path: String,
    fact: String,
}

impl Misfit {
    fn new(fact: String) -> Misfit {
        Misfit { path: String::new(), fact }
    }

    /// The same, seen from the struct or array that it is in.
    fn inside(self, step: &str) -> Misfit {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Misfit { path: format!("{step}{dot}{}", self.path), fact: self.fact }
    }
}

fn put_bytes(max_bytes: usize, value: &Value, bytes: &mut Vec<u8>) -> Result<(), Misfit> {
    let own = match value {
        Value::Bytes(own) => own.as_slice(),
        Value::Text(text) => text.as_bytes(),
        other => return Err(Misfit::new(format!("{} where bytes belong", what(other)))),
    };
    if own.len() > max_bytes {
        return Err(Misfit::new(format!("it has {} bytes", own.len())));
    }
    bytes.extend((own.len() as u64).to_ne_bytes());
    debug_assert_eq!(bytes.len(), BYTES_LENGTH);
    bytes.extend(own);
    Ok(())
}

fn put(of: &Type, value: &Value, bytes: &mut [u8]) -> Result<(), Misfit> {
    match (of, value) {
        (Type::Scalar(Scalar::Bool), Value::Bool(own)) => bytes[0] = u8::from(*own),
        (
            Type::Scalar(scalar),
            Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Float32(_),
        ) => {
            put_number(*scalar, value, bytes)?;
        }
        (Type::Text { .. }, Value::Text(text)) if text.contains('\0') => {
            return Err(Misfit::new("the text contains a zero byte, which would end it".to_owned()));
        }
        (Type::Scalar(_) | Type::Text { .. }, Value::Text(text)) => {
            encode_text(of, text, bytes).map_err(Misfit::new)?;
        }
        (Type::Array { element, count }, Value::Array(values)) => {
            if values.len() != *count {
                return Err(Misfit::new(format!("it has {} elements, {of} has {count}", values.len())));
            }
            let size = element.size_bytes();
            for (index, value) in values.iter().enumerate() {
                let place = &mut bytes[index * size..][..size];
                put(element, value, place).map_err(|misfit| misfit.inside(&format!("[{index}]")))?;
            }
        }
        (Type::Struct(of), Value::Struct(fields)) => put_struct(of, fields, bytes)?,
        (Type::Struct(_), other) => {
            return Err(Misfit::new(format!("{} where a struct belongs", what(other))));
        }
        (_, other) => return Err(Misfit::new(format!("{} where {of} belongs", what(other)))),
    }
    Ok(())
}

fn put_struct(of: &Struct, fields: &[(String, Value)], bytes: &mut [u8]) -> Result<(), Misfit> {
    let known = || of.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    for (index, (name, _)) in fields.iter().enumerate() {
        if !of.fields.iter().any(|field| field.name == *name) {
            let fact = format!("there is no such field: {} has {}", of.name, known());
            return Err(Misfit::new(fact).inside(name));
        }
        if fields[..index].iter().any(|(before, _)| before == name) {
            return Err(Misfit::new("it is there twice".to_owned()).inside(name));
        }
    }
    for field in &of.fields {
        let Some((_, value)) = fields.iter().find(|(name, _)| *name == field.name) else {
            return Err(
                Misfit::new(format!("it is missing: {} has {}", of.name, known())).inside(&field.name)
            );
        };
        let place = &mut bytes[field.offset..][..field.of.size_bytes()];
        put(&field.of, value, place).map_err(|misfit| misfit.inside(&field.name))?;
    }
    Ok(())
}

fn put_number(scalar: Scalar, value: &Value, bytes: &mut [u8]) -> Result<(), Misfit> {
    macro_rules! whole {
        ($type:ty) => {{
            let own = match *value {
                Value::Unsigned(value) => <$type>::try_from(value).ok(),
                Value::Signed(value) => <$type>::try_from(value).ok(),
                Value::Float(value) => exact(value).and_then(|value| <$type>::try_from(value).ok()),
                Value::Float32(value) => exact(value.into()).and_then(|value| <$type>::try_from(value).ok()),
                _ => None,
            };
            let own = own.ok_or_else(|| no_whole(value, scalar, <$type>::MIN, <$type>::MAX))?;
            bytes[..size_of::<$type>()].copy_from_slice(&own.to_ne_bytes());
        }};
    }
    match scalar {
        Scalar::Bool => return Err(Misfit::new(format!("{value} is neither true nor false"))),
        Scalar::U8 => whole!(u8),
        Scalar::U16 => whole!(u16),
        Scalar::U32 => whole!(u32),
        Scalar::U64 => whole!(u64),
        Scalar::U128 => whole!(u128),
        Scalar::I8 => whole!(i8),
        Scalar::I16 => whole!(i16),
        Scalar::I32 => whole!(i32),
        Scalar::I64 => whole!(i64),
        Scalar::I128 => whole!(i128),
        Scalar::F64 => bytes[..8].copy_from_slice(&float(value).to_ne_bytes()),
        Scalar::F32 => {
            let wide = float(value);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "to the nearest; what is too large is refused"
            )]
            let own = if let Value::Float32(own) = value { *own } else { wide as f32 };
            if own.is_infinite() && wide.is_finite() {
                return Err(Misfit::new(format!("{value} is no f32, which goes to {:?}", f32::MAX)));
            }
            bytes[..4].copy_from_slice(&own.to_ne_bytes());
        }
    }
    Ok(())
}

fn no_whole(value: &Value, scalar: Scalar, least: impl Display, most: impl Display) -> Misfit {
    let is_rounded = matches!(value, Value::Float(own) if own.fract() == 0.0 && own.abs() > EXACT_MAX);
    Misfit::new(if is_rounded {
        format!("{value} may have lost digits: write whole numbers beyond 64 bits as text")
    } else {
        format!("{value} is no {scalar}, which goes from {least} to {most}")
    })
}

/// A floating-point number that stands for one whole number.
fn exact(value: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    let whole = value as i128;
    (value.fract() == 0.0 && value.abs() <= EXACT_MAX).then_some(whole)
}

fn float(value: &Value) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "to the nearest, as every reader of numbers does")]
    match *value {
        Value::Unsigned(value) => value as f64,
        Value::Signed(value) => value as f64,
        Value::Float(value) => value,
        Value::Float32(value) => value.into(),
        _ => f64::NAN,
    }
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "a truth value",
        Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Float32(_) => "a number",
        Value::Named { .. } => "a name",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Array(_) => "an array",
        Value::Struct(_) => "fields",
    }
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;
    use crate::{Shared, Text, decode};

    #[derive(Shared, Clone, Copy)]
    #[repr(C)]
    struct Inner {
        flag: bool,
        small: f32,
        name: Text<4>,
    }

    #[derive(Shared, Clone, Copy)]
    #[repr(C)]
    struct Outer {
        id: u64,
        tiny: i8,
        inners: [Inner; 2],
        huge: i128,
        ratio: f64,
    }

    fn inner(flag: bool, small: f32, name: &str) -> Value {
        Value::Struct(vec![
            ("flag".into(), Value::Bool(flag)),
            ("small".into(), Value::Float32(small)),
            ("name".into(), Value::Text(name.into())),
        ])
    }

    fn outer() -> Vec<(String, Value)> {
        vec![
            ("id".into(), Value::Unsigned(u64::MAX.into())),
            ("tiny".into(), Value::Signed(-128)),
            ("inners".into(), Value::Array(vec![inner(true, 0.1, "käs"), inner(false, -0.0, "")])),
            ("huge".into(), Value::Signed(i128::MIN)),
            ("ratio".into(), Value::Float(0.1)),
        ]
    }

    fn fact(value: Vec<(String, Value)>) -> String {
        encode(&Outer::describe(), &Value::Struct(value)).expect_err("it has no such form").to_string()
    }

    #[test]
    fn what_is_decoded_is_encoded_again() {
        let of = Outer::describe();
        let bytes = encode(&of, &Value::Struct(outer())).unwrap();
        assert_eq!(decode(&of, &bytes), Value::Struct(outer()));
        let of = Type::Bytes { max_bytes: 3 };
        for own in [&b""[..], b"a\0\xff"] {
            let bytes = encode(&of, &Value::Bytes(own.to_vec())).unwrap();
            assert_eq!(decode(&of, &bytes), Value::Bytes(own.to_vec()));
        }
    }

    #[test]
    fn numbers_come_in_any_shape_that_loses_nothing() {
        let u64s = u64::describe();
        for value in [Value::Unsigned(5), Value::Signed(5), Value::Float(5.0), Value::Text("5".into())] {
            assert_eq!(encode(&u64s, &value).unwrap(), 5_u64.to_ne_bytes(), "{value}");
        }
        for value in [Value::Float(5.5), Value::Float(1e16), Value::Float(f64::NAN), Value::Text("x".into())]
        {
            assert!(encode(&u64s, &value).is_err(), "{value}");
        }
        let f64s = f64::describe();
        for (value, number) in [
            (Value::Unsigned(5), 5.0),
            (Value::Text("-inf".into()), f64::NEG_INFINITY),
            (Value::Text("1e3".into()), 1000.0),
        ] {
            assert_eq!(encode(&f64s, &value).unwrap(), f64::to_ne_bytes(number), "{value}");
        }
        let f32s = f32::describe();
        assert_eq!(encode(&f32s, &Value::Float(0.1)).unwrap(), 0.1_f32.to_ne_bytes());
        assert!(encode(&f32s, &Value::Float(1e300)).is_err());
        assert!(encode(&bool::describe(), &Value::Unsigned(1)).is_err());
        assert_eq!(encode(&bool::describe(), &Value::Text("true".into())).unwrap(), [1]);
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_path() {
        let with = |name: &str, value: Value| {
            let mut fields = outer();
            fields.iter_mut().find(|(own, _)| own == name).unwrap().1 = value;
            fact(fields)
        };
        for (text, fact) in [
            (
                with("tiny", Value::Unsigned(128)),
                "encode `tiny` of Outer: 128 is no i8, which goes from -128 to 127",
            ),
            (with("id", Value::Array(vec![])), "`id` of Outer: an array where u64 belongs"),
            (with("inners", Value::Array(vec![])), "`inners` of Outer: it has 0 elements, [Inner; 2] has 2"),
            (
                with("inners", Value::Array(vec![inner(true, 0.0, "five!"), inner(true, 0.0, "")])),
                "`inners[0].name` of Outer: `five!` has 5 bytes, there is room for 4",
            ),
            (
                with("inners", Value::Array(vec![inner(true, 0.0, ""), Value::Bool(true)])),
                "`inners[1]` of Outer: a truth value where a struct belongs",
            ),
            (fact(outer()[1..].to_vec()), "`id` of Outer: it is missing: Outer has id, tiny,"),
            (fact([outer(), outer()].concat()), "`id` of Outer: it is there twice"),
            (
                fact([outer(), vec![("odd".into(), Value::Bool(true))]].concat()),
                "`odd` of Outer: there is no such field",
            ),
        ] {
            assert!(text.contains(fact), "{text}");
        }
        let long = encode(&Type::Bytes { max_bytes: 2 }, &Value::Text("abc".into())).unwrap_err();
        assert_eq!(long.to_string(), "encode a message of up to 2 bytes: it has 3 bytes");
        assert!(encode(&<Text<9>>::describe(), &Value::Text("a\0b".into())).is_err());
    }
}
