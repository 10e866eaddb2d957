//! Where tests run: each backend in a world of its own, and processes that play a part.
#![allow(unsafe_code, reason = "leaves the IPC namespace of the machine")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use coseg::{Contents, Region, RegionOptions};
use coseg_sysv::{Backend, Kernel, Key, User};

pub(crate) const KEY: Key = Key::new(0x4558);

/// A backend of the test's own.
pub(crate) struct World {
    pub(crate) backend: Arc<dyn Backend>,
    directory: Option<tempfile::TempDir>,
}

/// Runs a test on each backend.
pub(crate) fn on_each(test: impl Fn(&World) + Sync) {
    let directory = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
    let user: Arc<dyn Backend> = Arc::new(User::at(directory.path()).unwrap());
    test(&World { backend: user, directory: Some(directory) });
    std::thread::scope(|scope| {
        let kernel = scope.spawn(|| {
            // SAFETY: concerns the calling thread's namespace only.
            if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
                eprintln!("not on the kernel backend: only root may have an IPC namespace of its own");
                return;
            }
            test(&World { backend: Arc::new(Kernel), directory: None });
        });
        kernel.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

impl World {
    pub(crate) fn at<C: Contents>(&self, key: Key) -> RegionOptions<C> {
        Region::<C>::at(key).backend(&self.backend)
    }

    /// Another process that runs one test of this program, which does what `role` says.
    pub(crate) fn actor_in(&self, test: &str, role: &str) -> Actor {
        self.play(test, role, Command::new(std::env::current_exe().unwrap()))
    }

    /// The same as another program starts it.
    pub(crate) fn play(&self, test: &str, role: &str, mut command: Command) -> Actor {
        command.args(["--exact", test, "--nocapture"]).env("COSEG_TEST_ROLE", role);
        match &self.directory {
            Some(directory) => command.env("COSEG_TEST_DIR", directory.path()),
            None => command.env_remove("COSEG_TEST_DIR"),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Actor { child, lines }
    }
}

/// A process that plays a part, killed when dropped.
pub(crate) struct Actor {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Actor {
    /// Reads on until the actor has said `word`; the rest of that line.
    pub(crate) fn hear(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the actor ended before it said `{word}`");
            // The test runner's own output may stand before it.
            if let Some(at) = line.find(&format!("@{word}")) {
                return line[at + word.len() + 1..].trim().to_owned();
            }
        }
    }

    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    pub(crate) fn kill(&mut self) {
        // Waiting would close it, and who reads the end of it goes on.
        let stdin = self.child.stdin.take();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(stdin);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn say(word: &str) {
    println!("@{word}");
    std::io::stdout().flush().unwrap();
}

pub(crate) fn told() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// The backend that an actor was started for.
pub(crate) fn backend_told() -> Arc<dyn Backend> {
    match std::env::var("COSEG_TEST_DIR") {
        Ok(directory) => Arc::new(User::at(directory).unwrap()),
        Err(_) => Arc::new(Kernel),
    }
}
