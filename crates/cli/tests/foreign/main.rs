//! `coseg show` of segments that no region describes.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Outcome, Running, World, finish, worlds};
use serde_json::{Value, json};

const KEY: &str = "0x4d41524b";

/// Compiles the program with these words for the compiler.
fn compiled(directory: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = directory.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/market.c");
    let status = Command::new("cc").args(words).arg("-o").arg(&path).arg(source).status();
    assert!(status.unwrap().success(), "cc {words:?}");
    path
}

/// Runs it until its segment is there.
fn started(world: &World, program: &Path) -> Running {
    let mut command = match world.backend {
        "user" => world.command("run --"),
        _ => Command::new("env"),
    };
    command.arg(program).arg(KEY);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut running = Running(command.stderr(std::process::Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    std::io::BufReader::new(running.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "{}", world.backend);
    running
}

fn show(world: &World, words: &[&str]) -> Outcome {
    run(world, &[&["show"], words].concat())
}

fn shown(world: &World, words: &[&str]) -> Value {
    let outcome = show(world, &[words, &["--json"]].concat());
    assert_eq!(outcome.code, 0, "{}: {words:?}: {outcome:?}", world.backend);
    common::document("show", &outcome.out)
}

/// What the program wrote into its second quote.
fn quote() -> Value {
    json!({
        "name": "EURO", "side": "b", "rate": 13.72, "prices": [[1, 2, 3], [4, 5, 6]],
        "where": [{"x": 0, "y": 0}, {"x": -3, "y": 4}], "color": "BLUE", "both": {"number": 1_065_353_216, "real": 1.0},
        "inner": -7, "ready": 1, "level": -9, "next": "0x1234", "open": true, "small": 0.1, "delta": -1,
    })
}

#[test]
fn a_programs_own_types_show_its_segment() {
    for world in worlds() {
        let directory = tempfile::tempdir().unwrap();
        for (name, words) in [
            ("market", &["-g", "-O2"][..]),
            ("old", &["-gdwarf-3", "-gstrict-dwarf"]),
            ("packed", &["-gdwarf-5", "-gz"]),
        ] {
            let program = compiled(directory.path(), name, words);
            let running = started(&world, &program);
            let stat = || {
                let mut stat = world.json(&format!("stat {KEY}"))["segments"][0].clone();
                // Their numbers go up while this is looked at.
                stat.as_object_mut()
                    .unwrap()
                    .retain(|name, _| name.contains("attach") || name.contains("unix"));
                stat
            };
            let before = stat();
            let told =
                shown(&world, &[KEY, "--type", "struct market", "--debug-info", program.to_str().unwrap()]);
            assert_eq!(told["value"]["count"], -2, "{name}");
            assert_eq!(told["value"]["quotes"][1], quote(), "{name}");
            let packet = json!({"length": 7, "flags": 0xab_cdef, "level": "HIGH"});
            assert_eq!(told["value"]["packet"], packet, "{name}");
            assert_eq!(told["value"]["quotes"][0]["name"], "");
            // The program that is attached tells it as well; a typedef has no other name.
            let told = shown(&world, &[KEY, "--type", "Quote", "--offset", "8"]);
            assert_eq!(told["type"]["size_bytes"], 88, "{name}");
            let both = shown(&world, &[KEY, "--type", "Quote[2]", "--offset", "8"]);
            assert_eq!((&both["value"][0], &both["value"][1]), (&told["value"], &quote()), "{name}");
            let all = shown(&world, &[KEY, "--type", "Quote[]", "--offset", "8"]);
            assert_eq!(all["value"].as_array().unwrap().len(), (4096 - 8) / 88, "{name}");
            let text = show(&world, &[KEY, "--type", "market", "--all"]);
            assert!(text.out.contains("13.72") && text.out.contains("0 RED, 5 GREEN, 6 BLUE"), "{text:?}");
            assert_eq!(stat(), before, "{name}: nobody was disturbed");
            let none = show(&world, &[KEY, "--type", "markt"]);
            assert!(none.code == 2 && none.err.contains("nearest names are market"), "{none:?}");
            assert_eq!(running.finish().code, 0);
        }
    }
}

#[test]
fn a_declaration_shows_a_segment_and_is_remembered() {
    for world in worlds() {
        let id = world.ok("create --key 0x4558 --size 96").trim().to_owned();
        let bytes: Vec<u8> = [1.5_f64, 2.5, 3.5].iter().flat_map(|own| own.to_ne_bytes()).collect();
        assert_eq!(world.feed("write 0x4558 --offset 24", &bytes).code, 0);
        let plain = show(&world, &["0x4558"]);
        assert!(plain.code == 2 && plain.err.contains("--as"), "{plain:?}");

        let declaration = "struct { double sell, buy, stock; } [4]";
        let told = show(&world, &["0x4558", "--as", declaration]);
        assert!(told.err.contains("types.json"), "{told:?}");
        // Where nobody has it attached, the kernel shows it to nobody else.
        assert_eq!(told.err.contains("read-only"), world.backend == "kernel", "{told:?}");
        let rows: Vec<&str> = told.out.lines().filter(|line| line.contains("1.5")).collect();
        assert!(rows.len() == 1 && rows[0].trim_start().starts_with("[1]"), "{told:?}");
        assert!(told.out.contains("3 elements of zeroes"), "{told:?}");

        let again = shown(&world, &["0x4558"]);
        assert_eq!(
            (&again["declared"], &again["declared_by"]),
            (&json!(declaration), &json!("as remembered"))
        );
        assert_eq!(again["value"][1], json!({"sell": 1.5, "buy": 2.5, "stock": 3.5}));
        assert_eq!(shown(&world, &["0x4558", "--as", "double []", "--offset", "24"])["value"][2], 3.5);
        assert_eq!(shown(&world, &["0x4558"])["value"].as_array().unwrap().len(), 9, "{id}");

        for (declaration, fact) in [
            ("double [13]", "the type has 104 bytes, and there are 96"),
            ("double [12", "at its end: `]` belongs here"),
            ("struct nothing *p; void v", "no type with values"),
            ("struct {} ", "has no bytes"),
        ] {
            let refused = show(&world, &["0x4558", "--as", declaration]);
            assert!(refused.code == 2 && refused.err.contains(fact), "{declaration}: {refused:?}");
        }
        let huge = show(&world, &["0x4558", "--as", "struct { int a; struct {} e[70000000000000]; }"]);
        assert!(huge.code == 2 && huge.err.contains("too many fields"), "{huge:?}");
        // What is told wins over what the first bytes could be: a region that is being made begins with zeroes too.
        assert_eq!(world.feed("write 0x4558 --offset 8", &1_i32.to_ne_bytes()).code, 0);
        assert_eq!(shown(&world, &["0x4558"])["declared_by"], "as remembered");
        assert!(show(&world, &["0x4558", "--forget"]).err.contains("forgotten"));
        assert_eq!(world.feed("write 0x4558 --offset 8", &0_i32.to_ne_bytes()).code, 0);
        assert_eq!(show(&world, &["0x4558"]).code, 2);
        // Of a key that no segment has any more, too.
        assert_eq!(show(&world, &["0x4558", "--as", "int"]).code, 0);
        world.ok("rm 0x4558");
        let gone = show(&world, &["key:0x4558", "--forget"]);
        assert!(gone.code == 0 && gone.err.contains("forgotten"), "{gone:?}");
        let again = show(&world, &["0x4558", "--forget"]);
        assert!(again.code == 0 && again.err.contains("no type was remembered"), "{again:?}");
        assert_eq!(show(&world, &["id:12345", "--forget"]).code, 1, "an id has to be looked up");
        let private = world.ok("create --private --size 64");
        assert_eq!(shown(&world, &[private.trim(), "--as", "int"])["value"], 0);
        assert!(!show(&world, &[private.trim(), "--as", "int"]).err.contains("types.json"));
    }
}

/// `coseg` with these words, which may have spaces in them.
fn run(world: &World, words: &[&str]) -> Outcome {
    let mut command = world.command("");
    command.args(words);
    finish(command)
}

fn doubles(world: &World, offset: usize, values: &[f64]) {
    let bytes: Vec<u8> = values.iter().flat_map(|own| own.to_ne_bytes()).collect();
    assert_eq!(world.feed(&format!("write 0x4558 --offset {offset}"), &bytes).code, 0);
}

#[test]
fn a_type_that_is_told_is_told_to_all_commands() {
    for world in worlds() {
        world.ok("create --key 0x4558 --size 96");
        doubles(&world, 24, &[1.5, 2.5, 3.5]);
        let plain = run(&world, &["get", "0x4558", "[1].sell"]);
        assert!(plain.code == 2 && plain.err.contains("--as"), "{plain:?}");
        let declaration = "struct { double sell, buy, stock; } [3]";
        let one = run(&world, &["get", "0x4558", "[1].sell", "--as", declaration]);
        assert_eq!((one.code, one.out.as_str()), (0, "1.5\n"), "{one:?}");
        assert_eq!(world.ok("get 0x4558 [1].stock"), "3.5\n");
        assert_eq!(world.json("get 0x4558 [1]")["value"], json!({"sell": 1.5, "buy": 2.5, "stock": 3.5}));
        for (path, fact) in [
            ("[3]", "there are 3"),
            ("[1].cell", "sell, buy, stock"),
            ("sell", "no struct"),
            ("[x]", "no index"),
        ] {
            let wrong = run(&world, &["get", "0x4558", path]);
            assert!(wrong.code == 1 && wrong.err.contains(fact), "{path}: {wrong:?}");
        }

        let directory = tempfile::tempdir().unwrap();
        let before = directory.path().join("before.dump").display().to_string();
        world.ok(&format!("dump 0x4558 {before}"));
        assert_eq!(run(&world, &["diff", &before, "0x4558"]).code, 0);
        doubles(&world, 32, &[14.0]);
        let differs = run(&world, &["diff", &before, "0x4558"]);
        assert!(differs.out.contains("[1].buy     2.5   14.0"), "{differs:?}");
        assert!(differs.err.contains("as was told before"), "{differs:?}");
        assert_eq!((differs.code, differs.out.contains("1 difference")), (1, true));
        doubles(&world, 32, &[2.5]);
        doubles(&world, 88, &[1.0]);
        let outside = run(&world, &["diff", &before, "0x4558"]);
        assert!(outside.code == 1 && outside.err.contains("outside of what was told"), "{outside:?}");
        assert!(run(&world, &["diff", &before, "0x4558", "--raw"]).out.contains("0x"), "by bytes");
        let other = run(&world, &["diff", &before, "0x4558", "--as", "double [12]"]);
        assert!(other.code == 1 && other.out.contains("[11]"), "{other:?}");

        // Of a text's end, its bytes go on.
        doubles(&world, 88, &[0.0]);
        let text = "char [8]";
        world.feed("write 0x4558", b"abc\0def");
        world.ok(&format!("dump 0x4558 {before}"));
        assert_eq!(run(&world, &["diff", &before, "0x4558", "--as", text]).code, 0);
        world.feed("write 0x4558", b"abc\0xyz");
        let unseen = run(&world, &["diff", &before, "0x4558", "--as", text]);
        assert!(unseen.code == 1 && unseen.err.contains("that no field shows"), "{unseen:?}");
        run(&world, &["get", "0x4558", "[0].sell", "--as", declaration]);
        run(&world, &["show", "0x4558", "--as", "double [10]"]);

        let mut watcher = world.start("watch 0x4558 [5] -n 1 --every 10ms --json");
        for number in 1..2000 {
            doubles(&world, 40, &[f64::from(number)]);
            if watcher.0.try_wait().unwrap().is_some() {
                break;
            }
        }
        let watched = watcher.finish();
        let line: Value = serde_json::from_str(watched.out.trim()).unwrap_or_else(|_| panic!("{watched:?}"));
        assert_eq!((&line["field"], line["after"].is_f64()), (&json!("[5]"), true));
    }
}

#[test]
fn what_is_out_there_is_known() {
    for world in worlds() {
        world.ok("create --key 0x4e545032 --size 96");
        assert_eq!(world.feed("write 0x4e545032", &1_i32.to_ne_bytes()).code, 0);
        let clock = shown(&world, &["0x4e545032"]);
        assert_eq!(
            (&clock["declared"], &clock["value"]["mode"]),
            (&json!("NTP's shared memory clock"), &json!(1))
        );
        world.ok("create --key 5432 --size 4096");
        assert_eq!(world.feed("write key:5432", &679_834_894_i32.to_ne_bytes()).code, 0);
        let header = shown(&world, &["key:5432"]);
        assert_eq!(
            (&header["declared"], &header["value"]["creator_pid"]),
            (&json!("PostgreSQL's header"), &json!(0))
        );
        // One that is too small is none.
        world.ok("create --key 0x4e545033 --size 95");
        assert!(show(&world, &["0x4e545033"]).err.contains("the type has 96 bytes"));
    }
}

#[test]
fn types_of_several_units_are_told_apart() {
    for world in worlds() {
        world.ok("create --key 7 --size 64");
        let bytes: Vec<u8> = [3_i32, -4].iter().flat_map(|own| own.to_ne_bytes()).collect();
        assert_eq!(world.feed("write key:7", &bytes).code, 0);
        let directory = tempfile::tempdir().unwrap();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
        let made = |words: &[&str], sources: &[PathBuf]| {
            let path = directory.path().join("made");
            let status = Command::new("cc").args(words).arg("-o").arg(&path).args(sources).status().unwrap();
            assert!(status.success(), "cc {words:?} {sources:?}");
            path.to_str().unwrap().to_owned()
        };
        // A type that is told in another unit than what uses it.
        let apart = made(&["-c"], &[tests.join("apart.s")]);
        let told = shown(&world, &["key:7", "--type", "pair", "--debug-info", &apart]);
        assert_eq!(told["value"], json!({"one": 3, "two": -4}));
        let twin = show(&world, &["key:7", "--type", "twin", "--debug-info", &apart]);
        assert!(twin.code == 2 && twin.err.contains("struct at first.c:7, struct at second.c:9"), "{twin:?}");

        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let same = "struct same { int a; int b; } same_NAME;\n";
        let one = format!("{same}struct state {{ int a; }} one;\ntypedef int Flag; Flag flag_one;\n");
        let two = format!("{same}\nstruct state {{ int b, c; }} two;\nenum Flag {{ NO, YES }} flag_two;\n");
        let sources =
            [write("one.c", &one.replace("NAME", "one")), write("two.c", &two.replace("NAME", "two"))];
        let program = made(&["-g", "-shared", "-fPIC"], &sources);
        let told = shown(&world, &["key:7", "--type", "struct same", "--debug-info", &program]);
        assert_eq!(told["value"], json!({"a": 3, "b": -4}), "two units say the same");
        let refused = show(&world, &["key:7", "--type", "struct state", "--debug-info", &program]);
        assert!(refused.code == 2 && refused.err.contains("2 different types"), "{refused:?}");
        assert!(
            refused.err.contains("one.c:2, struct at ") && refused.err.contains("two.c:3"),
            "{refused:?}"
        );
        // What is said of its kind tells them apart.
        assert_eq!(show(&world, &["key:7", "--type", "Flag", "--debug-info", &program]).code, 2);
        let told = shown(&world, &["key:7", "--type", "enum Flag", "--debug-info", &program]);
        assert_eq!(told["value"], 3);
    }
}

#[test]
fn a_declaration_is_laid_out_as_the_compiler_does() {
    let declaration = "enum mode { IDLE, READ, WRITE, LAST = 8 };
        struct bits {
            char first;
            unsigned a : 3, b : 30, : 5;
            _Bool yes : 1, no : 1;
            int : 0;
            signed char c : 4;
            enum mode mode : 4, whole, several[2];
            unsigned long long wide : 60;
            short narrow : 7;
            long rest : 33;
            struct { unsigned short x : 9, y : 9; } __attribute__((packed)) inner[2];
            union { int one : 5; unsigned char other; } both;
            char text[3], end : 2;
            void *next;
        }";
    let world = World::new("user");
    world.ok("create --key 7 --size 256");
    let bytes: Vec<u8> = (0..=255_u8).map(|index| index.wrapping_mul(89) ^ 0x5c).collect();
    assert_eq!(world.feed("write key:7", &bytes).code, 0);
    assert_eq!(shown(&world, &["key:7", "--as", "_Bool"])["value"], 0x5c, "neither true nor false");
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("bits.c"), directory.path().join("bits.so"));
    fs::write(&source, format!("{declaration} bits;\n")).unwrap();
    let status =
        Command::new("cc").args(["-g", "-shared", "-fPIC", "-o"]).args([&program, &source]).status().unwrap();
    assert!(status.success());
    for offset in ["0", "3", "90"] {
        let at = ["key:7", "--offset", offset];
        let program = ["--type", "struct bits", "--debug-info", program.to_str().unwrap()];
        let compiled = shown(&world, &[&at[..], &program].concat());
        let declared = shown(&world, &[&at[..], &["--as", declaration]].concat());
        assert_eq!(declared["value"], compiled["value"], "{offset}");
        let fields = |told: &Value| told["type"]["fields"].clone();
        assert_eq!(fields(&declared), fields(&compiled), "{offset}");
    }
}

#[test]
fn a_file_without_types_is_refused() {
    let world = World::new("user");
    world.ok("create --key 7 --size 64");
    let directory = tempfile::tempdir().unwrap();
    let stripped = compiled(directory.path(), "stripped", &["-s"]);
    let whole = fs::read(compiled(directory.path(), "whole", &["-g"])).unwrap();
    let cut = directory.path().join("cut");
    for (file, fact) in [
        (Path::new("/nowhere"), "ENOENT"),
        (Path::new("/etc/passwd"), "no program"),
        (stripped.as_path(), "no debug information"),
    ] {
        let refused = show(&world, &["key:7", "--type", "market", "--debug-info", file.to_str().unwrap()]);
        assert!(refused.code == 2 && refused.err.contains(fact), "{refused:?}");
    }
    // Damaged anywhere, it says so, or says something: it does not fall over.
    for at in (64..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at..].iter_mut().step_by(3).take(100).for_each(|byte| *byte ^= 0x5a);
        fs::write(&cut, &damaged).unwrap();
        let outcome =
            show(&world, &["key:7", "--type", "struct market", "--debug-info", cut.to_str().unwrap()]);
        assert!([0, 2].contains(&outcome.code), "{at}: {outcome:?}");
        fs::write(&cut, &whole[..at]).unwrap();
        let outcome =
            show(&world, &["key:7", "--type", "struct market", "--debug-info", cut.to_str().unwrap()]);
        assert_eq!(outcome.code, 2, "{at}: {outcome:?}");
    }
    assert_eq!(show(&world, &["key:7", "--type", "int"]).code, 2, "nobody is attached");
}
