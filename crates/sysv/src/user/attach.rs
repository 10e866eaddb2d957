//! `shmat` and `shmdt`: mappings of data files.
#![allow(unsafe_code, reason = "mapping and unmapping")]

use std::sync::atomic::Ordering;

use crate::{AttachFlags, Errno, Mapped, ShmId, caller};

use super::file::{self, BlockedSignals, Fd};
use super::layout::{DETACH_AT, Record, State, TIMES_DETACH, Times};
use super::namespace::Namespace;
use super::section::{self, Descriptors, Section};
use super::vmas::{Vma, Vmas};
use super::{Fault, data, permission, pins, process, reap};

/// A mark for an attachment that exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) number: u32,
    /// Size of the attachment that is to have it.
    pub(super) size_bytes: usize,
}

/// With a mark, `None`: another attachment has it, and nothing was done.
///
/// # Safety
/// As [`Backend::attach`](crate::Backend::attach).
pub(super) unsafe fn attach(
    namespace: &'static Namespace,
    id: ShmId,
    address: usize,
    flags: AttachFlags,
    mark: Option<Mark>,
    descriptors: Descriptors,
) -> Result<Option<Mapped>, Fault> {
    if id.raw() < 0 {
        return Err(Errno::EINVAL.into());
    }
    let address = place(address, flags)?;
    // A second run, after one that was refused to write the times, would replace a second time.
    if matches!(address, Place::Replacing(_))
        && descriptors == Descriptors::Kept
        && file::soft_limit(libc::RLIMIT_FSIZE) < super::layout::FILE_SIZE
    {
        return Err(Errno::EFBIG.into());
    }
    let mut section = Section::enter(namespace, descriptors)?;
    let record = section.record_of(id)?;
    permission::check(&record, permission::wanted_by_attach(flags))?;
    if section.reap(&record)? {
        return Err(Errno::EINVAL.into());
    }
    let size_bytes = usize::try_from(record.size_bytes).map_err(|_| Errno::ENOMEM)?;
    // Others write the record. A larger size would replace what is mapped behind the attachment.
    if let Some(mark) = mark
        && mark.size_bytes != size_bytes
    {
        let reason = format!("attached with {} bytes, its record now says {size_bytes}", mark.size_bytes);
        return Err(Fault::because(Errno::EIDRM, reason));
    }
    if let Place::Free(address) = address
        && address.checked_add(size_bytes).is_none()
    {
        return Err(Errno::EINVAL.into());
    }

    let writable = !flags.contains(AttachFlags::READ_ONLY);
    let access = if writable { libc::O_RDWR } else { libc::O_RDONLY };
    let (fd, meta) = data::open(namespace, &record, access)?;
    if meta.size_bytes < record.size_bytes {
        return Err(Fault::because(Errno::EIDRM, "its data file was cut short: remove the segment"));
    }
    if let Some(mark) = mark
        && !pins::mark(&fd, mark.number)?
    {
        return Ok(None);
    }
    let (slot, slot_top) = pins::take(&fd, writable, record.times.slot_hint, record.times.slot_top)?;

    let mut protection = libc::PROT_READ;
    if writable {
        protection |= libc::PROT_WRITE;
    }
    if flags.contains(AttachFlags::EXECUTE) {
        protection |= libc::PROT_EXEC;
    }
    let rounded = size_bytes.checked_next_multiple_of(caller::page_size()).ok_or(Errno::ENOMEM)?;
    let reserve = if record.no_reserve { libc::MAP_NORESERVE } else { 0 };
    let (at, fixed) = match address {
        Place::Any => (0, 0),
        Place::Free(at) => (at, libc::MAP_FIXED_NOREPLACE),
        Place::Replacing(at) => (at, libc::MAP_FIXED),
    };
    process::MAY_BE_ATTACHED.store(true, Ordering::Relaxed);
    // SAFETY: what a replacing attach replaces is the caller's to answer for; nothing else is replaced.
    let mapped = match unsafe { file::map(at, rounded, protection, fixed | reserve, fd.raw(), 0) } {
        Ok(mapped) => mapped,
        Err(Errno::EEXIST) => return Err(Errno::EINVAL.into()),
        Err(Errno::EPERM) if flags.contains(AttachFlags::EXECUTE) => {
            return Err(Fault::because(Errno::EPERM, "the namespace's filesystem is mounted noexec"));
        }
        Err(errno) => return Err(errno.into()),
    };
    if at != 0 && mapped != at {
        // Kernels before 4.17 take the address for a hint.
        // SAFETY: the mapping just made, which nobody knows.
        unsafe { file::unmap(mapped, rounded) }?;
        return Err(Errno::EINVAL.into());
    }

    let times = Times {
        slot_top,
        attach_time: file::now(),
        last_pid: descriptors.caller_pid(),
        slot_hint: pins::hint_after(slot, &record.times),
        detach_time: 0,
    };
    if let Err(fault) = section.write_attach_times(&record, times)
        // What was replaced cannot be brought back, and somebody may live on the pages that have its place: times
        // and a count that stays one short until the next attach are the least of it.
        && !matches!(address, Place::Replacing(_))
    {
        // SAFETY: the mapping just made, which nobody knows.
        unsafe { file::unmap(mapped, rounded) }?;
        return Err(fault);
    }
    Ok(Some(Mapped { address: mapped, size_bytes }))
}

/// Whether an attachment has a mark.
pub(super) fn is_marked(
    namespace: &'static Namespace,
    id: ShmId,
    mark: u32,
    descriptors: Descriptors,
) -> Result<bool, Fault> {
    let Some((record, _)) = namespace.peek_record(id.raw(), descriptors) else {
        return Err(Errno::EINVAL.into());
    };
    let (fd, _) = data::open(namespace, &record, libc::O_RDONLY)?;
    Ok(pins::is_marked(&fd, mark)?)
}

/// Where an attach is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Any,
    Free(usize),
    Replacing(usize),
}

/// What the kernel makes of address and flags, before it looks for the segment.
fn place(address: usize, flags: AttachFlags) -> Result<Place, Errno> {
    let (remap, page) = (flags.contains(AttachFlags::REMAP), caller::page_size());
    if address == 0 {
        return if remap { Err(Errno::EINVAL) } else { Ok(Place::Any) };
    }
    if address.is_multiple_of(page) {
        return Ok(if remap { Place::Replacing(address) } else { Place::Free(address) });
    }
    if !flags.contains(AttachFlags::ROUND) {
        return Err(Errno::EINVAL);
    }
    match address - address % page {
        0 if remap => Err(Errno::EINVAL),
        // Rounded down to zero, the kernel no longer asks whether the place is free.
        0 => Ok(Place::Replacing(0)),
        rounded if remap => Ok(Place::Replacing(rounded)),
        rounded => Ok(Place::Free(rounded)),
    }
}

impl Descriptors {
    /// The pid to write down: a helper's would mean nothing.
    pub(super) fn caller_pid(self) -> i32 {
        match self {
            Descriptors::Kept => process::pid(),
            Descriptors::Own => super::rescue::caller_pid(),
        }
    }
}

/// # Safety
/// As [`Backend::detach`](crate::Backend::detach).
pub(super) unsafe fn detach(
    namespace: &'static Namespace,
    address: usize,
    descriptors: Descriptors,
) -> Result<(), Fault> {
    if !address.is_multiple_of(caller::page_size()) {
        return Err(Errno::EINVAL.into());
    }
    // One detach at a time, from the question what is mapped to the unmapping: of two at one address, the second
    // would unmap what came there after the first. Signals are blocked, for a handler may detach too.
    let signals = BlockedSignals::new();
    let working = process::work();
    if descriptors == Descriptors::Kept {
        section::leave_parents_descriptors();
    }
    let mut vmas = Vmas::open(descriptors)?;
    let Piece { vma: first, id, record } =
        first_piece(namespace, &mut vmas, address)?.ok_or(Errno::EINVAL)?;

    // Written while our mapping still pins the segment: it cannot be destroyed and its record be another's.
    // The record was read through this descriptor an instant ago, so it is the registry's. Should the write fail,
    // times are the least of it: what is asked for is that the memory goes.
    if let Some((record, fd)) = &record {
        let times = Times {
            last_pid: descriptors.caller_pid(),
            slot_hint: 0,
            detach_time: file::now(),
            ..Times::default()
        };
        let (before, after) = (record.times.encode(), times.encode());
        let at = super::layout::record_at(record.index()) + DETACH_AT;
        let written = if before[TIMES_DETACH..] == after[TIMES_DETACH..] {
            Ok(())
        } else {
            file::pwrite(fd.raw(), &after[TIMES_DETACH..], at)
        };
        match written {
            Err(Errno::EFBIG) if descriptors == Descriptors::Kept => return Err(Errno::EFBIG.into()),
            _ => {}
        }
    }

    let size = record.as_ref().map_or(u64::MAX, |(record, _)| record.mapped_bytes());
    let end = address.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
    let mut piece = Some(first);
    while let Some(vma) = piece {
        // SAFETY: the kernel says that these pages map this segment's file as the attachment at `address` did,
        // and the caller promises that nothing uses that any more.
        unsafe { file::unmap(vma.start, vma.size_bytes()) }?;
        piece = if vma.end < end { next_piece(&mut vmas, vma.end, end, address, first.inode)? } else { None };
    }

    drop(working);
    drop(signals);

    // One that is removed in this very instant is buried by the next who looks at it. Nor is a burial that
    // fails for us this detach's failure: the memory is gone from here.
    if let Some((record, _)) = record
        && reap::is_doomed(&record)
    {
        let bury = |descriptors| {
            let mut section = Section::enter(namespace, descriptors)?;
            let record = section.record_of(ShmId::new(id))?;
            section.reap(&record)
        };
        let _ = super::with_descriptors(bury, descriptors);
    }
    Ok(())
}

/// A mapping of one of our segments.
struct Piece {
    vma: Vma,
    id: i32,
    /// None for a segment whose record is gone.
    record: Option<(Record, Borrowed)>,
}

/// The first mapping at or above `address` that belongs to an attachment which started there, as the kernel
/// looks for it.
fn first_piece(namespace: &Namespace, vmas: &mut Vmas, address: usize) -> Result<Option<Piece>, Fault> {
    let mut from = address;
    while let Some(vma) = vmas.next(from)? {
        if vma.start >= address
            && vma.origin() == address
            && let Some((id, record)) = namespace.segment_of(&vma)
        {
            return Ok(Some(Piece { vma, id, record }));
        }
        from = vma.end;
    }
    Ok(None)
}

/// The next mapping of the same attachment.
fn next_piece(
    vmas: &mut Vmas,
    from: usize,
    end: usize,
    origin: usize,
    inode: u64,
) -> Result<Option<Vma>, Fault> {
    let mut from = from;
    while from < end
        && let Some(vma) = vmas.next(from)?
        && vma.end <= end
    {
        if vma.inode == inode && vma.origin() == origin {
            return Ok(Some(vma));
        }
        from = vma.end;
    }
    Ok(None)
}

impl Section {
    /// The record that an id names; a stale id names none.
    pub(super) fn record_of(&self, id: ShmId) -> Result<Record, Fault> {
        if id.raw() < 0 {
            return Err(Errno::EINVAL.into());
        }
        let index = id.raw().cast_unsigned() % super::layout::INDEX_COUNT;
        let record = self.record(index)?;
        if record.state == State::Free || record.id != id.raw() {
            Err(Errno::EINVAL.into())
        } else {
            Ok(record)
        }
    }
}

impl Namespace {
    /// The segment that a mapping is of, and its record if it still has one. The name tells the id; device and
    /// inode tell that the name is not another file's.
    pub(super) fn segment_of(&self, vma: &Vma) -> Option<(i32, Option<(Record, Borrowed)>)> {
        let name = vma.name();
        let id = self.id_of_path(name)?;
        match self.peek_record(id, Descriptors::Kept) {
            Some((record, fd)) if record.inode == vma.inode && self.is_place_of(&record, vma) => {
                Some((id, Some((record, fd))))
            }
            // Destroyed under us, or a registry we cannot read: then only the whole path will do.
            _ => self.is_above(name).then_some((id, None)),
        }
    }

    /// Whether a mapping lies where a record's data file does. Another namespace, on another filesystem, has files
    /// of the same names, and likely the same inodes.
    fn is_place_of(&self, record: &Record, vma: &Vma) -> bool {
        let (device, _) = self.registry_file();
        // Some filesystems tell stat of a device that is not the mappings'; and the name of one on huge pages is
        // this namespace's alone.
        record.huge_log2 != 0 || vma.device == device || self.is_above(vma.name())
    }

    /// A used record without the lock, and a descriptor of the registry.
    pub(super) fn peek_record(&self, id: i32, descriptors: Descriptors) -> Option<(Record, Borrowed)> {
        let fd = match (descriptors, self.kept.get()) {
            (Descriptors::Kept, Some(fd)) => Borrowed::Kept(fd),
            _ => Borrowed::Own(self.open_registry().ok()?),
        };
        let index = id.cast_unsigned() % super::layout::INDEX_COUNT;
        for _ in 0..4 {
            if let Ok(record) = section::read_record(fd.raw(), self.salt(), index) {
                return (record.is_used() && record.id == id).then_some((record, fd));
            }
        }
        // The number was closed by the program: look again by name.
        if let Borrowed::Kept(_) = fd {
            // Nor is it closed here: another thread may be at work with it.
            let fd = Borrowed::Own(self.open_registry().ok()?);
            let record = section::read_record(fd.raw(), self.salt(), index).ok()?;
            return (record.is_used() && record.id == id).then_some((record, fd));
        }
        None
    }
}

/// A descriptor of the registry that is kept, or closed after use.
#[derive(Debug)]
pub(super) enum Borrowed {
    Kept(i32),
    Own(Fd),
}

impl Borrowed {
    pub(super) fn raw(&self) -> i32 {
        match self {
            Borrowed::Kept(fd) => *fd,
            Borrowed::Own(fd) => fd.raw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_the_kernel_takes_them() {
        let (none, round, remap) = (AttachFlags::NONE, AttachFlags::ROUND, AttachFlags::REMAP);
        assert_eq!(place(0, none), Ok(Place::Any));
        assert_eq!(place(0, remap), Err(Errno::EINVAL));
        assert_eq!(place(4096, none), Ok(Place::Free(4096)));
        assert_eq!(place(4097, none), Err(Errno::EINVAL));
        assert_eq!(place(4097, round), Ok(Place::Free(4096)));
        assert_eq!(place(1, round), Ok(Place::Replacing(0)));
        assert_eq!(place(1, round | remap), Err(Errno::EINVAL));
        assert_eq!(place(8192, remap), Ok(Place::Replacing(8192)));
    }

    fn with_attachment(test: impl FnOnce(&crate::User, &crate::Segment, &crate::Attachment)) {
        let dir = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
        let user = crate::User::at(dir.path()).unwrap();
        let segment = crate::Segment::options(crate::Key::PRIVATE).size(5000).create(&user).unwrap();
        let memory = segment.attach().unwrap();
        memory.write(0, b"kept").unwrap();
        test(&user, &segment, &memory);
        let mut bytes = [0; 4];
        memory.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"kept");
    }

    /// Has every further `pwrite` of the calling thread fail; false where that cannot be arranged.
    fn refuse_writes() -> bool {
        let step = |code: u32, jump_else: u8, value: u32| libc::sock_filter {
            code: u16::try_from(code).unwrap(),
            jt: 0,
            jf: jump_else,
            k: value,
        };
        let refused = libc::SECCOMP_RET_ERRNO | libc::EDQUOT.cast_unsigned();
        let mut steps = [
            // Offset 0 of what the filter sees is the call's number.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::try_from(libc::SYS_pwrite64).unwrap()),
            step(libc::BPF_RET | libc::BPF_K, 0, refused),
            step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
        // SAFETY: takes numbers.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        // SAFETY: reads the program and its steps.
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0 }
    }

    #[test]
    fn a_marking_that_cannot_write_leaves_the_memory() {
        with_attachment(|user, segment, memory| {
            // A filter is its thread's alone.
            let marking = std::thread::scope(|scope| {
                scope.spawn(|| refuse_writes().then(|| (segment.attach(), memory.mark(7)))).join().unwrap()
            });
            // Emulators have no filters.
            let Some((attached, marked)) = marking else { return };
            assert_eq!(attached.unwrap_err().errno(), Errno::EDQUOT);
            assert_eq!(marked.unwrap(), Some(true));
            assert_eq!(crate::Backend::is_marked(user, segment.id(), 7).unwrap(), Some(true));
        });
    }

    #[test]
    fn a_marking_of_another_size_is_refused() {
        with_attachment(|user, segment, memory| {
            for size_bytes in [4999, 5001, 100_000] {
                // SAFETY: all of the segment is attached there, and a wrong size is refused.
                let marked =
                    unsafe { crate::Backend::mark(user, segment.id(), memory.address(), size_bytes, 7) };
                let refused = marked.unwrap_err();
                assert_eq!(refused.errno(), Errno::EIDRM);
                assert!(refused.to_string().contains("its record now says 5000"), "{refused}");
            }
            assert_eq!(crate::Backend::is_marked(user, segment.id(), 7).unwrap(), Some(false));
            assert_eq!(memory.mark(7).unwrap(), Some(true));
        });
    }
}
