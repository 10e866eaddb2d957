//! Channels in a crowd.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::broadcast::Found;
use super::geometry::{Geometry, LOCK, Side};
use super::kind::Means;
use super::models::{House, get, put, whole};
use super::{one, queue};
use crate::crowds::{LAST, crowd, living, mortal_crowd, mortals};
use crate::lock::{Company as _, Deadline, LockWords, Taken};
use crate::mortal::Deaths;
use crate::participants::Owner;
use crate::schema::PartKind;
use crate::sync::Ordering;
use crate::sync::checker::thread;

/// What was received, by whom, and whether it may have been received before.
type Received = Arc<Mutex<Vec<(Owner, u64, bool)>>>;

/// Makes what the dead were writing room again, and gives what they held to the living.
fn bury(house: &House, me: Owner, deaths: &Deaths) {
    let is_dead = |owner| deaths.is_dead(owner);
    let words = house.queue();
    words.drop_unfinished(is_dead);
    let lock = LockWords::new(&house.memory, house.geometry.at + LOCK);
    if words.orphans(is_dead).next().is_some() {
        let _ = lock.take(me, Deadline::Never, deaths).expect("there is no deadline");
        for orphan in words.orphans(is_dead) {
            if let Some(own) = words.inherit(orphan, me) {
                own.give_back(&house.memory, &house.geometry);
            }
        }
        lock.give_back();
    }
}

/// A receiver who copies first.
const COPIES: Owner = Owner(5);

/// Receives one, and notes it before it is ended, or in the same step where nobody holds it.
fn note_one(house: &House, me: Owner, way: &mut queue::Receiving, received: &Received) -> bool {
    let note = |message, is_repeated| received.lock().unwrap().push((me, message, is_repeated));
    if me == COPIES && house.dequeue_copy(way, |message| note(message, false)) {
        return true;
    }
    let Some(slot) = house.queue().claim(me, way) else { return false };
    let message = whole(house.at(slot.payload_at()));
    note(message, slot.state.is_repeated());
    slot.free(&house.memory);
    true
}

/// Three send, three receive, all may die. Nothing that was sent is lost, and what comes again says so.
#[test]
fn a_queue_of_mortals_loses_nothing() {
    mortal_crowd(|| {
        let house = House::new(PartKind::Queue, 4, 16);
        let (deaths, received, sent) =
            (Deaths::default(), Received::default(), Arc::new(Mutex::new(Vec::new())));
        let workers = mortals(6, 400, &deaths, {
            let (house, deaths) = (house.clone(), deaths.clone());
            let (received, sent) = (Arc::clone(&received), Arc::clone(&sent));
            move |me| {
                if me.0 <= 3 {
                    let mut track = house.queue().sending();
                    for number in 1..=5 {
                        let message = u64::from(me.0) * 10 + number;
                        for _ in 0..8 {
                            if house.enqueue(me, message, &mut track) {
                                sent.lock().unwrap().push(message);
                                break;
                            }
                            bury(&house, me, &deaths);
                        }
                    }
                } else {
                    let mut way = house.dequeuing(true);
                    for _ in 0..8 {
                        if !note_one(&house, me, &mut way, &received) {
                            bury(&house, me, &deaths);
                            house.queue().look_behind(&mut way);
                        }
                    }
                }
            }
        });
        living(workers);
        bury(&house, LAST, &deaths);
        let mut way = house.dequeuing(true);
        while note_one(&house, LAST, &mut way, &received) {}
        check_received(&received.lock().unwrap(), &sent.lock().unwrap(), &deaths);
        assert!((1..=4).all(|message| house.enqueue_first(LAST, message)), "all of it is room again");
    });
}

fn check_received(received: &[(Owner, u64, bool)], sent: &[u64], deaths: &Deaths) {
    let dead = |who: std::ops::RangeInclusive<u32>| who.filter(|&one| deaths.is_dead(Owner(one))).count();
    let mut times = HashMap::new();
    for (_, message, is_repeated) in received {
        let before = times.entry(*message).or_insert(0);
        assert!(*before == 0 || *is_repeated, "{message} twice: {received:?}");
        *before += 1;
    }
    for message in sent {
        assert!(times.contains_key(message), "{message} is lost: {received:?}");
    }
    let more = times.keys().filter(|message| !sent.contains(message)).count();
    assert!(more <= dead(1..=3), "{more} that nobody has sent: {received:?}");
    // Each of the dead held one, which was his own or what another had held.
    let repeated = received.iter().filter(|one| one.2).count();
    assert!(repeated <= dead(1..=6), "{repeated} come again: {received:?}");
    // What comes for the first time comes in the order of its sender.
    for receiver in [4, 5, 6, LAST.0] {
        for sender in 1..=3 {
            let is_own = |(who, message, is_repeated): &&(Owner, u64, bool)| {
                *who == Owner(receiver) && message / 10 == sender && !is_repeated
            };
            assert!(received.iter().filter(is_own).map(|one| one.1).is_sorted(), "{received:?}");
        }
    }
}

/// Nobody dies; each sleeps when there is nothing for him to do.
#[test]
fn nobody_sleeps_for_ever_at_a_queue() {
    crowd(|| {
        let house = House::new(PartKind::Queue, 2, 16);
        let receivers = [4, 5, 6].map(|me| {
            let house = house.clone();
            thread::spawn(move || {
                let mut way = house.dequeuing(false);
                let next = |way: &mut _| house.dequeue(Owner(me), Means::Copy, way);
                (0..4).map(|_| house.patiently(Side::Receive, || next(&mut way))).collect::<Vec<_>>()
            })
        });
        let senders = [1, 2, 3].map(|me| {
            let house = house.clone();
            thread::spawn(move || {
                let mut track = house.queue().sending();
                for number in 1..=4 {
                    let message = u64::from(me) * 10 + number;
                    house.patiently(Side::Send, || {
                        house.enqueue(Owner(me), message, &mut track).then_some(())
                    });
                }
            })
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let mut got: Vec<u64> = receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect();
        got.sort_unstable();
        assert!(
            got.into_iter().eq((1..=3).flat_map(|sender| (1..=4).map(move |number| sender * 10 + number)))
        );
    });
}

/// Senders and receivers of a ring, one after the other, each going on where the last one died.
#[test]
fn a_ring_of_mortals_goes_on() {
    mortal_crowd(|| {
        let house = House::new(PartKind::OneToOne, 2, 32);
        let deaths = Deaths::default();
        let next_to_send = |house: &House| one::sent(&house.memory, &house.geometry);
        let sender = {
            let (house, deaths) = (house.clone(), deaths.clone());
            thread::spawn(move || {
                for me in 1..=4 {
                    deaths.within(60, Owner(me), || {
                        let mut way = house.sending();
                        for _ in 0..6 {
                            let Some((at, _)) = way.reserve(&house.geometry, 1) else {
                                thread::yield_now();
                                continue;
                            };
                            put(way.ring.places(at, 1).words, next_to_send(&house));
                            way.publish(1);
                        }
                    });
                }
            })
        };
        let mut position = 0;
        let mut receive = |me: u32, geometry: &Geometry| {
            deaths.within(60, Owner(me), || {
                let mut way = house.receiving();
                // Nothing is skipped, and at most one that was being received comes again.
                let again = position - way.next_position();
                assert!(again <= 1, "{again} come again");
                position = way.next_position();
                for _ in 0..6 {
                    let Some((at, _)) = way.claim(geometry, 1) else {
                        thread::yield_now();
                        continue;
                    };
                    assert_eq!(whole(way.ring.places(at, 1).words), position);
                    position += 1;
                    way.done(1);
                }
            });
        };
        (11..=14).for_each(|me| receive(me, &house.geometry));
        sender.join().unwrap();
        while one::received(&house.memory, &house.geometry) != next_to_send(&house) {
            receive(u32::MAX, &house.geometry);
        }
        assert_eq!(position, next_to_send(&house));
    });
}

/// Senders die in the middle; receivers find whole messages in their order, or are told how many are gone.
#[test]
fn a_broadcast_of_mortals_is_read_whole() {
    mortal_crowd(|| {
        let house = House::new(PartKind::BroadcastDropping, 2, 16);
        let deaths = Deaths::default();
        let tell = {
            let (house, deaths) = (house.clone(), deaths.clone());
            move |me| {
                let lock = LockWords::new(&house.memory, house.geometry.at + LOCK);
                let words = house.broadcast();
                if let Taken::From(_) = lock.take(me, Deadline::Never, &deaths).expect("there is no deadline")
                {
                    words.settle();
                }
                let position = words.sent().load(Ordering::Acquire);
                put(house.at(words.open(position)), position + 100);
                words.publish(position);
                lock.give_back();
            }
        };
        let senders = mortals(3, 120, &deaths, {
            let tell = tell.clone();
            move |me| (0..4).for_each(|_| tell(me))
        });
        let listen = |house: &House, tries: usize, mut position: u64| {
            let words = house.broadcast();
            for _ in 0..tries {
                match words.look(position) {
                    Found::Nothing => {}
                    Found::Missed(count) => {
                        assert!((1..13).contains(&count), "{count} missed");
                        position += count;
                    }
                    Found::Message(at) => {
                        let message = get(house.at(at));
                        if words.is_whole(position) {
                            assert_eq!(message, [position + 100; 2]);
                            position += 1;
                        }
                    }
                }
            }
            position
        };
        let receivers = [(); 2].map(|()| {
            let house = house.clone();
            thread::spawn(move || listen(&house, 10, 0))
        });
        let done = 4 * living(senders).len() as u64;
        tell(LAST);
        let sent = house.broadcast().sent().load(Ordering::Acquire);
        assert!((done + 1..=13).contains(&sent), "{sent}, and {done} by the living");
        for receiver in receivers {
            assert_eq!(listen(&house, 8, receiver.join().unwrap()), sent, "in the end nothing is left");
        }
    });
}
