//! A map, as a program uses it.

use std::sync::Arc;

use coseg::{Key, Map, Region, Shared};
use coseg_sysv::Backend;

use super::store::{KEY_COUNT, Store, Value, first_values};
use crate::Outcome;

const KEY: Key = Key::new(0x4d50);

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Value64 {
    words: [u64; 8],
}

#[derive(Region)]
struct Shelf {
    map: Map<u64, Value64, KEY_COUNT>,
}

pub(super) struct Ours(Region<Shelf>);

impl Ours {
    /// Opens the region, or makes it.
    pub(super) fn open(backend: Arc<dyn Backend>) -> Outcome<Ours> {
        let initial =
            || ShelfInitial { map: first_values().map(|(key, words)| (key, Value64 { words })).collect() };
        Ok(Ours(Region::<Shelf>::at(KEY).backend(&backend).open_or_create(initial)?))
    }
}

impl Store for Ours {
    #[inline]
    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        Ok(self.0.map.get(&key)?.map(|value| value.words))
    }

    #[inline]
    fn put(&mut self, key: u64, words: Value) -> Outcome {
        self.0.map.put(&key, Value64 { words })?;
        Ok(())
    }
}
