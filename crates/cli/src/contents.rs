//! A segment's bytes, read where that disturbs nobody: attachments are counted and timed, and programs act on both.
//!
//! The user backend's contents are files. The kernel's are reached through a process that has them attached, where
//! /proc lets us; where nobody has, only an attachment of our own shows them.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use coseg_sysv::{Attachment, Stat};

use crate::extents::Extents;
use crate::failure::{Failure, Result, io_text};
use crate::image::PAGE_BYTES;
use crate::output;
use crate::regions;
use crate::view::{View, named, title};

/// Copied at a time: large enough to cost nothing, small enough to show progress.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// A file in which a segment's bytes begin somewhere.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    start: u64,
    /// A process's memory, unless the file is the segment's own.
    memory: Option<Mapped>,
}

/// Where a process has a segment of the kernel's mapped.
#[derive(Debug)]
struct Mapped {
    pid: i32,
    /// As /proc/PID/maps begins the line.
    range: String,
    /// The mapping's inode: the segment's id.
    id: String,
}

impl Mapped {
    /// Whether it still is: else something else of the process may be there.
    fn is_there(&self) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        let line = maps.lines().find(|line| line.starts_with(&self.range));
        line.and_then(|line| line.split_ascii_whitespace().nth(4)).is_some_and(|inode| inode == self.id)
    }
}

impl Source {
    /// The segment's own file, unless it is too short to be that.
    fn own(path: &str, stat: &Stat) -> Option<Source> {
        let file = File::open(path).ok()?;
        let is_whole = file.metadata().ok()?.len() >= stat.size_bytes as u64;
        is_whole.then_some(Source { file, start: 0, memory: None })
    }

    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> bool {
        self.try_read(offset, bytes).is_ok()
    }

    fn is_own(&self) -> bool {
        self.memory.is_none()
    }

    fn try_read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let at = self.start.checked_add(offset).ok_or(io::ErrorKind::InvalidInput)?;
        self.file.read_exact_at(bytes, at)?;
        // Afterwards: if it is there now, it was there while it was read.
        if self.memory.as_ref().is_some_and(|memory| !memory.is_there()) {
            bytes.fill(0);
            return Err(io::Error::other("the process that was looked into has detached it: try again"));
        }
        Ok(())
    }
}

/// Where the bytes can be read, the next one opened only if the one before would not do.
pub(crate) fn sources<'a>(view: &'a View, stat: &'a Stat) -> impl Iterator<Item = Source> + 'a {
    let user = view.facility.user.as_ref();
    let own = user.and_then(|user| {
        let path = user.directory().join(format!("seg-{}", stat.id));
        Source::own(path.to_str()?, stat)
    });
    let is_kernel = user.is_none();
    let holders = || view.who().map_or(&[][..], |who| who.of(stat.id));
    let theirs = std::iter::once_with(holders).flatten().flat_map(move |holder| {
        let (pid, start) = (holder.pid, holder.address);
        let end = start + holder.size_bytes;
        let mapped = move || {
            let source = Source::own(&format!("/proc/{pid}/map_files/{start:x}-{end:x}"), stat)?;
            // The process may have mapped something else there since: the kernel's segments are told by inode.
            let inode = source.file.metadata().ok()?.ino();
            (!is_kernel || i32::try_from(inode) == Ok(stat.id.raw())).then_some(source)
        };
        // Of an attachment in pieces, what follows the first piece is anything.
        let is_whole = holder.offset_bytes == 0 && holder.size_bytes >= stat.size_bytes;
        let memory = move || {
            let file = File::open(format!("/proc/{pid}/mem")).ok().filter(|_| is_kernel && is_whole)?;
            let range = format!("{start:08x}-{end:08x} ");
            let memory = Some(Mapped { pid, range, id: stat.id.to_string() });
            Some(Source { file, start: start as u64, memory })
        };
        std::iter::once_with(mapped).chain(std::iter::once_with(memory)).flatten()
    });
    own.into_iter().chain(theirs)
}

/// A segment's bytes, as they are at each reading.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    view: &'a View,
    stat: Stat,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Source(Source),
    Attached(Attachment),
}

impl<'a> Contents<'a> {
    /// Finds a way to the bytes that attaches nothing, if there is one.
    pub(crate) fn unattached(view: &'a View, stat: &Stat) -> Option<Contents<'a>> {
        let source = sources(view, stat).find(|source| source.read(0, &mut [0]))?;
        Some(Contents { view, stat: *stat, way: Way::Source(source) })
    }

    /// Finds a way to the bytes; attaches the segment for reading if there is no other, and says so.
    pub(crate) fn open(view: &'a View, stat: &Stat) -> Result<Contents<'a>> {
        if let Some(contents) = Contents::unattached(view, stat) {
            return Ok(contents);
        }
        let contents = Contents::attach(view, stat)?;
        output::note(&format!(
            "attached {} read-only for this look, as its bytes are seen in no other way; its times of attaching and \
             detaching change",
            title(stat)
        ));
        Ok(contents)
    }

    /// Attaches the segment for reading, unless that would be its end.
    fn attach(view: &'a View, stat: &Stat) -> Result<Contents<'a>> {
        regions::refuse_destruction(view, stat)?;
        let memory = view.segment(stat).attach_read_only().map_err(named(stat))?;
        Ok(Contents { view, stat: *stat, way: Way::Attached(memory) })
    }

    /// How the bytes are reached, as documents have it.
    pub(crate) fn looked_through(&self) -> &'static str {
        match &self.way {
            Way::Attached(_) => "one read-only attachment",
            Way::Source(source) if source.is_own() => "its file",
            Way::Source(_) => "the memory of a process that has it attached",
        }
    }

    /// Whether one of the segment's attachments is this one.
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.way, Way::Attached(_))
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.stat.size_bytes
    }

    /// Copies the bytes from an offset on.
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        match &self.way {
            Way::Attached(memory) => Ok(memory.read(offset, bytes)?),
            Way::Source(source) => source
                .try_read(offset as u64, bytes)
                .map_err(|error| Failure::error(format!("read {}: {}", title(&self.stat), io_text(&error)))),
        }
    }

    /// The same, without reading where nothing was ever written: through an attachment, that would take memory for
    /// zeroes.
    pub(crate) fn read_written(&self, extents: &Extents, offset: usize, bytes: &mut [u8]) -> Result<()> {
        bytes.fill(0);
        let start = offset as u64;
        for extent in extents.within(start..start + bytes.len() as u64) {
            let place = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
            let place = place(extent.start)..place(extent.end);
            self.read(offset + place.start, &mut bytes[place])?;
        }
        Ok(())
    }

    /// Where anything has ever been written; all of it where that cannot be told.
    pub(crate) fn extents(&self) -> Extents {
        self.told_extents().unwrap_or_else(|| Extents::whole(self.stat.size_bytes as u64))
    }

    /// The same where it can be told.
    pub(crate) fn told_extents(&self) -> Option<Extents> {
        match &self.way {
            Way::Source(source) if source.is_own() => {
                Extents::of_file(&source.file, self.stat.size_bytes as u64)
            }
            Way::Source(_) => None,
            Way::Attached(_) => Extents::of(self.view, &self.stat),
        }
    }

    /// Bytes of the pages that it was made of: huge ones where it was asked for them.
    pub(crate) fn page_bytes(&self) -> usize {
        const HUGETLBFS: u64 = 0x9584_58f6;
        let of_file = match &self.way {
            Way::Source(source) if source.is_own() => rustix::fs::fstatfs(&source.file).ok(),
            _ => None,
        };
        let huge = of_file.filter(|found| u64::try_from(found.f_type) == Ok(HUGETLBFS));
        huge.and_then(|found| usize::try_from(found.f_bsize).ok()).unwrap_or(PAGE_BYTES)
    }

    /// Gives an attachment back, so that a failure can be seen.
    pub(crate) fn close(self) -> Result<()> {
        match self.way {
            Way::Attached(memory) => Ok(memory.detach()?),
            Way::Source(_) => Ok(()),
        }
    }
}
