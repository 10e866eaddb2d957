//! The exchange office in a region: its rules, and that nothing is lost, on both backends.

use std::time::{Duration, Instant};

use crate::world::{Language::Rust, World};

on_both_backends!("safe-exchange": trading_follows_the_rules a_customer_keeps_the_balance bad_lines_are_skipped
    traders_at_one_time_lose_nothing a_watch_sees_each_change_and_the_end an_office_opens_once absence_is_1
    a_storm_loses_nothing a_full_house_has_room a_killed_storm_leaves_nothing);

fn trading_follows_the_rules(world: &World) {
    world.run(Rust, &["init"]).ok();
    let orders = "buy EURO 10\nsell POUND 2\n\n  buy DOLLAR 100  \nsell STERLIN 10001\nsell STERLIN 2";
    let results = "buy EURO 10: 0\nsell POUND 2: 0\n\
                   buy DOLLAR 100: -1 (it costs 1340.000, the balance is 877.280)\n\
                   sell STERLIN 10001: -1 (the stock is 10000)\nsell STERLIN 2: 0\nbalance 926.382\n";
    assert_eq!(world.run_with_input(Rust, &["trade"], orders).ok(), results);
    let board = world.run(Rust, &["show"]).ok();
    let stocks: Vec<&str> =
        board.lines().skip(1).take(4).filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(stocks, ["10000", "20010", "9998", "4998"]);
    assert!(board.ends_with("books balance: stock 45006 = opening 45000 + ledger 6\n"), "{board}");
    world.run(Rust, &["close"]).ok();
    assert_eq!(world.segments(), [""; 0]);
}

fn a_customer_keeps_the_balance(world: &World) {
    world.run(Rust, &["--key", "0x1234", "init"]).ok();
    let trade = |name: &str, order: &str| {
        world.run_with_input(Rust, &["--key", "4660", "--name", name, "trade"], order).ok()
    };
    assert_eq!(trade("anna", "buy EURO 10\n"), "buy EURO 10: 0\nbalance 810.800\n");
    assert_eq!(trade("ben", "buy EURO 50\n"), "buy EURO 50: 0\nbalance 54.000\n");
    assert_eq!(trade("anna", "sell EURO 10\n"), "sell EURO 10: 0\nbalance 1005.800\n");
    let orders = "buy EURO 18446744073709551615\nsell EURO 18446744073709551615\n";
    let results = trade("anna", orders);
    assert_eq!(results.matches(": -1 (").count(), 2, "{results}");
    for row in 2..64 {
        trade(&format!("customer {row}"), "");
    }
    let complaint = world.run(Rust, &["--key", "0x1234", "--name", "one too many", "trade"]).fails(2);
    assert!(complaint.contains("all 64 rows"), "{complaint}");
    world.run(Rust, &["--key", "0x1234", "--name", "a name that is much too long", "trade"]).fails(2);
    world.run(Rust, &["--key", "0x1234", "close"]).ok();
}

fn bad_lines_are_skipped(world: &World) {
    world.run(Rust, &["init"]).ok();
    let output = world.run_with_input(Rust, &["trade"], "buy EURO 1.5\nrob EURO 1\nsell EURO 1\n").finish();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "sell EURO 1: 0\nbalance 1019.500\n");
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(complaints.contains("line 1: ") && complaints.contains("line 2: "), "{complaints}");
    world.run(Rust, &["close"]).ok();
}

/// What the raw office loses trades by.
fn traders_at_one_time_lose_nothing(world: &World) {
    world.run(Rust, &["init"]).ok();
    let orders = "sell DOLLAR 1\n".repeat(3000);
    let trading: Vec<_> = (0..3).map(|_| world.run_with_input(Rust, &["trade"], &orders)).collect();
    for trader in trading {
        assert_eq!(trader.ok().matches(": 0\n").count(), 3000);
    }
    let board = world.run(Rust, &["show"]).ok();
    assert_eq!(board.lines().nth(1), Some("DOLLAR       13.720     13.400         1000"), "{board}");
    world.run(Rust, &["close"]).ok();
}

fn a_watch_sees_each_change_and_the_end(world: &World) {
    world.run(Rust, &["init"]).ok();
    let mut watching = world.run(Rust, &["watch"]);
    assert!(watching.line().starts_with("trades 0: DOLLAR 10000, EURO 20000,"));
    world.run_with_input(Rust, &["trade"], "buy EURO 10\n").ok();
    assert!(watching.line().starts_with("trades 1: DOLLAR 10000, EURO 20010,"));
    world.run(Rust, &["close"]).ok();
    assert_eq!(watching.ok(), "the office has closed\n");
}

fn an_office_opens_once(world: &World) {
    world.run(Rust, &["init"]).ok();
    world.run_with_input(Rust, &["trade"], "buy EURO 1\n").ok();
    for verb in ["init", "storm"] {
        let complaint = world.run(Rust, &[verb]).fails(2);
        assert!(complaint.contains("safe-exchange close"), "{complaint}");
    }
    assert!(world.run(Rust, &["show"]).ok().contains("20001"), "the stock survives a second opening");
    world.run(Rust, &["close"]).ok();
}

fn absence_is_1(world: &World) {
    for verb in ["trade", "show", "watch", "close"] {
        let complaint = world.run(Rust, &[verb]).fails(1);
        assert!(complaint.contains("safe-exchange init"), "{complaint}");
    }
    world.run(Rust, &["rob"]).fails(2);
    world.run(Rust, &["--traders", "65", "storm"]).fails(2);
    world.run(Rust, &["--key", "0", "init"]).fails(2);
    assert!(world.run(Rust, &["--help"]).ok().contains("storm"));
}

fn a_storm_loses_nothing(world: &World) {
    let args = ["storm", "--traders", "4", "--kill-every", "10ms", "--seconds", "1.5"];
    let report = world.run(Rust, &args).ok();
    assert!(report.contains("\nbooks balance: stock "), "{report}");
    let number = |name: &str| -> u64 {
        let line = report.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split([',', ' ']).find_map(|word| word.parse().ok()).unwrap()
    };
    assert!(number("kills  ") >= 10 && number("trades  ") > 100 && number("checks  ") > 1, "{report}");
    assert_eq!(world.segments(), [""; 0]);
}

/// As many as the ledger has rows, and the storm itself.
fn a_full_house_has_room(world: &World) {
    let args = ["storm", "--traders", "64", "--kill-every", "5ms", "--seconds", "1"];
    assert!(world.run(Rust, &args).ok().contains("\nbooks balance: stock "));
}

fn a_killed_storm_leaves_nothing(world: &World) {
    let mut storming =
        world.run(Rust, &["storm", "--traders", "3", "--kill-every", "10ms", "--seconds", "60"]);
    assert!(storming.line().contains("trades"));
    // The orphans see that they are.
    drop(storming);
    let since = Instant::now();
    while !world.segments().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(20), "{:?}", world.segments());
    }
}
