//! What a process keeps between calls: descriptors, and the lock that one thread at a time works under.
//!
//! Nothing here is needed for correctness after a kill: all of it can be lost at any instant. After a fork the
//! child notices by itself, handler or not, for its copy of a page reads as zero.
#![allow(unsafe_code, reason = "the page that tells a fork, and fork handlers")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::caller;

use super::file::{self, BlockedSignals, Fd, Meta};
use super::{fork, namespace};

/// Covers every section of every registry, so that no fork happens inside one.
static WORKING: Mutex<()> = Mutex::new(());

/// Null until first asked for; then a page whose first word is 1 in this process and 0 in a fork's child.
static TOKEN: AtomicPtr<u32> = AtomicPtr::new(std::ptr::null_mut());

/// The process whose descriptors are kept. Instead of the token, where the kernel cannot wipe a page.
static PID: AtomicI32 = AtomicI32::new(0);

/// Whether this process may have attachments, which a child of fork would have to count.
pub(super) static MAY_BE_ATTACHED: AtomicBool = AtomicBool::new(false);

/// Waits for this process's other threads to leave their sections.
pub(super) fn work() -> MutexGuard<'static, ()> {
    // A panic inside a section leaves nothing that the next one does not check.
    WORKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process is a fork's child that has not opened descriptors of its own yet.
pub(super) fn is_new_child() -> bool {
    let token = TOKEN.load(Ordering::Acquire);
    if token.is_null() {
        return PID.load(Ordering::Relaxed) != caller::pid();
    }
    // SAFETY: the page is never unmapped, and an atomic may be shared.
    unsafe { AtomicU32::from_ptr(token) }.load(Ordering::Relaxed) == 0
}

/// This process's id, without a call where it is known. A child of vfork is noted as its parent.
pub(super) fn pid() -> i32 {
    if is_new_child() { caller::pid() } else { PID.load(Ordering::Relaxed) }
}

/// Remembers that the descriptors are this process's own.
pub(super) fn settle_in() {
    PID.store(caller::pid(), Ordering::Relaxed);
    let mut token = TOKEN.load(Ordering::Relaxed);
    if token.is_null()
        && let Some(page) = file::page_wiped_on_fork()
    {
        token = page;
    }
    if !token.is_null() {
        // SAFETY: as in `is_new_child`.
        unsafe { AtomicU32::from_ptr(token) }.store(1, Ordering::Release);
        TOKEN.store(token, Ordering::Release);
    }
}

/// A descriptor kept between calls. Programs close what they did not open, so a kept number may have become
/// somebody else's file: whoever does more than read with one checks that it still is what it was.
#[derive(Debug)]
pub(super) struct Kept {
    fd: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Kept {
    pub(super) const fn new() -> Kept {
        Kept { fd: AtomicI32::new(-1), device: AtomicU64::new(0), inode: AtomicU64::new(0) }
    }

    /// The number, for reading: what is read tells whether it still is the file it was.
    pub(super) fn get(&self) -> Option<i32> {
        match self.fd.load(Ordering::Acquire) {
            -1 => None,
            fd => Some(fd),
        }
    }

    /// The number if it still is the file it was, and the file still has a name.
    pub(super) fn get_checked(&self) -> Option<i32> {
        let fd = self.get()?;
        let meta = file::fstat(fd).ok()?;
        (self.is(&meta) && meta.link_count > 0).then_some(fd)
    }

    fn is(&self, meta: &Meta) -> bool {
        (meta.device, meta.inode) == (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed))
    }

    /// Keeps a descriptor under a high number, out of the way of programs that count on low ones. Where the
    /// limit has no room for that nothing is kept, and `fd` comes back.
    pub(super) fn keep(&self, fd: Fd) -> Result<i32, Fd> {
        const LEAST: i32 = 500;
        let (Ok(high), Ok(meta)) = (file::duplicate_high(fd.raw(), LEAST), file::fstat(fd.raw())) else {
            return Err(fd);
        };
        self.device.store(meta.device, Ordering::Relaxed);
        self.inode.store(meta.inode, Ordering::Relaxed);
        // Another thread may have kept one meanwhile.
        match self.fd.compare_exchange(-1, high.raw(), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(high.into_raw()),
            Err(_) => Err(fd),
        }
    }

    /// Forgets the descriptor, and closes it if it still is the file it was.
    pub(super) fn forget(&self) {
        // Looked at first: in a child of fork every page that is written to is copied.
        if self.get().is_none() {
            return;
        }
        let fd = self.fd.swap(-1, Ordering::AcqRel);
        if fd != -1
            && let Ok(meta) = file::fstat(fd)
            && self.is(&meta)
        {
            drop(Fd::from_raw(fd));
        }
    }
}

/// The guards that `prepare` takes and the two others drop.
struct Held(UnsafeCell<Option<Guards>>);

/// In the order they are dropped: signals come again when nothing is held.
struct Guards {
    _opened: namespace::Opened,
    _working: MutexGuard<'static, ()>,
    _signals: BlockedSignals,
}

// SAFETY: the cell is touched only by the thread that forks, between `prepare` and `parent` or `child`, all of
// which time it holds the very locks whose guards are in the cell.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

extern "C" fn prepare() {
    // Both, for the child looks at the list, and a thread that was at it would not be there to let it go. In this
    // order, as everywhere.
    // Without signals, for a handler would wait for what its own thread holds.
    let signals = BlockedSignals::new();
    let working = work();
    let guards = Guards { _opened: namespace::opened(), _working: working, _signals: signals };
    // SAFETY: see `Held`.
    unsafe { *HELD.0.get() = Some(guards) };
}

extern "C" fn parent() {
    // SAFETY: see `Held`.
    unsafe { *HELD.0.get() = None };
}

extern "C" fn child() {
    parent();
    if MAY_BE_ATTACHED.load(Ordering::Relaxed) {
        fork::register_attachments();
    }
}

/// Asks the C library to call us around every fork.
pub(super) fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are functions of this library, which is never unloaded while in use.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
}
