//! The user-space backend: files, `mmap` and file locks, no daemon.
//!
//! A *namespace* is a directory: in it one registry file, and one data file per segment. The registry is read
//! and written with `pread` and `pwrite` under a file lock, never mapped. An attachment is a mapping of a data
//! file whose open file holds a lock, which the kernel drops with the mapping: attachments are counted by
//! looking at locks, and nobody who is killed leaves one behind.
//!
//! What it cannot do as the kernel does stands in ARCHITECTURE.md; its bytes in FORMAT.md.

mod acl;
mod attach;
mod control;
mod data;
mod file;
mod fork;
mod get;
mod huge;
mod layout;
mod namespace;
mod permission;
mod pins;
mod process;
mod procmap;
mod reap;
mod rescue;
mod section;
mod vmas;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::attached;
use crate::caller;
use crate::{
    AttachFlags, Attachers, Backend, Change, Errno, Error, GetFlags, Key, Limits, Listed, Mapped, Op, Result,
    ShmId, Stat, Target, Usage,
};

use namespace::Namespace;
use section::Descriptors;

/// System V shared memory in user space, in one namespace.
#[derive(Clone, Copy, Debug)]
pub struct User {
    namespace: &'static Namespace,
    reserve: bool,
}

/// What a namespace's owner may set: the kernel's sysctls, per namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// Largest size of one segment: `shmmax`.
    pub max_size_bytes: u64,
    /// Most pages of all segments together: `shmall`.
    pub max_total_pages: u64,
    /// Most segments, at most 32768: `shmmni`.
    pub max_segment_count: u32,
    /// Destroy a segment at its last detach even if nobody removed it: `shm_rmid_forced`.
    pub remove_forced: bool,
    /// The id the next new segment gets if its index is free: `shm_next_id`.
    pub next_id: Option<ShmId>,
}

/// Why an operation failed, before it is known to whom.
#[derive(Clone, Debug)]
struct Fault {
    errno: Errno,
    reason: Option<Cow<'static, str>>,
}

impl Fault {
    fn because(errno: Errno, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault { errno, reason: Some(reason.into()) }
    }

    fn of(self, namespace: &Namespace, op: Op, target: Target) -> Error {
        let error = Error::new(op, target, self.errno);
        match (self.errno, self.reason) {
            // About the namespace and not the segment: so which it is.
            (Errno::EIO | Errno::EPERM | Errno::ETIMEDOUT | Errno::EAGAIN, Some(reason)) => {
                error.because(format!("{:?}: {reason}", namespace.directory()))
            }
            (_, Some(reason)) => error.because(reason),
            (_, None) => error,
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault { errno, reason: None }
    }
}

/// Does some work, and where the process has no descriptor left or may not write so far into a file, does it
/// again in a helper that may. Work fails for those reasons before it has changed anything.
fn with_descriptors<T>(
    work: impl Fn(Descriptors) -> std::result::Result<T, Fault>,
    descriptors: Descriptors,
) -> std::result::Result<T, Fault> {
    match work(descriptors) {
        Err(Fault { errno: Errno::EMFILE | Errno::ENFILE | Errno::EFBIG, .. })
            if descriptors == Descriptors::Kept =>
        {
            rescue::run(|| work(Descriptors::Own))?
        }
        result => result,
    }
}

/// Runs an operation of the backend, and says what failed on what.
fn run<T>(
    namespace: &Namespace,
    op: Op,
    target: Target,
    work: impl Fn(Descriptors) -> std::result::Result<T, Fault>,
) -> Result<T> {
    with_descriptors(work, Descriptors::Kept).map_err(|fault| match fault.errno {
        // The kernel's calls never fail so: what is missing is a resource.
        Errno::EFBIG | Errno::EMFILE => Fault { errno: Errno::ENOMEM, ..fault }.of(namespace, op, target),
        _ => fault.of(namespace, op, target),
    })
}

impl User {
    /// The segment of this namespace that a mapping's path names.
    fn id_of_mapping(&self, line: &attached::MapLine<'_>) -> Option<ShmId> {
        let path = line.path.strip_suffix(" (deleted)").unwrap_or(line.path);
        let id = self.namespace.id_of_path(path.as_bytes())?;
        let (device, _) = self.namespace.registry_file();
        let here = line.device == device || self.namespace.is_above(path.as_bytes());
        here.then(|| ShmId::new(id))
    }

    /// Opens the namespace of the environment: the directory `COSEG_DIR`, else `/dev/shm/coseg-UID`, else
    /// `$TMPDIR/coseg-UID`. It is made where it does not exist.
    ///
    /// # Errors
    /// `EPERM`: the directory is a link, another user's, or writable by others. `EIO`: its registry is not ours.
    /// `EOPNOTSUPP`: its filesystem does not keep locks as it must.
    pub fn open() -> Result<User> {
        let reserve = caller::trusted_variable("COSEG_RESERVE").is_some_and(|value| value == "1");
        Ok(User::at(namespace::directory_of_environment())?.reserve(reserve))
    }

    /// The directory that [`User::open`] would open, which need not exist.
    pub fn directory_of_environment() -> PathBuf {
        namespace::directory_of_environment()
    }

    /// Opens the namespace of this directory, made where it does not exist.
    ///
    /// # Errors
    /// Those of [`User::open`].
    pub fn at(directory: impl AsRef<Path>) -> Result<User> {
        let directory = directory.as_ref();
        match Namespace::open(directory) {
            Ok(namespace) => Ok(User { namespace, reserve: false }),
            Err(fault) => {
                let reason = fault.reason.as_deref().unwrap_or(fault.errno.text());
                let reason = format!("{}: {reason}", directory.display());
                Err(Error::new(Op::Open, Target::None, fault.errno).because(reason))
            }
        }
    }

    /// Whether new segments get their memory when they are made, so that a full filesystem is `ENOMEM` then
    /// and not SIGBUS at a first touch. `COSEG_RESERVE=1` sets it for [`User::open`].
    #[must_use]
    pub fn reserve(mut self, reserve: bool) -> User {
        self.reserve = reserve;
        self
    }

    /// The namespace's directory.
    pub fn directory(&self) -> PathBuf {
        String::from_utf8_lossy(self.namespace.directory().as_bytes()).trim_end_matches('/').into()
    }

    /// Whether several users share the namespace.
    pub fn is_shared(&self) -> bool {
        self.namespace.shared
    }

    /// The knobs as they stand.
    ///
    /// # Errors
    /// `EIO`: the registry is damaged.
    pub fn knobs(&self) -> Result<Knobs> {
        control::knobs(self.namespace).map_err(|fault| fault.of(self.namespace, Op::Limits, Target::None))
    }

    /// Sets the knobs.
    ///
    /// # Errors
    /// `EINVAL`: a value out of range. `EPERM`: a shared namespace of which the caller is not the owner.
    pub fn set_knobs(&self, knobs: Knobs) -> Result<()> {
        control::set_knobs(self.namespace, knobs)
            .map_err(|fault| fault.of(self.namespace, Op::Limits, Target::None))
    }

    /// Names of data files in the directory that no segment has: what a program or a person put there. A kill
    /// leaves none that the next caller does not take away.
    ///
    /// # Errors
    /// `EIO`: the registry is damaged.
    pub fn strays(&self) -> Result<Vec<String>> {
        control::strays(self.namespace).map_err(|fault| fault.of(self.namespace, Op::List, Target::None))
    }

    /// Removes those of the named that [`User::strays`] would still name; returns which they were.
    ///
    /// # Errors
    /// Those of `unlink(2)`.
    pub fn reclaim_strays(&self, names: &[String]) -> Result<Vec<String>> {
        control::reclaim_strays(self.namespace, names)
            .map_err(|fault| fault.of(self.namespace, Op::Remove, Target::None))
    }
}

impl Backend for User {
    fn name(&self) -> &'static str {
        "user"
    }

    fn get(&self, key: Key, size_bytes: usize, flags: GetFlags) -> Result<ShmId> {
        let request = get::Request { key, size_bytes, flags, reserve: self.reserve };
        run(self.namespace, Op::Get, Target::Key(key), |descriptors| {
            get::get(self.namespace, request, descriptors)
        })
    }

    #[allow(unsafe_code, reason = "declared so by the trait")]
    unsafe fn attach(&self, id: ShmId, address: usize, flags: AttachFlags) -> Result<Mapped> {
        run(self.namespace, Op::Attach, Target::Id(id), |descriptors| {
            // SAFETY: the caller's promise; a second run comes only after a first that mapped nothing.
            let mapped = unsafe { attach::attach(self.namespace, id, address, flags, None, descriptors) }?;
            mapped.ok_or_else(|| Errno::EAGAIN.into())
        })
    }

    #[allow(unsafe_code, reason = "declared so by the trait")]
    unsafe fn mark(&self, id: ShmId, address: usize, size_bytes: usize, mark: u32) -> Result<Option<bool>> {
        let flags = AttachFlags::REMAP;
        let mark = Some(attach::Mark { number: mark, size_bytes });
        run(self.namespace, Op::Attach, Target::Id(id), |descriptors| {
            // SAFETY: replaces an attachment by the same pages of the same file, as the caller promises.
            let mapped = unsafe { attach::attach(self.namespace, id, address, flags, mark, descriptors) }?;
            Ok(Some(mapped.is_some()))
        })
    }

    fn is_marked(&self, id: ShmId, mark: u32) -> Result<Option<bool>> {
        run(self.namespace, Op::Stat, Target::Id(id), |descriptors| {
            attach::is_marked(self.namespace, id, mark, descriptors).map(Some)
        })
    }

    #[allow(unsafe_code, reason = "declared so by the trait")]
    unsafe fn detach(&self, address: usize) -> Result<()> {
        run(self.namespace, Op::Detach, Target::Address(address), |descriptors| {
            // SAFETY: the caller's promise; a second run comes only after a first that unmapped nothing.
            unsafe { attach::detach(self.namespace, address, descriptors) }
        })
    }

    fn stat(&self, id: ShmId) -> Result<Stat> {
        run(self.namespace, Op::Stat, Target::Id(id), |descriptors| {
            control::stat(self.namespace, id, descriptors)
        })
    }

    fn stat_index(&self, index: i32, any: bool) -> Result<Stat> {
        run(self.namespace, Op::Stat, Target::Index(index), |descriptors| {
            control::stat_index(self.namespace, index, any, descriptors)
        })
    }

    fn set(&self, id: ShmId, change: Change) -> Result<()> {
        run(self.namespace, Op::Set, Target::Id(id), |descriptors| {
            control::set(self.namespace, id, change, descriptors)
        })
    }

    fn remove(&self, id: ShmId) -> Result<()> {
        run(self.namespace, Op::Remove, Target::Id(id), |descriptors| {
            control::remove(self.namespace, id, descriptors)
        })
    }

    fn lock(&self, id: ShmId) -> Result<()> {
        run(self.namespace, Op::Lock, Target::Id(id), |descriptors| {
            control::lock(self.namespace, id, true, descriptors)
        })
    }

    fn unlock(&self, id: ShmId) -> Result<()> {
        run(self.namespace, Op::Unlock, Target::Id(id), |descriptors| {
            control::lock(self.namespace, id, false, descriptors)
        })
    }

    fn limits(&self) -> Result<Limits> {
        run(self.namespace, Op::Info, Target::None, |descriptors| {
            control::limits(self.namespace, descriptors)
        })
    }

    fn usage(&self) -> Result<Usage> {
        run(self.namespace, Op::Info, Target::None, |descriptors| control::usage(self.namespace, descriptors))
    }

    fn list(&self) -> Result<Vec<Listed>> {
        run(self.namespace, Op::List, Target::None, |descriptors| control::list(self.namespace, descriptors))
    }

    fn attachers(&self) -> Result<Attachers> {
        let known: std::collections::HashMap<u64, ShmId> = self
            .list()?
            .iter()
            .filter_map(|listed| {
                let (record, _) = self.namespace.peek_record(listed.stat.id.raw(), Descriptors::Kept)?;
                Some((record.inode, listed.stat.id))
            })
            .collect();
        let id_of = |line: &attached::MapLine<'_>| {
            let id = self.id_of_mapping(line)?;
            known.get(&line.inode).copied().filter(|&known| known == id)
        };
        Ok(attached::scan(|_| true, id_of))
    }

    fn is_attached(&self, id: ShmId, pid: i32) -> Result<Option<bool>> {
        let Some((record, _)) = self.namespace.peek_record(id.raw(), Descriptors::Kept) else {
            return Ok(Some(false));
        };
        let id_of = |line: &attached::MapLine<'_>| {
            self.id_of_mapping(line).filter(|&found| found == id && line.inode == record.inode)
        };
        Ok(attached::of_process(pid, id_of).ok().map(|found| !found.is_empty()))
    }
}
