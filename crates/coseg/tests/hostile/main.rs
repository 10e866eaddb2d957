//! A peer who may write a region leaves whatever bytes he likes in it. He may destroy what is in it, and he may stall
//! whoever takes a lock; nobody crashes, panics, reads elsewhere, or waits longer than he said he would.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod forged;
mod forger;
mod maps;
mod overtaken;
mod paths;
mod scribble;
mod stalls;
mod storm;
mod traffic;
mod victim;
mod world;
