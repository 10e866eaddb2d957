//! The calls that are measured and that only `unsafe` can make.
#![allow(
    unsafe_code,
    reason = "the one room of this crate that maps and unmaps memory, sleeps on words, and leaves namespaces"
)]

use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use coseg_sysv::{AttachFlags, Backend, Errno, Error, Op, Result, ShmId, Target};
use rustix::fs::{OFlags, open};
use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Attaches a segment and detaches it again, touching nothing.
///
/// On the kernel by the bare calls: [`coseg_sysv::Kernel`] asks for the segment's size besides, which a C program
/// does not.
pub(crate) fn attach_detach(backend: &dyn Backend, id: ShmId) -> Result<()> {
    if backend.name() == "kernel" {
        // SAFETY: an attach without SHM_REMAP only makes a new mapping in a free place.
        let address = unsafe { libc::shmat(id.raw(), null_mut(), 0) };
        // SAFETY: nothing has seen the address but this function; where the attach failed, so does this.
        let detached = unsafe { libc::shmdt(address) };
        return if detached == 0 {
            Ok(())
        } else {
            Err(Error::new(Op::Attach, Target::Id(id), Errno::last()))
        };
    }
    // SAFETY: without SHM_REMAP an attach only makes a new mapping in a free place.
    let mapped = unsafe { backend.attach(id, 0, AttachFlags::NONE) }?;
    // SAFETY: nothing has seen the address but this function.
    unsafe { backend.detach(mapped.address) }
}

/// Attaches a segment until the process ends.
pub(crate) fn attach_for_life(backend: &dyn Backend, id: ShmId) -> Result<()> {
    // SAFETY: without SHM_REMAP an attach only makes a new mapping in a free place.
    unsafe { backend.attach(id, 0, AttachFlags::NONE) }.map(drop)
}

/// Opens a file, maps it, closes it and unmaps it: the least that an attachment made of a file can cost.
pub(crate) fn open_map_close_unmap(path: &Path, size_bytes: usize) -> io::Result<()> {
    let file = open(path, OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping in a free place.
    let address = unsafe { mmap(null_mut(), size_bytes, protection, MapFlags::SHARED, &file, 0) }?;
    drop(file);
    // SAFETY: nothing has seen the address but this function.
    unsafe { munmap(address, size_bytes) }
}

/// Zeroes that this process shares with those it will fork, for as long as they live.
pub(crate) fn share(size_bytes: usize) -> io::Result<*mut u8> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping in a free place.
    let address = unsafe { mmap_anonymous(null_mut(), size_bytes, protection, MapFlags::SHARED) }?;
    Ok(address.cast())
}

/// What may be shared and begins as zeroes.
///
/// # Safety
/// Zeroes are a value of it, several processes may use it at once, and it is aligned to a page at most.
pub(crate) unsafe trait Zeroes: 'static {}

/// A value that this process shares with those it will fork, for ever.
pub(crate) fn shared<T: Zeroes>() -> io::Result<&'static T> {
    let address = share(size_of::<T>())?;
    // SAFETY: mapped for ever, aligned to pages, and zeroes are a value.
    Ok(unsafe { &*address.cast::<T>() })
}

/// Moves this process to new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "other threads would lose their files");
    // SAFETY: the table of file descriptors stays shared, as just asserted.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Makes a second process of this one, which ends with it: nothing in the new one, its number in this. To be called
/// while there is one thread only.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    let parent = rustix::process::getpid();
    // SAFETY: there are no other threads, whose locks the child could find taken.
    match unsafe { libc::fork() } {
        -1 => Err(io::Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(io::Errno::AGAIN)),
        0 => {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // The parent may have ended before that.
            if rustix::process::getppid() != Some(parent) {
                std::process::abort();
            }
            Ok(None)
        }
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Sleeps while a word is as expected, and perhaps less.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let time = timeout.map(|timeout| libc::timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() });
    let time = time.as_ref().map_or(null(), std::ptr::from_ref);
    // SAFETY: the word is mapped, the time is none or a local; the kernel keeps neither.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, time) };
}

/// Wakes one who sleeps on a word.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the address is only a name here.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
