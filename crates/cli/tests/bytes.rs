//! `hex`, `dump`, `restore`, `diff`, `pages`: what is in segments that nobody describes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{World, worlds};
use coseg_sysv::{Kernel, Key, Segment, User};

const MIB: usize = 1 << 20;

/// A file name in the world's own temporary directory, beside its registry.
fn file(world: &World, name: &str) -> String {
    let directory = world.directory().join("kept");
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(name).display().to_string()
}

fn attach_time(world: &World, selector: &str) -> serde_json::Value {
    world.json(&format!("stat {selector}"))["segments"][0]["attach_time"].clone()
}

#[test]
fn hex_shows_bytes_and_text_and_squeezes_what_repeats() {
    for world in worlds() {
        world.ok("create --key 0x4242 --size 1024");
        world.feed("write 0x4242", b"milk, bread\n");
        assert_eq!(
            world.ok("hex 0x4242"),
            "00000000  6d 69 6c 6b 2c 20 62 72  65 61 64 0a 00 00 00 00  │milk, bread_⋄⋄⋄⋄│\n\
             00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  │⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄│\n\
             *\n\
             00000400\n"
        );
        assert_eq!(
            world.ok("hex 0x4242 --offset 6 --length 5 --width 8"),
            "00000006  62 72 65 61 64           │bread   │\n0000000b\n"
        );
        assert_eq!(world.ok("hex 0x4242 --no-squeezing").lines().count(), 1024 / 16 + 1);
        assert_eq!(world.ok("hex 0x4242 --offset 1024"), "00000400\n");
        let json = world.json("hex 0x4242");
        assert_eq!(json["lines"][0]["bytes_hex"], "6d696c6b2c2062726561640a00000000");
        assert_eq!(json["lines"][1]["repeated"], 1024 / 16 - 2);
        // An offset as a line of it begins, or as a program counts.
        assert_eq!(world.ok("hex 0x4242 --offset 0x3fc"), world.ok("hex 0x4242 --offset 1020"));
        for command in ["hex", "read"] {
            let outside = world.run(&format!("{command} 0x4242 --offset 0x3fc --length 5"));
            let fact =
                "ERANGE: 5 bytes at offset 1020 (0x3fc) do not lie in a segment of 1,024 bytes (0x400)";
            assert!(outside.code == 2 && outside.err.contains(fact), "{outside:?}");
        }
        assert_eq!(world.run("hex 0x4242 --width 0").code, 2);
        assert_eq!(world.run("hex 0x4243").code, 1);
        assert!(!world.ok("hex 0x4242").contains('\x1b'));
        assert!(world.ok("hex 0x4242 --color always").contains("\x1b[36m"));
    }
}

#[test]
fn looking_disturbs_nothing_and_says_when_it_has_to_attach() {
    for world in worlds() {
        world.ok("create --key 1 --size 64K");
        world.feed("write key:1", b"x");
        let dumped = file(&world, "a.dump");
        let lines =
            ["hex key:1 --length 16", "read key:1", "read key:1 --json", &format!("dump key:1 {dumped}")];
        let holder = world.holder("key:1");
        let before = world.json("stat key:1");
        for line in lines {
            let outcome = world.run(line);
            assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{}: {line}", world.backend);
        }
        assert_eq!(world.json("stat key:1")["segments"], before["segments"], "somebody is attached");
        holder.finish();
        if world.backend == "user" {
            let before = world.json("stat key:1");
            world.ok("hex key:1");
            assert_eq!(world.json("stat key:1")["segments"], before["segments"], "its file tells");
        } else {
            let before = attach_time(&world, "key:1");
            let outcome = world.run("hex key:1");
            assert!(outcome.err.contains("attached key 0x00000001"), "{outcome:?}");
            assert!(attach_time(&world, "key:1").as_i64() >= before.as_i64());
        }
    }
}

#[test]
fn a_look_that_would_destroy_is_refused() {
    for world in worlds().into_iter().filter(|world| world.backend == "kernel") {
        if std::fs::write("/proc/sys/kernel/shm_rmid_forced", "1").is_err() {
            eprintln!("not tested: shm_rmid_forced cannot be set here");
            continue;
        }
        // By us, for a segment would go with its maker.
        Segment::options(Key::new(1)).size(1 << 16).create(&Kernel).unwrap();
        let dumped = file(&world, "a.dump");
        for line in ["hex key:1".to_owned(), "read key:1".to_owned(), format!("dump key:1 {dumped}")] {
            let outcome = world.run(&line);
            assert_eq!(outcome.code, 2, "{line}: {outcome:?}");
            assert!(outcome.err.contains("would destroy the segment"), "{}", outcome.err);
        }
        assert!(!std::path::Path::new(&dumped).exists());
        world.ok("stat key:1");
    }
}

/// Bytes here and there in a large segment.
fn sparse(world: &World) {
    world.ok(&format!("create --key 1 --size {}", 64 * MIB));
    for (at, text) in [(0, "first"), (5 * MIB + 17, "middle"), (64 * MIB - 4, "last")] {
        assert_eq!(world.feed(&format!("write key:1 --offset {at}"), text.as_bytes()).code, 0);
    }
}

fn resident(world: &World, selector: &str) -> u64 {
    world.json(&format!("stat {selector}"))["segments"][0]["resident_bytes"].as_u64().unwrap()
}

#[test]
fn a_dump_comes_back_and_holes_stay_holes() {
    for world in worlds() {
        sparse(&world);
        world.ok("chmod 640 key:1");
        let dumped = file(&world, "a.dump");
        let done = world.json(&format!("dump key:1 {dumped}"));
        assert_eq!((&done["stored_bytes"], &done["one_moment"]), (&(3 * 4096).into(), &true.into()));
        let length = std::fs::metadata(&dumped).unwrap().len();
        assert!(length < 16_000, "{length}");
        assert!(resident(&world, "key:1") <= 3 * 4096, "looking fills nothing");

        let taken = world.run(&format!("restore {dumped}"));
        assert!(taken.code == 2 && taken.err.contains("EEXIST"), "{taken:?}");
        let would = world.json(&format!("restore {dumped} --key 2 --dry-run"));
        assert_eq!((&would["created"], &would["id"]), (&false.into(), &serde_json::Value::Null));
        assert_eq!(world.run("stat key:2").code, 1);
        world.ok(&format!("restore {dumped} --key 2"));
        assert_eq!(world.ok("hex key:2"), world.ok("hex key:1"));
        assert_eq!(resident(&world, "key:2"), 3 * 4096);
        assert_eq!(world.json("stat key:2")["segments"][0]["mode_octal"], "0640");
        let new = world.json(&format!("restore {dumped} new"));
        assert_eq!((&new["key"], &new["written_bytes"]), (&0.into(), &(3 * 4096).into()));
        world.ok("rm key:1");
        assert!(world.ok(&format!("restore {dumped}")).starts_with("restored into key 0x00000001"));
    }
}

#[test]
fn restoring_into_a_segment_makes_it_what_it_was() {
    for world in worlds() {
        sparse(&world);
        let dumped = file(&world, "a.dump");
        world.ok(&format!("dump key:1 {dumped}"));
        let before = world.ok("hex key:1");
        world.feed("write key:1 --offset 9000", b"was a hole");
        world.feed("write key:1", b"FIRST");
        let about = world.json("stat key:1");
        let would = world.ok(&format!("restore {dumped} key:1 --dry-run"));
        // Nobody has it attached, and so the kernel shows its bytes to nobody who does not attach it.
        let written =
            if world.backend == "user" { "8KiB written" } else { "cannot be told without attaching" };
        assert!(would.starts_with("would restore into key 0x00000001") && would.contains(written), "{would}");
        assert_eq!(world.json("stat key:1")["segments"], about["segments"], "it is not attached");
        assert_ne!(world.ok("hex key:1"), before);
        assert_eq!(world.json(&format!("restore {dumped} key:1"))["written_bytes"], 8192);
        assert_eq!(world.ok("hex key:1"), before);

        let holder = world.holder("key:1");
        let refused = world.run(&format!("restore {dumped} key:1"));
        assert!(
            refused.code == 1 && refused.err.contains("1 attachment") && refused.err.contains("--force"),
            "{refused:?}"
        );
        let would = world.json(&format!("restore {dumped} key:1 --force --dry-run"));
        assert_eq!(would["written_bytes"], 0, "it is read where it is attached: {would}");
        world.ok(&format!("restore {dumped} key:1 --force"));
        drop(holder);
        for (size, force, code) in
            [(4096, "", 1), (4096, "--force", 1), (65 * MIB, "", 1), (65 * MIB, "--force", 0)]
        {
            let id = world.ok(&format!("create --private --size {size}"));
            let outcome = world.run(&format!("restore {dumped} {} {force}", id.trim()));
            assert_eq!(outcome.code, code, "{size} {force}: {outcome:?}");
            assert!(code == 0 || outcome.err.contains("nothing was written"), "{outcome:?}");
        }
    }
}

#[test]
fn a_strangers_dump_opens_nothing_to_everybody() {
    if coseg_sysv::caller::effective_uid() != 0 {
        eprintln!("not tested: only root can give a file away");
        return;
    }
    for world in worlds() {
        world.ok("create --key 1 --size 10 --mode 666");
        let dumped = file(&world, "a.dump");
        world.ok(&format!("dump key:1 {dumped}"));
        let own = world.run(&format!("restore {dumped} --key 2"));
        assert_eq!((own.code, own.err.as_str()), (0, ""), "who made it may say so");
        assert_eq!(world.json("stat key:2")["segments"][0]["mode_octal"], "0666");
        std::os::unix::fs::chown(&dumped, Some(65534), None).unwrap();
        let strange = world.json(&format!("restore {dumped} --key 3"));
        assert_eq!(world.json("stat key:3")["segments"][0]["mode_octal"], "0664");
        assert!(strange["warnings"][0].as_str().unwrap().contains("belongs to user"), "{strange}");
        let existing = world.run(&format!("restore {dumped} key:3"));
        assert!(existing.code == 0 && existing.err.contains("belongs to user"), "{existing:?}");
        let whole = std::fs::File::open(&dumped).unwrap();
        let mut command = world.command("restore - --key 4");
        command.stdin(whole);
        let streamed = common::finish(command);
        assert!(streamed.code == 0 && streamed.err.contains("belongs to user"), "{streamed:?}");
    }
}

#[test]
fn dumps_pass_through_pipes() {
    let world = World::new("user");
    world.ok("create --key 1 --size 100001");
    let bytes: Vec<u8> = (0..100_001_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    world.feed("write key:1", &bytes);
    let dumped = world.command("dump key:1 -").output().unwrap();
    assert!(dumped.status.success() && dumped.stdout.starts_with(b"COSEGDMP"));
    assert_eq!(world.feed("restore - --key 2", &dumped.stdout).code, 0);
    assert!(world.command("read key:2").output().unwrap().stdout == bytes);
    assert_eq!(world.run("dump key:1 - --json").code, 2);
}

#[test]
fn a_dump_is_whole_or_not_there() {
    let world = World::new("user");
    world.ok("create --key 1 --size 4096");
    let dumped = file(&world, "a.dump");
    let directory = std::path::Path::new(&dumped).parent().unwrap();
    let nowhere = world.run(&format!("dump key:1 {}/no/such.dump", directory.display()));
    assert!(nowhere.code == 2 && nowhere.err.contains("ENOENT"), "{nowhere:?}");
    let device = world.run("dump key:1 /dev/null");
    assert!(device.code == 2 && device.err.contains("no file"), "{device:?}");
    assert_eq!(world.run(&format!("dump key:2 {dumped}")).code, 1);
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
    world.ok(&format!("dump key:1 {dumped}"));
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);
    assert_eq!(std::fs::metadata(&dumped).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn damaged_dumps_are_told_and_nothing_is_restored() {
    let world = World::new("user");
    world.ok("create --key 1 --size 20000");
    world.feed("write key:1 --offset 9000", b"some bytes");
    let dumped = file(&world, "a.dump");
    world.ok(&format!("dump key:1 {dumped}"));
    let whole = std::fs::read(&dumped).unwrap();
    let damaged = file(&world, "b.dump");
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&damaged, bytes).unwrap();
        let outcome = world.run(&format!("restore {damaged} --key 2"));
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{what}: {outcome:?}");
        assert!(outcome.err.contains("b.dump: ") && outcome.err.contains("Try: "), "{what}: {outcome:?}");
        outcome.err
    };
    // Every byte of what is not contents, some of what is.
    let step = |at: usize| if at < 100 || at + 40 > whole.len() { 1 } else { 97 };
    let mut at = 0;
    while at < whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        refused(&bytes, &format!("byte {at}"));
        let cut = refused(&whole[..at], &format!("cut at {at}"));
        assert!(cut.contains(&format!("ends at byte {at},")), "{cut}");
        at += step(at);
    }
    assert!(refused(&[&whole[..], b"x"].concat(), "longer").contains("something follows"));
    assert!(refused(b"not a dump, but long enough to hold a header", "foreign").contains("no dump"));
    // As large as nobody has room for, with checksums that are right: for a copy, or where holes are free, for a segment.
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&(1_u64 << 62).to_le_bytes());
    let sum = crc32fast::hash(&huge[..28]).to_le_bytes();
    huge[28..32].copy_from_slice(&sum);
    let huge = refused(&huge, "huge");
    let is_of = |fact: &str| huge.contains(fact);
    assert!(
        is_of("no copy of that size can be made here: copy to ") || is_of("its segment has 4EiB"),
        "{huge}"
    );
    assert!(is_of("if you trust the dump"), "{huge}");
    assert_eq!(huge.matches("Try: ").count(), 1, "{huge}");
    let mut newer = whole.clone();
    newer[8] = 2;
    assert!(refused(&newer, "newer").contains("version 2"));
    assert_eq!(world.run("stat key:2").code, 1);
    assert_eq!(world.run("restore /no/such/file").code, 1);
    assert_eq!(world.run("restore /").code, 2);
}

#[test]
fn bytes_that_differ_are_told_in_ranges() {
    for world in worlds() {
        world.ok(&format!("create --key 1 --size {}", 8 * MIB));
        world.feed("write key:1", b"milk, bread");
        let before = file(&world, "before.dump");
        world.ok(&format!("dump key:1 {before}"));
        assert_eq!(world.run(&format!("diff {before} key:1")).out, "");
        world.feed("write key:1", b"oats");
        world.feed(&format!("write key:1 --offset {}", 5 * MIB), b"x");
        let outcome = world.run(&format!("diff {before} key:1"));
        assert_eq!(outcome.code, 1);
        assert_eq!(
            outcome.out,
            "OFFSET    BYTES  BEFORE       AFTER\n\
             0x0           4  6d 69 6c 6b  6f 61 74 73\n\
             0x500000      1  00           78\n\
             2 differences, in 5 bytes\n"
        );
        let swapped = world.command(&format!("diff key:1 {before} --json --limit 1")).output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&swapped.stdout).unwrap();
        assert_eq!((&json["schema"], &json["difference_count"]), (&1.into(), &2.into()));
        assert_eq!(json["differences"][0]["before_hex"], "6f617473");
        assert!(json["differences"][1].is_null());

        world.ok("create --key 2 --size 4096");
        world.feed("write key:2", b"oats, bread");
        let sizes = world.run("diff key:2 key:1");
        assert!(sizes.code == 1 && sizes.out.contains("has 4096 bytes"), "{sizes:?}");
        assert_eq!(world.run(&format!("diff {before} {before}")).code, 0);
        assert_eq!(world.run(&format!("diff {before} /no/such/file")).code, 1);
        assert_eq!(world.run("diff key:1").code, 2);
        assert_eq!(world.run("diff key:1 key:99").code, 1);
    }
}

/// Counts in a segment's word until `during` has seen what it looks for: on a busy machine the count may stand still for
/// a moment.
fn while_counting<T>(world: &World, offset: usize, mut during: impl FnMut() -> Option<T>) -> T {
    let options = Segment::options(Key::new(1));
    let segment = match world.backend {
        "kernel" => options.open(&Kernel),
        _ => options.open(&User::at(world.directory()).unwrap()),
    };
    let memory = segment.unwrap().attach().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 1_u64.. {
                memory.write(offset, &count.to_ne_bytes()).unwrap();
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let result = (0..200).find_map(|_| during());
        ended.store(true, Ordering::Relaxed);
        result.expect("it is seen at last")
    })
}

#[test]
fn one_segment_is_compared_with_itself_later() {
    for world in worlds() {
        world.ok("create --key 1 --size 64K");
        assert_eq!(world.run("diff key:1 --after 10ms").code, 0);
        let differs = || {
            let outcome = world.run("diff key:1 --after 10ms");
            (outcome.code == 1 && outcome.err.contains("each page is of another moment"))
                .then_some(outcome.out)
        };
        let out = while_counting(&world, 40_000, differs);
        assert!(out.contains("0x9c40") && out.contains("1 difference"), "{out}");
        let dumped = file(&world, "a.dump");
        let mixed = || {
            let document = world.json(&format!("dump key:1 {dumped}"));
            (document["one_moment"] == false).then_some(document)
        };
        let way = while_counting(&world, 40_000, mixed)["looked_through"].clone();
        // Of the kernel's attachments it cannot see ours: our main thread is in another IPC namespace.
        assert_eq!(way, if world.backend == "user" { "its file" } else { "one read-only attachment" });
    }
}

#[test]
fn pages_tell_what_is_resident_and_what_changes() {
    for world in worlds() {
        world.ok(&format!("create --key 1 --size {}", 16 * 4096));
        for at in [0, 5 * 4096] {
            world.feed(&format!("write key:1 --offset {at}"), b"x");
        }
        let text = world.ok("pages key:1");
        assert!(text.contains("0x00000  █····█··········\n") && text.contains("2 pages resident"), "{text}");
        let json = world.json("pages key:1");
        assert_eq!((&json["page_count"], &json["resident_page_count"]), (&16.into(), &2.into()));
        assert_eq!(
            (&json["page_bytes"], &json["changed_page_count"]),
            (&4096.into(), &serde_json::Value::Null)
        );
        let states: Vec<&str> =
            json["extents"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["resident", "hole", "resident", "hole"]);
        assert_eq!(json["extents"][1]["length_bytes"], 4 * 4096);
        assert_eq!(resident(&world, "key:1"), 2 * 4096, "looking fills nothing");

        let line = "pages key:1 --after 10ms";
        assert_eq!(world.json(line)["changed_page_count"], 0);
        let changed = || Some(world.json(line)).filter(|json| json["changed_page_count"] != 0);
        let json = while_counting(&world, 5 * 4096 + 8, changed);
        assert_eq!((&json["changed_page_count"], &json["resident_page_count"]), (&1.into(), &2.into()));
        assert_eq!(json["extents"][2]["state"], "changed");
        let changed = || Some(world.ok(line)).filter(|text| text.contains("*··"));
        let text = while_counting(&world, 5 * 4096 + 8, changed);
        assert!(text.contains("█····*··") && text.contains("1 changed within 10ms"), "{text}");
        assert_eq!(resident(&world, "key:1"), 2 * 4096, "nor does comparing");
    }
}

#[test]
fn what_may_not_be_read_is_not_shown() {
    // As another user, who has to be able to reach the program.
    if coseg_sysv::caller::effective_uid() != 0 {
        eprintln!("not tested: only root can become somebody else");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("coseg");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    common::copy_program(common::binary(), &program);
    for world in worlds().into_iter().filter(|world| world.backend == "kernel") {
        world.ok("create --key 1 --size 4096 --mode 600");
        world.feed("write key:1", b"secret");
        let _holder = world.holder("key:1");
        for line in ["hex key:1", "dump key:1 -", "diff key:1 --after 0s", "pages key:1"] {
            let mut command = std::process::Command::new(&program);
            command.args(line.split(' ')).arg("--backend=kernel").current_dir("/").uid(65534).gid(65534);
            let outcome = common::finish(command);
            assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{line}: {outcome:?}");
            assert!(outcome.err.contains("EACCES") && outcome.err.contains("Try: "), "{line}: {outcome:?}");
        }
        world.ok("chmod 644 key:1");
        let mut command = std::process::Command::new(&program);
        command.args(["hex", "key:1", "--length", "6", "--backend=kernel"]).uid(65534).gid(65534);
        let outcome = common::finish(command);
        assert!(outcome.out.contains("73 65 63 72 65 74"), "{outcome:?}");
    }
}

#[test]
fn a_dump_replaces_nothing_but_a_dump() {
    for world in worlds() {
        world.ok("create --key 1 --size 4K");
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("precious"), "precious").unwrap();
        std::os::unix::fs::symlink("precious", path("link")).unwrap();
        for name in ["precious", "link"] {
            let refused = world.run(&format!("dump key:1 {}", path(name).display()));
            assert!(refused.code == 2 && refused.err.contains("which is no dump"), "{refused:?}");
        }
        assert_eq!(std::fs::read(path("precious")).unwrap(), b"precious");
        world.ok(&format!("dump key:1 {} --force", path("link").display()));
        assert!(path("link").is_symlink(), "what it leads to is replaced");
        world.ok(&format!("dump key:1 {}", path("precious").display()));
        world.ok(&format!("restore {} key:1", path("link").display()));
    }
}
