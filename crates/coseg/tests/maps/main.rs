//! Maps through the public API, each test on both backends.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod book;
mod model;
mod untyped;
mod values;
#[path = "../support/world.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod world;
