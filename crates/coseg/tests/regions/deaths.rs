//! What survivors see after a death, a stop, a fork or an exec at a chosen place. Every place is tried elsewhere.
#![allow(unsafe_code, reason = "forks and signals")]

use std::time::{Duration, Instant};

use coseg::{Acquired, Error, Inspection, Settled};

use crate::house::{Actor, START, on_each};

#[test]
fn who_died_with_a_lock_is_told() {
    on_each(|world| {
        let office = world.office();
        let mut holder = world.actor("holds the door");
        holder.hear("held");
        let pid = holder.child.id();
        holder.kill();
        let since = Instant::now();
        let guard = office.door.lock().unwrap();
        assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
        let Acquired::Recovered(recovery) = guard.acquired() else { panic!("{guard:?}") };
        let who = recovery.participant.as_ref().unwrap();
        assert_eq!((who.pid, who.name.as_str(), recovery.lock.as_str()), (pid, "holds the door", "door"));
        assert_eq!(office.take_recoveries().len(), 1);
        office.remove().unwrap();
    });
}

#[test]
fn a_change_dies_with_its_process() {
    on_each(|world| {
        for role in ["stays in an update", "stays in a transaction"] {
            let office = world.office();
            let mut victim = world.actor(role);
            victim.hear("within");
            assert_eq!(office.board.read(), [START; 4], "reads do not wait");
            victim.kill();
            office.board.update(|board| board[1].stock = 8).unwrap();
            assert_eq!(office.board.read()[0], START);
            let recoveries = office.take_recoveries();
            assert_eq!(recoveries[0].settled, Settled::Nothing);
            assert_eq!(recoveries[0].participant.as_ref().unwrap().name, role);
            office.remove().unwrap();
        }
    });
}

/// Stops a child, and waits until it does nothing more.
fn stop(actor: &Actor) {
    let pid = i32::try_from(actor.child.id()).unwrap();
    // SAFETY: sends a signal to the actor.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    // SAFETY: the kernel writes nothing.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WUNTRACED) };
}

#[test]
fn a_stopped_writer_keeps_no_reader_waiting() {
    on_each(|world| {
        let office = world.office();
        let mut writer = world.actor("stays in a transaction");
        writer.hear("within");
        stop(&writer);
        let row = office.ledger.row(1).unwrap();
        let since = Instant::now();
        for _ in 0..1000 {
            let both = office.snapshot(|at| Ok::<_, Error>((at.get(&office.board)?, at.get(&row)?))).unwrap();
            assert_eq!(both, ([START; 4], START));
        }
        assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
        office.remove().unwrap();
    });
}

#[test]
fn a_dead_reader_keeps_no_writer_out() {
    on_each(|world| {
        let office = world.office();
        let mut reader = world.actor("reads the files");
        reader.hear("held");
        reader.kill();
        let since = Instant::now();
        drop(office.files.write().unwrap());
        assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());

        let mut writer = world.actor("writes the files");
        writer.hear("held");
        writer.kill();
        let guard = office.files.read().unwrap();
        assert!(matches!(guard.acquired(), Acquired::Recovered(_)));
        office.remove().unwrap();
    });
}

#[test]
fn who_has_no_time_inherits_from_the_dead_all_the_same() {
    on_each(|world| {
        let office = world.office();
        let mut holder = world.actor("holds the door");
        holder.hear("held");
        assert!(office.door.lock_timeout(Duration::ZERO).unwrap_err().is_timeout(), "it lives");
        holder.kill();
        let guard = office.door.lock_timeout(Duration::ZERO).unwrap();
        assert!(matches!(guard.acquired(), Acquired::Recovered(_)));
        drop(guard);
        office.remove().unwrap();
    });
}

/// Who has waited for long is the next to get it, and then does not come.
#[test]
fn the_turn_of_the_dead_and_of_the_stopped_keeps_a_free_lock_from_nobody() {
    on_each(|world| {
        let office = world.office();
        for is_killed in [true, false] {
            let held = office.door.lock().unwrap();
            let mut next = world.actor("holds the door");
            let waits = || {
                Inspection::of(office.segment())
                    .unwrap()
                    .locks()
                    .iter()
                    .any(|lock| !lock.waiter_slots.is_empty())
            };
            while !waits() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(50));
            if is_killed {
                next.kill()
            } else {
                stop(&next)
            }
            drop(held);
            let tries = (0..1000).position(|_| {
                std::thread::sleep(Duration::from_millis(1));
                office.door.lock_timeout(Duration::ZERO).is_ok()
            });
            assert!(
                tries.is_some_and(|tries| tries < if is_killed { 1 } else { 1000 }),
                "{is_killed}: {tries:?}"
            );
        }
        office.remove().unwrap();
    });
}

#[test]
fn a_replaced_program_has_let_go() {
    on_each(|world| {
        let office = world.office();
        let mut actor = world.actor("replaces its program");
        actor.hear("held");
        assert!(office.door.lock_timeout(Duration::from_millis(150)).unwrap_err().is_timeout());
        actor.tell("go");
        let guard = office.door.lock_timeout(Duration::from_secs(5)).unwrap();
        assert!(matches!(guard.acquired(), Acquired::Recovered(_)), "the same pid, another program");
        assert!(actor.child.try_wait().unwrap().is_none(), "it still runs");
        office.remove().unwrap();
    });
}

#[test]
fn a_half_made_region_is_finished_by_the_next() {
    on_each(|world| {
        let mut maker = world.actor("dies making it");
        maker.hear("making");
        let waits = world.at::<crate::house::Office>(crate::house::KEY);
        std::thread::scope(|scope| {
            let opened = scope.spawn(|| waits.open_or_create(crate::house::OfficeInitial::default));
            std::thread::sleep(Duration::from_millis(50));
            maker.kill();
            opened.join().unwrap().unwrap();
        });
        let office = world.office();
        assert_eq!(office.board.read()[0].stock, 0, "as the second began it");
        office.remove().unwrap();
    });
}

#[test]
fn who_gives_up_making_a_region_leaves_it_to_the_next() {
    on_each(|world| {
        let options = || world.at::<[u64; 64]>(crate::house::KEY);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            options().open_or_create(|| panic!("while it is being made"))
        }));
        panicked.unwrap_err();
        let region = options().open_or_create(|| [3; 64]).unwrap();
        assert_eq!(region.read(), [3; 64]);
        region.remove().unwrap();
    });
}

#[test]
fn deaths_are_seen_across_pid_namespaces_or_joining_is_refused() {
    on_each(|world| {
        let office = world.office();
        let mut holder = world.actor_apart("holds the door");
        if world.backend.name() == "kernel" {
            let refused = holder.hear("refused");
            assert!(refused.contains("another PID namespace"), "{refused}");
            office.remove().unwrap();
            return;
        }
        holder.hear("held");
        assert!(office.door.lock_timeout(Duration::from_millis(250)).unwrap_err().is_timeout(), "it lives");
        assert_eq!(office.participants()[1].alive, Some(true));
        holder.kill();
        let guard = office.door.lock_timeout(Duration::from_secs(5)).unwrap();
        assert!(matches!(guard.acquired(), Acquired::Recovered(_)));
        office.remove().unwrap();
    });
}

#[test]
fn a_child_forked_within_a_change_does_not_finish_it() {
    on_each(|world| {
        let office = world.office();
        let row = office.ledger.row(0).unwrap();
        for through_row in [false, true] {
            let mut child = -1;
            let change = |child: &mut i32| {
                // SAFETY: the child calls only what the test's own thread was calling, and ends with _exit.
                *child = unsafe { libc::fork() };
            };
            let done = if through_row {
                office.transaction(|both| {
                    both.update(&row, |row| row.stock = 1)?;
                    change(&mut child);
                    both.update(&office.board, |board| board[0].stock = 1)
                })
            } else {
                office.board.update(|_| change(&mut child))
            };
            if child == 0 {
                let refused = done.is_err_and(|error| *error.kind() == coseg::ErrorKind::Forked);
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(i32::from(!refused)) };
            }
            done.unwrap();
            let mut status = 0;
            // SAFETY: waits for the child just made.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
        office.remove().unwrap();
    });
}

#[test]
fn a_replaced_program_takes_back_what_it_held() {
    on_each(|world| {
        let office = world.office();
        let mut actor = world.actor("replaces itself");
        actor.hear("held");
        actor.tell("go");
        actor.hear("again");
        drop(office.door.lock_timeout(Duration::from_secs(5)).unwrap());
        office.remove().unwrap();
    });
}

#[test]
fn a_child_of_fork_has_its_own_place() {
    on_each(|world| {
        let office = world.office();
        let guard = office.door.lock().unwrap();
        // SAFETY: the child calls only what the test's own thread was calling, and ends with _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // Dropping the guard here must not open the parent's lock.
            drop(guard);
            let own = office.door.try_lock().is_ok_and(|taken| taken.is_none());
            let updated = office.board.update(|board| board[2].stock = 77).is_ok();
            let joined = office.participants().len() == 2;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!(own && updated && joined))) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
        drop(guard);
        assert_eq!(office.board.read()[2].stock, 77);
        drop(office.door.lock().unwrap());
        office.remove().unwrap();
    });
}
