//! What is asked of the kernel: sleep and wake, a barrier on all others, the clock.
#![allow(unsafe_code, reason = "system calls")]

use std::time::Duration;

#[cfg(not(coseg_model))]
pub(crate) use real::{
    accept_barriers, barrier_before_look, barrier_before_sleep, barrier_if, needs_barrier, wait, wake,
};

#[cfg(coseg_crowd)]
pub(crate) use modelled::no_sleep_lasts;
#[cfg(all(coseg_model, test))]
pub(crate) use modelled::{RELIED_ON, be_interrupted};
#[cfg(coseg_model)]
pub(crate) use modelled::{
    accept_barriers, barrier_before_look, barrier_before_sleep, barrier_if, needs_barrier, wait, wake,
};

/// A descriptor that is readable once 8 bytes were written to it, and not after they were read.
#[cfg(feature = "async")]
pub(crate) fn event_descriptor() -> std::io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes no memory.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
}

/// A descriptor as the runtime of the calling task polls it for reading.
#[cfg(feature = "async")]
pub(crate) fn polled(
    fd: std::os::fd::OwnedFd,
) -> std::io::Result<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    // SAFETY: an owned descriptor is open, and the same one, for as long as it is owned.
    let polled =
        unsafe { tokio::io::unix::AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE) };
    Ok(polled?)
}

/// Nanoseconds that never go back.
pub(crate) fn monotonic_ns() -> u64 {
    u64::try_from(clock(libc::CLOCK_MONOTONIC).as_nanos()).unwrap_or(u64::MAX)
}

/// The same as of the kernel's last tick: cheaper to ask for.
pub(crate) fn coarse_ns() -> u64 {
    u64::try_from(clock(libc::CLOCK_MONOTONIC_COARSE).as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970.
pub(crate) fn unix_ns() -> u64 {
    u64::try_from(clock(libc::CLOCK_REALTIME).as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since the machine started, which nobody sets.
pub(crate) fn boot_ns() -> u64 {
    u64::try_from(clock(libc::CLOCK_BOOTTIME).as_nanos()).unwrap_or(u64::MAX)
}

fn clock(which: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the local.
    unsafe { libc::clock_gettime(which, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sleep, wake and barriers.
#[cfg(not(coseg_model))]
mod real {
    use std::sync::atomic::{AtomicBool, compiler_fence};
    use std::time::Duration;

    use crate::sync::{AtomicU32, Ordering, fence};

    /// Sleeps while `word` is `expected`, at most for `timeout`; whether it was woken, or the word was another.
    pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> bool {
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the word is mapped memory and the time a local; the kernel keeps neither.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const time)
        };
        woken == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ETIMEDOUT)
    }

    /// Wakes up to `count` of those who sleep on `word`.
    pub(crate) fn wake(word: &AtomicU32, count: i32) {
        // SAFETY: the address is only a name here; nothing is written.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    }

    /// A store, then a load, may be seen by others the other way round. Two processes that each write and then look
    /// need a barrier on both sides; one of them does so millions of times a second, the other only before it sleeps.
    /// So the second makes the kernel execute the barrier of both.
    const REGISTER: libc::c_int = 4;
    const BARRIER: libc::c_int = 2;

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: takes and touches no memory.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    static REGISTERED: AtomicBool = AtomicBool::new(false);

    /// Lets others put barriers on this process. Called once by each process that joins a region.
    pub(crate) fn accept_barriers() {
        if !REGISTERED.load(Ordering::Relaxed) && membarrier(REGISTER) {
            REGISTERED.store(true, Ordering::Relaxed);
        }
    }

    /// The side that happens often: nothing, where the others' barrier counts for this process too.
    #[inline]
    pub(crate) fn barrier_before_look() {
        barrier_if(needs_barrier());
    }

    /// Whether the others' barrier does not count for this process: once it does, it does for ever.
    #[inline]
    pub(crate) fn needs_barrier() -> bool {
        !REGISTERED.load(Ordering::Relaxed)
    }

    /// The same as [`barrier_before_look`], for who knows already.
    #[inline(always)]
    pub(crate) fn barrier_if(needed: bool) {
        if needed {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence(Ordering::SeqCst);
        }
    }

    /// The side that happens seldom. False: the kernel refuses, so that a wake-up may be missed.
    pub(crate) fn barrier_before_sleep() -> bool {
        fence(Ordering::SeqCst);
        membarrier(BARRIER)
    }
}

/// The same for a model checker, which knows no kernel: a sleep ends by a wake-up only, so that one that is lost shows
/// as a deadlock.
#[cfg(coseg_model)]
mod modelled {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::time::Duration;

    #[cfg(coseg_crowd)]
    use crate::mortal::unharmed;
    use crate::sync::checker::lazy_static;
    use crate::sync::checker::sync::{Condvar, Mutex};
    use crate::sync::{AtomicU32, Ordering, fence};

    thread_local! {
        /// Whether those who look execute no barrier, and rely on that of those who sleep.
        pub(crate) static RELIED_ON: Cell<bool> = const { Cell::new(false) };
    }

    /// A barrier that all threads are to execute, of which one looks: at some place of its own, before the barrier ends.
    #[derive(Default)]
    struct Barriers {
        wanted: u32,
        executed: u32,
        /// Who looks does nothing more.
        is_over: bool,
    }

    #[derive(Default)]
    struct Sleepers {
        next: u64,
        asleep: VecDeque<(usize, u64)>,
        #[cfg(coseg_crowd)]
        none_lasts: bool,
    }

    lazy_static! {
        static ref BARRIERS: Mutex<Barriers> = Mutex::new(Barriers::default());
        static ref EXECUTED: Condvar = Condvar::new();
        static ref SLEEPERS: Mutex<Sleepers> = Mutex::new(Sleepers::default());
        static ref WOKEN: Condvar = Condvar::new();
    }

    /// Nobody dies inside the kernel.
    #[cfg(not(coseg_crowd))]
    fn unharmed<R>(act: impl FnOnce() -> R) -> R {
        act()
    }

    pub(crate) fn wait(word: &AtomicU32, expected: u32, _timeout: Duration) -> bool {
        let address = std::ptr::from_ref(word).addr();
        let mut sleepers = SLEEPERS.lock().unwrap();
        if unharmed(|| word.load(Ordering::Relaxed)) != expected {
            return true;
        }
        #[cfg(coseg_crowd)]
        if sleepers.none_lasts {
            drop(sleepers);
            crate::sync::checker::thread::yield_now();
            return false;
        }
        let own = (address, sleepers.next);
        sleepers.next += 1;
        sleepers.asleep.push_back(own);
        while sleepers.asleep.contains(&own) {
            sleepers = WOKEN.wait(sleepers).unwrap();
        }
        true
    }

    pub(crate) fn wake(word: &AtomicU32, count: i32) {
        let address = std::ptr::from_ref(word).addr();
        let mut sleepers = SLEEPERS.lock().unwrap();
        for _ in 0..count {
            let Some(at) = sleepers.asleep.iter().position(|(on, _)| *on == address) else { break };
            sleepers.asleep.remove(at);
        }
        WOKEN.notify_all();
    }

    /// Once somebody has died, who sleeps wakes by himself, as after a time-out.
    #[cfg(coseg_crowd)]
    pub(crate) fn no_sleep_lasts() {
        let mut sleepers = SLEEPERS.lock().unwrap();
        sleepers.none_lasts = true;
        sleepers.asleep.clear();
        WOKEN.notify_all();
    }

    pub(crate) fn accept_barriers() {}

    pub(crate) fn barrier_before_look() {
        barrier_if(needs_barrier());
    }

    pub(crate) fn needs_barrier() -> bool {
        !RELIED_ON.get()
    }

    pub(crate) fn barrier_if(needed: bool) {
        if needed {
            fence(Ordering::SeqCst);
        } else {
            be_interrupted(false);
        }
    }

    /// A place at which the one who looks executes the barriers of those who sleep; the last, if it is over.
    pub(crate) fn be_interrupted(is_over: bool) {
        let mut barriers = BARRIERS.lock().unwrap();
        barriers.is_over |= is_over;
        if barriers.executed != barriers.wanted || is_over {
            fence(Ordering::SeqCst);
            barriers.executed = barriers.wanted;
            EXECUTED.notify_all();
        }
    }

    pub(crate) fn barrier_before_sleep() -> bool {
        fence(Ordering::SeqCst);
        if RELIED_ON.get() {
            let mut barriers = BARRIERS.lock().unwrap();
            barriers.wanted += 1;
            let wanted = barriers.wanted;
            while barriers.executed < wanted && !barriers.is_over {
                barriers = EXECUTED.wait(barriers).unwrap();
            }
        }
        true
    }
}
