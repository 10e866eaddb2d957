//! Cells, tables, transactions, snapshots, counters.

use std::time::{Duration, Instant};

use coseg::{Error, ErrorKind, Result, Shared, Text, Value};

use crate::house::{Currency, KEY, START, on_each};

#[test]
fn a_value_is_read_changed_and_waited_for() {
    on_each(|world| {
        let market = world.at::<[Currency; 4]>(KEY).open_or_create(|| [START; 4]).unwrap();
        assert_eq!(market.read(), [START; 4]);
        assert_eq!(
            market
                .update(|m| {
                    m[1].stock += 10;
                    m[1].stock
                })
                .unwrap(),
            1010
        );
        let same = world.at::<[Currency; 4]>(KEY).open_or_create(|| panic!("it is there")).unwrap();
        assert_eq!(same.read_stamped(), (market.read(), 1));
        let found = market.wait_while(|m| m[1].stock < 1000, Some(Duration::ZERO)).unwrap();
        assert_eq!(found[1].stock, 1010);
        let late = market.wait_while(|m| m[1].stock > 0, Some(Duration::from_millis(20))).unwrap_err();
        assert!(late.is_timeout(), "{late}");
        market.remove().unwrap();
    });
}

#[test]
fn an_error_or_a_panic_changes_nothing() {
    on_each(|world| {
        let office = world.office();
        let refused: Result<()> = office.board.try_update(|board| {
            board[0].stock = -5;
            Err(office.ledger.row(99).unwrap_err())
        });
        assert_eq!(*refused.unwrap_err().kind(), ErrorKind::NoSuchRow);
        let row = office.ledger.row(0).unwrap();
        let refused: Result<(), Error> = office.transaction(|change| {
            change.set(&office.board, [Currency { buy: 0, stock: 0 }; 4])?;
            change.set(&row, Currency { buy: 1, stock: 1 })?;
            assert_eq!(change.get(&row).stock, 1, "one's own changes are seen");
            Err(office.ledger.row(8).unwrap_err())
        });
        refused.unwrap_err();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            office.board.update(|board| {
                board[0].stock = -5;
                panic!("within the change");
            })
        }));
        panicked.unwrap_err();
        assert_eq!((office.board.read(), row.read()), ([START; 4], START));
        assert_eq!(office.board.stamp(), 0);
        office.board.update(|board| board[0].stock = 1).unwrap();
        assert_eq!(office.board.read()[0].stock, 1, "the lock was given back");
        office.remove().unwrap();
    });
}

#[test]
fn a_transaction_changes_all_at_once() {
    on_each(|world| {
        let office = world.office();
        let (first, second) = (office.ledger.row(0).unwrap(), office.ledger.row(1).unwrap());
        for round in 0..100 {
            office
                .transaction(|change| {
                    change.update(&first, |row| row.stock -= 1)?;
                    change.update(&second, |row| row.stock += 1)?;
                    change.update(&first, |row| row.buy = round)
                })
                .unwrap();
        }
        assert_eq!((first.read().stock, second.read().stock, first.read().buy), (900, 1100, 99));
        assert_eq!(first.stamp(), 100, "set twice, changed once");
        let sum = office
            .snapshot(|at| {
                Ok::<_, Error>(
                    at.get(&first)?.stock + at.get(&second)?.stock + at.get(&office.board)?[0].stock,
                )
            })
            .unwrap();
        assert_eq!(sum, 3000);
        office.remove().unwrap();
    });
}

#[test]
fn snapshots_never_see_half_a_transaction() {
    on_each(|world| {
        let office = world.office();
        let (first, second) = (office.ledger.row(0).unwrap(), office.ledger.row(1).unwrap());
        let until = Instant::now() + Duration::from_millis(300);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while Instant::now() < until {
                    office
                        .transaction(|change| {
                            change.update(&first, |row| row.stock -= 1)?;
                            change.update(&second, |row| row.stock += 1)
                        })
                        .unwrap();
                }
            });
            let mut seen = 0;
            while Instant::now() < until {
                let sum = office
                    .snapshot(|at| Ok::<_, Error>(at.get(&first)?.stock + at.get(&second)?.stock))
                    .unwrap();
                assert_eq!(sum, 2000);
                seen += 1;
            }
            assert!(seen > 100, "{seen}");
        });
        office.remove().unwrap();
    });
}

#[test]
fn no_update_of_several_processes_is_lost() {
    on_each(|world| {
        let office = world.office();
        let mut actors: Vec<_> = (0..3).map(|_| world.actor("adds")).collect();
        for actor in &mut actors {
            actor.hear("added");
        }
        assert_eq!(office.board.read()[3].stock, START.stock + 60_000);
        office.remove().unwrap();
    });
}

#[test]
fn a_transaction_may_set_every_value() {
    on_each(|world| {
        let office = world.office();
        let all: Result<()> = office.transaction(|change| {
            change.update(&office.board, |_| {})?;
            for row in office.ledger.rows() {
                change.update(&row, |row| row.stock = 4)?;
            }
            Ok(())
        });
        all.unwrap();
        assert!(office.ledger.rows().all(|row| row.read().stock == 4));
        office.remove().unwrap();
    });
}

#[test]
fn counters_count_and_events_wake() {
    on_each(|world| {
        let office = world.office();
        assert_eq!(office.trades.add(2).unwrap(), 7);
        assert_eq!(office.trades.get(), 9);
        let mut waiter = world.actor("waits for the bell");
        let mut watcher = world.actor("waits for a change");
        std::thread::sleep(Duration::from_millis(50));
        office.bell.notify().unwrap();
        assert_eq!(waiter.hear("heard"), "1");
        office.board.update(|board| board[0].stock = 5).unwrap();
        assert_eq!(watcher.hear("saw"), "5");
        assert!(office.bell.wait(1, Some(Duration::from_millis(5))).unwrap_err().is_timeout());
        assert_eq!(office.bell.spin(0, Duration::from_secs(1)).unwrap(), 1);
        office.remove().unwrap();
    });
}

#[test]
fn an_observer_sees_all_and_changes_nothing() {
    on_each(|world| {
        let office = world.office();
        let observer = world.at::<crate::house::Office>(KEY).observe().unwrap();
        assert_eq!(office.participants().len(), 1, "an observer does not join");
        assert_eq!(observer.board.read(), [START; 4]);
        assert_eq!(observer.snapshot(|at| at.get(&observer.board)).unwrap(), [START; 4]);
        for refused in [
            observer.board.update(|_| ()).unwrap_err(),
            observer.trades.add(1).unwrap_err(),
            observer.bell.notify().unwrap_err(),
            observer.door.lock().unwrap_err(),
        ] {
            assert_eq!(*refused.kind(), ErrorKind::ReadOnly, "{refused}");
        }
        let late = observer.board.wait_while(|_| true, Some(Duration::from_millis(5)));
        assert!(late.unwrap_err().is_timeout());
        office.remove().unwrap();
    });
}

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Data {
    a: i32,
    b: f64,
    x: u8,
}

#[test]
fn padding_text_and_odd_sizes_cross() {
    on_each(|world| {
        let data = Data { a: -1, b: 2.5, x: b'x' };
        let region = world.at::<Data>(KEY).create(|| data).unwrap();
        assert_eq!(region.read(), data);
        region.update(|data| data.x = b'y').unwrap();
        assert_eq!(region.read(), Data { x: b'y', ..data });
        region.remove().unwrap();

        let note = world.at::<Text<13>>(KEY).create(|| "milk".into()).unwrap();
        note.set("thirteen byte".into()).unwrap();
        assert_eq!(note.read().to_string(), "thirteen byte");
        let look = coseg::Inspection::of(note.segment()).unwrap();
        assert_eq!(look.get("").unwrap(), Value::Text("thirteen byte".into()));
        note.remove().unwrap();
    });
}
