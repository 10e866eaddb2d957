//! What is mapped where, asked of the kernel: the only answer that still holds after a program unmapped, moved
//! or replaced pages itself.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Errno;
use crate::attached::MapLine;

use super::file::{self, Fd};
use super::process::Kept;
use super::section::Descriptors;
use super::{Fault, procmap};

/// Longest name of a mapping that can be one of ours.
pub(super) const NAME_SIZE: usize = NAME_SIZE_U32 as usize;
/// The same, as the query takes it.
pub(super) const NAME_SIZE_U32: u32 = 640;

/// A shared mapping of a file.
#[derive(Clone, Copy)]
pub(super) struct Vma {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of the first byte, in the file.
    pub(super) offset: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// `PROT_…` bits as they are now.
    pub(super) protection: i32,
    pub(super) name: [u8; NAME_SIZE],
    pub(super) name_length: usize,
}

impl std::fmt::Debug for Vma {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{:x} {}", self.start, self.end, String::from_utf8_lossy(self.name()))
    }
}

impl Vma {
    pub(super) fn size_bytes(&self) -> usize {
        self.end - self.start
    }

    /// Where the file's first byte would be mapped.
    pub(super) fn origin(&self) -> usize {
        self.start.wrapping_sub(usize::try_from(self.offset).unwrap_or(usize::MAX))
    }

    /// The mapped file's path, also of a file that has lost it.
    pub(super) fn name(&self) -> &[u8] {
        let name = &self.name[..self.name_length];
        name.strip_suffix(b" (deleted)").unwrap_or(name)
    }
}

static KEPT: Kept = Kept::new();
/// Set once a kernel has been seen not to know the query.
static MUST_PARSE: AtomicBool = AtomicBool::new(false);

/// This process's mappings.
#[derive(Debug)]
pub(super) struct Vmas {
    fd: i32,
    own: Option<Fd>,
    descriptors: Descriptors,
}

impl Vmas {
    /// Opens /proc/self/maps, or uses the descriptor that is kept.
    pub(super) fn open(descriptors: Descriptors) -> Result<Vmas, Fault> {
        if descriptors == Descriptors::Kept {
            // Another process's maps would answer as well.
            if let Some(fd) = KEPT.get_checked() {
                return Ok(Vmas { fd, own: None, descriptors });
            }
            KEPT.forget();
        }
        let fd = file::open_proc(c"/proc/self/maps", libc::O_RDONLY).map_err(|errno| match errno {
            Errno::EMFILE | Errno::ENFILE => Fault::from(errno),
            _ => Fault::because(Errno::ENOSYS, "/proc is hidden: the user backend needs /proc/self/maps"),
        })?;
        if descriptors == Descriptors::Own {
            return Ok(Vmas { fd: fd.raw(), own: Some(fd), descriptors });
        }
        match KEPT.keep(fd) {
            Ok(fd) => Ok(Vmas { fd, own: None, descriptors }),
            Err(fd) => Ok(Vmas { fd: fd.raw(), own: Some(fd), descriptors }),
        }
    }

    /// The first shared mapping of a file that ends above `address`.
    pub(super) fn next(&mut self, address: usize) -> Result<Option<Vma>, Fault> {
        if !MUST_PARSE.load(Ordering::Relaxed) {
            match procmap::query(self.fd, address) {
                Ok(vma) => return Ok(vma),
                // The number was closed and is somebody else's: open it anew.
                Err(_) if self.own.is_none() => {
                    forget_descriptor();
                    *self = Vmas::open(self.descriptors)?;
                    if let Ok(vma) = procmap::query(self.fd, address) {
                        return Ok(vma);
                    }
                }
                Err(_) => {}
            }
            MUST_PARSE.store(true, Ordering::Relaxed);
        }
        parse_next(address)
    }
}

/// Closes the kept descriptor if it still is what it was.
pub(super) fn forget_descriptor() {
    KEPT.forget();
}

/// The same by reading /proc/self/maps, for kernels without the query.
fn parse_next(address: usize) -> Result<Option<Vma>, Fault> {
    let text = std::fs::read("/proc/self/maps").map_err(|_| {
        Fault::because(Errno::ENOSYS, "/proc is hidden: the user backend needs /proc/self/maps")
    })?;
    let text = String::from_utf8_lossy(&text);
    let found = text
        .lines()
        .filter_map(MapLine::parse)
        .find(|line| line.end > address && line.inode != 0 && line.permissions.ends_with('s'));
    Ok(found.map(|line| {
        let mut name = [0; NAME_SIZE];
        let mut rest = &mut name[..];
        let _ = rest.write(line.path.as_bytes());
        let bit = |position: usize, letter, bit| {
            if line.permissions.as_bytes().get(position) == Some(&letter) { bit } else { 0 }
        };
        Vma {
            start: line.start,
            end: line.end,
            offset: line.offset,
            device: line.device,
            inode: line.inode,
            protection: bit(0, b'r', libc::PROT_READ)
                | bit(1, b'w', libc::PROT_WRITE)
                | bit(2, b'x', libc::PROT_EXEC),
            name,
            name_length: line.path.len().min(NAME_SIZE),
        }
    }))
}
