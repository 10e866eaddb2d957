//! `serve`: who gets in, what is told, what is removed, and how it ends. The page itself is tested in a browser:
//! `cargo xtask browser`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod openmetrics;

use std::time::{Duration, Instant};

use client::{Server, Stream};
use common::{World, worlds};
use coseg::{Cell, Key, Lock, Region};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// What the page says of a segment that is to be removed.
fn wish(segment: &Value) -> Value {
    let mut wish = json!({});
    for name in ["id", "key", "size_bytes", "creator_pid", "change_time"] {
        wish[name] = segment[name].clone();
    }
    wish
}

fn segment<'a>(scene: &'a Value, id: &str) -> &'a Value {
    let segments = scene["segments"].as_array().unwrap();
    segments
        .iter()
        .find(|one| one["id"].as_i64() == id.parse().ok())
        .unwrap_or_else(|| panic!("no id {id}: {scene}"))
}

#[test]
fn only_this_machine_and_its_own_page_get_an_answer() {
    let world = World::new("user");
    let server = Server::start(&world, "");
    let page = server.get("/", &[]);
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!page.body.contains("<script>") && !page.body.contains("style="), "nothing inline");
    assert!(
        !page.body.contains("http://") || page.body.matches("http://").count() == 1,
        "only the icon's namespace"
    );

    let port = server.port;
    let foreign = server.get_as("/", &format!("evil.example:{port}"), &[]);
    assert_eq!(foreign.status, 421);
    assert!(foreign.body.contains("localhost"), "{}", foreign.body);
    assert_eq!(server.get_as("/", &format!("127.0.0.1:{}", port ^ 1), &[]).status, 421);
    assert_eq!(server.get_as("/", &format!("localhost:{port}"), &[]).status, 200);
    let token = server.bearer();
    let with =
        |origin: &str| server.get("/api/scene", &[("Authorization", &token), ("Origin", origin)]).status;
    assert_eq!(with("http://evil.example"), 403);
    assert_eq!(with("null"), 403);
    assert_eq!(with(&format!("http://127.0.0.1:{port}")), 200);
    let fetched = [("Authorization", token.as_str()), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(server.get("/api/scene", &fetched).status, 403);
}

#[test]
fn whatever_tells_or_changes_wants_the_token() {
    let world = World::new("user");
    let status = |server: &Server, path: &str| server.get(path, &[]).status;
    let paths = ["/api/scene", "/api/segment/0", "/metrics", "/events", "/events/0"];
    let shut = Server::start(&world, "");
    for path in paths {
        let refused = shut.get(path, &[]);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
        let wrong = shut.get(path, &[("Authorization", "Bearer 0123456789")]);
        assert_eq!(wrong.status, 401, "{path}");
    }
    assert_eq!(shut.post("/api/remove", &[], "{}").status, 401);
    let scraped = Server::start(&world, "--open-metrics");
    assert_eq!((status(&scraped, "/metrics"), status(&scraped, "/api/scene")), (200, 401));
    let open = Server::start(&world, "--open");
    assert_eq!((status(&open, "/metrics"), status(&open, "/api/scene")), (200, 200));
    assert_eq!(open.post("/api/remove", &[], "{}").status, 401);

    let file = world.directory().join("token");
    std::fs::write(&file, "a-token-of-my-own\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let line = format!("serve --port 0 --token-file {}", file.display());
    let refused = world.run(&line);
    assert!(refused.code == 2 && refused.err.contains("Try: chmod 600"), "{refused:?}");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let own = Server::start(&world, &format!("--token-file {}", file.display()));
    assert_eq!(own.token, "a-token-of-my-own");
}

#[test]
fn other_machines_are_asked_for_by_a_word_of_their_own() {
    let world = World::new("user");
    let refused = world.run("serve --port 0 --bind 0.0.0.0");
    assert!(refused.code == 2 && refused.err.contains("--expose"), "{refused:?}");
    let nowhere = world.run("serve --port 0 --bind here");
    assert!(nowhere.code == 2 && nowhere.err.contains("127.0.0.1"), "{nowhere:?}");
    let server = Server::start(&world, "--bind localhost");
    let taken = world.run(&format!("serve --port {}", server.port));
    assert!(taken.code == 2 && taken.err.contains("in use") && taken.err.contains("--port 0"), "{taken:?}");
}

#[test]
fn the_scene_is_a_document_of_the_tool() {
    for world in worlds() {
        let id = world.ok("create --key 0x4242 --size 8K").trim().to_owned();
        let holder = world.holder("0x4242");
        let server = Server::start(&world, "");
        let scene = server.scene();
        assert_eq!((&scene["schema"], &scene["backend"]), (&1.into(), &world.backend.into()));
        let one = segment(&scene, &id);
        assert_eq!((&one["key_hex"], &one["size_bytes"]), (&"0x00004242".into(), &8192.into()));
        assert_eq!(one["attached"][0]["pid"], holder.pid());
        assert_eq!(one["title"], "0x00004242");
        let details = server.json(&format!("/api/segment/{id}"));
        assert_eq!((&details["schema"], &details["page_count"]), (&1.into(), &2.into()));
        assert_eq!(server.authorized("/api/segment/99999").status, 404);
        assert_eq!(server.authorized("/api/segment/x").status, 400);
        assert_eq!(server.authorized("/api/nothing").status, 404);
    }
}

#[derive(Region)]
struct Shop {
    price: Cell<u64>,
    door: Lock,
    orders: coseg::Channel<u64, coseg::Queue<8>>,
}

#[test]
fn metrics_are_openmetrics_whatever_names_there_are() {
    let world = World::new("user");
    let backend: std::sync::Arc<dyn coseg_sysv::Backend> =
        std::sync::Arc::new(coseg_sysv::User::at(world.directory()).unwrap());
    let name = "a\"b\\c\nd} 7 \u{e4}";
    let region =
        Region::<Shop>::at(Key::new(7)).backend(&backend).name(name).create(ShopInitial::default).unwrap();
    region.orders.sender().unwrap().send(&5).unwrap();
    let server = Server::start(&world, "");
    let answer = server.authorized("/metrics");
    let metrics = openmetrics::parse(&answer.body);
    let own = |sample: &openmetrics::Sample| sample.label("name") == Some(name);
    let of = |name: &str| metrics.sample(name, own).unwrap_or_else(|| panic!("{name}: {}", answer.body));
    assert_eq!(of("coseg_segment_attachments").value, 1.0);
    assert_eq!(of("coseg_region_participants").value, 1.0);
    assert_eq!(of("coseg_region_participants_dead").value, 0.0);
    assert_eq!(of("coseg_region_locks_orphaned").value, 0.0);
    assert_eq!(of("coseg_region_recoveries_total").value, 0.0);
    let depth = of("coseg_channel_ready");
    assert_eq!((depth.value, depth.label("channel")), (1.0, Some("orders")));
}

#[test]
fn metrics_are_of_all_segments() {
    for world in worlds() {
        let server = Server::start(&world, "");
        let ids = ["--private", "--key 7"].map(|words| world.ok(&format!("create --size 4K {words}")));
        let answer = server.authorized("/metrics");
        assert_eq!(
            answer.header("content-type"),
            Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
        );
        let metrics = openmetrics::parse(&answer.body);
        let all = metrics.sample("coseg_segments", |_| true).unwrap();
        assert_eq!((all.value, all.label("backend")), (2.0, Some(world.backend)));
        for (id, key) in ids.iter().zip(["0x00000000", "0x00000007"]) {
            let own = |sample: &openmetrics::Sample| sample.label("id") == Some(id.trim());
            let size = metrics.sample("coseg_segment_size_bytes", own).unwrap();
            assert_eq!((size.value, size.label("key"), size.label("name")), (4096.0, Some(key), Some("")));
        }
    }
}

#[test]
fn what_is_removed_is_what_was_seen() {
    for world in worlds() {
        let server = Server::start(&world, "");
        let token = server.bearer();
        let remove = |wish: &Value| {
            let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
            let answer = server.post("/api/remove", &headers, &wish.to_string());
            let is_document = answer.header("content-type") == Some("application/json");
            let document =
                if is_document { common::document("serve /api/remove", &answer.body) } else { Value::Null };
            (answer.status, document)
        };
        let id = world.ok("create --key 7 --size 4K").trim().to_owned();
        let seen = wish(segment(&server.fresh_scene(&id), &id));
        let exists = || world.run(&format!("stat id:{id}")).code == 0;

        let mut other = seen.clone();
        other["size_bytes"] = 8192.into();
        let (status, answer) = remove(&other);
        assert!(
            status == 409 && answer["error"].as_str().unwrap().contains("is not what was seen"),
            "{answer}"
        );
        let holder = world.holder("key:7");
        let (status, answer) = remove(&seen);
        assert!(status == 409 && answer["error"].as_str().unwrap().contains("EBUSY"), "{answer}");
        assert_eq!(answer["result"]["removed"], false);
        assert!(exists());
        let form = [("Authorization", token.as_str()), ("Content-Type", "text/plain")];
        assert_eq!(server.post("/api/remove", &form, &seen.to_string()).status, 415);
        assert_eq!(remove(&json!({ "id": 1 })).0, 400);
        let long = json!({ "id": "x".repeat(5000) });
        assert_eq!(remove(&long).0, 413);
        drop(holder);

        let (status, answer) = remove(&seen);
        assert_eq!((status, &answer["schema"]), (200, &1.into()), "{answer}");
        assert_eq!(answer["result"]["destroyed"], true);
        assert!(!exists());
        assert_eq!(remove(&seen).0, 404);

        let id = world.ok("create --key 8 --size 4K").trim().to_owned();
        let mut forced = wish(segment(&server.fresh_scene(&id), &id));
        forced["force"] = true.into();
        let _holder = world.holder("key:8");
        let (status, answer) = remove(&forced);
        assert_eq!((status, &answer["result"]["destroyed"]), (200, &false.into()), "{answer}");
        assert_eq!(world.run("stat key:8").code, 1, "its key is free");

        let watched = Server::start(&world, "--read-only");
        let token = watched.bearer();
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let refused = watched.post("/api/remove", &headers, &forced.to_string());
        assert!(refused.status == 403 && refused.body.contains("--read-only"), "{}", refused.body);
    }
}

#[test]
fn viewers_are_told_as_it_happens() {
    for world in worlds() {
        let server = Server::start(&world, "");
        let mut stream = Stream::open(&server, "/events");
        let hello = stream.expect("hello");
        assert_eq!((&hello["schema"], &hello["read_only"]), (&1.into(), &false.into()));
        let scene = stream.expect("scene");
        assert_eq!(scene["segments"].as_array().unwrap().len(), 0);
        let id = world.ok("create --key 7 --size 4K").trim().to_owned();
        let events = stream.expect("events");
        assert_eq!(
            (&events["events"][0]["kind"], &events["events"][0]["number"]),
            (&"created".into(), &1.into())
        );
        // Who comes later is told what he has missed.
        let mut late = Stream::open(&server, &format!("/events/{id}"));
        assert_eq!(late.expect("events")["events"][0]["id"].to_string(), id);
        let details = late.expect("details");
        assert_eq!((&details["id"].to_string(), &details["page_count"]), (&id, &1.into()));
        world.ok("rm key:7");
        while stream.expect("events")["events"][0]["kind"] != "gone" {}
        while !late.expect("details").is_null() {}
    }
}

#[test]
fn nothing_is_looked_at_while_nobody_watches() {
    let world = World::new("user");
    let server = Server::start(&world, "");
    let since_last = || server.scene()["elapsed_ms"].as_u64();
    assert_eq!(since_last(), None);
    let quiet = Duration::from_millis(700);
    std::thread::sleep(quiet);
    assert!(since_last() >= Some(700), "it looked for nobody");
    let mut stream = Stream::open(&server, "/events");
    stream.expect("scene");
    while since_last() >= Some(700) {
        stream.expect("scene");
    }
    drop(stream);
    // Its end is noticed with the next thing that is sent to him.
    let mut longest = 0;
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(300));
        longest = since_last().unwrap().max(longest);
        if longest >= 300 {
            return;
        }
    }
    panic!("it goes on looking for somebody who has gone: {longest} ms");
}

#[test]
fn it_ends_at_once_when_told_to() {
    let world = World::new("user");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let server = Server::start(&world, "");
        let mut stream = Stream::open(&server, "/events");
        stream.expect("scene");
        // Somebody who does not say what he wants.
        let _silent = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let start = Instant::now();
        kill(Pid::from_raw(i32::try_from(server.running.pid()).unwrap()), signal).unwrap();
        let outcome = server.running.finish();
        assert_eq!(outcome.code, 130, "{outcome:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert!(stream.is_at_end());
    }
}

#[test]
fn requests_are_bounded() {
    let world = World::new("user");
    let server = Server::start(&world, "");
    let long = "x".repeat(40_000);
    assert_eq!(server.get("/", &[("X-Long", &long)]).status, 431);
    let all: Vec<(&str, &str)> = (0..100).map(|_| ("X-Many", "1")).collect();
    assert_eq!(server.get("/", &all).status, 431);
    assert_eq!(server.post("/api/scene", &[("Authorization", &server.bearer())], "").status, 405);
    let connect = || std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut waiting: Vec<_> = (0..64).map(|_| connect()).collect();
    // One too many is told so; which, depends on what was noted first.
    let start = Instant::now();
    loop {
        if client::try_get(&server, "/").is_some_and(|answer| answer.status == 503) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "65 at a time");
    }
    waiting.clear();
    let start = Instant::now();
    while client::try_get(&server, "/").is_none_or(|answer| answer.status != 200) {
        assert!(start.elapsed() < Duration::from_secs(20), "places are not given back");
        std::thread::sleep(Duration::from_millis(20));
    }
}
