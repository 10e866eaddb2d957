//! Opening: what is refused, and what it says.

use coseg::{Cell, ErrorKind, Inspection, Key, Mode, Region, Shared, Table};
use coseg_sysv::Segment;

use crate::house::{Currency, KEY, START, World, on_each};

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Other {
    buy: u32,
    stock: i64,
    name: [u8; 8],
}

#[test]
fn a_mismatch_is_shown_field_by_field() {
    on_each(|world| {
        let made = world.at::<[Currency; 4]>(KEY).create(|| [START; 4]).unwrap();
        let error = world.at::<[Other; 4]>(KEY).open().unwrap_err();
        let paths: Vec<_> = error.differences().iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["value[].buy", "value[].name", "value[]"], "{error}");
        assert!(
            error.to_string().contains("value[].buy: the region has u64, the program expects u32"),
            "{error}"
        );
        let error = world.at::<[Currency; 5]>(KEY).open_or_create(|| [START; 5]).unwrap_err();
        assert_eq!(error.differences()[0].program, "[Currency; 5]", "{error}");
        made.remove().unwrap();
    });
}

mod before {
    use super::*;
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    #[shared(room = 64)]
    pub(super) struct Trader {
        pub(super) balance: u64,
    }
}

mod after {
    use super::*;
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    #[shared(room = 64)]
    pub(super) struct Trader {
        pub(super) balance: u64,
        pub(super) limit: u32,
    }
}

#[test]
fn a_field_added_at_the_end_opens_old_regions_and_new_ones() {
    on_each(|world| {
        let old = world.at::<before::Trader>(KEY).create(|| before::Trader { balance: 5 }).unwrap();
        let new = world.at::<after::Trader>(KEY).open().unwrap();
        assert_eq!(new.read(), after::Trader { balance: 5, limit: 0 });
        new.update(|trader| trader.limit = 3).unwrap();
        old.update(|trader| trader.balance = 6).unwrap();
        old.update(|trader| trader.balance += 1).unwrap();
        assert_eq!(new.read(), after::Trader { balance: 7, limit: 3 }, "kept by one who does not know it");
        old.remove().unwrap();

        #[derive(Shared, Clone, Copy)]
        #[repr(C)]
        struct Cramped {
            balance: u64,
        }
        let cramped = world.at::<Cramped>(KEY).create(|| Cramped { balance: 1 }).unwrap();
        let error = world.at::<after::Trader>(KEY).open().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Mismatch(_)), "{error}");
        cramped.remove().unwrap();
    });
}

mod padded {
    use super::*;
    #[derive(Shared, Clone, Copy, Debug)]
    #[repr(C)]
    pub(super) struct Before {
        pub(super) a: u64,
        pub(super) b: u32,
    }
    #[derive(Shared, Clone, Copy, Debug)]
    #[repr(C)]
    pub(super) struct After {
        pub(super) a: u64,
        pub(super) b: u32,
        pub(super) c: u32,
    }
}

#[test]
fn a_field_in_anothers_padding_is_refused() {
    on_each(|world| {
        let made = world.at::<padded::Before>(KEY).create(|| padded::Before { a: 1, b: 2 }).unwrap();
        let error = world.at::<padded::After>(KEY).open().unwrap_err();
        assert_eq!(error.differences()[0].path, "value.c", "{error}");
        made.remove().unwrap();
    });
}

#[test]
fn what_nobody_could_open_is_not_made() {
    on_each(|world| {
        let refused = |error: coseg::Error, fact: &str| {
            assert_eq!(*error.kind(), ErrorKind::BadValue, "{error}");
            assert!(error.to_string().contains(fact), "{error}");
        };
        refused(world.at::<u64>(KEY).participants(0).create(|| 1).unwrap_err(), "room for 0 participants");
        refused(world.at::<u64>(KEY).name(&"n".repeat(65)).create(|| 1).unwrap_err(), "65 bytes");
        refused(world.at::<[[u64; 0]; 3]>(KEY).create(|| [[]; 3]).unwrap_err(), "an array of no size");
        refused(world.at::<u64>(Key::PRIVATE).open().unwrap_err(), "Region::of");
        let private = world.at::<u64>(Key::PRIVATE).create(|| 4).unwrap();
        let again = Region::<u64>::of(private.segment()).create(|| 5).unwrap_err();
        assert_eq!(*again.kind(), ErrorKind::Exists, "{again}");
        assert_eq!(private.read(), 4);
        private.remove().unwrap();
    });
}

#[test]
fn who_opens_while_others_remove_finds_a_region() {
    on_each(|world| {
        let until = std::time::Instant::now() + std::time::Duration::from_millis(300);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while std::time::Instant::now() < until {
                        let region = world.at::<u64>(KEY).open_or_create(|| 9).unwrap();
                        assert_eq!(region.read(), 9);
                        let _ = region.remove();
                    }
                });
            }
        });
    });
}

#[test]
fn what_is_no_region_is_left_alone() {
    on_each(|world| {
        let plain = Segment::options(KEY).size(100_000).create(&world.backend).unwrap();
        plain.attach().unwrap().write(0, b"somebody's data").unwrap();
        for error in [
            world.at::<[Currency; 4]>(KEY).open().unwrap_err(),
            world.at::<[Currency; 4]>(KEY).open_or_create(|| [START; 4]).unwrap_err(),
            Inspection::of(&plain).unwrap_err(),
        ] {
            assert_eq!(*error.kind(), ErrorKind::NotARegion, "{error}");
        }
        let mut text = [0; 15];
        plain.attach().unwrap().read(0, &mut text).unwrap();
        assert_eq!(&text, b"somebody's data");
        plain.remove().unwrap();
        let error = world.at::<[Currency; 4]>(KEY).open().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Segment);
        assert_eq!(error.segment_error().unwrap().errno().to_string(), "ENOENT", "{error}");
    });
}

#[test]
fn a_region_that_lets_others_in_is_not_trusted() {
    on_each(|world| {
        let open = |mode| world.at::<[Currency; 4]>(KEY).mode(Mode::new(mode)).open();
        let made = world.at::<[Currency; 4]>(KEY).mode(Mode::new(0o666)).create(|| [START; 4]).unwrap();
        let error = open(0o600).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Untrusted, "{error}");
        assert!(open(0o666).is_ok());
        made.remove().unwrap();
    });
}

#[derive(coseg::Region)]
struct Small {
    value: Cell<u64>,
    rows: Table<u64, 3>,
}

#[test]
fn slots_are_used_again_and_run_out() {
    on_each(|world| {
        let first = world.at::<Small>(KEY).participants(2).create(SmallInitial::default).unwrap();
        let second = world.at::<Small>(KEY).participant("second").open().unwrap();
        let names: Vec<_> = first.participants().iter().map(|who| (who.slot, who.name.clone())).collect();
        assert_eq!(names[1], (1, "second".to_owned()));
        let error = world.at::<Small>(KEY).open().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NoSlot, "{error}");
        drop(second);
        let third = world.at::<Small>(KEY).open().unwrap();
        assert_eq!(third.participants()[1].generation, 2);
        first.remove().unwrap();
    });
}

#[test]
fn damage_is_told_and_never_believed() {
    on_each(|world| {
        let region = world.at::<Small>(KEY).create(SmallInitial::default).unwrap();
        let memory = region.segment().attach().unwrap();
        let mut whole = vec![0; memory.size_bytes()];
        memory.read(0, &mut whole).unwrap();
        // Header and schema, word by word; the contents are anybody's to change.
        for at in (0..whole.len().min(20_000)).step_by(8) {
            for change in [[0xff; 8], [0; 8], [1; 8]] {
                memory.write(at, &change).unwrap();
                if let Ok(look) = Inspection::of(region.segment()) {
                    for part in 0..look.schema().parts.len() {
                        let _ = look.part(part);
                    }
                    let _ = (look.locks(), look.participants());
                }
                memory.write(at, &whole[at..at + 8]).unwrap();
            }
        }
        let _ = open(world);
        region.remove().unwrap();
    });
}

fn open(world: &World) -> coseg::Result<Region<Small>> {
    world.at::<Small>(KEY).open()
}

#[test]
fn whoever_waits_is_told_that_the_region_was_removed() {
    on_each(|world| {
        let office = world.office();
        let removed = |error: coseg::Error| assert_eq!(*error.kind(), ErrorKind::Removed, "{error}");
        std::thread::scope(|scope| {
            let value = scope.spawn(|| office.board.wait_while(|_| true, None).unwrap_err());
            let row = scope.spawn(|| office.ledger.row(0)?.wait_while(|_| true, None));
            let event = scope.spawn(|| office.bell.wait(0, None).unwrap_err());
            std::thread::sleep(std::time::Duration::from_millis(30));
            office.remove().unwrap();
            removed(value.join().unwrap());
            removed(row.join().unwrap().unwrap_err());
            removed(event.join().unwrap());
        });
        office.board.update(|board| board[0].stock = 3).unwrap();
        removed(Region::<crate::house::Office>::of(office.segment()).open().unwrap_err());
        removed(Inspection::of(office.segment()).unwrap_err());
        world.office().remove().unwrap();
    });
}

#[test]
fn a_private_region_is_shared_by_id() {
    on_each(|world| {
        let private = Segment::options(Key::PRIVATE).size(100_000).create(&world.backend).unwrap();
        let refused = Region::<u64>::of(&private).open_or_create(|| 1).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::NotARegion, "of another size than the region's");
        private.remove().unwrap();
        let region = world.at::<u64>(Key::PRIVATE).name("market").create(|| 5).unwrap();
        let look = Inspection::of(region.segment()).unwrap();
        let same = Region::<u64>::of(&Segment::of_id(&world.backend, region.segment().id())).open().unwrap();
        assert_eq!(same.read(), 5);
        assert_eq!((look.name(), look.get("value").unwrap().to_string()), ("market", "5".to_owned()));
        let change = Inspection::join(region.segment()).unwrap();
        change.set("value", "12", std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(region.read(), 12);
        let error = change.set("value", "-1", std::time::Duration::from_secs(1)).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::BadValue, "{error}");
        region.remove().unwrap();
    });
}
