//! The worked programs and their C twins, run against each other on both backends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Makes two tests of each function: in a world of the kernel's and in one of the user backend's.
macro_rules! on_both_backends {
    ($program:literal: $($test:ident)*) => {
        mod kernel {
            $(#[test] fn $test() { super::$test(&crate::world::World::kernel($program)); })*
        }
        mod user {
            $(#[test] fn $test() { super::$test(&crate::world::World::user($program)); })*
        }
    };
}

mod alphabet;
mod channel_alphabet;
mod desk_exchange;
mod exchange;
mod family;
mod lost_update;
mod notes;
mod process;
mod safe_alphabet;
mod safe_exchange;
mod safe_family;
mod safe_notes;
mod world;
