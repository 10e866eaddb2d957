//! `who` and `ls --all-namespaces`: whose attachments they are, and in which world.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::os::unix::fs::MetadataExt;

use common::{World, worlds};
use serde_json::Value;

fn own_namespace() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/ipc").unwrap().ino()
}

#[test]
fn each_attachment_is_told_with_its_process_and_place() {
    for world in worlds() {
        world.ok("create --key 0x4242 --size 5000");
        world.ok("create --key 2 --size 10");
        let holder = world.holder("0x4242");
        let document = world.json("who 0x4242");
        assert_eq!(document["ipc_namespace"], own_namespace());
        assert_eq!(document["segments"].as_array().unwrap().len(), 1);
        let segment = &document["segments"][0];
        assert_eq!((&segment["key"], &segment["hidden_count"]), (&0x4242.into(), &0.into()));
        let one = &segment["attached"][0];
        assert_eq!((&one["pid"], &one["command"]), (&holder.pid().into(), &"coseg".into()));
        assert_eq!((&one["read_only"], &one["size_bytes"]), (&false.into(), &8192.into()));
        assert_eq!(
            (&one["ipc_namespace"], &one["ipc_namespace_is_ours"]),
            (&own_namespace().into(), &true.into())
        );
        assert!(one["participants"].as_array().unwrap().is_empty() && segment["region"].is_null());
        for field in ["container", "unit", "user", "address_hex"] {
            assert!(one.get(field).is_some(), "{field}: {one}");
        }
        let all = world.ok("who");
        assert_eq!(all.lines().count(), 2, "{all}");
        for word in
            [holder.pid().to_string(), "0x00004242".into(), format!("{}*", own_namespace()), "8KiB".into()]
        {
            assert!(
                all.lines().nth(1).unwrap().split_ascii_whitespace().any(|cell| cell == word),
                "{word}: {all}"
            );
        }
        let mine = world.json(&format!("who pid:{}", holder.pid()));
        assert_eq!(mine["segments"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn nobody_is_an_answer_that_scripts_can_ask_for() {
    for world in worlds() {
        let none = world.run("who");
        assert!(none.code == 1 && none.err.contains("no segments on the"), "{none:?}");
        world.ok("create --key 1 --size 10");
        let nobody = world.run("who key:1");
        assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
        assert!(nobody.err.contains("nobody is attached to key 0x00000001"), "{}", nobody.err);
        let json = common::document("who", &world.run("who --json").out);
        assert_eq!(json["segments"][0]["attached"], Value::Array(Vec::new()));
        let absent = world.run("who key:2");
        assert!(absent.code == 1 && absent.err.contains("ENOENT"), "{absent:?}");
        let _holder = world.holder("key:1");
        let some = world.run("who key:1 key:2");
        assert!(some.code == 1 && some.out.contains("coseg") && some.err.contains("ENOENT"), "{some:?}");
        assert_eq!(world.run("who key:1").code, 0);
    }
}

#[test]
fn the_hidden_are_counted_for_each_segment() {
    for world in worlds().into_iter().filter(|world| world.backend == "kernel") {
        let id: i32 = world.ok("create --key 1 --size 10").trim().parse().unwrap();
        // This process as a whole is in another IPC namespace than this thread.
        let segment = coseg_sysv::Segment::of_id(&coseg_sysv::Kernel, coseg_sysv::ShmId::new(id));
        let memory = segment.attach().unwrap();
        let outcome = world.run("who");
        assert_eq!(outcome.code, 0, "somebody is: {outcome:?}");
        assert!(
            outcome.err.contains(&format!("key 0x00000001 (id {id}): 1 attacher hidden; ")),
            "{}",
            outcome.err
        );
        let json = world.json("who");
        assert_eq!((&json["hidden_count"], &json["segments"][0]["hidden_count"]), (&1.into(), &1.into()));
        assert!(json["hidden_note"].as_str().unwrap().starts_with("1 attacher hidden; "), "{json}");
        memory.detach().unwrap();
    }
}

#[test]
fn names_of_processes_cannot_steer_the_terminal() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        let directory = tempfile::tempdir().unwrap();
        let hostile = directory.path().join("a\x1b[2Jb c");
        common::copy_program(common::binary(), &hostile);
        let mut command = std::process::Command::new(&hostile);
        command
            .args(["write", "key:1"])
            .env("COSEG_BACKEND", world.backend)
            .env("COSEG_DIR", world.directory());
        command.stdin(std::process::Stdio::piped());
        let holder = common::Running(command.spawn().unwrap());
        while world.attachment_count("key:1") == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        for line in ["who", "ls", "who --json"] {
            let out = world.ok(line);
            assert!(!out.contains('\x1b') && out.contains("u{1b}[2Jb"), "{line}: {out}");
        }
        // One word for each column.
        let text = world.ok("who");
        assert_eq!(text.lines().nth(1).unwrap().split_ascii_whitespace().count(), 11, "{text}");
        drop(holder);
    }
}

/// Segments of this key in the listing of all namespaces, with their namespaces' numbers.
fn found(listing: &Value, key: i32) -> Vec<u64> {
    let segments = listing["segments"].as_array().unwrap().iter();
    segments.filter(|one| one["key"] == key).map(|one| one["ipc_namespace"].as_u64().unwrap()).collect()
}

#[test]
fn every_namespace_is_in_one_listing() {
    let worlds = worlds();
    let Some(world) = worlds.iter().find(|world| world.backend == "kernel") else { return };
    let first = own_namespace();
    let key = 0x4e53_0001;
    world.ok(&format!("create --key {key} --size 10"));
    let holder = world.holder(&format!("key:{key}"));
    // Another namespace, as a container has, which this thread enters.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWIPC).unwrap();
    let second = own_namespace();
    world.ok(&format!("create --key {key} --size 10"));
    let listing = world.json("ls --all-namespaces");
    let mut expected = vec![first, second];
    expected.sort_unstable();
    assert_eq!(found(&listing, key), expected);
    assert_eq!(
        found(&world.json(&format!("ls --all-namespaces --key {key} --larger 1M")), key),
        [] as [u64; 0]
    );
    let segments = listing["segments"].as_array().unwrap();
    let in_first = segments.iter().find(|one| one["ipc_namespace"] == first && one["key"] == key).unwrap();
    assert_eq!(in_first["attached"][0]["pid"], holder.pid());
    let namespaces = listing["namespaces"].as_array().unwrap();
    let of = |inode: u64| namespaces.iter().find(|one| one["ipc_namespace"] == inode).unwrap();
    assert_eq!(
        (&of(first)["oldest_pid"], &of(first)["oldest_command"]),
        (&holder.pid().into(), &"coseg".into())
    );
    assert_eq!((&of(first)["is_ours"], &of(second)["is_ours"]), (&false.into(), &true.into()));
    assert_eq!(of(first)["segment_count"], 1);
    let text = world.ok(&format!("ls --all-namespaces --key {key}"));
    for word in [format!("{first} "), format!("{second}*"), format!("{}:coseg", holder.pid())] {
        assert!(text.contains(&word), "{word}: {text}");
    }
    drop(holder);
}

#[test]
fn namespaces_that_cannot_be_entered_are_counted() {
    let worlds = worlds();
    let user = World::new("user").run("ls --all-namespaces");
    assert!(user.code == 2 && user.err.contains("kernel backend"), "{user:?}");
    let Some(world) = worlds.iter().find(|world| world.backend == "kernel") else { return };
    world.ok("create --key 1 --size 10 --mode 666");
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("coseg");
    common::copy_program(common::binary(), &copy);
    // Somebody else's process in another namespace than his: he sees its number and may not enter.
    let mut other = std::process::Command::new("unshare");
    other.args(["--ipc", "setpriv", "--reuid", "65534", "sh", "-c", "echo ready; read line"]);
    other.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut other = common::Running(other.spawn().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(other.0.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    let mut command = std::process::Command::new(&copy);
    command.args(["--backend", "kernel", "ls", "--all-namespaces"]);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let outcome = common::finish(command);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("0x00000001"), "his own namespace: {}", outcome.out);
    assert!(outcome.err.contains("1 IPC namespace could not be entered: EPERM"), "{}", outcome.err);
    assert!(outcome.err.contains("not show which IPC namespace is theirs; run as root"), "{}", outcome.err);
    drop(other);
}
