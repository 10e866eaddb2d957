//! `coseg open`: dumps looked into without a segment.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::{self, World, worlds};
use crate::kept::file;
use crate::office::{Player, office};

/// The document of a command that looks into a dump: that of the same command on a segment.
fn opened(world: &World, path: &str, line: &str) -> serde_json::Value {
    common::document(line, &world.ok(&format!("open {path} {line} --json")))
}

/// A dump of a region that is gone since, and what was shown of it.
fn dumped(world: &World) -> (String, serde_json::Value) {
    let market = office(world, 0x4558, "market");
    let path = file(world, "market.dump");
    world.ok(&format!("dump name:market {path}"));
    let shown = world.json("show name:market");
    drop(market);
    world.ok("rm 0x4558");
    (path, shown)
}

#[test]
fn a_dump_is_looked_into_as_its_segment_was() {
    for world in worlds() {
        world.ok("create --private --size 10");
        let (path, shown) = dumped(&world);
        let before = std::fs::read(&path).unwrap();
        let listed = world.ok("ls --no-who");
        let document = opened(&world, &path, "show");
        assert_eq!((&document["parts"], &document["id"]), (&shown["parts"], &shown["id"]));
        assert_eq!((&document["file"], &document["backend"]), (&path.as_str().into(), &world.backend.into()));
        assert_eq!(document["key"], 0x4558);
        let text = world.ok(&format!("open {path} show"));
        assert!(text.contains(&format!("{path} (key 0x00004558, id {})", document["id"])), "{text}");
        assert_eq!(world.ok(&format!("open {path} get trades")), "42\n");
        assert_eq!(opened(&world, &path, "get board[1].stock")["value"], -3);
        let before_it = world.ok(&format!("--json open {path} get trades"));
        assert_eq!(common::document("get", &before_it)["value"], 42);
        let pages = opened(&world, &path, "pages");
        assert!(pages["resident_page_count"].as_u64().unwrap() > 0, "{pages}");
        let hex = world.ok(&format!("open {path} hex --length 8"));
        assert_eq!(hex.lines().count(), 2, "{hex}");
        assert_eq!(
            world.command(&format!("open {path} read")).output().unwrap().stdout.len() as u64,
            pages["size_bytes"].as_u64().unwrap()
        );
        let locks = opened(&world, &path, "locks");
        assert_eq!(locks["regions"][0]["name"], "market");
        assert_eq!(opened(&world, &path, "map ls")["maps"], serde_json::json!([]));
        // It is the dump that is looked at, and nothing else is touched.
        assert_eq!(world.ok("ls --no-who"), listed);
        assert!(std::fs::read(&path).unwrap() == before);
        assert_eq!(std::fs::read_dir(world.temporary()).unwrap().count(), 0, "the copy is gone");
    }
}

#[test]
fn who_held_what_is_told() {
    for world in worlds() {
        let _market = office(&world, 7, "market");
        let holder = Player::start(&world, "holder", "7");
        let path = file(&world, "market.dump");
        world.ok(&format!("dump key:7 {path}"));
        let locks = world.run(&format!("open {path} locks"));
        assert!(!locks.out.contains("orphaned") && locks.out.contains("holder"), "it runs on: {locks:?}");
        let show = world.ok(&format!("open {path} show"));
        assert!(show.contains("holder (pid") && !show.contains(", dead"), "{show}");
        drop(holder);
        let locks = world.run(&format!("open {path} locks"));
        assert!(
            locks.code == 1 && locks.out.contains("orphaned") && locks.out.contains("holder"),
            "{locks:?}"
        );
    }
}

#[test]
fn without_a_command_it_says_what_was_dumped() {
    for world in worlds() {
        let (path, _) = dumped(&world);
        let text = world.ok(&format!("open {path}"));
        for fact in
            ["key 0x00004558", "Office (market)", &format!("of the {} backend", world.backend), "0600"]
        {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        let document = world.json(&format!("open {path}"));
        assert_eq!((&document["key"], &document["one_moment"]), (&0x4558.into(), &true.into()));
    }
}

#[test]
fn what_would_change_a_dump_is_refused() {
    let world = World::new("user");
    let (path, _) = dumped(&world);
    for (line, code, fact) in [
        ("set board[0].stock=1", 2, "no command that looks"),
        ("rm", 2, "no command that looks"),
        ("open", 2, "no command that looks"),
        ("diff other.dump", 2, "coseg diff FILE OTHER"),
        ("map put quotes a 1", 2, "a dump stays as it is"),
        ("channel send orders 1", 2, "a dump stays as it is"),
        ("channel tail orders", 2, "a dump stays as it is"),
        ("hex --nonsense", 2, "--nonsense"),
        ("get nothing", 1, "nothing"),
        ("show nothing", 1, &path),
        ("hex --offset 100M", 2, &path),
    ] {
        let refused = world.run(&format!("open {path} {line}"));
        assert!(refused.code == code && refused.err.contains(fact), "{line}: {refused:?}");
    }
    assert_eq!(world.run("open /no/such/file show").code, 1);
    assert_eq!(world.run("open /etc/passwd show").code, 2);
    assert!(world.ok(&format!("open {path} hex --help")).contains("--width"));
}

#[test]
fn a_plain_dump_is_shown_by_the_type_of_its_key() {
    for world in worlds() {
        world.ok("create --key 0x4242 --size 64");
        world.feed("write 0x4242", &7_i32.to_ne_bytes());
        let path = file(&world, "plain.dump");
        world.ok(&format!("dump 0x4242 {path}"));
        let show = |words: &[&str]| {
            let mut command = world.command("open");
            command.args([&path, "show"]).args(words).arg("--json");
            let outcome = common::finish(command);
            let document = serde_json::from_str(&outcome.out).unwrap_or(serde_json::Value::Null);
            (outcome.code, document)
        };
        assert_eq!(show(&[]).0, 2, "nothing says what it is");
        assert_eq!(show(&["--as", "int [2]"]).1["value"], serde_json::json!([7, 0]));
        // What is remembered for the key holds for both.
        assert_eq!(show(&[]).1["value"], serde_json::json!([7, 0]));
        assert_eq!(world.json("show 0x4242")["declared_by"], "as remembered");
        // Through a pipe too.
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat \"$0\" | \"$1\" open - hex --length 4"]).args([&path]).arg(common::binary());
        shell.arg0("sh").env("COSEG_BACKEND", world.backend).env("TMPDIR", world.temporary());
        let piped = common::finish(shell);
        assert!(piped.out.contains("07 00 00 00"), "{piped:?}");
    }
}
