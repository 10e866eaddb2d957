//! A map as it was at one moment.

use std::mem::MaybeUninit;

use super::Map;
use super::find::Nothing;
use super::hash::HashedKey;
use super::lives;
use crate::item::{Copied, Typed};
use crate::memory::stored;
use crate::snapshot::Snapshot;
use crate::{Result, Shared};

/// A map within a snapshot: as it was when the snapshot began.
///
/// Made by [`Snapshot::map`].
#[derive(Debug)]
pub struct MapView<'s, 'a, K, V, const N: usize> {
    snapshot: &'s Snapshot<'a>,
    map: &'s Map<K, V, N>,
}

impl<'a> Snapshot<'a> {
    /// A map, to be read as it was when the snapshot began.
    ///
    /// # Panics
    /// If the map belongs to another region.
    pub fn map<'s, K: Shared, V: Shared, const N: usize>(
        &'s self,
        map: &'s Map<K, V, N>,
    ) -> MapView<'s, 'a, K, V, N> {
        assert!(
            std::ptr::eq(self.base, map.base()),
            "a snapshot is of one region; this map belongs to another"
        );
        MapView { snapshot: self, map }
    }
}

impl<K: Shared, V: Shared, const N: usize> MapView<'_, '_, K, V, N> {
    /// A copy of a key's value. One that expires while the snapshot is taken may be seen and then not.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy): something was committed since the snapshot began, or what was
    /// committed just before it is still on its way to its place; hand the error on, and the whole is tried again.
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        self.look(key, &Typed::<V>::NEW)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// Those of [`MapView::get`].
    pub fn contains(&self, key: &K) -> Result<bool> {
        Ok(self.look(key, &Nothing)?.is_some())
    }

    fn look<C: Copied>(&self, key: &K, how: &C) -> Result<Option<C::Value>> {
        let (Map { geometry, .. }, moment) = (self.map, &self.snapshot.moment);
        let memory = &self.snapshot.base.memory;
        memory.let_read();
        let mut image = MaybeUninit::uninit();
        let key = HashedKey::new(geometry.seed(memory), stored(key, &mut image));
        match geometry.read(memory, moment, &key, how) {
            Ok(found) if moment.is_now() => {
                Ok(found.filter(|(found, _)| lives(found.until)).map(|(_, value)| value))
            }
            _ => Err(self.snapshot.overtaken()),
        }
    }
}
