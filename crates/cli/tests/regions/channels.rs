//! Channels from the shell: what is listed, sent and received.

use std::time::{Duration, Instant};

use coseg::{Broadcast, Bytes, Channel, DropOldest, Key, OneToOne, Queue, Region, Shared, Stream, Text};
use serde_json::json;

use crate::common::{Outcome, Running, World, document, finish, worlds};
use crate::office::backend;

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Line {
    #[shared(unit = "EUR")]
    amount: i64,
    ratio: f64,
}

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Order {
    trader: Text<8>,
    pub(crate) number: u64,
    urgent: bool,
    lines: [Line; 2],
}

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Price {
    pub(crate) name: Text<8>,
    pub(crate) buy: u32,
}

/// A channel of each kind.
#[derive(Region)]
pub(crate) struct Desk {
    /// What is to be bought and sold.
    pub(crate) orders: Channel<Order, Queue<8>>,
    pub(crate) prices: Channel<Price, Broadcast<8>>,
    ticks: Channel<u8, Broadcast<8, DropOldest>>,
    pub(crate) numbers: Channel<i128, OneToOne<4>>,
    notes: Channel<Bytes<20>, Queue<8>>,
    files: Channel<Bytes<300_000>, Stream<4>>,
}

#[derive(Region)]
struct Single {
    prices: Channel<Price, Queue<64>>,
}

pub(crate) fn desk(world: &World) -> Region<Desk> {
    Region::at(Key::new(7)).backend(&backend(world)).name("desk").create(DeskInitial::default).unwrap()
}

pub(crate) fn order(number: u64) -> Order {
    let lines = [Line { amount: i64::MIN, ratio: 0.1 }, Line { amount: 5, ratio: f64::NAN }];
    Order { trader: "ada".into(), number, urgent: true, lines }
}

const ORDER: &str = r#"{"trader":"ada","number":18446744073709551615,"urgent":true,"lines":[{"amount":-9223372036854775808,"ratio":0.1},{"amount":5,"ratio":"NaN"}]}"#;

fn with(world: &World, line: &str, messages: &[&str]) -> Outcome {
    let mut command = world.command(line);
    command.args(messages);
    finish(command)
}

/// Starts a receiver, and waits until it has its end.
pub(crate) fn receiver(world: &World, line: &str, channel: &str) -> Running {
    let running = world.start(line);
    eventually("a receiver", || {
        let stat = world.json(&format!("channel stat name:desk {channel}"));
        stat["channel"]["receivers"].as_array().unwrap().iter().any(|end| end["pid"] == running.pid())
    });
    running
}

pub(crate) fn eventually(what: &str, mut met: impl FnMut() -> bool) {
    let since = Instant::now();
    while !met() {
        assert!(since.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_sent_is_received_to_the_bit() {
    for world in worlds() {
        let desk = desk(&world);
        let mut typed = desk.orders.receiver().unwrap();
        assert_eq!(world.feed("channel send name:desk orders", ORDER.as_bytes()).code, 0);
        let got = typed.try_receive().unwrap();
        assert!(got.lines[1].ratio.is_nan());
        assert_eq!((got.number, got.lines[0]), (u64::MAX, order(u64::MAX).lines[0]));
        desk.orders.sender().unwrap().send(&order(u64::MAX)).unwrap();
        drop(typed);
        assert_eq!(world.ok("channel tail name:desk orders -n 1"), format!("{ORDER}\n"));

        let numbers = [i128::MIN.to_string(), "-1".into(), i128::MAX.to_string()];
        let quoted: Vec<String> = numbers.iter().map(|number| format!("\"{number}\"\n")).collect();
        assert_eq!(world.feed("channel send name:desk numbers", quoted.concat().as_bytes()).code, 0);
        let out = world.ok("channel tail name:desk numbers -n 3");
        assert_eq!(out, format!("{}-1\n{}", quoted[0], quoted[2]));
        assert_eq!(with(&world, "channel send name:desk numbers", &["-12", "3"]).code, 0);
        assert_eq!(world.ok("channel tail name:desk numbers -n 2"), "-12\n3\n");
    }
}

#[test]
fn bytes_come_as_text_or_as_what_they_are() {
    for world in worlds() {
        let desk = desk(&world);
        let mut typed = desk.notes.sender().unwrap();
        for note in [&b"caf\xc3\xa9\n"[..], b"\xff\x00", b""] {
            typed.send(note).unwrap();
        }
        let lines = "\"café\\n\"\n{\"base64\":\"/wA=\"}\n\"\"\n";
        assert_eq!(world.ok("channel tail name:desk notes --keep"), lines);
        assert_eq!(world.ok("channel tail name:desk notes -n 3"), lines);
        let mut receiver = desk.notes.receiver().unwrap();
        assert_eq!(world.feed("channel send name:desk notes", lines.as_bytes()).code, 0);
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [&b"caf\xc3\xa9\n"[..], b"\xff\x00", b""]);
        assert_eq!(world.feed("channel send name:desk notes --raw", b"milk\n\n\xff \r\nlast").code, 0);
        let expected: [&[u8]; 4] = [b"milk", b"", b"\xff \r", b"last"];
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), expected);
        assert_eq!(world.feed("channel send name:desk notes --raw=all", b"a\nb\n").code, 0);
        assert_eq!(world.ok("channel tail name:desk notes -n 1 --raw"), "a\nb\n\n");
        let unknown = with(&world, "channel send name:desk notes", &["{\"base64\":\"??\"}"]);
        assert!(unknown.code == 2 && unknown.err.contains("offset 0; --raw sends"), "{unknown:?}");
        let bare = world.run("channel send name:desk notes milk");
        assert!(bare.code == 2 && bare.err.contains("--raw sends bytes as they are"), "{bare:?}");
        world.ok(&format!("channel send name:desk numbers {}", i128::MIN));
        assert_eq!(desk.numbers.receiver().unwrap().try_receive().unwrap(), i128::MIN);
        let long = world.feed("channel send name:desk notes --raw=all", &[b'x'; 21]);
        assert!(long.code == 2 && long.err.contains("more than the 20 bytes"), "{long:?}");
        for line in ["channel send name:desk orders --raw", "channel tail name:desk orders --raw"] {
            let refused = world.run(line);
            assert!(refused.code == 2 && refused.err.contains("its are Order"), "{refused:?}");
        }
    }
}

#[test]
fn a_line_that_is_no_message_is_told_and_the_others_are_sent() {
    for world in worlds() {
        let desk = desk(&world);
        let lines = [
            r#"{"name": "EURO", "buy": 1}"#,
            r#"{"name": "EURO", "buy": -1}"#,
            "",
            r#"{"name": "EURO", "buy": }"#,
            r#"{"name": "EURO"}"#,
            r#"{"name": "EURO", "buy": 2, "sell": 3}"#,
            r#"{"name": "much too long", "buy": 2}"#,
            r#"{"name": null, "buy": 2}"#,
            "[1]",
            r#"{"name": "EURO", "buy": 1.5}"#,
            r#"{"name": "EURO", "buy": 1e30}"#,
            r#" {"buy": 2.0, "name": "LIRA"} "#,
        ];
        let mut receiver = desk.prices.receiver().unwrap();
        let outcome = world.feed("channel send name:desk prices", lines.join("\n").as_bytes());
        assert_eq!(outcome.code, 2, "{outcome:?}");
        for text in [
            "coseg: line 2: encode `buy` of Price: -1 is no u32, which goes from 0 to 4294967295\n",
            "coseg: line 4: no JSON: expected value at column 25\n",
            "coseg: line 5: encode `buy` of Price: it is missing: Price has name, buy\n",
            "coseg: line 6: encode `sell` of Price: there is no such field: Price has name, buy\n",
            "coseg: line 7: encode `name` of Price: `much too long` has 13 bytes, there is room for 8\n",
            "coseg: line 8: not as it should be: null is no value at column 13\n",
            "coseg: line 9: encode Price: an array where a struct belongs\n",
            "coseg: line 10: encode `buy` of Price: 1.5 is no u32",
            "coseg: line 11: encode `buy` of Price: 1e30 may have lost digits: write whole numbers beyond 64 bits as text",
            "coseg: 9 lines were not sent, 2 were\n",
        ] {
            assert!(outcome.err.contains(text), "{text}: {}", outcome.err);
        }
        let sent: Vec<Price> = receiver.try_iter().collect();
        assert_eq!(sent, [Price { name: "EURO".into(), buy: 1 }, Price { name: "LIRA".into(), buy: 2 }]);
        let outcome = with(&world, "channel send name:desk prices", &[lines[0], lines[1]]);
        assert!(outcome.code == 2 && outcome.err.contains("message 2: encode"), "{outcome:?}");
        assert!(outcome.err.contains("none was sent") && receiver.try_receive().is_err());
        let tick = world.run("channel send name:desk ticks 300");
        assert!(tick.err.contains("encode u8: 300 is no u8, which goes from 0 to 255"), "{tick:?}");
        let sent = world.feed("channel send name:desk prices --json", lines[..2].join("\n").as_bytes());
        let sent = document("channel send", &sent.out);
        assert_eq!((&sent["sent_count"], &sent["refused_count"]), (&json!(1), &json!(1)));
    }
}

#[test]
fn a_queue_is_emptied_by_a_tail_and_not_by_a_look() {
    for world in worlds() {
        let desk = desk(&world);
        let mut sender = desk.orders.sender().unwrap();
        (1..=3).for_each(|number| sender.send(&order(number)).unwrap());
        let numbers = |text: &str| -> Vec<u64> {
            let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.map(|order| order["number"].as_u64().unwrap()).collect()
        };
        assert_eq!(numbers(&world.ok("channel tail name:desk orders --keep -n 2")), [1, 2]);
        assert_eq!(numbers(&world.ok("channel tail name:desk orders --keep")), [1, 2, 3]);
        assert_eq!(numbers(&world.ok("channel tail name:desk orders -n 2")), [1, 2]);
        let mut other = desk.orders.receiver().unwrap();
        assert_eq!(other.try_receive().unwrap().number, 3);
        assert!(!other.is_redelivered());
        (4..=5).for_each(|number| sender.send(&order(number)).unwrap());
        drop(other.hold().unwrap());
        drop(other);
        let tail = world.run("channel tail name:desk orders -n 2");
        assert_eq!(numbers(&tail.out), [4, 5]);
        assert!(tail.err.contains("message 1 comes again") && !tail.err.contains("message 2"), "{tail:?}");
        assert_eq!(world.ok("channel tail name:desk orders --keep"), "");
        for price in 0..5 {
            desk.prices.sender().unwrap().send(&Price { name: "EURO".into(), buy: price }).unwrap();
        }
        assert_eq!(world.ok("channel tail name:desk prices --keep").lines().count(), 5);
    }
}

#[test]
fn all_who_listen_to_a_broadcast_hear_it() {
    for world in worlds() {
        let desk = desk(&world);
        let listeners: Vec<Running> =
            (0..2).map(|_| receiver(&world, "channel tail name:desk ticks -n 3", "ticks")).collect();
        let mut sender = desk.ticks.sender().unwrap();
        (1..=3).for_each(|tick| sender.send(&tick).unwrap());
        for listener in listeners {
            assert_eq!(listener.finish().out, "1\n2\n3\n");
        }
    }
}

#[test]
fn streams_cross_in_a_pipe() {
    for world in worlds() {
        let desk = desk(&world);
        let file: Vec<u8> = (b'a'..=b'z').cycle().take(300_000).collect();
        let listener = receiver(&world, "channel tail name:desk files -n 1 --raw", "files");
        let sent = world.feed("channel send name:desk files --raw=all", &file);
        assert_eq!(sent.code, 0, "{sent:?}");
        let got = listener.finish().out;
        assert!(got.as_bytes() == [&file[..], b"\n"].concat(), "{}", got.len());
        let stat = world.ok("channel stat name:desk files");
        assert!(stat.contains("4 chunks"), "{stat}");
        drop(desk);
    }
}

#[test]
fn time_outs_are_124_and_a_closed_channel_ends_all() {
    for world in worlds() {
        let desk = desk(&world);
        let outcome = world.run("channel tail name:desk orders --timeout 50ms");
        assert_eq!((outcome.code, outcome.out.as_str()), (124, ""));
        assert!(outcome.err.contains("`orders` of key 0x00000007"), "{outcome:?}");
        assert!(outcome.err.contains("after 50 ms: no message"), "{outcome:?}");
        let outcome = world.feed("channel send name:desk numbers --timeout 50ms", b"1\n2\n3\n4\n5\n");
        assert_eq!(outcome.code, 124);
        let text = "line 5: after 50 ms: nobody made room; 4 messages were sent before";
        assert!(outcome.err.contains(text), "{outcome:?}");
        let closed = world.feed("channel send name:desk orders --close", ORDER.as_bytes());
        assert_eq!(closed.code, 0, "{closed:?}");
        let outcome = world.feed("channel send name:desk orders", ORDER.as_bytes());
        assert!(
            outcome.code == 1 && outcome.err.contains("it is closed; 0 messages were sent"),
            "{outcome:?}"
        );
        let hint = format!("Try: coseg channel reopen id:{} orders\n", desk.segment().id());
        assert!(outcome.err.ends_with(&hint), "{outcome:?}");
        assert_eq!(world.ok("channel tail name:desk orders").lines().count(), 1);
        world.ok("channel reopen name:desk orders");
        desk.orders.sender().unwrap().send(&order(1)).unwrap();
        let would = world.ok("channel close name:desk orders --dry-run");
        assert!(
            would.starts_with("would close `orders` of key 0x00000007") && would.contains(": 1 ready"),
            "{would}"
        );
        assert!(!desk.orders.is_closed());
        assert_eq!(world.json("channel close name:desk orders")["before"]["ready_count"], 1);
        assert!(desk.orders.is_closed());
    }
}

#[test]
fn what_is_not_there_or_taken_is_said() {
    for world in worlds() {
        let desk = desk(&world);
        let _end = desk.numbers.receiver().unwrap();
        let taken = world.run("channel tail name:desk numbers");
        assert_eq!(taken.code, 1, "{taken:?}");
        assert!(taken.err.contains(&format!("pid {}", std::process::id())), "{taken:?}");
        let hint = format!("coseg channel tail id:{} numbers --keep takes no end", desk.segment().id());
        assert!(taken.err.contains(&hint), "{taken:?}");
        desk.numbers.sender().unwrap().send(&5).unwrap();
        assert_eq!(world.ok("channel tail name:desk numbers --keep"), "5\n");
        for (line, code, text) in [
            ("channel tail name:desk nothing", 1, "none called `nothing`. Try: orders, prices"),
            ("channel tail name:desk", 1, "it has 6. Try: orders, prices"),
            ("channel send name:desk 5", 1, "none called `5`"),
            ("channel stat name:nobody", 1, "no region"),
            ("channel tail name:desk orders -n 0", 2, "0"),
            ("channel tail name:desk orders --keep --timeout 1s", 2, "cannot be used"),
            ("channel", 2, "Usage"),
        ] {
            let outcome = world.run(line);
            assert!(outcome.code == code && outcome.err.contains(text), "{line}: {outcome:?}");
        }
        let none = world.run("get name:desk orders");
        assert!(none.code == 1 && none.err.contains("has no value"), "{none:?}");
        crate::office::office(&world, 9, "market");
        let none = world.run("channel tail key:9");
        assert!(none.code == 1 && none.err.contains("this region has none"), "{none:?}");
    }
}

#[test]
fn the_only_channel_needs_no_name() {
    for world in worlds() {
        let options = Region::<Single>::at(Key::new(8)).backend(&backend(&world)).name("desk");
        let single = options.create(SingleInitial::default).unwrap();
        let price = r#"{"name":"EURO","buy":1}"#;
        assert_eq!(with(&world, "channel send name:desk prices", &[price, price]).code, 0);
        assert_eq!(world.feed("channel send name:desk", price.as_bytes()).code, 0);
        // A name that is mistyped is no message.
        for word in ["price", price] {
            let outcome = with(&world, "channel send name:desk", &[word]);
            assert!(outcome.code == 1 && outcome.err.contains("Try: prices"), "{outcome:?}");
        }
        assert_eq!(world.ok("channel tail name:desk --keep"), format!("{price}\n").repeat(3));
        assert_eq!(single.prices.receiver().unwrap().try_iter().count(), 3);
        assert!(world.ok("channel stat name:desk").contains("work queue: each message goes to one"));
    }
}

#[test]
fn channels_are_listed_with_their_ends_and_their_depth() {
    for world in worlds() {
        let desk = desk(&world);
        let mut sender = desk.orders.sender().unwrap();
        (1..=3).for_each(|number| sender.send(&order(number)).unwrap());
        let mut receiver = desk.orders.receiver().unwrap();
        let held = receiver.hold().unwrap();
        let _prices = desk.prices.receiver().unwrap();
        desk.prices.sender().unwrap().send(&Price { name: "EURO".into(), buy: 1 }).unwrap();
        desk.files.close().unwrap();
        let listing = world.ok("channel ls");
        let row = |name: &str| -> Vec<&str> {
            let line = listing.lines().find(|line| line.split_ascii_whitespace().nth(1) == Some(name));
            line.unwrap().split_ascii_whitespace().collect()
        };
        assert_eq!(
            row("orders"),
            ["desk", "orders", "work:queue", "Order", "8", "2", "1", "-", "1", "1", "open"]
        );
        assert_eq!(
            row("prices"),
            ["desk", "prices", "broadcast", "Price", "8", "1", "-", "1", "0", "1", "open"]
        );
        assert_eq!(row("files")[2..4], ["stream", "up:to:300000:bytes"]);
        assert_eq!(row("files")[10], "closed");
        assert_eq!(listing, world.ok("channel ls name:desk"));
        let all = world.json("channel ls");
        let orders = &all["channels"][0];
        assert_eq!((&orders["name"], &orders["kind"]), (&json!("orders"), &json!("work queue")));
        assert_eq!((&orders["ready_count"], &orders["held_count"]), (&json!(2), &json!(1)));
        assert_eq!(orders["type"]["fields"][1]["type"]["kind"], "u64");
        assert_eq!(all["channels"][4]["type"], json!({"kind": "bytes", "max_bytes": 20}));
        let stat = world.json("channel stat name:desk prices");
        assert_eq!(stat["channel"]["receivers"][0]["pid"], std::process::id());
        assert_eq!(stat["channel"]["receivers"][0]["lag"], 1);
        let text = world.ok("channel stat name:desk orders");
        for line in [
            "depth 2 ready, 1 held",
            "senders 1",
            "What is to be bought and sold.",
            "message Order, 56 bytes",
            "lines [Line; 2]",
            "lines[].amount i64 EUR",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let show = world.ok("show name:desk");
        let line = "work queue for 8 messages of Order  What is to be bought and sold.\n  2 ready, 1 held; 1 sender, 1 receiver";
        assert!(show.contains(line), "{show}");
        assert_eq!(world.json("show name:desk")["parts"][0]["channel"]["ready_count"], 2);
        held.done();
        drop(desk);
    }
    let world = World::new("user");
    let none = world.run("channel ls");
    assert!(none.code == 0 && none.err.contains("no channels in 0 regions"), "{none:?}");
}

#[test]
fn every_part_of_it_explains_itself() {
    let world = World::new("user");
    for name in ["ls", "stat", "tail", "send", "close", "reopen"] {
        let help = world.ok(&format!("channel {name} --help"));
        assert!(help.contains("Examples:") && help.contains(&format!("coseg channel {name}")), "{help}");
    }
    assert!(world.ok("channel tail --help").contains("each message is TAKEN"));
    let directory = tempfile::tempdir().unwrap();
    world.ok(&format!("man --dir {}", directory.path().display()));
    let page = std::fs::read_to_string(directory.path().join("coseg-channel-tail.1")).unwrap();
    assert!(page.is_ascii() && page.contains(".TH coseg-channel-tail 1  \"coseg "), "{page}");
    assert!(world.ok("completions bash").contains("--keep"));
}
