//! Building the artifacts that other commands use.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The directory of release artifacts, which is where this program is itself.
pub(crate) fn directory() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    Ok(exe.parent().context("an executable is in a directory")?.to_owned())
}

/// Builds these packages for release.
pub(crate) fn build(packages: &[&str]) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release"]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    if !cargo.status()?.success() {
        bail!("{} does not build", packages.join(", "));
    }
    Ok(())
}

/// The drop-in library, built now.
pub(crate) fn library() -> Result<PathBuf> {
    build(&["coseg-preload"])?;
    Ok(directory()?.join("libcoseg_preload.so"))
}
