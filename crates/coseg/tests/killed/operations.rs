//! What the victims do.

use std::sync::Arc;
use std::time::Duration;

use coseg::{Error, ErrorKind, Region};
use coseg_crash::mark;
use coseg_sysv::Backend;

use crate::clock;
use crate::marking::Marking;
use crate::world::{Bank, NEW, OLD, Setting};

const SOON: Duration = Duration::from_millis(15);

pub(crate) fn operate(setting: &Setting, operation: &str) {
    clock::set();
    if operation == "join and leave" {
        let backend: Arc<dyn Backend> = Arc::new(Marking(Arc::clone(&setting.backend)));
        return drop(setting.bank("victim").backend(&backend).open().unwrap());
    }
    let region = setting.bank("victim").open().unwrap();
    if operation == "commit" {
        return commit(&region);
    }
    mark::begin();
    act(&region, operation);
    mark::end();
}

/// The last part of a transaction: few states, so that every recovery can be killed too.
fn commit(region: &Region<Bank>) {
    let [from, to] = [0, 1].map(|row| region.accounts.row(row).unwrap());
    let done: Result<(), Error> = region.transaction(|change| {
        change.update(&from, |account| account.balance -= 30)?;
        change.update(&to, |account| account.balance += 30)?;
        mark::begin();
        Ok(())
    });
    done.unwrap();
    mark::end();
}

fn act(region: &Region<Bank>, operation: &str) {
    let accounts = || [region.accounts.row(0).unwrap(), region.accounts.row(1).unwrap()];
    match operation {
        "update" => region.rates.update(|rates| *rates = NEW).unwrap(),
        "update a row" => {
            let row = region.accounts.row(1).unwrap();
            row.update(|account| account.moves = 7).unwrap();
        }
        "transaction" => {
            let [from, to] = accounts();
            let done: Result<(), Error> = region.transaction(|change| {
                change.set(&region.rates, NEW)?;
                change.update(&from, |account| account.balance -= 30)?;
                change.update(&to, |account| account.balance += 30)
            });
            done.unwrap();
        }
        "transaction of one" => {
            let done: Result<(), Error> = region.transaction(|change| change.set(&region.rates, NEW));
            done.unwrap();
        }
        "transaction rolled back" => {
            let [from, _] = accounts();
            let done: Result<(), Error> = region.transaction(|change| {
                change.set(&region.rates, NEW)?;
                change.update(&from, |account| account.balance -= 30)?;
                region.accounts.row(9).map(drop)
            });
            assert_eq!(done.unwrap_err().kind(), &ErrorKind::NoSuchRow);
        }
        "recover" => {
            let none: Result<(), Error> = region.transaction(|_| Ok(()));
            none.unwrap();
        }
        "lock" => drop(region.door.lock().unwrap()),
        "lock in vain" => {
            // What is read of a living owner differs from run to run: one look and no second.
            let error = region.door.lock_timeout(Duration::from_millis(8)).unwrap_err();
            assert!(error.is_timeout());
        }
        "read" => drop(region.files.read().unwrap()),
        "write" => drop(region.files.write().unwrap()),
        "add" => _ = region.trades.add(5).unwrap(),
        "notify" => region.bell.notify().unwrap(),
        "wait for a value" => {
            let error = region.rates.wait_while(|rates| *rates == OLD, Some(SOON)).unwrap_err();
            assert!(error.is_timeout());
        }
        "wait for an event" => assert!(region.bell.wait(0, Some(SOON)).unwrap_err().is_timeout()),
        "snapshot" => {
            let [from, to] = accounts();
            let both: Result<_, Error> = region.snapshot(|at| Ok((at.get(&from)?, at.get(&to)?)));
            both.unwrap();
        }
        operation => panic!("{operation}?"),
    }
}
