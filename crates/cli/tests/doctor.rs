//! `doctor`: what is wrong, by what it shows, and what mends it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{World, worlds};
use serde_json::Value;

/// The document of `coseg doctor`, and what it exits with.
fn doctor(world: &World) -> (i32, Value) {
    let outcome = world.run("doctor --json");
    (outcome.code, serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{outcome:?}")))
}

/// The findings of a check: severity and command, those of the host itself apart.
fn findings<'a>(document: &'a Value, check: &str) -> Vec<(&'a str, &'a str)> {
    let all = document["findings"].as_array().unwrap().iter();
    all.filter(|one| one["check"] == check)
        .map(|one| (one["severity"].as_str().unwrap(), one["mend"].as_str().unwrap_or_default()))
        .collect()
}

#[test]
fn an_empty_world_has_no_findings_of_its_own() {
    for world in worlds() {
        let (code, document) = doctor(&world);
        assert_eq!(document["schema"], 1);
        // The host's own, which are not this test's to say.
        let of_host =
            ["storage", "huge-pages", "namespaces", "remove-ipc", "shmmax", "shmall", "rmid-forced"];
        for one in document["findings"].as_array().unwrap() {
            assert!(of_host.contains(&one["check"].as_str().unwrap()), "{one}");
        }
        let wrong = document["problem_count"].as_u64().unwrap() + document["warning_count"].as_u64().unwrap();
        assert_eq!(code, i32::from(wrong > 0));
        assert!(document["checks"].as_array().unwrap().len() > 10);
        let text = world.run("doctor").out;
        assert!(text.contains(&format!("on the {} backend, by", world.backend)), "{text}");
    }
}

#[test]
fn what_was_not_looked_into_is_counted() {
    for world in worlds() {
        world.ok("create --key 5 --size 5000");
        let told = if world.backend == "kernel" { vec!["note"] } else { Vec::new() };
        let (_, document) = doctor(&world);
        let severities: Vec<&str> = findings(&document, "regions").into_iter().map(|(one, _)| one).collect();
        assert_eq!(severities, told);
        let _holder = world.holder("key:5");
        assert_eq!(findings(&doctor(&world).1, "regions"), [], "seen through who has it attached");
    }
}

#[test]
fn segments_open_to_all_and_keys_of_failed_ftoks_are_told() {
    for world in worlds() {
        let id = world.ok("create --key 5 --size 10 --mode 666").trim().to_owned();
        let failed = world.ok("create --key -1 --size 10").trim().to_owned();
        let (code, document) = doctor(&world);
        assert_eq!(code, 1);
        assert_eq!(findings(&document, "mode"), [("warning", format!("coseg chmod 600 id:{id}").as_str())]);
        let found = findings(&document, "failed-ftok");
        assert!(found.len() == 1 && found[0].1.starts_with(&format!("coseg who id:{failed}")), "{found:?}");
        let text = world.run("doctor").out;
        assert!(text.contains(&format!("\n         Try: coseg chmod 600 id:{id}\n")), "{text}");
        // What it says mends it.
        world.ok(&format!("chmod 600 id:{id}"));
        assert_eq!(findings(&doctor(&world).1, "mode"), []);
    }
}

#[test]
fn anothers_segment_is_its_owners_or_roots_to_close() {
    let worlds = worlds();
    let Some(world) = worlds.iter().find(|world| world.backend == "kernel") else { return };
    let id = world.ok("create --key 5 --size 10 --mode 666").trim().to_owned();
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("coseg");
    common::copy_program(common::binary(), &copy);
    let mut command = std::process::Command::new(&copy);
    command.args(["--backend", "kernel", "doctor", "--json"]);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let outcome = common::finish(command);
    let document: Value = serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{outcome:?}"));
    let mend = format!("as their owner or root: coseg chmod 600 id:{id}");
    assert_eq!(findings(&document, "mode"), [("warning", mend.as_str())]);
}

#[test]
fn a_limit_that_is_nearly_reached_comes_with_what_raises_it() {
    let world = World::new("user");
    world.ok("limits --shmmni 5");
    for key in 1..=4 {
        world.ok(&format!("create --key {key} --size 10"));
    }
    let found = doctor(&world);
    assert_eq!(found.0, 1);
    assert_eq!(findings(&found.1, "shmmni"), [("warning", "coseg limits --backend user --shmmni 10")]);
    world.ok("create --key 5 --size 10");
    assert_eq!(findings(&doctor(&world).1, "shmmni")[0].0, "problem");
    world.ok("limits --shmmni 10");
    assert_eq!(findings(&doctor(&world).1, "shmmni"), []);
    world.ok("limits --rmid-forced 1");
    let forced = doctor(&world).1;
    assert_eq!(findings(&forced, "rmid-forced"), [("note", "coseg limits --backend user --rmid-forced 0")]);
}

#[test]
fn what_was_removed_and_is_held_by_others_is_leaked() {
    for world in worlds() {
        // Its creator has ended, and its attacher goes on.
        let id = world.ok("create --key 5 --size 10").trim().to_owned();
        let holder = world.holder("key:5");
        assert_eq!(findings(&doctor(&world).1, "leaked"), []);
        world.ok("rm --force key:5");
        let document = doctor(&world).1;
        let found = findings(&document, "leaked");
        assert!(found.len() == 1 && found[0].1.starts_with(&format!("coseg who id:{id}")), "{found:?}");
        assert!(document.to_string().contains(&format!("attached by {} coseg", holder.pid())), "{document}");
        drop(holder);
        assert_eq!(findings(&doctor(&world).1, "leaked"), []);
    }
}

#[test]
fn stray_files_are_garbage() {
    let world = World::new("user");
    world.ok("ls");
    let stray = std::fs::File::create(world.directory().join("seg-9")).unwrap();
    assert_eq!(findings(&doctor(&world).1, "garbage"), [], "somebody may be about to use it");
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
    stray.set_modified(before).unwrap();
    assert_eq!(findings(&doctor(&world).1, "garbage"), [("warning", "coseg gc --apply")]);
    world.ok("gc --apply --yes");
    assert_eq!(findings(&doctor(&world).1, "garbage"), []);
}
