//! `cargo xtask storm` and `cargo xtask histories`: processes killed at random, for as long as one likes.

use std::process::Command;

use anyhow::{Result, ensure};
use lexopt::prelude::*;

/// Options that are numbers, and what they are when nobody says.
type Numbers<'a> = [(&'a str, Option<u64>)];

pub(crate) fn command(words: lexopt::Parser) -> Result<()> {
    let numbers = asked(words, &[("kills", Some(20_000)), ("seed", Some(1)), ("jobs", Some(2))])?;
    test("storm", "storm", &numbers)
}

/// Many histories, or with `--messages` so many messages through one channel.
pub(crate) fn histories(words: lexopt::Parser) -> Result<()> {
    let defaults = [("count", Some(1000)), ("seed", Some(1)), ("jobs", Some(2)), ("messages", None)];
    let numbers = asked(words, &defaults)?;
    let name = if numbers.contains(&("messages", None)) { "histories" } else { "bulk" };
    test("histories", name, &numbers)
}

fn asked<'a>(mut words: lexopt::Parser, defaults: &Numbers<'a>) -> Result<Vec<(&'a str, Option<u64>)>> {
    let mut numbers = defaults.to_vec();
    while let Some(word) = words.next()? {
        let is_meant = |(name, _): &&mut (&str, Option<u64>)| word == Long(name);
        let Some((_, number)) = numbers.iter_mut().find(is_meant) else {
            return Err(word.unexpected().into());
        };
        *number = Some(words.value()?.parse()?);
    }
    Ok(numbers)
}

/// Runs one test of a file of tests of the regions, which is told the numbers.
fn test(file: &str, name: &str, numbers: &Numbers<'_>) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--release", "--package", "coseg", "--test", file, "--"]);
    cargo.args([name, "--exact", "--nocapture"]);
    for (name, number) in numbers {
        let variable = format!("COSEG_{file}_{name}").to_uppercase();
        match number {
            Some(number) => cargo.env(variable, number.to_string()),
            None => cargo.env_remove(variable),
        };
    }
    let status = cargo.status()?;
    ensure!(status.success(), "{file} found damage: {status}");
    Ok(())
}
