//! Producer and consumer over channels, on both backends.

use crate::world::{Language::Rust, World};

on_both_backends!("channel-alphabet": whoever_comes_first_waits a_killed_producer_is_replaced
    a_second_producer_is_refused nobody_waits_for_ever);

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
    // What was sent is received, and who is to have the answer is known to be dead.
    let consumed = world.run(Rust, &["consume"]).finish();
    assert_eq!(String::from_utf8_lossy(&consumed.stdout), LETTERS);
    let complaint = String::from_utf8_lossy(&consumed.stderr);
    assert!(complaint.contains("send the answer: producer (pid "), "{complaint}");
    assert!(complaint.contains("died") && consumed.status.code() == Some(2), "{complaint}");
    let mut producing = world.run(Rust, &["produce"]);
    assert_eq!(producing.line(), "waiting for the consumer");
    assert_eq!(world.run(Rust, &["consume"]).ok(), LETTERS);
    assert_eq!(producing.ok(), "answered\n");
    assert_eq!(world.segments(), [""; 0]);
}

fn a_second_producer_is_refused(world: &World) {
    let mut first = world.run(Rust, &["produce"]);
    assert_eq!(first.line(), "waiting for the consumer");
    let complaint = world.run(Rust, &["produce"]).fails(2);
    assert!(complaint.contains("it has one sender, and that is producer (pid "), "{complaint}");
    assert_eq!(world.run(Rust, &["consume"]).ok(), LETTERS);
    assert_eq!(first.ok(), "answered\n");
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
