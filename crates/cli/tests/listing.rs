//! `ls`, `stat` and `rm`: who is attached, what is shown, what is spared.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::process::{Command, Stdio};

use common::{Running, World, worlds};
use coseg_sysv::{Backend, Kernel, Segment, ShmId, User};

/// What the holder is asked to hold.
const HOLD: &str = "COSEG_TEST_HOLD";

#[test]
#[ignore = "another test runs it as a process of its own"]
fn a_holder_for_reading() {
    let Ok(id) = std::env::var(HOLD) else { return };
    let backend: std::sync::Arc<dyn Backend> = match std::env::var("COSEG_BACKEND").as_deref() {
        Ok("kernel") => std::sync::Arc::new(Kernel),
        _ => std::sync::Arc::new(User::open().unwrap()),
    };
    let id = ShmId::new(id.parse().unwrap());
    let memory = Segment::of_id(&backend, id).attach_read_only().unwrap();
    std::io::read_to_string(std::io::stdin()).unwrap();
    memory.detach().unwrap();
}

/// A process that stays attached for reading until its standard input ends: this program once more. Commands of the
/// tool attach for a moment only.
fn reader(world: &World, id: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "a_holder_for_reading"]).env(HOLD, id);
    command.env("COSEG_BACKEND", world.backend).env("COSEG_DIR", world.directory());
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    Running(command.spawn().unwrap())
}

#[test]
fn the_attached_are_named_with_their_access() {
    for world in worlds() {
        let id = world.ok("create --key 1 --size 300000");
        let writer = world.holder("key:1");
        let reader = reader(&world, id.trim());
        while world.attachment_count("key:1") < 2 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let segment = &world.json("stat key:1")["segments"][0];
        assert_eq!(segment["hidden_count"], 0);
        let mut attached: Vec<(u64, bool)> = segment["attached"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let name = if one["read_only"] == true { "listing" } else { "coseg" };
                assert!(one["command"].as_str().unwrap().starts_with(name), "{one}");
                assert_eq!(one["user"], segment["user"]);
                (one["pid"].as_u64().unwrap(), one["read_only"].as_bool().unwrap())
            })
            .collect();
        attached.sort_unstable();
        let mut expected = vec![(u64::from(writer.pid()), false), (u64::from(reader.pid()), true)];
        expected.sort_unstable();
        assert_eq!(attached, expected);

        let listing = world.ok("ls");
        assert!(listing.contains(&format!("{} coseg", writer.pid())), "{listing}");
        let own = listing.lines().find_map(|line| line.split_once(&format!("{} listing", reader.pid())));
        assert!(
            own.is_some_and(|(_, rest)| rest.split([',', '\n']).next().unwrap().ends_with(" ro")),
            "{listing}"
        );
        let fast = world.ok("ls --no-who");
        assert!(!fast.contains("ATTACHED-BY") && !fast.contains("coseg"), "{fast}");
        assert!(world.json("ls --no-who")["segments"][0]["attached"].is_null());

        let mine = world.json(&format!("ls pid:{}", writer.pid()));
        assert_eq!(mine["segments"].as_array().unwrap().len(), 1);
        drop(reader);
        assert_eq!(writer.finish().code, 0);
    }
}

#[test]
fn a_process_is_a_selector_too() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        let holder = world.holder("key:1");
        let pid = holder.pid();
        assert_eq!(world.ok(&format!("read pid:{pid}")).len(), 10);
        let nobody = world.run("read pid:1");
        assert_eq!(nobody.code, 1);
        assert!(nobody.err.contains("attached to no segment"), "{}", nobody.err);
        drop(holder);
        let gone = world.run(&format!("read pid:{pid}"));
        assert!(gone.code == 1 && gone.err.contains("ESRCH"), "{gone:?}");
    }
}

#[test]
fn a_process_with_two_segments_is_ambiguous_where_one_is_needed() {
    let world = common::World::new("user");
    let backend = coseg_sysv::User::at(world.directory()).unwrap();
    let attached = [1, 2].map(|number| {
        let options = coseg_sysv::Segment::options(coseg_sysv::Key::new(number)).size(10);
        options.create(&backend).unwrap().attach().unwrap()
    });
    let selector = format!("pid:{}", std::process::id());
    let outcome = world.run(&format!("read {selector}"));
    assert_eq!(outcome.code, 1);
    for text in
        ["attached to 2 segments", "key 0x00000001", "key 0x00000002", "Try: one of them, such as id:"]
    {
        assert!(outcome.err.contains(text), "{text}: {}", outcome.err);
    }
    assert_eq!(world.json(&format!("stat {selector}"))["segments"].as_array().unwrap().len(), 2);
    drop(attached);
}

#[test]
fn rm_spares_the_attached_until_forced() {
    for world in worlds() {
        let id = world.ok("create --key 1 --size 10").trim().to_owned();
        world.ok("create --key 2 --size 10");
        let holder = world.holder("key:1");
        let refused = world.run("rm key:1 key:2");
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("EBUSY"), "{}", refused.err);
        assert!(refused.err.contains(&format!("{} coseg", holder.pid())), "{}", refused.err);
        assert!(refused.err.contains("Try: coseg rm --force"), "{}", refused.err);
        assert!(refused.out.starts_with("removed key 0x00000002"), "{}", refused.out);

        let forced = world.ok("rm --force key:1");
        assert!(forced.contains("until the last"), "{forced}");
        let segment = &world.json(&format!("stat id:{id}"))["segments"][0];
        assert_eq!((segment["removed"].clone(), segment["key"].clone()), (true.into(), 0.into()));
        assert!(world.ok("ls --removed").contains("dest"));
        assert!(world.ok(&format!("stat id:{id}")).contains("vanishes"));
        assert_eq!(holder.finish().code, 0);
        assert_eq!(world.run(&format!("stat id:{id}")).code, 1);
    }
}

#[test]
fn rm_by_filter_needs_yes_and_says_what_it_would_do() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        world.ok("create --key 2 --size 2M");
        assert_eq!(world.run("rm").code, 2);
        assert_eq!(world.run("rm --yes").code, 2);
        let asked = world.run("rm --unattached --mine");
        assert_eq!(asked.code, 2);
        assert!(asked.err.contains("--yes"), "{}", asked.err);
        let plan = world.ok("rm --unattached --mine --dry-run");
        assert_eq!(plan.lines().filter(|line| line.starts_with("would remove")).count(), 2, "{plan}");
        assert_eq!(world.json("ls")["segments"].as_array().unwrap().len(), 2);
        let large = world.json("rm --larger 1M --yes");
        assert_eq!(large["results"][0]["key"], 2);
        assert_eq!(large["results"][0]["destroyed"], true);
        world.ok("rm --unattached --yes");
        assert_eq!(world.run("rm --unattached --yes").code, 1);
    }
}

#[test]
fn ls_filters_sorts_and_chooses_columns() {
    for world in worlds() {
        for (key, size) in [(1, 3000), (2, 1000), (3, 2000)] {
            world.ok(&format!("create --key {key} --size {size}"));
        }
        let keys = |line: &str| -> Vec<i64> {
            let value = world.json(line);
            value["segments"].as_array().unwrap().iter().map(|one| one["key"].as_i64().unwrap()).collect()
        };
        assert_eq!(keys("ls --sort size"), [1, 3, 2]);
        assert_eq!(keys("ls --sort size --reverse"), [2, 3, 1]);
        assert_eq!(keys("ls --larger 1500 --sort key"), [1, 3]);
        assert_eq!(keys("ls --key 2"), [2]);
        assert_eq!(keys("ls key:3"), [3]);
        assert_eq!(keys("ls --removed"), [] as [i64; 0]);
        assert_eq!(world.ok("ls --columns size,key --bytes key:1"), "SIZE  KEY\n3000  0x00000001\n");
        assert!(world.ok("ls --columns all").lines().next().unwrap().contains("DETACH-TIME"));
        let wrong = world.run("ls --columns nonsense");
        assert!(wrong.code == 2 && wrong.err.contains("attached-by"), "{wrong:?}");
        assert_eq!(world.run("limits --columns key").code, 2);
    }
}

#[test]
fn an_empty_list_is_a_header_and_a_word() {
    for world in worlds() {
        let outcome = world.run("ls");
        assert_eq!(outcome.code, 0);
        assert_eq!(outcome.out.lines().count(), 1);
        assert!(
            outcome.err.contains(&format!("no segments on the {} backend", world.backend)),
            "{}",
            outcome.err
        );
    }
}

#[test]
fn attachers_out_of_sight_are_counted() {
    for world in worlds().into_iter().filter(|world| world.backend == "kernel") {
        let id: i32 = world.ok("create --key 1 --size 10").trim().parse().unwrap();
        // This process as a whole is in another IPC namespace than this thread, so its mapping is not shown.
        let segment = coseg_sysv::Segment::of_id(&coseg_sysv::Kernel, coseg_sysv::ShmId::new(id));
        let memory = segment.attach().unwrap();
        let outcome = world.run("ls");
        assert!(outcome.out.contains("+1 hidden"), "{}", outcome.out);
        assert!(outcome.err.contains("1 attacher hidden"), "{}", outcome.err);
        assert_eq!(world.json("ls")["hidden_count"], 1);
        memory.detach().unwrap();
    }
}

#[test]
fn errors_name_the_key_and_the_id() {
    for world in worlds() {
        let id = world.ok("create --key 0x4242 --size 10").trim().to_owned();
        let outcome = world.run("rm 0x4242 id:12345");
        assert_eq!(outcome.code, 1);
        assert!(outcome.out.contains(&format!("removed key 0x00004242 (id {id})")), "{}", outcome.out);
        assert!(outcome.err.contains("id 12345: EINVAL"), "{}", outcome.err);
    }
}

#[test]
fn what_the_mode_denies_names_the_key_the_mode_and_the_next_step() {
    let worlds = worlds();
    let Some(world) = worlds.iter().find(|world| world.backend == "kernel") else { return };
    world.ok("create --key 0x4242 --size 10 --mode 600");
    // Somebody else, who has to be able to reach the program.
    let directory = tempfile::Builder::new().permissions(open_to_all()).tempdir().unwrap();
    let copy = directory.path().join("coseg");
    common::copy_program(common::binary(), &copy);
    for (line, text) in [
        ("read 0x4242", "attach key 0x00004242 (id 0): EACCES: mode 0600, owner uid 0, you are 65534"),
        ("chmod 666 0x4242", "set key 0x00004242 (id 0): EPERM: owner uid 0"),
        ("rm 0x4242", "remove key 0x00004242 (id 0): EPERM: owner uid 0"),
    ] {
        let mut command = std::process::Command::new(&copy);
        command.args(["--backend", "kernel"]).args(line.split(' '));
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        let outcome = common::finish(command);
        assert!(outcome.code != 0 && outcome.err.contains(text), "{line}: {outcome:?}");
        assert!(outcome.err.contains("Try: the same command as its owner"), "{}", outcome.err);
    }
}

fn open_to_all() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}
