//! The user-space backend: files, `mmap` and file locks, no daemon.

use std::path::{Path, PathBuf};

use crate::{
    AttachFlags, Attachers, Backend, Change, Errno, Error, GetFlags, Key, Limits, Listed, Mapped, Op, Result, ShmId,
    Stat, Target, Usage,
};

/// System V shared memory in user space: a *namespace* is a directory, with one registry file and one data
/// file per segment.
#[derive(Clone, Debug)]
pub struct User {
    directory: PathBuf,
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

impl User {
    /// Opens the namespace of the environment: the directory `COSEG_DIR`, else `/dev/shm/coseg-UID`, else
    /// `$TMPDIR/coseg-UID`. It is made where it does not exist.
    ///
    /// # Errors
    /// `EPERM`: the directory is a link, another user's, or writable by others. `EIO`: its registry is not ours.
    pub fn open() -> Result<User> {
        User::at("/dev/shm/coseg-0")
    }

    /// Opens the namespace of this directory.
    ///
    /// # Errors
    /// Those of [`User::open`].
    pub fn at(directory: impl AsRef<Path>) -> Result<User> {
        Ok(User { directory: directory.as_ref().to_owned(), reserve: false })
    }

    /// Whether new segments get their memory when they are made, so that a full filesystem is `ENOMEM` then
    /// and not SIGBUS at a first touch. `COSEG_RESERVE=1` sets it for [`User::open`].
    #[must_use]
    pub fn reserve(mut self, reserve: bool) -> User {
        self.reserve = reserve;
        self
    }

    /// The namespace's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The knobs as they stand.
    ///
    /// # Errors
    /// `EIO`: the registry is damaged.
    pub fn knobs(&self) -> Result<Knobs> {
        Err(unfinished())
    }

    /// Sets the knobs.
    ///
    /// # Errors
    /// `EINVAL`: a value out of range. `EPERM`: a shared namespace of which the caller is not the owner.
    pub fn set_knobs(&self, _knobs: Knobs) -> Result<()> {
        Err(unfinished())
    }
}

fn unfinished() -> Error {
    Error::new(Op::Open, Target::None, Errno::ENOSYS)
}

impl Backend for User {
    fn name(&self) -> &'static str {
        "user"
    }
    fn get(&self, _key: Key, _size_bytes: usize, _flags: GetFlags) -> Result<ShmId> {
        Err(unfinished())
    }
    #[allow(unsafe_code, reason = "declared by the trait")]
    unsafe fn attach(&self, _id: ShmId, _address: usize, _flags: AttachFlags) -> Result<Mapped> {
        Err(unfinished())
    }
    #[allow(unsafe_code, reason = "declared by the trait")]
    unsafe fn detach(&self, _address: usize) -> Result<()> {
        Err(unfinished())
    }
    fn stat(&self, _id: ShmId) -> Result<Stat> {
        Err(unfinished())
    }
    fn stat_index(&self, _index: i32, _any: bool) -> Result<Stat> {
        Err(unfinished())
    }
    fn set(&self, _id: ShmId, _change: Change) -> Result<()> {
        Err(unfinished())
    }
    fn remove(&self, _id: ShmId) -> Result<()> {
        Err(unfinished())
    }
    fn lock(&self, _id: ShmId) -> Result<()> {
        Err(unfinished())
    }
    fn unlock(&self, _id: ShmId) -> Result<()> {
        Err(unfinished())
    }
    fn limits(&self) -> Result<Limits> {
        Err(unfinished())
    }
    fn usage(&self) -> Result<Usage> {
        Err(unfinished())
    }
    fn list(&self) -> Result<Vec<Listed>> {
        Err(unfinished())
    }
    fn attachers(&self) -> Result<Attachers> {
        Err(unfinished())
    }
}
