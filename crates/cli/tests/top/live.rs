use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{World, document, worlds};
use crate::office::{Player, office};
use crate::terminal::{self, Terminal};

#[test]
fn segments_come_and_go() {
    for world in worlds() {
        world.ok("create --key 1 --size 5000");
        let mut top = Terminal::start(&world, "top --every 50ms", 24, 100);
        let first = top.lists("0x00000001");
        assert!(
            first.contains("4.9KiB") && first.contains("segments") && first.contains(world.backend),
            "{first}"
        );
        world.ok("create --key 2 --size 10");
        top.lists("0x00000002");
        top.shows("created    0x00000002  10B, by ");
        let holder = world.holder("key:2");
        top.lists(&format!("1: {} coseg", holder.pid()));
        assert_eq!(holder.finish().code, 0);
        top.shows("detached   0x00000002");
        world.ok("rm key:1 --yes");
        top.lists_no("0x00000001");
        top.shows("gone       0x00000001");
        top.press("q");
        assert_eq!(top.end(), (0, String::new()));
    }
}

#[test]
fn rows_are_filtered_and_sorted() {
    for world in worlds() {
        for (key, size) in [(1, 1000), (2, 3000), (3, 2000)] {
            world.ok(&format!("create --key {key} --size {size}"));
        }
        let mut top = Terminal::start(&world, "top --every 50ms --sort size --bytes", 24, 100);
        let is_in_order = |screen: &str, keys: [&str; 3]| {
            let places = keys.map(|key| screen.find(&format!("0x0000000{key}")));
            places.is_sorted() && places[0].is_some()
        };
        top.until("the largest first", |screen| is_in_order(screen, ["2", "3", "1"]));
        top.press("r");
        top.until("the smallest first", |screen| is_in_order(screen, ["1", "3", "2"]));
        top.press("<<<r");
        top.until("by id", |screen| is_in_order(screen, ["1", "2", "3"]));
        top.press("/00003");
        top.shows("filter: 00003");
        top.lists_no("0x00000001");
        top.lists("0x00000003");
        top.press("\x1b");
        top.lists("0x00000001");
        top.press("g");
        top.shows("none of the segments");
        // Escape and a letter sent at once are a letter with Alt.
        top.press("\x1b");
        top.lists("0x00000001");
        top.press("q");
        assert_eq!(top.end().0, 0);
    }
}

#[test]
fn a_segment_is_removed_after_a_yes() {
    for world in worlds() {
        let id = world.ok("create --private --size 5000").trim().to_owned();
        world.ok("create --key 1 --size 10");
        let mut top = Terminal::start(&world, "top --every 50ms --sort size", 24, 100);
        top.lists("4.9KiB");
        top.press("d");
        let question = top.shows("remove this segment?");
        for fact in [&*format!("id {id}"), "4.9KiB", "nobody", "keep: too young", "mode 0600"] {
            assert!(question.contains(fact), "{fact}: {question}");
        }
        top.press("n");
        top.shows("nothing was removed");
        assert_eq!(world.run(&format!("stat id:{id}")).code, 0);
        top.press("dy");
        top.shows(&format!("removed id {id}, 4.9KiB"));
        top.lists_no("4.9KiB");
        assert_eq!(world.run(&format!("stat id:{id}")).code, 1);
        top.lists("0x00000001");
        top.press("\x03");
        assert_eq!(top.end().0, 0);
    }
}

#[test]
fn what_somebody_has_attached_meanwhile_is_kept() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        let mut top = Terminal::start(&world, "top --every 50ms", 24, 100);
        top.lists("0x00000001");
        // Paused, it does not see for itself what has changed.
        top.press("pd");
        top.shows("remove this segment?");
        let holder = world.holder("key:1");
        top.press("y");
        top.shows(&format!("used or changed meanwhile, attached by {} coseg", holder.pid()));
        assert_eq!(world.run("stat key:1").code, 0);
        // With the look after that it is seen, and what is asked now is another thing.
        top.press("d");
        top.shows("its memory when the last of them detaches");
        top.press("y");
        top.shows("removed key 0x00000001");
        top.lists("removed");
        assert_eq!(holder.finish().code, 0);
        top.press("p");
        top.lists("no segments");
        top.press("q");
        assert_eq!(top.end().0, 0);
    }
}

#[test]
fn the_terminal_is_given_back_at_every_end() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        let top = Terminal::start(&world, "top --every 50ms", 24, 100);
        top.lists("0x00000001");
        top.signal(Signal::SIGTERM);
        let (code, text) = top.end();
        assert!(code == 130 && text.contains("coseg: interrupted"), "{code}: {text}");
        let top = Terminal::start(&world, "top --every 50ms -n 3", 24, 100);
        assert_eq!(top.end(), (0, String::new()));
    }
}

#[test]
fn any_size_will_do() {
    let world = World::new("user");
    world.ok("create --key 1 --size 10");
    let mut top = Terminal::start(&world, "top --every 50ms", 24, 120);
    top.shows("ATTACHED-BY");
    top.resize(12, 60);
    top.until("fewer columns", |screen| !screen.contains("OWNER") && screen.contains("0x00000001"));
    top.resize(2, 5);
    top.press("?");
    top.resize(24, 120);
    top.shows("any of them closes this");
    top.press(" q");
    assert_eq!(top.end().0, 0);
}

#[test]
fn it_ends_when_its_terminal_goes() {
    let world = World::new("user");
    let (mut terminal, slave) = terminal::open(24, 80);
    let mut command = world.command("top");
    command.stdin(slave.try_clone().unwrap()).stdout(slave).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("no segments") {
        let mut bytes = [0; 4096];
        let length = terminal.read(&mut bytes).unwrap();
        said.extend(&bytes[..length]);
    }
    drop(terminal);
    assert_eq!(terminal::ended(&mut child), Some(130));
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    for world in worlds() {
        world.ok("create --key 1 --size 5000");
        let refused = world.run("top");
        assert!(refused.code == 2 && refused.err.contains("Try: coseg top --once"), "{refused:?}");
        assert_eq!(world.run("top --every 1ms --once").code, 2);
        let once = world.ok("top --once");
        assert!(once.contains("SEGMENT") && once.contains("0x00000001") && !once.contains('\x1b'), "{once}");
        assert!(once.starts_with("coseg top  ") && once.lines().count() == 5, "{once}");
        assert!(!world.ok("top --once --filter nothing").contains("0x00000001"));

        let lines = world.ok("top --json -n 3 --every 50ms");
        let looks: Vec<Value> = lines.lines().map(|line| document("top", line)).collect();
        assert_eq!(looks.len(), 3);
        for (number, look) in looks.iter().enumerate() {
            assert_eq!(look["backend"], world.backend);
            assert_eq!(look["elapsed_ms"].is_null(), number == 0);
            let segment = &look["segments"][0];
            assert_eq!((&segment["title"], &segment["key"]), (&"0x00000001".into(), &1.into()));
            assert_eq!(segment["verdict"], "keep");
        }
        assert_eq!(world.ok("top --json --once --filter nothing").matches("0x00000001").count(), 0);
    }
}

#[test]
fn regions_are_seen_inside_and_the_dead_stand_out() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let mut holder = Player::start(&world, "holder", "7");
        let _waiter = Player::start(&world, "waiter", "7");
        let mut top = Terminal::start(&world, "top --every 50ms --filter office", 50, 120);
        top.lists("market");
        top.press("\r");
        top.shows("PARTICIPANT");
        let pid = holder.pid();
        let held = top.until("a held lock that is waited for", |screen| {
            let door = screen.lines().find(|line| line.starts_with("door")).unwrap_or_default();
            door.contains(&format!("{pid} holder")) && door.contains(" waiter for ")
        });
        assert!(held.contains("held") && held.contains("Office"), "{held}");
        holder.kill();
        // Who waited may have settled what the dead had begun before anybody looked; and on the kernel's side, where
        // nobody is left through whom to look, it shows in what was seen last.
        top.until("a death", |screen| {
            screen.contains("died       market") || screen.contains("recovered  market")
        });
        top.press("qq");
        assert_eq!(top.end().0, 0);
        market.trades.add(1).unwrap();
    }
}

#[test]
fn what_was_not_looked_into_is_told() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let mut holder = Player::start(&world, "holder", "7");
        let once = |directory: &std::path::Path| {
            let mut command = world.command("top --once");
            command.env("TMPDIR", directory);
            crate::common::finish(command).out
        };
        let seen = once(world.temporary());
        assert!(seen.contains("Office") && !seen.contains("not looked into"), "{seen}");
        let unseen = once(&world.temporary().join("absent"));
        assert!(unseen.contains("1 not looked into") && unseen.contains("? not copied"), "{unseen}");
        holder.kill();
        drop(market);
        // The user backend's are seen with nobody attached.
        let seen = once(world.temporary());
        assert_eq!(seen.contains("1 not looked into"), world.backend == "kernel", "{seen}");
    }
}

#[test]
fn what_changes_is_seen_to_change() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let _holder = Player::start(&world, "holder", "7");
        let mut top = Terminal::start(&world, "top --every 50ms", 24, 120);
        top.lists("0%");
        std::thread::scope(|scope| {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                let is_on = || {
                    stopped
                        .recv_timeout(Duration::from_millis(1))
                        .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
                };
                while is_on() {
                    market.trades.add(1).unwrap();
                }
            });
            let has_bar = |line: &str| line.contains(['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']);
            top.until("activity", |screen| {
                screen.lines().any(|line| line.contains("market") && has_bar(line))
            });
            drop(stop);
        });
        top.press("q");
        assert_eq!(top.end().0, 0);
    }
}
