//! The exchange with desks: orders in a queue, prices to all, and that no order is lost or done twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::world::{Language::Rust, World};

on_both_backends!("desk-exchange": desks_carry_out_what_is_sent orders_wait_for_a_desk
    what_no_desk_carries_out_is_said_to_be_lost several_desks_share_the_orders
    whoever_watches_hears_each_price absence_is_1 a_storm_loses_nothing_and_does_nothing_twice
    a_killed_storm_leaves_nothing);

/// Starts a desk, and waits until it has opened.
fn desk(world: &World) -> Process {
    let mut desk = world.run(Rust, &["desk"]);
    assert_eq!(desk.line(), "waiting for orders");
    desk
}

fn trade(world: &World, orders: &str) -> String {
    world.run_with_input(Rust, &["--name", "anna", "trade"], orders).ok()
}

fn desks_carry_out_what_is_sent(world: &World) {
    world.run(Rust, &["init"]).ok();
    let desk = desk(world);
    let orders = "buy EURO 10\nsell POUND 2\nbuy DOLLAR 100\n";
    let answers = "buy EURO 10: 0\nsell POUND 2: 0\nbuy DOLLAR 100: -1\nbalance 877.280\n";
    assert_eq!(trade(world, orders), answers);
    assert!(world.run(Rust, &["show"]).ok().ends_with("stock 45008 = opening 45000 + ledger 8\n"));
    world.run(Rust, &["close"]).ok();
    let refusal = "buy DOLLAR 100: refused: it costs 1340.000, the balance is 877.280\n";
    assert_eq!(desk.ok(), format!("buy EURO 10: done\nsell POUND 2: done\n{refusal}"));
    assert_eq!(world.segments(), [""; 0]);
}

fn orders_wait_for_a_desk(world: &World) {
    world.run(Rust, &["init"]).ok();
    let mut trading = world.run_with_input(Rust, &["trade"], "buy EURO 1\nbuy EURO 2\n");
    trading.complains("trade: no desk is there: waiting");
    let killed = desk(world);
    assert_eq!(trading.line(), "buy EURO 1: 0");
    drop(killed);
    let desk = desk(world);
    let traded = trading.finish();
    assert!(String::from_utf8_lossy(&traded.stdout).starts_with("buy EURO 2: 0\n"), "{traded:?}");
    world.run(Rust, &["close"]).ok();
    desk.ok();
}

fn what_no_desk_carries_out_is_said_to_be_lost(world: &World) {
    world.run(Rust, &["init"]).ok();
    let trading = world.run_with_input(Rust, &["trade"], "buy EURO 1\n");
    trading.complains("no desk is there");
    std::thread::sleep(Duration::from_millis(200));
    let closed = world.run(Rust, &["close"]).finish();
    let told = String::from_utf8_lossy(&closed.stderr);
    assert!(closed.status.success() && told.ends_with("not carried out: 1\n"), "{told}");
    assert!(trading.fails(2).ends_with("the office has closed\n"));
}

fn several_desks_share_the_orders(world: &World) {
    world.run(Rust, &["init"]).ok();
    let desks: Vec<Process> = (0..3).map(|_| desk(world)).collect();
    let orders = "sell DOLLAR 1\n".repeat(300);
    let trading: Vec<_> = (0..3).map(|_| world.run_with_input(Rust, &["trade"], &orders)).collect();
    for trader in trading {
        assert_eq!(trader.ok().matches(": 0\n").count(), 300);
    }
    assert!(world.run(Rust, &["show"]).ok().contains("DOLLAR       13.720     13.400         9100"));
    world.run(Rust, &["close"]).ok();
    let served: usize = desks.into_iter().map(|desk| desk.ok().lines().count()).sum();
    assert_eq!(served, 900);
}

fn whoever_watches_hears_each_price(world: &World) {
    world.run(Rust, &["init"]).ok();
    let desk = desk(world);
    let mut watching = world.run(Rust, &["watch"]);
    // What was said before it listened it does not hear.
    let heard = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let since = Instant::now();
            while !heard.load(Ordering::Relaxed) && since.elapsed() < Duration::from_secs(20) {
                trade(world, "buy EURO 1\nsell EURO 1\n");
            }
        });
        let first = watching.line();
        heard.store(true, Ordering::Relaxed);
        assert!(first.starts_with("EURO: sell 19.500, buy 18.920, stock "), "{first}");
    });
    world.run(Rust, &["close"]).ok();
    assert!(watching.ok().ends_with("the office has closed\n"));
    desk.ok();
}

fn absence_is_1(world: &World) {
    for verb in ["desk", "trade", "watch", "show", "close"] {
        let complaint = world.run(Rust, &[verb]).fails(1);
        assert!(complaint.contains("desk-exchange init"), "{complaint}");
    }
    world.run(Rust, &["rob"]).fails(2);
    world.run(Rust, &["--desks", "0", "storm"]).fails(2);
    assert!(world.run(Rust, &["--help"]).ok().contains("storm"));
}

fn a_storm_loses_nothing_and_does_nothing_twice(world: &World) {
    let args = ["storm", "--traders", "4", "--desks", "3", "--kill-every", "8ms", "--seconds", "2"];
    let report = world.run(Rust, &args).ok();
    assert!(report.contains("\nbooks balance: stock "), "{report}");
    let number = |name: &str| -> u64 {
        let line = report.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split([',', ' ']).find_map(|word| word.parse().ok()).unwrap()
    };
    assert!(number("kills  ") >= 10 && number("trades  ") > 100 && number("checks  ") > 1, "{report}");
    assert_eq!(world.segments(), [""; 0]);
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
