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
