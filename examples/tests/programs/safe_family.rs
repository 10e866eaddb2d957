//! Parent and child, and strangers, through regions, on both backends.

use crate::world::{Language::Rust, World};

on_both_backends!("safe-family": a_child_reads_and_changes strangers_share_four_ints absence_is_1);

const CONVERSATION: &str = "parent wrote a=1 b=2.50 x=p\n\
                            child read a=1 b=2.50 x=p\n\
                            parent reads a=2 b=5.00 x=c\n";

fn a_child_reads_and_changes(world: &World) {
    assert_eq!(world.run(Rust, &["private"]).ok(), CONVERSATION);
    assert_eq!(world.segments(), [""; 0]);
}

fn strangers_share_four_ints(world: &World) {
    for values in [["1", "-2", "2147483647", "-2147483648"], ["4", "3", "2", "1"]] {
        let [a, b, c, d] = values;
        world.run(Rust, &["write", a, b, c, d]).ok();
        assert_eq!(world.run(Rust, &["read"]).ok(), values.join(" ") + "\n");
    }
    world.run(Rust, &["write", "1", "2", "3", "2147483648"]).fails(2);
    assert_eq!(world.run(Rust, &["read"]).ok(), "4 3 2 1\n");
    world.run(Rust, &["remove"]).ok();
    assert_eq!(world.segments(), [""; 0]);
}

fn absence_is_1(world: &World) {
    world.run(Rust, &["read"]).fails(1);
    world.run(Rust, &["remove"]).fails(1);
    world.run(Rust, &["child", "123456"]).fails(1);
    world.run(Rust, &["write", "1", "2", "3"]).fails(2);
}
