//! Maps, shown and changed by their keys.

use std::time::Duration;

use coseg::{Key, Map, Region, Shared, Text};

use crate::common::{World, worlds};
use crate::office::backend;

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Position {
    amount: i64,
    /// What one costs.
    #[shared(unit = "EUR")]
    price: f64,
}

#[derive(Region)]
struct Book {
    /// What is held.
    positions: Map<u64, Position, 100>,
    quotes: Map<Text<8>, f64, 5>,
    pairs: Map<[u8; 2], u8, 3>,
}

fn book(world: &World) -> Region<Book> {
    let position = |amount| Position { amount, price: 1.5 };
    let initial = || BookInitial {
        positions: vec![(3, position(-7)), (1000, position(9)), (0, position(0))],
        quotes: vec![("EURUSD".into(), 1.07), ("a]".into(), 0.5)],
        pairs: vec![([1, 2], 12)],
    };
    Region::<Book>::at(Key::new(7)).backend(&backend(world)).name("book").create(initial).unwrap()
}

#[test]
fn a_map_is_shown_by_its_keys() {
    for world in worlds() {
        let book = book(&world);
        book.quotes.put_for(&"gone".into(), 1.0, Duration::ZERO).unwrap();
        let text = world.ok("show name:book");
        let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "positions map of u64 to Position, 3 of 100 entries in use What is held. price: What one costs.",
            "key amount price(EUR) [0] 0 1.5 [3] -7 1.5 [1000] 9 1.5",
            "quotes map of text of 8 bytes to f64, 2 of 5 entries in use key value [\"EURUSD\"] 1.07 [\"a]\"] 0.5",
            "pairs map of [u8; 2] to u8, 1 of 3 entries in use key value [[1, 2]] 12",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let json = world.json("show name:book positions");
        let part = &json["parts"][0];
        assert_eq!((part["kind"].as_str(), part["capacity"].as_u64()), (Some("map"), Some(100)));
        assert_eq!(part["entries"][2]["key"], 1000);
        assert_eq!(part["entries"][2]["value"]["amount"], 9);
    }
}

#[test]
fn a_value_is_read_and_set_by_its_key() {
    for world in worlds() {
        let book = book(&world);
        for (path, value) in [
            ("positions[3].amount", "-7\n"),
            ("positions[\"1000\"].price", "1.5\n"),
            ("quotes[EURUSD]", "1.07\n"),
            ("quotes[\"a]\"]", "0.5\n"),
        ] {
            assert_eq!(world.ok(&format!("get name:book {path}")), value, "{path}");
        }
        let set = world.ok("set name:book positions[3].amount=8 quotes[\"EURUSD\"]=1.08");
        assert!(set.contains("positions[3].amount: -7 -> 8"), "{set}");
        assert_eq!(book.positions.get(&3).unwrap().unwrap().amount, 8);
        assert_eq!(book.quotes.get(&Text::from("EURUSD")).unwrap(), Some(1.08));
        for (path, fact) in [
            ("positions[4]", "there is no key `4`"),
            ("positions[x]", "`x` is no u64"),
            ("positions.amount", "name a key first"),
            ("quotes[\"far-too-long\"]", "there is room for 8"),
            ("pairs[1]", "is no number or text"),
            ("positions[3].nothing", "has no field `nothing`"),
        ] {
            let outcome = world.run(&format!("get name:book {path}"));
            assert_eq!(outcome.code, 1, "{path}");
            assert!(outcome.err.contains(fact), "{path}: {}", outcome.err);
        }
    }
}

/// Lines of JSON, in an order of their own.
fn lines(out: &str) -> Vec<serde_json::Value> {
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    lines.into_iter().map(|line| crate::common::document("map ls", line)).collect()
}

#[test]
fn maps_are_listed_with_what_they_are_and_how_full() {
    for world in worlds() {
        let book = book(&world);
        book.quotes.put_for(&"gone".into(), 1.0, Duration::ZERO).unwrap();
        let text = world.ok("map ls");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["REGION", "MAP", "KEY", "VALUE", "CAPACITY", "USED", "EXPIRED"]);
        assert_eq!(rows[1], ["book", "positions", "u64", "Position", "100", "3", "0"]);
        assert_eq!(rows[2], ["book", "quotes", "text:of:8:bytes", "f64", "5", "3", "1"]);
        let json = world.json("map ls name:book");
        let quotes = &json["maps"][1];
        assert_eq!((quotes["used_count"].as_u64(), quotes["expired_count"].as_u64()), (Some(3), Some(1)));
        assert_eq!((&quotes["key_type"]["kind"], &quotes["region_name"]), (&"text".into(), &"book".into()));
        world.ok("create --key 8 --size 4K");
        let outcome = world.run("map ls key:8");
        assert!(outcome.code != 0 && outcome.err.contains("plain segment"), "{outcome:?}");
    }
}

#[test]
fn entries_are_listed_by_their_fields_or_as_lines() {
    for world in worlds() {
        let book = book(&world);
        let text = world.ok("map ls name:book positions");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            rows,
            [["key", "amount", "price(EUR)"], ["0", "0", "1.5"], ["3", "-7", "1.5"], ["1000", "9", "1.5"]]
        );
        book.quotes.put_for(&"b".into(), 1.0, Duration::from_secs(100)).unwrap();
        book.quotes.put_for(&"gone".into(), 1.0, Duration::ZERO).unwrap();
        let text = world.ok("map ls name:book quotes");
        assert!(text.contains("expires_in") && text.contains("1m") && !text.contains("gone"), "{text}");
        let lines = lines(&world.ok("map ls name:book quotes --json"));
        assert_eq!(lines[0], serde_json::json!({"key": "EURUSD", "value": 1.07}));
        let left = lines[2]["expires_in_ms"].as_u64().unwrap();
        assert!(lines[2]["key"] == "b" && (50_000..=100_000).contains(&left), "{lines:?}");
        let outcome = world.run("map ls name:book nothing");
        assert_eq!(outcome.code, 1);
        assert!(outcome.err.contains("none called `nothing`. Try: positions, quotes, pairs"), "{outcome:?}");
    }
}

#[test]
fn get_prints_values_as_json() {
    for world in worlds() {
        let book = book(&world);
        book.quotes.put_for(&"b".into(), 1.0, Duration::from_secs(100)).unwrap();
        for (line, out) in [
            ("positions 3", "{\"amount\":-7,\"price\":1.5}\n"),
            ("positions \"3\" 0", "{\"amount\":-7,\"price\":1.5}\n{\"amount\":0,\"price\":1.5}\n"),
            ("quotes EURUSD", "1.07\n"),
            ("quotes \"a]\"", "0.5\n"),
            ("pairs [1,2]", "12\n"),
        ] {
            assert_eq!(world.ok(&format!("map get name:book {line}")), out, "{line}");
        }
        let json = world.json("map get name:book quotes b");
        assert_eq!((&json["map"], &json["entries"][0]["value"]), (&"quotes".into(), &1.0.into()));
        assert!(json["entries"][0]["expires_in_ms"].as_u64().is_some_and(|left| left > 50_000));
        let outcome = world.run("map get name:book quotes none EURUSD");
        assert_eq!((outcome.code, outcome.out.as_str()), (1, "1.07\n"));
        assert!(outcome.err.contains("find quotes[\"none\"] of key 0x00000007"), "{outcome:?}");
        for (line, fact) in [
            ("positions x", "key x: encode u64: `x` is no u64"),
            ("positions -1", "-1 is no u64, which goes from 0"),
            ("quotes far-too-long", "there is room for 8"),
            ("pairs 1", "a number where [u8; 2] belongs"),
        ] {
            let outcome = world.run(&format!("map get name:book {line}"));
            assert_eq!(outcome.code, 2, "{line}");
            assert!(outcome.err.contains(fact), "{line}: {}", outcome.err);
        }
    }
}

#[test]
fn put_sets_what_the_types_allow() {
    for world in worlds() {
        let book = book(&world);
        let out = world.ok("map put name:book positions 17 {\"price\":2,\"amount\":-5}");
        assert_eq!(out, "positions[17]: nothing -> { amount: -5, price: 2.0 }\n");
        assert_eq!(book.positions.get(&17).unwrap().map(|own| (own.amount, own.price)), Some((-5, 2.0)));
        assert_eq!(world.ok("map put name:book quotes EURUSD -2"), "quotes[\"EURUSD\"]: 1.07 -> -2.0\n");
        world.ok("map put name:book pairs [3,4] 34 --for 100s");
        assert_eq!(book.pairs.get(&[3, 4]).unwrap(), Some(34));
        assert!(
            world.json("map get name:book pairs [3,4]")["entries"][0]["expires_in_ms"].as_u64()
                > Some(50_000)
        );
        let json = world.json("map put name:book pairs [3,4] 35");
        assert_eq!(json["changes"][0], serde_json::json!({"key": [3, 4], "before": 34, "after": 35}));
        for (line, fact) in [
            ("positions 17 {\"amount\":1}", "value: encode `price` of Position: it is missing"),
            (
                "positions 17 {\"amount\":1,\"price\":2,\"odd\":3}",
                "`odd` of Position: there is no such field",
            ),
            ("positions 17 {\"amount\":1.5,\"price\":2}", "1.5 is no i64"),
            ("positions 17 5", "a number where a struct belongs"),
            ("positions 17 {", "value: no JSON"),
            ("positions -17 {\"amount\":1,\"price\":2}", "key: encode u64"),
            ("pairs [3] 5", "it has 1 elements"),
            ("pairs [3,4] 256", "256 is no u8, which goes from 0 to 255"),
            ("pairs [3,4] null", "`null` is no u8"),
        ] {
            let outcome = world.run(&format!("map put name:book {line}"));
            assert_eq!(outcome.code, 2, "{line}: {outcome:?}");
            assert!(outcome.err.contains(fact), "{line}: {}", outcome.err);
        }
        assert_eq!(book.positions.get(&17).unwrap().map(|own| own.amount), Some(-5));
        assert_eq!(world.run("map put name:book quotes EURUSD").code, 2, "a key without a value");
    }
}

#[test]
fn new_and_if_hold_or_change_nothing() {
    for world in worlds() {
        let book = book(&world);
        world.ok("map put name:book quotes EURUSD 1.08 --if 1.07 --for 100s");
        world.ok("map put name:book quotes EURUSD 1.09 --if 1.08");
        assert!(
            world.json("map get name:book quotes EURUSD")["entries"][0]["expires_in_ms"].as_u64()
                > Some(50_000),
            "the time goes on"
        );
        world.ok("map put name:book quotes new 5 --new");
        world.ok(
            "map put name:book positions 3 {\"amount\":1,\"price\":1} --if {\"price\":1.5,\"amount\":-7}",
        );
        for (line, fact) in [
            ("quotes EURUSD 2 --if 1.08", "quotes[\"EURUSD\"] of key 0x00000007"),
            ("quotes EURUSD 2 --if 1.08", "its value is 1.09, not 1.08. Try: the same command with --if"),
            ("quotes EURUSD 2 --new", "it has a value: 1.09. Try: the same command without --new"),
            ("quotes none 2 --if 1", "there is no such key. Try: --new instead of --if"),
        ] {
            let outcome = world.run(&format!("map put name:book {line}"));
            assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{line}");
            assert!(outcome.err.contains(fact), "{line}: {}", outcome.err);
        }
        assert_eq!(book.quotes.get(&"EURUSD".into()).unwrap(), Some(1.09));
        assert_eq!(book.quotes.get(&"none".into()).unwrap(), None);
        for line in ["quotes a 1 --new --if 1", "quotes --if 1", "quotes a 1 --if x"] {
            assert_eq!(world.run(&format!("map put name:book {line}")).code, 2, "{line}");
        }
    }
}

#[test]
fn a_map_is_copied_by_a_pipe() {
    for world in worlds() {
        let from = book(&world);
        from.quotes.put_for(&"b".into(), 1.0, Duration::from_secs(100)).unwrap();
        let to =
            Region::<Book>::at(Key::new(8)).backend(&backend(&world)).create(BookInitial::default).unwrap();
        for map in ["positions", "quotes", "pairs"] {
            let entries = world.ok(&format!("map ls name:book {map} --json"));
            let outcome = world.feed(&format!("map put key:8 {map}"), entries.as_bytes());
            assert_eq!((outcome.code, outcome.out.as_str(), outcome.err.as_str()), (0, "", ""));
            let without_times = |out: &str| {
                let mut lines = lines(out);
                lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("expires_in_ms")));
                lines
            };
            let copied = world.ok(&format!("map ls key:8 {map} --json"));
            assert_eq!(without_times(&copied), without_times(&entries));
        }
        assert_eq!(to.quotes.len(), 3);
        assert!(world.json("map get key:8 quotes b")["entries"][0]["expires_in_ms"].as_u64() > Some(50_000));
    }
}

#[test]
fn a_line_that_is_no_entry_holds_up_no_other() {
    for world in worlds() {
        let book = book(&world);
        let lines = "{\"key\":\"c\",\"value\":1}\n\nnonsense\n{\"key\":\"d\"}\n{\"key\":\"e\",\"value\":true}\n\
             {\"key\":\"f\",\"value\":1,\"for\":2}\n{\"key\":null,\"value\":1}\n{\"key\":\"d\",\"value\":2,\"expires_in_ms\":100000}";
        let outcome = world.feed("map put name:book quotes --json", lines.as_bytes());
        assert_eq!(outcome.code, 2);
        let summary = crate::common::document("map put", &outcome.out);
        assert_eq!((&summary["put_count"], &summary["refused_count"]), (&2.into(), &5.into()));
        for fact in [
            "line 3: no JSON: ",
            "line 4: not as it should be: missing field `value`",
            "line 5: value: encode f64: a truth value where f64 belongs",
            "line 6: not as it should be: unknown field `for`",
            "line 7: not as it should be: null is no value at column 11",
        ] {
            assert!(outcome.err.contains(fact), "{fact}: {}", outcome.err);
        }
        assert_eq!(
            (book.quotes.get(&"c".into()).unwrap(), book.quotes.get(&"d".into()).unwrap()),
            (Some(1.0), Some(2.0))
        );
        let outcome = world.feed(
            "map put name:book quotes --new",
            b"{\"key\":\"c\",\"value\":9}\n{\"key\":\"e\",\"value\":9}",
        );
        assert_eq!(outcome.code, 1);
        assert!(
            outcome.err.contains("line 1: put quotes[\"c\"]") && !outcome.err.contains("line 2"),
            "{outcome:?}"
        );
        assert_eq!((book.quotes.get(&"c".into()).unwrap(), book.quotes.len()), (Some(1.0), 5));
        let more = b"{\"key\":\"c\",\"value\":7}\n{\"key\":\"f\",\"value\":1}\n{\"key\":\"d\",\"value\":7}";
        let full = world.feed("map put name:book quotes", more);
        assert_eq!(full.code, 1);
        let fact = "line 2: put into `quotes` of region 0x00000007";
        assert!(full.err.contains(fact) && full.err.contains("all 5 entries are in use"), "{full:?}");
        assert!(full.err.contains("1 entry was put before. Try: coseg map rm id:"), "{full:?}");
        assert_eq!(
            (book.quotes.get(&"c".into()).unwrap(), book.quotes.get(&"d".into()).unwrap()),
            (Some(7.0), Some(2.0))
        );
        let worse = world.feed("map put name:book quotes", b"nonsense\n{\"key\":\"f\",\"value\":1}");
        assert!(worse.code == 2 && worse.err.contains("line 2: put into"), "{worse:?}");
    }
}

#[test]
fn keys_are_removed_by_name_or_once_expired() {
    for world in worlds() {
        let book = book(&world);
        let would = world.ok("map rm name:book positions 3 0 --dry-run");
        assert_eq!(
            would,
            "would remove positions[3]: { amount: -7, price: 1.5 }\nwould remove positions[0]: { amount: 0, price: 1.5 }\n"
        );
        assert_eq!(book.positions.len(), 3);
        let outcome = world.run("map rm name:book positions 3 4 0");
        assert_eq!(outcome.code, 1);
        assert_eq!(outcome.out, would.replace("would remove", "removed"));
        assert!(outcome.err.contains("find positions[4] of key 0x00000007"), "{outcome:?}");
        let hint = format!("Try: coseg map ls id:{} positions, which", book.segment().id());
        assert!(outcome.err.contains(&hint), "{outcome:?}");
        assert_eq!(book.positions.len(), 1);
        assert_eq!(world.run("map rm name:book positions 1000 x").code, 2);
        assert_eq!(book.positions.len(), 1, "none is removed if one is no key");
        let json = world.json("map rm name:book pairs [1,2]");
        assert_eq!(json["changes"][0], serde_json::json!({"key": [1, 2], "before": 12, "after": null}));
        for key in ["a", "b"] {
            book.quotes.put_for(&key.into(), 1.0, Duration::ZERO).unwrap();
        }
        assert_eq!(
            world.ok("map rm name:book quotes --expired -n"),
            "would remove 2 expired entries of quotes\n"
        );
        assert_eq!(book.quotes.len(), 4);
        assert_eq!(world.ok("map rm name:book quotes --expired"), "removed 2 expired entries of quotes\n");
        assert_eq!(world.json("map rm name:book quotes --expired")["expired_count"], 0);
        assert_eq!(book.quotes.len(), 2);
        for (time, fact) in [("0s", "gone at once: coseg map rm"), ("1e12", "100 years are the longest")] {
            let refused = world.run(&format!("map put name:book quotes c 1 --for {time}"));
            assert!(refused.code == 2 && refused.err.contains(fact), "{refused:?}");
        }
        for line in ["quotes", "quotes a --expired"] {
            assert_eq!(world.run(&format!("map rm name:book {line}")).code, 2, "{line}");
        }
    }
}

#[test]
fn a_change_that_waits_too_long_for_the_lock_is_124() {
    for world in worlds() {
        let book = book(&world);
        book.transaction(|_| {
            for line in ["put name:book quotes EURUSD 2", "rm name:book quotes EURUSD"] {
                let outcome = world.run(&format!("map {line} --timeout 20ms"));
                assert_eq!(outcome.code, 124, "{line}: {outcome:?}");
                assert!(outcome.err.contains("held it"), "{outcome:?}");
            }
            assert_eq!(world.ok("map get name:book quotes EURUSD"), "1.07\n", "reading waits for nobody");
            Ok::<(), coseg::Error>(())
        })
        .unwrap();
    }
}

#[test]
fn every_part_of_it_explains_itself() {
    let world = World::new("user");
    for name in ["ls", "get", "put", "rm"] {
        let help = world.ok(&format!("map {name} --help"));
        assert!(help.contains("Examples:") && help.contains(&format!("coseg map {name}")), "{help}");
    }
    let directory = tempfile::tempdir().unwrap();
    world.ok(&format!("man --dir {}", directory.path().display()));
    assert!(directory.path().join("coseg-map-put.1").is_file());
    assert!(world.ok("completions bash").contains("--expired"));
}
