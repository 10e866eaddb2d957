//! Threads of one process that come at once, and children forked while they are in the middle of something.
#![allow(unsafe_code, reason = "forks")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::house::{Office, World, on_each};

const FORKS: usize = 60;

/// Forks a child that does as told, and ends it if it has not done so for long; whether it succeeded.
fn in_a_child(act: impl FnOnce() -> bool) -> bool {
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
