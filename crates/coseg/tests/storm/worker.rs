//! One worker: random operations, each checked, until it is killed.

use std::time::{Duration, Instant};

use coseg::{Error, Region};
use coseg_crash::SplitMix;

use crate::hall::{ACCOUNTS, Hall, check, hall};
use crate::stage::backend_told;

pub(crate) fn work(role: &str) {
    let words: Vec<u64> = role.split(' ').map(|word| word.parse().unwrap()).collect();
    let (number, seed) = (usize::try_from(words[0]).unwrap(), words[1]);
    let backend = backend_told();
    let open = || hall(&backend).participant(&format!("worker {number}")).open().unwrap();
    let mut region = open();
    let mut random = SplitMix::new(seed);
    loop {
        if random.below(2000) == 0 {
            drop(region);
            region = open();
        }
        let since = Instant::now();
        operate(&region, number, &mut random);
        let took = u64::try_from(since.elapsed().as_micros()).unwrap();
        region.operations.add(1).unwrap();
        region.beats.update(number, |beat| *beat += 1).unwrap();
        if took > region.slowest_us.read() {
            region.slowest_us.update(|slowest| *slowest = took.max(*slowest)).unwrap();
        }
        let recoveries = region.take_recoveries().len();
        if recoveries > 0 {
            region.recoveries.add(recoveries.try_into().unwrap()).unwrap();
        }
    }
}

fn operate(region: &Region<Hall>, number: usize, random: &mut SplitMix) {
    match random.below(16) {
        0..6 => transfer(region, number, random),
        6..8 => region.pair.update(|pair| *pair = [pair[0] + 1, 3 * (pair[0] + 1)]).unwrap(),
        8 => give_up(region, random),
        9 => check(region).unwrap(),
        10 => {
            let guard = region.door.lock().unwrap();
            changed_by_one(&region.behind_door);
            drop(guard);
        }
        11 => {
            let guard = region.files.write().unwrap();
            changed_by_one(&region.in_files);
            drop(guard);
        }
        12..14 => {
            let guard = region.files.read().unwrap();
            let before = region.in_files.read();
            std::thread::yield_now();
            assert_eq!(region.in_files.read(), before, "written while it was read");
            drop(guard);
        }
        14 => region.bell.notify().unwrap(),
        _ => {
            let seen = region.bell.count();
            if let Err(error) = region.bell.wait(seen, Some(Duration::from_millis(2))) {
                assert!(error.is_timeout(), "{error}");
            }
        }
    }
}

/// Nobody else changes it meanwhile.
fn changed_by_one(cell: &coseg::Cell<u64>) {
    let before = cell.read();
    cell.update(|value| *value += 1).unwrap();
    std::thread::yield_now();
    assert_eq!(cell.read(), before + 1, "two at once");
}

fn transfer(region: &Region<Hall>, number: usize, random: &mut SplitMix) {
    let [from, to] = two_accounts(random);
    let amount = i64::try_from(random.below(100)).unwrap();
    let (from, to) = (region.accounts.row(from).unwrap(), region.accounts.row(to).unwrap());
    let own = region.ledgers.row(number).unwrap();
    let done: Result<(), Error> = region.transaction(|change| {
        for (account, amount) in [(&from, -amount), (&to, amount)] {
            change.update(account, |account| {
                account.balance += amount;
                account.moves += 1;
            })?;
        }
        change.update(&own, |book| (book.moves, book.amount) = (book.moves + 1, book.amount + amount))?;
        change.update(&region.totals, |book| {
            (book.moves, book.amount) = (book.moves + 1, book.amount + amount);
        })
    });
    done.unwrap();
}

/// Half a transfer, taken back.
fn give_up(region: &Region<Hall>, random: &mut SplitMix) {
    let [from, _] = two_accounts(random);
    let from = region.accounts.row(from).unwrap();
    let done: Result<(), Error> = region.transaction(|change| {
        change.update(&from, |account| account.balance -= 1)?;
        change.update(&region.totals, |book| book.moves += 1)?;
        region.accounts.row(ACCOUNTS).map(drop)
    });
    done.unwrap_err();
}

fn two_accounts(random: &mut SplitMix) -> [usize; 2] {
    let first = random.below(ACCOUNTS as u64);
    let second = (first + 1 + random.below(ACCOUNTS as u64 - 1)) % ACCOUNTS as u64;
    [first, second].map(|index| usize::try_from(index).unwrap())
}
