//! Who is attached: the mappings that /proc shows us.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{Key, ShmId};

/// One mapping of a segment by one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The segment.
    pub id: ShmId,
    /// The process.
    pub pid: i32,
    /// First address there.
    pub address: usize,
    /// Bytes mapped.
    pub size_bytes: usize,
    /// Offset of the first byte in the segment: not zero for a piece of an attachment that was split.
    pub offset_bytes: u64,
    /// Whether the process may write there now.
    pub writable: bool,
}

/// The mappings found, and how many processes would not show theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachers {
    /// What was found, in the order of pids and addresses.
    pub found: Vec<Attached>,
    /// Processes whose mappings need more privilege to see.
    pub hidden_process_count: usize,
}

/// One line of /proc/PID/maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapLine<'a> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) permissions: &'a str,
    pub(crate) offset: u64,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) path: &'a str,
}

impl<'a> MapLine<'a> {
    pub(crate) fn parse(line: &'a str) -> Option<MapLine<'a>> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let offset = u64::from_str_radix(words.next()?, 16).ok()?;
        let (major, minor) = words.next()?.split_once(':')?;
        let number = |text| u32::from_str_radix(text, 16).ok();
        #[allow(clippy::useless_conversion, reason = "narrower elsewhere")]
        let device = libc::makedev(number(major)?, number(minor)?).into();
        let inode = words.next()?.parse().ok()?;
        Some(MapLine {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            permissions,
            offset,
            device,
            inode,
            path: words.next().unwrap_or("").trim_start(),
        })
    }
}

/// Looks through every process of /proc. `wanted` says whose mappings count at all, `id_of` which segment a
/// mapping is of.
pub(crate) fn scan(wanted: impl Fn(i32) -> bool, id_of: impl Fn(&MapLine<'_>) -> Option<ShmId>) -> Attachers {
    let mut attachers = Attachers::default();
    let mut pids: Vec<i32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        match of_process(pid, &id_of) {
            Ok(found) => {
                if !found.is_empty() && wanted(pid) {
                    attachers.found.extend(found);
                }
            }
            Err(Unseen::Hidden) => attachers.hidden_process_count += 1,
            // Kernel threads above all, which have no mappings.
            Err(Unseen::Unknown) => {}
        }
    }
    attachers
}

/// Why a process's mappings are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// They need more privilege to see.
    Hidden,
    /// /proc shows none, nor that the process has ended.
    Unknown,
}

/// The mappings of one process; none if it has ended.
pub(crate) fn of_process(
    pid: i32,
    id_of: impl Fn(&MapLine<'_>) -> Option<ShmId>,
) -> Result<Vec<Attached>, Unseen> {
    let text = maps_of(pid)?;
    let text = String::from_utf8_lossy(&text);
    let attached = |line: MapLine<'_>| {
        Some(Attached {
            id: id_of(&line)?,
            pid,
            address: line.start,
            size_bytes: line.end - line.start,
            offset_bytes: line.offset,
            writable: line.permissions.as_bytes().get(1) == Some(&b'w'),
        })
    };
    Ok(text.lines().filter_map(MapLine::parse).filter_map(attached).collect())
}

/// The lines of /proc/PID/maps; none if the process has ended.
///
/// That file is the main thread's, and empty from that thread's end on, though others may run and have everything
/// mapped still.
fn maps_of(pid: i32) -> Result<Vec<u8>, Unseen> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let text = read(&process.join("maps"))?;
    if !text.is_empty() {
        return Ok(text);
    }
    for thread in threads_of(&process) {
        let text = read(&thread.join("maps"))?;
        if !text.is_empty() {
            return Ok(text);
        }
    }
    let stat = read(&process.join("stat"))?;
    if stat.is_empty() || is_last_zombie(&stat) { Ok(Vec::new()) } else { Err(Unseen::Unknown) }
}

fn threads_of(process: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(process.join("task")).into_iter().flatten().flatten().map(|thread| thread.path())
}

/// A file of /proc; empty if its process or thread has ended. Kernels since 6.17 say so of the maps of one that has
/// no memory any more, where older ones show an empty file.
fn read(path: &Path) -> Result<Vec<u8>, Unseen> {
    fs::read(path).or_else(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Ok(Vec::new()),
        Some(libc::EACCES | libc::EPERM) => Err(Unseen::Hidden),
        // No descriptor or no memory here tells nothing of the process there.
        _ => Err(Unseen::Unknown),
    })
}

/// Whether /proc/PID/stat is a process's of which only the ended main thread is left, for the parent to collect.
fn is_last_zombie(stat: &[u8]) -> bool {
    // The name before may hold anything, parentheses too.
    let Some(name_end) = stat.iter().rposition(|&byte| byte == b')') else { return false };
    let rest = String::from_utf8_lossy(&stat[name_end + 1..]);
    let mut words = rest.split_ascii_whitespace();
    // The state is read before the count: once it is this, a single thread is the main one, and none can come that a
    // living one would have to make. A count of zero only means that the main thread is being replaced, in an exec.
    matches!(words.next(), Some("Z" | "X")) && words.nth(16) == Some("1")
}

/// Which of the kernel's segments a mapping is of, and the key that it was made with: `/SYSV` and the key is the path, the
/// inode the id.
pub(crate) fn kernel_segment_of(line: &MapLine<'_>) -> Option<(ShmId, Key)> {
    let key = line.path.strip_prefix("/SYSV")?.get(..8)?;
    let key = u32::from_str_radix(key, 16).ok()?;
    Some((ShmId::new(i32::try_from(line.inode).ok()?), Key::new(key.cast_signed())))
}

/// Mappings of the kernel's segments. The same ids exist in other IPC
/// namespaces, so only processes of ours count.
pub(crate) fn of_kernel(id_of: impl Fn(&MapLine<'_>) -> Option<ShmId>) -> Attachers {
    // A thread may have moved to another namespace, and what it asks is asked there.
    let ours = ipc_namespace_of("/proc/thread-self".as_ref());
    scan(|pid| ipc_namespace_of(format!("/proc/{pid}").as_ref()) == ours, id_of)
}

/// A main thread that has ended is in none any more; the others are.
fn ipc_namespace_of(process: &Path) -> Option<(u64, u64)> {
    let namespace_of = |thread: &Path| {
        let found = fs::metadata(thread.join("ns/ipc")).ok()?;
        Some((found.dev(), found.ino()))
    };
    namespace_of(process).or_else(|| threads_of(process).find_map(|thread| namespace_of(&thread)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_parse() {
        let line = "7f43fb1c4000-7f43fb1c5000 rw-s 00001000 00:01 32768                      /SYSV0000162e (deleted)";
        let map = MapLine::parse(line).unwrap();
        assert_eq!((map.start, map.end), (0x7f43_fb1c_4000, 0x7f43_fb1c_5000));
        assert_eq!((map.offset, map.device, map.inode), (0x1000, 1, 32768));
        assert_eq!(map.path, "/SYSV0000162e (deleted)");
        assert_eq!(kernel_segment_of(&map), Some((ShmId::new(32768), Key::new(5678))));
        assert_eq!(map.permissions, "rw-s");
        let anonymous = MapLine::parse("7f43fb1c4000-7f43fb1c5000 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!(anonymous.path, "");
        assert!(MapLine::parse("nonsense").is_none());
    }

    #[test]
    fn only_a_zombie_without_threads_has_ended() {
        let stat = |name: &str, state: &str, thread_count: u32| {
            let text =
                format!("7 ({name}) {state} 1 7 7 0 -1 4227084 1977 0 2 0 5 0 0 0 20 0 {thread_count} 0 19");
            is_last_zombie(text.as_bytes())
        };
        assert!(stat("sh", "Z", 1) && stat("a) R (b", "Z", 1) && stat("sh", "X", 1));
        assert!(!stat("sh", "Z", 2) && !stat("sh", "Z", 0));
        assert!(!stat("sh", "S", 1) && !stat("Z 1) Z", "R", 1));
        assert!(!is_last_zombie(b"") && !is_last_zombie(b"7 (sh) Z"));
    }
}
