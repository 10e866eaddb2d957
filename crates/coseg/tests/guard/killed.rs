//! Killed at one instruction or another while values may be written; at each of them with `COSEG_LONG=1`.
#![allow(unsafe_code, reason = "traces a process")]
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "elsewhere there are no keys"))]

use coseg::{Region, RegionOptions};

use crate::house::Office;

/// Sets two values, traced.
pub(crate) fn set(office: RegionOptions<Office>, number: u64) {
    let office = office.write_guard(true).open().unwrap();
    // SAFETY: to be traced by the parent, who waits for just that.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
    // SAFETY: a signal to this thread.
    unsafe { libc::raise(libc::SIGSTOP) };
    set_both(&office, number);
}

fn set_both(office: &Region<Office>, number: u64) {
    office
        .transaction(|change| {
            change.set(&office.board, [number; 4])?;
            change.set(&office.ledger.row(7)?, [number; 2])
        })
        .unwrap();
}

#[cfg(target_arch = "x86_64")]
mod traced {
    use std::process::{Child, Stdio};

    use super::*;
    use crate::house::with_keys;

    /// A process of which a thread is single-stepped.
    struct Victim {
        process: Child,
        thread: libc::pid_t,
    }

    impl Victim {
        /// Waits until the thread asks to be traced, which may be any of the process.
        fn new(process: Child) -> Victim {
            let mut status = 0;
            // SAFETY: the status is a local.
            let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            assert!(libc::WIFSTOPPED(status), "it ended with status {status:#x}");
            Victim { process, thread }
        }

        /// Waits until the thread is stopped. False: it has ended.
        fn is_stopped(&self) -> bool {
            let mut status = 0;
            // SAFETY: the status is a local.
            let waited = unsafe { libc::waitpid(self.thread, &raw mut status, libc::__WALL) };
            waited == self.thread && libc::WIFSTOPPED(status)
        }

        fn kill(mut self) {
            self.process.kill().unwrap();
            while self.is_stopped() {}
            self.process.wait().unwrap();
        }

        fn step(&self) -> bool {
            // SAFETY: the process is ours and stopped.
            assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.thread, 0, 0) }, 0);
            self.is_stopped()
        }

        /// What the next instruction would make of the thread's rights, if it is WRPKRU.
        fn next_rights(&self) -> Option<u32> {
            // SAFETY: zeroes are a valid value of it.
            let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
            // SAFETY: fills the local.
            unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.thread, 0, &raw mut registers) };
            // SAFETY: reads the other process's memory.
            let code = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, self.thread, registers.rip, 0) };
            let wrpkru = code.to_le_bytes().starts_with(&[0x0f, 0x01, 0xef]);
            wrpkru.then(|| u32::try_from(registers.rax & 0xffff_ffff).unwrap())
        }
    }

    /// How it ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum End {
        /// Killed while it could write values.
        Killed,
        /// It came to its end before.
        Own,
    }

    /// Runs a process to the `nth` instruction that it executes while it can write values, and kills it there.
    fn kill(victim: Victim, nth: usize) -> End {
        let (mut open, mut opened, mut steps) = (false, 0, 0);
        // Both values and the commit have their own.
        while opened < 3 || open {
            if let Some(rights) = victim.next_rights() {
                // The key's bit that forbids to write: no other key is in use.
                open = rights & 0xaaaa_aaa8 == 0;
                opened += usize::from(open);
            }
            if open && steps == nth {
                victim.kill();
                return End::Killed;
            }
            steps += usize::from(open);
            assert!(victim.step(), "it opened {opened} times");
        }
        victim.kill();
        End::Own
    }

    #[test]
    fn whoever_is_killed_with_the_guard_open_harms_nobody() {
        with_keys(|world| {
            let office = world.guarded();
            // Steps are slow on an emulated CPU.
            let every = if std::env::var_os("COSEG_LONG").is_some() { 1 } else { 3 };
            let (mut nth, mut old_count, mut new_count, mut recovery_count) = (0, 0, 0, 0);
            loop {
                let (old, new) = (2 * nth as u64, 2 * nth as u64 + 1);
                set_both(&office, old);
                let mut command = world.play(&format!("sets {new}"));
                let victim = Victim::new(command.stdout(Stdio::null()).spawn().unwrap());
                let end = kill(victim, nth);
                if end == End::Own {
                    break;
                }
                // Others read at once and wait for nobody; the next change is told of the death.
                let before = office.board.read();
                office.board.update(|_| ()).unwrap();
                let after = (office.board.read(), office.ledger.read(7).unwrap());
                assert!(before == [old; 4] || before == [new; 4], "{before:?}");
                assert!(after == ([old; 4], [old; 2]) || after == ([new; 4], [new; 2]), "{after:?} at {nth}");
                if after.1 == [old; 2] {
                    old_count += 1
                } else {
                    new_count += 1
                }
                recovery_count += office.take_recoveries().len();
                nth += every;
            }
            println!(
                "of {nth} instructions: {old_count} kills left the old values, {new_count} the new ones"
            );
            assert!(old_count > 0 && new_count > 0);
            assert_eq!(recovery_count, old_count + new_count, "each had the lock");
            office.remove().unwrap();
        });
    }
}
