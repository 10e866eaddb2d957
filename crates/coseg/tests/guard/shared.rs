//! What a guarded region is for: all that an unguarded one is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coseg::{Inspection, RegionOptions, Value};

use crate::house::{BOARD, Office, ROW, World, guarded_pages, initial, on_each, with_keys};

const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// A process that does its part in the region of another.
pub(crate) fn work(office: RegionOptions<Office>, how: &str) {
    let office = office.write_guard(how == "guarded").open().unwrap();
    office.bell.wait(0, LONG).unwrap();
    let row = office.ledger.row(2).unwrap();
    assert_eq!((office.board.read()[0], row.read()), (1, [ROW; 2]));
    office
        .transaction(|change| {
            change.set(&office.board, [2; 4])?;
            change.set(&row, [2; 2])
        })
        .unwrap();
    {
        let _door = office.door.lock().unwrap();
        let _files = office.files.write().unwrap();
        office.trades.add(1).unwrap();
    }
    for _ in 0..1000 {
        office.ledger.update(5, |row| row[1] += 1).unwrap();
    }
}

fn two_work(world: &World, first_guards: bool, second: &str) {
    let office = world.office().guardable(true).write_guard(first_guards).create(initial).unwrap();
    assert_eq!(guarded_pages().is_empty(), !first_guards);
    let mut other = world.play(second).spawn().unwrap();
    office.board.set([1; 4]).unwrap();
    office.bell.notify().unwrap();
    assert_eq!(office.board.wait_while(|board| board[0] == 1, LONG).unwrap(), [2; 4]);
    office.ledger.row(2).unwrap().wait_while(|row| row[0] != 2, LONG).unwrap();
    for _ in 0..1000 {
        office.ledger.update(5, |row| row[1] += 1).unwrap();
        let _door = office.door.lock().unwrap();
        let _files = office.files.read().unwrap();
    }
    assert!(other.wait().unwrap().success());
    assert_eq!(office.ledger.read(5).unwrap(), [ROW, ROW + 2000]);
    assert_eq!(office.trades.get(), 1);
    let both = office
        .snapshot(|at| Ok::<_, coseg::Error>((at.get(&office.board)?, at.get(&office.ledger.row(2)?)?)));
    assert_eq!(both.unwrap(), ([2; 4], [2; 2]));
    office.remove().unwrap();
    drop(office);
    assert!(guarded_pages().is_empty(), "pages go with the region");
}

#[test]
fn guardable_regions_work_without_a_guard() {
    on_each(|world| two_work(world, false, "works plain"));
}

#[test]
fn guarded_processes_work_with_guarded_and_plain_ones() {
    with_keys(|world| {
        two_work(world, true, "works guarded");
        two_work(world, true, "works plain");
        two_work(world, false, "works guarded");
    });
}

#[test]
fn threads_change_a_guarded_region_side_by_side() {
    with_keys(|world| {
        let go = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::channel::<coseg::Region<Office>>();
            let go = &go;
            // Older than the region, so without any right to its values at first.
            let older = scope.spawn(move || {
                let office = receive.recv().unwrap();
                while !go.load(Ordering::Relaxed) {}
                for _ in 0..5000 {
                    office.board.update(|board| board[0] += 1).unwrap();
                }
            });
            let office = world.guarded();
            send.send(office.share()).unwrap();
            go.store(true, Ordering::Relaxed);
            for _ in 0..5000 {
                office.board.update(|board| board[0] += 1).unwrap();
            }
            older.join().unwrap();
            assert_eq!(office.board.read(), [BOARD + 10_000, BOARD, BOARD, BOARD]);
            office.remove().unwrap();
        });
    });
}

#[test]
fn values_lie_in_pages_of_their_own() {
    on_each(|world| {
        let office = world.office().guardable(true).create(initial).unwrap();
        let schema = office.schema().clone();
        let values = |name: &str| {
            let part = schema.parts.iter().position(|part| part.name == name).unwrap();
            let after = schema.parts.get(part + 1).unwrap().offset;
            (schema.parts[part].offset + 64, after)
        };
        for (start, after) in [values("board"), values("ledger")] {
            assert!(start.is_multiple_of(4096), "{start}");
            assert!(after.is_multiple_of(4096) || (after + 64).is_multiple_of(4096), "{after}");
        }
        // It is looked into and changed as any other.
        let look = Inspection::join(office.segment()).unwrap();
        look.set("ledger[3][1]", "9", Duration::from_secs(5)).unwrap();
        look.set("board[2]", "8", Duration::from_secs(5)).unwrap();
        assert_eq!(look.get("ledger[3][1]").unwrap(), Value::Unsigned(9));
        assert_eq!((office.ledger.read(3).unwrap(), office.board.read()[2]), ([ROW, 9], 8));
        // Who only looks has nothing to guard, whatever the CPU.
        let seen = world.office().write_guard(true).observe().unwrap();
        assert_eq!(seen.board.read()[2], 8);
        office.remove().unwrap();
    });
}
