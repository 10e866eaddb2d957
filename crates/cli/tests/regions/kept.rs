//! Regions that are dumped, restored and compared.

use coseg::{Key, Region, Table};

use crate::common::{World, worlds};
use crate::office::{Player, backend, office};

pub(crate) fn file(world: &World, name: &str) -> String {
    let directory = world.directory().join("kept");
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(name).display().to_string()
}

/// The document of `coseg diff`, which ends with 1 where something differs.
fn differences(world: &World, line: &str) -> serde_json::Value {
    let outcome = world.run(&format!("{line} --json"));
    let document = crate::common::document(line, &outcome.out);
    assert_eq!(document["differs"], outcome.code == 1, "{outcome:?}");
    document
}

#[test]
fn a_region_differs_by_its_fields() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let _holder = Player::start(&world, "holder", "7");
        let before = file(&world, "before.dump");
        world.ok(&format!("dump key:7 {before}"));
        let same = world.run(&format!("diff {before} key:7"));
        assert_eq!((same.code, same.out.as_str(), same.err.as_str()), (0, "", ""));
        market.board.update(|board| board[0].sell = 14.0).unwrap();
        market.ledger.update(5, |row| row.limits.low = -9).unwrap();
        market.trades.add(1).unwrap();
        let text = world.run(&format!("diff {before} key:7"));
        assert_eq!(text.code, 1);
        assert_eq!(
            text.out,
            "FIELD                 BEFORE  AFTER  UNIT\n\
             board[0].sell          13.72   14.0  p\n\
             ledger[5].limits.low       0     -9  p\n\
             trades                    42     43  -\n\
             3 differences\n"
        );
        let json = differences(&world, &format!("diff {before} key:7"));
        assert_eq!((&json["compared_by"], &json["difference_count"]), (&"fields".into(), &3.into()));
        assert_eq!(json["differences"][1]["after"], -9);
        let few = differences(&world, &format!("diff {before} key:7 --limit 1"));
        assert_eq!((few["differences"].as_array().unwrap().len(), &few["difference_count"]), (1, &3.into()));
        assert_eq!(differences(&world, &format!("diff {before} key:7 --raw"))["compared_by"], "bytes");
        assert_eq!(differences(&world, "diff key:7 --after 1ms")["differs"], false);
    }
}

#[test]
fn a_restored_region_is_the_region() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let dumped = file(&world, "market.dump");
        let document = world.json(&format!("dump name:market {dumped}"));
        assert_eq!((&document["is_region"], &document["one_moment"]), (&true.into(), &true.into()));
        let shown = world.json("show key:7")["parts"].clone();
        drop(market);
        world.ok("rm key:7");
        world.ok(&format!("restore {dumped}"));
        assert_eq!(world.json("show key:7")["parts"], shown);
        world.ok("set key:7 odd.most=1");
    }
}

#[derive(Region)]
struct Other {
    rows: Table<u64, 8>,
}

#[test]
fn a_dump_goes_into_its_own_kind_of_region_only() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let size = market.segment().stat().unwrap().size_bytes;
        let dumped = file(&world, "market.dump");
        world.ok(&format!("dump key:7 {dumped}"));
        let attached = world.run(&format!("restore {dumped} key:7"));
        assert!(attached.code == 1 && attached.err.contains("attachment"), "{attached:?}");
        market.trades.add(5).unwrap();
        drop(market);
        world.ok(&format!("restore {dumped} key:7"));
        assert_eq!(world.ok("get key:7 trades"), "42\n");

        world.ok(&format!("create --key 8 --size {size}"));
        world.feed("write key:8", b"plain");
        let plain = world.run(&format!("restore {dumped} key:8"));
        assert!(plain.code == 1 && plain.err.contains("holds something else"), "{plain:?}");
        world.ok(&format!("create --key 9 --size {size}"));
        world.ok(&format!("restore {dumped} key:9"));
        assert_eq!(world.ok("get key:9 trades"), "42\n");

        let other = file(&world, "other.dump");
        let region = Region::<Other>::at(Key::new(10))
            .backend(&backend(&world))
            .create(OtherInitial::default)
            .unwrap();
        world.ok(&format!("dump key:10 {other}"));
        drop(region);
        let smaller = world.run(&format!("restore {other} key:9"));
        assert!(smaller.code == 1 && smaller.err.contains("the dump has"), "{smaller:?}");
        let json = differences(&world, &format!("diff {other} key:9"));
        let fields: Vec<&str> = json["differences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["field"].as_str().unwrap())
            .collect();
        assert!(fields.contains(&"rows") && fields.contains(&"board"), "{fields:?}");
    }
}

#[test]
fn a_damaged_region_is_dumped_as_bytes() {
    let world = World::new("user");
    let market = office(&world, 7, "market");
    market.segment().attach().unwrap().write(64, &9_u64.to_ne_bytes()).unwrap();
    let dumped = file(&world, "market.dump");
    let outcome = world.run(&format!("dump key:7 {dumped}"));
    assert_eq!(outcome.code, 0);
    assert!(
        outcome.err.contains("without a schema") && outcome.err.contains("key 0x00000007"),
        "{}",
        outcome.err
    );
    let same = world.run(&format!("diff {dumped} key:7"));
    assert!(same.code == 0 && same.err.contains("compared by bytes"), "{same:?}");
}
