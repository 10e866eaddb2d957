//! Which backend to use, where nobody said.

use std::str::FromStr;
use std::sync::Arc;

use crate::{Backend, Kernel, Result, User};

/// A backend by name, as `--backend` and `COSEG_BACKEND` give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendName {
    /// [`Kernel`]
    Kernel,
    /// [`User`], in the namespace of the environment
    User,
}

impl FromStr for BackendName {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name {
            "kernel" => Ok(BackendName::Kernel),
            "user" => Ok(BackendName::User),
            _ => Err(format!("no backend `{name}`: kernel or user")),
        }
    }
}

/// The backend of this name; without one, the kernel's where it answers, else the user-space one.
///
/// # Errors
/// Those of [`User::open`].
pub fn choose(name: Option<BackendName>) -> Result<Arc<dyn Backend>> {
    let kernel = match name {
        Some(name) => name == BackendName::Kernel,
        None => Kernel::is_available(),
    };
    if kernel { Ok(Arc::new(Kernel)) } else { Ok(Arc::new(User::open()?)) }
}
