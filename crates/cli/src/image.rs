//! A private copy of a segment's bytes, to compare with, to look into and to keep.
//!
//! It is a segment itself, in a namespace of the user backend that nobody else knows, so that whatever looks into
//! regions looks into copies too. What is a hole in the one is a hole in the other.

use std::fs::{File, OpenOptions};
use std::io::Error;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use coseg::{ErrorKind, Inspection};
use coseg_sysv::user::Knobs;
use coseg_sysv::{Key, Segment, ShmId, User};
use tempfile::{Builder, TempDir};

use crate::contents::{CHUNK_BYTES, Contents};
use crate::extents::Extents;
use crate::failure::{Failure, Result, io_text};
use crate::stop::Stop;

/// What memory is given out in, and what is compared and stored.
pub(crate) const PAGE_BYTES: usize = 4096;
/// How often a copy is compared with what it was made of before it counts as a mixture.
const PASSES_MAX: u32 = 16;

/// What a copy's directory is called, so that one that a killed process left is known.
pub(crate) const DIRECTORY_PREFIX: &str = "coseg-copy-";

#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    user: User,
    segment: Segment,
    size_bytes: usize,
    stop: Stop,
    /// Removed at the end.
    _directory: TempDir,
    /// By which `coseg gc` knows that somebody has it.
    _lock: File,
}

/// Of when a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// All bytes were there at one time.
    One,
    /// They were changed for as long as they were copied: each page is of another moment.
    Mixed,
}

impl Image {
    /// All zero.
    pub(crate) fn empty(size_bytes: usize, stop: &Stop) -> Result<Image> {
        Image::under(Key::PRIVATE, ShmId::new(0), size_bytes, stop)
    }

    /// The same under the key and the id that are to be told of it.
    pub(crate) fn under(key: Key, id: ShmId, size_bytes: usize, stop: &Stop) -> Result<Image> {
        let directory = Builder::new().prefix(DIRECTORY_PREFIX).tempdir().map_err(|error| failed(&error))?;
        // Until this process ends, however it does.
        let lock = File::open(directory.path()).and_then(|own| own.lock().map(|()| own));
        let lock = lock.map_err(|error| failed(&error))?;
        let user = User::at(directory.path())?;
        if id.raw() > 0 {
            user.set_knobs(Knobs { next_id: Some(id), ..user.knobs()? })?;
        }
        // What is not zero takes room in the directory, and only when it comes.
        let segment = Segment::options(key).size(size_bytes).no_reserve().create(&user);
        let segment = segment.map_err(|error| failed(&Error::from_raw_os_error(error.errno().raw())))?;
        let path = directory.path().join(format!("seg-{}", segment.id()));
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| failed(&error))?;
        Ok(Image { file, user, segment, size_bytes, stop: stop.clone(), _directory: directory, _lock: lock })
    }

    /// A copy, made again where it was overtaken, until nothing differs between one end and the other of a comparison.
    /// Versions of a region's values only grow, so then they are those of the moment between; what else was changed
    /// and changed back within one comparison is not noticed.
    pub(crate) fn of(contents: &Contents<'_>, stop: &Stop, verb: &'static str) -> Result<(Image, Moment)> {
        let mut image = Image::empty(contents.size_bytes(), stop)?;
        let progress = super::commands::read::progress_bar(contents.size_bytes() as u64, verb);
        image.update(contents, |at| progress.set_position(at as u64))?;
        progress.finish_and_clear();
        let (_, moment) = image.follow(contents)?;
        Ok((image, moment))
    }

    /// Makes it the same again; whether anything differed.
    pub(crate) fn follow(&mut self, contents: &Contents<'_>) -> Result<(bool, Moment)> {
        for pass in 0..PASSES_MAX {
            if self.update(contents, |_| {})?.is_empty() {
                return Ok((pass > 0, Moment::One));
            }
        }
        Ok((true, Moment::Mixed))
    }

    /// Makes it the same as the segment is now, page by page; which pages differed.
    pub(crate) fn update(
        &mut self,
        contents: &Contents<'_>,
        mut reached: impl FnMut(usize),
    ) -> Result<Vec<Range<usize>>> {
        let extents = contents.extents().union(&self.extents());
        let mut changed = Pages::default();
        let (mut now, mut before) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
        for chunk in chunks(&extents) {
            self.stop.check()?;
            let (now, before) = (&mut now[..chunk.len()], &mut before[..chunk.len()]);
            contents.read(chunk.start, now)?;
            self.read(chunk.start, before)?;
            if now != before {
                for (page, (now, before)) in now.chunks(PAGE_BYTES).zip(before.chunks(PAGE_BYTES)).enumerate()
                {
                    if now != before {
                        let at = chunk.start + page * PAGE_BYTES;
                        self.write(at, now)?;
                        changed.add(at..at + now.len());
                    }
                }
            }
            reached(chunk.end);
        }
        Ok(changed.0)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The namespace whose only segment it is.
    pub(crate) fn user(&self) -> User {
        self.user
    }

    pub(crate) fn id(&self) -> ShmId {
        self.segment.id()
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(bytes, offset as u64).map_err(|error| failed(&error))
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset as u64).map_err(|error| failed(&error))
    }

    /// Where anything but zeroes may be.
    pub(crate) fn extents(&self) -> Extents {
        let size_bytes = self.size_bytes as u64;
        Extents::of_file(&self.file, size_bytes).unwrap_or_else(|| Extents::whole(size_bytes))
    }

    /// Goes through all pages that are not zero.
    pub(crate) fn each_page(&self, mut page: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let mut bytes = vec![0; CHUNK_BYTES];
        for chunk in chunks(&self.extents()) {
            self.stop.check()?;
            let bytes = &mut bytes[..chunk.len()];
            self.read(chunk.start, bytes)?;
            for (number, own) in bytes.chunks(PAGE_BYTES).enumerate() {
                if own.iter().any(|&byte| byte != 0) {
                    page(chunk.start + number * PAGE_BYTES, own)?;
                }
            }
        }
        Ok(())
    }

    /// The region that it is a copy of; which of its participants live is asked of the original.
    pub(crate) fn region_of(&self, original: &Segment) -> coseg::Result<Inspection> {
        Inspection::of_copy(&self.segment, original)
    }

    /// The region that it is a copy of, if it is; `whose` is for the error that says why it cannot be looked into.
    pub(crate) fn region(&self, whose: &str) -> Result<Option<Inspection>> {
        match Inspection::of_lone_copy(&self.segment) {
            Ok(region) => Ok(Some(region)),
            Err(error) if *error.kind() == ErrorKind::NotARegion => Ok(None),
            // The name in it is that of the copy, which nobody knows.
            Err(error) => {
                let (error, own) = (error.to_string(), self.segment.id());
                let fact = error.split_once(&format!("id {own}")).map_or(&*error, |(_, fact)| fact);
                let fact = fact.trim_start_matches([')', ':', ' ']);
                Err(Failure::error(format!("look into {whose}: {fact}")))
            }
        }
    }
}

fn failed(error: &Error) -> Failure {
    let directory = std::env::temp_dir();
    Failure::error(format!("copy to {}: {}", directory.display(), io_text(error)))
        .hint("another directory in TMPDIR, with room for what the segment holds")
}

/// What is copied at a time: whole pages, so that it can be compared by pages.
pub(crate) fn chunks(extents: &Extents) -> impl Iterator<Item = Range<usize>> {
    let whole = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    extents.ranges().iter().flat_map(move |extent| {
        let (start, end) = (whole(extent.start), whole(extent.end));
        (start..end).step_by(CHUNK_BYTES).map(move |at| at..end.min(at + CHUNK_BYTES))
    })
}

/// Pages in their order, joined where they touch.
#[derive(Debug, Default)]
struct Pages(Vec<Range<usize>>);

impl Pages {
    fn add(&mut self, page: Range<usize>) {
        match self.0.last_mut() {
            Some(last) if last.end == page.start => last.end = page.end,
            _ => self.0.push(page),
        }
    }
}
