//! Threads of one process that come at once, and children forked while they are in the middle of something.
#![allow(unsafe_code, reason = "forks")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::house::{Office, World, on_each};

const FORKS: usize = 60;

/// Forks a child that does as told, and ends it if it has not done so for long; whether it succeeded.
pub(crate) fn in_a_child(act: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls only what is to be called in such a child, and ends with _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(false);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let since = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: asks for the child just made.
        if unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child {
            return status == 0;
        }
        if since.elapsed() > Duration::from_secs(20) {
            // SAFETY: ends the child just made, which has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: waits for it.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            eprintln!("the child hung");
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn again(world: &World) -> coseg::Region<Office> {
    world.at::<Office>(crate::house::KEY).open().unwrap()
}

#[test]
fn no_child_hangs_whatever_its_parents_threads_were_doing() {
    on_each(|world| {
        let office = world.office();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        drop(again(world));
                    }
                });
            }
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    office.take_recoveries();
                }
            });
            let all_done = (0..FORKS).all(|_| {
                let inherited = again(world);
                in_a_child(|| {
                    let shared = office.board.update(|board| board[0].stock += 1).is_ok();
                    let own = inherited.board.update(|board| board[1].stock += 1).is_ok();
                    office.take_recoveries();
                    drop(inherited);
                    drop(again(world));
                    shared && own
                })
            });
            over.store(true, Ordering::Relaxed);
            assert!(all_done);
        });
        office.remove().unwrap();
    });
}

#[test]
fn handles_opened_at_once_get_a_slot_each() {
    on_each(|world| {
        let office = world.office();
        for _ in 0..30 {
            let handles: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| again(world))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(office.participants().len(), 1 + handles.len());
            drop(handles);
            assert_eq!(office.participants().len(), 1);
        }
        office.remove().unwrap();
    });
}

#[derive(coseg::Region)]
struct Desk {
    door: coseg::Lock,
    orders: coseg::Channel<u64, coseg::OneToOne<8>>,
    jobs: coseg::Channel<u64, coseg::Queue<8>>,
}

#[test]
fn a_name_of_the_dead_is_given_to_nobody_while_something_bears_it() {
    // From FORMAT.md: the generation of the second slot, and how many an owner's word tells apart.
    const GENERATION: usize = 384 + 128 + 8;
    const GENERATIONS: u32 = 1 << 20;
    on_each(|world| {
        let key = crate::house::KEY;
        let desk = world.at::<Desk>(key).participants(2).create(DeskInitial::default).unwrap();
        desk.jobs.sender().unwrap().send(&5).unwrap();
        let open = || world.at::<Desk>(key).open().unwrap();
        assert!(in_a_child(|| {
            let own = open();
            std::mem::forget((own.door.lock().unwrap(), own.orders.sender().unwrap()));
            let mut jobs = own.jobs.receiver().unwrap();
            std::mem::forget(jobs.hold().unwrap());
            std::mem::forget((own, jobs));
            true
        }));
        let memory = desk.segment().attach().unwrap();
        // As if the slot had been taken so often that its generations began again.
        memory.write(GENERATION, &(GENERATIONS - 1).to_ne_bytes()).unwrap();
        drop(open());
        let next = open();
        assert_eq!(next.participants()[1].generation, 2, "1 has died and holds the door");
        let guard = desk.door.lock_timeout(Duration::from_secs(5)).unwrap();
        assert!(matches!(guard.acquired(), coseg::Acquired::Recovered(_)));
        desk.orders.sender().unwrap();
        assert_eq!(desk.jobs.receiver().unwrap().receive_timeout(Duration::from_secs(5)).unwrap(), 5);
        // The second gets the end of the dead.
        drop((desk.jobs.receiver().unwrap(), desk.jobs.receiver().unwrap()));
        drop((guard, next));

        memory.write(GENERATION, &u32::MAX.to_ne_bytes()).unwrap();
        drop(open());
        assert_eq!(open().participants()[1].generation, 1, "nobody has left anything");
        desk.remove().unwrap();
    });
}
