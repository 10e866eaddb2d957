//! The seam between the kernel's facility and ours.

use crate::{AttachFlags, Attachers, Change, GetFlags, Key, Limits, Listed, Result, ShmId, Stat, Usage};

/// A mapping that [`Backend::attach`] made: where it starts and how many bytes may be used there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// First address, page aligned.
    pub address: usize,
    /// Size of the segment; the mapping goes on to the end of its last page.
    pub size_bytes: usize,
}

/// System V shared memory. Each call checks what the kernel checks, in the kernel's order, and fails with the
/// kernel's error number.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// `kernel` or `user`.
    fn name(&self) -> &'static str;

    /// Finds or creates a segment.
    ///
    /// # Errors
    /// `ENOENT`: no such key, and no [`GetFlags::CREATE`]. `EEXIST`: the key is taken and the creation exclusive.
    /// `EINVAL`: larger than the existing segment, or outside the limits. `EACCES`: the existing segment's
    /// mode. `ENOSPC`: too many segments or pages. `ENOMEM`: no memory for it.
    ///
    /// # Crash
    /// Killed inside, the caller leaves no segment or a whole one.
    ///
    /// # Source
    /// shmget(2)
    fn get(&self, key: Key, size_bytes: usize, flags: GetFlags) -> Result<ShmId>;

    /// Maps a segment. `address` zero lets the kernel choose.
    ///
    /// # Errors
    /// `EINVAL`: no such id, a bad address, or one that is taken. `EACCES`: the mode. `ENOMEM`: address space.
    ///
    /// # Safety
    /// With [`AttachFlags::REMAP`], nothing may use what is mapped at `address` to `address + size`.
    ///
    /// # Crash
    /// A killed process is detached from everything, whenever it dies.
    ///
    /// # Source
    /// shmat(2)
    #[allow(unsafe_code, reason = "a replacing attach can pull memory from under references")]
    unsafe fn attach(&self, id: ShmId, address: usize, flags: AttachFlags) -> Result<Mapped>;

    /// Unmaps the attachment that starts at `address`; of it, only the pages that still belong to it.
    ///
    /// # Errors
    /// `EINVAL`: no attachment starts there.
    ///
    /// # Safety
    /// Nothing may use the attachment's memory any more.
    ///
    /// # Source
    /// shmdt(2)
    #[allow(unsafe_code, reason = "unmapping can pull memory from under references")]
    unsafe fn detach(&self, address: usize) -> Result<()>;

    /// What is known of a segment: `IPC_STAT`.
    ///
    /// # Errors
    /// `EINVAL`: no such id. `EACCES`: no read permission.
    fn stat(&self, id: ShmId) -> Result<Stat>;

    /// The same by index of the table, `SHM_STAT`; with `any` also without read permission, `SHM_STAT_ANY`.
    ///
    /// # Errors
    /// `EINVAL`: nothing at this index. `EACCES`: no read permission.
    fn stat_index(&self, index: i32, any: bool) -> Result<Stat>;

    /// Changes owner and mode: `IPC_SET`.
    ///
    /// # Errors
    /// `EINVAL`: no such id, or a uid or gid of -1. `EPERM`: neither owner nor creator.
    fn set(&self, id: ShmId, change: Change) -> Result<()>;

    /// Frees the key now and the segment at its last detach: `IPC_RMID`.
    ///
    /// # Errors
    /// `EINVAL`: no such id. `EPERM`: neither owner nor creator.
    fn remove(&self, id: ShmId) -> Result<()>;

    /// Keeps a segment's pages in memory: `SHM_LOCK`.
    ///
    /// # Errors
    /// `EINVAL`: no such id. `EPERM`: not the owner, or a memory-lock limit of zero. `ENOMEM`: over that limit.
    fn lock(&self, id: ShmId) -> Result<()>;

    /// Ends what [`Backend::lock`] began: `SHM_UNLOCK`.
    ///
    /// # Errors
    /// `EINVAL`: no such id. `EPERM`: not the owner.
    fn unlock(&self, id: ShmId) -> Result<()>;

    /// The limits in force: `IPC_INFO`.
    ///
    /// # Errors
    /// Where there is no facility: `ENOSYS`.
    fn limits(&self) -> Result<Limits>;

    /// What all segments use together: `SHM_INFO`.
    ///
    /// # Errors
    /// Where there is no facility: `ENOSYS`.
    fn usage(&self) -> Result<Usage>;

    /// Every segment, whatever its mode, in the order of their indexes.
    ///
    /// # Errors
    /// Where there is no facility: `ENOSYS`.
    fn list(&self) -> Result<Vec<Listed>>;

    /// The mappings of all segments that /proc shows the caller, and how many processes it hides.
    ///
    /// # Errors
    /// Where there is no facility: `ENOSYS`.
    fn attachers(&self) -> Result<Attachers>;

    /// Has the attachment of `size_bytes` at `address`, which may write, hold a mark until it ends, however it ends, instead of any
    /// it held before. `Some(false)`: another attachment has this mark. `None`: this backend keeps no marks.
    ///
    /// A mark tells of an attachment's end where a pid cannot: in another PID namespace, or of a process that
    /// runs another program now.
    ///
    /// # Errors
    /// Those of [`Backend::attach`]. `EIDRM`: the segment is said to have another size than was attached.
    ///
    /// # Safety
    /// All of the segment `id` must be attached at `address` for reading and writing, and nowhere be protected or
    /// replaced since.
    #[allow(unsafe_code, reason = "the attachment is mapped anew in its place")]
    unsafe fn mark(
        &self,
        _id: ShmId,
        _address: usize,
        _size_bytes: usize,
        _mark: u32,
    ) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Whether some attachment holds a mark; `None`: this backend keeps no marks.
    ///
    /// # Errors
    /// `EINVAL`: no such id. `EACCES`: no read permission.
    fn is_marked(&self, _id: ShmId, _mark: u32) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Whether a process has the segment attached; `None` if its mappings need more privilege to see, or /proc
    /// shows none though it has not ended.
    ///
    /// # Errors
    /// Where there is no facility: `ENOSYS`.
    fn is_attached(&self, id: ShmId, pid: i32) -> Result<Option<bool>>;
}
