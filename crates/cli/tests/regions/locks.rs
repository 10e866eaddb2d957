//! Who holds what: the dead, the waiting, and circles of them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{World, worlds};
use crate::office::{Player, office};

fn lock<'a>(document: &'a Value, region: usize, name: &str) -> &'a Value {
    let locks = document["regions"][region]["locks"].as_array().unwrap();
    locks.iter().find(|lock| lock["name"] == name).unwrap()
}

/// The document of `coseg locks`, whatever it exits with.
fn document(world: &World, line: &str) -> (i32, Value) {
    let outcome = world.run(&format!("{line} --json"));
    (outcome.code, crate::common::document(line, &outcome.out))
}

fn eventually(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !met() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn holders_waiters_and_readers_are_named() {
    for world in worlds() {
        let _region = office(&world, 7, "market");
        let free = world.ok("locks");
        assert!(free.contains("market") && !free.contains("held"), "{free}");
        let holder = Player::start(&world, "holder", "7");
        let waiter = Player::start(&world, "waiter", "7");
        let reader = Player::start(&world, "reader", "7");
        eventually("a wait", || !lock(&world.json("locks"), 0, "door")["waiters"][0].is_null());
        let all = world.json("locks name:market");
        let door = lock(&all, 0, "door");
        assert_eq!((&door["state"], &door["holder"]["pid"]), (&"held".into(), &holder.pid().into()));
        assert_eq!((&door["holder"]["name"], &door["holder"]["alive"]), (&"holder".into(), &true.into()));
        assert_eq!(door["waiters"][0]["pid"], waiter.pid());
        assert!(door["held_since_unix_ns"].as_u64() >= door["waiters"][0]["since_unix_ns"].as_u64());
        let shelf = lock(&all, 0, "shelf");
        assert_eq!((&shelf["state"], &shelf["readers"][0]["pid"]), (&"reading".into(), &reader.pid().into()));
        let text = world.ok("locks");
        for word in [format!("{}:holder", holder.pid()), format!("{}:waiter:", waiter.pid())] {
            assert!(text.contains(&word), "{word}: {text}");
        }
        let show = world.ok("show name:market door");
        assert!(show.contains(&format!("held by holder (pid {}", holder.pid())), "{show}");
    }
}

#[test]
fn a_killed_holder_leaves_an_orphan_until_somebody_locks() {
    for world in worlds() {
        let region = office(&world, 7, "market");
        let mut holder = Player::start(&world, "holder", "7");
        assert_eq!(world.run("locks").code, 0);
        holder.kill();
        let outcome = world.run("locks");
        assert_eq!(outcome.code, 1, "{outcome:?}");
        let text = format!("door of market: orphaned: holder (pid {}", holder.pid());
        assert!(outcome.out.contains(&text), "{}", outcome.out);
        assert!(outcome.out.contains("the next to lock it recovers it"), "{}", outcome.out);
        let (code, all) = document(&world, "locks key:7");
        assert_eq!((code, &all["orphan_count"]), (1, &1.into()));
        assert_eq!(lock(&all, 0, "door")["state"], "orphaned");
        assert_eq!(lock(&all, 0, "door")["holder"]["alive"], false);
        drop(region.door.lock().unwrap());
        assert_eq!(document(&world, "locks").0, 0);
    }
}

#[test]
fn a_circle_of_waits_across_regions_is_a_deadlock() {
    for world in worlds() {
        let regions = [office(&world, 7, "market"), office(&world, 8, "bank")];
        let mut one = Player::start(&world, "greedy", "7,8");
        let mut other = Player::start(&world, "greedy", "8,7");
        one.go_on();
        eventually("a wait", || !lock(&world.json("locks"), 1, "door")["waiters"][0].is_null());
        assert_eq!(world.run("locks").code, 0, "one who waits is no deadlock");
        other.go_on();
        eventually("a circle", || world.run("locks").code == 1);
        for line in ["locks", "locks name:market", "locks name:bank"] {
            let (code, all) = document(&world, line);
            assert_eq!((code, all["deadlocks"].as_array().unwrap().len()), (1, 1), "{line}: {all}");
            let waits = all["deadlocks"][0]["waits"].as_array().unwrap();
            let mut pids: Vec<u64> = waits.iter().filter_map(|wait| wait["waiter"]["pid"].as_u64()).collect();
            pids.sort_unstable();
            let mut expected = [u64::from(one.pid()), u64::from(other.pid())];
            expected.sort_unstable();
            assert_eq!(pids, expected, "{line}");
            assert_ne!(waits[0]["region_id"], waits[1]["region_id"]);
        }
        let text = world.run("locks").out;
        for word in
            ["deadlock", "deadlock of 2 processes", "for door of market, which", "for door of bank, which"]
        {
            assert!(text.contains(word), "{word}: {text}");
        }
        one.kill();
        eventually("the end of the circle", || world.run("locks").code == 0);
        drop(regions);
    }
}

#[test]
fn without_regions_there_is_nothing_to_say() {
    for world in worlds() {
        let outcome = world.run("locks");
        assert_eq!((outcome.code, outcome.out.as_str()), (0, ""));
        assert!(outcome.err.contains("no regions on the"), "{}", outcome.err);
    }
}

#[test]
fn attachers_that_are_participants_are_named() {
    for world in worlds() {
        let _region = office(&world, 7, "market");
        let holder = Player::start(&world, "holder", "7");
        let document = world.json("who name:market");
        let segment = &document["segments"][0];
        assert_eq!(segment["region"]["name"], "market");
        let attached = segment["attached"].as_array().unwrap();
        let one = attached.iter().find(|one| one["pid"] == holder.pid()).unwrap();
        assert_eq!(one["participants"][0]["name"], "holder");
        let slot = one["participants"][0]["slot"].as_u64().unwrap();
        let text = world.ok("who 0x7");
        assert!(text.contains(&format!("holder/{slot}")), "{text}");
    }
}

#[test]
fn a_dead_makers_region_goes_by_its_name() {
    for world in worlds() {
        Player::start(&world, "maker", "7").kill();
        let path = world.directory().join("policy.toml");
        let text = "[[policy]]\nname = \"old markets\"\nnames = [\"mark*\"]\nolder_than = \"0s\"\n";
        std::fs::write(&path, text.replace("mark", "shop")).unwrap();
        let line = format!("--older-than 0 --policy {}", path.display());
        assert_eq!(world.ok(&format!("gc --not-shared --apply --yes {line}")).matches("removed").count(), 0);
        std::fs::write(&path, text).unwrap();
        let plan = world.run(&format!("gc --not-shared {line}"));
        // Only the user backend's can be looked into without an attachment.
        let (code, word) = if world.backend == "user" { (1, "garbage") } else { (0, "--apply attaches it") };
        assert!(plan.code == code && plan.out.contains(word), "{plan:?}");
        let done = world.ok(&format!("gc --not-shared --apply --yes {line}"));
        assert!(done.starts_with("removed key 0x00000007"), "{done}");
        assert_eq!(world.run("stat key:7").code, 1);
    }
}

#[test]
fn the_dead_of_regions_are_told_by_the_doctor() {
    for world in worlds() {
        let region = office(&world, 7, "market");
        let findings = |check: &str| -> Vec<Value> {
            let all = crate::common::document("doctor", &world.run("doctor --json").out);
            all["findings"].as_array().unwrap().iter().filter(|one| one["check"] == check).cloned().collect()
        };
        let mut holder = Player::start(&world, "holder", "7");
        assert_eq!((findings("orphaned-lock").len(), findings("dead-participant").len()), (0, 0));
        holder.kill();
        let (orphaned, dead) = (findings("orphaned-lock"), findings("dead-participant"));
        assert_eq!((orphaned.len(), dead.len()), (1, 1));
        assert_eq!((&orphaned[0]["severity"], &dead[0]["severity"]), (&"warning".into(), &"note".into()));
        let pid = format!("holder (pid {}", holder.pid());
        for one in [&orphaned[0], &dead[0]] {
            assert!(one["evidence"][0].as_str().unwrap().contains(&pid), "{one}");
        }
        drop(region.door.lock().unwrap());
        assert_eq!(findings("orphaned-lock").len(), 0);
    }
}
