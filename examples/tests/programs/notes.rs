//! The notes, between C and Rust, on both backends.

use crate::world::{PAIRS, World};

on_both_backends!("notes": a_note_is_found_by_the_other a_note_is_replaced a_long_note_is_refused absence_is_1);

fn a_note_is_found_by_the_other(world: &World) {
    for (writer, reader) in PAIRS {
        world.run(writer, &["write", "milk", "and", "bread"]).ok();
        assert_eq!(world.run(reader, &["read"]).ok(), "milk and bread\n", "{writer:?} to {reader:?}");
        world.run(reader, &["remove"]).ok();
        assert_eq!(world.segments(), [""; 0]);
    }
}

fn a_note_is_replaced(world: &World) {
    let file = world.directory().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for (first, second) in PAIRS {
        world.run(first, &["--path", file, "write", "a longer note"]).ok();
        world.run(second, &["--path", file, "write", "short"]).ok();
        assert_eq!(world.run(first, &["--path", file, "read"]).ok(), "short\n");
        world.run(second, &["read"]).fails(1);
        world.run(second, &["--path", file, "remove"]).ok();
    }
}

fn a_long_note_is_refused(world: &World) {
    let (fits, too_long) = ("x".repeat(1023), "x".repeat(1024));
    for (writer, reader) in PAIRS {
        let complaint = world.run(writer, &["write", &too_long]).fails(2);
        assert!(complaint.contains("1024") && complaint.contains("1023"), "{complaint}");
        world.run(reader, &["read"]).fails(1);
        world.run(writer, &["write", &fits]).ok();
        assert_eq!(world.run(reader, &["read"]).ok().trim_end(), fits);
        world.run(writer, &["remove"]).ok();
    }
}

fn absence_is_1(world: &World) {
    for (language, _) in PAIRS {
        world.run(language, &["read"]).fails(1);
        world.run(language, &["remove"]).fails(1);
        world.run(language, &["--path", "/no/such/file", "read"]).fails(2);
        world.run(language, &["sing"]).fails(2);
    }
}
