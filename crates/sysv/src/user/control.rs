//! `shmctl`: looking at segments, changing and removing them, limits.

use crate::caller::{self, CAP_IPC_LOCK};
use crate::{Change, Errno, Limits, Listed, ShmId, Stat, Usage};

use super::file;
use super::layout::{INDEX_COUNT, Log, Record, State, Step};
use super::namespace::Namespace;
use super::section::{Descriptors, Section};
use super::{Fault, Knobs, data, permission, reap};

fn stat_of(namespace: &Namespace, record: &Record) -> Result<Stat, Fault> {
    Ok(record.to_stat(reap::attachment_count(namespace, record)?))
}

/// Reads a record without the lock, and buries it under the lock if it is dead.
pub(super) fn stat(
    namespace: &'static Namespace,
    id: ShmId,
    descriptors: Descriptors,
) -> Result<Stat, Fault> {
    if id.raw() < 0 {
        return Err(Errno::EINVAL.into());
    }
    if let Some((record, _)) = namespace.peek_record(id.raw(), descriptors) {
        permission::check(&record, permission::READ)?;
        let stat = stat_of(namespace, &record)?;
        if stat.attachment_count > 0 || !reap::is_doomed(&record) {
            return Ok(stat);
        }
    }
    let mut section = Section::enter(namespace, descriptors)?;
    let record = section.record_of(id)?;
    permission::check(&record, permission::READ)?;
    if section.reap(&record)? {
        return Err(Errno::EINVAL.into());
    }
    stat_of(namespace, &record)
}

pub(super) fn stat_index(
    namespace: &'static Namespace,
    index: i32,
    any: bool,
    descriptors: Descriptors,
) -> Result<Stat, Fault> {
    let index = u32::try_from(index).map_err(|_| Errno::EINVAL)? % INDEX_COUNT;
    let mut section = Section::enter(namespace, descriptors)?;
    let record = section.record(index)?;
    if !record.is_used() {
        return Err(Errno::EINVAL.into());
    }
    if !any {
        permission::check(&record, permission::READ)?;
    }
    if section.reap(&record)? {
        return Err(Errno::EINVAL.into());
    }
    drop(section);
    stat_of(namespace, &record)
}

/// Enters the section with a record that exists; the dead are buried and count as gone.
fn enter_with(
    namespace: &'static Namespace,
    id: ShmId,
    descriptors: Descriptors,
) -> Result<(Section, Record), Fault> {
    let mut section = Section::enter(namespace, descriptors)?;
    let record = section.record_of(id)?;
    if section.reap(&record)? {
        return Err(Errno::EINVAL.into());
    }
    Ok((section, record))
}

pub(super) fn set(
    namespace: &'static Namespace,
    id: ShmId,
    change: Change,
    descriptors: Descriptors,
) -> Result<(), Fault> {
    let (mut section, before) = enter_with(namespace, id, descriptors)?;
    permission::check_owner(&before)?;
    if change.uid == u32::MAX || change.gid == u32::MAX {
        return Err(Errno::EINVAL.into());
    }
    let record =
        Record { uid: change.uid, gid: change.gid, mode: change.mode, change_time: file::now(), ..before };
    let index = record.index();
    if namespace.shared && (change.uid, change.gid) != (before.uid, before.gid) {
        // The file's change of owner is the instant it happens; whoever dies at it leaves a record that follows.
        let follow = Log::of([Some(Step::Follow { index, record })]);
        section.begin(&follow)?;
        let given = data::give(namespace, &before, change.uid, change.gid);
        section.finish(&follow)?;
        return given;
    }
    section.commit(&Log::of([
        Some(Step::Record { index, fresh: false, record }),
        namespace.shared.then_some(Step::Permit { index }),
    ]))
}

pub(super) fn remove(
    namespace: &'static Namespace,
    id: ShmId,
    descriptors: Descriptors,
) -> Result<(), Fault> {
    let (mut section, before) = enter_with(namespace, id, descriptors)?;
    permission::check_owner(&before)?;
    if before.state == State::Removed {
        return Ok(());
    }
    if !section.is_attached(&before)? {
        return section.destroy(&before);
    }
    let record = Record { state: State::Removed, key: 0, next: 0, ..before };
    let unchain = section.unchain(&before)?;
    section.header.removed_count += 1;
    section.commit(&Log::of([Some(Step::Record { index: record.index(), fresh: false, record }), unchain]))
}

/// Sets or clears the flag that a segment is to stay in memory. Pages of a file cannot be kept there without a
/// process that maps them, so the flag is all there is.
pub(super) fn lock(
    namespace: &'static Namespace,
    id: ShmId,
    locked: bool,
    descriptors: Descriptors,
) -> Result<(), Fault> {
    let (mut section, before) = enter_with(namespace, id, descriptors)?;
    if !caller::has_capability(CAP_IPC_LOCK) {
        if !permission::is_owner(&before) {
            return Err(Errno::EPERM.into());
        }
        let limit = file::soft_limit(libc::RLIMIT_MEMLOCK);
        if locked && limit == 0 {
            return Err(Errno::EPERM.into());
        }
        if locked && !before.locked && before.page_count().saturating_mul(4096) > limit {
            return Err(Errno::ENOMEM.into());
        }
    }
    // Huge pages are in memory anyway, and the kernel does not even note it.
    if before.huge_log2 != 0 || before.locked == locked {
        return Ok(());
    }
    let record = Record { locked, ..before };
    section.commit(&Log::of([Some(Step::Record { index: record.index(), fresh: false, record })]))
}

pub(super) fn limits(namespace: &'static Namespace, descriptors: Descriptors) -> Result<Limits, Fault> {
    let mut section = Section::enter(namespace, descriptors)?;
    section.reap_some()?;
    let highest_index = section.highest_index()?.max(0);
    let header = &section.header;
    Ok(Limits {
        max_size_bytes: header.max_size_bytes,
        max_segment_count: u64::from(header.max_segment_count),
        max_total_pages: header.max_total_pages,
        highest_index,
    })
}

pub(super) fn usage(namespace: &'static Namespace, descriptors: Descriptors) -> Result<Usage, Fault> {
    let mut section = Section::enter(namespace, descriptors)?;
    section.reap_all()?;
    Ok(Usage {
        segment_count: section.header.segment_count,
        total_pages: section.header.total_pages,
        resident_pages: section.pages_in_memory(|_| true)?,
        swapped_pages: 0,
        highest_index: section.highest_index()?.max(0),
    })
}

/// All segments. The records are read in one section; who is attached is counted after it.
pub(super) fn list(namespace: &'static Namespace, descriptors: Descriptors) -> Result<Vec<Listed>, Fault> {
    let mut section = Section::enter(namespace, descriptors)?;
    section.reap_some()?;
    let mut found = Vec::with_capacity(section.header.segment_count as usize);
    let mut records = [Record::free(); 32];
    let mut first = 0;
    while first < section.index_end() {
        let count = section.records(first, &mut records)?;
        found.extend(records[..count].iter().copied().filter(Record::is_used));
        first += 32;
    }
    drop(section);

    let mut listed = Vec::with_capacity(found.len());
    for record in found {
        // Never attached, never counted: most of a long list are such.
        let attachment_count = if record.times.attach_time == 0 {
            0
        } else {
            reap::attachment_count(namespace, &record).unwrap_or(0)
        };
        if reap::is_doomed(&record)
            && attachment_count == 0
            && stat(namespace, ShmId::new(record.id), descriptors).is_err()
        {
            continue;
        }
        let resident_bytes = reap::resident_bytes(namespace, &record);
        listed.push(Listed { stat: record.to_stat(attachment_count), resident_bytes, swapped_bytes: 0 });
    }
    Ok(listed)
}

pub(super) fn knobs(namespace: &'static Namespace) -> Result<Knobs, Fault> {
    let section = Section::enter(namespace, Descriptors::Kept)?;
    let header = &section.header;
    Ok(Knobs {
        max_size_bytes: header.max_size_bytes,
        max_total_pages: header.max_total_pages,
        max_segment_count: header.max_segment_count,
        remove_forced: header.remove_forced,
        next_id: (header.next_id >= 0).then(|| ShmId::new(header.next_id)),
    })
}

pub(super) fn set_knobs(namespace: &'static Namespace, knobs: Knobs) -> Result<(), Fault> {
    if knobs.max_segment_count > INDEX_COUNT {
        return Err(Fault::because(Errno::EINVAL, "shmmni is at most 32768"));
    }
    let mut section = Section::enter(namespace, Descriptors::Kept)?;
    if namespace.shared {
        let owner = file::stat(namespace.directory())?.uid;
        let me = caller::effective_uid();
        if me != owner && me != 0 {
            return Err(Fault::because(
                Errno::EPERM,
                "only the owner of a shared namespace's directory sets limits",
            ));
        }
    }
    section.header.max_size_bytes = knobs.max_size_bytes;
    section.header.max_total_pages = knobs.max_total_pages;
    section.header.max_segment_count = knobs.max_segment_count;
    section.header.next_id = knobs.next_id.map_or(-1, ShmId::raw);
    let changes = section.header.remove_forced != knobs.remove_forced;
    section.header.remove_forced = knobs.remove_forced;
    section.header.spreading = changes;
    section.commit(&Log::default())?;
    if changes { section.spread() } else { Ok(()) }
}

impl Section {
    /// Tells each record whether the last detach destroys it, so that a lookup without the lock need not read
    /// the header. Switched on, the unattached segments of dead creators go at once, as the kernel's do.
    /// Whoever is killed at this leaves it to the next.
    pub(super) fn spread(&mut self) -> Result<(), Fault> {
        let forced = self.header.remove_forced;
        for index in 0..self.index_end() {
            let before = self.record(index)?;
            if !before.is_used() {
                continue;
            }
            let orphan = forced && !caller::is_alive(before.creator_pid, before.creator_start);
            if orphan && !self.is_attached(&before)? {
                self.destroy(&before)?;
            } else if before.forced != forced {
                let record = Record { forced, ..before };
                self.commit(&Log::of([Some(Step::Record { index, fresh: false, record })]))?;
            }
        }
        self.header.spreading = false;
        self.commit(&Log::default())
    }
}

/// Data files that no record knows. None arise by kills; programs and people make some.
pub(super) fn strays(namespace: &'static Namespace) -> Result<Vec<String>, Fault> {
    let section = Section::enter(namespace, Descriptors::Kept)?;
    let mut strays = Vec::new();
    for name in namespace.data_file_names()? {
        if stray_id(&section, &name)?.is_some() {
            strays.push(name);
        }
    }
    Ok(strays)
}

/// Removes those of the named that are strays; which they were.
pub(super) fn reclaim_strays(namespace: &'static Namespace, names: &[String]) -> Result<Vec<String>, Fault> {
    let section = Section::enter(namespace, Descriptors::Kept)?;
    let mut gone = Vec::new();
    for name in namespace.data_file_names()?.into_iter().filter(|name| names.contains(name)) {
        if let Some(id) = stray_id(&section, &name)? {
            file::unlink(&namespace.data_path(id))?;
            gone.push(name);
        }
    }
    Ok(gone)
}

/// The id in a data file's name, if no record has it.
fn stray_id(section: &Section, name: &str) -> Result<Option<i32>, Fault> {
    let Some(id) = super::namespace::id_of_name(name.as_bytes()) else { return Ok(None) };
    let record = section.record(id.cast_unsigned() % INDEX_COUNT)?;
    Ok((!record.is_used() || record.id != id).then_some(id))
}
