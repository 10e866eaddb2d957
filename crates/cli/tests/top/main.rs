//! `top`, on a terminal of its own.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod live;
#[path = "../regions/office.rs"]
#[allow(dead_code, reason = "a share of it is used here")]
mod office;
mod terminal;

/// Not a test: the other process of those that need one.
#[test]
#[ignore = "a part that other tests start as a process of its own"]
fn plays() {
    office::play();
}
