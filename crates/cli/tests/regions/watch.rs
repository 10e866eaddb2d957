//! Changes that are told as they come.

use std::io::{BufRead, BufReader};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{Outcome, Running, World, worlds};
use crate::office::{Player, office};

/// Does the same again and again until the watcher ends; when it begins to look nobody says.
fn until_it_ends(mut watching: Running, mut act: impl FnMut(u64)) -> Outcome {
    for number in 1.. {
        if watching.0.try_wait().unwrap().is_some() {
            break;
        }
        act(number);
        std::thread::sleep(Duration::from_millis(5));
    }
    watching.finish()
}

#[test]
fn fields_that_change_are_told() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let _holder = Player::start(&world, "holder", "7");
        let watching = world.start("watch name:market trades board[1] --every 20ms -n 6 --json");
        let outcome = until_it_ends(watching, |number| {
            market.trades.add(1).unwrap();
            market.ledger.update(5, |row| row.limits.low -= 1).unwrap();
            market.board.update(|board| board[1].sell = number as f64).unwrap();
        });
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let lines: Vec<Value> =
            outcome.out.lines().map(|line| crate::common::document("watch", line)).collect();
        assert_eq!(lines.len(), 6);
        for line in &lines {
            let number = |side: &str| line[side].as_f64().unwrap();
            assert!(["trades", "board[1].sell"].contains(&line["field"].as_str().unwrap()), "{line}");
            assert!(number("before") < number("after") && line["unix_ns"].as_u64().unwrap() > 0, "{line}");
        }
        // What one look ends with the next begins with.
        let trades: Vec<&Value> = lines.iter().filter(|line| line["field"] == "trades").collect();
        assert!(trades.windows(2).all(|pair| pair[0]["after"] == pair[1]["before"]), "{trades:?}");

        let watching = world.start("watch name:market board --every 20ms -n 1");
        let outcome = until_it_ends(watching, |number| {
            market.board.update(|board| board[0].sell = number as f64).unwrap();
        });
        assert!(outcome.out.contains("board[0].sell  ") && outcome.out.ends_with(" p\n"), "{outcome:?}");
        let none = world.run("watch name:market --every 10ms --timeout 100ms");
        assert!(none.code == 124 && none.out.is_empty() && none.err.contains("nothing changed"), "{none:?}");
    }
}

#[test]
fn bytes_that_change_are_told_until_the_segment_goes() {
    for world in worlds() {
        world.ok("create --key 1 --size 8K");
        let holder = world.holder("key:1");
        let write = |world: &World, text: &str| world.feed("write key:1 --offset 4100", text.as_bytes());
        let watching = world.start("watch key:1 --every 20ms -n 2");
        let outcome = until_it_ends(watching, |number| {
            assert_eq!(write(&world, if number % 2 == 0 { "milk" } else { "oats" }).code, 0);
        });
        assert_eq!(outcome.code, 0, "{outcome:?}");
        for line in outcome.out.lines() {
            assert!(line.contains("  0x1004  ") && line.contains(" -> "), "{outcome:?}");
        }
        let named = world.run("watch key:1 board");
        assert!(named.code == 1 && named.err.contains("plain segment"), "{named:?}");
        drop(holder);
        let mut watching = world.start("watch key:1 --every 10ms");
        let mut lines = BufReader::new(watching.0.stdout.take().unwrap()).lines();
        let told = std::thread::spawn(move || (lines.next(), lines));
        for number in 1.. {
            if told.is_finished() {
                break;
            }
            write(&world, if number % 2 == 0 { "milk" } else { "oats" });
        }
        // Without a reader it would end for that.
        let (line, _lines) = told.join().unwrap();
        let Some(Ok(line)) = line else { panic!("nothing was told: {:?}", watching.finish()) };
        assert!(line.contains("0x1004"), "{line}");
        world.ok("rm key:1 --force --yes");
        let outcome = watching.finish();
        assert!(outcome.code == 0 && outcome.err.contains("was removed"), "{outcome:?}");
        assert_eq!(world.run("watch key:1").code, 1);
    }
}

#[test]
fn signals_in_a_row_leave_no_copies() {
    for world in worlds() {
        world.ok("create --key 1 --size 100000");
        for pause_ms in [20, 30, 50, 80] {
            let mut watching = world.start("watch key:1 --every 1ms");
            sleep(Duration::from_millis(pause_ms));
            let pid = Pid::from_raw(watching.pid().cast_signed());
            for _ in 0..3 {
                let _ = kill(pid, Signal::SIGTERM);
            }
            watching.0.wait().unwrap();
        }
        let left = std::fs::read_dir(world.temporary()).unwrap().flatten();
        let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("copy")), "{left:?}");
    }
}
