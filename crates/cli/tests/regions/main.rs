//! `show`, `get`, `set`, `locks` and `name:`: regions, looked into without the program that made them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod locks;
mod office;
mod values;

/// Not a test: the other process of those that need one.
#[test]
#[ignore = "a part that other tests start as a process of its own"]
fn plays() {
    office::play();
}
