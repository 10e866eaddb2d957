//! The library linked into a program, by `pkg-config` as installed.

#[allow(dead_code, reason = "shared by several tests")]
mod common;

use std::path::Path;
use std::process::Command;

use common::{Scratch, library, succeed};

#[test]
fn a_program_linked_by_pkg_config_needs_no_preloading() {
    let scratch = Scratch::new();
    let prefix = scratch.path("prefix");
    let lib = prefix.join("lib/coseg");
    std::fs::create_dir_all(&lib).unwrap();
    std::fs::create_dir_all(prefix.join("lib/pkgconfig")).unwrap();
    std::fs::copy(library(), lib.join("libcoseg_preload.so.1")).unwrap();
    std::os::unix::fs::symlink("libcoseg_preload.so.1", lib.join("libcoseg_preload.so")).unwrap();
    let template =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("coseg.pc.in")).unwrap();
    let filled = template.replace("@version@", env!("CARGO_PKG_VERSION"));
    assert!(!filled.contains('@'), "{filled}");
    std::fs::write(prefix.join("lib/pkgconfig/coseg.pc"), filled).unwrap();

    let mut pkg_config = Command::new("pkg-config");
    pkg_config.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(["--libs", "coseg"]);
    let flags = succeed(&mut pkg_config);
    let flags: Vec<_> = flags.split_ascii_whitespace().collect();
    let program = scratch.compile("life", &flags);

    let needed = succeed(Command::new("readelf").args(["--dynamic", "--wide"]).arg(&program));
    assert!(needed.contains("[libcoseg_preload.so.1]"), "{needed}");
    succeed(Command::new(&program).env("COSEG_DIR", scratch.namespace()));
    // Preloaded as well, it is one library and not two.
    succeed(&mut scratch.command(&program));
}
