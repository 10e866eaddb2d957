//! mmap-sync, whose one value is the whole map: made to be read often and replaced now and then.
#![allow(unsafe_code, reason = "its reads are unsafe")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmap_sync::locks::LockDisabled;
use mmap_sync::synchronizer::Synchronizer;
use wyhash::WyHash;

use super::store::{Job, Store, Value, first_values};
use crate::Outcome;

/// See the comparison of single values.
type Spinning = Synchronizer<WyHash, LockDisabled, 1024, 0>;
type Whole = HashMap<u64, Value>;

/// After that, a reader counts as dead. None is.
const GRACE: Duration = Duration::from_secs(10);

pub(super) struct MmapSync {
    path: PathBuf,
    synchronizer: Spinning,
    /// What the writer has.
    whole: Whole,
}

impl MmapSync {
    pub(super) fn open(directory: &Path) -> Outcome<MmapSync> {
        let path = directory.join("mmap-sync");
        let mut opened = MmapSync { synchronizer: fresh(&path), path, whole: first_values().collect() };
        if !opened.path.with_file_name("mmap-sync_state").exists() {
            opened.synchronizer.write(&opened.whole, GRACE)?;
        }
        Ok(opened)
    }
}

fn fresh(path: &Path) -> Spinning {
    Synchronizer::with_params(path.as_os_str())
}

impl Store for MmapSync {
    fn prepare(&mut self, _: Job) -> Outcome {
        // One that has read maps its files for reading only, and one that has written for writing.
        self.synchronizer = fresh(&self.path);
        Ok(())
    }

    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        // SAFETY: the result is dropped at once, long before the writer's patience ends; the file was written by this
        // program.
        let read = unsafe { self.synchronizer.read::<Whole>(false) }?;
        Ok(read.get(&key).copied())
    }

    fn put(&mut self, key: u64, value: Value) -> Outcome {
        self.whole.insert(key, value);
        self.synchronizer.write(&self.whole, GRACE)?;
        Ok(())
    }
}
