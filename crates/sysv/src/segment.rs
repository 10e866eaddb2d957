//! Segments by name, and attachments that end by themselves.

use std::sync::Arc;

use crate::{
    AttachFlags, Attachment, Backend, Change, Error, GetFlags, Key, Mode, Result, ShmId, Stat, Target,
    explain,
};

/// A segment: bytes under an id, and a key if it has one. Holding one keeps nothing alive: the segment stays
/// until it is removed, whoever made it.
///
/// ```
/// use coseg_sysv::{Key, Segment, User};
///
/// # let dir = tempfile::tempdir()?;
/// let backend = User::at(dir.path())?;
/// let notes = Segment::options(Key::new(0x4242)).size(1024).open_or_create(&backend)?;
/// notes.attach()?.write(0, b"milk, bread")?;
///
/// let same = Segment::options(Key::new(0x4242)).open(&backend)?;
/// let mut text = [0; 11];
/// same.attach_read_only()?.read(0, &mut text)?;
/// assert_eq!(&text, b"milk, bread");
/// same.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Segment {
    backend: Arc<dyn Backend>,
    key: Key,
    id: ShmId,
}

/// How to find or make a segment; made by [`Segment::options`].
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until opened"]
pub struct SegmentOptions {
    key: Key,
    size_bytes: usize,
    mode: Mode,
    flags: GetFlags,
}

/// A backend by value, or one that is shared already.
pub trait IntoBackend {
    /// The shared form.
    fn into_backend(self) -> Arc<dyn Backend>;
}

impl<B: Backend + Clone + 'static> IntoBackend for &B {
    fn into_backend(self) -> Arc<dyn Backend> {
        Arc::new(self.clone())
    }
}

impl IntoBackend for &Arc<dyn Backend> {
    fn into_backend(self) -> Arc<dyn Backend> {
        Arc::clone(self)
    }
}

impl SegmentOptions {
    /// Size in bytes of a new segment, and the least size of an existing one. Zero, the default, accepts any
    /// existing one.
    pub fn size(mut self, size_bytes: usize) -> Self {
        self.size_bytes = size_bytes;
        self
    }

    /// Permission bits of a new segment, 0600 by default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Back a new segment with huge pages, of the default size or of `2^log2_bytes` bytes.
    pub fn huge_pages(mut self, log2_bytes: Option<u8>) -> Self {
        self.flags = self.flags.with_huge_page_log2(log2_bytes.unwrap_or(0));
        self
    }

    /// Promise no memory for a new segment: a first touch may find none.
    pub fn no_reserve(mut self) -> Self {
        self.flags = self.flags | GetFlags::NO_RESERVE;
        self
    }

    /// Opens the segment of this key.
    ///
    /// # Errors
    /// `ENOENT`: none. `EINVAL`: it is smaller than asked for. `EACCES`: its mode.
    pub fn open(self, backend: impl IntoBackend) -> Result<Segment> {
        // No permission bits: what may be done is decided by the attach, which knows what is wanted.
        self.get(backend.into_backend(), self.flags)
    }

    /// Makes a new segment; with [`Key::PRIVATE`] always, otherwise only if the key has none.
    ///
    /// # Errors
    /// `EEXIST`: the key has one. `EINVAL`, `ENOSPC`, `ENOMEM`: a limit, which the error names.
    pub fn create(self, backend: impl IntoBackend) -> Result<Segment> {
        let flags = self.flags.with_mode(self.mode) | GetFlags::CREATE | GetFlags::EXCLUSIVE;
        self.get(backend.into_backend(), flags)
    }

    /// Opens the segment of this key, or makes it.
    ///
    /// # Errors
    /// Those of [`SegmentOptions::open`] and [`SegmentOptions::create`].
    pub fn open_or_create(self, backend: impl IntoBackend) -> Result<Segment> {
        self.get(backend.into_backend(), self.flags.with_mode(self.mode) | GetFlags::CREATE)
    }

    fn get(self, backend: Arc<dyn Backend>, flags: GetFlags) -> Result<Segment> {
        match backend.get(self.key, self.size_bytes, flags) {
            Ok(id) => Ok(Segment { backend, key: self.key, id }),
            Err(error) => Err(explain::get(&*backend, self.key, self.size_bytes, error)),
        }
    }
}

impl Segment {
    /// Starts naming a segment.
    pub fn options(key: Key) -> SegmentOptions {
        SegmentOptions { key, size_bytes: 0, mode: Mode::PRIVATE, flags: GetFlags::NONE }
    }

    /// The segment of an id that is known already. Nothing is asked of the backend.
    pub fn of_id(backend: impl IntoBackend, id: ShmId) -> Segment {
        Segment { backend: backend.into_backend(), key: Key::PRIVATE, id }
    }

    /// The id.
    pub fn id(&self) -> ShmId {
        self.id
    }

    /// The key it was asked for by.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The backend it lives on.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// What is known of it.
    ///
    /// # Errors
    /// `EINVAL`: it is gone. `EACCES`: no read permission.
    pub fn stat(&self) -> Result<Stat> {
        self.backend.stat(self.id).map_err(|error| self.explained(error))
    }

    /// Maps it for reading and writing, where the kernel likes.
    ///
    /// # Errors
    /// `EINVAL`: it is gone. `EACCES`: the mode. `ENOMEM`: address space.
    pub fn attach(&self) -> Result<Attachment> {
        self.attach_with(AttachFlags::NONE)
    }

    /// Maps it for reading.
    ///
    /// # Errors
    /// Those of [`Segment::attach`].
    pub fn attach_read_only(&self) -> Result<Attachment> {
        self.attach_with(AttachFlags::READ_ONLY)
    }

    /// Maps it at an address of one's own choice, which must be page aligned and free.
    ///
    /// # Errors
    /// Those of [`Segment::attach`]; `EINVAL` also for an address that will not do.
    pub fn attach_at(&self, address: usize, flags: AttachFlags) -> Result<Attachment> {
        Attachment::new(self, address, flags).map_err(|error| self.explained(error))
    }

    fn attach_with(&self, flags: AttachFlags) -> Result<Attachment> {
        self.attach_at(0, flags)
    }

    /// Changes owner and mode.
    ///
    /// # Errors
    /// `EPERM`: neither owner nor creator. `EINVAL`: it is gone, or a uid or gid of -1.
    pub fn set(&self, change: Change) -> Result<()> {
        self.backend.set(self.id, change).map_err(|error| self.explained(error))
    }

    /// Frees the key now, and the segment at its last detach.
    ///
    /// # Errors
    /// `EPERM`: neither owner nor creator. `EINVAL`: it is gone.
    pub fn remove(&self) -> Result<()> {
        self.backend.remove(self.id).map_err(|error| self.explained(error))
    }

    /// Keeps its pages in memory.
    ///
    /// # Errors
    /// `EPERM`, `ENOMEM`: see [`Backend::lock`].
    pub fn lock(&self) -> Result<()> {
        self.backend.lock(self.id).map_err(|error| self.explained(error))
    }

    /// Lets its pages be swapped out again.
    ///
    /// # Errors
    /// `EPERM`: not the owner.
    pub fn unlock(&self) -> Result<()> {
        self.backend.unlock(self.id).map_err(|error| self.explained(error))
    }

    fn explained(&self, error: Error) -> Error {
        let error = explain::by_id(&*self.backend, self.id, error);
        if self.key.is_private() { error } else { error.on(Target::KeyId(self.key, self.id)) }
    }
}
