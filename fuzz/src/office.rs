//! A program with types of its own, which a region may be said to have.

use std::sync::Arc;
use std::time::Duration;

use coseg::{Cell, Counter, Error, Event, Key, Lock, Region, Rows, RwLock, Shared, Table, Text};
use coseg_sysv::Backend;

#[derive(Shared, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Currency {
    buy: u64,
    stock: i64,
    name: Text<12>,
    open: bool,
}

#[derive(Region)]
pub(crate) struct Office {
    board: Cell<[Currency; 3]>,
    ledger: Table<Currency, 3>,
    trades: Counter,
    door: Lock,
    files: RwLock,
    bell: Event,
}

pub(crate) fn initial() -> OfficeInitial {
    let start = Currency { buy: 1, stock: -1, name: Text::from("pound"), open: true };
    OfficeInitial { board: [start; 3], ledger: Rows(vec![start; 2]), trades: 3, ..Default::default() }
}

/// Reads all of it, and changes it where a time to wait is given.
pub(crate) fn use_it(key: Key, backend: &Arc<dyn Backend>, changes: Option<Duration>) {
    let options = Region::<Office>::at(key).backend(backend).participant("fuzz");
    let opened = if changes.is_some() { options.open() } else { options.observe() };
    let office = match opened {
        Ok(office) => office,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let _ =
        (office.board.read_stamped(), office.board.try_read(), office.trades.get(), office.participants());
    for row in office.ledger.rows() {
        let _ = row.read();
    }
    let _ = office.snapshot(|at| Ok::<_, Error>((at.get(&office.board)?, at.get(&office.ledger.row(1)?)?)));
    let Some(moment) = changes else { return };
    let _ = office.board.update(|board| board[0].stock = board[0].stock.wrapping_add(1));
    let _ = office.transaction(|change| {
        change.update(&office.board, |board| board[1].open = false)?;
        change.update(&office.ledger.row(2)?, |row| row.buy = 4)
    });
    let _ = office.board.wait_while(|_| true, Some(moment));
    let _ = office.bell.wait(office.bell.count(), Some(moment));
    let _ = (office.bell.notify(), office.trades.add(1));
    drop(office.door.lock_timeout(moment));
    drop(office.files.write_timeout(moment));
    drop(office.files.read_timeout(moment));
    let _ = office.take_recoveries();
}
