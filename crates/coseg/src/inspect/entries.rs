//! The entries of a map, by the types that the region tells.

use super::Inspection;
use super::path::Found;
use crate::item::Bytes;
use crate::map::{Geometry, HashedKey, KEY, Nothing, lives, types};
use crate::memory::WORD;
use crate::schema::{Type, shown};
use crate::value::{Value, decode, encode_text};
use crate::{Error, ErrorKind, Result};

impl Inspection {
    /// The entries of a map, each a struct of `key` and `value`; in no order, and one after the other.
    pub(super) fn entries(&self, part: usize, of: &Type) -> Result<Vec<Value>> {
        let Some(map) = self.base.layout.map_of(part) else { return Ok(Vec::new()) };
        let memory = &self.base.memory;
        let count = map.used(memory).count();
        self.check_size(of, map.item(0).room_bytes, count)?;
        let mut entries = Vec::new();
        // More may have come since.
        for entry in map.used(memory).take(count) {
            let bytes = self.bytes(map.item(entry))?;
            if lives(until(&bytes)) {
                entries.push(decode(of, &bytes));
            }
        }
        Ok(entries)
    }

    /// How many entries of a map are in use; `None`: the part is no map.
    pub fn entry_count(&self, part: usize) -> Option<usize> {
        self.base.layout.map_of(part).map(|map| map.used(&self.base.memory).count())
    }

    /// The value of a key that stands at the beginning of the path's `rest`, and what comes after it.
    pub(super) fn find_key<'s, 'p>(
        &'s self,
        path: &str,
        part: usize,
        rest: &'p str,
    ) -> Result<(Found<'s>, &'p str)> {
        let bad = |fact: String| self.bad_path(path, fact);
        let layout = &self.base.layout;
        let known = layout.map_of(part).zip(types(&layout.schema.parts[part]));
        let (map, (key, value)) = known.ok_or_else(|| bad("it is no map".to_owned()))?;
        let (text, rest) = key_text(rest).map_err(bad)?;
        if !matches!(key, Type::Scalar(_) | Type::Text { .. }) {
            let fact =
                format!("a key, {}, is no number or text: see its entries with `coseg show`", shown(key));
            return Err(bad(fact));
        }
        let mut bytes = vec![0; key.size_bytes().next_multiple_of(WORD)];
        encode_text(key, text, &mut bytes).map_err(bad)?;
        bytes.truncate(key.size_bytes());
        let entry = self.entry_of(map, &bytes)?.ok_or_else(|| bad(no_key(text)))?;
        let found = Found { item: map.item(entry), of: value, offset: map.value_at, key: Some(bytes) };
        Ok((found, rest))
    }

    fn entry_of(&self, map: &Geometry, key: &[u8]) -> Result<Option<usize>> {
        let memory = &self.base.memory;
        memory.let_read();
        let key = HashedKey::new(map.seed(memory), key);
        match map.read_for_certain(&self.base.log(), &key, &Nothing) {
            Ok(found) => Ok(found.filter(|(found, ())| lives(found.until)).map(|(found, ())| found.entry)),
            Err(_) => Err(self.busy()),
        }
    }

    /// The bytes of a value that was found.
    pub(super) fn bytes_of(&self, found: &Found<'_>, path: &str) -> Result<Vec<u8>> {
        let bytes = self.bytes(found.item)?;
        match &found.key {
            Some(key) if bytes[KEY..][..key.len()] != key[..] || !lives(until(&bytes)) => {
                Err(self.bad_path(path, "the key was removed just now".to_owned()))
            }
            _ => Ok(bytes),
        }
    }

    pub(super) fn bytes(&self, item: crate::layout::Item) -> Result<Vec<u8>> {
        let found = item.try_read(&self.base.memory, &Bytes(item.room_bytes));
        found.map(|(bytes, _)| bytes).ok_or_else(|| self.busy())
    }

    fn busy(&self) -> Error {
        let fact = "writers overtook every attempt: try again";
        Error::new("read", self.base.object(), ErrorKind::Busy, fact)
    }
}

fn no_key(text: &str) -> String {
    format!("there is no key `{}`", shown(text))
}

/// When the entry in these bytes of a slot expires.
fn until(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |until| u64::from_ne_bytes(*until))
}

/// The key in `[17]` or `["EURUSD"]`, and what comes after it.
fn key_text(rest: &str) -> std::result::Result<(&str, &str), String> {
    let found = match rest.strip_prefix("[\"") {
        Some(rest) => rest.split_once("\"]"),
        None => rest.strip_prefix('[').and_then(|rest| rest.split_once(']')),
    };
    found.ok_or_else(|| "name a key first: [17], or [\"EURUSD\"]".to_owned())
}
