//! What the trials of this crate are made on.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod family;
pub(crate) mod files;
pub(crate) mod memory;

use std::path::PathBuf;
use std::process::Command;

use coseg_crash::{Scratch, again};

/// A run of this program's `#[test]` function `test` in `role`.
pub(crate) fn play(test: &str, role: &str, world: &Scratch) -> Command {
    let mut command = again(test, role);
    command.env("TOY_WORLD", world.path());
    command
}

/// The directory a player was given.
pub(crate) fn world() -> PathBuf {
    std::env::var_os("TOY_WORLD").expect("a player has a world").into()
}
