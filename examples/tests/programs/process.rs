//! Processes that cannot hang a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

/// A program that runs. Its output is read all the while, so that it never waits for its reader.
pub(crate) struct Process {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    complaints: Arc<Mutex<String>>,
    stderr: Option<JoinHandle<()>>,
    name: String,
}

impl Process {
    pub(crate) fn start(command: &mut Command, input: &str) -> Process {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // A program that reads no input has closed the pipe, which is its right.
        std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let complaints = Arc::<Mutex<String>>::default();
        let heard = Arc::clone(&complaints);
        let stderr = std::thread::spawn(move || {
            stderr.lines().for_each(|line| *heard.lock().unwrap() += &format!("{}\n", line.unwrap()));
        });
        let stdout = child.stdout.take().map(BufReader::new);
        Process { child, stdout, complaints, stderr: Some(stderr), name }
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits until it complains of this.
    pub(crate) fn complains(&self, of: &str) {
        let started = Instant::now();
        while !self.complaints.lock().unwrap().contains(of) {
            assert!(started.elapsed() < DEADLINE, "{} does not complain of {of}", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Its end and the rest of its output. It is killed at the deadline.
    pub(crate) fn finish(mut self) -> Output {
        let mut stdout = self.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > DEADLINE {
                panic!("{} still runs after {DEADLINE:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let stdout = reader.join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        let stderr = std::mem::take(&mut *self.complaints.lock().unwrap()).into_bytes();
        Output { status, stdout, stderr }
    }

    /// Its whole output; it must succeed and have nothing to complain of.
    pub(crate) fn ok(self) -> String {
        let name = self.name.clone();
        let output = self.finish();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{name}: {}: {stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it complains of; it must fail with this code.
    pub(crate) fn fails(self, code: i32) -> String {
        let name = self.name.clone();
        let output = self.finish();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {stderr}");
        assert!(!stderr.is_empty(), "{name} fails without a word");
        stderr
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
