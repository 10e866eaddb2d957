//! Processes that work on one region at random, killed at random times and started again at once.
//!
//! A share of it runs in each `cargo test`; `cargo xtask storm` lets it go on for as long as one likes.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod hall;
#[path = "../support/stage.rs"]
mod stage;
mod weather;
mod worker;

use std::env;

use crate::stage::{On, told};
use crate::weather::Forecast;

/// What a worker does; nothing in a usual run.
#[test]
fn player() {
    if let Some(role) = coseg_crash::role() {
        worker::work(&role);
    }
}

/// `COSEG_STORM_KILLS`, `COSEG_STORM_SEED` and `COSEG_STORM_JOBS` say how long, which and how many at once.
#[test]
fn storm() {
    if coseg_crash::role().is_some() {
        return;
    }
    let kills: u64 = told("COSEG_STORM_KILLS", 150);
    let (seed, jobs) = (told("COSEG_STORM_SEED", 1), told("COSEG_STORM_JOBS", 2_u64).max(1));
    let told = env::var_os("COSEG_STORM_KILLS").is_some();
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let on = if job % 2 == 1 { On::Kernel } else { On::User };
            let forecast = Forecast { on, kills: kills.div_ceil(jobs), seed: seed + job * 1_000_003, told };
            scope.spawn(move || weather::storm(&forecast));
        }
    });
}
