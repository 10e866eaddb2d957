//! Where the tests run: each backend in a world of its own, and processes that play a part.
#![allow(unsafe_code, reason = "leaves the IPC namespace of the machine")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use coseg::{Cell, Contents, Counter, Event, Lock, Region, RegionOptions, Rows, RwLock, Shared, Table};
use coseg_sysv::{Backend, Kernel, Key, User};

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Currency {
    /// What one unit costs.
    #[shared(unit = "p")]
    pub(crate) buy: u64,
    pub(crate) stock: i64,
}

#[derive(Region)]
pub(crate) struct Office {
    pub(crate) board: Cell<[Currency; 4]>,
    pub(crate) ledger: Table<Currency, 8>,
    pub(crate) trades: Counter,
    pub(crate) door: Lock,
    pub(crate) window: Lock,
    pub(crate) files: RwLock,
    pub(crate) bell: Event,
}

pub(crate) const KEY: Key = Key::new(0x4558);
pub(crate) const START: Currency = Currency { buy: 10, stock: 1000 };

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

    pub(crate) fn office(&self) -> Region<Office> {
        self.at::<Office>(KEY)
            .open_or_create(|| OfficeInitial {
                board: [START; 4],
                ledger: Rows(vec![START; 2]),
                trades: 7,
                ..Default::default()
            })
            .unwrap()
    }

    /// Another process that opens the office and does what `role` says.
    pub(crate) fn actor(&self, role: &str) -> Actor {
        self.play(role, Command::new(std::env::current_exe().unwrap()))
    }

    /// The same in a PID namespace of its own.
    pub(crate) fn actor_apart(&self, role: &str) -> Actor {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(std::env::current_exe().unwrap());
        self.play(role, command)
    }

    fn play(&self, role: &str, mut command: Command) -> Actor {
        command.args(["--exact", "house::actor", "--nocapture"]).env("COSEG_TEST_ROLE", role);
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

/// What [`World::actor`] starts; nothing in a usual run.
#[test]
fn actor() {
    let Ok(role) = std::env::var("COSEG_TEST_ROLE") else { return };
    let backend: Arc<dyn Backend> = match std::env::var("COSEG_TEST_DIR") {
        Ok(directory) => Arc::new(User::at(directory).unwrap()),
        Err(_) => Arc::new(Kernel),
    };
    if crate::channels::play(&role, &backend) || crate::corners::play(&role, &backend) {
        return;
    }
    let open = || match Region::<Office>::at(KEY).backend(&backend).participant(&role).open() {
        Ok(office) => office,
        Err(error) => {
            say(&format!("refused {error}"));
            panic!("{error}");
        }
    };
    match role.as_str() {
        "holds the door" => {
            let office = open();
            let guard = office.door.lock().unwrap();
            say("held");
            told();
            drop(guard);
            say("given back");
        }
        "reads the files" => {
            let office = open();
            let _guard = office.files.read().unwrap();
            say("held");
            told();
        }
        "writes the files" => {
            let office = open();
            let _guard = office.files.write().unwrap();
            say("held");
            told();
        }
        "stays in an update" => {
            let office = open();
            office
                .board
                .update(|board| {
                    board[0].stock = -1;
                    say("within");
                    told();
                })
                .unwrap();
        }
        "stays in a transaction" => {
            let office = open();
            let row = office.ledger.row(1).unwrap();
            let _: Result<(), coseg::Error> = office.transaction(|change| {
                change.update(&office.board, |board| board[0].stock = -1)?;
                change.update(&row, |row| row.stock = -1)?;
                say("within");
                told();
                Ok(())
            });
        }
        "waits for a change" => {
            let office = open();
            let board = office.board.wait_while(|board| board[0].stock == START.stock, None).unwrap();
            say(&format!("saw {}", board[0].stock));
        }
        "waits for the bell" => {
            let office = open();
            let count = office.bell.wait(0, None).unwrap();
            say(&format!("heard {count}"));
        }
        "replaces its program" => {
            use std::os::unix::process::CommandExt;
            let office = open();
            std::mem::forget(office.door.lock().unwrap());
            say("held");
            told();
            let error = Command::new("sleep").arg("1000").exec();
            panic!("{error}");
        }
        "replaces itself" => {
            use std::os::unix::process::CommandExt;
            let office = open();
            std::mem::forget(office.door.lock().unwrap());
            say("held");
            told();
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", "house::actor", "--nocapture"]).env("COSEG_TEST_ROLE", "locks again");
            let error = again.exec();
            panic!("{error}");
        }
        "locks again" => {
            let office = open();
            let guard = office.door.lock_timeout(std::time::Duration::from_secs(5)).unwrap();
            say("again");
            drop(guard);
            std::thread::sleep(std::time::Duration::from_secs(100));
        }
        "dies making it" => {
            let made = Region::<Office>::at(KEY).backend(&backend).create(|| {
                say("making");
                told();
                OfficeInitial::default()
            });
            made.unwrap();
        }
        "adds" => {
            let office = open();
            for _ in 0..20_000 {
                office.board.update(|board| board[3].stock += 1).unwrap();
            }
            say("added");
        }
        role => panic!("{role}?"),
    }
}
