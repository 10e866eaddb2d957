//! Where the demo plays: segments that no key finds, processes that die with it, and a look at what is left.

use std::fs::DirBuilder;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use coseg::Region;
use coseg_examples::safe_office::{self, Office};
use coseg_examples::storm;
use coseg_sysv::{Attachment, Backend, Errno, Kernel, Key, Segment, ShmId, User};

use super::child::WORD;
use crate::failure::{Failure, Result};

/// A backend to play on. The user's own segments are never touched: ours have no key or one that is free, and the
/// user-space backend gets a namespace of its own.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    backend: Arc<dyn Backend>,
    directory: Option<Directory>,
    made: Vec<ShmId>,
}

/// Removed with all that is in it, whichever way the demo ends.
#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // A failure shows in `Stage::leftovers`.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An office that is removed whichever way the demo ends, and by its traders if the demo is killed.
#[derive(Debug)]
pub(super) struct OpenOffice(Region<Office>);

impl Deref for OpenOffice {
    type Target = Region<Office>;

    fn deref(&self) -> &Region<Office> {
        &self.0
    }
}

impl Drop for OpenOffice {
    fn drop(&mut self) {
        // A failure shows in `Stage::leftovers`.
        let _ = self.0.remove();
    }
}

/// Keys of offices start here: COSG.
const OFFICE_KEYS: i32 = 0x434f_5347;

impl Stage {
    pub(super) fn kernel() -> Stage {
        Stage { name: "kernel", backend: Arc::new(Kernel), directory: None, made: Vec::new() }
    }

    pub(super) fn user() -> Result<Stage> {
        let directory = Directory::make()?;
        let backend = Arc::new(User::at(&directory.0)?);
        Ok(Stage { name: "user", backend, directory: Some(directory), made: Vec::new() })
    }

    /// A new segment, attached. It is removed already: from here on it lives as long as somebody is attached,
    /// so that even `kill -9` leaves none behind.
    pub(super) fn segment(&mut self, size_bytes: usize) -> Result<(ShmId, Attachment)> {
        let segment = Segment::options(Key::PRIVATE).size(size_bytes).create(&self.backend)?;
        self.made.push(segment.id());
        let memory = segment.attach();
        segment.remove()?;
        Ok((segment.id(), memory?))
    }

    /// A new office for so many traders, who find it by its key.
    pub(super) fn office(&mut self, trader_count: usize) -> Result<OpenOffice> {
        // Demos that run at the same time try different keys first.
        let mut number = OFFICE_KEYS + i32::try_from(std::process::id() & 0xff_ffff).unwrap_or(0);
        loop {
            let options = safe_office::options(&self.backend, Key::new(number)).name("coseg demo");
            match options.participant("demo").create(|| storm::opening_for(trader_count)) {
                Ok(office) => {
                    self.made.push(office.segment().id());
                    return Ok(OpenOffice(office));
                }
                Err(error) => match error.segment_error() {
                    Some(cause) if cause.errno() == Errno::EEXIST => number += 1,
                    Some(cause) => return Err(cause.clone().into()),
                    None => return Err(Failure::error(format!("demo: {error}"))),
                },
            }
        }
    }

    /// This program again, in another part.
    pub(super) fn child(&self, role: &str, id: ShmId, slot: usize) -> Result<Actor> {
        let failed = |error: io::Error| Failure::io(format!("demo: start {role}"), &error);
        let mut command = self.command(role, id.raw(), slot).map_err(failed)?;
        Ok(Actor(command.stdout(Stdio::piped()).spawn().map_err(failed)?))
    }

    /// This program again, as a trader of an office. Ctrl-C is not for him: he is killed, or told.
    pub(super) fn safe_trader(&self, office: &OpenOffice, slot: usize) -> io::Result<Command> {
        let mut command = self.command("safe-trader", office.segment().key().raw(), slot)?;
        command.stdout(Stdio::null()).process_group(0);
        Ok(command)
    }

    fn command(&self, role: &str, at: i32, slot: usize) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORD, role, "--at", &at.to_string(), "--slot", &slot.to_string()]);
        command.args(["--parent", &std::process::id().to_string()]);
        if let Some(directory) = &self.directory {
            command.arg("--dir").arg(&directory.0);
        }
        // What the tool was told of backends is not meant for its children.
        command.env_remove("COSEG_BACKEND").stdin(Stdio::null());
        Ok(command)
    }

    pub(super) fn attachment_count(&self, id: ShmId) -> Result<u64> {
        Ok(self.backend.stat(id)?.attachment_count)
    }

    /// Closes the stage, and says what is still there: nothing, or a fault of ours.
    pub(super) fn leftovers(mut self) -> Vec<String> {
        let mut left: Vec<String> = self
            .made
            .iter()
            .filter(|&&id| self.backend.stat(id).is_ok())
            .map(|id| format!("segment {id} on the {} backend", self.name))
            .collect();
        if let Some(directory) = self.directory.take() {
            let path = directory.0.clone();
            drop(directory);
            if path.exists() {
                left.push(path.display().to_string());
            }
        }
        left
    }
}

impl Directory {
    fn make() -> Result<Directory> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        // A demo that was killed may have had this pid.
        for attempt in 0..100 {
            let path = base.join(format!("coseg-demo-{}-{attempt}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Directory(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::io(format!("demo: make {}", path.display()), &error)),
            }
        }
        Err(Failure::error(format!("demo: {} is full of old demos", base.display())))
    }
}

/// A child process, which never outlives its value.
#[derive(Debug)]
pub(super) struct Actor(Child);

impl Actor {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What the child says, line by line.
    pub(super) fn speech(&mut self) -> Result<io::Lines<io::BufReader<std::process::ChildStdout>>> {
        let stdout =
            self.0.stdout.take().ok_or_else(|| Failure::error("demo: a child was listened to twice"))?;
        Ok(io::BufRead::lines(io::BufReader::new(stdout)))
    }

    /// Waits until it ended by itself, and well.
    pub(super) fn join(mut self) -> Result<()> {
        let status = self.0.wait().map_err(|error| Failure::io("demo: wait for a child", &error))?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::error(format!("demo: pid {}: {status}", self.pid())))
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Both fail where it ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
