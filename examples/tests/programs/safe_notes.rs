//! Notes in a region, on both backends.

use crate::world::{Language::Rust, World};

on_both_backends!("safe-notes": a_note_says_who_wrote_it a_long_note_is_refused absence_is_1 help_is_no_error);

fn a_note_says_who_wrote_it(world: &World) {
    world.run(Rust, &["--author", "anna", "write", "milk", "and", "bread"]).ok();
    let note = world.run(Rust, &["read"]).ok();
    assert!(note.starts_with("milk and bread\nwritten by anna (uid "), "{note}");
    assert!(note.ends_with(" s ago, change 1\n"), "{note}");
    world.run(Rust, &["--author", "ben", "write", "tea"]).ok();
    let note = world.run(Rust, &["read"]).ok();
    assert!(note.starts_with("tea\nwritten by ben (uid ") && note.ends_with("change 2\n"), "{note}");
    world.run(Rust, &["remove"]).ok();
    assert_eq!(world.segments(), [""; 0]);
}

fn a_long_note_is_refused(world: &World) {
    let (fits, too_long) = ("ä".repeat(512), "x".repeat(1025));
    let complaint = world.run(Rust, &["write", &too_long]).fails(2);
    assert!(complaint.contains("1025") && complaint.contains("1024"), "{complaint}");
    world.run(Rust, &["read"]).fails(1);
    world.run(Rust, &["write", &fits]).ok();
    world.run(Rust, &["write", &too_long]).fails(2);
    assert_eq!(
        world.run(Rust, &["read"]).ok().lines().next(),
        Some(&*fits),
        "nothing was cut, nothing replaced"
    );
    world.run(Rust, &["remove"]).ok();
}

fn absence_is_1(world: &World) {
    for verb in ["read", "remove"] {
        let complaint = world.run(Rust, &[verb]).fails(1);
        assert!(complaint.contains("safe-notes write"), "{complaint}");
    }
    world.run(Rust, &["--path", "/no/such/file", "read"]).fails(2);
    world.run(Rust, &["write"]).fails(2);
}

fn help_is_no_error(world: &World) {
    assert!(world.run(Rust, &["--help"]).ok().starts_with("usage: safe-notes"));
}
