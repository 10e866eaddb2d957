//! What the workers work on, and what must hold of it at every moment.

use std::sync::Arc;

use coseg::{Cell, Counter, Error, Event, Lock, Region, RegionOptions, Rows, RwLock, Shared, Table};
use coseg_sysv::{Backend, Key};

pub(crate) const WORKERS: usize = 4;
pub(crate) const ACCOUNTS: usize = 8;
const OPENING: i64 = 1_000_000;
const KEY: Key = Key::new(0x5704);

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) moves: u64,
}

/// What one worker, in all its lives, has done.
#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) moves: u64,
    pub(crate) amount: i64,
}

#[derive(Region)]
pub(crate) struct Hall {
    pub(crate) accounts: Table<Account, ACCOUNTS>,
    pub(crate) ledgers: Table<Ledger, WORKERS>,
    pub(crate) totals: Cell<Ledger>,
    /// The second is three times the first.
    pub(crate) pair: Cell<[u64; 2]>,
    /// Changed only by who has the door.
    pub(crate) behind_door: Cell<u64>,
    /// Changed only by who has the files for writing.
    pub(crate) in_files: Cell<u64>,
    /// What each worker has done, to see that it goes on.
    pub(crate) beats: Table<u64, WORKERS>,
    pub(crate) operations: Counter,
    pub(crate) recoveries: Counter,
    /// The longest operation, in microseconds.
    pub(crate) slowest_us: Cell<u64>,
    pub(crate) bell: Event,
    pub(crate) door: Lock,
    pub(crate) files: RwLock,
}

pub(crate) fn hall(backend: &Arc<dyn Backend>) -> RegionOptions<Hall> {
    Region::<Hall>::at(KEY).backend(backend).participants(WORKERS + 2)
}

pub(crate) fn opening() -> HallInitial {
    let account = Account { balance: OPENING, moves: 0 };
    HallInitial { accounts: Rows(vec![account; ACCOUNTS]), ..Default::default() }
}

/// Nothing is lost, nothing half done, and the workers' own books say the same.
pub(crate) fn check(hall: &Region<Hall>) -> Result<(), String> {
    let seen: Result<_, Error> = hall.snapshot(|at| {
        let mut accounts = Vec::new();
        for row in hall.accounts.rows() {
            accounts.push(at.get(&row)?);
        }
        let mut ledgers = Vec::new();
        for row in hall.ledgers.rows() {
            ledgers.push(at.get(&row)?);
        }
        Ok((accounts, ledgers, at.get(&hall.totals)?, at.get(&hall.pair)?))
    });
    let (accounts, ledgers, totals, pair) = match seen {
        // Who only reads may find the writers faster every time.
        Err(error) if *error.kind() == coseg::ErrorKind::Busy => return Ok(()),
        seen => seen.map_err(|error| error.to_string())?,
    };
    let held: i64 = accounts.iter().map(|account| account.balance).sum();
    let moves: u64 = accounts.iter().map(|account| account.moves).sum();
    let booked: u64 = ledgers.iter().map(|ledger| ledger.moves).sum();
    let amount: i64 = ledgers.iter().map(|ledger| ledger.amount).sum();
    let all = i64::try_from(ACCOUNTS).unwrap() * OPENING;
    let holds = held == all
        && moves == 2 * totals.moves
        && booked == totals.moves
        && amount == totals.amount
        && pair[1] == 3 * pair[0];
    if holds { Ok(()) } else { Err(format!("{accounts:?} {ledgers:?} {totals:?} {pair:?}")) }
}
