//! The entries of a map, by the types that the region tells.

use std::sync::Arc;

use super::Inspection;
use super::path::Found;
use crate::Result;
use crate::item::Bytes;
use crate::map::{Geometry, HashedKey, KEY, Nothing, UntypedMap, busy, lives, types, until};
use crate::memory::WORD;
use crate::part::Spot;
use crate::schema::{Type, listed, shown};
use crate::value::{Value, encode_text};

impl Inspection {
    /// The entries of a map, each a struct of `key` and `value`; in no order, and one after the other.
    pub(super) fn entries(&self, part: usize, of: &Type) -> Result<Vec<Value>> {
        let Some(map) = self.untyped_map(part) else { return Ok(Vec::new()) };
        let count = map.len();
        self.check_size(of, self.schema().parts[part].room_bytes, count)?;
        let field = |name: &str, value| (name.to_owned(), value);
        let entries = map.iter().map(|entry| {
            let (key, entry) = entry?;
            Ok(Value::Struct(vec![field("key", key), field("value", entry.value)]))
        });
        // More may have come since.
        entries.take(count).collect()
    }

    /// A map, to be looked into; [joined](Inspection::join), to be changed, too.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use coseg::{Inspection, Key, Map, Region, Text, UntypedEntry, Value};
    ///
    /// #[derive(Region)]
    /// struct Desk {
    ///     quotes: Map<Text<8>, f64, 100>,
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let backend = coseg_sysv::User::at(dir.path())?;
    /// let desk = Region::<Desk>::at(Key::new(7)).backend(&backend).create(DeskInitial::default)?;
    /// let look = Inspection::join(desk.segment())?;
    /// let quotes = look.map("quotes")?;
    /// let wait = Duration::from_secs(1);
    /// quotes.update(&Value::Text("EURUSD".into()), wait, |entry| {
    ///     *entry = Some(UntypedEntry { value: Value::Float(1.07), expires_in: None });
    /// })?;
    /// assert_eq!(desk.quotes.get(&"EURUSD".into())?, Some(1.07));
    /// # desk.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::BadPath`](crate::ErrorKind::BadPath): there is no such part, or it is no map.
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): an entry takes more than 256 MiB.
    pub fn map(&self, name: &str) -> Result<UntypedMap> {
        let parts = &self.schema().parts;
        let Some(part) = parts.iter().position(|part| part.name == name) else {
            let names = listed(parts.iter().map(|part| part.name.as_str()));
            return Err(self.bad_path(name, format!("there is no such part: it has {names}")));
        };
        let schema = &parts[part];
        if let Some(of) = &schema.of {
            self.check_size(of, schema.room_bytes, 1)?;
        }
        self.untyped_map(part).ok_or_else(|| self.bad_path(name, format!("a {} is no map", schema.kind)))
    }

    fn untyped_map(&self, part: usize) -> Option<UntypedMap> {
        UntypedMap::new(Spot { base: Arc::clone(&self.base), part })
    }

    /// How many entries of a map are in use; `None`: the part is no map.
    pub fn entry_count(&self, part: usize) -> Option<usize> {
        self.base.layout.map_of(part).map(|map| map.used_count(&self.base.memory))
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
            Err(_) => Err(busy(self.base.object())),
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
        found.map(|(bytes, _)| bytes).ok_or_else(|| busy(self.base.object()))
    }
}

fn no_key(text: &str) -> String {
    format!("there is no key `{}`", shown(text))
}

/// The key in `[17]` or `["EURUSD"]`, and what comes after it.
fn key_text(rest: &str) -> std::result::Result<(&str, &str), String> {
    let found = match rest.strip_prefix("[\"") {
        Some(rest) => rest.split_once("\"]"),
        None => rest.strip_prefix('[').and_then(|rest| rest.split_once(']')),
    };
    found.ok_or_else(|| "name a key first: [17], or [\"EURUSD\"]".to_owned())
}
