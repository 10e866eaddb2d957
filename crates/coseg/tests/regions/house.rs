//! The region of these tests, and processes that use it.

use std::process::Command;

use coseg::{Cell, Counter, Event, Lock, Region, Rows, RwLock, Shared, Table};

pub(crate) use crate::world::{Actor, KEY, World, backend_told, on_each, say, told};

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

pub(crate) const START: Currency = Currency { buy: 10, stock: 1000 };

impl World {
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
        self.actor_in("house::actor", role)
    }

    /// The same in a PID namespace of its own.
    pub(crate) fn actor_apart(&self, role: &str) -> Actor {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(std::env::current_exe().unwrap());
        self.play("house::actor", role, command)
    }
}

/// What [`World::actor`] starts; nothing in a usual run.
#[test]
fn actor() {
    let Ok(role) = std::env::var("COSEG_TEST_ROLE") else { return };
    let backend = backend_told();
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
