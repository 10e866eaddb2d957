//! Boost.Interprocess: a hash map in its managed shared memory, behind C functions that are compiled when they are
//! needed.
#![allow(unsafe_code, reason = "a library's functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;

use super::store::{KEY_COUNT, Store, Value, first_values};
use crate::Outcome;
use crate::library::Library;

const SOURCE: &str = include_str!("boost.cc");

/// What is locked for each operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Boost's own mutex.
    Mutex,
    /// The C library's that tells of a dead owner.
    Robust,
}

/// A map, mapped for ever.
pub(super) struct Boost {
    map: *mut c_void,
    get: unsafe extern "C" fn(*mut c_void, u64, *mut Value) -> c_int,
    put: unsafe extern "C" fn(*mut c_void, u64, *const Value) -> c_int,
}

impl Boost {
    pub(super) fn open(directory: &Path, lock: Lock) -> Outcome<Boost> {
        let library = Library::compiled(directory, "boost-map", SOURCE)?;
        type Open = unsafe extern "C" fn(*const c_char, usize, c_int) -> *mut c_void;
        // SAFETY: as `boost.cc` declares it.
        let open: Open = unsafe { library.function(c"map_open")? };
        // SAFETY: as above.
        let get = unsafe { library.function(c"map_get")? };
        // SAFETY: as above.
        let put = unsafe { library.function(c"map_put")? };
        let name: &CStr = if lock == Lock::Robust { c"coseg-bench-robust" } else { c"coseg-bench-mutex" };
        // SAFETY: a name that ends, and numbers.
        let map = unsafe { open(name.as_ptr(), KEY_COUNT, c_int::from(lock == Lock::Robust)) };
        if map.is_null() {
            return Err("no map".into());
        }
        let mut opened = Boost { map, get, put };
        for (key, value) in first_values() {
            if opened.get(key)?.is_none() {
                opened.put(key, value)?;
            }
        }
        Ok(opened)
    }
}

impl Store for Boost {
    #[inline]
    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        let mut value = Value::default();
        // SAFETY: a map that is open, and room for a value.
        match unsafe { (self.get)(self.map, key, &raw mut value) } {
            1 => Ok(Some(value)),
            0 => Ok(None),
            _ => Err("an exception".into()),
        }
    }

    #[inline]
    fn put(&mut self, key: u64, value: Value) -> Outcome {
        // SAFETY: a map that is open, and a value.
        match unsafe { (self.put)(self.map, key, &raw const value) } {
            1 => Ok(()),
            _ => Err("an exception".into()),
        }
    }
}
