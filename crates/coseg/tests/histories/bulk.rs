//! Very many messages, each checked, through one channel whose ends are killed now and then.
//!
//! Messages are numbered. Whoever takes over from a sender that was killed leaves out what that one may have sent and
//! not counted; a receiver that was killed may have been given what it had not counted. All others are received once,
//! and in their order.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use coseg::{Channel, OneToOne, Queue, Receiver, Refusal, Region, RegionOptions, Sender};
use coseg_crash::{Scratch, SplitMix};
use coseg_sysv::{Backend, Key};

use crate::hall::{Content, Note};
use crate::nemesis::RECORDS;
use crate::stage::{On, Stage, backend_told};
use crate::words::Words;

const KEY: Key = Key::new(0x4159);
/// Messages sent, and received, together.
const BATCH: u64 = 64;
/// Whoever gets nowhere for so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two kills.
const PAUSE_MAX_MS: u64 = 100;
/// Of a queue, senders and as many receivers.
const PAIRS: usize = 2;

#[derive(Region)]
struct Pipes {
    line: Channel<Note, OneToOne<1024>>,
    queue: Channel<Note, Queue<256>>,
}

fn pipes(backend: &std::sync::Arc<dyn Backend>) -> RegionOptions<Pipes> {
    Region::<Pipes>::at(KEY).backend(backend).participants(2 * PAIRS + 4)
}

/// Where each process says how far it is: the first number that it has not sent or received.
fn progress_at(place: usize) -> usize {
    64 * place
}

/// How many messages a receiver got in all its lives, killed ones but for their last batch.
fn count_at(place: usize) -> usize {
    progress_at(place) + 8
}

/// How many messages the receivers of a place may have been given, since it got on, and were killed before they counted
/// them.
fn given_at(place: usize) -> usize {
    progress_at(place) + 16
}

/// How many messages each sender has.
const SHARE_AT: usize = 64 * 2 * PAIRS;
/// How many senders were killed, and behind it the numbers at which they may have sent more.
const GAPS_AT: usize = SHARE_AT + 8;
const GAPS_MAX: usize = 100_000;
/// A byte for each message of a queue: it was received.
const MARKS_AT: usize = GAPS_AT + 8 * (1 + GAPS_MAX);

/// The process that is started again whenever it is killed.
struct Player {
    child: Child,
    place: usize,
    /// Of a sender, the number after its last.
    until: u64,
    /// How far it was when it was killed last.
    progress: u64,
}

struct Bulk<'a> {
    name: &'a str,
    stage: Stage,
    records: Scratch,
    words: Words,
    players: Vec<Player>,
    random: SplitMix,
    kills: [u64; 2],
    gaps: usize,
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Senders have the even places.
fn sends(place: usize) -> bool {
    place.is_multiple_of(2)
}

impl<'a> Bulk<'a> {
    fn new(name: &'a str, marks: usize, seed: u64) -> Bulk<'a> {
        let stage = Stage::new(On::User).unwrap();
        let records = Scratch::within("/dev/shm".as_ref()).unwrap();
        let words = Words::create(records.path(), MARKS_AT + marks);
        let random = SplitMix::new(seed);
        Bulk { name, stage, records, words, players: Vec::new(), random, kills: [0; 2], gaps: 0 }
    }

    /// Starts all, each sender with an equal share.
    fn begin(&mut self, count: u64, pairs: usize) {
        let share = count / pairs as u64;
        self.words.set(SHARE_AT, share);
        for place in 0..2 * pairs {
            let from = share * (place / 2) as u64;
            if sends(place) {
                self.words.set(progress_at(place), from);
            }
            let child = self.start(place, from + share);
            self.players.push(Player { child, place, until: from + share, progress: 0 });
        }
    }

    fn start(&self, place: usize, until: u64) -> Child {
        let mut command = self.stage.play(&format!("bulk {} {place} {until}", self.name));
        command.env(RECORDS, self.records.path()).spawn().unwrap()
    }

    /// Kills one now and then until all senders are done, and closes the channel.
    fn run(&mut self, batch: u64, close: impl FnOnce()) {
        let begun = Instant::now();
        let mut told = Instant::now();
        let mut seen = (0, Instant::now());
        loop {
            sleep(Duration::from_millis(self.random.below(PAUSE_MAX_MS)));
            let sent = self.sum(sends, progress_at);
            if sent != seen.0 {
                seen = (sent, Instant::now());
            }
            assert!(seen.1.elapsed() < PATIENCE, "{}: nothing is sent any more", self.name);
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                self.tell(begun);
            }
            let chosen = usize::try_from(self.random.below(self.players.len() as u64)).unwrap();
            let Player { child, place, until, .. } = &mut self.players[chosen];
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{} {place}: {status}", self.name);
                if self.are_done(sends) {
                    break;
                }
                continue;
            }
            child.kill().unwrap();
            let ended = child.wait().unwrap();
            let (place, until) = (*place, *until);
            if ended.signal().is_none() {
                assert!(ended.success(), "{} {place}: {ended}", self.name);
                continue;
            }
            self.kills[place % 2] += 1;
            if sends(place) {
                self.leave_out(place, batch)
            } else {
                self.allow(chosen)
            }
            self.players[chosen].child = self.start(place, until);
        }
        close();
        let since = Instant::now();
        while !self.are_done(|_| true) {
            assert!(since.elapsed() < PATIENCE, "{}: a receiver does not end", self.name);
            sleep(Duration::from_millis(1));
        }
        self.tell(begun);
    }

    /// What a sender may have sent and not counted is sent by nobody else.
    fn leave_out(&mut self, place: usize, batch: u64) {
        let next = self.words.get(progress_at(place));
        self.words.set(GAPS_AT + 8 * (1 + self.gaps), next);
        self.gaps += 1;
        self.words.set(GAPS_AT, self.gaps as u64);
        self.words.set(progress_at(place), (next + batch).min(self.players[place].until));
    }

    /// What a receiver was given and had not counted is received by nobody else, or comes again.
    fn allow(&mut self, index: usize) {
        let Player { place, progress, .. } = &mut self.players[index];
        let now = self.words.get(progress_at(*place));
        let before = if now == *progress { self.words.get(given_at(*place)) } else { 0 };
        *progress = now;
        self.words.set(given_at(*place), before + BATCH);
    }

    fn are_done(&mut self, which: impl Fn(usize) -> bool) -> bool {
        self.players.iter_mut().filter(|player| which(player.place)).all(|player| {
            let ended = player.child.try_wait().unwrap();
            assert!(ended.is_none_or(|status| status.success()), "{} {}: {ended:?}", self.name, player.place);
            ended.is_some()
        })
    }

    fn sum(&self, which: impl Fn(usize) -> bool, at: impl Fn(usize) -> usize) -> u64 {
        (0..self.players.len()).filter(|&place| which(place)).map(|place| self.words.get(at(place))).sum()
    }

    fn tell(&self, begun: Instant) {
        eprintln!(
            "{}: {} messages received, {} senders and {} receivers killed, {:.0?}",
            self.name,
            self.sum(|place| !sends(place), count_at),
            self.kills[0],
            self.kills[1],
            begun.elapsed(),
        );
    }
}

/// Whether a sender was killed who may have sent this, and has no successor who does.
fn is_left_out(words: &Words, number: u64, batch: u64) -> bool {
    let count = usize::try_from(words.get(GAPS_AT)).unwrap();
    let gaps = (0..count).rev().map(|index| words.get(GAPS_AT + 8 * (1 + index)));
    gaps.into_iter().any(|from| (from..from + batch).contains(&number))
}

pub(crate) fn one_to_one(count: u64, seed: u64) {
    let mut bulk = Bulk::new("line", 0, seed);
    let region = pipes(&bulk.stage.backend).create(Default::default).unwrap();
    bulk.begin(count, 1);
    bulk.run(BATCH, || region.line.close().unwrap());
    let end = bulk.words.get(progress_at(1));
    assert!(
        (end..count).all(|number| is_left_out(&bulk.words, number, BATCH)),
        "{end} of {count} were received"
    );
    region.remove().unwrap();
    bulk.words.remove();
}

pub(crate) fn queue(count: u64, seed: u64) {
    let marks = usize::try_from(count).unwrap();
    let mut bulk = Bulk::new("queue", marks, seed);
    let region = pipes(&bulk.stage.backend).create(Default::default).unwrap();
    bulk.begin(count, PAIRS);
    bulk.run(1, || region.queue.close().unwrap());
    let mut bytes = vec![0; marks];
    bulk.words.read(MARKS_AT, &mut bytes);
    let missing = bytes.iter().zip(0_u64..).filter(|(mark, _)| **mark == 0).map(|(_, number)| number);
    let lost: Vec<u64> = missing.filter(|&number| !is_left_out(&bulk.words, number, 1)).collect();
    assert!(lost.len() as u64 <= bulk.kills[1], "lost: {lost:?}, by {} killed receivers", bulk.kills[1]);
    region.remove().unwrap();
    bulk.words.remove();
}

/// Sends or receives, until the last message or until the channel is closed.
pub(crate) fn play(role: &str, records: &Path) {
    let [name, place, until] = role.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (place, until): (usize, u64) = (place.parse().unwrap(), until.parse().unwrap());
    let words = Words::open(records);
    let region = pipes(&backend_told()).open().unwrap();
    match (name, sends(place)) {
        ("line", true) => send_batches(&words, &mut region.line.sender().unwrap(), place, until),
        ("line", false) => receive_in_order(&words, &mut region.line.receiver().unwrap(), place),
        (_, true) => send_each(&words, &mut region.queue.sender().unwrap(), place, until),
        (_, false) => receive_any(&words, &mut region.queue.receiver().unwrap(), place),
    }
}

/// Says that the other side died, and goes on.
fn again(refusal: Refusal) {
    assert!(matches!(refusal, Refusal::Disconnected(_)), "{refusal}");
}

fn send_batches(words: &Words, sender: &mut Sender<Note, OneToOne<1024>>, place: usize, until: u64) {
    let mut next = words.get(progress_at(place));
    let mut batch = Vec::new();
    while next < until {
        let end = until.min(next + BATCH);
        batch.clear();
        batch.extend((next..end).map(Note::of));
        let mut rest = &batch[..];
        while !rest.is_empty() {
            match sender.try_send_many(rest) {
                Ok(count) => rest = &rest[count..],
                Err(Refusal::Full) => match sender.send_timeout(&rest[0], PATIENCE) {
                    Ok(()) => rest = &rest[1..],
                    Err(refusal) => again(refusal),
                },
                Err(refusal) => again(refusal),
            }
        }
        next = end;
        words.set(progress_at(place), next);
    }
}

fn send_each(words: &Words, sender: &mut Sender<Note, Queue<256>>, place: usize, until: u64) {
    let mut next = words.get(progress_at(place));
    while next < until {
        match sender.send_timeout(&Note::of(next), PATIENCE) {
            Ok(()) => {
                next += 1;
                words.set(progress_at(place), next);
            }
            Err(refusal) => again(refusal),
        }
    }
}

fn receive_in_order(words: &Words, receiver: &mut Receiver<Note, OneToOne<1024>>, place: usize) {
    let mut expected = words.get(progress_at(place));
    let mut received = words.get(count_at(place));
    let mut given = words.get(given_at(place));
    let mut batch = Vec::new();
    loop {
        batch.clear();
        match receiver.receive_many(&mut batch, usize::try_from(BATCH).unwrap()) {
            Ok(_) => {}
            Err(Refusal::Closed) => return,
            Err(refusal) => again(refusal),
        }
        for note in &batch {
            let number = note.checked().expect("a message is whole");
            if number != expected {
                assert!(number > expected, "{number} came after {expected}");
                let lost = (expected..number).filter(|&lost| !is_left_out(words, lost, BATCH)).count() as u64;
                assert!(lost <= given, "{expected} and on were lost: {number} came");
            }
            given = 0;
            expected = number + 1;
        }
        received += batch.len() as u64;
        words.set(count_at(place), received);
        words.set(progress_at(place), expected);
    }
}

fn receive_any(words: &Words, receiver: &mut Receiver<Note, Queue<256>>, place: usize) {
    let mut received = words.get(count_at(place));
    let mut last = [None; PAIRS];
    let share = words.get(SHARE_AT);
    loop {
        let note = match receiver.receive_timeout(PATIENCE) {
            Ok(note) => note,
            Err(Refusal::Closed) => return,
            Err(refusal) => {
                again(refusal);
                continue;
            }
        };
        let number = note.checked().expect("a message is whole");
        let mark_at = MARKS_AT + usize::try_from(number).unwrap();
        let mut mark = [0];
        words.read(mark_at, &mut mark);
        assert_eq!(mark, [0], "{number} came twice");
        words.write(mark_at, &[1]);
        if !receiver.is_redelivered() {
            let last = &mut last[usize::try_from(number / share).unwrap()];
            assert!(last.is_none_or(|last| last < number), "{number} came after {last:?}");
            *last = Some(number);
        }
        received += 1;
        words.set(count_at(place), received);
    }
}
