//! Two files, `a` and `b`, that every reader must find equal; a third, `log`, that makes it so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use coseg_crash::mark;

pub(crate) const OLD: u64 = 1;
pub(crate) const NEW: u64 = 2;

/// What is wrong with a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    NoLog,
    /// Recovery clears the log before it has applied it.
    ClearsEarly,
    ForgetsToWrite,
}

impl Mistake {
    pub(crate) fn update(self) -> &'static str {
        match self {
            Self::None | Self::ClearsEarly => "update",
            Self::NoLog => "update without log",
            Self::ForgetsToWrite => "update nothing",
        }
    }

    pub(crate) fn recover(self) -> &'static str {
        match self {
            Self::ClearsEarly => "recover, clearing early",
            _ => "recover",
        }
    }
}

pub(crate) fn prepare(world: &Path) -> io::Result<()> {
    for name in ["a", "b"] {
        fs::write(world.join(name), OLD.to_le_bytes())?;
    }
    fs::write(world.join("log"), [0; 16])
}

/// The value of both files.
pub(crate) fn agreed(world: &Path) -> Result<u64, String> {
    let read = |name| fs::read(world.join(name)).map_err(|error| format!("{name}: {error}"));
    let (a, b) = (read("a")?, read("b")?);
    if a != b {
        return Err(format!("a is {a:?}, b is {b:?}"));
    }
    let bytes = a.try_into().map_err(|bytes| format!("{bytes:?} is no value"))?;
    Ok(u64::from_le_bytes(bytes))
}

pub(crate) fn play(role: &str, world: &Path) {
    let registry = Registry::open(world);
    match role {
        "update" => marked(|| registry.locked(|| registry.update())),
        "update without log" => marked(|| registry.locked(|| registry.apply(NEW))),
        "update nothing" => marked(|| registry.locked(|| {})),
        "recover" => marked(|| registry.locked(|| registry.recover(false))),
        "recover, clearing early" => marked(|| registry.locked(|| registry.recover(true))),
        "hang" => thread::sleep(Duration::from_secs(3600)),
        "endless" => marked(|| thread::sleep(Duration::from_secs(3600))),
        "random" => marked(|| {
            let mut bytes = [0; 8];
            File::open("/dev/urandom").unwrap().read_exact_at(&mut bytes, 0).unwrap();
            fs::write(world.join("random"), bytes).unwrap();
        }),
        "unmarked" => {}
        "dies" => marked(|| std::process::exit(3)),
        role => panic!("{role}?"),
    }
}

fn marked(operation: impl FnOnce()) {
    mark::begin();
    operation();
    mark::end();
}

struct Registry {
    a: Option<File>,
    b: Option<File>,
    log: Option<File>,
}

impl Registry {
    fn open(world: &Path) -> Self {
        let open = |name| OpenOptions::new().read(true).write(true).open(world.join(name)).ok();
        Self { a: open("a"), b: open("b"), log: open("log") }
    }

    fn log(&self) -> &File {
        self.log.as_ref().unwrap()
    }

    fn locked(&self, section: impl FnOnce()) {
        self.log().lock().unwrap();
        section();
        self.log().unlock().unwrap();
    }

    fn update(&self) {
        self.recover(false);
        self.log().write_all_at(&NEW.to_le_bytes(), 8).unwrap();
        self.log().write_all_at(&1_u64.to_le_bytes(), 0).unwrap();
        self.recover(false);
    }

    fn apply(&self, value: u64) {
        self.a.as_ref().unwrap().write_all_at(&value.to_le_bytes(), 0).unwrap();
        self.b.as_ref().unwrap().write_all_at(&value.to_le_bytes(), 0).unwrap();
    }

    fn recover(&self, clears_early: bool) {
        let [committed, value] = [0, 8].map(|offset| {
            let mut bytes = [0; 8];
            self.log().read_exact_at(&mut bytes, offset).unwrap();
            u64::from_le_bytes(bytes)
        });
        if committed == 0 {
            return;
        }
        let clear = || self.log().write_all_at(&0_u64.to_le_bytes(), 0).unwrap();
        if clears_early {
            clear();
        }
        self.apply(value);
        clear();
    }
}
