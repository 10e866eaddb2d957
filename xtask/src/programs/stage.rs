//! Where one program runs: a backend, a user, and a directory that vanishes afterwards.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::packages::{self, User};
use crate::run::run;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendName {
    User,
    Kernel,
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            BackendName::User => "user",
            BackendName::Kernel => "kernel",
        })
    }
}

pub(crate) struct Stage {
    pub(crate) backend: BackendName,
    directory: TempDir,
    /// In memory, as a namespace is by default.
    namespace: TempDir,
    library: PathBuf,
    user: User,
}

/// A line of `ipcs -m`.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) id: i32,
    pub(crate) size_bytes: u64,
    pub(crate) attachment_count: u64,
}

impl Stage {
    pub(crate) fn new(name: &str, backend: BackendName, library: &Path, user: &str) -> Result<Stage> {
        let user = packages::user(user)?;
        let named =
            |parent: &Path| tempfile::Builder::new().prefix(&format!("coseg-{name}-")).tempdir_in(parent);
        let directory = named(&std::env::temp_dir())?;
        let namespace = named(Path::new("/dev/shm"))?;
        for path in [directory.path(), namespace.path()] {
            chown(path, Some(user.uid), Some(user.gid))?;
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o700))?;
        }
        // The build directory may be closed to other users.
        let copy = directory.path().join("libcoseg_preload.so");
        std::fs::copy(library, &copy).with_context(|| library.display().to_string())?;
        std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755))?;
        Ok(Stage { backend, directory, namespace, library: copy, user })
    }

    /// A path in the program's own directory, which is also its working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// This program, as the stage's user, on the stage's backend.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.bare_command(program);
        if self.backend == BackendName::User {
            command.env("LD_PRELOAD", &self.library).env("COSEG_DIR", self.namespace.path());
        }
        command
    }

    /// This program, as the stage's user, without the library.
    pub(crate) fn bare_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).uid(self.user.uid).gid(self.user.gid);
        command.env("LC_ALL", "C.UTF-8").env("HOME", self.directory.path());
        for name in ["LD_PRELOAD", "COSEG_DIR", super::INSIDE] {
            command.env_remove(name);
        }
        command
    }

    /// The segments, as the program's user sees them with `ipcs`.
    pub(crate) fn segments(&self) -> Result<Vec<Listed>> {
        let text = run(self.command("ipcs").arg("-m"))?;
        let parse = |line: &str| {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            Some(Listed {
                key: (*words.first()?).to_owned(),
                id: words.get(1)?.parse().ok()?,
                size_bytes: words.get(4)?.parse().ok()?,
                attachment_count: words.get(5)?.parse().ok()?,
            })
        };
        let lines = text.lines().filter(|line| line.starts_with("0x"));
        lines.map(|line| parse(line).with_context(|| format!("ipcs printed {line:?}"))).collect()
    }

    /// The segments, once it is certain that they are on the right backend.
    pub(crate) fn checked_segments(&self) -> Result<Vec<Listed>> {
        let segments = self.segments()?;
        let in_kernel = kernel_segment_count()?;
        match self.backend {
            BackendName::User => {
                ensure!(in_kernel == 0, "{in_kernel} segments are the kernel's");
                let files = data_file_bytes(self.namespace.path())?;
                let largest = segments.iter().map(|segment| segment.size_bytes).max().unwrap_or(0);
                ensure!(files >= largest, "a segment of {largest} bytes in files of {files}");
            }
            BackendName::Kernel => {
                ensure!(in_kernel > 0 || segments.is_empty(), "not the kernel's: {segments:?}")
            }
        }
        Ok(segments)
    }

    /// The same, if there are this many.
    pub(crate) fn expect_segments(&self, count: usize) -> Result<Vec<Listed>> {
        let segments = self.checked_segments()?;
        ensure!(segments.len() == count, "{count} segments expected: {segments:?}");
        Ok(segments)
    }

    /// Fails if a segment is left.
    pub(crate) fn check_empty(&self) -> Result<String> {
        self.expect_segments(0)?;
        Ok(String::new())
    }
}

/// A program that failed leaves nothing to the next: directories vanish by themselves, the kernel's segments do not.
impl Drop for Stage {
    fn drop(&mut self) {
        if self.backend == BackendName::Kernel {
            let _ = run(Command::new("ipcrm").arg("--all=shm"));
        }
    }
}

/// Lines of the kernel's own table, which nothing stands in front of here.
fn kernel_segment_count() -> Result<usize> {
    Ok(std::fs::read_to_string("/proc/sysvipc/shm")?.lines().skip(1).count())
}

fn data_file_bytes(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        // Segments come and go meanwhile.
        let Ok(metadata) = entry.and_then(|entry| entry.metadata()) else { continue };
        sum += metadata.size();
    }
    Ok(sum)
}

/// The uid this process runs as.
pub(crate) fn effective_uid() -> Result<u32> {
    let status = std::fs::metadata("/proc/self")?;
    if !status.is_dir() {
        bail!("/proc is not mounted");
    }
    Ok(status.uid())
}
