//! `show`, `get`, `set`, `locks`, `channel`, `dump`, `open`, `diff`, `watch` and `name:`: regions, looked into without the program that made them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod channels;
#[path = "../common/mod.rs"]
mod common;
mod kept;
mod locks;
mod maps;
mod office;
mod opened;
mod pipes;
mod removal;
mod values;
mod watch;

/// Not a test: the other process of those that need one.
#[test]
#[ignore = "a part that other tests start as a process of its own"]
fn plays() {
    office::play();
}
