//! IPC namespaces: each is known by the inode of its link in /proc, and has segments of its own.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process;

/// The first PID namespace has the same number on every host.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The IPC namespace of the calling thread.
pub(crate) fn own() -> Option<u64> {
    inode("/proc/thread-self/ns/ipc".as_ref())
}

/// The IPC namespace of a process; a main thread that has ended is in none any more, the others are.
pub(crate) fn of(pid: i32) -> Option<u64> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    inode(&process.join("ns/ipc")).or_else(|| threads(pid).find_map(|thread| inode(&thread.join("ns/ipc"))))
}

/// Whether every process of the host is in /proc, by a pid that is its own everywhere.
pub(crate) fn sees_all_pids() -> bool {
    inode("/proc/self/ns/pid".as_ref()) == Some(FIRST_PID_NAMESPACE)
}

fn inode(link: &Path) -> Option<u64> {
    fs::metadata(link).ok().map(|meta| meta.ino())
}

fn threads(pid: i32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|thread| thread.path())
}

/// An IPC namespace that some process is in.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    pub(crate) inode: u64,
    /// The one that started first of those in it.
    pub(crate) oldest_pid: i32,
    oldest_start: u64,
    pub(crate) process_count: u64,
    /// A link that leads to it.
    link: PathBuf,
}

/// Every IPC namespace of the processes in /proc, by their numbers, and how many processes do not show theirs.
pub(crate) fn all() -> (Vec<Namespace>, u64) {
    let mut found: Vec<Namespace> = Vec::new();
    let mut hidden_count = 0;
    for pid in process::all() {
        // One that hides even this is the last to name a namespace after.
        let start = process::start_ticks(pid).unwrap_or(u64::MAX);
        let mut seen = Vec::new();
        // A thread may be in another namespace than the rest of its process.
        for thread in threads(pid) {
            let link = thread.join("ns/ipc");
            let Some(inode) = inode(&link) else { continue };
            if !seen.contains(&inode) {
                seen.push(inode);
                add(
                    &mut found,
                    Namespace { inode, oldest_pid: pid, oldest_start: start, process_count: 1, link },
                );
            }
        }
        if seen.is_empty() && !process::has_ended(pid) {
            hidden_count += 1;
        }
    }
    found.sort_unstable_by_key(|namespace| namespace.inode);
    (found, hidden_count)
}

fn add(found: &mut Vec<Namespace>, one: Namespace) {
    let Some(known) = found.iter_mut().find(|known| known.inode == one.inode) else { return found.push(one) };
    known.process_count += 1;
    if (one.oldest_start, one.oldest_pid) < (known.oldest_start, known.oldest_pid) {
        *known = Namespace { process_count: known.process_count, ..one };
    }
}

impl Namespace {
    /// Does something in this namespace, in a thread that ends with it: no other thread moves.
    pub(crate) fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> io::Result<T> {
        let entered = || {
            if own() != Some(self.inode) {
                let link = File::open(&self.link)?;
                move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::InterProcessCommunication))?;
                // The process that the link was of may have moved on, or its pid be another's.
                if own() != Some(self.inode) {
                    return Err(rustix::io::Errno::SRCH.into());
                }
            }
            Ok(action())
        };
        std::thread::scope(|scope| match scope.spawn(entered).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_a_namespace_that_is_found() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = own().unwrap();
        assert_eq!(of(pid), Some(own));
        let (found, _) = all();
        let ours = found.iter().find(|namespace| namespace.inode == own).unwrap();
        assert!(ours.process_count >= 1);
        assert_eq!(ours.within(super::own).unwrap(), Some(own));
    }

    #[test]
    fn the_oldest_names_a_namespace() {
        let one = |pid, start| Namespace {
            inode: 1,
            oldest_pid: pid,
            oldest_start: start,
            process_count: 1,
            link: PathBuf::new(),
        };
        let mut found = Vec::new();
        for (pid, start) in [(30, 5), (20, 7), (40, 4), (10, 4)] {
            add(&mut found, one(pid, start));
        }
        assert_eq!((found.len(), found[0].oldest_pid, found[0].process_count), (1, 10, 4));
    }
}
