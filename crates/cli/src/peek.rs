//! Whether a segment is a region, and which, without attaching it: attachments are counted, and programs act on the
//! count.
//!
//! The user backend's contents are files. The kernel's are reached through a process that has them attached,
//! where /proc lets us. FORMAT.md describes the bytes.

use std::fs::File;
use std::os::unix::fs::FileExt;

use coseg_sysv::Stat;

use crate::view::View;

/// Bytes of a region's header; nothing smaller is one.
pub(crate) const HEADER_SIZE: usize = 384;

const MAGIC: u64 = u64::from_ne_bytes(*b"COSEGRGN");
const READY: u32 = 1;
const FORMAT: u32 = 1;

const STATE_AT: usize = 16;
const FORMAT_AT: usize = 20;
const SCHEMA_AT: usize = 40;
const NAME_AT: usize = 128;
const NAME_SIZE: usize = 64;

/// What a region says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its own name; may be empty.
    pub(crate) name: String,
    /// The name of its type.
    pub(crate) of: String,
}

/// What the first bytes of a segment tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    Region(Label),
    /// No region.
    Plain,
    /// Attaching it would tell more.
    Unknown,
}

/// Looks at a segment's first bytes.
pub(crate) fn peek(view: &View, stat: &Stat) -> Peek {
    if stat.size_bytes < HEADER_SIZE {
        return Peek::Plain;
    }
    for source in sources(view, stat) {
        let mut header = [0; HEADER_SIZE];
        if source.read(0, &mut header) {
            return of_header(&header, |offset, bytes| source.read(offset, bytes));
        }
    }
    Peek::Unknown
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

/// What a header says; the rest is read where it says.
fn of_header(header: &[u8; HEADER_SIZE], read: impl Fn(u64, &mut [u8]) -> bool) -> Peek {
    let word = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    let half = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    if word(0) != MAGIC {
        // A region that nobody has begun to make yet is zero, as any new segment.
        return Peek::Plain;
    }
    if half(STATE_AT) != READY || half(FORMAT_AT) != FORMAT {
        return Peek::Unknown;
    }
    let name = &header[NAME_AT..NAME_AT + NAME_SIZE];
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
    let name = String::from_utf8_lossy(&name[..length]).into_owned();
    match type_name(word(SCHEMA_AT), read) {
        Some(of) => Peek::Region(Label { name, of }),
        None => Peek::Unknown,
    }
}

/// The schema begins with the name of its type, behind its length.
fn type_name(schema_at: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<String> {
    let mut length = [0; 2];
    if !read(schema_at, &mut length) {
        return None;
    }
    let mut name = vec![0; usize::from(u16::from_ne_bytes(length))];
    if !read(schema_at.checked_add(2)?, &mut name) {
        return None;
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        bytes[..8].copy_from_slice(b"COSEGRGN");
        bytes[STATE_AT..][..4].copy_from_slice(&READY.to_ne_bytes());
        bytes[FORMAT_AT..][..4].copy_from_slice(&FORMAT.to_ne_bytes());
        bytes[SCHEMA_AT..][..8].copy_from_slice(&512_u64.to_ne_bytes());
        bytes[NAME_AT..][..6].copy_from_slice(b"market");
        bytes[512..][..8].copy_from_slice(b"\x06\x00Office");
        bytes
    }

    fn look(bytes: &[u8]) -> Peek {
        of_header(bytes.first_chunk().unwrap(), |offset, out| {
            let from = usize::try_from(offset).unwrap();
            match bytes.get(from..).and_then(|rest| rest.get(..out.len())) {
                Some(part) => {
                    out.copy_from_slice(part);
                    true
                }
                None => false,
            }
        })
    }

    #[test]
    fn a_region_tells_its_name_and_type() {
        assert_eq!(look(&region()), Peek::Region(Label { name: "market".into(), of: "Office".into() }));
    }

    #[test]
    fn anything_else_is_plain_or_unknown() {
        assert_eq!(look(&[0; 1024]), Peek::Plain);
        for at in [STATE_AT, FORMAT_AT, SCHEMA_AT + 7, 513] {
            let mut bytes = region();
            bytes[at] ^= 0xff;
            assert_eq!(look(&bytes), Peek::Unknown, "{at}");
        }
    }
}
