//! Regions that the tests make, and processes that use them.
#![allow(unreachable_pub, reason = "as in the modules beside it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use coseg::{Cell, Counter, Event, Key, Lock, Region, Rows, RwLock, Shared, Table, Text};
use coseg_sysv::{Backend, Kernel, User};

use crate::common::World;

#[derive(Shared, Clone, Copy)]
#[repr(C)]
pub struct Limits {
    #[shared(unit = "p")]
    pub low: i32,
    pub high: i32,
}

/// Something that is bought and sold.
#[derive(Shared, Clone, Copy)]
#[repr(C)]
pub struct Currency {
    pub name: Text<8>,
    /// What who sells one gets.
    #[shared(unit = "p")]
    pub sell: f64,
    pub stock: i64,
    pub limits: Limits,
}

#[derive(Shared, Clone, Copy)]
#[repr(C)]
pub struct Extremes {
    pub least: i128,
    pub most: u64,
    pub huge: u128,
    pub minus: i8,
    pub yes: bool,
    pub nothing: f64,
    /// With a doc line of its own.
    #[shared(unit = "µs")]
    pub small: f32,
    pub grid: [[u8; 2]; 3],
    pub pairs: [Limits; 3],
}

/// A region with every kind of part.
#[derive(Region)]
pub struct Office {
    /// What is bought and sold.
    pub board: Cell<[Currency; 3]>,
    pub odd: Cell<Extremes>,
    pub ledger: Table<Currency, 64>,
    pub trades: Counter,
    pub changed: Event,
    /// For the till, which is no shared memory.
    pub door: Lock,
    pub shelf: RwLock,
}

pub fn currency(name: &str, sell: f64, stock: i64) -> Currency {
    Currency { name: name.into(), sell, stock, limits: Limits { low: -5, high: 7 } }
}

pub fn extremes() -> Extremes {
    Extremes {
        least: i128::MIN,
        most: u64::MAX,
        huge: u128::MAX,
        minus: -128,
        yes: true,
        nothing: f64::NAN,
        small: 0.1,
        grid: [[1, 2], [0, 0], [255, 6]],
        pairs: [Limits { low: 1, high: 2 }, Limits { low: 0, high: 0 }, Limits { low: -3, high: 4 }],
    }
}

pub fn backend_of(name: &str, directory: &std::path::Path) -> Arc<dyn Backend> {
    if name == "kernel" { Arc::new(Kernel) } else { Arc::new(User::at(directory).unwrap()) }
}

pub fn backend(world: &World) -> Arc<dyn Backend> {
    backend_of(world.backend, world.directory())
}

/// A region of this key and name in a test's world.
pub fn office(world: &World, key: i32, name: &str) -> Region<Office> {
    open(&backend(world), key).name(name).create(initial).unwrap()
}

fn initial() -> OfficeInitial {
    OfficeInitial {
        board: [currency("DOLLAR", 13.72, 400), currency("EURO", 0.5, -3), currency("", 0.0, 0)],
        odd: extremes(),
        ledger: Rows(vec![currency("two words", 1e300, i64::MIN)]),
        trades: 42,
        ..OfficeInitial::default()
    }
}

fn open(backend: &Arc<dyn Backend>, key: i32) -> coseg::RegionOptions<Office> {
    Region::<Office>::at(Key::new(key)).backend(backend)
}

/// Another process that uses a region, played by this program.
pub struct Player {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

const ROLE: &str = "COSEG_TEST_ROLE";

impl Player {
    /// Starts a process that plays `role`, and waits until it is ready.
    pub fn start(world: &World, role: &str, keys: &str) -> Player {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "plays", "--ignored", "--nocapture"]);
        command.env(ROLE, role).env("COSEG_TEST_KEYS", keys).env("COSEG_TEST_BACKEND", world.backend);
        command.env("COSEG_DIR", world.directory()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut player = Player { child, lines };
        player.expect("ready");
        player
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn expect(&mut self, word: &str) {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if line.trim_end().ends_with(word) {
                return;
            }
            line.clear();
        }
        panic!("the player ended before it was {word}");
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other process does; nothing where this program was not started as one.
pub fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let backend = backend_of(&variable("COSEG_TEST_BACKEND"), variable("COSEG_DIR").as_ref());
    let keys = variable("COSEG_TEST_KEYS");
    let regions: Vec<Region<Office>> = keys
        .split(',')
        .map(|key| {
            let options = open(&backend, key.parse().unwrap());
            let made = role == "maker";
            if made { options.name("market").create(initial) } else { options.participant(&role).open() }
                .unwrap()
        })
        .collect();
    let wait = || {
        println!("ready");
        // Ends with the parent, whose end of the pipe is closed then.
        let mut byte = [0];
        let _ = std::io::stdin().read(&mut byte);
    };
    let long = Duration::from_secs(60);
    match role.as_str() {
        "maker" => wait(),
        "holder" => {
            let _door = regions[0].door.lock().unwrap();
            wait();
        }
        "reader" => {
            let _shelf = regions[0].shelf.read().unwrap();
            wait();
        }
        "waiter" => {
            println!("ready");
            let _door = regions[0].door.lock_timeout(long);
        }
        "changer" => regions[0]
            .transaction(|change| {
                change.update(&regions[0].odd, |odd| odd.most = 1)?;
                wait();
                Ok::<(), coseg::Error>(())
            })
            .unwrap(),
        // Takes the first region's lock, and then the second's.
        "greedy" => {
            let _first = regions[0].door.lock().unwrap();
            wait();
            let _second = regions[1].door.lock_timeout(long);
        }
        other => panic!("no role {other}"),
    }
}
