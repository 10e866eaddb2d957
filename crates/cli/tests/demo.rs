//! `coseg demo`: real numbers, and nothing left behind however it ends.

mod common;

use std::time::{Duration, Instant};

use common::{World, worlds};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a demo of this process id would leave.
fn directories_of(pid: u32) -> Vec<String> {
    let prefix = format!("coseg-demo-{pid}-");
    std::fs::read_dir("/dev/shm")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

fn children_of(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Its children that play this part.
fn players_of(pid: u32, role: &str) -> Vec<u32> {
    let plays = |child: &u32| {
        let words = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        words.split(|&byte| byte == 0).any(|word| word == role.as_bytes())
    };
    children_of(pid).into_iter().filter(plays).collect()
}

/// The demo while four traders are at work, and who they are.
fn at_work(world: &World, role: &str) -> (common::Running, Vec<u32>) {
    // The raw exchange comes first, and as long as the safe one.
    let running = world.start(if role == "trader" { "demo --seconds 30" } else { "demo --seconds 2" });
    let pid = running.pid();
    eventually("four traders at work", || players_of(pid, role).len() == 4);
    (running, players_of(pid, role))
}

const ROLES: [&str; 2] = ["trader", "safe-trader"];

fn eventually(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !met() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_empty(world: &World) -> bool {
    world.json("ls")["segments"] == serde_json::json!([])
}

#[test]
fn it_shows_both_programs_and_leaves_nothing() {
    for world in worlds() {
        let running = world.start("demo --seconds 0.3 --traders 3");
        let pid = running.pid();
        let outcome = running.finish();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_eq!(outcome.out.matches("read    abcdefghijklmnopqrstuvwxyz\n").count(), 1, "{}", outcome.out);
        for word in [
            "safe: nothing lost: ",
            "longest wait",
            "answered with *",
            "DOLLAR",
            "STERLIN",
            "What this showed",
            "Nothing is left behind",
        ] {
            assert!(outcome.out.contains(word), "{word}: {}", outcome.out);
        }
        assert!(!outcome.out.contains('\x1b'), "{}", outcome.out);
        assert!(is_empty(&world));
        assert_eq!(directories_of(pid), [] as [String; 0]);
    }
}

#[test]
fn its_numbers_add_up() {
    for world in worlds() {
        let demo = world.json("demo --seconds 0.3");
        let storm = &demo["exchange"][0];
        assert_eq!(storm["backend"], world.backend);
        for row in storm["rows"].as_array().unwrap() {
            let number = |name: &str| row[name].as_f64().unwrap();
            assert!(number("trades") > 0.0);
            assert_eq!(number("stock_expected"), number("stock_before") + number("trades"));
            assert_eq!(number("lost_updates"), number("stock_expected") - number("stock_actual"));
            assert!(number("lost_updates") >= 0.0 && number("stock_actual") > number("stock_before"));
        }
        let storm = &demo["safe_exchange"][0];
        assert_eq!(storm["faults"], serde_json::json!([]));
        for name in ["trades", "kills", "audits"] {
            assert!(storm[name].as_u64() > Some(0), "{name}: {storm}");
        }
        for row in storm["rows"].as_array().unwrap() {
            assert_eq!(row["stock_expected"].as_u64(), row["stock_actual"].as_u64());
            assert_eq!(row["units_lost"], 0);
            assert!(row["units_traded"].as_u64() > Some(0) && row["stock_actual"] != row["stock_before"]);
        }
        assert_eq!(demo["alphabet"][0]["answer"], "*");
        assert_eq!(demo["left_behind"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn one_trader_alone_loses_nothing() {
    for world in worlds() {
        let demo = world.json("demo --seconds 0.2 --traders 1");
        for row in demo["exchange"][0]["rows"].as_array().unwrap() {
            assert_eq!(row["lost_updates"].as_f64(), Some(0.0));
        }
    }
}

#[test]
fn ctrl_c_ends_it_cleanly() {
    for (world, role) in worlds().iter().flat_map(|world| ROLES.map(|role| (world, role))) {
        let (running, children) = at_work(world, role);
        let pid = running.pid();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGINT).unwrap();
        let outcome = running.finish();
        assert_eq!(outcome.code, 130, "{role}: {outcome:?}");
        assert!(is_empty(world), "{role}");
        assert_eq!(directories_of(pid), [] as [String; 0], "{role}");
        assert!(children.iter().all(|child| !std::path::Path::new(&format!("/proc/{child}")).exists()));
    }
}

#[test]
fn its_processes_and_segments_do_not_survive_a_kill() {
    for (world, role) in worlds().iter().flat_map(|world| ROLES.map(|role| (world, role))) {
        let (running, children) = at_work(world, role);
        let pid = running.pid();
        drop(running);
        eventually("the death of all traders", || {
            children.iter().all(|child| {
                // A zombie waits for whoever inherited it.
                let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
                stat.is_empty() || stat.contains(") Z ")
            })
        });
        eventually("the end of the segment", || is_empty(world));
        // Nobody is left to remove a directory then: kill -9 is the one way to leave it.
        for name in directories_of(pid) {
            std::fs::remove_dir_all(format!("/dev/shm/{name}")).unwrap();
        }
    }
}
