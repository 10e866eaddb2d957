//! Regions that are removed from the shell while programs use them.

use coseg::Inspection;

use crate::channels::{desk, receiver};
use crate::common::worlds;
use crate::office::office;

#[test]
fn who_waits_in_a_region_is_told_when_it_is_removed() {
    for world in worlds() {
        let desk = desk(&world);
        let tail = receiver(&world, "channel tail name:desk orders --timeout 20s", "orders");
        world.ok("rm --force name:desk");
        let told = tail.finish();
        assert!(told.code == 2 && told.err.contains("the region was removed meanwhile"), "{told:?}");
        let refused = desk.orders.receiver().unwrap().receive().unwrap_err();
        assert!(refused.to_string().contains("removed meanwhile"), "{refused}");
    }
}

#[test]
fn what_is_no_whole_region_is_removed_as_well() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let memory = market.segment().attach().unwrap();
        memory.write(64, &9_u64.to_ne_bytes()).unwrap();
        assert!(world.ok("rm --force key:7").contains("its memory stays"));
        world.ok("create --key 8 --size 10");
        let _holder = world.holder("key:8");
        assert_eq!(world.run("rm key:8").code, 1);
        world.ok("rm --force key:8");
    }
}

#[test]
fn a_removed_region_is_not_listed() {
    for world in worlds() {
        let desk = desk(&world);
        assert!(world.ok("channel ls").contains("orders"));
        desk.segment().remove().unwrap();
        let listing = world.run("channel ls");
        assert!(listing.out.is_empty() && listing.err.contains("no channels in 0 regions"), "{listing:?}");
        assert!(Inspection::of(desk.segment()).is_ok(), "to its attachers it is what it was");
    }
}
