//! The page of `coseg serve` in a real browser: crates/cli/tests/browser.
//!
//! As root on the kernel backend in an IPC and a PID namespace of its own, with which all that was started goes; else on
//! the user backend in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::build;
use crate::programs::packages;
use crate::programs::stage::effective_uid;
use crate::run::run;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let (mut shots, mut accept) = (None, false);
    while let Some(word) = words.next()? {
        match word {
            Long("screenshots") => shots = Some(std::path::absolute(words.value()?)?),
            Long("accept") => accept = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/tests/browser").canonicalize()?;
    let is_root = effective_uid()? == 0;
    let browser = browser(is_root)?;
    need("node", "nodejs", is_root)?;
    install(&tests, is_root)?;
    build::build(&["coseg-cli", "coseg-stage"])?;
    let artifacts = build::directory()?;

    let differing = artifacts.join("pictures");
    std::fs::create_dir_all(&differing)?;
    let scratch = tempfile::Builder::new().prefix("xtask-browser-").tempdir()?;
    let mut test = if is_root { Command::new("unshare") } else { Command::new("node") };
    if is_root {
        test.args(["--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "node"]);
        test.env("COSEG_BACKEND", "kernel");
    } else {
        test.env("COSEG_BACKEND", "user").env("COSEG_DIR", scratch.path().join("segments"));
    }
    test.arg(tests.join("run.mjs"))
        .env("COSEG_BIN", artifacts.join("coseg"))
        .env("STAGE_BIN", artifacts.join("coseg-stage"))
        .env("CHROMIUM", browser)
        // Outlives the run: pictures that are not as they should be.
        .env("SCRATCH", &differing)
        // Profiles, copies and sockets: all of it goes with the directory.
        .env("TMPDIR", scratch.path())
        .env("XDG_CONFIG_HOME", scratch.path())
        .env("XDG_CACHE_HOME", scratch.path());
    if let Some(shots) = shots {
        test.env("SHOTS", shots);
    }
    if accept {
        test.env("ACCEPT", "1");
    }
    let status = test.status().with_context(|| format!("{test:?}"))?;
    if !status.success() {
        bail!("the page failed: {status}");
    }
    Ok(())
}

/// One that is there, or Debian's.
fn browser(is_root: bool) -> Result<PathBuf> {
    let found = || BROWSERS.into_iter().find_map(path);
    match found() {
        Some(path) => Ok(path),
        None => {
            need(BROWSERS[0], "chromium", is_root)?;
            found().context("chromium is installed, and not to be found")
        }
    }
}

/// Where a program is.
fn path(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn need(program: &str, package: &str, is_root: bool) -> Result<()> {
    if path(program).is_some() {
        return Ok(());
    }
    if !is_root {
        bail!("there is no {program}: apt-get install {package}");
    }
    packages::install(&[package])?;
    Ok(())
}

/// What drives the browser, in exactly the version that was written down.
fn install(tests: &Path, is_root: bool) -> Result<()> {
    let written = std::fs::read(tests.join("package-lock.json"))?;
    let stamp = tests.join("node_modules/.installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == written) {
        return Ok(());
    }
    need("npm", "npm", is_root)?;
    run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(tests))?;
    std::fs::write(stamp, written)?;
    Ok(())
}
