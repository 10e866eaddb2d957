//! A directory that exists while its value does: the usual world of a trial.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh empty directory, removed with all in it when dropped.
///
/// Its path has the same length every time, so that a victim's work on it takes the same instructions.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one where files are memory: in `/dev/shm`, or without it in the directory for temporary files.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new() -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::within(memory) } else { Self::within(&std::env::temp_dir()) }
    }

    /// Makes one in `parent`, with mode 0700.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn within(parent: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("coseg-crash-{:010}-{number:010}", process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the parent; a drop has nobody to tell.
        let _ = fs::remove_dir_all(&self.path);
    }
}
