//! Ends of segments: counting who is attached, and destroying what nobody is and nobody will be.

use crate::{Errno, caller};

use super::Fault;
use super::file::{self, Fd};
use super::layout::{INDEX_COUNT, Log, Record, State, Step};
use super::namespace::Namespace;
use super::section::Section;
use super::{data, pins};

/// Opens a data file, or what has its name, for looking at its locks, which needs any one permission.
fn open_for_locks(namespace: &Namespace, record: &Record) -> Result<Fd, Fault> {
    match data::open_named(namespace, record, libc::O_RDONLY) {
        Err(Fault { errno: Errno::EACCES, .. }) => data::open_named(namespace, record, libc::O_WRONLY),
        result => result,
    }
}

/// Whether anybody is attached, as the locks of a file of the right name say. Without a lock it does not matter
/// which file it is: nobody is attached to another one either, as far as the record knows.
fn holds_slots(namespace: &Namespace, record: &Record, fd: &Fd) -> Result<bool, Fault> {
    match pins::any(fd.raw()) {
        Ok(false) => Ok(false),
        found => {
            data::checked(namespace, record, fd)?;
            Ok(found?)
        }
    }
}

/// How many attachments a segment has.
pub(super) fn attachment_count(namespace: &Namespace, record: &Record) -> Result<u64, Fault> {
    let opened = open_for_locks(namespace, record).and_then(|fd| {
        data::checked(namespace, record, &fd)?;
        Ok(fd)
    });
    match opened {
        Ok(fd) => Ok(pins::count(fd.raw(), record.times.slot_top)?),
        // Destroyed since its record was read, or lost: who has it attached cannot be told.
        Err(Fault { errno: Errno::EIDRM, .. }) => Ok(0),
        Err(Fault { errno: Errno::EACCES, .. }) => {
            let (device, _) = namespace.registry_file();
            Ok(pins::count_by_proc((record.huge_log2 == 0).then_some(device), record.inode))
        }
        Err(fault) => Err(fault),
    }
}

/// Whether a segment ends as soon as nobody is attached.
pub(super) fn is_doomed(record: &Record) -> bool {
    match record.state {
        State::Free => false,
        State::Removed => true,
        State::Live => {
            record.forced
                && (record.times.attach_time != 0
                    || !caller::is_alive(record.creator_pid, record.creator_start))
        }
    }
}

impl Section {
    /// Whether anybody is attached.
    pub(super) fn is_attached(&self, record: &Record) -> Result<bool, Fault> {
        if record.times.attach_time == 0 {
            return Ok(false);
        }
        let found =
            open_for_locks(self.namespace, record).and_then(|fd| holds_slots(self.namespace, record, &fd));
        match found {
            Ok(found) => Ok(found),
            Err(Fault { errno: Errno::EIDRM, .. }) => Ok(false),
            // /proc/locks is no proof of absence. Somebody who may open the file will look again.
            Err(Fault { errno: Errno::EACCES, .. }) => Ok(true),
            Err(fault) => Err(fault),
        }
    }

    /// Destroys a segment if it is doomed and nobody is attached; whether it did.
    pub(super) fn reap(&mut self, record: &Record) -> Result<bool, Fault> {
        if !is_doomed(record) || self.is_attached(record)? {
            return Ok(false);
        }
        self.destroy(record)?;
        Ok(true)
    }

    /// Buries a bounded number of segments whose last attacher was killed, so that no call takes long.
    pub(super) fn reap_some(&mut self) -> Result<(), Fault> {
        const MOST: usize = 16;
        if self.header.removed_count == 0 && !self.header.remove_forced {
            return Ok(());
        }
        // Elsewhere each time: those that are still attached must not hide the dead.
        let span = self.index_end();
        let start = (file::monotonic_ms() / 16) % u64::from(span.max(1));
        #[allow(clippy::cast_possible_truncation, reason = "below the span")]
        let start = if span <= 128 { 0 } else { start as u32 };
        self.reap_between(start, (start + 128).min(span), MOST)
    }

    /// Buries all segments whose last attacher was killed.
    pub(super) fn reap_all(&mut self) -> Result<(), Fault> {
        if self.header.removed_count == 0 && !self.header.remove_forced {
            return Ok(());
        }
        self.reap_between(0, self.index_end(), usize::MAX)
    }

    fn reap_between(&mut self, start: u32, end: u32, most: usize) -> Result<(), Fault> {
        let mut records = [Record::free(); 32];
        let (mut first, mut looked_at) = (start, 0);
        while first < end {
            let count = self.records(first, &mut records)?;
            for record in &records[..count] {
                if is_doomed(record) {
                    if looked_at == most {
                        return Ok(());
                    }
                    looked_at += 1;
                    // One that cannot be looked at is no reason for another's call to fail.
                    let _ = self.reap(record);
                }
            }
            first += 32;
        }
        Ok(())
    }

    /// One more than any index in use.
    pub(super) fn index_end(&self) -> u32 {
        (self.header.highest_index + 1).cast_unsigned().min(INDEX_COUNT)
    }

    /// Frees a segment's record and takes its file away. Those who have it attached keep what they see.
    pub(super) fn destroy(&mut self, record: &Record) -> Result<(), Fault> {
        let index = record.index();
        let unchain = self.unchain(record)?;
        self.header.segment_count = self.header.segment_count.saturating_sub(1);
        self.header.total_pages = self.header.total_pages.saturating_sub(record.page_count());
        if !record.no_reserve {
            self.header.promised_pages = self.header.promised_pages.saturating_sub(record.page_count());
        }
        if record.state == State::Removed {
            self.header.removed_count = self.header.removed_count.saturating_sub(1);
        }
        self.commit(&Log::of([
            Some(Step::Record { index, fresh: true, record: Record::free() }),
            unchain,
            Some(Step::Unlink { id: record.id, huge_log2: record.huge_log2 }),
        ]))
    }

    /// The highest index in use, or -1. The header's is an upper bound: a destruction does not look for the next.
    pub(super) fn highest_index(&mut self) -> Result<i32, Fault> {
        let mut records = [Record::free(); 32];
        let mut end = self.index_end();
        while end > 0 {
            let first = end.saturating_sub(32);
            let count = self.records(first, &mut records[..(end - first) as usize])?;
            if let Some(offset) = records[..count].iter().rposition(Record::is_used) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "below 32768")]
                let highest = (first as usize + offset) as i32;
                self.header.highest_index = highest;
                return Ok(highest);
            }
            end = first;
        }
        self.header.highest_index = -1;
        Ok(-1)
    }

    /// Pages of the filesystem that nobody uses yet.
    pub(super) fn free_pages(&self) -> Result<u64, Fault> {
        Ok(self.filesystem()?.free_pages)
    }

    /// Pages that the data files of some segments have in memory or on disk.
    pub(super) fn pages_in_memory(&self, counts: impl Fn(&Record) -> bool) -> Result<u64, Fault> {
        let mut records = [Record::free(); 32];
        let (mut first, mut pages) = (0, 0);
        while first < self.index_end() {
            let count = self.records(first, &mut records)?;
            for record in records[..count].iter().filter(|record| record.is_used() && counts(record)) {
                pages += resident_bytes(self.namespace, record) / 4096;
            }
            first += 32;
        }
        Ok(pages)
    }
}

/// Bytes that a segment's data file has in memory or on disk.
pub(super) fn resident_bytes(namespace: &Namespace, record: &Record) -> u64 {
    let meta = namespace.path_of(record.id, record.huge_log2).and_then(|path| Ok(file::stat(&path)?));
    meta.map_or(0, |meta| meta.block_count * 512)
}
