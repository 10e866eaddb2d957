//! Who is calling: ids, capabilities, pid, page size.
#![allow(unsafe_code, reason = "system calls that take and return numbers")]

use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// The capability to keep memory from being swapped out.
pub(crate) const CAP_IPC_LOCK: u32 = 14;
/// The capability to read and write any segment.
pub(crate) const CAP_IPC_OWNER: u32 = 15;
/// The capability to change and remove any segment.
pub(crate) const CAP_SYS_ADMIN: u32 = 21;

/// The effective user id.
pub fn effective_uid() -> u32 {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group id.
pub(crate) fn effective_gid() -> u32 {
    // SAFETY: getegid takes nothing and cannot fail.
    unsafe { libc::getegid() }
}

/// The process id. Not cached: a raw fork would keep its parent's.
pub(crate) fn pid() -> i32 {
    // SAFETY: getpid takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

/// The size of a page in bytes.
pub fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: sysconf takes a number and returns one.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let size = usize::try_from(size).unwrap_or(4096);
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// Whether `gid` is the caller's effective group or one of its supplementary ones.
pub(crate) fn in_group(gid: u32) -> bool {
    if effective_gid() == gid {
        return true;
    }
    let mut groups = [0; 256];
    // SAFETY: the list has room for the 256 entries that are named as its size.
    let count = unsafe { libc::getgroups(256, groups.as_mut_ptr()) };
    match usize::try_from(count) {
        Ok(count) => groups[..count].contains(&gid),
        // More than 256 groups: ask for as many as there are.
        Err(_) => in_many_groups(gid),
    }
}

fn in_many_groups(gid: u32) -> bool {
    let mut groups = vec![0; 65536];
    // SAFETY: the list has room for the 65536 entries, the kernel's maximum, that are named as its size.
    let count = unsafe { libc::getgroups(65536, groups.as_mut_ptr()) };
    usize::try_from(count).is_ok_and(|count| groups[..count].contains(&gid))
}

/// Whether the calling thread's effective capabilities include this one.
pub(crate) fn has_capability(capability: u32) -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: the header names version 3, whose data are two times three words.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) };
    result == 0 && data[(capability / 32) as usize][0] & (1 << (capability % 32)) != 0
}

/// When a process started, in clock ticks since boot; none where /proc does not say.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold spaces and parentheses; the last one ends it.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// When this process, of this pid, started; zero where /proc does not say. Read once, and again after a fork.
pub(crate) fn own_start_time(pid: i32) -> u64 {
    static PID: AtomicI32 = AtomicI32::new(0);
    static START: AtomicU64 = AtomicU64::new(0);
    if PID.load(Ordering::Acquire) != pid {
        START.store(start_time(pid).unwrap_or(0), Ordering::Relaxed);
        PID.store(pid, Ordering::Release);
    }
    START.load(Ordering::Relaxed)
}

/// Whether the process of this pid is the one that started then. Where that cannot be told it counts as alive.
pub(crate) fn is_alive(pid: i32, start: u64) -> bool {
    match start_time(pid) {
        Some(now) => start == 0 || now == start,
        // SAFETY: signal 0 is sent to nobody.
        None => (unsafe { libc::kill(pid, 0) }) == 0,
    }
}

/// Whether the caller may make files in a directory.
pub(crate) fn may_write(directory: &std::ffi::CStr) -> bool {
    let wanted = libc::W_OK | libc::X_OK;
    // SAFETY: the path ends with a zero.
    unsafe { libc::faccessat(libc::AT_FDCWD, directory.as_ptr(), wanted, libc::AT_EACCESS) == 0 }
}

/// A variable of the environment that is set and not empty. A program that was given privileges by its file
/// does not listen to the environment of who started it.
pub(crate) fn trusted_variable(name: &str) -> Option<std::ffi::OsString> {
    // SAFETY: reads a value that the kernel passed to this process.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return None;
    }
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The parent's process id.
pub(crate) fn parent_pid() -> i32 {
    // SAFETY: getppid takes nothing and cannot fail.
    unsafe { libc::getppid() }
}
