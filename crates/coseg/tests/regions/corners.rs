//! What channels do in unusual company: peers who hold, stop, leave, drop and repeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coseg::{
    Broadcast, Bytes, Cell, Channel, Error, ErrorKind, Inspection, Key, OneToOne, Queue, Receiver, Refusal,
    Region, Shared,
};
use coseg_sysv::Backend;

use crate::channels::is_full;
use crate::forks::in_a_child;
use crate::house::{World, on_each, say, told};

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Note {
    from: u32,
    number: u64,
}

#[derive(Region)]
struct Mill {
    line: Channel<u64, OneToOne<128>>,
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
        loan.write(&Note { from: 2, number: 1 }).unwrap().send().unwrap();
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
        let held = |word: &u64| word >> 32 & 3 == 3 && word & 0xfff == 1;
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

#[test]
fn what_the_dead_held_comes_before_the_end() {
    on_each(|world| {
        let mill = mill(world);
        let mut receiver = mill.notes.receiver().unwrap();
        leave_a_note_to_the_dead(world, &mill);
        mill.notes.close().unwrap();
        assert_eq!(receiver.receive().unwrap(), note(7));
        assert!(matches!(receiver.receive(), Err(Refusal::Closed)));
        mill.notes.reopen().unwrap();
        leave_a_note_to_the_dead(world, &mill);
        mill.notes.close().unwrap();
        receiver.wait(None).unwrap();
        assert_eq!(receiver.try_receive().unwrap(), note(7));
        mill.remove().unwrap();
    });
}

#[test]
fn one_who_writes_a_broadcast_for_long_keeps_nobody_beyond_his_time() {
    on_each(|world| {
        let mill = mill(world);
        let (mut slow, mut quick) = (mill.news.sender().unwrap(), mill.news.sender().unwrap());
        let loan = slow.loan().unwrap();
        in_time("a try", || assert!(matches!(quick.try_send(&1), Err(Refusal::Full))));
        in_time("a wait", || assert!(matches!(quick.send_timeout(&1, SHORT), Err(Refusal::TimedOut(_)))));
        let mut receiver = in_time("coming to receive", || mill.news.receiver().unwrap());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| quick.send(&1));
            std::thread::sleep(SHORT);
            mill.news.close().unwrap();
            let since = Instant::now();
            assert!(matches!(waiting.join().unwrap(), Err(Refusal::Closed)));
            assert!(since.elapsed() < IN_TIME);
        });
        mill.news.reopen().unwrap();
        loan.write(&2).unwrap().send().unwrap();
        quick.try_send(&3).unwrap();
        assert_eq!([receiver.try_receive().unwrap(), receiver.try_receive().unwrap()], [2, 3]);
        mill.remove().unwrap();
    });
}

#[test]
fn what_is_forgotten_and_not_dropped_holds_up_nobody() {
    on_each(|world| {
        let mill = mill(world);
        let mut receiver = mill.news.receiver().unwrap();
        let mut sender = mill.news.sender().unwrap();
        std::mem::forget(sender.loan().unwrap());
        sender.try_send(&1).unwrap();
        std::mem::forget(sender.loan().unwrap());
        drop(sender);
        mill.news.sender().unwrap().try_send(&2).unwrap();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);

        let mut sender = mill.notes.sender().unwrap();
        for number in 0..20 {
            std::mem::forget(sender.loan().unwrap());
            sender.try_send(&note(number)).unwrap();
            let mut receiver = mill.notes.receiver().unwrap();
            std::mem::forget(receiver.hold().unwrap());
            assert_eq!(receiver.try_receive().unwrap(), note(number));
            assert!(receiver.is_redelivered());
            sender.try_send(&note(number)).unwrap();
            std::mem::forget(receiver.hold().unwrap());
            drop(receiver);
            assert_eq!(mill.notes.receiver().unwrap().try_receive().unwrap(), note(number));
        }
        mill.remove().unwrap();
    });
}

#[test]
fn who_spins_for_ever_keeps_his_time_and_hears_of_deaths() {
    on_each(|world| {
        let mill = mill(world);
        let mut peer = world.actor("is there to send");
        peer.hear("ready");
        let mut receiver = mill.line.receiver().unwrap();
        receiver.spin(u32::MAX);
        in_time("a wait", || assert!(matches!(receiver.receive_timeout(SHORT), Err(Refusal::TimedOut(_)))));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| receiver.receive_timeout(LONG));
            std::thread::sleep(SHORT);
            peer.kill();
            let since = Instant::now();
            assert!(matches!(waiting.join().unwrap(), Err(Refusal::Disconnected(_))));
            assert!(since.elapsed() < Duration::from_millis(250), "{:?}", since.elapsed());
        });
        let mut receiver = mill.notes.receiver().unwrap();
        receiver.spin(u32::MAX);
        in_time("a wait for a note", || receiver.receive_timeout(SHORT).unwrap_err());
        mill.remove().unwrap();
    });
}

#[test]
fn a_batch_does_not_hide_what_comes_again() {
    on_each(|world| {
        let mill = mill(world);
        let mut sender = mill.line.sender().unwrap();
        (1..=5).for_each(|number| sender.send(&number).unwrap());
        let mut holder = world.actor("holds a number");
        holder.hear("held");
        holder.kill();
        let mut receiver = mill.line.receiver().unwrap();
        let mut got = Vec::new();
        assert_eq!((receiver.receive_many(&mut got, 9).unwrap(), receiver.is_redelivered()), (1, true));
        assert_eq!((receiver.receive_many(&mut got, 9).unwrap(), receiver.is_redelivered()), (4, false));
        assert_eq!(got, [1, 2, 3, 4, 5]);

        leave_a_note_to_the_dead(world, &mill);
        let mut receiver = mill.notes.receiver().unwrap();
        let mut sender = mill.notes.sender().unwrap();
        (1..=5).for_each(|number| sender.send(&note(number)).unwrap());
        let (mut got, mut again) = (Vec::new(), 0);
        while got.len() < 6 {
            receiver.receive_many(&mut got, 9).unwrap();
            if receiver.is_redelivered() {
                again += 1;
                assert_eq!(got.last(), Some(&note(7)), "the last of its batch");
            }
        }
        assert_eq!(again, 1);
        mill.remove().unwrap();
    });
}

#[test]
fn a_batch_that_ends_with_the_channel_is_received() {
    on_each(|world| {
        let mill = mill(world);
        let (mut sender, mut receiver) = (mill.line.sender().unwrap(), mill.line.receiver().unwrap());
        let mut got = Vec::new();
        for many in [Receiver::receive_many, Receiver::try_receive_many] {
            sender.send_all(&[1, 2, 3]).unwrap();
            mill.line.close().unwrap();
            assert_eq!(many(&mut receiver, &mut got, 9).unwrap(), 3);
            assert!(matches!(many(&mut receiver, &mut got, 9), Err(Refusal::Closed)));
            mill.line.reopen().unwrap();
        }
        assert_eq!(got, [1, 2, 3, 1, 2, 3]);
        mill.remove().unwrap();
    });
}

#[test]
fn what_may_come_again_says_so_to_whoever_comes() {
    on_each(|world| {
        let mill = mill(world);
        let mut sender = mill.line.sender().unwrap();
        (1..=3).for_each(|number| sender.send(&number).unwrap());
        let mut holder = world.actor("holds a number");
        holder.hear("held");
        holder.kill();
        // One takes the place of the dead, and leaves without having received anything.
        drop(mill.line.receiver().unwrap());
        let mut receiver = mill.line.receiver().unwrap();
        assert_eq!((receiver.receive().unwrap(), receiver.is_redelivered()), (1, true));
        drop(receiver.hold().unwrap());
        drop(receiver);
        let mut receiver = mill.line.receiver().unwrap();
        assert_eq!((receiver.receive().unwrap(), receiver.is_redelivered()), (2, true));
        drop(receiver);
        let mut receiver = mill.line.receiver().unwrap();
        assert_eq!((receiver.receive().unwrap(), receiver.is_redelivered()), (3, false));
        mill.remove().unwrap();
    });
}

#[test]
fn a_length_made_up_by_a_peer_is_no_more_than_there_can_be() {
    on_each(|world| {
        let mill = mill(world);
        let (mut sender, mut receiver) = (mill.letters.sender().unwrap(), mill.letters.receiver().unwrap());
        let memory = mill.segment().attach().unwrap();
        for length in [101_u64, 104, 105, u64::MAX] {
            sender.send(&[9; 100]).unwrap();
            let mut bytes = vec![0; memory.size_bytes()];
            memory.read(0, &mut bytes).unwrap();
            let at = bytes.windows(100).position(|window| window == [9; 100]).unwrap() - 8;
            memory.write(at, &length.to_ne_bytes()).unwrap();
            let held = receiver.hold().unwrap();
            assert_eq!((held.length(), held.get().len()), (100, 100));
            held.read(0, &mut vec![0; held.length()]);
            held.done();
            memory.write(at, &[0; 112]).unwrap();
        }
        mill.remove().unwrap();
    });
}

#[test]
fn a_death_is_told_also_after_much_was_sent() {
    on_each(|world| {
        let mill = mill(world);
        let mut sender = mill.line.sender().unwrap();
        let mut receiver = mill.line.receiver().unwrap();
        for number in 0..300_000 {
            sender.try_send(&number).unwrap();
            assert_eq!(receiver.try_receive().unwrap(), number);
        }
        drop(receiver);
        let mut peer = world.actor("is there to receive");
        peer.hear("ready");
        peer.kill();
        // Its first look may come after 64 messages, and finds only that they were received.
        let told = (0..100).find_map(|number| {
            std::thread::sleep(Duration::from_millis(1));
            sender.try_send(&number).err()
        });
        assert!(matches!(told, Some(Refusal::Disconnected(_))), "{told:?}");
        mill.remove().unwrap();
    });
}

#[test]
fn who_was_refused_many_times_hears_of_a_death_the_next_time() {
    on_each(|world| {
        let mill = mill(world);
        let mut peer = world.actor("is there to receive");
        peer.hear("ready");
        let mut sender = mill.line.sender().unwrap();
        let count = (0..).find(|number| is_full(sender.try_send(number)));
        assert_eq!(count, Some(128));
        assert!((0..200).all(|number| is_full(sender.try_send(&number))));
        peer.kill();
        std::thread::sleep(SHORT);
        assert!(matches!(sender.try_send(&128), Err(Refusal::Disconnected(_))));
        drop(sender);

        let mut receiver = mill.line.receiver().unwrap();
        let mut peer = world.actor("is there to send");
        peer.hear("ready");
        assert_eq!(receiver.try_iter().count(), 128);
        assert!((0..200).all(|_| matches!(receiver.try_receive(), Err(Refusal::Empty))));
        peer.kill();
        std::thread::sleep(SHORT);
        assert!(matches!(receiver.try_receive(), Err(Refusal::Disconnected(_))));

        for spins in [0, 1000] {
            receiver.spin(spins);
            let mut peer = world.actor("is there to send");
            peer.hear("ready");
            let in_vain = |_| matches!(receiver.receive_timeout(Duration::ZERO), Err(Refusal::TimedOut(_)));
            assert!((0..200).all(in_vain));
            peer.kill();
            std::thread::sleep(SHORT);
            let told = receiver.receive_timeout(Duration::ZERO);
            assert!(matches!(told, Err(Refusal::Disconnected(_))), "{spins}: {told:?}");
        }
        mill.remove().unwrap();
    });
}

#[test]
fn a_child_of_fork_ends_nothing_of_its_parents() {
    on_each(|world| {
        let mill = mill(world);
        let (mut sender, mut other) = (mill.notes.sender().unwrap(), mill.notes.receiver().unwrap());
        let mut receiver = mill.notes.receiver().unwrap();
        sender.send(&note(1)).unwrap();
        let mut held = Some(receiver.hold().unwrap());
        assert!(in_a_child(|| {
            drop(held.take());
            true
        }));
        assert!(matches!(other.try_receive(), Err(Refusal::Empty)));
        assert!(held.take().unwrap().done());

        let look = Inspection::join(mill.segment()).unwrap();
        for child_says_done in [false, true] {
            let mut untyped = Some(look.channel("notes").unwrap().receiver().unwrap());
            sender.send(&note(2)).unwrap();
            untyped.as_mut().unwrap().hold(Some(LONG), &|| false).unwrap();
            assert!(in_a_child(|| {
                if child_says_done {
                    untyped.as_mut().unwrap().done();
                }
                drop(untyped.take());
                true
            }));
            assert!(matches!(other.try_receive(), Err(Refusal::Empty)));
            drop(untyped);
            assert_eq!(other.try_receive().unwrap(), note(2));
        }

        let (mut news, mut reader) = (mill.news.sender().unwrap(), mill.news.receiver().unwrap());
        let mut loans = Some((sender.loan().unwrap(), news.loan().unwrap()));
        assert!(in_a_child(|| {
            let (note_loan, news_loan) = loans.take().unwrap();
            let is_forked = |refused: Option<Refusal>| matches!(refused, Some(Refusal::Failed(error)) if *error.kind() == ErrorKind::Forked);
            is_forked(note_loan.write(&note(666)).err()) && is_forked(news_loan.write(&666).err())
        }));
        let (note_loan, news_loan) = loans.take().unwrap();
        drop(loans);
        note_loan.write(&note(3)).unwrap().send().unwrap();
        news_loan.write(&3).unwrap().send().unwrap();
        assert_eq!((other.try_receive().unwrap(), reader.try_receive().unwrap()), (note(3), 3));
        // There is a message, and nothing yet that calls for a look at the peers.
        for _ in 0..3 {
            sender.send(&note(5)).unwrap();
            other.receive().unwrap();
        }
        sender.send(&note(5)).unwrap();
        assert!(in_a_child(|| {
            let forked = |refused: Result<(), Refusal>| matches!(refused, Err(Refusal::Failed(error)) if *error.kind() == ErrorKind::Forked);
            forked(sender.try_send(&note(4)))
                && forked(sender.send(&note(4)))
                && forked(news.send(&4))
                && forked(other.try_receive().map(drop))
                && forked(other.receive().map(drop))
                && forked(other.hold().map(drop))
        }));
        mill.remove().unwrap();
    });
}
