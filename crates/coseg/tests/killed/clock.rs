//! A clock that is the same in every run.
//!
//! How long a traced process has waited depends on its tracer, what it does must not: with the clock set, every look
//! at one that counts from the start is some milliseconds after the last, and the time of day stands still. That is asked for by
//! a system call all the same, which a tracer comes to quickly.
#![allow(unsafe_code, reason = "stands in for the C library's function in this program")]

use std::cell::Cell;

const STEP_NS: i64 = 5_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// What the time of day is then, in seconds since 1970.
const TODAY_S: i64 = 2_000_000_000;

thread_local! {
    static NEXT_NS: Cell<i64> = const { Cell::new(0) };
}

/// From here on, each look of the calling thread finds it `STEP_NS` later.
pub(crate) fn set() {
    NEXT_NS.set(1000 * SECOND_NS);
}

/// Sets the clock only for what `act` does.
pub(crate) fn set_for<T>(act: impl FnOnce() -> T) -> T {
    set();
    let done = act();
    NEXT_NS.set(0);
    done
}

#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let now = NEXT_NS.get();
    if matches!(clock, libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME)
        && now != 0
    {
        NEXT_NS.set(now + STEP_NS);
        let told = libc::timespec { tv_sec: now / SECOND_NS, tv_nsec: now % SECOND_NS };
        // SAFETY: the caller's place for the answer.
        unsafe { time.write(told) };
        return 0;
    }
    // SAFETY: the kernel checks both.
    let done = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if done == 0 && now != 0 {
        // SAFETY: the kernel has just written there.
        unsafe { time.write(libc::timespec { tv_sec: TODAY_S, tv_nsec: 0 }) };
    }
    if done == 0 { 0 } else { -1 }
}
