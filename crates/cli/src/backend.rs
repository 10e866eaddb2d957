//! Which backend a command works on, and whether it had to make do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coseg_sysv::{Backend, BackendName, Errno, Kernel, Key, User, caller};

use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output;

#[derive(Debug)]
pub(crate) struct Facility {
    pub(crate) backend: Arc<dyn Backend>,
    /// The same, where it is the user-space one: it has knobs and a directory.
    pub(crate) user: Option<User>,
    /// The user backend, because the kernel has none and nobody chose.
    pub(crate) is_fallback: bool,
}

impl Facility {
    pub(crate) fn open(global: &Global) -> Result<Facility> {
        let kernel = Kernel.limits().err();
        match (global.backend, kernel) {
            (Some(BackendName::User), _) => Facility::user(User::open()?, false),
            (None | Some(BackendName::Kernel), None) => Ok(Facility::kernel()),
            (Some(BackendName::Kernel), Some(error)) => Err(error.into()),
            (None, Some(error)) => {
                output::note(&format!(
                    "the kernel has no System V shared memory here ({}), so this is the user backend; \
                     --backend user says so silently",
                    error.errno()
                ));
                Facility::user(User::open()?, true)
            }
        }
    }

    fn kernel() -> Facility {
        Facility { backend: Arc::new(Kernel), user: None, is_fallback: false }
    }

    #[allow(clippy::unnecessary_wraps, reason = "both arms of open read alike")]
    fn user(user: User, is_fallback: bool) -> Result<Facility> {
        Ok(Facility { backend: Arc::new(user), user: Some(user), is_fallback })
    }

    /// The same with memory for new segments taken at once.
    pub(crate) fn reserving(self) -> Result<Facility> {
        match self.user {
            Some(user) => Facility::user(user.reserve(true), self.is_fallback),
            None => Err(Failure::error(
                "create: --reserve belongs to the user backend; the kernel has no such promise",
            )
            .hint("the same command with --backend user, or without --reserve")),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.backend.name()
    }

    /// The backend, its directory, and why it was chosen.
    pub(crate) fn place(&self) -> String {
        let Some(user) = &self.user else { return "kernel".to_owned() };
        let why = if self.is_fallback { ", as the kernel has none" } else { "" };
        format!("user, in {}{why}", user.directory().display())
    }

    /// Where else a key or id is, so that a message about its absence can say so.
    pub(crate) fn elsewhere(&self, found: impl Fn(&dyn Backend) -> bool) -> Option<&'static str> {
        if self.user.is_some() {
            return (Kernel.limits().is_ok() && found(&Kernel)).then_some("kernel");
        }
        // Opening a namespace makes it; a search must not leave one behind.
        let user = User::at(existing_namespace()?).ok()?;
        found(&user).then_some("user")
    }
}

fn existing_namespace() -> Option<PathBuf> {
    let directory = match std::env::var_os("COSEG_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(format!("/dev/shm/coseg-{}", caller::effective_uid())),
    };
    has_registry(&directory).then_some(directory)
}

fn has_registry(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether a backend has this key, whatever its mode.
pub(crate) fn has_key(backend: &dyn Backend, key: Key) -> bool {
    // Size zero and no permission bits: the id is returned to anyone.
    match backend.get(key, 0, coseg_sysv::GetFlags::NONE) {
        Ok(_) => true,
        Err(error) => error.errno() == Errno::EACCES,
    }
}
