//! The exchange office, between C and Rust, on both backends.

use crate::world::{PAIRS, World};

on_both_backends!("exchange": the_board_is_the_same_to_both trading_follows_the_rules bad_lines_are_skipped
    an_office_opens_once absence_is_1);

const OPENING: &str = "\
currency       sell        buy        stock
DOLLAR       13.720     13.400    10000.000
EURO         19.500     18.920    20000.000
STERLIN      24.551     24.552    10000.000
POUND        33.240     33.250     5000.000
";

fn the_board_is_the_same_to_both(world: &World) {
    for (opener, reader) in PAIRS {
        assert_eq!(world.run(opener, &["init"]).ok(), OPENING);
        assert_eq!(world.run(reader, &["show"]).ok(), OPENING, "{opener:?} to {reader:?}");
        world.run(reader, &["close"]).ok();
        assert_eq!(world.segments(), [""; 0]);
    }
}

fn trading_follows_the_rules(world: &World) {
    let orders = "buy EURO 10\nsell POUND 2\n\n  buy DOLLAR 100  \nsell STERLIN 10001\nsell STERLIN 2";
    let results = "buy EURO 10.000: 0\nsell POUND 2.000: 0\nbuy DOLLAR 100.000: -1\nsell STERLIN 10001.000: -1\n\
                   sell STERLIN 2.000: 0\nbalance 926.382\n";
    for (trader, reader) in PAIRS {
        world.run(reader, &["init"]).ok();
        assert_eq!(world.run_with_input(trader, &["trade"], orders).ok(), results, "{trader:?}");
        let board = world.run(reader, &["show"]).ok();
        let stocks: Vec<&str> =
            board.lines().skip(1).filter_map(|line| line.split(' ').next_back()).collect();
        assert_eq!(stocks, ["10000.000", "20010.000", "9998.000", "4998.000"], "{trader:?} to {reader:?}");
        world.run(reader, &["close"]).ok();
    }
}

fn bad_lines_are_skipped(world: &World) {
    let orders = "buy EURO 1\nrob EURO 1\nbuy FRANC 1\nbuy EURO -1\nbuy EURO 0x10\nbuy EURO nan\nbuy EURO\n\
                  buy EURO 1 1\nbuy EURO .\nbuy EURO 1\0\nsell EURO 1\n";
    for (language, _) in PAIRS {
        world.run(language, &["init"]).ok();
        let output = world.run_with_input(language, &["trade"], orders).finish();
        assert_eq!(output.status.code(), Some(2));
        let results = String::from_utf8(output.stdout).unwrap();
        assert_eq!(results, "buy EURO 1.000: 0\nsell EURO 1.000: 0\nbalance 1000.580\n", "{language:?}");
        let complaints = String::from_utf8(output.stderr).unwrap();
        for number in 2..=10 {
            assert!(complaints.contains(&format!("line {number}: ")), "{language:?}: {complaints}");
        }
        assert_eq!(world.run(language, &["show"]).ok(), OPENING);
        world.run(language, &["close"]).ok();
    }
}

fn an_office_opens_once(world: &World) {
    for (first, second) in PAIRS {
        world.run(first, &["init"]).ok();
        world.run_with_input(first, &["trade"], "buy EURO 1\n").ok();
        world.run(second, &["init"]).fails(2);
        assert_ne!(world.run(second, &["show"]).ok(), OPENING, "the stock survives a second opening");
        world.run(second, &["close"]).ok();
    }
}

fn absence_is_1(world: &World) {
    for (language, _) in PAIRS {
        for verb in ["trade", "show", "close"] {
            world.run(language, &[verb]).fails(1);
        }
        world.run(language, &["rob"]).fails(2);
    }
}
