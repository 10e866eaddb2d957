//! The region that is scribbled over, its backend, and the process that suffers it.
#![allow(unsafe_code, reason = "leaves the IPC namespace of the machine")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coseg::{
    Broadcast, Bytes, Cell, Channel, Contents, Counter, DropOldest, Event, Fail, Lock, OneToOne, Queue,
    Region, RegionOptions, Rows, RwLock, Shared, Stream, Table, Text,
};
use coseg_crash::SplitMix;
use coseg_sysv::{Backend, Kernel, Key, User};

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Currency {
    pub(crate) buy: u64,
    pub(crate) stock: i64,
    pub(crate) name: Text<12>,
    pub(crate) open: bool,
}

#[derive(Region)]
pub(crate) struct Office {
    pub(crate) board: Cell<[Currency; 4]>,
    pub(crate) ledger: Table<Currency, 8>,
    pub(crate) trades: Counter,
    pub(crate) door: Lock,
    pub(crate) files: RwLock,
    pub(crate) bell: Event,
    /// Its messages share lines.
    pub(crate) line: Channel<u64, OneToOne<16>>,
    pub(crate) letters: Channel<Bytes<100>, OneToOne<4>>,
    pub(crate) jobs: Channel<Currency, Queue<4>>,
    pub(crate) notes: Channel<Bytes<100>, Queue<8>>,
    pub(crate) news: Channel<Currency, Broadcast<4>>,
    pub(crate) ticks: Channel<Currency, Broadcast<4, DropOldest>>,
    pub(crate) alarms: Channel<u64, Broadcast<4, Fail>>,
    pub(crate) parcels: Channel<Bytes<80_000>, Stream<2>>,
}

pub(crate) const KEY: Key = Key::new(0x4558);
pub(crate) const PARTICIPANTS: usize = 6;

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

/// How a region of the tests is named, on this backend.
pub(crate) fn at<C: Contents>(backend: &Arc<dyn Backend>) -> RegionOptions<C> {
    Region::<C>::at(KEY).backend(backend).participants(PARTICIPANTS)
}

pub(crate) fn initial() -> OfficeInitial {
    let start = Currency { buy: 10, stock: 1000, name: Text::from("pound"), open: true };
    OfficeInitial { board: [start; 4], ledger: Rows(vec![start; 2]), trades: 7, ..Default::default() }
}

impl World {
    pub(crate) fn name(&self) -> &'static str {
        if self.directory.is_some() { "user" } else { "kernel" }
    }

    pub(crate) fn office(&self) -> Region<Office> {
        at::<Office>(&self.backend).create(initial).unwrap()
    }

    /// Starts another process in this role.
    pub(crate) fn actor(&self, role: &str, seed: u64) -> Actor {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "victim::actor", "--nocapture"]);
        command.env("COSEG_TEST_ROLE", role).env("COSEG_SEED", seed.to_string());
        match &self.directory {
            Some(directory) => command.env("COSEG_TEST_DIR", directory.path()),
            None => command.env_remove("COSEG_TEST_DIR"),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let stdin = child.stdin.take().unwrap();
        Actor { child, stdin, lines }
    }
}

/// The backend that a process was started for.
pub(crate) fn backend_told() -> Arc<dyn Backend> {
    match std::env::var("COSEG_TEST_DIR") {
        Ok(directory) => Arc::new(User::at(directory).unwrap()),
        Err(_) => Arc::new(Kernel),
    }
}

/// A process that plays a part, killed when dropped.
pub(crate) struct Actor {
    child: Child,
    stdin: ChildStdin,
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
        writeln!(self.stdin, "{word}").unwrap();
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn end(&mut self) {
        let since = Instant::now();
        while self.runs() {
            assert!(since.elapsed() < Duration::from_secs(30), "the actor does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the actor ended with {status}");
    }

    /// The processor time it has used.
    pub(crate) fn busy(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        // A tick is 10 ms on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
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

pub(crate) fn told() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// The same numbers for the same seed.
pub(crate) struct Numbers(SplitMix);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(SplitMix::new(seed))
    }

    /// The seed that COSEG_SEED tells, or one of the clock's.
    pub(crate) fn seed() -> u64 {
        let told = std::env::var("COSEG_SEED").ok();
        told.map_or_else(
            || {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                u64::from(now.subsec_nanos()) ^ now.as_secs() << 30
            },
            |seed| seed.parse().expect("COSEG_SEED is a number"),
        )
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.number()
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).unwrap()
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Whether there is time for more than the usual.
pub(crate) fn long() -> bool {
    std::env::var_os("COSEG_LONG").is_some_and(|value| value == "1")
}
