//! Shared words without any care for crashes, and the C library's locks: limits and peers.
#![allow(unsafe_code, reason = "the C library's locks, bare futex calls, and the page they lie in")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::Outcome;
use crate::calls::{Zeroes, futex_wait, futex_wake, shared};
use crate::turn::Control;

/// Versions the bare value keeps, as many as a cell.
const SLOT_COUNT: usize = 4;

/// What both processes see at the same place. What one contender uses lies in lines of its own.
#[repr(C)]
pub(super) struct Page {
    pub(super) control: Control,
    pub(super) shared: Door<Mutex>,
    pub(super) robust: Door<Mutex>,
    pub(super) rwlock: Door<RwLock>,
    pub(super) test_and_set: Door<TestAndSet>,
    pub(super) cas: Door<CasAndSwap>,
    pub(super) added: Line<AtomicU64>,
    /// What the lock of a region protects in this comparison.
    pub(super) ours: Line<AtomicU64>,
    pub(super) slots: Slots,
    pub(super) ping: Line<AtomicU32>,
    pub(super) pong: Line<AtomicU32>,
}

// SAFETY: zeroes are a value of every field, and all of them are made to be shared.
unsafe impl Zeroes for Page {}

/// Something in a line of its own.
#[repr(C, align(64))]
pub(super) struct Line<T>(pub(super) T);

/// A lock, and right behind it a number that it protects.
#[repr(C, align(64))]
pub(super) struct Door<L> {
    lock: L,
    count: AtomicU64,
}

/// What can be locked.
pub(super) trait Lockable {
    fn lock(&self);
    fn unlock(&self);
}

/// A mutex of the C library.
pub(super) struct Mutex(UnsafeCell<libc::pthread_mutex_t>);
/// A read-write lock of the C library.
pub(super) struct RwLock(UnsafeCell<libc::pthread_rwlock_t>);
/// One word, taken by exchanging it until it was free.
pub(super) struct TestAndSet(AtomicU32);
/// One word, taken by compare and exchange and given back by exchange; a futex for those who wait.
pub(super) struct CasAndSwap(AtomicU32);

// SAFETY: a process-shared mutex may be used by everybody at once.
unsafe impl Sync for Mutex {}
// SAFETY: as above.
unsafe impl Sync for RwLock {}

impl Page {
    /// A page that this process shares with those it will fork, for as long as they live.
    pub(super) fn new() -> Outcome<&'static Page> {
        let page: &Page = shared()?;
        page.shared.lock.initialise(false)?;
        page.robust.lock.initialise(true)?;
        page.rwlock.lock.initialise()?;
        Ok(page)
    }
}

impl<L: Lockable> Door<L> {
    #[inline]
    pub(super) fn pass(&self) {
        self.lock.lock();
        self.lock.unlock();
    }

    #[inline]
    pub(super) fn increment(&self) {
        self.lock.lock();
        bump(&self.count);
        self.lock.unlock();
    }
}

impl<L> Door<L> {
    pub(super) fn total(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

/// Adds one as to a plain number: what another adds in between is lost.
#[inline]
pub(super) fn bump(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn checked(call: &str, error: i32) -> Outcome {
    if error == 0 { Ok(()) } else { Err(format!("{call}: error {error}").into()) }
}

impl Mutex {
    fn initialise(&self, robust: bool) -> Outcome {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the local.
        let error = unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        checked("pthread_mutexattr_init", error)?;
        // SAFETY: initialised just now.
        let error = unsafe {
            libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED)
        };
        checked("pthread_mutexattr_setpshared", error)?;
        if robust {
            // SAFETY: as above.
            let error = unsafe {
                libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST)
            };
            checked("pthread_mutexattr_setrobust", error)?;
        }
        // SAFETY: nobody uses the mutex yet.
        let error = unsafe { libc::pthread_mutex_init(self.0.get(), attributes.as_ptr()) };
        checked("pthread_mutex_init", error)
    }
}

impl Lockable for Mutex {
    #[inline]
    fn lock(&self) {
        // SAFETY: initialised when the page was made.
        let error = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        assert_eq!(error, 0, "pthread_mutex_lock");
    }

    #[inline]
    fn unlock(&self) {
        // SAFETY: locked by this thread.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) };
    }
}

impl RwLock {
    fn initialise(&self) -> Outcome {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the local.
        let error = unsafe { libc::pthread_rwlockattr_init(attributes.as_mut_ptr()) };
        checked("pthread_rwlockattr_init", error)?;
        // SAFETY: initialised just now.
        let error = unsafe {
            libc::pthread_rwlockattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED)
        };
        checked("pthread_rwlockattr_setpshared", error)?;
        // SAFETY: nobody uses the lock yet.
        let error = unsafe { libc::pthread_rwlock_init(self.0.get(), attributes.as_ptr()) };
        checked("pthread_rwlock_init", error)
    }
}

impl Door<RwLock> {
    #[inline]
    pub(super) fn pass_to_read(&self) {
        // SAFETY: initialised when the page was made.
        let error = unsafe { libc::pthread_rwlock_rdlock(self.lock.0.get()) };
        assert_eq!(error, 0, "pthread_rwlock_rdlock");
        // SAFETY: locked by this thread.
        unsafe { libc::pthread_rwlock_unlock(self.lock.0.get()) };
    }

    #[inline]
    pub(super) fn pass_to_write(&self) {
        // SAFETY: initialised when the page was made.
        let error = unsafe { libc::pthread_rwlock_wrlock(self.lock.0.get()) };
        assert_eq!(error, 0, "pthread_rwlock_wrlock");
        // SAFETY: locked by this thread.
        unsafe { libc::pthread_rwlock_unlock(self.lock.0.get()) };
    }
}

impl Lockable for TestAndSet {
    #[inline]
    fn lock(&self) {
        while self.0.swap(1, Ordering::Acquire) != 0 {
            while self.0.load(Ordering::Relaxed) != 0 {
                std::hint::spin_loop();
            }
        }
    }

    #[inline]
    fn unlock(&self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Lockable for CasAndSwap {
    #[inline]
    fn lock(&self) {
        if self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.0.swap(2, Ordering::Acquire) != 0 {
                futex_wait(&self.0, 2, None);
            }
        }
    }

    #[inline]
    fn unlock(&self) {
        if self.0.swap(0, Ordering::Release) == 2 {
            futex_wake(&self.0);
        }
    }
}

/// A value in several versions, one writer: the least that a cell can do.
#[repr(C, align(64))]
pub(super) struct Slots {
    version: AtomicU64,
    slots: [Line<[AtomicU64; 8]>; SLOT_COUNT],
}

impl Slots {
    fn slot(&self, version: u64) -> &[AtomicU64; 8] {
        &self.slots[usize::try_from(version % SLOT_COUNT as u64).unwrap_or(0)].0
    }

    #[inline]
    pub(super) fn read(&self) -> [u64; 8] {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let slot = self.slot(version);
            let value = std::array::from_fn(|index| slot[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed).wrapping_sub(version) < SLOT_COUNT as u64 - 1 {
                return value;
            }
        }
    }

    #[inline]
    pub(super) fn write(&self, value: &[u64; 8]) {
        let next = self.version.load(Ordering::Relaxed) + 1;
        for (word, value) in self.slot(next).iter().zip(value) {
            word.store(*value, Ordering::Relaxed);
        }
        self.version.store(next, Ordering::Release);
        fence(Ordering::Release);
    }
}
