//! The write guard. Where there are no memory protection keys, what needs them says so and is left out;
//! `cargo xtask guard` runs all of it on an emulated CPU that has them, with `COSEG_GUARD_MUST=1`.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod house;
mod killed;
mod refused;
mod shared;
mod strays;
