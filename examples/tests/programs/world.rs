//! Worlds to run the programs in, and the C twins compiled.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::process::Process;

/// Which of the twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Rust,
}

/// Who begins and who answers, each way round.
pub(crate) const PAIRS: [(Language, Language); 4] = [
    (Language::Rust, Language::Rust),
    (Language::C, Language::C),
    (Language::Rust, Language::C),
    (Language::C, Language::Rust),
];

/// System V shared memory of a test's own: an IPC namespace or a directory, gone when dropped.
pub(crate) struct World {
    program: &'static str,
    directory: TempDir,
    facility: Facility,
}

enum Facility {
    Kernel(Holder),
    User,
}

/// A process that keeps an IPC namespace alive; it ends with its standard input, and so with the test,
/// however that ends.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl World {
    pub(crate) fn kernel(program: &'static str) -> World {
        let mut unshare = Command::new("unshare");
        unshare.args(if is_root() { &["--ipc"][..] } else { &["--ipc", "--user", "--map-current-user"] });
        unshare.args(["sh", "-c", "echo ready && exec cat"]);
        let mut holder = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "no IPC namespace of one's own here: be root, or allow user namespaces");
        World { program, directory: directory(), facility: Facility::Kernel(Holder(holder)) }
    }

    pub(crate) fn user(program: &'static str) -> World {
        World { program, directory: directory(), facility: Facility::User }
    }

    /// The program under test, in this language.
    pub(crate) fn run(&self, language: Language, args: &[&str]) -> Process {
        self.run_with_input(language, args, "")
    }

    pub(crate) fn run_with_input(&self, language: Language, args: &[&str], input: &str) -> Process {
        Process::start(self.command(language).args(args), input)
    }

    /// The same where the program itself starts its twin.
    pub(crate) fn run_with_twin(&self, language: Language, args: &[&str]) -> Process {
        let mut command = self.command(language);
        if matches!(self.facility, Facility::User) {
            command.env("LD_PRELOAD", preload());
        }
        Process::start(command.args(args), "")
    }

    pub(crate) fn path(&self, language: Language) -> PathBuf {
        match language {
            Language::C => compiled().join(self.program),
            Language::Rust => built(&format!("examples/{}", self.program)),
        }
    }

    /// A directory that goes with the world.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What is left in this world, a line for each segment, as `ipcs` shows it.
    pub(crate) fn segments(&self) -> Vec<String> {
        let output = Process::start(self.wrapped(Path::new("ipcs"), Language::C).arg("-m"), "").ok();
        output.lines().filter(|line| line.starts_with("0x")).map(str::to_owned).collect()
    }

    fn command(&self, language: Language) -> Command {
        self.wrapped(&self.path(language), language)
    }

    fn wrapped(&self, program: &Path, language: Language) -> Command {
        let mut command = match &self.facility {
            Facility::Kernel(holder) => {
                let mut command = Command::new("nsenter");
                command.args(["--ipc", "--target", &holder.0.id().to_string()]);
                if !is_root() {
                    command.args(["--user", "--preserve-credentials"]);
                }
                command.arg("--").arg(program).env("COSEG_BACKEND", "kernel");
                command
            }
            Facility::User => {
                let mut command = Command::new(program);
                command.env("COSEG_BACKEND", "user").env("COSEG_DIR", self.directory().join("namespace"));
                if language == Language::C {
                    command.env("LD_PRELOAD", preload());
                }
                command
            }
        };
        command.current_dir(self.directory());
        command
    }
}

fn is_root() -> bool {
    coseg_sysv::caller::effective_uid() == 0
}

/// On tmpfs where there is one, as the user backend is meant to be used.
fn directory() -> TempDir {
    let parent = Path::new("/dev/shm");
    let parent = if parent.is_dir() { parent.to_owned() } else { std::env::temp_dir() };
    let directory = tempfile::Builder::new().prefix("coseg-examples-").tempdir_in(parent).unwrap();
    let namespace = directory.path().join("namespace");
    std::fs::create_dir(&namespace).unwrap();
    std::fs::set_permissions(&namespace, std::fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

/// A file that cargo built: its path inside `target/<profile>`.
fn built(path: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join(path);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test -p coseg-examples` without --test",
        path.display()
    );
    path
}

fn preload() -> PathBuf {
    built("deps/libcoseg_preload.so")
}

/// The C twins, compiled once.
fn compiled() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
        std::fs::create_dir_all(&directory).unwrap();
        for program in ["notes", "alphabet", "family", "exchange"] {
            let (output, fresh) =
                (directory.join(program), directory.join(format!("{program}.{}", std::process::id())));
            let mut cc = Command::new("cc");
            cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-o"]).arg(&fresh);
            cc.arg(sources.join(program).with_extension("c"));
            assert!(cc.status().unwrap().success(), "{cc:?}");
            // Other tests may be running the last build.
            std::fs::rename(&fresh, &output).unwrap();
        }
        directory
    })
}
