//! Whether a segment is a region, and which, without attaching it: attachments are counted, and programs act on the
//! count.
//!
//! The user backend's contents are files. The kernel's are reached through a process that has them attached,
//! where /proc lets us.

use std::fs::File;
use std::os::unix::fs::FileExt;

use coseg::{Label, Peek};
use coseg_sysv::Stat;

use crate::view::View;

/// Looks at a segment's first bytes.
pub(crate) fn peek(view: &View, stat: &Stat) -> Peek {
    if stat.size_bytes < Label::BYTES_MIN {
        return Peek::Plain;
    }
    let looks = sources(view, stat).map(|source| Label::peek(|offset, bytes| source.read(offset, bytes)));
    looks.into_iter().find(|look| *look != Peek::Unknown).unwrap_or(Peek::Unknown)
}

/// A file in which a segment's bytes begin somewhere.
struct Source {
    file: File,
    start: u64,
}

impl Source {
    fn open(path: &str, start: u64) -> Option<Source> {
        Some(Source { file: File::open(path).ok()?, start })
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> bool {
        self.start.checked_add(offset).is_some_and(|at| self.file.read_exact_at(bytes, at).is_ok())
    }
}

/// Where the bytes can be read, the next one opened only if the one before would not do.
fn sources<'a>(view: &'a View, stat: &'a Stat) -> impl Iterator<Item = Source> + 'a {
    let user = view.facility.user.as_ref();
    let own = user.and_then(|user| {
        let path = user.directory().join(format!("seg-{}", stat.id));
        Some(Source { file: File::open(path).ok()?, start: 0 })
    });
    let holders = || view.who().map_or(&[][..], |who| who.of(stat.id));
    let starts = std::iter::once_with(holders).flatten().filter(|holder| holder.offset_bytes == 0);
    let theirs = starts.flat_map(|holder| {
        let (pid, start) = (holder.pid, holder.address);
        let end = start + holder.size_bytes;
        let mapped = move || Source::open(&format!("/proc/{pid}/map_files/{start:x}-{end:x}"), 0);
        let memory = move || Source::open(&format!("/proc/{pid}/mem"), start as u64);
        std::iter::once_with(mapped).chain(std::iter::once_with(memory)).flatten()
    });
    own.into_iter().chain(theirs)
}
