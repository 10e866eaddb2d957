//! What is inside, shown and changed.

use coseg::{Key, Region, Table};
use coseg_sysv::Segment;

use crate::common::{World, worlds};
use crate::office::{Player, backend, office};

#[test]
fn every_kind_of_part_is_shown_with_names_units_and_docs() {
    for world in worlds() {
        let region = office(&world, 0x4558, "market");
        region.changed.notify().unwrap();
        let text = world.ok("show key:0x4558");
        for line in [
            "region market",
            "type Office",
            "segment key 0x00004558 (id ",
            "participants 1 of 64",
            "looked at by one read-only attachment, given back",
            "board  cell of [Currency; 3]  What is bought and sold.",
            "sell: What who sells one gets.",
            "trades  counter  42",
            "changed  event  1",
            "door  lock  free  For the till, which is no shared memory.",
            "shelf  rwlock  free",
            "ledger  table of 64 Currency",
            "… 63 rows of zeroes",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let squeezed = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let text = squeezed(&text);
        for words in [
            "element name sell(p) stock limits.low(p) limits.high",
            "[0] \"DOLLAR\" 13.72 400 -5 7",
            "[1] \"EURO\" 0.5 -3 -5 7",
            "row name sell(p) stock limits.low(p) limits.high [0] \"two word\" 1e300 -9223372036854775808 -5 7",
            "least -170141183460469231731687303715884105728",
            "most 18446744073709551615",
            "huge 340282366920938463463374607431768211455",
            "minus -128 yes true nothing NaN small 0.1 µs With a doc line of its own.",
            "grid [0] [1, 2] [2] [255, 6] … 1 element of zeroes",
            "low 1 p high 2",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let ledger = world.ok("show key:0x4558 ledger --all");
        assert!(
            ledger.contains("[63]") && !ledger.contains("board") && !ledger.contains("zeroes"),
            "{ledger}"
        );
    }
}

#[test]
fn json_has_numbers_where_numbers_go() {
    for world in worlds() {
        let _region = office(&world, 7, "market");
        let all = world.json("show key:7");
        assert_eq!((&all["name"], &all["type"]), (&"market".into(), &"Office".into()));
        let part = |name: &str| {
            let parts = all["parts"].as_array().unwrap();
            parts.iter().find(|part| part["name"] == name).unwrap()
        };
        let odd = &part("odd")["value"];
        assert_eq!(odd["most"].as_u64(), Some(u64::MAX));
        assert_eq!(odd["minus"].as_i64(), Some(-128));
        assert_eq!(odd["huge"], u128::MAX.to_string());
        assert_eq!(odd["nothing"], "NaN");
        assert_eq!(odd["grid"], serde_json::json!([[1, 2], [0, 0], [255, 6]]));
        assert_eq!(part("board")["value"][1]["stock"], -3);
        let ledger = part("ledger");
        assert_eq!((&ledger["row_count"], &ledger["zero_rows_left_out"]), (&64.into(), &63.into()));
        assert_eq!(ledger["rows"][0]["value"]["name"], "two word");
        assert_eq!(part("trades")["value"], 42);
        assert_eq!(part("door")["lock"]["state"], "free");
        let fields = &ledger["type"]["fields"];
        assert_eq!((&fields[1]["unit"], &fields[1]["type"]["kind"]), (&"p".into(), &"f64".into()));
        assert_eq!(fields[3]["type"]["fields"][0]["unit"], "p");
    }
}

#[test]
fn get_prints_one_value_bare() {
    for world in worlds() {
        let _region = office(&world, 7, "market");
        for (path, value) in [
            ("board[0].stock", "400\n"),
            ("board[0].name", "DOLLAR\n"),
            ("board[1].limits", "{ low: -5, high: 7 }\n"),
            ("odd.grid", "[[1, 2], [0, 0], [255, 6]]\n"),
            ("odd.most", "18446744073709551615\n"),
            ("odd.nothing", "NaN\n"),
            ("ledger[0].name", "two word\n"),
            ("trades", "42\n"),
        ] {
            assert_eq!(world.ok(&format!("get name:market {path}")), value, "{path}");
        }
        assert_eq!(world.json("get key:7 odd.grid[2]")["value"], serde_json::json!([255, 6]));
        for path in ["nothing", "board[9]", "board[0].none", "ledger", "ledger[64].name", "door"] {
            let outcome = world.run(&format!("get key:7 {path}"));
            assert_eq!(
                (outcome.code, outcome.out.is_empty()),
                (if path == "ledger" { 0 } else { 1 }, path != "ledger")
            );
            assert!(path == "ledger" || outcome.err.contains(&format!("find `{path}`")), "{}", outcome.err);
        }
        let cell =
            Region::<[u64; 3]>::at(Key::new(8)).backend(&backend(&world)).create(|| [1, 2, 3]).unwrap();
        assert_eq!(world.ok("get key:8 [1]"), "2\n");
        assert!(world.ok("show key:8").contains("value  cell of [u64; 3]  [1, 2, 3]"));
        drop(cell);
    }
}

#[test]
fn set_changes_values_under_the_lock_and_tells_both() {
    for world in worlds() {
        let region = office(&world, 7, "market");
        assert_eq!(
            world.ok("set name:market board[0].stock=-500 odd.nothing=-inf ledger[3].name=new odd.yes=false"),
            "board[0].stock: 400 -> -500\nodd.nothing: NaN -> -inf\nledger[3].name: \"\" -> \"new\"\nodd.yes: true -> false\n"
        );
        assert_eq!(region.board.read()[0].stock, -500);
        assert_eq!(region.ledger.row(3).unwrap().read().name.to_string(), "new");
        assert_eq!(region.participants().len(), 1, "the tool has left");
        let dry = world.json("set key:7 --dry-run board[0].stock=1");
        assert_eq!((&dry["dry_run"], &dry["changes"][0]["after"]), (&true.into(), &1.into()));
        assert_eq!(region.board.read()[0].stock, -500);
        for (line, code, text) in [
            ("board[0].stock=x", 2, "`x` is no i64"),
            ("odd.minus=-129", 2, "`-129` is no i8"),
            ("board[0]=1", 2, "name a field"),
            ("board[0].name=123456789", 2, "room for 8"),
            ("board[0].none=1", 1, "no field `none`"),
            ("trades=1", 2, "a counter is not set"),
            ("board", 2, "PATH=VALUE"),
        ] {
            // Whatever comes before in the same line stays as it is.
            let outcome = world.run(&format!("set key:7 board[1].stock=77 {line}"));
            assert_eq!(outcome.code, code, "{line}: {outcome:?}");
            assert!(outcome.err.contains(text), "{line}: {}", outcome.err);
        }
        assert_eq!(region.board.read()[1].stock, -3);
    }
}

#[test]
fn set_gives_up_when_the_lock_is_held_too_long_and_recovers_it_from_the_dead() {
    for world in worlds() {
        let region = office(&world, 7, "market");
        let mut changer = Player::start(&world, "changer", "7");
        let late = world.run("set key:7 --timeout 200ms board[0].stock=1");
        assert_eq!(late.code, 124, "{late:?}");
        assert!(late.err.contains(&format!("changer (pid {}", changer.pid())), "{}", late.err);
        assert_eq!(world.ok("get key:7 board[0].stock"), "400\n", "reading takes no lock");
        changer.kill();
        let done = world.run("set key:7 board[0].stock=1");
        assert_eq!((done.code, done.out.as_str()), (0, "board[0].stock: 400 -> 1\n"), "{done:?}");
        assert!(done.err.contains("recovered the lock region from changer"), "{}", done.err);
        assert_eq!(region.odd.read().most, u64::MAX, "half a change is none");
    }
}

#[test]
fn names_find_regions_and_ambiguous_ones_are_refused() {
    for world in worlds() {
        let _foreign = Segment::options(Key::new(1)).size(4096).create(&backend(&world)).unwrap();
        let market = office(&world, 7, "market");
        let id = market.segment().id();
        assert_eq!(world.json("get name:market trades")["id"], id.raw());
        assert_eq!(world.json("stat name:market")["segments"][0]["key"], 7);
        let absent = world.run("get name:nothing trades");
        assert_eq!(absent.code, 1);
        assert!(absent.err.contains("no region on the") && absent.err.contains("ls --regions"), "{absent:?}");
        let other = office(&world, 9, "market");
        let both = world.run("set name:market board[0].stock=1");
        assert_eq!(both.code, 1);
        for text in [format!("id {id}"), format!("id {}", other.segment().id()), "2 regions".to_owned()] {
            assert!(both.err.contains(&text), "{text}: {}", both.err);
        }
        assert_eq!(market.board.read()[0].stock, 400);
    }
}

#[test]
fn listings_mark_regions_and_disturb_nothing() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        let plain = Segment::options(Key::new(1)).size(4096).create(&backend(&world)).unwrap();
        // Through it the kernel's are looked at; our own main thread is in another IPC namespace.
        let attached = Player::start(&world, "holder", "7");
        let before = market.segment().stat().unwrap();
        assert!(!world.ok("ls").contains("REGION"));
        let listing = world.run("ls --regions");
        assert!(listing.out.contains("Office (market)"), "{listing:?}");
        // The kernel's is hidden in this thread's IPC namespace: only an attachment shows it.
        assert_eq!(
            listing.err.contains("to see whether they are regions"),
            world.backend == "kernel",
            "{listing:?}"
        );
        let listed = world.json("ls --regions");
        assert_eq!(listed["segments"][0]["region"]["type"], "Office");
        assert!(listed["segments"][1]["region"].is_null());
        let stat = world.ok("stat key:7");
        assert!(stat.contains("region Office (market); coseg show id:"), "{}: {stat}", world.backend);
        let (after, own) = (market.segment().stat().unwrap(), plain.stat().unwrap());
        assert_eq!(after, before, "somebody is attached, so we need not be");
        if world.backend == "user" {
            assert_eq!(own.attach_time, 0, "its file tells what is in it");
        }
        drop((market, attached));
        let lonely = world.ok("stat --regions key:7");
        assert!(lonely.contains("region Office (market)"), "{lonely}");
    }
}

#[test]
fn what_is_no_region_or_a_damaged_one_is_said_clearly() {
    for world in worlds() {
        world.ok("create --key 1 --size 4K");
        world.feed("write key:1", b"hello");
        world.ok("create --key 2 --size 10");
        for line in ["show key:1", "get key:1 a", "set key:1 a=1", "locks key:1", "show key:2"] {
            let outcome = world.run(line);
            assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{line}");
            assert!(
                outcome.err.contains("plain segment") && outcome.err.contains("coseg read"),
                "{outcome:?}"
            );
        }
        let market = office(&world, 7, "market");
        let memory = market.segment().attach().unwrap();
        memory.write(64, &9_u64.to_ne_bytes()).unwrap();
        for line in ["show key:7", "get key:7 trades", "set key:7 trades=1", "locks key:7"] {
            let outcome = world.run(line);
            assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{line}");
            assert!(outcome.err.contains("checksum is wrong: something wrote over it"), "{outcome:?}");
            assert!(outcome.err.contains("Try: "), "{outcome:?}");
        }
        let locks = world.run("locks");
        assert!(locks.code == 0 && locks.err.contains("not looked into"), "{locks:?}");
    }
}

#[test]
fn a_look_that_would_destroy_is_refused() {
    for world in worlds() {
        let market = office(&world, 7, "market");
        if world.backend == "user" {
            world.ok("limits --rmid-forced 1");
        } else if std::fs::write("/proc/sys/kernel/shm_rmid_forced", "1").is_err() {
            eprintln!("not tested: shm_rmid_forced cannot be set here");
            continue;
        }
        assert!(world.ok("show key:7").contains("Office"), "somebody is attached");
        // Forgotten, not dropped: with the sysctl set, our detach would be the segment's end.
        let id = market.segment().id();
        std::mem::forget(market);
        let lonely = Segment::options(Key::new(8)).size(4096).create(&backend(&world)).unwrap();
        for line in ["show key:8", "set key:8 a=1", "locks key:8"] {
            let outcome = world.run(line);
            assert_eq!(outcome.code, 2, "{line}: {outcome:?}");
            // The user backend's bytes are a file's: that they are no region is seen without attaching.
            let fact = match (world.backend, line) {
                ("user", "show key:8") => "it is a plain segment",
                _ => "would destroy the segment",
            };
            assert!(outcome.err.contains(fact), "{}", outcome.err);
        }
        world.ok("ls --regions");
        world.run("show name:nothing");
        world.run("locks");
        assert!(lonely.stat().is_ok(), "it is still there");
        world.ok(&format!("get id:{id} trades"));
    }
}

#[test]
fn a_part_that_is_not_there_is_nothing_found() {
    let world = World::new("user");
    let _market = office(&world, 7, "market");
    let outcome = world.run("show key:7 nothing");
    assert_eq!((outcome.code, outcome.out.as_str()), (1, ""));
    for text in ["no part `nothing`", "board, odd, ledger"] {
        assert!(outcome.err.contains(text), "{text}: {}", outcome.err);
    }
}

/// Mostly empty, as tables are.
#[derive(Region)]
struct Sparse {
    rows: Table<u64, 100_000>,
}

#[test]
fn a_look_leaves_empty_memory_empty() {
    for world in worlds() {
        let backend = backend(&world);
        let options = Region::<Sparse>::at(Key::new(7)).backend(&backend);
        let sparse = options.create(SparseInitial::default).unwrap();
        sparse.rows.update(99_999, |row| *row = 5).unwrap();
        let resident = || world.json("ls --no-who")["segments"][0]["resident_bytes"].as_u64().unwrap();
        let before = resident();
        assert!(before < 1 << 20, "{before}");
        let text = world.ok("show key:7");
        assert!(text.contains("[99999]") && text.contains("99,999 rows of zeroes"), "{text}");
        assert_eq!(world.json("show key:7")["parts"][0]["zero_rows_left_out"], 99_999);
        // Of the participants' slots every page is looked at.
        assert!(resident() - before < 1 << 16, "{before} bytes became {}", resident());
    }
}
