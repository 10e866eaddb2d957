//! Segments on huge pages: their data files lie in a mounted hugetlbfs, under names that carry the namespace.

use std::fs;

use crate::caller::{self, CAP_IPC_LOCK};
use crate::{Errno, GetFlags};

use super::Fault;
use super::file::{self, Fd, Path};
use super::namespace::Namespace;

/// A huge page size and where files of it are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Huge {
    /// Log2 of the page's size in bytes.
    pub(super) log2: u8,
    mount: Path,
}

/// What the flags ask for; none for ordinary pages.
pub(super) fn of_flags(flags: GetFlags) -> Result<Option<Huge>, Fault> {
    if !flags.contains(GetFlags::HUGE_PAGES) {
        return Ok(None);
    }
    #[allow(clippy::cast_possible_truncation, reason = "six bits")]
    let asked = ((flags.raw() >> libc::MAP_HUGE_SHIFT) & 0x3f) as u8;
    let log2 = if asked == 0 { default_log2().ok_or(Errno::EINVAL)? } else { asked };
    if !(10..=40).contains(&log2) || fs::metadata(pool(log2)).is_err() {
        return Err(Errno::EINVAL.into());
    }
    if !caller::has_capability(CAP_IPC_LOCK) && !allowed_group().is_some_and(caller::in_group) {
        return Err(Fault::because(
            Errno::EPERM,
            "huge pages need CAP_IPC_LOCK or the group of sysctl vm.hugetlb_shm_group",
        ));
    }
    Ok(Some(Huge { log2, mount: mount_of(log2)? }))
}

impl Huge {
    pub(super) fn data_path(&self, namespace: &Namespace, id: i32) -> Path {
        data_path(&self.mount, namespace, id)
    }

    /// Sets the size, and keeps huge pages for it unless none are to be promised.
    pub(super) fn prepare(&self, fd: &Fd, size_bytes: u64, flags: GetFlags) -> Result<(), Fault> {
        let rounded = size_bytes.checked_next_multiple_of(1 << self.log2).ok_or(Errno::EINVAL)?;
        file::truncate(fd.raw(), rounded)?;
        if !flags.contains(GetFlags::NO_RESERVE) {
            // A shared mapping reserves its pages for the file, not for itself.
            let size = usize::try_from(rounded).map_err(|_| Errno::ENOMEM)?;
            let mapping = file::map_new(size, fd).map_err(|_| {
                Fault::because(Errno::ENOMEM, "not enough free huge pages: raise vm.nr_hugepages")
            })?;
            file::unmap_own(mapping)?;
        }
        Ok(())
    }
}

/// Where a record's data file lies.
pub(super) fn path_of(namespace: &Namespace, id: i32, log2: u8) -> Result<Path, Fault> {
    Ok(data_path(&mount_of(log2)?, namespace, id))
}

fn data_path(mount: &Path, namespace: &Namespace, id: i32) -> Path {
    mount.with(b"/").with(&prefix(namespace)).with_number(u64::from(id.unsigned_abs()))
}

/// How the names of a namespace's files in a hugetlbfs begin.
fn prefix(namespace: &Namespace) -> [u8; 27] {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let mut prefix = *b"coseg-0000000000000000-seg-";
    for position in 0..16 {
        let digit = namespace.salt() >> (60 - 4 * position) & 15;
        #[allow(clippy::cast_possible_truncation, reason = "four bits")]
        let digit = HEX[digit as usize];
        prefix[6 + position] = digit;
    }
    prefix
}

/// The id in the name of a namespace's file in a hugetlbfs.
pub(super) fn id_of_name(namespace: &Namespace, name: &[u8]) -> Option<i32> {
    let prefix = prefix(namespace);
    let digits = name.strip_prefix(&prefix[..])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn pool(log2: u8) -> String {
    format!("/sys/kernel/mm/hugepages/hugepages-{}kB", (1_u64 << log2) / 1024)
}

fn default_log2() -> Option<u8> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    u8::try_from((kib * 1024).ilog2()).ok()
}

fn allowed_group() -> Option<u32> {
    fs::read_to_string("/proc/sys/vm/hugetlb_shm_group").ok()?.trim().parse().ok()
}

/// A hugetlbfs of this page size, which the system's administrator mounts.
fn mount_of(log2: u8) -> Result<Path, Fault> {
    let text = fs::read_to_string("/proc/self/mounts").map_err(|_| Errno::ENOSYS)?;
    for line in text.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(point), Some("hugetlbfs"), Some(options)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let size = options.split(',').find_map(|option| option.strip_prefix("pagesize="));
        if size.and_then(parse_size) == Some(1 << log2) {
            return Ok(Path::new(point.as_bytes())?);
        }
    }
    Err(Fault::because(Errno::ENOMEM, "no hugetlbfs of this page size is mounted: mount -t hugetlbfs"))
}

fn parse_size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    Some(digits.parse::<u64>().ok()? * factor)
}
