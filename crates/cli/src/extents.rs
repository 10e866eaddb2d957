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

    fn of_file(file: &File, size_bytes: u64) -> Option<Extents> {
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
            found.push(start..end);
            at = end;
        }
        Some(Extents(found))
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
