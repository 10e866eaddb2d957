//! Producer and consumer through a region, on both backends.

use crate::world::{Language::Rust, World};

on_both_backends!("safe-alphabet": whoever_comes_first_waits a_killed_producer_is_replaced nobody_waits_for_ever);

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz\n";

fn whoever_comes_first_waits(world: &World) {
    let mut producing = world.run(Rust, &["produce"]);
    assert_eq!(producing.line(), "waiting for the consumer");
    assert_eq!(world.run(Rust, &["consume"]).ok(), LETTERS);
    assert_eq!(producing.ok(), "answered\n");

    let consuming = world.run(Rust, &["consume"]);
    while world.segments().is_empty() {}
    assert_eq!(world.run(Rust, &["produce"]).ok(), "waiting for the consumer\nanswered\n");
    assert_eq!(consuming.ok(), LETTERS);
    assert_eq!(world.segments(), [""; 0]);
}

fn a_killed_producer_is_replaced(world: &World) {
    let mut producing = world.run(Rust, &["produce"]);
    assert_eq!(producing.line(), "waiting for the consumer");
    drop(producing);
    // The letters are there: the consumer answers the dead, and the next producer takes that for no answer.
    assert_eq!(world.run(Rust, &["consume"]).ok(), LETTERS);
    let mut producing = world.run(Rust, &["produce"]);
    assert_eq!(producing.line(), "waiting for the consumer");
    assert_eq!(world.run(Rust, &["consume"]).ok(), LETTERS);
    assert_eq!(producing.ok(), "answered\n");
    assert_eq!(world.segments(), [""; 0]);
}

fn nobody_waits_for_ever(world: &World) {
    for (alone, other) in [("produce", "consume"), ("consume", "produce")] {
        let complaint = world.run(Rust, &["--timeout", "50ms", alone]).fails(2);
        assert!(complaint.contains("50 ms") && complaint.contains(other), "{complaint}");
        assert_eq!(world.segments(), [""; 0]);
    }
    world.run(Rust, &["--timeout", "soon", "produce"]).fails(2);
    world.run(Rust, &[]).fails(2);
}
