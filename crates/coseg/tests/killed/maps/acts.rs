//! What the victims do.

use std::time::Duration;

use coseg::{Error, ErrorKind, Region, Swap};
use coseg_crash::mark;

use super::shop::{Shop, meeting, other, transaction};
use crate::clock;
use crate::world::Setting;

/// Longer than any machine runs.
const LONG: Duration = Duration::from_secs(10_000_000_000);

/// Takes the region's lock and changes nothing.
fn nothing(region: &Region<Shop>) {
    let none: Result<(), Error> = region.transaction(|_| Ok(()));
    none.unwrap();
}

pub(super) fn recover(setting: &Setting) {
    let region = setting.at::<Shop>("recoverer").open().unwrap();
    clock::set();
    mark::begin();
    nothing(&region);
    mark::end();
}

pub(super) fn operate(setting: &Setting, operation: &str) {
    clock::set();
    let region = setting.at::<Shop>("victim").open().unwrap();
    // How often opening looks at it may depend on how quickly others let it.
    clock::set();
    if operation == "commit" {
        return commit(&region);
    }
    mark::begin();
    act(&region, operation);
    mark::end();
}

/// The last part of a transaction: few states, so that every recovery can be killed too.
fn commit(region: &Region<Shop>) {
    let [gone, .., come] = meeting();
    let done: Result<(), Error> = region.transaction(|change| {
        change.map(&region.stock).remove(&gone)?;
        change.map(&region.stock).put(&come, [70; 3])?;
        mark::begin();
        Ok(())
    });
    done.unwrap();
    mark::end();
}

fn act(region: &Region<Shop>, operation: &str) {
    let stock = &region.stock;
    let [one, two, .., last_of_chain, first_of_chain, new] = meeting();
    let [elsewhere, .., elsewhere_new] = other();
    match operation {
        "put new" => assert_eq!(stock.put(&new, [9; 3]).unwrap(), None),
        "put elsewhere" => assert_eq!(stock.put(&elsewhere_new, [9; 3]).unwrap(), None),
        "put again" => assert_eq!(stock.put(&one, [9; 3]).unwrap(), Some([1; 3])),
        "put for a time" => assert_eq!(stock.put_for(&one, [9; 3], LONG).unwrap(), Some([1; 3])),
        "insert" => assert!(stock.insert(&new, [9; 3]).unwrap()),
        "remove" => assert_eq!(stock.remove(&one).unwrap(), Some([1; 3])),
        "remove the first of a chain" => assert!(stock.remove(&first_of_chain).unwrap().is_some()),
        "remove the last of a chain" => assert!(stock.remove(&last_of_chain).unwrap().is_some()),
        "update" => stock.update(&one, |value| *value = value.map(|old| old.map(|word| word + 50))).unwrap(),
        "compare and swap" => {
            let (_, stamp) = stock.get_stamped(&one).unwrap().unwrap();
            let swap = stock.compare_and_swap(&one, Some(stamp), [9; 3]).unwrap();
            assert!(matches!(swap, Swap::Done(_)), "{swap:?}");
        }
        "transaction" => transaction(region).unwrap(),
        "transaction that moves" => {
            let done: Result<(), Error> = region.transaction(|change| {
                change.map(stock).remove(&one)?;
                change.map(stock).put(&elsewhere_new, [71; 3])?;
                change.map(stock).put(&one, [72; 3])?;
                change.map(stock).put(&elsewhere, [73; 3])?;
                Ok(())
            });
            done.unwrap();
        }
        "transaction rolled back" => {
            let done: Result<(), Error> = region.transaction(|change| {
                change.map(stock).put(&new, [9; 3])?;
                change.map(stock).remove(&two)?;
                change.map(stock).insert(&two, [9; 3])?;
                region.sold.set(1)
            });
            assert_eq!(done.unwrap_err().kind(), &ErrorKind::WouldDeadlock);
        }
        "recover" => nothing(region),
        operation => panic!("{operation}?"),
    }
}
