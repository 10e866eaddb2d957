//! `gc`: what is garbage by all that can be seen, what is spared, and what is spared at the last moment.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Outcome, Running, World, worlds};
use serde_json::Value;

/// The document of `coseg gc`, and what it exits with.
fn gc(world: &World, line: &str) -> (i32, Value) {
    let outcome = world.run(&format!("gc --not-shared --json {line}"));
    (outcome.code, serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{line}: {outcome:?}")))
}

fn of<'a>(document: &'a Value, id: &str) -> &'a Value {
    let segments = document["segments"].as_array().unwrap();
    segments
        .iter()
        .find(|one| one["id"].as_i64() == id.parse().ok())
        .unwrap_or_else(|| panic!("no id {id}: {document}"))
}

fn exists(world: &World, id: &str) -> bool {
    world.run(&format!("stat id:{id}")).code == 0
}

fn create(world: &World, words: &str) -> String {
    world.ok(&format!("create --size 4K {words}")).trim().to_owned()
}

fn policy(world: &World, text: &str) -> PathBuf {
    let path = world.directory().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    // Whatever the umask lets others do.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

#[test]
fn the_garbage_of_dead_creators_is_found_and_removed() {
    for world in worlds() {
        assert_eq!(world.run("gc").code, 0, "nothing is no garbage");
        let garbage = create(&world, "--private");
        let keyed = create(&world, "--key 7");
        let held = create(&world, "--private");
        let holder = world.holder(&format!("id:{held}"));
        assert_eq!(world.run("gc").code, 0, "too young");

        let (code, plan) = gc(&world, "--older-than 0");
        assert_eq!((code, &plan["garbage_count"], &plan["garbage_bytes"]), (1, &1.into(), &4096.into()));
        let one = of(&plan, &garbage);
        assert_eq!(
            (&one["verdict"], &one["creator"], &one["last_user"]),
            (&"garbage".into(), &"gone".into(), &"nobody".into())
        );
        assert_eq!(
            (&of(&plan, &keyed)["verdict"], &of(&plan, &held)["verdict"]),
            (&"unsure".into(), &"keep".into())
        );
        assert!(of(&plan, &keyed)["why"].as_str().unwrap().contains("has a key"), "{plan}");
        let text = world.run("gc --not-shared --older-than 0");
        assert!(text.code == 1 && text.err.contains("1 garbage (4KiB), 1 unsure, 1 kept"), "{text:?}");
        assert!(exists(&world, &garbage), "a plan removes nothing");

        let asked = world.run("gc --not-shared --apply --older-than 0");
        assert!(asked.code == 2 && asked.err.contains("nobody is here to ask"), "{asked:?}");
        assert!(exists(&world, &garbage));
        let done = world.ok("gc --not-shared --apply --yes --older-than 0");
        assert_eq!(done, format!("removed id {garbage}, 4KiB: garbage\n"));
        assert!(!exists(&world, &garbage) && exists(&world, &keyed) && exists(&world, &held));
        let (code, again) = gc(&world, "--apply --yes --older-than 0");
        assert_eq!((code, &again["removed_count"], &again["applied"]), (0, &0.into(), &true.into()));
        assert_eq!(world.run("gc --yes").code, 2, "--yes without --apply");
        drop(holder);
    }
}

#[test]
fn a_creator_who_lives_is_waited_for() {
    for world in worlds() {
        let backend: std::sync::Arc<dyn coseg_sysv::Backend> = match world.backend {
            "kernel" => std::sync::Arc::new(coseg_sysv::Kernel),
            _ => std::sync::Arc::new(coseg_sysv::User::at(world.directory()).unwrap()),
        };
        let segment =
            coseg_sysv::Segment::options(coseg_sysv::Key::PRIVATE).size(10).create(&backend).unwrap();
        let (code, plan) = gc(&world, "--older-than 0");
        let one = of(&plan, &segment.id().to_string());
        assert_eq!((code, &one["verdict"], &one["creator"]), (0, &"keep".into(), &"alive".into()), "{plan}");
        segment.remove().unwrap();
    }
}

#[test]
fn a_creator_in_another_pid_namespace_is_not_called_gone() {
    let world = World::new("user");
    let garbage = create(&world, "--private");
    let (_, plan) = gc(&world, "--older-than 0");
    assert_eq!(of(&plan, &garbage)["verdict"], "garbage", "{plan}");
    // It has a number there that nobody, or somebody else, has here.
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--pid", "--fork", "--kill-child"]).arg(common::binary());
    elsewhere.args(["write", &format!("id:{garbage}")]).env("COSEG_BACKEND", "user");
    elsewhere.env("COSEG_DIR", world.directory()).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut elsewhere = Running(elsewhere.spawn().unwrap());
    for _ in 0..1000 {
        if world.attachment_count(&format!("id:{garbage}")) > 0 {
            let other = create(&world, "--private");
            let (_, plan) = gc(&world, "--older-than 0");
            let one = of(&plan, &other);
            assert_eq!((&one["verdict"], &one["creator"]), (&"unsure".into(), &"unknown".into()), "{plan}");
            return;
        }
        if elsewhere.0.try_wait().unwrap().is_some() {
            eprintln!("not tested: no PID namespace of our own: {}", elsewhere.finish().err);
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("it did not attach");
}

#[test]
fn a_policy_makes_keys_removable() {
    for world in worlds() {
        let named = create(&world, "--key 0x5005");
        let other = create(&world, "--key 0x6000");
        let text = "[[policy]]\nname = \"nightly\"\nkeys = [\"0x5000-0x50ff\"]\nolder_than = \"AGE\"\n";
        let path = policy(&world, &text.replace("AGE", "1h"));
        let line = format!("--older-than 0 --policy {}", path.display());
        let (code, plan) = gc(&world, &line);
        assert_eq!((code, &of(&plan, &named)["verdict"]), (0, &"keep".into()), "too young for the policy");
        policy(&world, &text.replace("AGE", "0s"));
        let (code, plan) = gc(&world, &line);
        let one = of(&plan, &named);
        assert_eq!((code, &one["verdict"], &one["policy"]), (1, &"garbage".into(), &"nightly".into()));
        assert_eq!(of(&plan, &other)["verdict"], "unsure");
        let done = world.ok(&format!("gc --not-shared --apply --yes {line}"));
        assert!(done.ends_with("4KiB: garbage by policy nightly\n"), "{done}");
        assert!(!exists(&world, &named) && exists(&world, &other));
    }
}

#[test]
fn what_is_postgresqls_is_seen_before_it_is_too_late() {
    for world in worlds() {
        let id = world.ok("create --key 0x5005 --size 56").trim().to_owned();
        let mut header = 679_834_894_u32.to_ne_bytes().to_vec();
        header.extend(1234_u32.to_ne_bytes());
        header.extend(56_u64.to_ne_bytes());
        assert_eq!(world.feed("write 0x5005", &header).code, 0);
        let path =
            policy(&world, "[[policy]]\nname = \"all\"\nkeys = [\"0x1-0xffffffff\"]\nolder_than = \"0s\"\n");
        let done =
            world.run(&format!("gc --not-shared --apply --yes --older-than 0 --policy {}", path.display()));
        assert_eq!(done.code, 0, "{done:?}");
        assert!(exists(&world, &id), "{done:?}");
        if world.backend == "kernel" {
            assert!(
                done.out.starts_with("kept key 0x00005005") && done.out.contains("PostgreSQL"),
                "{done:?}"
            );
        }
    }
}

#[test]
fn a_policy_file_that_others_may_write_is_refused() {
    let world = World::new("user");
    let path = policy(&world, "");
    assert_eq!(world.run(&format!("gc --policy {}", path.display())).code, 0);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let refused = world.run(&format!("gc --policy {}", path.display()));
    assert!(refused.code == 2 && refused.err.contains("Try: chmod go-w"), "{refused:?}");
    let wrong = policy(&World::new("user"), "");
    assert_eq!(world.run(&format!("gc --policy {}", wrong.display())).code, 2, "a file that is gone");
}

/// `coseg` on a terminal of its own, up to its question; then `meanwhile`, and the answer.
fn on_terminal(world: &World, line: &str, answer: &str, meanwhile: impl FnOnce()) -> Outcome {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = world.command(line);
    command.stdin(pty.slave.try_clone().unwrap()).stderr(pty.slave).stdout(Stdio::piped());
    let mut child = Running(command.spawn().unwrap());
    drop(command);
    let mut terminal = File::from(pty.master);
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("[y/N]") {
        let mut bytes = [0; 256];
        let length = terminal.read(&mut bytes).unwrap();
        said.extend(&bytes[..length]);
    }
    meanwhile();
    terminal.write_all(answer.as_bytes()).unwrap();
    let out = std::io::read_to_string(child.0.stdout.take().unwrap()).unwrap();
    let code = child.0.wait().unwrap().code().unwrap();
    Outcome { code, out, err: String::from_utf8_lossy(&said).into_owned() }
}

#[test]
fn what_is_attached_while_it_asks_is_kept() {
    for world in worlds() {
        let [taken, left] = [create(&world, "--private"), create(&world, "--private")];
        let line = "gc --not-shared --apply --older-than 0";
        let refused = on_terminal(&world, line, "n\n", || ());
        assert_eq!((refused.code, refused.out.as_str()), (1, ""));
        assert!(refused.err.contains("remove 2 segments? [y/N]"), "{}", refused.err);
        let mut holder = None;
        let done = on_terminal(&world, line, "y\n", || holder = Some(world.holder(&format!("id:{taken}"))));
        assert_eq!(done.code, 0, "{done:?}");
        let pid = holder.as_ref().unwrap().pid();
        assert!(
            done.out.contains(&format!("kept id {taken}, 4KiB: attached since: {pid} coseg")),
            "{}",
            done.out
        );
        assert!(done.out.contains(&format!("removed id {left}, 4KiB: garbage")), "{}", done.out);
        assert!(exists(&world, &taken) && !exists(&world, &left));
    }
}

#[test]
fn stray_files_of_the_user_backend_go_too() {
    let world = World::new("user");
    world.ok("create --key 1 --size 10");
    let stray = world.directory().join("seg-77");
    std::fs::write(&stray, "left behind").unwrap();
    let (code, plan) = gc(&world, "");
    assert_eq!((code, &plan["strays"]), (0, &serde_json::json!([])), "too young");
    assert_eq!(world.ok("gc --apply --yes --older-than 1h"), "");
    let (code, plan) = gc(&world, "--older-than 0");
    assert_eq!((code, &plan["strays"][0]), (1, &"seg-77".into()));
    assert_eq!(gc(&world, "--older-than 0 key:1").0, 0, "only this segment");
    assert_eq!(world.run("gc --apply --older-than 0").code, 2);
    assert_eq!(world.ok("gc --apply --yes --older-than 0"), "removed stray file seg-77\n");
    assert!(!stray.exists());
    assert_eq!(world.run("gc").code, 0);
}

#[test]
fn copies_of_the_killed_go_and_those_of_the_living_stay() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        let copies = || {
            let all = std::fs::read_dir(world.temporary()).unwrap().map(|entry| entry.unwrap().file_name());
            all.filter(|name| name.to_string_lossy().starts_with("coseg-copy-")).count()
        };
        let mut watcher = world.start("watch key:1");
        // Two looks, and a line once something changes.
        while copies() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let found = |line: &str| gc(&world, line).1["copies"].as_array().unwrap().len();
        assert_eq!(found("--older-than 0"), 0, "{}: it lives", world.backend);
        watcher.0.kill().unwrap();
        watcher.0.wait().unwrap();
        assert_eq!((found("--older-than 0"), found("--older-than 1h"), copies()), (2, 0, 2));
        let text = world.run("gc --older-than 0");
        assert!(text.code == 1 && text.err.contains("2 left copies"), "{text:?}");
        let done = world.ok("gc --apply --yes --older-than 0");
        assert_eq!((done.matches("removed left copy ").count(), copies()), (2, 0), "{done}");
    }
}

/// `coseg gc` as the first process of a PID namespace of its own.
fn from_within(world: &World, line: &str) -> Option<Value> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(common::binary());
    command.args(line.split(' ')).env("COSEG_BACKEND", world.backend).env("COSEG_DIR", world.directory());
    let outcome = common::finish(command);
    if outcome.err.contains("unshare") {
        eprintln!("not tested: no PID namespace of our own: {}", outcome.err);
        return None;
    }
    Some(serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{outcome:?}")))
}

#[test]
fn from_within_a_pid_namespace_nobody_outside_is_called_gone() {
    for world in worlds() {
        // Made by this process, which has no number in there.
        let backend: std::sync::Arc<dyn coseg_sysv::Backend> = match world.backend {
            "kernel" => std::sync::Arc::new(coseg_sysv::Kernel),
            _ => std::sync::Arc::new(coseg_sysv::User::at(world.directory()).unwrap()),
        };
        let options = coseg_sysv::Segment::options(coseg_sysv::Key::PRIVATE).size(10);
        let id = options.create(&backend).unwrap().id().to_string();
        let Some(plan) = from_within(&world, "gc --older-than 0 --json") else { return };
        let one = of(&plan, &id);
        assert_eq!((&one["verdict"], &one["creator"]), (&"unsure".into(), &"unknown".into()), "{plan}");
        let applied = from_within(&world, "gc --older-than 0 --apply --yes --json").unwrap();
        assert_eq!((&applied["removed_count"], exists(&world, &id)), (&0.into(), true));
        if world.backend == "user" {
            let told = from_within(&world, "gc --older-than 0 --not-shared --json").unwrap();
            assert_eq!(of(&told, &id)["creator"], "gone", "who says so is believed");
        }
    }
}

#[test]
fn anothers_garbage_is_not_ours_to_remove() {
    let worlds = worlds();
    let Some(world) = worlds.iter().find(|world| world.backend == "kernel") else { return };
    let roots = create(world, "--private");
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("coseg");
    common::copy_program(common::binary(), &copy);
    let mut command = std::process::Command::new(&copy);
    command.args(["--backend", "kernel", "gc", "--apply", "--yes", "--older-than", "0", "--json"]);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let outcome = common::finish(command);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let document: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(of(&document, &roots)["verdict"], "unsure");
    assert!(of(&document, &roots)["why"].as_str().unwrap().contains("another user's"), "{document}");
    assert!(exists(world, &roots));
}
