//! Who comes after a death.

use std::time::{Duration, Instant};

use coseg::{Acquired, Error, Recovery, Region};
use coseg_crash::mark;

use crate::clock;
use crate::world::{Account, Bank, OLD, Setting};

/// Longer than any lock of the dead is kept.
const PROMPT: Duration = Duration::from_secs(2);

/// Takes a lock and changes nothing: all there is to recover, and no more.
pub(crate) fn recover(setting: &Setting, lock: &str) {
    let region = setting.bank("recoverer").open().unwrap();
    clock::set();
    mark::begin();
    match lock {
        "region" => {
            let none: Result<(), Error> = region.transaction(|_| Ok(()));
            none.unwrap();
        }
        "door" => drop(region.door.lock().unwrap()),
        "files" => drop(region.files.write().unwrap()),
        lock => panic!("{lock}?"),
    }
    mark::end();
}

/// Blocked while the victim holds what it wants.
pub(crate) fn wait(setting: &Setting) {
    let region = setting.bank("waiter").open().unwrap();
    drop(region.door.lock().unwrap());
    drop(region.files.read().unwrap());
    drop(region.files.write().unwrap());
    region.trades.add(0).unwrap();
    let none: Result<(), Error> = region.transaction(|_| Ok(()));
    none.unwrap();
}

pub(crate) fn promptly<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = act();
    assert!(since.elapsed() < PROMPT, "{what} took {:?}", since.elapsed());
    done
}

fn whole(region: &Region<Bank>) -> ([u64; 3], Account, Account) {
    let [one, other] = [0, 1].map(|row| region.accounts.row(row).unwrap());
    let seen: Result<_, Error> =
        region.snapshot(|at| Ok((at.get(&region.rates)?, at.get(&one)?, at.get(&other)?)));
    seen.unwrap()
}

/// Tells what it finds and whom it inherits from, and then works on.
pub(crate) fn survive(setting: &Setting) {
    let observed = setting.bank("").observe().unwrap();
    let before = promptly("a snapshot", || whole(&observed));
    let region = promptly("opening", || setting.bank("survivor").open().unwrap());
    let cell = promptly("a read", || region.rates.read());

    let none: Result<(), Error> = promptly("a transaction", || region.transaction(|_| Ok(())));
    none.unwrap();
    let mut inherited = region.take_recoveries();
    let mut note = |acquired: &Acquired| {
        if let Acquired::Recovered(recovery) = acquired {
            inherited.push(Recovery::clone(recovery));
        }
    };
    note(promptly("a lock", || region.door.lock().unwrap()).acquired());
    note(promptly("a lock to write", || region.files.write().unwrap()).acquired());
    assert_eq!(whole(&region), before, "recovery shows what was to be seen before it");
    // By itself a value may still be what it was before a transaction that is committed and not yet applied.
    assert!(cell == before.0 || cell == OLD, "{cell:?}");

    print!("<{before:?} {} {}>", region.trades.get(), region.bell.count());
    for Recovery { lock, participant, .. } in &inherited {
        print!("[{lock} {}]", participant.as_ref().map_or(0, |who| who.pid));
    }
    promptly("going on", || go_on(&region, before));
}

/// Everything works: values change, locks go round, sleepers are woken.
fn go_on(region: &Region<Bank>, before: ([u64; 3], Account, Account)) {
    let [one, other] = [0, 1].map(|row| region.accounts.row(row).unwrap());
    for round in 1..=4_u32 {
        region.rates.update(|rates| rates[0] += 100).unwrap();
        let moved: Result<(), Error> = region.transaction(|change| {
            change.update(&one, |account| account.balance -= 1)?;
            change.update(&other, |account| account.balance += 1)?;
            change.update(&region.rates, |rates| rates[1] += 100)
        });
        moved.unwrap();
        let now = whole(region);
        let step = u64::from(round);
        assert_eq!(now.0, [before.0[0] + step * 100, before.0[1] + step * 100, before.0[2]]);
        let expected = (before.1.balance - i64::from(round), before.2.balance + i64::from(round));
        assert_eq!((now.1.balance, now.2.balance), expected);
        assert_eq!(region.rates.read(), now.0);
        assert_eq!((one.read(), other.read()), (now.1, now.2));
    }
    for _ in 0..2 {
        assert_eq!(region.door.lock().unwrap().acquired(), &Acquired::Clean);
        assert!(region.door.try_lock().unwrap().is_some(), "nobody living has it");
        assert_eq!(region.files.read().unwrap().acquired(), &Acquired::Clean);
        assert_eq!(region.files.write().unwrap().acquired(), &Acquired::Clean);
    }
    assert_eq!(region.take_recoveries().iter().filter(|recovery| recovery.lock == "region").count(), 0);
    let (seen, trades) = (region.bell.count(), region.trades.add(1).unwrap());
    region.bell.notify().unwrap();
    assert_eq!(region.bell.wait(seen, Some(PROMPT)).unwrap(), seen + 1);
    assert_eq!(region.trades.get(), trades + 1);
    region.rates.wait_while(|rates| rates[0] < 100, Some(PROMPT)).unwrap();
}
