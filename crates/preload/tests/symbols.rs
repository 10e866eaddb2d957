//! What the library shows to the dynamic linker: these functions and nothing else.

#[allow(dead_code, reason = "shared by several tests")]
mod common;

use common::{library, succeed};
use std::process::Command;

#[test]
fn exports_the_four_calls_and_the_open_family() {
    let text = succeed(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library()));
    let mut names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    let expected = [
        "__open64_2",
        "__open_2",
        "__openat64_2",
        "__openat_2",
        "fopen",
        "fopen64",
        "open",
        "open64",
        "openat",
        "openat64",
        "shmat",
        "shmctl",
        "shmdt",
        "shmget",
    ];
    assert_eq!(names, expected);
}

#[test]
fn has_a_versioned_name_and_is_never_unloaded() {
    let text = succeed(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library()));
    assert!(text.contains("Library soname: [libcoseg_preload.so.1]"), "{text}");
    let flags = text.lines().find(|line| line.contains("FLAGS_1")).unwrap_or_default();
    assert!(flags.contains("NODELETE") && flags.contains("NOW"), "{text}");
}
