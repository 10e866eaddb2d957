//! Debian packages, and the users they make.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{output, run};

/// Installs those of these packages that are not.
pub(crate) fn install(packages: &[&str]) -> Result<String> {
    let mut missing = Vec::new();
    for package in packages {
        let status = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))?;
        if status.stdout != b"installed" {
            missing.push(*package);
        }
    }
    if missing.is_empty() {
        return Ok("already".to_owned());
    }
    eprintln!("xtask: installing {}", missing.join(" "));
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive");
    if run(&mut apt).is_err() {
        run(Command::new("apt-get").arg("update"))?;
        run(&mut apt)?;
    }
    Ok(missing.join(" "))
}

/// A user of this host.
#[derive(Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn user(name: &str) -> Result<User> {
    let entry = run(Command::new("getent").args(["passwd", name]))?;
    let mut fields = entry.trim().split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    let (Some(uid), Some(gid)) = (number(), number()) else { bail!("{entry:?} is no user") };
    Ok(User { uid, gid })
}

/// The version of an installed package.
pub(crate) fn version(package: &str) -> Result<String> {
    run(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package])).context("dpkg-query")
}
