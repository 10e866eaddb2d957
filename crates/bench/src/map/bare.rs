//! The limit: a hash table in plain shared memory, each slot with a version, and nobody ever killed.
#![allow(unsafe_code, reason = "the page that the processes share")]

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::store::{KEY_COUNT, Store, Value, first_values};
use crate::Outcome;
use crate::calls::{Zeroes, shared};
use crate::turn::Control;

const SLOT_COUNT: usize = (2 * KEY_COUNT).next_power_of_two();

/// What both processes see at the same place.
#[repr(C)]
pub(super) struct Page {
    pub(super) control: Control,
    pub(super) slots: Slots,
}

// SAFETY: it is made of atomic numbers.
unsafe impl Zeroes for Page {}

impl Page {
    pub(super) fn new() -> Outcome<&'static Page> {
        let page: &Page = shared()?;
        for (key, value) in first_values() {
            page.slots.insert(key, &value);
        }
        Ok(page)
    }
}

#[repr(C)]
pub(super) struct Slots([Slot; SLOT_COUNT]);

/// Odd while it is written.
#[repr(C, align(128))]
struct Slot {
    version: AtomicU64,
    key: AtomicU64,
    value: [AtomicU64; 8],
}

impl Slots {
    /// The slots where a key may be, the likeliest first.
    #[inline]
    fn places(&self, key: u64) -> impl Iterator<Item = &Slot> {
        let hash = usize::try_from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap_or(0);
        (0..SLOT_COUNT).map(move |step| &self.0[hash.wrapping_add(step) % SLOT_COUNT])
    }

    fn insert(&self, key: u64, value: &Value) {
        for slot in self.places(key) {
            if slot.key.load(Ordering::Relaxed) == 0 {
                slot.key.store(key, Ordering::Relaxed);
                return slot.write(value);
            }
        }
    }

    /// The slot of a key, all of which were there before the processes were.
    #[inline]
    fn find(&self, key: u64) -> Option<&Slot> {
        for slot in self.places(key) {
            match slot.key.load(Ordering::Relaxed) {
                own if own == key => return Some(slot),
                0 => return None,
                _ => {}
            }
        }
        None
    }
}

impl Slot {
    #[inline]
    fn read(&self) -> Value {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let value = std::array::from_fn(|index| self.value[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return value;
            }
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn write(&self, value: &Value) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in self.value.iter().zip(value) {
            word.store(*value, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }
}

impl Store for &'static Slots {
    #[inline]
    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        Ok(self.find(key).map(Slot::read))
    }

    #[inline]
    fn put(&mut self, key: u64, value: Value) -> Outcome {
        self.find(key).ok_or("a key is not there")?.write(&value);
        Ok(())
    }
}
