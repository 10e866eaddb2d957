//! `cargo xtask storm`: processes that work on one region, killed at random, for as long as one likes.

use std::process::Command;

use anyhow::{Result, ensure};
use lexopt::prelude::*;

/// Kills when none are asked for.
const KILLS: u64 = 20_000;

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let (mut kills, mut seed, mut jobs) = (KILLS, 1_u64, 2_u64);
    while let Some(word) = words.next()? {
        let number = match word {
            Long("kills") => &mut kills,
            Long("seed") => &mut seed,
            Long("jobs") => &mut jobs,
            other => return Err(other.unexpected().into()),
        };
        *number = words.value()?.parse()?;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--release", "--package", "coseg", "--test", "storm", "--"]);
    cargo.args(["storm", "--exact", "--nocapture"]);
    for (name, number) in [("KILLS", kills), ("SEED", seed), ("JOBS", jobs)] {
        cargo.env(format!("COSEG_STORM_{name}"), number.to_string());
    }
    let status = cargo.status()?;
    ensure!(status.success(), "the storm with seed {seed} left damage: {status}");
    Ok(())
}
