//! What a peer may do: stall whoever takes a lock. Who is stalled sleeps, and goes on as soon as he can.

use std::time::Duration;

use coseg_sysv::{Mode, Segment};

use crate::world::{KEY, Office, at, initial, on_each};

/// The region's own lock, and where its owner stands.
const LOCK: usize = 192;
const GENERATION_OF_SLOT_0: usize = 384 + 8;

#[test]
fn who_waits_for_a_forged_owner_sleeps() {
    on_each(|world| {
        for role in ["updates", "locks", "reads", "writes"] {
            let office = world.office();
            let mut victim = world.actor(role, 0);
            victim.hear("joined");
            let memory = office.segment().attach().unwrap();
            let mut generation = [0; 4];
            memory.read(GENERATION_OF_SLOT_0, &mut generation).unwrap();
            // This process lives, and it is said to hold everything; nobody's turn ever comes.
            let owner = 1 | u32::from_ne_bytes(generation) << 12;
            let parts = &office.schema().parts;
            let locks: Vec<usize> = [LOCK].into_iter().chain([3, 4].map(|part| parts[part].offset)).collect();
            for lock in &locks {
                memory.write(*lock, &owner.to_ne_bytes()).unwrap();
                memory.write(lock + 8, &u32::MAX.to_ne_bytes()).unwrap();
            }
            victim.tell("go");
            victim.hear("waits");
            let before = victim.busy();
            std::thread::sleep(Duration::from_millis(250));
            let used = victim.busy() - before;
            assert!(used < Duration::from_millis(80), "{role}: busy for {used:?} of 250 ms");
            assert!(victim.runs(), "{role}");
            for lock in &locks {
                memory.write(*lock, &[0; 4]).unwrap();
            }
            victim.hear("enough");
            victim.end();
            office.remove().unwrap();
        }
    });
}

#[test]
fn an_observer_holds_up_nobody() {
    on_each(|world| {
        let office = at::<Office>(&world.backend).mode(Mode::new(0o644)).create(initial).unwrap();
        let observer = at::<Office>(&world.backend).mode(Mode::new(0o644)).observe().unwrap();
        let attached = Segment::options(KEY).open(&world.backend).unwrap().attach_read_only().unwrap();
        let refused = attached.write(LOCK, &[0xff; 8]).unwrap_err();
        assert_eq!(refused.errno(), coseg_sysv::Errno::EACCES);
        for (what, error) in [
            ("update", observer.board.update(|_| ()).unwrap_err()),
            ("set a row", observer.ledger.update(0, |_| ()).unwrap_err()),
            ("lock", observer.door.lock_timeout(Duration::ZERO).unwrap_err()),
            ("read a lock", observer.files.read_timeout(Duration::ZERO).unwrap_err()),
            ("notify", observer.bell.notify().unwrap_err()),
            ("add", observer.trades.add(1).unwrap_err()),
        ] {
            assert_eq!(*error.kind(), coseg::ErrorKind::ReadOnly, "{what}: {error}");
        }
        std::thread::scope(|scope| {
            // One who reads and waits all the time.
            let reader = scope.spawn(|| {
                let seen =
                    observer.board.wait_while(|board| board[0].stock < 3000, Some(Duration::from_secs(20)));
                seen.unwrap()[0].stock
            });
            for _ in 0..2000 {
                office.board.update(|board| board[0].stock += 1).unwrap();
                drop(office.files.write_timeout(Duration::from_secs(1)).unwrap());
            }
            assert_eq!(reader.join().unwrap(), 3000);
        });
        assert_eq!(observer.participants().len(), 1, "who observes does not join");
        office.remove().unwrap();
    });
}

#[test]
fn made_up_deaths_fill_no_memory() {
    on_each(|world| {
        let office = world.office();
        let memory = office.segment().attach().unwrap();
        let door = office.schema().parts[3].offset;
        for _ in 0..1000 {
            // Of a slot that nobody has taken.
            memory.write(door, &5_u32.to_ne_bytes()).unwrap();
            let guard = office.door.try_lock().unwrap().expect("its owner is dead");
            assert!(matches!(guard.acquired(), coseg::Acquired::Recovered(_)));
        }
        assert_eq!(office.take_recoveries().len(), 256);
        assert!(office.take_recoveries().is_empty());
        office.remove().unwrap();
    });
}
