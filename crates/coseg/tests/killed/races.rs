//! Deaths that matter only while somebody else is at a certain place, found by stopping him there.
#![allow(unsafe_code, reason = "stops processes")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coseg::{Error, Region};

use crate::trials::is_long;
use crate::world::{Account, BankInitial, KEY, NEW, OPENING, On, Place, Setting, World};

const MADE: [u64; 3] = [41, 42, 43];

pub(crate) fn play(setting: &Setting, what: &str) {
    let hear = || _ = std::io::stdin().read_line(&mut String::new()).unwrap();
    let say = |word: &str| {
        println!("@{word}");
        std::io::stdout().flush().unwrap();
    };
    match what {
        "make slowly" => {
            let make = || {
                say("making");
                hear();
                BankInitial { rates: MADE, ..Default::default() }
            };
            let region = setting.bank("maker").open_or_create(make).unwrap();
            region.trades.add(7).unwrap();
        }
        "open" => {
            let region = setting.bank("opener").open_or_create(BankInitial::default).unwrap();
            say(&format!("{:?} {}", region.rates.read(), region.trades.get()));
        }
        "wait for the door" => drop(setting.bank("waiter").open().unwrap().door.lock().unwrap()),
        "read and stop" => {
            let region = setting.bank("reader").open().unwrap();
            let _guard = region.files.read().unwrap();
            say("reading");
            hear();
        }
        what => panic!("{what}?"),
    }
}

struct Actor {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Actor {
    fn start(mut command: Command) -> Actor {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Actor { child, lines }
    }

    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended in silence");
            if let Some((_, said)) = line.split_once('@') {
                return said.trim().to_owned();
            }
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: signals a child that has not been waited for.
        unsafe { libc::kill(i32::try_from(self.child.id()).unwrap(), signal) };
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One who found a region half made is stopped; its maker finishes and ends; he goes on.
#[test]
fn a_finished_region_is_not_made_anew() {
    let rounds = if is_long() { 200 } else { 12 };
    for round in 0..rounds {
        let place = Place::new(On::User).unwrap();
        let mut maker = Actor::start(place.setting.play("race make slowly"));
        assert_eq!(maker.hear(), "making");
        let mut openers: Vec<Actor> = (0..8).map(|_| Actor::start(place.setting.play("race open"))).collect();
        // They look at it every millisecond.
        std::thread::sleep(Duration::from_micros(40_000 + 137 * round));
        openers.iter().for_each(|opener| opener.signal(libc::SIGSTOP));
        maker.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        // One who was stopped with the segments' registry in his hands keeps the maker waiting: not what is sought.
        let since = Instant::now();
        while maker.child.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_millis(300) {
            std::thread::sleep(Duration::from_millis(1));
        }
        openers.iter().for_each(|opener| opener.signal(libc::SIGCONT));
        for opener in &mut openers {
            let seen = opener.hear();
            assert!(seen.starts_with("[41, 42, 43] "), "round {round}: {seen}");
        }
        maker.child.wait().unwrap();
        let last = place.setting.bank("last").open().unwrap();
        assert_eq!((last.rates.read(), last.trades.get()), (MADE, 7), "round {round}");
    }
}

/// Who opens a region that somebody living is making waits for him.
#[test]
fn a_living_maker_is_not_robbed() {
    let place = Place::new(On::User).unwrap();
    let mut maker = Actor::start(place.setting.play("race make slowly"));
    assert_eq!(maker.hear(), "making");
    let mut opener = Actor::start(place.setting.play("race open"));
    std::thread::sleep(Duration::from_millis(100));
    maker.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert!(opener.hear().starts_with("[41, 42, 43] "));
    assert!(maker.child.wait().unwrap().success());
}

/// One who had waited for long and was to be the next has died; the lock is given back to nobody.
#[test]
fn the_turn_of_the_dead_keeps_nobody_out() {
    let world = World::new(On::User, 4).unwrap();
    let region = world.kept.as_ref().unwrap();
    let guard = region.door.lock().unwrap();
    let waiter = Actor::start(world.place.setting.play("race wait for the door"));
    let since = Instant::now();
    while world.half(world.lock_at("door") + 8) == 0 {
        assert!(since.elapsed() < Duration::from_secs(5), "nobody claims the turn");
        std::thread::sleep(Duration::from_millis(1));
    }
    waiter.kill();
    drop(guard);
    assert!(region.door.try_lock().unwrap().is_some(), "nobody living has the lock, or waits for it");
}

/// One died between committing a transaction and applying it; the next changes one of its values at once.
#[test]
fn the_next_change_comes_after_what_the_dead_committed() {
    let mut world = World::new(On::User, 4).unwrap();
    world.die_committed();
    let region = world.place.setting.bank("next").open().unwrap();
    let [from, to] = [0, 1].map(|row| region.accounts.row(row).unwrap());
    from.update(|account| account.moves += 1).unwrap();
    assert_eq!(from.read(), Account { balance: OPENING.balance - 30, moves: OPENING.moves + 1 });
    assert_eq!((to.read().balance, region.rates.read()), (OPENING.balance + 30, NEW));
}

/// A dead reader's slot is joined by another while a writer looks at it.
#[test]
fn a_writer_leaves_the_reads_of_a_new_holder_alone() {
    // No slot is free but the dead reader's.
    let world = World::new(On::User, 2).unwrap();
    let region = world.kept.as_ref().unwrap();
    let mut reader = Actor::start(world.place.setting.play("race read and stop"));
    assert_eq!(reader.hear(), "reading");
    let at = world.lock_at("files") + 64 + 64;
    assert_eq!(world.half(at), 1, "the reader is in the second slot");
    reader.kill();
    drop(region.files.write_timeout(Duration::from_secs(2)).unwrap());
    // What stands there now is for the next holder of the slot to clear, who may be counting already.
    let next: Region<_> = world.place.setting.bank("next").open().unwrap();
    let guard = next.files.read().unwrap();
    let error: Error = region.files.write_timeout(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout());
    drop(guard);
    drop(region.files.write_timeout(Duration::from_secs(2)).unwrap());
    assert_eq!(next.segment().key(), KEY);
}
