//! `shmget`: finding a segment by its key, or making one.

use crate::sys::INDEX_BITS;
use crate::{Errno, GetFlags, Key, ShmId, caller};

use super::file::{self, Fd, Path};
use super::layout::{self, INDEX_COUNT, Log, NEVER_WRITTEN, Record, State, Step};
use super::namespace::Namespace;
use super::section::{self, Descriptors, Section};
use super::{Fault, huge, permission};

/// What a creation asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) key: Key,
    pub(super) size_bytes: usize,
    pub(super) flags: GetFlags,
    /// Give the segment its memory now.
    pub(super) reserve: bool,
}

pub(super) fn get(
    namespace: &'static Namespace,
    request: Request,
    descriptors: Descriptors,
) -> Result<ShmId, Fault> {
    // Most calls find what is there, for which no lock is needed: a record is read whole or not believed.
    if !request.key.is_private()
        && !request.flags.contains(GetFlags::EXCLUSIVE)
        && descriptors == Descriptors::Kept
        && let Some(record) = peek(namespace, request.key)
    {
        return found(&record, request);
    }
    let mut section = Section::enter(namespace, descriptors)?;
    if !request.key.is_private() {
        if let Some((record, _)) = section.find(request.key)?
            && !section.reap(&record)?
        {
            return found(&record, request);
        }
        if !request.flags.contains(GetFlags::CREATE) {
            return Err(Errno::ENOENT.into());
        }
    }
    section.reap_some()?;
    match section.create(request, descriptors) {
        // The dead may count against a limit; nobody else buries them.
        Err(Fault { errno: Errno::ENOSPC, .. }) if section.header.removed_count > 0 => {
            section.reap_all()?;
            section.create(request, descriptors)
        }
        result => result,
    }
}

/// What the kernel checks of a segment that exists, in its order.
fn found(record: &Record, request: Request) -> Result<ShmId, Fault> {
    if request.flags.contains(GetFlags::CREATE | GetFlags::EXCLUSIVE) {
        return Err(Errno::EEXIST.into());
    }
    if request.size_bytes as u64 > record.size_bytes {
        return Err(Errno::EINVAL.into());
    }
    permission::check(record, request.flags.raw().cast_unsigned())?;
    Ok(ShmId::new(record.id))
}

/// Finds a live record without the lock; none also where one cannot be sure.
fn peek(namespace: &Namespace, key: Key) -> Option<Record> {
    const MOST_STEPS: usize = 64;
    let fd = namespace.kept.get()?;
    let salt = namespace.salt();
    let mut next = section::read_bucket(fd, layout::bucket_of(key)).ok()?;
    for _ in 0..MOST_STEPS {
        if next == 0 || next > INDEX_COUNT {
            return None;
        }
        let record = section::read_record(fd, salt, next - 1).ok()?;
        if record.state != State::Live || record.forced {
            return None;
        }
        if record.key == key.raw() {
            return Some(record);
        }
        next = record.next;
    }
    None
}

/// How many names that others took are passed over in one creation.
const MOST_TAKEN_NAMES: usize = 64;

impl Section {
    fn create(&mut self, request: Request, descriptors: Descriptors) -> Result<ShmId, Fault> {
        let size_bytes = request.size_bytes as u64;
        if size_bytes < 1 || size_bytes > self.header.max_size_bytes {
            return Err(Errno::EINVAL.into());
        }
        // Sizes near the end of the address space wrap when rounded to pages, and have no room anywhere.
        let pages = size_bytes.checked_add(4095).ok_or(Errno::ENOSPC)? >> 12;
        let total = self.header.total_pages.checked_add(pages).ok_or(Errno::ENOSPC)?;
        if total > self.header.max_total_pages {
            return Err(Errno::ENOSPC.into());
        }
        let huge = huge::of_flags(request.flags)?;
        if huge.is_none() {
            self.check_memory(request, pages)?;
        }
        if self.header.segment_count >= self.header.max_segment_count {
            return Err(Errno::ENOSPC.into());
        }
        let before = self.header;
        let (index, mut id) = self.choose_id()?;

        let (uid, gid) = (caller::effective_uid(), caller::effective_gid());
        // Should we die from here on, the next owner of the section takes the file away again.
        let huge_log2 = huge.map_or(0, |huge| huge.log2);
        let mut after_choice = self.header;
        self.header = before;
        let undo = |id| Log::of([Some(Step::Unlink { id, huge_log2 })]);
        self.begin(&undo(id))?;
        let mut made = self.make_file(id, request, huge, gid);
        for _ in 0..MOST_TAKEN_NAMES {
            if !matches!(made, Err(Fault { errno: Errno::EEXIST, .. })) {
                break;
            }
            // A file of another user that lost its record, in a shared namespace: it is not ours to remove.
            id = next_sequence(id);
            after_choice.sequence = id.cast_unsigned() >> INDEX_BITS;
            self.begin(&undo(id))?;
            made = self.make_file(id, request, huge, gid);
        }
        let (_fd, inode) = match made {
            Ok(made) => made,
            Err(fault) => {
                self.finish(&undo(id))?;
                return Err(match fault.errno {
                    // Which would say that the key exists.
                    Errno::EEXIST => {
                        Fault::because(Errno::ENOSPC, "files of others have the names of the next segments")
                    }
                    _ => fault,
                });
            }
        };

        self.header = after_choice;
        self.header.segment_count += 1;
        self.header.total_pages = total;
        let no_reserve = request.flags.contains(GetFlags::NO_RESERVE);
        if !no_reserve && huge.is_none() {
            self.header.promised_pages = self.header.promised_pages.saturating_add(pages);
        }
        self.header.highest_index = self.header.highest_index.max(index.cast_signed());

        let bucket = layout::bucket_of(request.key);
        let keyed = !request.key.is_private();
        let record = Record {
            state: State::Live,
            no_reserve: no_reserve || huge.is_some(),
            forced: self.header.remove_forced,
            huge_log2,
            mode: request.flags.mode(),
            id,
            key: request.key.raw(),
            next: if keyed { self.bucket(bucket)? } else { 0 },
            uid,
            gid,
            creator_uid: uid,
            creator_gid: gid,
            creator_pid: descriptors.caller_pid(),
            size_bytes,
            inode,
            change_time: file::now(),
            creator_start: caller::own_start_time(descriptors.caller_pid()),
            ..Record::free()
        };
        self.commit(&Log::of([
            Some(Step::Record { index, fresh: true, record }),
            keyed.then_some(Step::Bucket { bucket, first: index + 1 }),
        ]))?;
        Ok(ShmId::new(id))
    }

    /// The index and id of the next segment, as the kernel's cyclic allocation gives them out; the header is
    /// changed to match.
    fn choose_id(&mut self) -> Result<(u32, i32), Fault> {
        /// Indexes the kernel goes through before it uses one again, where few are in use.
        const LEAST_CYCLE: u32 = 64;
        const SEQUENCE_COUNT: u32 = i32::MAX.cast_unsigned() >> INDEX_BITS;

        if let Ok(wanted) = u32::try_from(self.header.next_id) {
            self.header.next_id = -1;
            let index = self.free_index(wanted % INDEX_COUNT, INDEX_COUNT)?.ok_or(Errno::ENOSPC)?;
            return Ok((index, id_of(wanted >> INDEX_BITS, index)));
        }
        let most = self.header.max_segment_count.max(1);
        let end = (self.header.segment_count * 3 / 2).max(LEAST_CYCLE).min(most);
        let index = match self.free_index(self.header.cursor, end)? {
            Some(index) => index,
            None => self.free_index(0, end)?.ok_or(Errno::ENOSPC)?,
        };
        self.header.cursor = index + 1;
        if index.cast_signed() <= self.header.last_index {
            self.header.sequence += 1;
            if self.header.sequence >= SEQUENCE_COUNT {
                self.header.sequence = 0;
            }
        }
        self.header.last_index = index.cast_signed();
        Ok((index, id_of(self.header.sequence, index)))
    }

    fn free_index(&self, start: u32, end: u32) -> Result<Option<u32>, Fault> {
        let mut records = [Record::free(); 32];
        let mut first = start;
        while first < end {
            // One, and only then many: the first is free nearly always.
            let wanted = if first == start { 1 } else { (end - first).min(32) };
            let count = self.records(first, &mut records[..wanted as usize])?;
            if let Some(offset) = records[..count].iter().position(|record| !record.is_used()) {
                #[allow(clippy::cast_possible_truncation, reason = "below 32")]
                let index = first + offset as u32;
                if records[offset].id == NEVER_WRITTEN {
                    self.prepare_record(index)?;
                }
                return Ok(Some(index));
            }
            first += wanted;
        }
        Ok(None)
    }

    /// Whether what is promised to all segments and not used yet still fits in what the filesystem has free.
    fn check_memory(&self, request: Request, pages: u64) -> Result<(), Fault> {
        if i64::try_from(request.size_bytes).is_err() {
            return Err(Errno::EINVAL.into());
        }
        if request.flags.contains(GetFlags::NO_RESERVE) {
            return Ok(());
        }
        let free = self.free_pages()?;
        let promised = self.header.promised_pages.saturating_add(pages);
        if promised <= free {
            return Ok(());
        }
        // Part of what was promised has been given: only the exact count can refuse.
        let used = self.pages_in_memory(|record| !record.no_reserve)?;
        if promised.saturating_sub(used) <= free {
            return Ok(());
        }
        Err(Fault::because(Errno::ENOMEM, "the namespace's filesystem has not enough free memory for it"))
    }

    /// Makes the data file, whole but unknown to anybody yet; its inode.
    fn make_file(
        &self,
        id: i32,
        request: Request,
        huge: Option<huge::Huge>,
        gid: u32,
    ) -> Result<(Fd, u64), Fault> {
        let path = match &huge {
            None => self.namespace.data_path(id),
            Some(huge) => huge.data_path(self.namespace, id),
        };
        let mode = self.namespace.file_mode(request.flags.mode());
        // A directory may give its own group to what is made in it: nobody else's before the group is ours.
        let fd = create_file(&path, mode & 0o600)?;
        let size_bytes = request.size_bytes as u64;
        match &huge {
            None => {
                let rounded = size_bytes.next_multiple_of(caller::page_size() as u64);
                file::truncate(fd.raw(), rounded)?;
                if request.reserve {
                    file::allocate(fd.raw(), rounded).map_err(|errno| match errno {
                        Errno::ENOSPC => Fault::because(Errno::ENOMEM, "the namespace's filesystem is full"),
                        errno => errno.into(),
                    })?;
                }
            }
            Some(huge) => huge.prepare(&fd, size_bytes, request.flags)?,
        }
        let meta = file::fstat(fd.raw())?;
        if self.namespace.shared && meta.gid != gid {
            file::change_group(fd.raw(), gid)?;
        }
        // The umask took bits away that the segment is to have.
        if meta.mode & 0o777 != mode {
            file::change_mode(fd.raw(), mode)?;
        }
        Ok((fd, meta.inode))
    }
}

fn create_file(path: &Path, mode: u32) -> Result<Fd, Errno> {
    let open = || file::open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, mode);
    match open() {
        // Nobody can know a file that no record names: what stands there was left by somebody killed.
        Err(Errno::EEXIST) => {
            let _ = file::unlink(path);
            open()
        }
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(Errno::ENOMEM),
        result => result,
    }
}

fn id_of(sequence: u32, index: u32) -> i32 {
    (((sequence << INDEX_BITS) | index) & i32::MAX.cast_unsigned()).cast_signed()
}

fn next_sequence(id: i32) -> i32 {
    let (sequence, index) = (id.cast_unsigned() >> INDEX_BITS, id.cast_unsigned() % INDEX_COUNT);
    id_of(sequence + 1, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_sequence_and_index() {
        assert_eq!(id_of(0, 0), 0);
        assert_eq!(id_of(1, 5), 32768 + 5);
        assert_eq!(next_sequence(id_of(1, 5)), id_of(2, 5));
    }
}
