//! Attached segments: bytes go in and out by copy, bounds-checked.
#![allow(unsafe_code, reason = "the one room that touches attached memory")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::{AttachFlags, Backend, Errno, Error, Key, Mapped, Op, Result, Segment, Target};

/// Bytes copied at a time where addresses allow it.
const WORD: usize = size_of::<u64>();

/// A segment mapped into this process, until dropped or detached.
///
/// Other processes write here at any time, so no reference into it is given out: [`Attachment::read`] and
/// [`Attachment::write`] copy, in atomic bytes and words. A copy may see half of somebody's write; it is never
/// undefined behaviour.
#[derive(Debug)]
pub struct Attachment {
    backend: Arc<dyn Backend>,
    mapped: Mapped,
    target: Target,
    writable: bool,
    attached: bool,
}

impl Attachment {
    pub(crate) fn new(segment: &Segment, address: usize, flags: AttachFlags) -> Result<Attachment> {
        if flags.contains(AttachFlags::REMAP) {
            // Replacing what is mapped somewhere is never safe; Backend::attach offers it as unsafe.
            return Err(Error::new(Op::Attach, Target::Id(segment.id()), Errno::EINVAL)
                .because("a replacing attach needs the unsafe Backend::attach"));
        }
        let backend = Arc::clone(segment.backend());
        // SAFETY: without SHM_REMAP an attach only ever makes a new mapping in a free place.
        let mapped = unsafe { backend.attach(segment.id(), address, flags) }?;
        let target = match segment.key() {
            Key::PRIVATE => Target::Id(segment.id()),
            key => Target::KeyId(key, segment.id()),
        };
        let writable = !flags.contains(AttachFlags::READ_ONLY);
        Ok(Attachment { backend, mapped, target, writable, attached: true })
    }

    /// Size of the segment in bytes.
    pub fn size_bytes(&self) -> usize {
        self.mapped.size_bytes
    }

    /// Where it is mapped.
    pub fn address(&self) -> usize {
        self.mapped.address
    }

    /// Whether it was attached for writing.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The first byte's address, for code that answers for its own accesses: other processes write here, and
    /// the pointer dies with the attachment.
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapped.address as *mut u8
    }

    /// Holds a mark until the attachment ends, however it ends, instead of any it held before: see
    /// [`Backend::mark`].
    ///
    /// # Errors
    /// `EACCES`: attached read-only. `EINVAL`: the segment is gone. `EIDRM`: it is said to have another size.
    pub fn mark(&self, mark: u32) -> Result<Option<bool>> {
        let (Target::Id(id) | Target::KeyId(_, id)) = self.target else {
            unreachable!("an attachment knows its segment")
        };
        if !self.writable {
            return Err(Error::new(Op::Access, self.target, Errno::EACCES).because("attached read-only"));
        }
        // SAFETY: this value is the attachment of all of the segment, writable, and nobody else maps over it.
        unsafe { self.backend.mark(id, self.mapped.address, self.mapped.size_bytes, mark) }
    }

    /// Copies `bytes.len()` bytes from `offset` into `bytes`.
    ///
    /// # Errors
    /// `ERANGE`: they do not all lie in the segment; nothing is copied.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        let (head, words, tail) = self.split(offset, bytes.len());
        let (head_bytes, rest) = bytes.split_at_mut(head);
        let (word_bytes, tail_bytes) = rest.split_at_mut(words * WORD);
        for (index, byte) in head_bytes.iter_mut().enumerate() {
            *byte = self.byte(offset + index).load(Ordering::Relaxed);
        }
        for (index, chunk) in word_bytes.chunks_exact_mut(WORD).enumerate() {
            let word = self.word(offset + head + index * WORD).load(Ordering::Relaxed);
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        for (index, byte) in tail_bytes.iter_mut().enumerate() {
            *byte = self.byte(tail + index).load(Ordering::Relaxed);
        }
        std::sync::atomic::fence(Ordering::Acquire);
        Ok(())
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// `ERANGE`: they do not all fit. `EACCES`: attached read-only. Nothing is copied.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        if !self.writable {
            return Err(Error::new(Op::Access, self.target, Errno::EACCES).because("attached read-only"));
        }
        std::sync::atomic::fence(Ordering::Release);
        let (head, words, tail) = self.split(offset, bytes.len());
        let (head_bytes, rest) = bytes.split_at(head);
        let (word_bytes, tail_bytes) = rest.split_at(words * WORD);
        for (index, &byte) in head_bytes.iter().enumerate() {
            self.byte(offset + index).store(byte, Ordering::Relaxed);
        }
        for (index, chunk) in word_bytes.chunks_exact(WORD).enumerate() {
            let mut word = [0; WORD];
            word.copy_from_slice(chunk);
            self.word(offset + head + index * WORD).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
        for (index, &byte) in tail_bytes.iter().enumerate() {
            self.byte(tail + index).store(byte, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Detaches now, so that a failure can be seen. Dropping does the same and cannot tell.
    ///
    /// # Errors
    /// `EINVAL`: the mapping was already undone behind this value's back.
    pub fn detach(mut self) -> Result<()> {
        self.attached = false;
        // SAFETY: this value is gone after the call, and it lent no reference into the mapping.
        unsafe { self.backend.detach(self.mapped.address) }
    }

    fn check(&self, offset: usize, length: usize) -> Result<()> {
        let size = self.mapped.size_bytes;
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(Error::new(Op::Access, self.target, Errno::ERANGE).because(format!(
                "{length} bytes at offset {offset} do not lie in a segment of {size} bytes"
            ))),
        }
    }

    /// How a range divides into bytes up to an aligned address, words, and bytes: the number of leading bytes,
    /// the number of words, and the offset of the first byte after them.
    fn split(&self, offset: usize, length: usize) -> (usize, usize, usize) {
        let head = (self.mapped.address + offset).wrapping_neg() % WORD;
        let head = head.min(length);
        let words = (length - head) / WORD;
        (head, words, offset + head + words * WORD)
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        assert!(offset < self.mapped.size_bytes, "bounds were checked");
        // SAFETY: the assertion keeps the address inside the mapping, which lives as long as `self`.
        let address = unsafe { self.as_ptr().add(offset) };
        // SAFETY: mapped memory; an atomic may be shared with writers, ours and other processes'.
        unsafe { AtomicU8::from_ptr(address) }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset + WORD <= self.mapped.size_bytes, "bounds were checked");
        // SAFETY: the assertion keeps all eight bytes inside the mapping, which lives as long as `self`.
        let address = unsafe { self.as_ptr().add(offset) }.cast::<u64>();
        assert!(address.is_aligned(), "words start at aligned addresses");
        // SAFETY: mapped and aligned; an atomic may be shared with writers, ours and other processes'.
        unsafe { AtomicU64::from_ptr(address) }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.attached {
            // SAFETY: as in `detach`.
            let _ = unsafe { self.backend.detach(self.mapped.address) };
        }
    }
}
