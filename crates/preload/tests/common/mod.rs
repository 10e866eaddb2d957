//! Where the library is, and how to compile and run a C program with it.

#![allow(clippy::unwrap_used, reason = "these helpers are part of the tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The library that cargo built along with this test.
pub(crate) fn library() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let beside = exe.ancestors().skip(1).take(2).map(|dir| dir.join("libcoseg_preload.so"));
    // Both may exist, and cargo refreshes only one of them, which one depends on what it was asked to build.
    let newest =
        beside.filter(|path| path.exists()).max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    newest.expect("libcoseg_preload.so is built beside the tests")
}

/// A directory for one test, with an empty namespace in it; both vanish with it.
pub(crate) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let scratch = Scratch { dir: dir.unwrap() };
        std::fs::create_dir(scratch.path("work")).unwrap();
        std::fs::create_dir(scratch.namespace()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(scratch.namespace(), PermissionsExt::from_mode(0o700)).unwrap();
        scratch
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn namespace(&self) -> PathBuf {
        self.path("namespace")
    }

    /// Compiles tests/c/NAME.c.
    pub(crate) fn compile(&self, name: &str, flags: &[&str]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name).with_extension("c");
        let program = self.path(name);
        let mut cc = Command::new("cc");
        cc.args(["-Wall", "-Wextra", "-Werror", "-Wno-nonnull", "-pthread", "-O1", "-o"])
            .arg(&program)
            .arg(source);
        succeed(cc.args(flags));
        program
    }

    /// This program under the library, in this namespace.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("LD_PRELOAD", library()).env("COSEG_DIR", self.namespace()).env("LC_ALL", "C");
        command
    }
}

/// Runs it; its output, if it exits with 0.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    assert!(output.stderr.is_empty(), "{command:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}
