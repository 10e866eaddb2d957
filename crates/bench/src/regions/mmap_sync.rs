//! mmap-sync: readers count themselves in, a writer waits until they have left the older of two files.
#![allow(unsafe_code, reason = "its reads are unsafe")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use mmap_sync::locks::LockDisabled;
use mmap_sync::synchronizer::{Synchronizer, SynchronizerError};
use wyhash::WyHash;

use super::contender::{is_whole, unable};
use super::job::Job;
use crate::Outcome;
use crate::duel::Contender;
use crate::turn::{Tally, Turn};

/// It looks at waiting readers again at once: with its default, a second's sleep, no rate could be imposed.
type Spinning = Synchronizer<WyHash, LockDisabled, 1024, 0>;

/// After that, a reader counts as dead. None is.
const GRACE: Duration = Duration::from_secs(10);

pub(super) struct MmapSync {
    path: PathBuf,
    synchronizer: Spinning,
}

impl MmapSync {
    pub(super) fn open(path: &Path) -> Outcome<MmapSync> {
        let mut opened = MmapSync { path: path.to_owned(), synchronizer: fresh(path) };
        if !path.with_file_name("mmap-sync_state").exists() {
            opened.synchronizer.write(&[0_u64; 8], GRACE)?;
        }
        Ok(opened)
    }
}

fn fresh(path: &Path) -> Spinning {
    Synchronizer::with_params(path.as_os_str())
}

impl Contender<Job> for MmapSync {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        // One that has read maps its files for reading only, and one that has written for writing.
        self.synchronizer = fresh(&self.path);
        let (mut number, mut torn_count) = (0_u64, 0);
        let synchronizer = &mut self.synchronizer;
        let tally = match job {
            Job::Read => turn.repeat(|| {
                // SAFETY: the result is looked at and dropped at once, long before the writer's patience ends; the
                // file holds eight numbers, of which any bytes are some.
                let read = unsafe { synchronizer.read::<[u64; 8]>(false) }?;
                torn_count += u64::from(!is_whole(&read));
                Ok::<_, SynchronizerError>(())
            }),
            Job::Write => turn.repeat_slow(|| {
                number += 1;
                synchronizer.write(&[number; 8], GRACE).map(drop)
            }),
            Job::WritePaced => turn.repeat_paced(|| {
                number += 1;
                synchronizer.write(&[number; 8], GRACE).map(drop)
            }),
            _ => return unable(job),
        };
        Ok(Tally { torn_count, ..tally? })
    }
}
