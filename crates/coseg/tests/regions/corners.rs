//! What channels do in unusual company: peers who hold, stop, leave, drop and repeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coseg::{
    Broadcast, Bytes, Cell, Channel, Error, Key, OneToOne, Queue, Refusal, Region, Shared,
};
use coseg_sysv::Backend;

use crate::house::{World, on_each, say, told};

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Note {
    from: u32,
    number: u64,
}

#[derive(Region)]
struct Mill {
    line: Channel<u64, OneToOne<16>>,
    letters: Channel<Bytes<100>, OneToOne<4>>,
    notes: Channel<Note, Queue<8>>,
    news: Channel<u64, Broadcast<8>>,
    done: Cell<u64>,
}

const KEY: Key = Key::new(0x4d49_4c4c);
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(10);
/// Longer than any call may take that was given a short time, on a busy machine.
const IN_TIME: Duration = Duration::from_millis(700);

fn mill(world: &World) -> Region<Mill> {
    world.at::<Mill>(KEY).open_or_create(MillInitial::default).unwrap()
}

/// What a process that [`World::actor`] started does here; false: no part of ours.
pub(crate) fn play(role: &str, backend: &Arc<dyn Backend>) -> bool {
    let open = || Region::<Mill>::at(KEY).backend(backend).participant(role).open().unwrap();
    match role {
        "holds a note" => {
            let mill = open();
            let mut receiver = mill.notes.receiver().unwrap();
            let _note = receiver.hold().unwrap();
            say("held");
            told();
        }
        "holds a number" => {
            let mill = open();
            let mut receiver = mill.line.receiver().unwrap();
            let _number = receiver.hold().unwrap();
            say("held");
            told();
        }
        "is there to receive" => {
            let mill = open();
            let _receiver = mill.line.receiver().unwrap();
            say("ready");
            told();
        }
        "is there to send" => {
            let mill = open();
            let _sender = mill.line.sender().unwrap();
            say("ready");
            told();
        }
        _ => return false,
    }
    true
}

fn note(number: u64) -> Note {
    Note { from: 1, number }
}

fn in_time<R>(what: &str, act: impl FnOnce() -> R) -> R {
    let since = Instant::now();
    let result = act();
    assert!(since.elapsed() < IN_TIME, "{what} took {:?}", since.elapsed());
    result
}

/// One has a note in its hands and dies.
fn leave_a_note_to_the_dead(world: &World, mill: &Region<Mill>) {
    mill.notes.sender().unwrap().send(&note(7)).unwrap();
    let mut holder = world.actor("holds a note");
    holder.hear("held");
    holder.kill();
}

#[test]
fn many_laps_pass_one_who_holds_and_one_who_writes() {
    on_each(|world| {
        let mill = mill(world);
        let (mut sender, mut writer) = (mill.notes.sender().unwrap(), mill.notes.sender().unwrap());
        let (mut slow, mut quick) = (mill.notes.receiver().unwrap(), mill.notes.receiver().unwrap());
        sender.send(&note(0)).unwrap();
        let held = slow.hold().unwrap();
        let loan = writer.loan().unwrap();
        for number in 1..2000 {
            sender.try_send(&note(number)).unwrap();
            assert_eq!(quick.try_receive().unwrap(), note(number));
        }
        loan.write(&Note { from: 2, number: 1 }).unwrap().send();
        assert_eq!(quick.try_receive().unwrap(), Note { from: 2, number: 1 });
        drop(held);
        assert_eq!(quick.try_receive().unwrap(), note(0));
        assert!(quick.is_redelivered());
        (0..8).for_each(|number| sender.try_send(&note(number)).unwrap());
        assert!(matches!(sender.try_send(&note(8)), Err(Refusal::Full)), "no slot was lost");
        let all: Vec<u64> = quick.try_iter().map(|note| note.number).collect();
        assert_eq!(all, (0..8).collect::<Vec<_>>());
        mill.remove().unwrap();
    });
}

#[test]
fn loans_that_are_dropped_hide_no_message() {
    on_each(|world| {
        let mill = mill(world);
        let (mut sender, mut receiver) = (mill.notes.sender().unwrap(), mill.notes.receiver().unwrap());
        for round in 0..3 {
            (0..100_000).for_each(|_| drop(sender.try_loan().unwrap()));
            sender.try_send(&note(round)).unwrap();
            assert_eq!(receiver.try_receive().unwrap(), note(round), "after a hundred thousand");
        }
        mill.remove().unwrap();
    });
}

/// As one leaves it who is killed when his message is ready and nobody was told.
#[test]
fn a_message_that_nobody_was_told_of_is_found() {
    on_each(|world| {
        let mill = mill(world);
        let mut sender = mill.notes.sender().unwrap();
        let (mut one, mut other) = (mill.notes.receiver().unwrap(), mill.notes.receiver().unwrap());
        assert!(matches!(other.try_receive(), Err(Refusal::Empty)));
        sender.send(&note(7)).unwrap();
        std::mem::forget(one.hold().unwrap());
        sender.send(&note(8)).unwrap();
        assert_eq!(other.try_receive().unwrap(), note(8));
        let memory = mill.segment().attach().unwrap();
        let part = mill.schema().parts.iter().find(|part| part.name == "notes").unwrap().offset;
        let mut bytes = vec![0; memory.size_bytes() - part];
        memory.read(part, &mut bytes).unwrap();
        let first_end = 256;
        let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
        let held = |word: &u64| word >> 32 & 3 == 3 && *word as u32 & 0xfff == 1;
        let (index, word) = words.enumerate().skip(first_end / 8).find(|(_, word)| held(word)).unwrap();
        let ready = word & !0xffff_ffff & !(3 << 32) | 2 << 32 | 1 << 34;
        memory.write(part + index * 8, &ready.to_ne_bytes()).unwrap();
        assert_eq!(other.receive_timeout(LONG).unwrap(), note(7));
        assert!(other.is_redelivered());
        mill.remove().unwrap();
    });
}

#[test]
fn what_the_dead_held_comes_to_those_who_receive_in_transactions() {
    on_each(|world| {
        let mill = mill(world);
        let mut receiver = mill.notes.receiver().unwrap();
        leave_a_note_to_the_dead(world, &mill);
        let since = Instant::now();
        let got = loop {
            assert!(since.elapsed() < LONG, "it does not come");
            if let Err(refused) = receiver.wait(Some(LONG)) {
                assert!(matches!(refused, Refusal::Disconnected(_)), "{refused}");
            }
            let got: Result<_, Error> = mill.transaction(|change| change.receive(&mut receiver));
            if let Some(got) = got.unwrap() {
                break got;
            }
        };
        assert_eq!(got, note(7));
        assert!(receiver.is_redelivered());
        // The same without a wait.
        leave_a_note_to_the_dead(world, &mill);
        let since = Instant::now();
        loop {
            let got: Result<_, Error> = mill.transaction(|change| change.receive(&mut receiver));
            match got.unwrap() {
                Some(got) => break assert_eq!(got, note(7)),
                None => assert!(since.elapsed() < LONG, "it does not come"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        mill.remove().unwrap();
    });
}

#[test]
fn who_looks_after_the_dead_keeps_his_time() {
    on_each(|world| {
        let mill = mill(world);
        let mut receiver = mill.notes.receiver().unwrap();
        leave_a_note_to_the_dead(world, &mill);
        // The region's lock is needed, and somebody has it for long.
        mill.transaction(|_| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..3 {
                        in_time("a wait for a note", || _ = receiver.receive_timeout(SHORT).unwrap_err());
                        in_time("a look for a note", || _ = receiver.try_receive().unwrap_err());
                    }
                });
            });
            std::thread::sleep(SHORT);
            // Also who has it himself is not refused.
            let refused = receiver.try_receive().unwrap_err();
            assert!(matches!(refused, Refusal::Empty | Refusal::Disconnected(_)), "{refused}");
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(receiver.receive_timeout(LONG).unwrap(), note(7));
        mill.remove().unwrap();
    });
}
