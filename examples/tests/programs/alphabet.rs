//! Producer and consumer, between C and Rust, on both backends.

use crate::world::{PAIRS, World};

on_both_backends!("alphabet": letters_come_across_and_are_answered absence_is_1);

fn letters_come_across_and_are_answered(world: &World) {
    for (producer, consumer) in PAIRS {
        let mut producing = world.run(producer, &["produce"]);
        assert_eq!(producing.line(), "waiting for the consumer");
        let letters = world.run(consumer, &["consume"]).ok();
        assert_eq!(letters, "abcdefghijklmnopqrstuvwxyz\n", "{producer:?} to {consumer:?}");
        assert_eq!(producing.ok(), "answered\n");
        assert_eq!(world.segments(), [""; 0]);
    }
}

fn absence_is_1(world: &World) {
    for (language, _) in PAIRS {
        world.run(language, &["consume"]).fails(1);
        world.run(language, &[]).fails(2);
    }
}
