//! What each method does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use coseg::{Error, ErrorKind, Map, Region, Result, Rows, Shared, Swap, Table, Text};

use crate::book::{Book, BookInitial, Position, keys_that_meet, position};
use crate::world::{KEY, on_each};

const SOON: Duration = Duration::from_millis(30);

#[test]
fn a_key_has_the_value_that_was_put_last() {
    on_each(|world| {
        let book = world.book();
        let map = &book.positions;
        assert_eq!((map.get(&1).unwrap(), map.contains(&1).unwrap(), map.len()), (None, false, 0));
        assert_eq!(map.put(&1, position(1)).unwrap(), None);
        assert_eq!(map.put(&1, position(2)).unwrap(), Some(position(1)));
        assert_eq!((map.get(&1).unwrap(), map.contains(&1).unwrap()), (Some(position(2)), true));
        assert!(map.insert(&2, position(5)).unwrap() && !map.insert(&1, position(3)).unwrap());
        assert_eq!((map.get(&1).unwrap(), map.len()), (Some(position(2)), 2));
        let mut other = world.actor_in("book::actor", "puts 9");
        other.hear("put");
        assert_eq!(map.remove(&7).unwrap(), Some(position(9)));
        assert_eq!(map.remove(&7).unwrap(), None);
        let pairs: BTreeMap<u64, i64> = map.iter().map(|(key, position)| (key, position.amount)).collect();
        assert_eq!(pairs, [(1, 2), (2, 5)].into());
        assert!(!map.is_empty());
        map.clear().unwrap();
        assert!(map.is_empty() && map.iter().count() == 0 && map.get(&1).unwrap().is_none());
        assert_eq!(map.put(&1, position(4)).unwrap(), None);
        book.remove().unwrap();
    });
}

#[test]
fn an_update_sees_and_leaves_a_value_or_none() {
    on_each(|world| {
        let book = world.book();
        let map = &book.positions;
        for round in 1..=3 {
            let amount = map.update(&1, |own| {
                let own = own.get_or_insert_default();
                own.amount += 1;
                own.amount
            });
            assert_eq!(amount.unwrap(), round);
        }
        map.update(&1, |own| *own = None).unwrap();
        map.update(&1, |own| assert_eq!(*own, None)).unwrap();
        assert_eq!((map.get(&1).unwrap(), map.len()), (None, 0));
        map.put(&1, position(1)).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            map.update(&1, |own| {
                *own = None;
                panic!("within the change");
            })
        }));
        panicked.unwrap_err();
        assert_eq!(map.get(&1).unwrap(), Some(position(1)));
        let within = map.update(&1, |_| map.put(&2, position(2))).unwrap();
        assert_eq!(*within.unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert_eq!(map.update(&1, |_| map.get(&1).unwrap()).unwrap(), Some(position(1)), "reading is free");
        book.remove().unwrap();
    });
}

#[test]
fn a_swap_wants_the_very_value_that_was_seen() {
    on_each(|world| {
        let book = world.book();
        let map = &book.positions;
        let Swap::Done(first) = map.compare_and_swap(&1, None, position(1)).unwrap() else { panic!("none") };
        assert_eq!(map.get_stamped(&1).unwrap(), Some((position(1), first)));
        assert_eq!(
            map.compare_and_swap(&1, None, position(2)).unwrap(),
            Swap::Other(Some((position(1), first)))
        );
        let Swap::Done(second) = map.compare_and_swap(&1, Some(first), position(2)).unwrap() else {
            panic!("it is the first")
        };
        assert_eq!(
            map.compare_and_swap(&1, Some(first), position(3)).unwrap(),
            Swap::Other(Some((position(2), second)))
        );
        // Removed, and put again with the same value: another.
        map.remove(&1).unwrap();
        assert_eq!(map.compare_and_swap(&1, Some(second), position(3)).unwrap(), Swap::Other(None));
        map.put(&1, position(2)).unwrap();
        assert!(matches!(map.compare_and_swap(&1, Some(second), position(3)).unwrap(), Swap::Other(Some(_))));
        assert_eq!(map.get(&1).unwrap(), Some(position(2)));
        book.remove().unwrap();
    });
}

/// As it may between its being seen and the end of the swap.
#[test]
fn what_expires_meanwhile_is_swapped_or_is_not_there() {
    on_each(|world| {
        let book = world.book();
        let map = &book.positions;
        for amount in 0..10_000 {
            map.put_for(&1, position(amount), Duration::from_micros(3)).unwrap();
            while let Some((seen, stamp)) = map.get_stamped(&1).unwrap() {
                match map.compare_and_swap(&1, Some(stamp), position(seen.amount + 1)).unwrap() {
                    Swap::Done(_) => {}
                    Swap::Other(other) => assert_eq!(other, None),
                }
            }
        }
        book.remove().unwrap();
    });
}

#[test]
fn full_is_an_error_and_what_is_there_can_be_changed() {
    on_each(|world| {
        let book = world.book();
        let map = &book.names;
        let name = |number: u32| Text::<12>::from(format!("name {number}").as_str());
        for number in 0..5 {
            map.put(&name(number), number).unwrap();
        }
        let full = map.put(&name(5), 5).unwrap_err();
        assert_eq!(*full.kind(), ErrorKind::Full);
        assert!(full.to_string().contains("all 5 entries") && full.to_string().contains("`names`"), "{full}");
        assert_eq!((map.len(), map.capacity()), (5, 5));
        map.put(&name(3), 33).unwrap();
        map.remove(&name(0)).unwrap();
        map.put(&name(5), 5).unwrap();
        let found: BTreeMap<String, u32> =
            map.iter().map(|(name, number)| (name.to_string(), number)).collect();
        let expected = [("name 1", 1), ("name 2", 2), ("name 3", 33), ("name 4", 4), ("name 5", 5)];
        assert_eq!(found, expected.map(|(name, number)| (name.to_owned(), number)).into());
        let exchanged: Result<()> = book.transaction(|change| {
            assert_eq!(change.map(map).put(&name(6), 6).unwrap_err().kind(), &ErrorKind::Full);
            change.map(map).remove(&name(1))?;
            change.map(map).put(&name(6), 6).map(drop)
        });
        exchanged.unwrap();
        assert_eq!((map.get(&name(1)).unwrap(), map.get(&name(6)).unwrap()), (None, Some(6)));
        book.remove().unwrap();
    });
}

#[test]
fn what_has_expired_is_gone_and_makes_room() {
    on_each(|world| {
        let book = world.book();
        let map = &book.names;
        let name = |number: u32| Text::<12>::from(format!("name {number}").as_str());
        for number in 0..4 {
            map.put_for(&name(number), number, SOON).unwrap();
        }
        map.put_for(&name(4), 4, Duration::from_secs(3600)).unwrap();
        map.update(&name(1), |own| *own = Some(11)).unwrap();
        assert_eq!(map.put(&name(9), 9).unwrap_err().kind(), &ErrorKind::Full);
        assert!((0..5).all(|number| map.contains(&name(number)).unwrap()), "not yet");
        map.put(&name(0), 10).unwrap();
        let waited = map.wait_while(&name(1), |own| own.is_some(), Some(Duration::from_secs(5))).unwrap();
        assert_eq!(waited, None, "one that was updated keeps its time");
        assert_eq!(map.get(&name(0)).unwrap(), Some(10), "one that was put does not");
        assert!((1..4).all(|number| map.get(&name(number)).unwrap().is_none()));
        assert_eq!((map.iter().count(), map.len()), (2, 5));
        assert_eq!(map.remove(&name(1)).unwrap(), None);
        assert!(map.insert(&name(2), 22).unwrap());
        assert_eq!(map.put(&name(9), 9).unwrap(), None);
        assert_eq!(map.put(&name(8), 8).unwrap(), None, "in the place of the last that has expired");
        assert_eq!(map.put(&name(7), 7).unwrap_err().kind(), &ErrorKind::Full);
        let mut found: Vec<u32> = map.iter().map(|(_, number)| number).collect();
        found.sort_unstable();
        assert_eq!(found, [4, 8, 9, 10, 22]);
        book.remove().unwrap();
    });
}

#[test]
fn a_transaction_takes_maps_cells_and_rows_along() {
    on_each(|world| {
        let book = world.book();
        let (map, wide) = (&book.positions, &book.wide);
        map.put(&1, position(1)).unwrap();
        map.put(&2, position(2)).unwrap();
        let refused: Result<()> = book.transaction(|change| {
            change.set(&book.total, 99)?;
            change.map(map).remove(&1)?;
            change.map(map).put(&2, position(22))?;
            change.map(map).put(&3, position(3))?;
            change.map(wide).put(&5, [5; 8])?;
            let mut own = change.map(map);
            assert_eq!(
                (own.get(&1)?, own.get(&2)?, own.get(&3)?),
                (None, Some(position(22)), Some(position(3)))
            );
            assert!(!own.contains(&1)? && own.contains(&3)?);
            assert_eq!((map.get(&1)?, map.get(&3)?), (Some(position(1)), None), "others see nothing yet");
            Err(book.names.put_for(&"x".into(), 1, SOON).unwrap_err())
        });
        refused.unwrap_err();
        assert_eq!((map.get(&1).unwrap(), map.get(&2).unwrap()), (Some(position(1)), Some(position(2))));
        assert_eq!((map.len(), wide.len(), book.total.read()), (2, 0, 0));
        let done: Result<()> = book.transaction(|change| {
            change.update(&book.total, |total| *total += 5)?;
            let gone = change.map(map).remove(&1)?;
            change.map(map).insert(&3, gone.unwrap_or_default())?;
            change.map(map).update(&3, |own| own.as_mut().map(|own| own.amount = 33))?;
            // Removed and put again, it is where it was.
            change.map(map).remove(&2)?;
            change.map(map).put_for(&2, position(23), Duration::from_secs(3600))?;
            change.map(wide).put(&5, [5; 8])?;
            change.map(wide).remove(&5).map(drop)
        });
        done.unwrap();
        let now = [1, 2, 3].map(|key| map.get(&key).unwrap());
        assert_eq!(now, [None, Some(position(23)), Some(position(33))]);
        assert_eq!((map.len(), wide.len(), book.total.read()), (2, 0, 5));
        let seen: Result<_> = book.snapshot(|at| {
            let own = at.map(map);
            Ok((at.get(&book.total)?, own.get(&3)?, own.contains(&1)?))
        });
        assert_eq!(seen.unwrap(), (5, Some(position(33)), false));
        book.remove().unwrap();
    });
}

#[test]
fn a_snapshot_begins_again_when_a_map_has_changed() {
    on_each(|world| {
        let book = world.book();
        let mut rounds = 0;
        let seen: Result<_> = book.snapshot(|at| {
            rounds += 1;
            let before = at.map(&book.positions).get(&1)?;
            if rounds == 1 {
                book.positions.put(&1, position(1))?;
                book.positions.put(&2, position(2))?;
            }
            Ok((before, at.map(&book.positions).get(&2)?))
        });
        assert_eq!((seen.unwrap(), rounds), ((Some(position(1)), Some(position(2))), 2));
        book.remove().unwrap();
    });
}

#[test]
fn a_transaction_larger_than_the_log_is_refused_and_leaves_nothing() {
    #[derive(Region)]
    struct Large {
        map: Map<u64, u64, 10_000>,
    }
    on_each(|world| {
        let large = world.at::<Large>(KEY).create(LargeInitial::default).unwrap();
        let put_all = |count: u64| -> Result<()> {
            large.transaction(|change| {
                (0..count).try_for_each(|key| change.map(&large.map).put(&key, key).map(drop))
            })
        };
        let refused = put_all(10_000).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::TooMany, "{refused}");
        assert_eq!((large.map.len(), large.map.get(&0).unwrap()), (0, None));
        put_all(1000).unwrap();
        assert_eq!((large.map.len(), large.map.get(&999).unwrap()), (1000, Some(999)));
        assert!((0..1000).all(|key| large.map.get(&key).unwrap() == Some(key)));
        large.remove().unwrap();
    });
}

#[test]
fn many_keys_of_one_bucket_are_found_whichever_are_removed() {
    on_each(|world| {
        let book = world.book();
        let keys = keys_that_meet(&book, 30);
        for turn in 0..keys.len() {
            for (amount, key) in (0..).zip(&keys) {
                book.positions.put(key, position(amount)).unwrap();
            }
            let gone: Vec<u64> = keys.iter().cycle().skip(turn).step_by(3).take(10).copied().collect();
            for key in &gone {
                book.positions.remove(key).unwrap();
            }
            for (amount, key) in (0..).zip(&keys) {
                let expected = (!gone.contains(key)).then(|| position(amount));
                assert_eq!(book.positions.get(key).unwrap(), expected, "turn {turn}, key {amount}");
            }
        }
        book.remove().unwrap();
    });
}

#[test]
fn others_are_told_of_changes() {
    on_each(|world| {
        let book = world.book();
        let mut waiter = world.actor_in("book::actor", "waits 5");
        waiter.hear("waits");
        for amount in 0..=5 {
            std::thread::sleep(Duration::from_millis(3));
            book.positions.put(&7, position(amount)).unwrap();
        }
        waiter.hear("seen");
        let since = Instant::now();
        let late = book.positions.wait_while(&7, |_| true, Some(SOON)).unwrap_err();
        assert!(late.is_timeout() && since.elapsed() >= SOON, "{late}");
        let other = book.share();
        let remover = std::thread::spawn(move || other.remove());
        let told = book.positions.wait_while(&7, |own| own.is_some(), Some(Duration::from_secs(5)));
        assert_eq!(*told.unwrap_err().kind(), ErrorKind::Removed);
        remover.join().unwrap().unwrap();
    });
}

#[test]
fn who_only_looks_sees_it_all_and_changes_nothing() {
    on_each(|world| {
        let book = world.book();
        book.positions.put(&1, position(1)).unwrap();
        let look = world.at::<Book>(KEY).observe().unwrap();
        assert_eq!(
            (look.positions.get(&1).unwrap(), look.positions.get(&2).unwrap()),
            (Some(position(1)), None)
        );
        assert_eq!(look.positions.iter().collect::<Vec<_>>(), [(1, position(1))]);
        let late = look.positions.wait_while(&1, |_| true, Some(SOON)).unwrap_err();
        assert!(late.is_timeout());
        for refused in [look.positions.put(&1, position(2)).map(drop), look.positions.clear()] {
            assert_eq!(*refused.unwrap_err().kind(), ErrorKind::ReadOnly);
        }
        book.remove().unwrap();
    });
}

#[test]
fn a_new_map_may_start_with_entries_and_be_guarded() {
    on_each(|world| {
        let pairs: Vec<(u64, Position)> = (0..64).map(|key| (key, position(1))).collect();
        let initial = || BookInitial { positions: pairs.clone(), ..Default::default() };
        let book = world.at::<Book>(KEY).guardable(true).create(initial).unwrap();
        assert_eq!(book.positions.len(), 64);
        assert!((0..64).all(|key| book.positions.get(&key).unwrap() == Some(position(1))));
        assert_eq!(book.positions.put(&64, position(1)).unwrap_err().kind(), &ErrorKind::Full);
        book.positions.remove(&63).unwrap();
        book.positions.put(&64, position(1)).unwrap();
        book.remove().unwrap();
        let again = world.book();
        let seeds = [&book, &again].map(|book| crate::book::seed(book, "positions"));
        assert_ne!(seeds[0], seeds[1], "each map has a seed of its own");
        again.remove().unwrap();
    });
}

#[test]
#[should_panic(expected = "64 entries cannot start with more")]
fn a_new_map_cannot_start_with_more_than_it_has_room_for() {
    let directory = tempfile::tempdir().unwrap();
    let backend = coseg_sysv::User::at(directory.path()).unwrap();
    let positions = (0..65).map(|key| (key, position(1))).collect();
    let initial = || BookInitial { positions, ..Default::default() };
    let _ = Region::<Book>::at(KEY).backend(&backend).create(initial);
}

/// Values of a type that has got a field more.
#[test]
fn values_grow_and_keys_do_not() {
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    #[shared(room = 21)]
    struct Old {
        a: u32,
        b: u8,
    }
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    #[shared(room = 21)]
    struct New {
        a: u32,
        b: u8,
        c: u64,
    }
    #[derive(Region)]
    struct Before {
        map: Map<u32, Old, 4>,
        rows: Table<u8, 1>,
    }
    #[derive(Region)]
    struct After {
        map: Map<u32, New, 4>,
        rows: Table<u8, 1>,
    }
    #[derive(Region)]
    struct Other {
        map: Map<u64, Old, 5>,
        rows: Table<u8, 1>,
    }
    on_each(|world| {
        let rows = || Rows(vec![1]);
        let before = world.at::<Before>(KEY).create(|| BeforeInitial { map: vec![], rows: rows() }).unwrap();
        let after = world.at::<After>(KEY).open().unwrap();
        before.map.put(&1, Old { a: 1, b: 2 }).unwrap();
        assert_eq!(after.map.get(&1).unwrap(), Some(New { a: 1, b: 2, c: 0 }));
        after.map.put(&1, New { a: 3, b: 4, c: 5 }).unwrap();
        let done: Result<()> = before.transaction(|change| {
            change.map(&before.map).put(&1, Old { a: 6, b: 7 })?;
            change.map(&before.map).update(&1, |own| own.as_mut().map(|own| own.b = 8)).map(drop)
        });
        done.unwrap();
        assert_eq!(
            after.map.get(&1).unwrap(),
            Some(New { a: 6, b: 8, c: 5 }),
            "what one does not know is kept"
        );
        after.map.remove(&1).unwrap();
        before.map.put(&2, Old { a: 1, b: 1 }).unwrap();
        assert_eq!(
            after.map.get(&2).unwrap(),
            Some(New { a: 1, b: 1, c: 0 }),
            "and is another key's no more"
        );
        let differs = world.at::<Other>(KEY).open().unwrap_err().to_string();
        assert!(differs.contains("map.key: the region has u32, the program expects u64"), "{differs}");
        assert!(differs.contains("the region has 4 entries, the program expects 5 entries"), "{differs}");
        before.remove().unwrap();
    });
}

#[test]
fn keys_of_any_size_are_told_apart_by_their_bytes() {
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct Padded {
        small: u8,
        large: u32,
        last: u8,
    }
    #[derive(Region)]
    struct Many {
        bytes: Map<u8, u8, 200>,
        floats: Map<f64, u8, 4>,
        structs: Map<Padded, [u8; 3], 100>,
        long: Map<[u64; 9], u128, 100>,
        only: Map<bool, Text<3>, 1>,
    }
    on_each(|world| {
        let many = world.at::<Many>(KEY).create(ManyInitial::default).unwrap();
        (0..200).try_for_each(|byte| many.bytes.put(&byte, byte ^ 1).map(drop)).unwrap();
        assert!((0..=255).all(|byte| many.bytes.get(&byte).unwrap() == (byte < 200).then_some(byte ^ 1)));
        for (float, value) in [(0.0, 1), (-0.0, 2), (f64::NAN, 3)] {
            assert_eq!(many.floats.put(&float, value).unwrap(), None);
        }
        assert_eq!(
            [0.0, -0.0, f64::NAN].map(|float| many.floats.get(&float).unwrap()),
            [Some(1), Some(2), Some(3)]
        );
        let padded = |large: u32| Padded { small: 1, large, last: 2 };
        for large in 0..100 {
            many.structs.put(&padded(large), [1, 2, 3]).unwrap();
            let mut long = [u64::from(large); 9];
            long[8] = 7;
            many.long.put(&long, large.into()).unwrap();
        }
        assert_eq!(many.structs.remove(&padded(50)).unwrap(), Some([1, 2, 3]));
        assert_eq!(many.structs.get(&Padded { last: 3, ..padded(51) }).unwrap(), None);
        let mut keys: Vec<u32> = many.structs.iter().map(|(key, _)| key.large).collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq((0..100).filter(|&large| large != 50)));
        assert_eq!(many.long.get(&[7; 9]).unwrap(), Some(7));
        for round in 0..10 {
            assert_eq!(many.only.put(&true, "yes".into()).unwrap().is_some(), round > 0);
            let exchanged: Result<(), Error> = many.transaction(|change| {
                assert_eq!(
                    change.map(&many.only).put(&false, "no".into()).unwrap_err().kind(),
                    &ErrorKind::Full
                );
                change.map(&many.only).remove(&true)?;
                change.map(&many.only).put(&false, "no".into())?;
                change.map(&many.only).remove(&false)?;
                change.map(&many.only).put(&true, "oui".into()).map(drop)
            });
            exchanged.unwrap();
            assert_eq!(many.only.get(&true).unwrap().unwrap().to_string(), "oui");
        }
        many.remove().unwrap();
    });
}
