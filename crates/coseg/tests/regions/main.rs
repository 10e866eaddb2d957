//! Regions through the public API, each test on both backends.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod broadcasts;
mod channels;
mod corners;
mod deaths;
mod forks;
mod house;
mod locks;
mod looks;
mod opening;
mod untyped;
mod values;
#[path = "../support/world.rs"]
mod world;
