//! Files that nobody has any more: data files without a segment, and private copies whose makers were killed.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coseg_sysv::caller;

use crate::failure::{Failure, Result};
use crate::image;
use crate::output::{self, printable};
use crate::view::View;

#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// Names of data files of the user backend that no segment has.
    pub(crate) strays: Vec<String>,
    /// Directories of copies that a killed command made in TMPDIR.
    pub(crate) copies: Vec<PathBuf>,
}

impl Leftovers {
    /// Those that nobody has touched for so long.
    pub(crate) fn find(view: &View, older_than: Duration) -> Result<Leftovers> {
        let mut found = Leftovers { strays: Vec::new(), copies: copies(&std::env::temp_dir(), older_than) };
        if let Some(user) = &view.facility.user {
            found.strays = user.strays()?;
            found.strays.retain(|name| is_older(&user.directory().join(name), older_than));
        }
        Ok(found)
    }

    pub(crate) fn count(&self) -> usize {
        self.strays.len() + self.copies.len()
    }

    /// `1 stray file`, `2 copies`
    pub(crate) fn counted(&self) -> Vec<String> {
        [(self.strays.len(), "stray file", "stray files"), (self.copies.len(), "left copy", "left copies")]
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, several)| output::count(count as u64, one, several))
            .collect()
    }

    /// A line for each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let strays = self.strays.iter().map(|name| format!("stray file {}", printable(name)));
        let copies =
            self.copies.iter().map(|path| format!("left copy {}", printable(&path.to_string_lossy())));
        strays.chain(copies)
    }

    /// Removes what still is what it was found to be; keeps what was removed, and says why others were not.
    pub(super) fn remove(&mut self, view: &View) -> Vec<Failure> {
        let mut failures = Vec::new();
        if let Some(user) = view.facility.user.as_ref().filter(|_| !self.strays.is_empty()) {
            match user.reclaim_strays(&self.strays) {
                Ok(gone) => self.strays = gone,
                Err(error) => {
                    failures.push(error.into());
                    self.strays.clear();
                }
            }
        }
        self.copies.retain(|path| match remove_copy(path) {
            Ok(is_gone) => is_gone,
            Err(error) => {
                failures.push(Failure::io(format!("remove {}", printable(&path.to_string_lossy())), &error));
                false
            }
        });
        failures
    }
}

/// Whether nobody has written a file, or made one in a directory, for so long.
fn is_older(path: &Path, than: Duration) -> bool {
    let written = fs::symlink_metadata(path).and_then(|meta| meta.modified());
    // A time yet to come is no age.
    written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age >= than))
}

/// Those of ours, in their order, whose makers are gone.
fn copies(directory: &Path, older_than: Duration) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        let is_ours = |meta: fs::Metadata| meta.is_dir() && meta.uid() == caller::effective_uid();
        fs::symlink_metadata(path).is_ok_and(is_ours)
    };
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(image::DIRECTORY_PREFIX))
        .map(|entry| entry.path())
        .filter(|path| ours(path) && is_older(path, older_than) && abandoned(path).is_some())
        .collect();
    found.sort_unstable();
    found
}

/// The directory, locked, if whoever made it does not live: he has it locked for as long as he does, which is seen from
/// all PID namespaces.
fn abandoned(path: &Path) -> Option<File> {
    let directory = File::open(path).ok()?;
    match directory.try_lock() {
        Ok(()) => Some(directory),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// Whether it is gone now.
fn remove_copy(path: &Path) -> std::io::Result<bool> {
    match abandoned(path) {
        // Locked meanwhile, so that of two who remove it one does.
        Some(_locked) => fs::remove_dir_all(path).map(|()| true),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_left_when_nobody_has_it_locked() {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join(format!("{}x", image::DIRECTORY_PREFIX));
        fs::create_dir(&copy).unwrap();
        fs::write(copy.join("seg-0"), "x").unwrap();
        fs::create_dir(directory.path().join("another")).unwrap();
        std::os::unix::fs::symlink(&copy, directory.path().join(format!("{}link", image::DIRECTORY_PREFIX)))
            .unwrap();
        let found = |age| copies(directory.path(), Duration::from_secs(age));
        let maker = File::open(&copy).unwrap();
        maker.lock().unwrap();
        assert!(found(0).is_empty() && !remove_copy(&copy).unwrap(), "its maker lives");
        drop(maker);
        assert_eq!((found(0), found(3600)), (vec![copy.clone()], Vec::new()));
        assert!(remove_copy(&copy).unwrap() && !copy.exists());
    }
}
