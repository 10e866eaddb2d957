//! What the trials of this crate are made on.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod files;
pub mod memory;

use std::path::PathBuf;
use std::process::Command;

use coseg_crash::{Scratch, again};

/// A run of this program's `#[test]` function `test` in `role`.
pub fn play(test: &str, role: &str, world: &Scratch) -> Command {
    let mut command = again(test, role);
    command.env("TOY_WORLD", world.path());
    command
}

/// The directory a player was given.
pub fn world() -> PathBuf {
    std::env::var_os("TOY_WORLD").expect("a player has a world").into()
}
