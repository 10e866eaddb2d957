//! `coseg run`: what it hands to the program, and how it ends.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{World, binary, copy_program, finish};

/// Where cargo put the drop-in library when it built the tool.
fn library() -> PathBuf {
    let directory = binary().parent().expect("a program lies in a directory");
    let places = [directory.join("libcoseg_preload.so"), directory.join("deps/libcoseg_preload.so")];
    places.into_iter().find(|path| path.is_file()).expect("the drop-in library is built with the tool")
}

#[test]
fn the_programs_code_is_passed_on() {
    let world = World::new("user");
    let mut command = world.command("run -- sh -c");
    command.arg("exit 7");
    assert_eq!(finish(command).code, 7);
    let absent = world.run("run -- no-such-program-anywhere");
    assert!(
        absent.code == 127 && absent.err.contains("ENOENT") && absent.err.contains("Try: "),
        "{absent:?}"
    );
    let plain = world.directory().join("plain");
    std::fs::write(&plain, "text").unwrap();
    std::fs::set_permissions(&plain, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = world.run(&format!("run -- {}", plain.display()));
    assert!(refused.code == 126 && refused.err.contains("EACCES"), "{refused:?}");
    for line in ["run", "run --nonsense", "run --backend kernel --nonsense -- true"] {
        assert_eq!(world.run(line).code, 125, "{line}");
    }
}

#[test]
fn a_missing_library_names_every_place_it_was_looked_for() {
    let world = World::new("user");
    let mut command = world.command("run -- true");
    command.env("COSEG_PRELOAD", "/no/such/library.so");
    let outcome = finish(command);
    assert!(outcome.code == 125 && outcome.err.contains("/no/such/library.so"), "{outcome:?}");

    let alone = world.directory().join("coseg");
    copy_program(binary(), &alone);
    let output =
        std::process::Command::new(&alone).args(["run", "--", "true"]).env_remove("COSEG_PRELOAD").output();
    let output = output.unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        err.contains("deps/libcoseg_preload.so") && err.contains("../lib/coseg/") && err.contains("Try: "),
        "{err}"
    );
}

#[test]
fn the_environment_is_printed_for_a_shell() {
    let world = World::new("user");
    let mut command = world.command("run --print-env --dir relative/o'clock");
    command.env("COSEG_PRELOAD", library()).env("LD_PRELOAD", "");
    let text = finish(command).out;
    let here = std::env::current_dir().unwrap();
    assert!(text.contains(&format!("export LD_PRELOAD='{}'\n", library().display())), "{text}");
    assert!(
        text.contains(&format!("export COSEG_DIR='{}/relative/o'\\''clock'\n", here.display())),
        "{text}"
    );
    assert!(text.contains("export COSEG_BACKEND='user'\n"), "{text}");
}

#[test]
fn an_existing_preload_stays_behind_ours() {
    let world = World::new("user");
    let mut command = world.command("run --print-env");
    // Any library that every program has already.
    let other = "/lib64/ld-linux-x86-64.so.2";
    command.env("LD_PRELOAD", if Path::new(other).exists() { other } else { "libc.so.6" });
    let text = finish(command).out;
    assert!(text.contains("libcoseg_preload.so:"), "{text}");
}

#[test]
fn programs_out_of_reach_are_told_of_and_run_all_the_same() {
    let world = World::new("user");
    let setuid = world.directory().join("setuid");
    copy_program(Path::new("/bin/true"), &setuid);
    std::fs::set_permissions(&setuid, PermissionsExt::from_mode(0o4755)).unwrap();
    let outcome = world.run(&format!("run -- {}", setuid.display()));
    assert_eq!(outcome.code, 0);
    assert!(outcome.err.contains("setuid") && outcome.err.lines().count() == 1, "{}", outcome.err);
    assert_eq!(world.run("run -- true").err, "");
}

#[test]
fn an_unmodified_program_makes_its_segment_in_user_space() {
    let world = World::new("user");
    let made = world.run("run -- ipcmk -M 12345");
    if made.code == 127 {
        eprintln!("not tested: util-linux has no ipcmk here");
        return;
    }
    assert_eq!(made.code, 0, "{made:?}");
    let segments = world.json("ls")["segments"].clone();
    assert_eq!(segments.as_array().unwrap().len(), 1, "{segments}");
    assert_eq!(segments[0]["size_bytes"], 12345);
    assert!(made.out.contains(&segments[0]["id"].to_string()), "{made:?}");

    let other = tempfile::tempdir().unwrap();
    let made = world.run(&format!("run --dir {} -- ipcmk -M 99", other.path().display()));
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(world.json("ls")["segments"].as_array().unwrap().len(), 1);
}
