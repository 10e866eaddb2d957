//! Every operation on a region, killed at every instruction that changes shared bytes, and its recovery too.
//!
//! The next process must find each value as it was or as it is to be, a transaction whole or not at all, each lock
//! within moments, and be told whom it inherits from. `COSEG_LONG=1` kills every recovery and makes 100 random
//! kills of each operation.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod channels;
mod clock;
mod making;
mod maps;
mod marking;
mod operations;
mod races;
mod survivor;
mod trials;
mod world;

use coseg_crash::role;

use crate::world::Setting;

/// What a process of a trial does; nothing in a usual run.
#[test]
fn player() {
    let Some(role) = role() else { return };
    let setting = Setting::of_environment();
    if let Some((part, what)) = role.split_once(" a shop: ") {
        return maps::play(&setting, part, what);
    }
    if let Some((part, what)) = role.split_once(" at ") {
        return match part {
            "operate" => channels::operate(&setting, what),
            "recover" => channels::recover(&setting, what),
            "survive" => channels::survive_at(&setting, what),
            part => panic!("{part}?"),
        };
    }
    match role.split_once(' ') {
        Some(("await", what)) => channels::wait(&setting, what),
        Some(("operate", operation)) => operations::operate(&setting, operation),
        Some(("make", what)) => making::play(&setting, what),
        Some(("race", what)) => races::play(&setting, what),
        Some(("recover", lock)) => survivor::recover(&setting, lock),
        None if role == "survive" => survivor::survive(&setting),
        None if role == "wait" => survivor::wait(&setting),
        _ => panic!("{role}?"),
    }
}
