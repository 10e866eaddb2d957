//! Which backend a command works on, and whether it had to make do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coseg_sysv::{Backend, Errno, Kernel, Key, User};

use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::opened;
use crate::output;

#[derive(Clone, Debug)]
pub(crate) struct Facility {
    pub(crate) backend: Arc<dyn Backend>,
    /// The same, where it is the user-space one: it has knobs and a directory.
    pub(crate) user: Option<User>,
    /// The user backend, because the kernel has none and nobody chose.
    pub(crate) is_fallback: bool,
}

impl Facility {
    pub(crate) fn open(global: &Global) -> Result<Facility> {
        if let Some(opened) = opened::get() {
            return Ok(Facility::user(opened.user, false));
        }
        let chosen = coseg_sysv::choose(global.backend);
        let is_kernel = chosen.as_ref().is_ok_and(|backend| backend.name() == "kernel");
        let is_fallback = global.backend.is_none() && !is_kernel;
        if is_fallback && let Err(error) = Kernel.limits() {
            output::note(&format!(
                "the kernel has no System V shared memory here ({}), so this is the user backend; \
                 --backend user says so silently",
                error.errno()
            ));
        }
        let backend = chosen?;
        if is_kernel {
            // Named, it is taken whether it answers or not.
            backend.limits()?;
            return Ok(Facility { backend, user: None, is_fallback });
        }
        Ok(Facility::user(User::open()?, is_fallback))
    }

    pub(crate) fn user(user: User, is_fallback: bool) -> Facility {
        Facility { backend: Arc::new(user), user: Some(user), is_fallback }
    }

    /// The same with memory for new segments taken at once.
    pub(crate) fn reserving(self) -> Result<Facility> {
        match self.user {
            Some(user) => Ok(Facility::user(user.reserve(true), self.is_fallback)),
            None => Err(Failure::error(
                "create: --reserve belongs to the user backend; the kernel has no such promise",
            )
            .hint("the same command with --backend user, or without --reserve")),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.backend.name()
    }

    /// The backend that segments are, or a dump's was, on.
    pub(crate) fn origin(&self) -> &'static str {
        opened::get().map_or_else(|| self.name(), |opened| opened.backend)
    }

    /// The backend, its directory, and why it was chosen.
    pub(crate) fn place(&self) -> String {
        if let Some(opened) = opened::get() {
            return format!("{}, when it was dumped", opened.backend);
        }
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
    let directory = User::directory_of_environment();
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
