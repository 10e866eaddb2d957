//! Locks: exclusion, order, time-outs.

use std::time::{Duration, Instant};

use coseg::{Acquired, ErrorKind};

use crate::house::on_each;

#[test]
fn a_lock_excludes_and_gives_up_in_time() {
    on_each(|world| {
        let office = world.office();
        let mut holder = world.actor("holds the door");
        holder.hear("held");
        assert!(office.door.try_lock().unwrap().is_none());
        let since = Instant::now();
        let late = office.door.lock_timeout(Duration::from_millis(60)).unwrap_err();
        assert!(late.is_timeout() && since.elapsed() >= Duration::from_millis(60), "{late}");
        assert!(late.to_string().contains("holds the door (pid "), "names the holder: {late}");
        holder.tell("go");
        let guard = office.door.lock().unwrap();
        assert_eq!(*guard.acquired(), Acquired::Clean);
        drop(guard);
        assert!(office.door.try_lock().unwrap().is_some());
        office.remove().unwrap();
    });
}

#[test]
fn changes_give_up_in_time_and_name_who_is_in_the_way() {
    const SHORT: Duration = Duration::from_millis(40);
    const LONG: Duration = Duration::from_secs(10);
    on_each(|world| {
        let office = world.office();
        let mut other = world.actor("stays in a transaction");
        other.hear("within");
        let row = office.ledger.row(0).unwrap();
        let never = |_: &mut _| panic!("nothing is changed without the lock");
        for attempt in [
            &|| office.board.update_timeout(SHORT, |board| never(&mut board[0])),
            &|| row.update_timeout(SHORT, never),
            &|| office.transaction_timeout(SHORT, |_| -> coseg::Result<()> { panic!("nor begun") }),
        ] as [&dyn Fn() -> coseg::Result<()>; 3]
        {
            let since = Instant::now();
            let late = attempt().unwrap_err();
            assert_eq!(*late.kind(), ErrorKind::TimedOut, "{late}");
            assert!(since.elapsed() >= SHORT, "{late}");
            assert!(late.to_string().contains("stays in a transaction (pid "), "names the holder: {late}");
        }
        other.tell("go");
        office.board.update_timeout(LONG, |board| board[1].stock = 2).unwrap();
        row.update_timeout(LONG, |row| row.stock = 3).unwrap();
        let sum = office.transaction_timeout(LONG, |all| {
            let sum = all.get(&row).stock + all.get(&office.board)[1].stock;
            all.update(&row, |row| row.stock = sum)?;
            Ok::<_, coseg::Error>(sum)
        });
        assert_eq!((sum.unwrap(), row.read().stock), (5, 5));
        office.remove().unwrap();
    });
}

#[test]
fn a_thread_does_not_wait_for_itself() {
    on_each(|world| {
        let office = world.office();
        let _window = office.window.lock().unwrap();
        let again = office.window.lock().unwrap_err();
        assert_eq!(*again.kind(), ErrorKind::WouldDeadlock, "{again}");
        drop(office.door.lock().unwrap());
        let mut holder = world.actor("holds the door");
        holder.hear("held");
        let out_of_order = office.door.lock().unwrap_err();
        assert_eq!(*out_of_order.kind(), ErrorKind::WouldDeadlock, "{out_of_order}");
        holder.tell("go");
        office
            .board
            .update(|_| {
                let within = office.board.update(|_| ()).unwrap_err();
                assert_eq!(*within.kind(), ErrorKind::WouldDeadlock, "{within}");
                assert_eq!(office.board.read().len(), 4, "reading is always allowed");
            })
            .unwrap();
        // Another thread may wait for what this one holds.
        std::thread::scope(|scope| {
            let other = scope.spawn(|| office.window.lock_timeout(Duration::from_millis(5)).unwrap_err());
            assert!(other.join().unwrap().is_timeout());
        });
        office.remove().unwrap();
    });
}

#[test]
fn readers_share_and_writers_do_not() {
    on_each(|world| {
        let office = world.office();
        let mut reader = world.actor("reads the files");
        reader.hear("held");
        let own = office.files.read().unwrap();
        let late = std::thread::scope(|scope| {
            scope.spawn(|| office.files.write_timeout(Duration::from_millis(30)).unwrap_err()).join().unwrap()
        });
        assert!(late.is_timeout() && late.to_string().contains("was reading"), "{late}");
        drop(own);
        reader.tell("go");
        drop(office.files.write().unwrap());

        let mut writer = world.actor("writes the files");
        writer.hear("held");
        let late = office.files.read_timeout(Duration::from_millis(30)).unwrap_err();
        assert!(late.is_timeout() && late.to_string().contains("writes the files"), "{late}");
        writer.tell("go");
        drop(office.files.read().unwrap());
        office.remove().unwrap();
    });
}

#[test]
fn none_of_eight_waiters_starves() {
    on_each(|world| {
        let office = world.office();
        let until = Instant::now() + Duration::from_millis(400);
        let counts: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut count = 0;
                        while Instant::now() < until {
                            let _guard = office.door.lock().unwrap();
                            std::thread::sleep(Duration::from_micros(100));
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let total: u64 = counts.iter().sum();
        assert!(counts.iter().all(|&count| count * 8 * 10 >= total), "{counts:?}");
        office.remove().unwrap();
    });
}
