//! Which backend to use, where nobody said.

use std::str::FromStr;
use std::sync::Arc;

use crate::{Backend, Errno, Error, Kernel, Op, Result, Target, User, caller};

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

/// The backend of this name; without one, that of the variable `COSEG_BACKEND`; without that, the kernel's where it
/// answers, else the user-space one.
///
/// # Errors
/// Those of [`User::open`]. `EINVAL`: the variable is no backend's name.
pub fn choose(name: Option<BackendName>) -> Result<Arc<dyn Backend>> {
    let kernel = match name.map_or_else(named_by_environment, |name| Ok(Some(name)))? {
        Some(name) => name == BackendName::Kernel,
        None => Kernel::is_available(),
    };
    if kernel { Ok(Arc::new(Kernel)) } else { Ok(Arc::new(User::open()?)) }
}

fn named_by_environment() -> Result<Option<BackendName>> {
    let Some(value) = caller::trusted_variable("COSEG_BACKEND") else { return Ok(None) };
    let name = value.to_string_lossy().parse().map_err(|unknown: String| {
        Error::new(Op::Open, Target::None, Errno::EINVAL).because(format!("COSEG_BACKEND: {unknown}"))
    })?;
    Ok(Some(name))
}
