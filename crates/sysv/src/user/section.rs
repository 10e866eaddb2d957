//! The registry's critical section: who may change it, and how a change is published.
//!
//! A change of one record's one part is one write. Anything larger goes through the log: the header with all
//! counts after the change, and the steps, are written in one piece, which is the instant the change happens;
//! then the steps are done, and the log is cleared. Whoever finds a log that is not cleared does the steps
//! again: recovery is this same code.

use std::cell::Cell;
use std::sync::MutexGuard;

use crate::{Errno, Key};

use super::Fault;
use super::data;
use super::file::{self, BlockedSignals, Fd};
use super::layout::{
    self, Damage, HEADER_SIZE, Header, INDEX_COUNT, Log, RECORD_SIZE, Record, State, Step, Times,
};
use super::namespace::{self, Namespace};
use super::process;
use super::vmas;

/// How long a caller waits for another to leave the section.
const PATIENCE_MS: u64 = 10_000;

/// Whether an operation uses the descriptors that the process keeps, or opens its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Descriptors {
    Kept,
    /// In a helper with a descriptor table of its own, whose numbers mean nothing outside.
    Own,
}

/// Exclusive use of a registry by one thread of one process, until dropped.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) namespace: &'static Namespace,
    pub(super) header: Header,
    fd: i32,
    /// The limit on file sizes was looked at.
    may_publish: bool,
    /// The log that is being done was found, and may say whatever a member of the namespace wrote there.
    finishes_anothers: bool,
    /// The bucket last read or written, and where its chain begins.
    known_bucket: Cell<Option<(u32, u32)>>,
    own: Option<Fd>,
    // Dropped in this order, after the registry's lock was given back.
    _working: MutexGuard<'static, ()>,
    _signals: BlockedSignals,
}

impl Drop for Section {
    fn drop(&mut self) {
        // Not left to close: a child of a raw fork may share the open file.
        file::unlock_file(self.fd);
        self.own = None;
    }
}

impl std::fmt::Debug for BlockedSignals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockedSignals")
    }
}

impl Section {
    /// Waits for the registry's lock, and finishes what its last owner left unfinished.
    pub(super) fn enter(namespace: &'static Namespace, descriptors: Descriptors) -> Result<Section, Fault> {
        Section::enter_within(namespace, descriptors, PATIENCE_MS)
    }

    /// The same with a patience of one's own.
    pub(super) fn enter_within(
        namespace: &'static Namespace,
        descriptors: Descriptors,
        patience_ms: u64,
    ) -> Result<Section, Fault> {
        let mut deadline_ms = 0;
        let mut pause_us = 20;
        let mut reopened = false;
        loop {
            let signals = BlockedSignals::new();
            let working = process::work();
            let (fd, own) = registry(namespace, descriptors)?;
            if file::try_lock_file(fd)? {
                let mut bytes = [0; HEADER_SIZE];
                match namespace.read_header(fd, &mut bytes) {
                    Ok(header) if reopened || header.salt() == namespace.salt() => {
                        let mut section = Section {
                            namespace,
                            header,
                            fd,
                            may_publish: false,
                            finishes_anothers: true,
                            known_bucket: Cell::new(None),
                            own,
                            _working: working,
                            _signals: signals,
                        };
                        // A change whose maker was killed between publishing and clearing it.
                        let log = Log::decode(section.header.salt(), &bytes)?;
                        if !log.is_empty() {
                            section.settle(&log)?;
                        }
                        section.finishes_anothers = false;
                        if section.header.spreading {
                            section.spread()?;
                        }
                        return Ok(section);
                    }
                    // The registry was replaced. Opening it anew tells.
                    result => {
                        file::unlock_file(fd);
                        if reopened {
                            return Err(result.err().unwrap_or(Damage::Foreign).into());
                        }
                    }
                }
                if descriptors == Descriptors::Kept {
                    namespace.kept.forget();
                }
                reopened = true;
                continue;
            }
            drop(own);
            // Signals may come while nothing is held.
            drop(working);
            drop(signals);
            let now_ms = file::monotonic_ms();
            if deadline_ms == 0 {
                deadline_ms = now_ms + patience_ms;
            } else if now_ms > deadline_ms {
                return Err(held_by(namespace));
            }
            file::sleep_us(pause_us);
            pause_us = (pause_us * 2).min(1000);
        }
    }

    /// Publishes counts and steps in one write, then does the steps.
    pub(super) fn commit(&mut self, log: &Log) -> Result<(), Fault> {
        self.publish(log)?;
        self.settle(log)
    }

    /// Publishes what the next caller is to do, should this one not come to [`Section::commit`] or
    /// [`Section::finish`]. Until then the steps are not done.
    pub(super) fn begin(&mut self, log: &Log) -> Result<(), Fault> {
        self.publish(log)
    }

    /// Does the steps that [`Section::begin`] published.
    pub(super) fn finish(&mut self, begun: &Log) -> Result<(), Fault> {
        self.settle(begun)
    }

    fn publish(&mut self, log: &Log) -> Result<(), Fault> {
        let mut bytes = [0; HEADER_SIZE];
        let fields = self.header.encode();
        bytes[..fields.len()].copy_from_slice(&fields);
        let length = log.encode(self.header.salt(), &mut bytes);
        // Before anything is written: with part of the steps refused, the change would wait for another.
        if !self.may_publish && file::soft_limit(libc::RLIMIT_FSIZE) < layout::FILE_SIZE {
            return Err(Errno::EFBIG.into());
        }
        self.may_publish = true;
        Ok(file::pwrite(self.fd, &bytes[..length], 0)?)
    }

    fn settle(&mut self, log: &Log) -> Result<(), Fault> {
        for step in log.steps() {
            self.take_step(step)?;
        }
        let (at, bytes) = Log::cleared();
        Ok(file::pwrite(self.fd, &bytes, at)?)
    }

    fn take_step(&mut self, step: Step) -> Result<(), Fault> {
        match step {
            Step::Record { index, fresh, record } => {
                let bytes = record.encode(self.header.salt());
                let length = if fresh { RECORD_SIZE } else { layout::STABLE_SIZE };
                file::pwrite(self.fd, &bytes[..length], layout::record_at(index))?;
            }
            Step::Bucket { bucket, first } => {
                self.known_bucket.set(None);
                file::pwrite(self.fd, &first.to_le_bytes(), layout::bucket_at(bucket))?;
                self.known_bucket.set(Some((bucket, first)));
            }
            // In a shared namespace the file may be another's to take away. Nobody finds it any more, and
            // its owner or root reclaims it.
            Step::Unlink { id, huge_log2 } => {
                if let Ok(path) = self.namespace.path_of(id, huge_log2) {
                    let _ = file::unlink(&path);
                }
            }
            Step::Permit { index } => {
                let record = self.record(index)?;
                if self.namespace.shared && record.is_used() {
                    // May fail: the file may not be the segment's, nor the caller its owner. Rights to contents are
                    // given only by who was asked to, for whoever finishes a change may have more than its maker.
                    let _ = if self.finishes_anothers {
                        data::restrict(self.namespace, &record)
                    } else {
                        data::permit(self.namespace, &record)
                    };
                }
            }
            // The file says what happened, and not the log: that any member can write, and who finishes another's
            // change may have more rights than he had.
            Step::Follow { index, record } => {
                if data::is_owners(self.namespace, &record)? {
                    self.take_step(Step::Record { index, fresh: false, record })?;
                    self.take_step(Step::Permit { index })?;
                }
            }
        }
        Ok(())
    }

    /// A record as it stands.
    pub(super) fn record(&self, index: u32) -> Result<Record, Fault> {
        read_record(self.fd, self.header.salt(), index)
    }

    /// Several records that follow each other; the number read.
    pub(super) fn records(&self, first: u32, records: &mut [Record]) -> Result<usize, Fault> {
        read_records(self.fd, self.header.salt(), first, records)
    }

    /// Makes sure that writing a free record later cannot fail for want of memory: in a file with holes, the
    /// first write of a page can.
    pub(super) fn prepare_record(&self, index: u32) -> Result<(), Fault> {
        let free = Record::free().encode(self.header.salt());
        Ok(file::pwrite(self.fd, &free, layout::record_at(index)).map_err(|errno| match errno {
            Errno::ENOSPC => Errno::ENOMEM,
            errno => errno,
        })?)
    }

    /// Writes what an attach changes, which needs no log: it is one write, and none where it says what stands there.
    pub(super) fn write_attach_times(&self, record: &Record, times: Times) -> Result<(), Fault> {
        let (before, after) = (record.times.encode(), times.encode());
        if before[..layout::TIMES_ATTACH_END] == after[..layout::TIMES_ATTACH_END] {
            return Ok(());
        }
        let at = layout::record_at(record.index()) + layout::TIMES_AT;
        Ok(file::pwrite(self.fd, &after[..layout::TIMES_ATTACH_END], at)?)
    }

    /// The filesystem that the namespace lies on.
    pub(super) fn filesystem(&self) -> Result<file::Filesystem, Fault> {
        Ok(file::filesystem(self.fd)?)
    }

    pub(super) fn bucket(&self, bucket: u32) -> Result<u32, Fault> {
        // A creation asks twice: is there one, and which is the next in the chain.
        if let Some((known, first)) = self.known_bucket.get()
            && known == bucket
        {
            return Ok(first);
        }
        let first = read_bucket(self.fd, bucket)?;
        self.known_bucket.set(Some((bucket, first)));
        Ok(first)
    }

    /// The live record of a key, and the index of the record before it in its chain.
    pub(super) fn find(&self, key: Key) -> Result<Option<(Record, Option<u32>)>, Fault> {
        let mut before = None;
        let bucket = layout::bucket_of(key);
        let mut next = self.bucket(bucket)?;
        // A chain has at most all records; a longer one goes in a circle.
        for _ in 0..=INDEX_COUNT {
            if next == 0 {
                return Ok(None);
            }
            if next > INDEX_COUNT {
                return Err(Damage::Chain.into());
            }
            let record = self.record(next - 1)?;
            if record.state != State::Live || layout::bucket_of(Key::new(record.key)) != bucket {
                return Err(Damage::Chain.into());
            }
            if record.key == key.raw() {
                return Ok(Some((record, before)));
            }
            before = Some(next - 1);
            next = record.next;
        }
        Err(Damage::Chain.into())
    }

    /// The step that takes a live record with a key out of its chain.
    pub(super) fn unchain(&self, record: &Record) -> Result<Option<Step>, Fault> {
        if record.state != State::Live || record.key == 0 {
            return Ok(None);
        }
        let key = Key::new(record.key);
        let bucket = layout::bucket_of(key);
        if self.bucket(bucket)? == record.index() + 1 {
            return Ok(Some(Step::Bucket { bucket, first: record.next }));
        }
        match self.find(key)? {
            Some((found, _)) if found.id != record.id => Err(Damage::Chain.into()),
            None | Some((_, None)) => Err(Damage::Chain.into()),
            Some((_, Some(before))) => {
                let record = Record { next: record.next, ..self.record(before)? };
                Ok(Some(Step::Record { index: before, fresh: false, record }))
            }
        }
    }
}

/// The descriptor to work with; the second value closes it, where it is not kept.
fn registry(namespace: &'static Namespace, descriptors: Descriptors) -> Result<(i32, Option<Fd>), Fault> {
    if descriptors == Descriptors::Own {
        let fd = namespace.open_registry()?;
        return Ok((fd.raw(), Some(fd)));
    }
    leave_parents_descriptors();
    // Looked at before it is locked: by now the number may be a file of the program's, with a lock of its own, or
    // the registry may have been deleted, and others be at work in a new one.
    if let Some(fd) = namespace.kept.get_checked() {
        return Ok((fd, None));
    }
    namespace.kept.forget();
    let fd = namespace.open_registry()?;
    match namespace.kept.keep(fd) {
        Ok(raw) => Ok((raw, None)),
        Err(fd) => Ok((fd.raw(), Some(fd))),
    }
}

/// In a child of fork: the registry's open file is shared with the parent, and so would its lock be.
pub(super) fn leave_parents_descriptors() {
    if process::is_new_child() {
        namespace::each_opened(|namespace| {
            namespace.kept.forget();
        });
        vmas::forget_descriptor();
        process::settle_in();
    }
}

/// Names the process that keeps everybody waiting.
fn held_by(namespace: &Namespace) -> Fault {
    let (_, inode) = namespace.registry_file();
    let suffix = format!(":{inode}");
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let pid = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, "WRITE", pid, file, ..] if file.ends_with(&suffix) => pid.parse::<i32>().ok(),
            _ => None,
        }
    });
    let reason = match pid {
        Some(pid) => {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("the registry is held by process {pid} ({}): is it stopped?", name.trim_end())
        }
        None => "the registry is held by a process that /proc does not show".to_owned(),
    };
    Fault::because(Errno::ETIMEDOUT, reason)
}

pub(super) fn read_record(fd: i32, salt: u64, index: u32) -> Result<Record, Fault> {
    let mut bytes = [0; RECORD_SIZE];
    if file::pread(fd, &mut bytes, layout::record_at(index))? != RECORD_SIZE {
        return Err(Damage::Truncated.into());
    }
    let record = Record::decode(salt, &bytes)?;
    if record.is_used() && record.index() != index {
        return Err(Damage::Record.into());
    }
    Ok(record)
}

fn read_records(fd: i32, salt: u64, first: u32, records: &mut [Record]) -> Result<usize, Fault> {
    let mut bytes = [0; 32 * RECORD_SIZE];
    let left = (INDEX_COUNT - first.min(INDEX_COUNT)) as usize;
    let count = records.len().min(32).min(left);
    let bytes = &mut bytes[..count * RECORD_SIZE];
    if file::pread(fd, bytes, layout::record_at(first))? != bytes.len() {
        return Err(Damage::Truncated.into());
    }
    for ((record, bytes), index) in records.iter_mut().zip(bytes.chunks_exact(RECORD_SIZE)).zip(first..) {
        *record = Record::decode(salt, bytes)?;
        if record.is_used() && record.index() != index {
            return Err(Damage::Record.into());
        }
    }
    Ok(count)
}

pub(super) fn read_bucket(fd: i32, bucket: u32) -> Result<u32, Fault> {
    let mut bytes = [0; 4];
    if file::pread(fd, &mut bytes, layout::bucket_at(bucket))? != bytes.len() {
        return Err(Damage::Truncated.into());
    }
    Ok(u32::from_le_bytes(bytes))
}
