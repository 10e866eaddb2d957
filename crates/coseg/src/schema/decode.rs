//! A schema from bytes that anybody may have written: every number is checked before it is believed.

use super::encode::{ARRAY, BYTES, NO_TYPE, STRUCT, TEXT};
use super::{DEPTH_MAX, Field, NODES_MAX, Part, PartKind, Scalar, Schema, Struct, Type};
use crate::channel::stream::CHUNK_ROOM;

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// The schema in all of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Schema> {
    let mut reader = Reader { rest: bytes, nodes: 0 };
    let name = reader.string()?;
    let part_count = reader.number()?;
    let mut parts = Vec::new();
    for _ in 0..part_count {
        reader.count_node()?;
        parts.push(reader.part()?);
    }
    if !reader.rest.is_empty() {
        return Err(Malformed("bytes after its end"));
    }
    Ok(Schema { name, parts })
}

struct Reader<'a> {
    rest: &'a [u8],
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("it ends too soon"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed("it ends too soon"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_ne_bytes(self.fixed()?))
    }

    fn number(&mut self) -> Result<usize> {
        Ok(u32::from_ne_bytes(self.fixed()?) as usize)
    }

    fn long(&mut self) -> Result<usize> {
        usize::try_from(u64::from_ne_bytes(self.fixed()?)).map_err(|_| Malformed("a number is too large"))
    }

    fn string(&mut self) -> Result<String> {
        let length = u16::from_ne_bytes(self.fixed()?);
        let text = self.take(usize::from(length))?;
        let text = std::str::from_utf8(text).map_err(|_| Malformed("a name is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn count_node(&mut self) -> Result<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX { Err(Malformed("it has too many fields")) } else { Ok(()) }
    }

    fn part(&mut self) -> Result<Part> {
        let (name, doc) = (self.string()?, self.string()?);
        let kind = PartKind::from_code(self.byte()?).ok_or(Malformed("a part of unknown kind"))?;
        let (row_count, slot_count, room_bytes) = (self.long()?, self.long()?, self.long()?);
        let offset = self.long()?;
        let code = self.byte()?;
        let of = match code {
            NO_TYPE => None,
            // Of a length of their own, they are neither element nor field.
            BYTES if kind.is_channel() => Some(Type::Bytes { max_bytes: self.number()? }),
            code => Some(self.type_of(code, 0)?),
        };
        if of.is_some() != kind.has_type() {
            return Err(Malformed("a type where none belongs, or none where one does"));
        }
        // A stream's messages may be larger than the chunks that they come in.
        let is_possible = match (kind, &of) {
            (PartKind::Stream, of) => matches!(of, Some(Type::Bytes { .. })) && room_bytes >= CHUNK_ROOM,
            (_, of) => of.as_ref().is_none_or(|of| of.size_bytes() <= room_bytes),
        };
        if !is_possible {
            return Err(Malformed("values larger than their room, or a stream of no bytes"));
        }
        Ok(Part { name, doc, kind, of, row_count, slot_count, room_bytes, offset })
    }

    fn type_of(&mut self, code: u8, depth: usize) -> Result<Type> {
        self.count_node()?;
        if depth >= DEPTH_MAX {
            return Err(Malformed("types nested too deep"));
        }
        match code {
            TEXT => Ok(Type::Text { size_bytes: self.number()? }),
            ARRAY => {
                let count = self.number()?;
                let code = self.byte()?;
                let element = Box::new(self.type_of(code, depth + 1)?);
                let size = element.size_bytes().checked_mul(count);
                // A million values of no size would keep a reader busy.
                if size.is_none_or(|size| size > u32::MAX as usize || (size == 0 && count > 0)) {
                    return Err(Malformed("an array of no size, or too large"));
                }
                Ok(Type::Array { element, count })
            }
            STRUCT => self.struct_of(depth).map(Type::Struct),
            code => Scalar::from_code(code).map(Type::Scalar).ok_or(Malformed("an unknown type")),
        }
    }

    fn struct_of(&mut self, depth: usize) -> Result<Struct> {
        let name = self.string()?;
        let (size_bytes, field_count) = (self.number()?, self.number()?);
        let mut fields = Vec::new();
        let mut end = 0;
        for _ in 0..field_count {
            let name = self.string()?;
            let offset = self.number()?;
            let (unit, doc) = (self.string()?, self.string()?);
            let code = self.byte()?;
            let of = self.type_of(code, depth + 1)?;
            let after = offset.checked_add(of.size_bytes()).ok_or(Malformed("a field is too large"))?;
            if offset < end || after > size_bytes {
                return Err(Malformed("fields that overlap or do not fit their struct"));
            }
            end = after;
            fields.push(Field { name, offset, of, unit, doc });
        }
        Ok(Struct { name, size_bytes, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;

    fn sample() -> Schema {
        let scalar = |name: &str, offset, of, unit: &str| Field {
            name: name.into(),
            offset,
            of,
            unit: unit.into(),
            doc: String::new(),
        };
        let currency = Type::Struct(Struct {
            name: "Currency".into(),
            size_bytes: 32,
            fields: vec![
                scalar("sell", 0, Type::Scalar(Scalar::F64), "GBP"),
                scalar("name", 8, Type::Text { size_bytes: 16 }, ""),
            ],
        });
        Schema {
            name: "Office".into(),
            parts: vec![
                Part {
                    name: "board".into(),
                    doc: "What is bought and sold.".into(),
                    kind: PartKind::Cell,
                    of: Some(Type::Array { element: Box::new(currency), count: 4 }),
                    row_count: 1,
                    slot_count: 4,
                    room_bytes: 128,
                    offset: 4096,
                },
                Part {
                    name: "trades".into(),
                    doc: String::new(),
                    kind: PartKind::Counter,
                    of: None,
                    row_count: 1,
                    slot_count: 1,
                    room_bytes: 8,
                    offset: 8192,
                },
            ],
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        assert_eq!(decode(&encode(&sample())), Ok(sample()));
    }

    #[test]
    fn cut_short_or_changed_anywhere_it_is_refused_or_another_schema() {
        let bytes = encode(&sample());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff, bytes[at].wrapping_add(1)] {
                let mut changed = bytes.clone();
                changed[at] = value;
                // Any result will do, as long as there is one.
                let _ = decode(&changed);
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut of = Type::Scalar(Scalar::U8);
        for _ in 0..DEPTH_MAX {
            of = Type::Array { element: Box::new(of), count: 1 };
        }
        let mut schema = sample();
        schema.parts[0].of = Some(of);
        assert_eq!(decode(&encode(&schema)), Err(Malformed("types nested too deep")));
    }
}
