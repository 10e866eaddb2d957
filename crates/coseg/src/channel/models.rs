//! The channels under a model checker; see [`crate::models`].

use std::sync::Arc;
use std::time::Duration;

use super::broadcast::{Broadcast, Found};
use super::geometry::{Geometry, LOCK, RECEIVERS_BELL, SENDERS_BELL, Side};
use super::kind::{At, Means};
use super::lane::owners;
use super::one::{Receiving, Sending};
use super::queue::{self, Queue, Slot, Track};
use crate::bell::Bell;
use crate::lock::LockWords;
use crate::memory::{Memory, WORD, Words};
use crate::models::model;
use crate::participants::Owner;
use crate::schema::{Part, PartKind};
use crate::sync::Ordering;
use crate::sync::checker::thread;

const ONE: Owner = Owner(1);
const TWO: Owner = Owner(2);
const THREE: Owner = Owner(3);

/// A channel of messages of two words, which are always equal, and ends for so many.
#[derive(Clone, Debug)]
pub(super) struct House {
    pub(super) memory: Arc<Memory>,
    pub(super) geometry: Geometry,
}

impl House {
    pub(super) fn new(kind: PartKind, capacity: usize, room_bytes: usize) -> House {
        let part = Part {
            name: String::new(),
            doc: String::new(),
            kind,
            of: None,
            row_count: capacity,
            slot_count: 1,
            room_bytes,
            offset: 0,
        };
        let geometry = Geometry::of(&part, 1).unwrap();
        House { memory: Arc::new(Memory::heap(geometry.size_bytes())), geometry }
    }

    /// The message at an offset.
    pub(super) fn at(&self, offset: usize) -> &Words {
        self.memory.part(offset, 2 * WORD)
    }

    fn bell(&self, side: Side) -> Bell<'_> {
        let at = if side == Side::Send { SENDERS_BELL } else { RECEIVERS_BELL };
        Bell(self.memory.half(self.geometry.at + at))
    }

    /// Tries until something comes of it, asleep in between; the other side is rung then.
    pub(super) fn patiently<R>(&self, side: Side, mut attempt: impl FnMut() -> Option<R>) -> R {
        loop {
            let ticket = self.bell(side).prepare_again();
            if let Some(result) = attempt() {
                if !self.bell(other(side)).ring_for_frequent() {
                    self.bell(other(side)).calm();
                }
                return result;
            }
            self.bell(side).sleep(ticket, Duration::MAX);
        }
    }

    pub(super) fn sending(&self) -> Sending<Memory> {
        Sending::resume(&self.memory, |memory| memory, &self.geometry)
    }

    pub(super) fn receiving(&self) -> Receiving<Memory> {
        Receiving::resume(&self.memory, |memory| memory, &self.geometry)
    }

    pub(super) fn queue(&self) -> Queue<'_> {
        Queue { memory: &self.memory, geometry: &self.geometry }
    }

    pub(super) fn broadcast(&self) -> Broadcast<'_> {
        Broadcast { memory: &self.memory, geometry: &self.geometry }
    }

    /// Sends to a queue; false: there is no room.
    pub(super) fn enqueue(&self, me: Owner, message: u64, track: &mut Track) -> bool {
        let Some(slot) = self.queue().reserve(me, track) else { return false };
        put(self.at(slot.payload_at()), message);
        slot.publish(&self.memory, &self.geometry);
        true
    }

    /// The same, of one who has only come.
    pub(super) fn enqueue_first(&self, me: Owner, message: u64) -> bool {
        self.enqueue(me, message, &mut self.queue().sending())
    }

    /// A receiver who is still to look behind, or has.
    pub(super) fn dequeuing(&self, looks_behind: bool) -> queue::Receiving {
        let mut way = self.queue().receiving();
        if !looks_behind {
            way.seen = 0;
        }
        way
    }

    /// Copies the next message of a queue, and receives it if nobody else has taken it; noted before anything else is done.
    pub(super) fn dequeue_copy(&self, way: &mut queue::Receiving, note: impl FnOnce(u64)) -> bool {
        let Some(found) = self.queue().find_next(way) else { return false };
        let message = get(self.at(found.payload_at()));
        let is_own = self.queue().end_found(found);
        if is_own {
            assert_eq!(message[0], message[1], "of two messages");
            note(message[0]);
            self.queue().pass(way);
        }
        is_own
    }

    /// Receives from a queue: what is copied is held only where a copy comes to nothing.
    pub(super) fn dequeue(&self, me: Owner, means: Means, way: &mut queue::Receiving) -> Option<u64> {
        let mut copied = None;
        if means == Means::Copy && self.dequeue_copy(way, |message| copied = Some(message)) {
            return copied;
        }
        let slot = self.queue().claim(me, way)?;
        let message = whole(self.at(slot.payload_at()));
        slot.free(&self.memory);
        Some(message)
    }
}

pub(super) fn put(place: &Words, message: u64) {
    for word in [0, WORD] {
        place.word(word).store(message, Ordering::Relaxed);
    }
}

pub(super) fn get(place: &Words) -> [u64; 2] {
    [0, WORD].map(|word| place.word(word).load(Ordering::Relaxed))
}

pub(super) fn whole(place: &Words) -> u64 {
    let message = get(place);
    assert_eq!(message[0], message[1], "of two messages");
    message[0]
}

fn other(side: Side) -> Side {
    side.other()
}

fn spawn<R: Send + 'static>(
    house: &House,
    act: impl FnOnce(&House) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let house = house.clone();
    thread::spawn(move || act(&house))
}

/// Sends 1, 2 and so on to the one receiver, who gets them in this order.
fn one_to_one(capacity: usize, room_bytes: usize, count: u64) {
    let house = House::new(PartKind::OneToOne, capacity, room_bytes);
    let sender = spawn(&house, move |house| {
        let mut way = house.sending();
        for message in 1..=count {
            let at = loop {
                match way.reserve(&house.geometry, 1) {
                    Some((at, _)) => break at,
                    None => thread::yield_now(),
                }
            };
            put(way.ring.places(at, 1).words, message);
            way.publish(1);
        }
    });
    let mut way = house.receiving();
    let mut expected = 1;
    while expected <= count {
        let Some((at, found)) = way.claim(&house.geometry, 2) else {
            thread::yield_now();
            continue;
        };
        for index in 0..found {
            assert_eq!(whole(way.ring.places(At(at.0 + index), 1).words), expected);
            expected += 1;
        }
        way.done(found);
    }
    sender.join().unwrap();
}

#[test]
fn a_ring_of_one_goes_round() {
    model(3, || one_to_one(1, 32, 3));
}

#[test]
fn a_ring_goes_round() {
    model(3, || one_to_one(2, 32, 4));
}

/// Who takes the place of a sender goes on behind what was sent, while the receiver goes on too.
#[test]
fn a_ring_is_taken_over() {
    model(3, || {
        let house = House::new(PartKind::OneToOne, 2, 16);
        let send = |house: &House, message| {
            let mut way = house.sending();
            let room = way.reserve(&house.geometry, 1);
            if let Some((at, _)) = room {
                put(way.ring.places(at, 1).words, message);
                way.publish(1);
            }
            room.is_some()
        };
        assert!(send(&house, 1));
        let sender = spawn(&house, move |house| send(house, 2) && send(house, 3));
        let mut got = Vec::new();
        for _ in 0..2 {
            let mut way = house.receiving();
            if let Some((at, _)) = way.claim(&house.geometry, 1) {
                got.push(whole(way.ring.places(at, 1).words));
                way.done(1);
            }
        }
        let all = sender.join().unwrap();
        let mut way = house.receiving();
        while let Some((at, _)) = way.claim(&house.geometry, 1) {
            got.push(whole(way.ring.places(at, 1).words));
            way.done(1);
        }
        assert!(got.iter().copied().eq(1..=if all { 3 } else { 2 }), "{got:?}");
    });
}

/// Each sleeps when there is nothing for him to do, and is woken.
#[test]
fn both_sides_of_a_ring_are_woken() {
    model(3, || {
        let house = House::new(PartKind::OneToOne, 1, 32);
        let sender = spawn(&house, |house| {
            let mut way = house.sending();
            for message in 1..=2 {
                house.patiently(Side::Send, || {
                    let (at, _) = way.reserve(&house.geometry, 1)?;
                    put(way.ring.places(at, 1).words, message);
                    way.publish(1);
                    Some(())
                });
            }
        });
        let mut way = house.receiving();
        for expected in 1..=2 {
            let message = house.patiently(Side::Receive, || {
                let (at, _) = way.claim(&house.geometry, 1)?;
                let message = whole(way.ring.places(at, 1).words);
                way.done(1);
                Some(message)
            });
            assert_eq!(message, expected);
        }
        sender.join().unwrap();
    });
}

#[test]
fn two_receivers_of_a_queue_are_woken() {
    model(2, || {
        let house = House::new(PartKind::Queue, 2, 16);
        let receivers = [TWO, THREE].map(|me| {
            spawn(&house, move |house| {
                let mut way = house.dequeuing(false);
                house.patiently(Side::Receive, || house.dequeue(me, Means::Copy, &mut way))
            })
        });
        for message in 1..=2 {
            assert!(house.enqueue_first(ONE, message));
            house.bell(Side::Receive).ring_for_frequent();
        }
        let got: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(got, 3);
    });
}

/// Whether all were received once, and in the order of their sender: those below ten are one's, the others another's.
/// What is left is received last.
fn check_queue(received: &[Vec<u64>], house: &House, all: &[u64]) {
    let mut rest = Vec::new();
    let mut way = house.dequeuing(true);
    while let Some(message) = house.dequeue(ONE, Means::Hold, &mut way) {
        rest.push(message);
    }
    for one in received {
        for sender in [0, 10] {
            let own = one.iter().chain(&rest).filter(|message| (sender..sender + 10).contains(*message));
            assert!(own.is_sorted(), "{received:?}, {rest:?}");
        }
    }
    let mut got: Vec<u64> = received.iter().flatten().chain(&rest).copied().collect();
    got.sort_unstable();
    assert_eq!(got, all, "nothing lost, nothing twice");
}

/// Receives so often, with or without success.
fn receive(house: &House, me: Owner, means: Means, looks_behind: bool, tries: usize) -> Vec<u64> {
    let mut way = house.dequeuing(looks_behind);
    (0..tries).filter_map(|_| house.dequeue(me, means, &mut way)).collect()
}

const WAYS: [(Means, bool); 4] =
    [(Means::Copy, false), (Means::Copy, true), (Means::Hold, false), (Means::Hold, true)];

#[test]
fn one_sender_and_one_receiver_of_a_queue() {
    for (means, looks_behind) in WAYS {
        model(3, move || {
            let house = House::new(PartKind::Queue, 2, 16);
            let receiver = spawn(&house, move |house| receive(house, TWO, means, looks_behind, 3));
            let mut track = house.queue().sending();
            let sent: Vec<u64> = (1..=3).filter(|&message| house.enqueue(ONE, message, &mut track)).collect();
            check_queue(&[receiver.join().unwrap()], &house, &sent);
        });
    }
}

/// What one sender sends is received in its order, whatever another does: it may be slow with its own.
#[test]
fn two_senders_and_one_receiver_of_a_queue() {
    for (means, looks_behind) in WAYS {
        model(2, move || {
            let house = House::new(PartKind::Queue, 4, 16);
            let receiver = spawn(&house, move |house| receive(house, THREE, means, looks_behind, 1));
            let other = spawn(&house, |house| house.enqueue_first(TWO, 11));
            let mut track = house.queue().sending();
            assert!(house.enqueue(ONE, 1, &mut track) && house.enqueue(ONE, 2, &mut track));
            assert!(other.join().unwrap());
            check_queue(&[receiver.join().unwrap()], &house, &[1, 2, 11]);
        });
    }
}

#[test]
fn one_sender_and_two_receivers_of_a_queue() {
    for both in [[Means::Copy; 2], [Means::Copy, Means::Hold], [Means::Hold; 2]] {
        model(2, move || {
            let house = House::new(PartKind::Queue, 2, 16);
            let [one, other] = both;
            let receivers = [(TWO, one), (THREE, other)]
                .map(|(me, means)| spawn(&house, move |house| receive(house, me, means, false, 1)));
            let mut track = house.queue().sending();
            let sent: Vec<u64> = (1..=3).filter(|&message| house.enqueue(ONE, message, &mut track)).collect();
            let got = receivers.map(|receiver| receiver.join().unwrap());
            check_queue(&got, &house, &sent);
        });
    }
}

/// One is slow with a message, receivers go on beyond it, and it becomes ready behind them.
#[test]
fn a_message_becomes_ready_behind_the_receivers() {
    model(3, || {
        let house = House::new(PartKind::Queue, 2, 16);
        let slow = house.queue().reserve(ONE, &mut house.queue().sending()).unwrap();
        assert!(house.enqueue_first(TWO, 11));
        assert_eq!(house.dequeue(TWO, Means::Copy, &mut house.dequeuing(false)), Some(11));
        let receiver = spawn(&house, |house| receive(house, THREE, Means::Hold, false, 3));
        put(house.at(slow.payload_at()), 1);
        slow.publish(&house.memory, &house.geometry);
        let all: &[u64] = if house.enqueue_first(ONE, 2) { &[1, 2] } else { &[1] };
        check_queue(&[receiver.join().unwrap()], &house, all);
    });
}

/// A message that is held is moved on, while its holder ends it or gives it back.
#[test]
fn a_held_message_is_moved_on() {
    for gives_back in [false, true] {
        model(3, move || {
            let house = House::new(PartKind::Queue, 2, 16);
            assert!(house.enqueue_first(ONE, 1));
            let mut way = house.dequeuing(false);
            let held = house.queue().claim(TWO, &mut way).unwrap();
            let holder = spawn(&house, move |house| {
                if gives_back {
                    held.give_back(&house.memory, &house.geometry);
                } else {
                    held.free(&house.memory);
                }
            });
            let mut got = Vec::new();
            let mut sent = if gives_back { vec![1] } else { vec![] };
            for message in 12..=14 {
                if house.enqueue_first(ONE, message) {
                    sent.push(message);
                }
                got.extend(house.dequeue(THREE, Means::Hold, &mut way));
            }
            holder.join().unwrap();
            check_queue(&[got], &house, &sent);
        });
    }
}

/// A message that is being written is moved on, while it becomes ready.
#[test]
fn a_message_that_is_written_is_moved_on() {
    model(3, || {
        let house = House::new(PartKind::Queue, 2, 16);
        let slow = house.queue().reserve(ONE, &mut house.queue().sending()).unwrap();
        let writer = spawn(&house, move |house| {
            put(house.at(slow.payload_at()), 1);
            slow.publish(&house.memory, &house.geometry);
            if house.enqueue_first(ONE, 2) { vec![1, 2] } else { vec![1] }
        });
        let (mut got, mut sent, mut way) = (Vec::new(), Vec::new(), house.dequeuing(false));
        for message in 11..=13 {
            if house.enqueue_first(TWO, message) {
                sent.push(message);
            }
            got.extend(house.dequeue(THREE, Means::Hold, &mut way));
        }
        let mut all = writer.join().unwrap();
        all.extend(sent);
        check_queue(&[got], &house, &all);
    });
}

/// Of several who find what the dead held, one gives it to the others, and one of them gets it.
#[test]
fn what_the_dead_held_is_given_back_once() {
    model(3, || {
        let house = House::new(PartKind::Queue, 2, 16);
        assert!(house.enqueue_first(ONE, 1));
        house.queue().claim(THREE, &mut house.dequeuing(false)).unwrap();
        let heir = |house: &House, me: Owner| {
            let words = house.queue();
            for orphan in words.orphans(|owner| owner == THREE) {
                if let Some(own) = words.inherit(orphan, me) {
                    assert!(own.state.is_repeated());
                    own.give_back(&house.memory, &house.geometry);
                }
            }
            receive(house, me, Means::Hold, false, 1)
        };
        let other = spawn(&house, move |house| heir(house, TWO));
        let own = heir(&house, ONE);
        check_queue(&[own, other.join().unwrap()], &house, &[1]);
    });
}

/// A message is ended a second time, by whoever recovers from the death of one who had recovered, while its slot is used
/// again.
#[test]
fn a_message_ended_again_ends_no_other() {
    model(3, || {
        let house = House::new(PartKind::Queue, 1, 16);
        assert!(house.enqueue_first(ONE, 1));
        let held = house.queue().claim(THREE, &mut house.dequeuing(false)).unwrap();
        let (at, state) = (held.at, held.state.0);
        held.free(&house.memory);
        let late = spawn(&house, move |house| Slot::held(at, state).free(&house.memory));
        assert!(house.enqueue_first(ONE, 2));
        let got = receive(&house, TWO, Means::Hold, false, 1);
        late.join().unwrap();
        check_queue(&[got], &house, &[2]);
    });
}

/// What becomes of what the dead were writing, while others look for room.
#[test]
fn what_the_dead_were_writing_is_room_for_one() {
    model(3, || {
        let house = House::new(PartKind::Queue, 1, 16);
        let _unfinished = house.queue().reserve(THREE, &mut house.queue().sending()).unwrap();
        let send = |house: &House, me: Owner, message| {
            house.queue().drop_unfinished(|owner| owner == THREE);
            house.enqueue_first(me, message)
        };
        let other = spawn(&house, move |house| send(house, TWO, 11));
        let own = send(&house, ONE, 1);
        let other = other.join().unwrap();
        let sent: Vec<u64> =
            [(own, 1), (other, 11)].into_iter().filter(|sent| sent.0).map(|sent| sent.1).collect();
        assert!(!sent.is_empty(), "it is room for somebody");
        check_queue(&[], &house, &sent);
    });
}

/// Sends to all who receive, if it is his turn.
fn tell_all(house: &House, me: Owner, message: impl FnOnce(u64) -> u64) -> bool {
    let lock = LockWords::new(&house.memory, house.geometry.at + LOCK);
    if !lock.try_take(me) {
        return false;
    }
    let words = house.broadcast();
    let position = words.sent().load(Ordering::Acquire);
    put(house.at(words.open(position)), message(position));
    words.publish(position);
    lock.give_back();
    true
}

/// What a receiver gets who starts at a position: whole messages in their order, each from the position it was sent to.
fn listen(house: &House, position: &mut u64, tries: usize) -> Vec<u64> {
    let words = house.broadcast();
    let mut got = Vec::new();
    for _ in 0..tries {
        match words.look(*position) {
            Found::Nothing => {}
            Found::Missed(count) => {
                assert!((1..10).contains(&count), "{count} missed");
                *position += count;
            }
            Found::Message(at) => {
                let message = get(house.at(at));
                if words.is_whole(*position) {
                    assert_eq!(message, [*position + 100; 2]);
                    got.push(message[0]);
                    *position += 1;
                }
            }
        }
    }
    got
}

#[test]
fn a_broadcast_that_is_overwritten_is_read_whole() {
    for capacity in [1, 2] {
        model(2, move || {
            let house = House::new(PartKind::BroadcastDropping, capacity, 16);
            let sender = spawn(&house, |house| {
                for _ in 0..3 {
                    assert!(tell_all(house, ONE, |position| position + 100));
                }
            });
            let mut position = 0;
            listen(&house, &mut position, 3);
            sender.join().unwrap();
            listen(&house, &mut position, 8);
            assert_eq!(position, 3, "in the end nothing is left");
        });
    }
}

#[test]
fn a_broadcast_of_two_senders_is_read_whole() {
    model(2, || {
        let house = House::new(PartKind::BroadcastDropping, 1, 16);
        let senders = [ONE, TWO]
            .map(|me| spawn(&house, move |house| u64::from(tell_all(house, me, |position| position + 100))));
        let mut position = 0;
        listen(&house, &mut position, 2);
        let sent: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        listen(&house, &mut position, 8);
        assert_eq!(position, sent);
    });
}

/// Where senders wait for the slowest, one who comes misses nothing that is sent from then on.
#[test]
fn one_who_comes_to_a_broadcast_is_waited_for() {
    model(3, || {
        let house = House::new(PartKind::Broadcast, 1, 16);
        let sender = spawn(&house, |house| {
            let words = house.broadcast();
            let mut slowest = None;
            for _ in 0..3 {
                let position = words.sent().load(Ordering::Acquire);
                // As long as it is known that there is room, nobody looks.
                if !slowest.is_some_and(|slowest| position - slowest < 1) {
                    let lag = words.slowest_lag(position);
                    slowest = Some(position.wrapping_sub(lag));
                    if lag >= 1 {
                        break;
                    }
                }
                tell_all(house, ONE, |position| position + 100);
            }
        });
        let end_at = house.geometry.end_at(Side::Receive, 0);
        house.memory.half(end_at).store(TWO.0, Ordering::Release);
        let mut position = house.broadcast().begin(end_at);
        let from = position;
        let got = listen(&house, &mut position, 2);
        sender.join().unwrap();
        let rest = listen(&house, &mut position, 3);
        assert!(got.into_iter().chain(rest).eq((from..position).map(|position| position + 100)));
        assert_eq!(position, house.broadcast().sent().load(Ordering::Relaxed));
        assert_eq!(owners(&house.memory, house.geometry, Side::Receive).count(), 1);
    });
}
