//! A program with types of its own, which a region may be said to have.

use std::sync::Arc;
use std::time::Duration;

use coseg::{
    Broadcast, Bytes, Cell, Channel, Counter, DropOldest, Error, Event, Key, Lock, Map, Message, OneToOne,
    Queue, Region, Rows, RwLock, Shared, Table, Text, Whole,
};
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
    line: Channel<u64, OneToOne<8>>,
    letters: Channel<Bytes<20>, OneToOne<2>>,
    jobs: Channel<Currency, Queue<4>>,
    news: Channel<u64, Broadcast<4>>,
    ticks: Channel<Currency, Broadcast<2, DropOldest>>,
    stocks: Map<u32, Currency, 5>,
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
    let _ = (office.stocks.get(&7), office.stocks.iter().count(), office.stocks.len());
    let Some(moment) = changes else { return };
    let order = Currency { buy: 2, stock: 2, name: Text::from("euro"), open: false };
    pass_on(&office.line, &7, moment);
    pass_on(&office.letters, b"Dear Ada", moment);
    pass_on(&office.jobs, &order, moment);
    pass_on(&office.news, &7, moment);
    pass_on(&office.ticks, &order, moment);
    for key in 0..7 {
        let _ = office.stocks.put(&key, order);
    }
    let _ = (office.stocks.remove(&3), office.stocks.clear());
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

/// Sends and receives, and stays at neither end.
fn pass_on<M: Message, K: Whole>(channel: &Channel<M, K>, message: &M::Sent, moment: Duration) {
    let ends = channel.receiver().and_then(|receiver| Ok((receiver, channel.sender()?)));
    let Ok((mut receiver, mut sender)) = ends else { return };
    for _ in 0..3 {
        let _ = sender.send_timeout(message, moment);
        let _ = sender.try_loan().map(drop);
        let _ = receiver.receive_timeout(moment);
        let _ = receiver.hold_timeout(moment).map(|held| (held.get(), held.is_redelivered()));
        let _ = receiver.wait(Some(moment));
    }
    let _ = (channel.close(), channel.reopen(), channel.senders(), channel.receivers());
}
