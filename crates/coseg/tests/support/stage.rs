//! Where processes that are killed at random work: a backend of their own, and how they are started.
#![allow(unsafe_code, reason = "leaves the IPC namespace of the machine")]

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use coseg_crash::{Scratch, again};
use coseg_sysv::{Backend, Kernel, User};

const DIRECTORY: &str = "COSEG_TEST_DIR";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    User,
    Kernel,
}

/// A backend that nobody else on the machine sees.
pub(crate) struct Stage {
    pub(crate) backend: Arc<dyn Backend>,
    directory: Option<PathBuf>,
    _scratch: Scratch,
}

impl Stage {
    /// On the kernel backend the calling thread, and what it starts, leave the machine's IPC namespace. `None`: they
    /// may not.
    pub(crate) fn new(on: On) -> Option<Stage> {
        // SAFETY: concerns the calling thread's namespace only.
        if on == On::Kernel && unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
            eprintln!("not on the kernel backend: only root may have an IPC namespace of its own");
            return None;
        }
        let scratch = Scratch::within("/dev/shm".as_ref()).unwrap();
        let directory = (on == On::User).then(|| scratch.path().join("namespace"));
        Some(Stage { backend: backend(directory.clone()), directory, _scratch: scratch })
    }

    /// Another run of this program, in a role of its test `player`.
    pub(crate) fn play(&self, role: &str) -> Command {
        let mut command = again("player", role);
        match &self.directory {
            Some(directory) => command.env(DIRECTORY, directory),
            None => command.env_remove(DIRECTORY),
        };
        command.stderr(Stdio::inherit());
        command
    }
}

fn backend(directory: Option<PathBuf>) -> Arc<dyn Backend> {
    match directory {
        Some(directory) => Arc::new(User::at(directory).unwrap()),
        None => Arc::new(Kernel),
    }
}

/// The backend that a player was started for.
pub(crate) fn backend_told() -> Arc<dyn Backend> {
    backend(env::var_os(DIRECTORY).map(PathBuf::from))
}

/// A number that the environment tells, or another.
pub(crate) fn told<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
