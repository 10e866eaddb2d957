//! What the tool says: errors, help, colors, pipes.

mod common;

use std::process::Stdio;

use common::{World, worlds};

#[test]
fn an_absent_segment_is_1_with_the_next_command() {
    for world in worlds() {
        let backend = world.backend;
        for (line, text) in [
            ("stat 0x162e", "find key 0x0000162e: ENOENT: no segment has this key"),
            ("read key:5678", "coseg create --key 0x162e"),
            ("rm 77", "find id 77: EINVAL: no segment has this id"),
            ("write ftok:/etc:A", "(ftok of /etc)"),
        ] {
            let outcome = world.run(line);
            assert_eq!(outcome.code, 1, "{line}");
            assert!(
                outcome.err.starts_with("coseg: ") && outcome.err.contains(text),
                "{line}: {}",
                outcome.err
            );
            assert!(outcome.err.contains("Try: "), "{}", outcome.err);
            assert!(outcome.err.contains(backend), "{}", outcome.err);
        }
        assert_eq!(world.run("stat key:0").code, 2);
        assert_eq!(world.run("stat ftok:/no/such/file:A").code, 2);
    }
}

#[test]
fn a_number_that_is_a_key_and_no_id_says_so() {
    for world in worlds() {
        world.ok("create --key 5678 --size 10");
        let outcome = world.run("stat 5678");
        assert_eq!(outcome.code, 1);
        let text = "no segment has id 5678; a segment has key 5678 (0x0000162e): say key:5678";
        assert!(outcome.err.contains(text), "{}", outcome.err);
    }
}

#[test]
fn the_other_backend_is_looked_at_before_giving_up() {
    let worlds = worlds();
    let [user, kernel] = worlds.as_slice() else { return };
    kernel.ok("create --key 5 --size 10");
    let outcome = user.run("stat key:5");
    assert!(outcome.err.contains("the kernel backend has one. Try: --backend kernel"), "{}", outcome.err);
    user.ok("create --key 6 --size 10");
    let mut command = kernel.command("stat key:6");
    command.env("COSEG_DIR", user.directory());
    let outcome = common::finish(command);
    assert!(outcome.err.contains("the user backend has one. Try: --backend user"), "{}", outcome.err);
}

#[test]
fn usage_errors_are_2() {
    let world = World::new("user");
    for line in [
        "",
        "nonsense",
        "create --size 10",
        "create --key 1",
        "create --key 1 --private --size 1",
        "create --key 0 --size 1",
        "create --key 1 --size 1X",
        "create --key 1 --size 1 --mode 888",
        "create --key 1 --size 1 --huge=3M",
        "stat nonsense",
        "stat",
        "read",
        "ls --backend nonsense",
        "limits --rmid-forced 2",
        "key nonsense",
        "key /no/such/file A",
        "key 1 --search --nonsense",
        "show",
        "show name:",
        "get key:1",
        "set key:1",
        "set key:1 =1",
        "set key:1 a=1 --timeout soon",
    ] {
        assert_eq!(world.run(line).code, 2, "{line}");
    }
    let mut command = world.command("ls");
    command.env("COSEG_BACKEND", "nonsense");
    assert_eq!(common::finish(command).code, 2);
}

#[test]
fn refusals_say_what_to_do_instead() {
    for world in worlds() {
        for (line, code, text) in [
            ("create --private --size 0", 2, "Try: --size 4K"),
            ("chmod u+rw key:1", 2, "only octal modes are taken"),
            ("create --key 1 --size 1 --mode 999", 2, "three octal digits"),
        ] {
            let outcome = world.run(line);
            assert_eq!(outcome.code, code, "{line}");
            assert!(outcome.err.contains(text), "{line}: {}", outcome.err);
        }
    }
    let world = World::new("user");
    let mut command = world.command("ls");
    command.env("COSEG_DIR", world.directory().join("absent/too"));
    let outcome = common::finish(command);
    assert!(outcome.code == 2 && outcome.err.contains("Try: mkdir -p"), "{outcome:?}");
}

#[test]
fn every_command_explains_itself_with_examples() {
    let world = World::new("user");
    let help = world.ok("--help");
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != "help")
        .collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let own = world.ok(&format!("{name} --help"));
        assert!(own.contains("Examples:") && own.contains(&format!("coseg {name}")), "{name}: {own}");
    }
    assert_eq!(world.ok("help top"), world.ok("top --help"));
    assert!(!help.contains("demo-child"), "{help}");
    assert!(world.ok("--version").starts_with("coseg "));
}

#[test]
fn a_closed_pipe_is_no_error() {
    for world in worlds() {
        world.ok("create --key 1 --size 4M");
        // Whose memory is read, so that there is nothing to say.
        let _holder = world.holder("key:1");
        let mut command = world.command("read key:1");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn colors_follow_the_flag_and_the_environment() {
    let world = World::new("user");
    let with = |line: &str, no_color: bool| {
        let mut command = world.command(line);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let outcome = common::finish(command);
        (outcome.out + &outcome.err).contains('\x1b')
    };
    for line in ["stat 5", "ls", "--help", "nonsense", "demo --seconds 0.1 --traders 1"] {
        assert!(!with(line, false), "{line}: no terminal, no colors");
        assert!(!with(&format!("--color never {line}"), false), "{line}");
    }
    for line in ["stat 5", "--help", "nonsense"] {
        assert!(with(&format!("--color always {line}"), false), "{line}");
        assert!(!with(line, true), "{line}");
    }
}

#[test]
fn keys_are_computed_and_found_again() {
    let world = World::new("user");
    let file = world.directory().join("target");
    std::fs::write(&file, "").unwrap();
    let line = world.ok(&format!("key {} Q", file.display()));
    let (hexadecimal, decimal) = line.trim().split_once(' ').unwrap();
    assert!(hexadecimal.starts_with("0x51"), "Q is 0x51: {line}");
    let found = world.ok(&format!("key {hexadecimal} --search {}", world.directory().display()));
    assert_eq!(found.trim(), file.to_string_lossy());
    let json = world.json(&format!("key {decimal} --search {}", world.directory().display()));
    assert_eq!(json["files"][0], file.to_string_lossy().as_ref());
    assert_eq!(json["project_char"], "Q");
    assert!(world.ok(&format!("key {hexadecimal}")).contains("project 'Q' (81)"));
    let empty = tempfile::tempdir().unwrap();
    let nothing = world.run(&format!("key {hexadecimal} --search {}", empty.path().display()));
    assert_eq!((nothing.code, nothing.out.as_str()), (1, ""));
}

#[test]
fn completions_and_manual_pages_are_made_of_the_same_table() {
    let world = World::new("user");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.ok(&format!("completions {shell}"));
        assert!(script.contains("unattached") && !script.contains("demo-child"), "{shell}");
    }
    assert!(world.ok("man").contains(".TH coseg"));
    let directory = tempfile::tempdir().unwrap();
    world.ok(&format!("man --dir {}", directory.path().display()));
    for page in ["coseg.1", "coseg-ls.1", "coseg-locks.1", "coseg-map.1", "coseg-run.1"] {
        assert!(directory.path().join(page).is_file(), "{page}");
    }
}

/// The same command where the kernel answers ENOSYS to everything, as strace has it answer.
fn without_the_kernels(world: &World, line: &str) -> Option<common::Outcome> {
    let calls = "shmget,shmat,shmdt,shmctl";
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    command.args(["-e", &format!("inject={calls}:error=ENOSYS")]).arg(common::binary());
    command.args(line.split(' ')).env("COSEG_DIR", world.directory()).env_remove("COSEG_BACKEND");
    match command.status() {
        Ok(_) => Some(common::finish(command)),
        Err(_) => {
            eprintln!("not tested: no strace here to take the kernel's System V calls away");
            None
        }
    }
}

#[test]
fn without_the_kernels_calls_the_user_backend_takes_over_and_says_so() {
    let world = World::new("user");
    world.ok("create --key 1 --size 4K");
    let Some(listing) = without_the_kernels(&world, "ls") else { return };
    assert_eq!(listing.code, 0, "{listing:?}");
    assert!(listing.out.contains("0x00000001") && listing.err.contains("ENOSYS"), "{listing:?}");
    let chosen = without_the_kernels(&world, "ls --backend user").expect("strace is here");
    assert_eq!(chosen.err, "");
    let refused = without_the_kernels(&world, "ls --backend kernel").expect("strace is here");
    assert!(refused.code == 2 && refused.err.contains("--backend user"), "{refused:?}");
    let demo = without_the_kernels(&world, "demo --seconds 0.1").expect("strace is here");
    assert_eq!(demo.code, 0, "{demo:?}");
    assert!(
        demo.out.contains("kernel skipped: this kernel has no System V shared memory (ENOSYS)"),
        "{demo:?}"
    );
}
