//! Which bytes of a segment have ever been touched. A read of any other takes memory for a page of zeroes, so a
//! look at a large table would fill what its program left empty.

use std::fs::File;
use std::ops::Range;

use coseg_sysv::Stat;
use rustix::fs::{SeekFrom, seek};

use crate::view::View;

/// Where a segment's contents are; zeroes are elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents(Vec<Range<u64>>);

impl Extents {
    /// Those of a segment that this process has attached; none where they cannot be told, for which the file behind
    /// the mapping has to be opened.
    pub(crate) fn of(view: &View, stat: &Stat) -> Option<Extents> {
        Extents::of_file(&file(view, stat)?, stat.size_bytes as u64)
    }

    /// A single one.
    pub(crate) fn whole(size_bytes: u64) -> Extents {
        Extents(std::iter::once(0..size_bytes).collect())
    }

    /// Those that were found in some other way, in their order.
    pub(crate) fn of_ranges(ranges: &[Range<usize>]) -> Extents {
        Extents(ranges.iter().map(|range| range.start as u64..range.end as u64).collect())
    }

    pub(crate) fn of_file(file: &File, size_bytes: u64) -> Option<Extents> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < size_bytes {
            let start = match seek(file, SeekFrom::Data(at)) {
                Ok(start) => start,
                // Nothing but a hole up to the end.
                Err(rustix::io::Errno::NXIO) => break,
                Err(_) => return None,
            };
            let end = seek(file, SeekFrom::Hole(start)).ok().filter(|&end| end > start)?;
            // A file ends with a page, a segment anywhere.
            if start < size_bytes {
                found.push(start..end.min(size_bytes));
            }
            at = end;
        }
        Some(Extents(found))
    }

    /// In the order of their offsets, and apart from each other.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    /// Those parts of them that lie within some bytes.
    pub(crate) fn within(&self, bytes: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.0.partition_point(|extent| extent.end <= bytes.start);
        let touching = self.0[first..].iter().take_while(move |extent| extent.start < bytes.end);
        touching.map(move |extent| extent.start.max(bytes.start)..extent.end.min(bytes.end))
    }

    /// What lies in either.
    pub(crate) fn union(&self, other: &Extents) -> Extents {
        let mut all: Vec<Range<u64>> = [&self.0[..], &other.0].concat();
        all.sort_unstable_by_key(|extent| extent.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for extent in all {
            match joined.last_mut() {
                Some(last) if extent.start <= last.end => last.end = last.end.max(extent.end),
                _ => joined.push(extent),
            }
        }
        Extents(joined)
    }

    /// The first byte at or behind an offset that may differ from zero.
    pub(crate) fn next(&self, offset: u64) -> Option<u64> {
        let next = self.0.partition_point(|extent| extent.end <= offset);
        self.0.get(next).map(|extent| extent.start.max(offset))
    }

    /// Whether any of these bytes may differ from zero.
    pub(crate) fn touch(&self, bytes: &Range<u64>) -> bool {
        let next = self.0.partition_point(|extent| extent.end <= bytes.start);
        self.0.get(next).is_some_and(|extent| extent.start < bytes.end)
    }
}

/// The user backend's file; the kernel's through a mapping, of which we have one.
fn file(view: &View, stat: &Stat) -> Option<File> {
    if let Some(user) = &view.facility.user
        && let Ok(file) = File::open(user.directory().join(format!("seg-{}", stat.id)))
    {
        return Some(file);
    }
    let attached = view.facility.backend.attachers().ok()?.found;
    attached.iter().filter(|one| one.id == stat.id).find_map(|one| {
        let (start, end) = (one.address, one.address + one.size_bytes);
        File::open(format!("/proc/{}/map_files/{start:x}-{end:x}", one.pid)).ok()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn touches_are_found_between_holes() {
        let extents = Extents(vec![10..20, 30..40]);
        for (bytes, touched) in
            [(0..10, false), (0..11, true), (19..25, true), (20..30, false), (39..99, true)]
        {
            assert_eq!(extents.touch(&bytes), touched, "{bytes:?}");
        }
        assert!(!extents.touch(&(40..50)));
    }

    #[test]
    fn what_touches_is_joined() {
        let union = Extents(vec![0..10, 20..30]).union(&Extents(vec![5..20, 40..50]));
        assert_eq!(union, Extents(vec![0..30, 40..50]));
        assert_eq!(union.within(25..45).collect::<Vec<_>>(), [25..30, 40..45]);
        assert_eq!(
            [union.next(0), union.next(30), union.next(45), union.next(50)],
            [Some(0), Some(40), Some(45), None]
        );
    }

    #[test]
    fn a_file_tells_its_holes() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(Extents::of_file(&file, 1 << 20), Some(Extents::default()));
        file.write_all_at(b"x", 500_000).unwrap();
        let extents = Extents::of_file(&file, 1 << 20).unwrap();
        assert!(extents.touch(&(500_000..500_001)));
        assert!(!extents.touch(&(0..8)) && !extents.touch(&(900_000..1_000_000)));
    }
}
