//! A world of its own for each test: an IPC namespace for the kernel backend, a directory for the user backend.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;
use tempfile::TempDir;

pub struct World {
    pub backend: &'static str,
    directory: TempDir,
    /// The user's own files, and temporary ones.
    home: TempDir,
}

#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Both backends. The calling thread moves to a new IPC namespace, and its children with it; what is left there
/// goes with the thread. Without the privilege for that the kernel is not played with: its segments are not ours.
pub fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new("user")];
    match nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWIPC) {
        Ok(()) => worlds.push(World::new("kernel")),
        Err(errno) => eprintln!("the kernel backend is not tested: no IPC namespace of our own ({errno})"),
    }
    worlds
}

/// The document that a command printed, which is as its schema says.
pub fn document(line: &str, text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let all = SCHEMAS.get_or_init(schemas);
    let length = |name: &str| name.split(' ').take_while(|word| words.contains(word)).count();
    let own: Vec<&(String, Validator)> = all.iter().filter(|(name, _)| name.starts_with(words[0])).collect();
    let most = own.iter().map(|(name, _)| length(name)).max().unwrap_or(0);
    assert!(most > 0, "{line}: a document without a schema");
    let (mut faults, mut is_valid) = (String::new(), false);
    for (name, schema) in own.into_iter().filter(|(name, _)| length(name) == most) {
        let found: Vec<String> = schema.iter_errors(&value).map(|error| format!("{name}: {error}")).collect();
        is_valid |= found.is_empty();
        faults += &found.join("\n");
    }
    assert!(is_valid, "{line}: {faults}: {value}");
    value
}

/// By the words of their commands.
static SCHEMAS: OnceLock<Vec<(String, Validator)>> = OnceLock::new();

fn schemas() -> Vec<(String, Validator)> {
    let print = |words: &str| {
        let words = words.split(' ').filter(|word| !word.is_empty());
        let output = Command::new(binary()).arg("schema").args(words).output().unwrap();
        assert!(output.status.success(), "coseg schema: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let validator =
        |name: &str| jsonschema::validator_for(&serde_json::from_str(&print(name)).unwrap()).unwrap();
    print("").lines().map(|name| (name.to_owned(), validator(name))).collect()
}

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_coseg"))
}

/// Copies a program by another process: a descriptor open for writing here would pass to the children of tests
/// that run meanwhile, and the copy could not be started (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp: {status}");
}

impl World {
    pub fn new(backend: &'static str) -> World {
        World { backend, directory: tempfile::tempdir().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where commands put what they need for a while.
    pub fn temporary(&self) -> &Path {
        self.home.path()
    }

    /// `coseg` with these words, in this world.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(binary());
        command.args(line.split_ascii_whitespace());
        command.env("COSEG_BACKEND", self.backend).env("COSEG_DIR", self.directory.path());
        for name in ["NO_COLOR", "COSEG_PRELOAD", "LD_PRELOAD", "COSEG_RESERVE", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.home.path()).env("TMPDIR", self.home.path());
        command.env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Outcome {
        finish(self.command(line))
    }

    /// The same, expected to succeed.
    pub fn ok(&self, line: &str) -> String {
        let outcome = self.run(line);
        assert_eq!(outcome.code, 0, "{}: coseg {line}: {outcome:?}", self.backend);
        outcome.out
    }

    pub fn json(&self, line: &str) -> Value {
        document(line, &self.ok(&format!("{line} --json")))
    }

    /// The same with this on standard input, through a pipe.
    pub fn feed(&self, line: &str, input: &[u8]) -> Outcome {
        let mut child = self.start(line);
        // A command that refuses closes its end early.
        let _ = std::io::Write::write_all(&mut child.0.stdin.take().unwrap(), input);
        child.finish()
    }

    /// Starts it with pipes on all three sides.
    pub fn start(&self, line: &str) -> Running {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    /// A process that stays attached for reading and writing until its standard input ends.
    pub fn holder(&self, selector: &str) -> Running {
        let before = self.attachment_count(selector);
        let running = self.start(&format!("write {selector}"));
        for _ in 0..500 {
            if self.attachment_count(selector) > before {
                return running;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{}: the holder of {selector} did not attach", self.backend);
    }

    pub fn attachment_count(&self, selector: &str) -> u64 {
        self.json(&format!("stat {selector}"))["segments"][0]["attachment_count"].as_u64().unwrap()
    }
}

pub struct Running(pub Child);

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn finish(mut self) -> Outcome {
        drop(self.0.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        let mut stderr = self.0.stderr.take().unwrap();
        let reader = std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap());
        if let Some(mut stdout) = self.0.stdout.take() {
            out = std::io::read_to_string(&mut stdout).unwrap();
        }
        err.push_str(&reader.join().unwrap());
        let code = self.0.wait().unwrap().code().unwrap_or(-1);
        Outcome { code, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn finish(mut command: Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
