//! Broadcasts, and who holds them up.

use std::time::{Duration, Instant};

use coseg::Refusal;

use crate::channels::{LONG, SHORT, is_empty, is_full, post};
use crate::house::on_each;

#[test]
fn all_receivers_of_a_broadcast_get_all() {
    const COUNT: u64 = 5_000;
    on_each(|world| {
        let post = post(world);
        post.prices.sender().unwrap().send(&99).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let mut receiver = post.prices.receiver().unwrap();
                scope.spawn(move || {
                    let mut next = [0; 2];
                    for _ in 0..2 * COUNT {
                        let price = receiver.receive_timeout(LONG).unwrap();
                        let next = &mut next[usize::from(price >= COUNT)];
                        assert_eq!(price % COUNT, *next);
                        *next += 1;
                    }
                });
            }
            for first in [0, COUNT] {
                let mut sender = post.prices.sender().unwrap();
                scope.spawn(move || (first..first + COUNT).for_each(|price| sender.send(&price).unwrap()));
            }
        });
        post.remove().unwrap();
    });
}

#[test]
fn one_who_falls_behind_is_treated_as_declared() {
    on_each(|world| {
        let post = post(world);
        let (mut sender, mut receiver) = (post.prices.sender().unwrap(), post.prices.receiver().unwrap());
        (0..8).for_each(|price| sender.send(&price).unwrap());
        assert!(is_full(sender.try_send(&8)));
        assert_eq!(receiver.receive().unwrap(), 0);
        sender.try_send(&8).unwrap();
        drop(receiver);
        (0..20).for_each(|price| sender.send(&price).unwrap());

        let (mut sender, mut receiver) = (post.ticks.sender().unwrap(), post.ticks.receiver().unwrap());
        (0..20).for_each(|tick| sender.send(&tick).unwrap());
        let seen: Vec<_> = receiver.try_iter().collect();
        assert_eq!(seen, (20 - seen.len() as u64..20).collect::<Vec<_>>());
        assert!(seen.len() >= 7);
        assert_eq!(receiver.missed_count(), 20 - seen.len() as u64);

        let (mut sender, mut receiver) = (post.alarms.sender().unwrap(), post.alarms.receiver().unwrap());
        (0..20).for_each(|alarm| sender.send(&alarm).unwrap());
        let Err(Refusal::Missed(missed)) = receiver.receive() else { panic!("missed some") };
        assert_eq!((receiver.receive().unwrap(), receiver.missed_count()), (missed, missed));
        post.remove().unwrap();
    });
}

#[test]
fn the_dead_hold_up_no_broadcast() {
    on_each(|world| {
        let post = post(world);
        let mut reader = world.actor("reads no prices");
        reader.hear("ready");
        let mut sender = post.prices.sender().unwrap();
        (0..8).for_each(|price| sender.try_send(&price).unwrap());
        assert!(is_full(sender.try_send(&8)));
        reader.kill();
        let since = Instant::now();
        sender.send(&8).unwrap();
        assert!(since.elapsed() < Duration::from_millis(250), "{:?}", since.elapsed());

        let mut reader = world.actor("reads no prices");
        reader.hear("ready");
        (9..17).for_each(|price| sender.try_send(&price).unwrap());
        assert!((0..200).all(|_| is_full(sender.try_send(&17))));
        reader.kill();
        std::thread::sleep(SHORT);
        sender.try_send(&17).expect("it is looked after the dead, and for room again");

        let mut writer = world.actor("writes a price");
        writer.hear("writing");
        writer.kill();
        let mut receiver = post.prices.receiver().unwrap();
        sender.send(&18).unwrap();
        assert_eq!(receiver.receive().unwrap(), 18);
        post.remove().unwrap();
    });
}

#[test]
fn a_stopped_sender_holds_up_nobody_who_has_a_time_limit() {
    on_each(|world| {
        let post = post(world);
        let mut receiver = post.prices.receiver().unwrap();
        let mut writer = world.actor("writes a price");
        writer.hear("writing");
        let mut sender = post.prices.sender().unwrap();
        assert!(is_full(sender.try_send(&1)));
        let since = Instant::now();
        assert!(matches!(sender.send_timeout(&1, SHORT), Err(Refusal::TimedOut(_))));
        assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
        assert!(is_empty(receiver.try_receive()));
        writer.kill();
        sender.send_timeout(&2, LONG).unwrap();
        assert_eq!(receiver.receive().unwrap(), 2);
        post.remove().unwrap();
    });
}

/// He sleeps until there is room, which there was all the time.
#[test]
fn who_waits_for_another_sender_goes_on_with_him() {
    on_each(|world| {
        let post = post(world);
        let (mut one, mut other) = (post.ticks.sender().unwrap(), post.ticks.sender().unwrap());
        let mut wait = || -> Duration {
            let waits = [200, 215, 230, 245, 260].map(|held_ms| {
                let loan = one.loan().unwrap();
                std::thread::scope(|scope| {
                    let went_on = scope.spawn(|| {
                        other.send(&1).unwrap();
                        Instant::now()
                    });
                    std::thread::sleep(Duration::from_millis(held_ms));
                    let sent = Instant::now();
                    loan.write(&2).unwrap().send().unwrap();
                    went_on.join().unwrap() - sent
                })
            });
            waits.iter().sum()
        };
        // A machine that is busy may wake him late.
        assert!((0..3).any(|_| wait() < Duration::from_millis(80)));
        post.remove().unwrap();
    });
}
