//! `cargo xtask dist --to DIR`: what a package installs.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lexopt::prelude::*;

use crate::build;
use crate::run::run;

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let mut to = None;
    while let Some(word) = words.next()? {
        match word {
            Long("to") => to = Some(PathBuf::from(words.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let prefix = to.context("--to DIR is the prefix to install under")?;

    build::build(&["coseg-cli", "coseg-preload"])?;
    let built = build::directory()?;
    let tool = prefix.join("bin/coseg");
    install(&built.join("coseg"), &tool)?;
    install(&built.join("libcoseg_preload.so"), &prefix.join("lib/coseg/libcoseg_preload.so.1"))?;
    let link = prefix.join("lib/coseg/libcoseg_preload.so");
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    symlink("libcoseg_preload.so.1", &link)?;
    let template = include_str!("../../crates/preload/coseg.pc.in");
    let filled = template.replace("@version@", env!("CARGO_PKG_VERSION"));
    write(&prefix.join("lib/pkgconfig/coseg.pc"), filled.as_bytes())?;

    let man = prefix.join("share/man/man1");
    std::fs::create_dir_all(&man)?;
    run(Command::new(&tool).args(["man", "--dir"]).arg(&man))?;
    for (shell, path) in [
        ("bash", "share/bash-completion/completions/coseg"),
        ("zsh", "share/zsh/site-functions/_coseg"),
        ("fish", "share/fish/vendor_completions.d/coseg.fish"),
    ] {
        let script = run(Command::new(&tool).args(["completions", shell]))?;
        write(&prefix.join(path), script.as_bytes())?;
    }
    for file in run(Command::new("find").arg(&prefix).args(["-not", "-type", "d"]))?.lines() {
        println!("{file}");
    }
    Ok(())
}

/// Copies an executable to a name that may be in use: the old file stays with those who have it.
fn install(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).with_context(|| from.display().to_string())?;
    write(to, &bytes)?;
    Ok(std::fs::set_permissions(to, PermissionsExt::from_mode(0o755))?)
}

fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if to.exists() {
        std::fs::remove_file(to)?;
    }
    std::fs::write(to, bytes).with_context(|| to.display().to_string())
}
