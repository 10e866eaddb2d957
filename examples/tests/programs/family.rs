//! Parent and child, and two strangers, between C and Rust, on both backends.

use crate::world::{Language, PAIRS, World};

on_both_backends!("family": a_child_reads_and_changes a_twin_can_be_the_child strangers_share_four_ints absence_is_1);

const CONVERSATION: &str = "parent wrote a=1 b=2.50 x=p\n\
                            child read a=1 b=2.50 x=p\n\
                            parent reads a=2 b=5.00 x=c\n";

fn a_child_reads_and_changes(world: &World) {
    for language in [Language::C, Language::Rust] {
        assert_eq!(world.run(language, &["private"]).ok(), CONVERSATION, "{language:?}");
        assert_eq!(world.segments(), [""; 0]);
    }
}

fn a_twin_can_be_the_child(world: &World) {
    for (parent, child) in PAIRS {
        let child = world.path(child);
        let args = ["private", "--child", child.to_str().unwrap()];
        assert_eq!(
            world.run_with_twin(parent, &args).ok(),
            CONVERSATION,
            "{parent:?} and {}",
            child.display()
        );
        assert_eq!(world.segments(), [""; 0]);
        world.run(parent, &["private", "--child", "/no/such/program"]).fails(2);
        assert_eq!(world.segments(), [""; 0]);
    }
}

fn strangers_share_four_ints(world: &World) {
    for (writer, reader) in PAIRS {
        world.run(writer, &["write", "1", "-2", "2147483647", "-2147483648"]).ok();
        assert_eq!(
            world.run(reader, &["read"]).ok(),
            "1 -2 2147483647 -2147483648\n",
            "{writer:?} to {reader:?}"
        );
        world.run(writer, &["write", "1", "2", "3", "2147483648"]).fails(2);
        assert_eq!(world.run(reader, &["read"]).ok(), "1 -2 2147483647 -2147483648\n");
        world.run(reader, &["remove"]).ok();
    }
}

fn absence_is_1(world: &World) {
    for (language, _) in PAIRS {
        world.run(language, &["read"]).fails(1);
        world.run(language, &["remove"]).fails(1);
        world.run(language, &["child", "123456"]).fails(2);
        world.run(language, &["write", "1", "2", "3"]).fails(2);
    }
}
