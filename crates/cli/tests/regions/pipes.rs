//! Channels in pipelines: what becomes of messages and ends when a process of the pipeline goes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coseg_examples::floor::{self, Request};
use coseg_examples::safe_office::Trader;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::channels::{desk, eventually, order, receiver};
use crate::common::{Outcome, World, binary, finish, worlds};
use crate::office::backend;

/// The README's pipeline, as it stands there.
fn pipeline_of_readme() -> String {
    let readme = include_str!("../../../../README.md");
    let lines =
        readme.lines().skip_while(|line| !line.starts_with("$ coseg channel tail name:floor quotes |"));
    let is_more = |line: &&str| line.starts_with(['$', '>']);
    lines.take_while(is_more).map(|line| &line[1..]).collect::<Vec<_>>().join("\n")
}

/// A line of bash in a test's world, with `coseg` on its path.
fn bash(world: &World, line: &str) -> Outcome {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("set -o pipefail; {line}")]);
    command.env("COSEG_BACKEND", world.backend).env("COSEG_DIR", world.directory());
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", binary().parent().unwrap().display())).stdin(Stdio::null());
    finish(command)
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

fn receivers(world: &World, channel: &str) -> usize {
    world.json(&format!("channel stat name:desk {channel}"))["channel"]["receivers"].as_array().unwrap().len()
}

#[test]
fn prices_become_orders_in_one_line_of_shell() {
    if Command::new("jq").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("not tested: no jq here");
        return;
    }
    let line = pipeline_of_readme();
    assert!(line.ends_with("coseg channel send name:floor orders"), "{line}");
    for world in worlds() {
        let options = floor::options(&backend(&world), floor::KEY);
        let office = options.create(|| floor::opening(vec![Trader::new("ada", 0)])).unwrap();
        std::thread::scope(|scope| {
            let desk = scope.spawn(|| floor::run_desk(&office, |_| Ok(())).unwrap());
            let pipeline = scope.spawn(|| bash(&world, &line));
            eventually("a receiver of quotes", || !office.quotes.receivers().is_empty());
            let row = office.ledger.row(0).unwrap();
            let mut requests = office.orders.sender().unwrap();
            for (order, done_count) in [("buy DOLLAR 5", 1), ("buy EURO 10", 3), ("buy EURO 7", 5)] {
                requests.send(&Request::new(0, 0, &order.parse().unwrap())).unwrap();
                eventually("it, and what the pipeline sends", || row.read().order_count == done_count);
            }
            assert_eq!(office.board.read().map(|currency| currency.stock), [10_005, 20_000, 10_000, 5_000]);
            office.quotes.close().unwrap();
            let outcome = pipeline.join().unwrap();
            assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
            office.orders.close().unwrap();
            desk.join().unwrap();
        });
        assert!(office.quotes.receivers().is_empty() && office.orders.senders().is_empty());
    }
}

#[test]
fn a_pipeline_ends_with_its_reader_and_loses_nothing() {
    for world in worlds() {
        let desk = desk(&world);
        let mut sender = desk.numbers.sender().unwrap();
        sender.send(&1).unwrap();
        sender.send(&2).unwrap();
        // Nothing more is sent: it must see for itself that nobody reads.
        let since = Instant::now();
        let first = bash(&world, "coseg channel tail name:desk numbers | head -n 1");
        assert_eq!((first.code, first.out.as_str(), first.err.as_str()), (0, "1\n", ""));
        assert!(since.elapsed() < Duration::from_secs(10));
        let rest = world.ok("channel tail name:desk numbers --keep");
        // The second may have been written into the pipe before its reader went.
        assert!(rest == "2\n" || rest.is_empty(), "{rest}");
        sender.send(&3).unwrap();
        let mut unread = receiver(&world, "channel tail name:desk prices", "prices");
        drop(unread.0.stdout.take());
        assert_eq!(unread.0.wait().unwrap().code(), Some(0));
        assert_eq!(receivers(&world, "prices"), 0);
    }
}

#[test]
fn a_pipeline_whose_sender_was_killed_ends_with_its_reader() {
    for world in worlds() {
        let _desk = desk(&world);
        let mut sending = world.start("channel send name:desk numbers");
        let mut stdin = sending.0.stdin.take().unwrap();
        stdin.write_all(b"1\n").unwrap();
        let view = || world.json("channel stat name:desk numbers");
        eventually("a message", || view()["channel"]["ready_count"] == 1);
        signal(sending.pid(), Signal::SIGKILL);
        sending.0.wait().unwrap();
        let first = bash(&world, "timeout 30 coseg channel tail name:desk numbers | head -n 1");
        assert_eq!((first.code, first.out.as_str()), (0, "1\n"), "{}", first.err);
        assert_eq!(receivers(&world, "numbers"), 0);
        drop(stdin);
    }
}

#[test]
fn signals_leave_the_ends() {
    for world in worlds() {
        let desk = desk(&world);
        for number in [Signal::SIGINT, Signal::SIGTERM] {
            let listener = receiver(&world, "channel tail name:desk numbers", "numbers");
            signal(listener.pid(), number);
            let outcome = listener.finish();
            assert_eq!((outcome.code, outcome.err.as_str()), (130, ""));
            assert_eq!(receivers(&world, "numbers"), 0);
        }
        // Waiting for a line, and waiting for room.
        let mut sending = world.start("channel send name:desk numbers");
        // Waiting for its end would close its input, and end it.
        let stdin = sending.0.stdin.take();
        eventually("a sender", || !desk.numbers.senders().is_empty());
        signal(sending.pid(), Signal::SIGINT);
        assert_eq!(sending.0.wait().unwrap().code(), Some(130));
        assert!(desk.numbers.senders().is_empty());
        drop(stdin);
        let mut sending = world.start("channel send name:desk numbers");
        let mut stdin = sending.0.stdin.take().unwrap();
        stdin.write_all(b"1\n2\n3\n4\n5\n").unwrap();
        let view = || world.json("channel stat name:desk numbers");
        eventually("a full channel", || view()["channel"]["ready_count"] == 4);
        signal(sending.pid(), Signal::SIGINT);
        assert_eq!(sending.0.wait().unwrap().code(), Some(130));
        assert!(desk.numbers.senders().is_empty());
        assert_eq!(world.ok("channel tail name:desk numbers -n 4"), "1\n2\n3\n4\n");
        drop(stdin);
    }
}

#[test]
fn each_line_is_there_as_soon_as_its_message_is_sent() {
    for world in worlds() {
        let desk = desk(&world);
        let mut listener = receiver(&world, "channel tail name:desk numbers", "numbers");
        let mut lines = BufReader::new(listener.0.stdout.take().unwrap());
        let mut sending = world.start("channel send name:desk numbers");
        for number in 0..10 {
            writeln!(sending.0.stdin.as_mut().unwrap(), "{number}").unwrap();
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, format!("{number}\n"));
        }
        assert_eq!(sending.finish().code, 0);
        desk.numbers.close().unwrap();
        assert_eq!(listener.finish().code, 0);
    }
}

#[test]
fn a_message_whose_line_was_not_written_goes_to_another() {
    for world in worlds() {
        let desk = desk(&world);
        let mut sender = desk.orders.sender().unwrap();
        // Nobody reads its output: it fills the pipe, and holds the message whose line does not fit.
        let mut listener = receiver(&world, "channel tail name:desk orders", "orders");
        let held = || world.json("channel stat name:desk orders")["channel"]["held_count"] == 1;
        let mut number = 0;
        loop {
            number += 1;
            let sent = order(number);
            if sender.send_timeout(&sent, Duration::from_secs(3)).is_err() {
                break;
            }
        }
        assert!(held(), "the pipe is full");
        listener.0.kill().unwrap();
        listener.0.wait().unwrap();
        let mut other = desk.orders.receiver().unwrap();
        let first = other.receive_timeout(Duration::from_secs(5)).unwrap();
        let mut rest: Vec<u64> = other.try_iter().map(|order| order.number).collect();
        rest.push(first.number);
        rest.sort_unstable();
        let expected: Vec<u64> = (number - 8..number).collect();
        assert_eq!(rest, expected, "the eight that were not written, the held one among them");
    }
}

#[test]
fn the_death_of_a_sender_is_told_and_the_next_is_heard() {
    for world in worlds() {
        let desk = desk(&world);
        let mut listener = receiver(&world, "channel tail name:desk numbers", "numbers");
        let mut sending = world.start("channel send name:desk numbers");
        sending.0.stdin.as_mut().unwrap().write_all(b"1\n").unwrap();
        let mut lines = BufReader::new(listener.0.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let pid = sending.pid();
        sending.0.kill().unwrap();
        sending.0.wait().unwrap();
        let mut told = String::new();
        let mut notes = BufReader::new(listener.0.stderr.take().unwrap());
        notes.read_line(&mut told).unwrap();
        assert!(told.contains(&format!("coseg (pid {pid}")) && told.contains("died"), "{told}");
        assert_eq!(world.feed("channel send name:desk numbers", b"2\n").code, 0);
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "1\n2\n");
        desk.numbers.close().unwrap();
        assert_eq!(listener.0.wait().unwrap().code(), Some(0));
        told.clear();
        assert_eq!(notes.read_line(&mut told).unwrap(), 0, "it is told once: {told}");
    }
}
