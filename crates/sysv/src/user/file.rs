//! The system calls of the user backend, one per function; nothing here knows what they are for.
//!
//! Nothing here allocates: a program may detach and remove in a signal handler.
#![allow(unsafe_code, reason = "the room of the system calls")]

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;

use crate::Errno;

/// An open descriptor, closed when dropped.
#[derive(Debug)]
pub(super) struct Fd(i32);

impl Fd {
    pub(super) fn raw(&self) -> i32 {
        self.0
    }

    /// Gives up ownership.
    pub(super) fn into_raw(self) -> i32 {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    /// Takes over a descriptor that nobody else closes.
    pub(super) fn from_raw(raw: i32) -> Fd {
        Fd(raw)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours alone, and this is its last use.
        unsafe { libc::close(self.0) };
    }
}

/// A path with its terminating zero, on the stack.
#[derive(Clone, Copy)]
pub(super) struct Path {
    bytes: [u8; Path::CAPACITY],
    length: usize,
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

impl Path {
    const CAPACITY: usize = 512;
    /// Longest directory, so that every name in it fits.
    pub(super) const LONGEST_DIRECTORY: usize = 400;

    pub(super) fn new(bytes: &[u8]) -> Result<Path, Errno> {
        if bytes.len() >= Path::CAPACITY {
            return Err(Errno::ENAMETOOLONG);
        }
        if bytes.contains(&0) {
            return Err(Errno::EINVAL);
        }
        let mut path = Path { bytes: [0; Path::CAPACITY], length: bytes.len() };
        path.bytes[..bytes.len()].copy_from_slice(bytes);
        Ok(path)
    }

    /// The path with more text behind it.
    pub(super) fn with(&self, text: &[u8]) -> Path {
        let mut path = *self;
        let end = (self.length + text.len()).min(Path::CAPACITY - 1);
        path.bytes[self.length..end].copy_from_slice(&text[..end - self.length]);
        path.length = end;
        path
    }

    /// The path with a number behind it.
    pub(super) fn with_number(&self, number: u64) -> Path {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            #[allow(clippy::cast_possible_truncation, reason = "a digit")]
            let digit = (rest % 10) as u8;
            digits[at] = b'0' + digit;
            rest /= 10;
            if rest == 0 {
                return self.with(&digits[at..]);
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// What `fstat` tells, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size_bytes: u64,
    /// Of 512 bytes.
    pub(super) block_count: u64,
    /// How many names the file has.
    pub(super) link_count: u64,
}

impl Meta {
    fn new(stat: &libc::stat) -> Meta {
        Meta {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size_bytes: stat.st_size.cast_unsigned(),
            block_count: stat.st_blocks.cast_unsigned(),
            #[allow(clippy::useless_conversion, reason = "narrower elsewhere")]
            link_count: stat.st_nlink.into(),
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    pub(super) fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }
}

/// What `fstatfs` tells, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filesystem {
    pub(super) is_memory: bool,
    pub(super) free_pages: u64,
}

fn check(result: i32) -> Result<i32, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// Opens without following a link and without waiting for anything.
pub(super) fn open(path: &Path, flags: i32, mode: u32) -> Result<Fd, Errno> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    open_exactly(path.as_c(), flags, mode)
}

/// Opens a file of /proc/self, all of which are links.
pub(super) fn open_proc(path: &CStr, flags: i32) -> Result<Fd, Errno> {
    open_exactly(path, flags | libc::O_CLOEXEC, 0)
}

fn open_exactly(path: &CStr, flags: i32, mode: u32) -> Result<Fd, Errno> {
    // By number: the drop-in library defines the C function itself.
    // SAFETY: the path ends with a zero; the call keeps no pointer.
    let result = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, mode) };
    let raw = i32::try_from(result).map_err(|_| Errno::EBADF)?;
    check(raw).map(Fd)
}

pub(super) fn make_directory(path: &Path, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path ends with a zero.
    check(unsafe { libc::mkdir(path.as_c().as_ptr(), mode) }).map(|_| ())
}

pub(super) fn stat(path: &Path) -> Result<Meta, Errno> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the path ends with a zero, and the buffer is a stat's.
    check(unsafe { libc::lstat(path.as_c().as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: zero bytes are a valid stat, and the call succeeded in filling it.
    Ok(Meta::new(&unsafe { stat.assume_init() }))
}

pub(super) fn fstat(fd: i32) -> Result<Meta, Errno> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is a stat's.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: zero bytes are a valid stat, and the call succeeded in filling it.
    Ok(Meta::new(&unsafe { stat.assume_init() }))
}

pub(super) fn filesystem(fd: i32) -> Result<Filesystem, Errno> {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let mut info = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the buffer is a statfs's.
    check(unsafe { libc::fstatfs(fd, info.as_mut_ptr()) })?;
    // SAFETY: zero bytes are a valid statfs, and the call succeeded in filling it.
    let info = unsafe { info.assume_init() };
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "narrower elsewhere")]
    let kind = info.f_type as i64;
    // A ramfs has no limit and says so with zeros.
    let unlimited = kind == RAMFS || (kind == TMPFS && info.f_blocks == 0);
    let bytes = info.f_bavail.saturating_mul(info.f_bsize.cast_unsigned());
    let free_pages = if unlimited { u64::MAX } else { bytes / 4096 };
    Ok(Filesystem { is_memory: kind == TMPFS || kind == RAMFS, free_pages })
}

/// Reads until the buffer is full or the file ends; the number of bytes read.
pub(super) fn pread(fd: i32, bytes: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        let at = (offset + done as u64).cast_signed();
        // SAFETY: the buffer is as long as the call is told.
        let result = unsafe { libc::pread64(fd, rest.as_mut_ptr().cast(), rest.len(), at) };
        match usize::try_from(result) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(Errno::last()),
        }
    }
    Ok(done)
}

/// Writes all of it, in one piece as long as it lies inside one page.
pub(super) fn pwrite(fd: i32, bytes: &[u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &bytes[done..];
        let at = (offset + done as u64).cast_signed();
        // SAFETY: the buffer is as long as the call is told.
        let result = unsafe { libc::pwrite64(fd, rest.as_ptr().cast(), rest.len(), at) };
        match usize::try_from(result) {
            Ok(0) => return Err(Errno::ENOSPC),
            Ok(count) => done += count,
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(without_size_signal(Errno::last())),
        }
    }
    Ok(())
}

/// Takes back the signal that comes with a write beyond the size limit, which callers block meanwhile.
fn without_size_signal(errno: Errno) -> Errno {
    if errno == Errno::EFBIG {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: empties the set.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: adds a signal that exists.
        unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ) };
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: reads set and time.
        unsafe { libc::sigtimedwait(set.as_ptr(), std::ptr::null_mut(), &raw const none) };
    }
    errno
}

pub(super) fn truncate(fd: i32, size_bytes: u64) -> Result<(), Errno> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::ftruncate64(fd, size_bytes.cast_signed()) }).map(|_| ()).map_err(without_size_signal)
}

/// Gives a file its memory or disk space now.
pub(super) fn allocate(fd: i32, size_bytes: u64) -> Result<(), Errno> {
    loop {
        // SAFETY: takes numbers.
        match check(unsafe { libc::fallocate64(fd, 0, 0, size_bytes.cast_signed()) }) {
            Err(Errno::EINTR) => {}
            result => return result.map(|_| ()).map_err(without_size_signal),
        }
    }
}

pub(super) fn unlink(path: &Path) -> Result<(), Errno> {
    // SAFETY: the path ends with a zero.
    check(unsafe { libc::unlink(path.as_c().as_ptr()) }).map(|_| ())
}

/// Gives a file made without a name its name, unless that is taken.
pub(super) fn link_unnamed(fd: &Fd, path: &Path) -> Result<(), Errno> {
    let source = path_of_descriptor(fd)?;
    // SAFETY: both paths end with a zero.
    let result = unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            source.as_c().as_ptr(),
            libc::AT_FDCWD,
            path.as_c().as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    check(result).map(|_| ())
}

/// Gives a file another name, unless that is taken.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), Errno> {
    // SAFETY: both paths end with a zero.
    check(unsafe { libc::link(from.as_c().as_ptr(), to.as_c().as_ptr()) }).map(|_| ())
}

pub(super) fn change_group(fd: i32, gid: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers, of which the largest leaves the owner alone.
    check(unsafe { libc::fchown(fd, u32::MAX, gid) }).map(|_| ())
}

pub(super) fn change_mode(fd: i32, mode: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::fchmod(fd, mode) }).map(|_| ())
}

/// A name for an open file, which follows it wherever it goes.
pub(super) fn path_of_descriptor(fd: &Fd) -> Result<Path, Errno> {
    Ok(Path::new(b"/proc/self/fd/")?.with_number(u64::from(fd.0.unsigned_abs())))
}

/// Changes the mode of what [`path_of_descriptor`] names.
pub(super) fn change_mode_of(path: &Path, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path ends with a zero.
    check(unsafe { libc::chmod(path.as_c().as_ptr(), mode) }).map(|_| ())
}

/// Changes owner and group of what [`path_of_descriptor`] names.
pub(super) fn change_owner_of(path: &Path, uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: the path ends with a zero.
    check(unsafe { libc::chown(path.as_c().as_ptr(), uid, gid) }).map(|_| ())
}

const ACCESS_LIST: &CStr = c"system.posix_acl_access";

/// Sets the access list of what [`path_of_descriptor`] names.
pub(super) fn set_access_list(path: &Path, list: &[u8]) -> Result<(), Errno> {
    let (path, name) = (path.as_c().as_ptr(), ACCESS_LIST.as_ptr());
    // SAFETY: path and name end with a zero, and the list is as long as the call is told.
    check(unsafe { libc::setxattr(path, name, list.as_ptr().cast(), list.len(), 0) }).map(|_| ())
}

/// Leaves a file with owner and mode alone; that it has no list is fine too.
pub(super) fn drop_access_list(path: &Path) -> Result<(), Errno> {
    // SAFETY: path and name end with a zero.
    match check(unsafe { libc::removexattr(path.as_c().as_ptr(), ACCESS_LIST.as_ptr()) }) {
        Ok(_) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Duplicates to a number that programs do not expect to be theirs.
pub(super) fn duplicate_high(fd: i32, least: i32) -> Result<Fd, Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) }).map(Fd)
}

/// Takes the whole-file lock if it is free.
pub(super) fn try_lock_file(fd: i32) -> Result<bool, Errno> {
    loop {
        // SAFETY: takes numbers.
        match check(unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) }) {
            Ok(_) => return Ok(true),
            // EWOULDBLOCK is the same number.
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Gives the whole-file lock back, for everybody who shares the open file.
pub(super) fn unlock_file(fd: i32) {
    // SAFETY: takes numbers.
    unsafe { libc::flock(fd, libc::LOCK_UN) };
}

fn range_lock(write: bool, start: u64, length: u64) -> libc::flock64 {
    // SAFETY: numbers, of which zero is a value.
    let mut lock: libc::flock64 = unsafe { MaybeUninit::zeroed().assume_init() };
    #[allow(clippy::cast_possible_truncation, reason = "F_RDLCK, F_WRLCK and SEEK_SET fit")]
    {
        lock.l_type = if write { libc::F_WRLCK } else { libc::F_RDLCK } as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
    }
    lock.l_start = start.cast_signed();
    lock.l_len = length.cast_signed();
    lock
}

/// Locks a range for the open file, not the process, if nobody holds any of it.
pub(super) fn try_lock_range(fd: i32, write: bool, start: u64, length: u64) -> Result<bool, Errno> {
    let lock = range_lock(write, start, length);
    // SAFETY: the lock is read during the call only.
    match check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Where some lock that touches the range starts, of those that other open files hold, and its length.
pub(super) fn find_lock(fd: i32, start: u64, length: u64) -> Result<Option<(u64, u64)>, Errno> {
    let mut lock = range_lock(true, start, length);
    // SAFETY: the lock is read and written during the call only.
    check(unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut lock) })?;
    let found = i32::from(lock.l_type) != libc::F_UNLCK;
    Ok(found.then(|| (lock.l_start.cast_unsigned(), lock.l_len.cast_unsigned())))
}

/// Maps a file shared.
///
/// # Safety
/// With `MAP_FIXED` in `flags`, nothing may use what is mapped in the range.
pub(super) unsafe fn map(
    address: usize,
    size_bytes: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: u64,
) -> Result<usize, Errno> {
    // SAFETY: the caller answers for what a fixed mapping replaces.
    let result = unsafe {
        libc::mmap64(
            address as *mut c_void,
            size_bytes,
            protection,
            flags | libc::MAP_SHARED,
            fd,
            offset.cast_signed(),
        )
    };
    if result == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(result as usize) }
}

/// Unmaps a range.
///
/// # Safety
/// Nothing may use what is mapped there.
pub(super) unsafe fn unmap(address: usize, size_bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    check(unsafe { libc::munmap(address as *mut c_void, size_bytes) }).map(|_| ())
}

/// Whether a page that is not writable now could be made so: tries, and takes it back.
///
/// # Safety
/// The page is mapped with exactly `protection`.
pub(super) unsafe fn could_write(address: usize, size_bytes: usize, protection: i32) -> bool {
    // SAFETY: adding a permission breaks nobody's accesses.
    let added = unsafe { libc::mprotect(address as *mut c_void, size_bytes, protection | libc::PROT_WRITE) };
    if added != 0 {
        return false;
    }
    // SAFETY: back to what the caller says it was.
    unsafe { libc::mprotect(address as *mut c_void, size_bytes, protection) };
    true
}

/// A page of this process alone that reads as zero in every child of a fork, raw ones too; none where the
/// kernel cannot do that.
pub(super) fn page_wiped_on_fork() -> Option<*mut u32> {
    // SAFETY: a new anonymous mapping.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page just mapped.
    if unsafe { libc::madvise(page, 4096, libc::MADV_WIPEONFORK) } == 0 {
        return Some(page.cast());
    }
    // SAFETY: the page just mapped, which nobody else knows.
    unsafe { libc::munmap(page, 4096) };
    None
}

/// Signals of the calling thread, all blocked until dropped: a handler must not find a registry half changed by
/// its own thread, and wait for it for ever.
pub(super) struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    pub(super) fn new() -> BlockedSignals {
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: fills the set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: reads one set, fills the other.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: zero bytes are a valid set, and the call filled it.
        BlockedSignals(unsafe { before.assume_init() })
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: restores the set that was read.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// The soft limit of a resource, `u64::MAX` for none.
pub(super) fn soft_limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur
}

/// Raises a soft limit as far as it goes.
pub(super) fn raise_limit(resource: libc::__rlimit_resource_t) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads the structure.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    time.tv_sec
}

/// Nanoseconds of a clock that is never set.
pub(super) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Milliseconds of the same clock.
pub(super) fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

pub(super) fn sleep_us(microseconds: u32) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(microseconds) * 1000 };
    // SAFETY: reads the structure; a signal may end the sleep early, which the callers' loops allow.
    unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
}

/// A mapping made by [`map_new`].
#[derive(Debug)]
pub(super) struct NewMapping {
    address: usize,
    size_bytes: usize,
}

/// Maps a file's first bytes where the kernel likes, for nobody's use.
pub(super) fn map_new(size_bytes: usize, fd: &Fd) -> Result<NewMapping, Errno> {
    // SAFETY: not fixed, so nothing is replaced.
    let address = unsafe { map(0, size_bytes, libc::PROT_READ, 0, fd.raw(), 0) }?;
    Ok(NewMapping { address, size_bytes })
}

/// Undoes [`map_new`].
pub(super) fn unmap_own(mapping: NewMapping) -> Result<(), Errno> {
    // SAFETY: made by `map_new`, which gave its address to nobody.
    unsafe { unmap(mapping.address, mapping.size_bytes) }
}

/// Opens through a link of /proc/self/fd.
pub(super) fn open_link(path: &Path, flags: i32) -> Result<Fd, Errno> {
    open_exactly(path.as_c(), flags | libc::O_CLOEXEC, 0)
}
