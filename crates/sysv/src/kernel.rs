//! The kernel's own facility, one system call per method.
//!
//! The calls go by number: under the drop-in library the C functions of these names are ours, and would lead
//! straight back here.
#![allow(unsafe_code, reason = "the system calls of System V shared memory")]

use std::ffi::c_void;
use std::mem::MaybeUninit;

use crate::attached;
use crate::sys::{self, ShmInfo, ShmInfoLimits, ShmidDs};
use crate::{
    AttachFlags, Attachers, Backend, Change, Errno, Error, GetFlags, Key, Limits, Listed, Mapped, Op, Result,
    ShmId, Stat, Target, Usage,
};

/// System V shared memory as the running kernel has it, in the IPC namespace of the calling process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel;

impl Kernel {
    /// Whether this kernel answers at all: `shmctl(IPC_INFO)` is refused with `ENOSYS`, or by a sandbox, where
    /// it does not.
    pub fn is_available() -> bool {
        Kernel.limits().is_ok()
    }

    fn control<T>(op: Op, target: Target, id: i32, command: i32, buffer: *mut T) -> Result<i32> {
        // SAFETY: every caller passes a buffer of the type that the command reads or writes, or null.
        let result = unsafe { libc::syscall(libc::SYS_shmctl, id, command, buffer) };
        to_int(result).map_err(|errno| Error::new(op, target, errno))
    }

    /// Which segment a mapping is of. A process that has changed its IPC namespace still has what it mapped before, and a
    /// child on its way to another program what its parent has: of another namespace, with the same ids.
    fn id_of(line: &attached::MapLine<'_>) -> Option<ShmId> {
        let (id, key) = attached::kernel_segment_of(line)?;
        let (found, ds) = Self::stat_by(Target::Id(id), id.raw(), sys::SHM_STAT_ANY).ok()?;
        let stat = ds.to_stat(id);
        (found == id.raw() && (stat.removed || stat.key == key)).then_some(id)
    }

    fn stat_by(target: Target, id: i32, command: i32) -> Result<(i32, ShmidDs)> {
        let mut ds = MaybeUninit::<ShmidDs>::zeroed();
        let result = Self::control(Op::Stat, target, id, command, ds.as_mut_ptr())?;
        // SAFETY: all-zero bytes are a valid ShmidDs, and the kernel wrote over them.
        Ok((result, unsafe { ds.assume_init() }))
    }
}

fn to_int(result: libc::c_long) -> Result<i32, Errno> {
    if result == -1 { Err(Errno::last()) } else { i32::try_from(result).map_err(|_| Errno::EOVERFLOW) }
}

impl Backend for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn get(&self, key: Key, size_bytes: usize, flags: GetFlags) -> Result<ShmId> {
        // SAFETY: shmget takes three numbers and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_shmget, key.raw(), size_bytes, flags.raw()) };
        to_int(result).map(ShmId::new).map_err(|errno| Error::new(Op::Get, Target::Key(key), errno))
    }

    unsafe fn attach(&self, id: ShmId, address: usize, flags: AttachFlags) -> Result<Mapped> {
        let fail = |errno| Error::new(Op::Attach, Target::Id(id), errno);
        // SAFETY: the caller answers for what a replacing attach replaces; any other makes a new mapping.
        let result = unsafe { libc::syscall(libc::SYS_shmat, id.raw(), address, flags.raw()) };
        if result == -1 {
            return Err(fail(Errno::last()));
        }
        let address = usize::try_from(result.cast_unsigned()).map_err(|_| fail(Errno::EOVERFLOW))?;
        // Not IPC_STAT: a segment that may be attached but not read has a size all the same.
        match Self::stat_by(Target::Id(id), id.raw(), sys::SHM_STAT_ANY) {
            Ok((_, ds)) => Ok(Mapped { address, size_bytes: ds.shm_segsz }),
            Err(error) => {
                // SAFETY: the mapping was made above and nobody else knows of it.
                let _ = unsafe { self.detach(address) };
                Err(fail(error.errno()))
            }
        }
    }

    unsafe fn detach(&self, address: usize) -> Result<()> {
        // SAFETY: the caller promises that nothing uses the mapping any more.
        let result = unsafe { libc::syscall(libc::SYS_shmdt, address as *const c_void) };
        to_int(result).map(|_| ()).map_err(|errno| Error::new(Op::Detach, Target::Address(address), errno))
    }

    fn stat(&self, id: ShmId) -> Result<Stat> {
        let (_, ds) = Self::stat_by(Target::Id(id), id.raw(), libc::IPC_STAT)?;
        Ok(ds.to_stat(id))
    }

    fn stat_index(&self, index: i32, any: bool) -> Result<Stat> {
        let command = if any { sys::SHM_STAT_ANY } else { sys::SHM_STAT };
        let (id, ds) = Self::stat_by(Target::Index(index), index, command)?;
        Ok(ds.to_stat(ShmId::new(id)))
    }

    fn set(&self, id: ShmId, change: Change) -> Result<()> {
        let mut ds = ShmidDs::of_change(change);
        Self::control(Op::Set, Target::Id(id), id.raw(), libc::IPC_SET, &raw mut ds).map(|_| ())
    }

    fn remove(&self, id: ShmId) -> Result<()> {
        let none = std::ptr::null_mut::<ShmidDs>();
        Self::control(Op::Remove, Target::Id(id), id.raw(), libc::IPC_RMID, none).map(|_| ())
    }

    fn lock(&self, id: ShmId) -> Result<()> {
        let none = std::ptr::null_mut::<ShmidDs>();
        Self::control(Op::Lock, Target::Id(id), id.raw(), libc::SHM_LOCK, none).map(|_| ())
    }

    fn unlock(&self, id: ShmId) -> Result<()> {
        let none = std::ptr::null_mut::<ShmidDs>();
        Self::control(Op::Unlock, Target::Id(id), id.raw(), libc::SHM_UNLOCK, none).map(|_| ())
    }

    fn limits(&self) -> Result<Limits> {
        let mut info = ShmInfoLimits::default();
        let highest_index = Self::control(Op::Info, Target::None, 0, libc::IPC_INFO, &raw mut info)?;
        Ok(Limits {
            max_size_bytes: info.shmmax,
            max_segment_count: info.shmmni,
            max_total_pages: info.shmall,
            highest_index,
        })
    }

    fn usage(&self) -> Result<Usage> {
        let mut info = ShmInfo::default();
        let highest_index = Self::control(Op::Info, Target::None, 0, sys::SHM_INFO, &raw mut info)?;
        Ok(Usage {
            segment_count: info.used_ids.cast_unsigned(),
            total_pages: info.shm_tot,
            resident_pages: info.shm_rss,
            swapped_pages: info.shm_swp,
            highest_index,
        })
    }

    fn list(&self) -> Result<Vec<Listed>> {
        match std::fs::read_to_string("/proc/sysvipc/shm") {
            Ok(text) => {
                let lines = text.lines().skip(1);
                Ok(lines.filter_map(parse_line).collect())
            }
            // Sandboxes hide /proc; the calls still tell all but the resident size.
            Err(_) => {
                let highest = self.usage()?.highest_index;
                let stats = (0..=highest).filter_map(|index| self.stat_index(index, true).ok());
                Ok(stats.map(|stat| Listed { stat, resident_bytes: 0, swapped_bytes: 0 }).collect())
            }
        }
    }

    fn attachers(&self) -> Result<Attachers> {
        Ok(attached::of_kernel(Self::id_of))
    }

    fn is_attached(&self, id: ShmId, pid: i32) -> Result<Option<bool>> {
        let found = attached::of_process(pid, Self::id_of).ok();
        Ok(found.map(|found| found.iter().any(|attached| attached.id == id)))
    }
}

/// One line of /proc/sysvipc/shm. The mode is octal, everything else decimal and the key signed.
fn parse_line(line: &str) -> Option<Listed> {
    let mut words = line.split_ascii_whitespace();
    let key: i32 = words.next()?.parse().ok()?;
    let id: i32 = words.next()?.parse().ok()?;
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let size_bytes = usize::try_from(number()?).ok()?;
    let creator_pid = i32::try_from(number()?).ok()?;
    let last_pid = i32::try_from(number()?).ok()?;
    let attachment_count = number()?;
    let mut owner = || u32::try_from(number()?).ok();
    let (uid, gid, creator_uid, creator_gid) = (owner()?, owner()?, owner()?, owner()?);
    let mut time = || i64::try_from(number()?).ok();
    let (attach_time, detach_time, change_time) = (time()?, time()?, time()?);
    let (resident_bytes, swapped_bytes) = (number()?, number()?);
    let stat = Stat {
        key: Key::new(key),
        id: ShmId::new(id),
        sequence: sys::sequence_of(id),
        uid,
        gid,
        creator_uid,
        creator_gid,
        mode: crate::Mode::new(mode),
        removed: mode & sys::SHM_DEST != 0,
        locked: mode & sys::SHM_LOCKED != 0,
        size_bytes,
        attachment_count,
        attach_time,
        detach_time,
        change_time,
        creator_pid,
        last_pid,
    };
    Some(Listed { stat, resident_bytes, swapped_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proc_line_of_a_container_user_parses() {
        let line = "      5678          3  1600                 1024  1234  5678      2 100000 100000 \
                    100000 100000 1700000000          0 1700000001                  4096                     0";
        let listed = parse_line(line).unwrap();
        assert_eq!(listed.stat.key, Key::new(5678));
        assert_eq!(listed.stat.mode.bits(), 0o600);
        assert!(listed.stat.removed && !listed.stat.locked);
        assert_eq!(listed.stat.uid, 100_000);
        assert_eq!(listed.resident_bytes, 4096);
        assert!(parse_line("garbage").is_none());
    }

    extern "C" fn pause_for_ever(_: *mut c_void) -> i32 {
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::syscall(libc::SYS_ppoll, 0, 0, 0, 0, 0) };
        }
    }

    /// A child that has all of our attachments, and whose main thread ends while another runs on.
    fn child_without_main_thread() -> i32 {
        let mut stack = vec![0_u128; 4096];
        let top = stack.as_mut_ptr_range().end;
        // SAFETY: what the child does are system calls, which want no lock that another thread of ours may hold.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child should the test not.
            unsafe { libc::alarm(60) };
            let flags = libc::CLONE_VM
                | libc::CLONE_FS
                | libc::CLONE_FILES
                | libc::CLONE_SIGHAND
                | libc::CLONE_THREAD
                | libc::CLONE_SYSVSEM;
            // SAFETY: the thread has a stack of its own, and touches nothing that it shares with this one.
            unsafe { libc::clone(pause_for_ever, top.cast(), flags, std::ptr::null_mut()) };
            // SAFETY: ends this thread alone, and leaves its memory as it is.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        assert!(child > 0);
        child
    }

    /// Waits until /proc shows the child's main thread as a zombie.
    fn wait_for_zombie(child: i32) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap().contains(") Z ") {
            assert!(std::time::Instant::now() < deadline, "the main thread did not end");
            std::thread::yield_now();
        }
    }

    fn attached_while_a_thread_lives(backend: &dyn Backend) {
        let id = backend.get(Key::PRIVATE, 5000, GetFlags::CREATE.with_mode(crate::Mode::PRIVATE)).unwrap();
        // SAFETY: replaces nothing.
        let mapped = unsafe { backend.attach(id, 0, AttachFlags::NONE) }.unwrap();
        let child = child_without_main_thread();
        // SAFETY: nobody uses it.
        unsafe { backend.detach(mapped.address) }.unwrap();
        wait_for_zombie(child);
        let alive = backend.is_attached(id, child);
        let listed = backend.attachers().unwrap().found;
        // SAFETY: signals a child that nobody has waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: fills the structure.
        unsafe { libc::waitid(libc::P_PID, child.cast_unsigned(), info.as_mut_ptr(), flags) };
        let ended = backend.is_attached(id, child);
        // SAFETY: collects the child.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        let collected = backend.is_attached(id, child);
        backend.remove(id).unwrap();
        let seen = [alive, ended, collected].map(Result::unwrap);
        assert_eq!(seen, [Some(true), Some(false), Some(false)], "{}", backend.name());
        let shown = |one: &crate::Attached| (one.id, one.pid) == (id, child);
        assert!(listed.iter().any(shown), "{}: {listed:?}", backend.name());
    }

    /// A child that has all of our attachments, in an IPC namespace of its own.
    fn child_elsewhere() -> i32 {
        // SAFETY: what the child does are system calls, which want no lock that another thread of ours may hold.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child should the test not.
            unsafe { libc::alarm(60) };
            // SAFETY: has no effect on memory.
            unsafe { libc::unshare(libc::CLONE_NEWIPC) };
            pause_for_ever(std::ptr::null_mut());
        }
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/ipc")).unwrap();
        while namespace(&child.to_string()) == namespace("thread-self") {
            std::thread::yield_now();
        }
        child
    }

    /// On a thread of its own, which goes where the child is.
    #[test]
    fn what_is_mapped_of_another_namespace_is_no_segment_of_ours() {
        let looks = std::thread::spawn(|| {
            // SAFETY: has no effect on memory.
            if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
                return eprintln!("not tested: no IPC namespace of our own");
            }
            let make =
                |key| Kernel.get(Key::new(key), 4096, GetFlags::CREATE.with_mode(crate::Mode::PRIVATE));
            let id = make(1).unwrap();
            // SAFETY: replaces nothing.
            let mapped = unsafe { Kernel.attach(id, 0, AttachFlags::NONE) }.unwrap();
            let child = child_elsewhere();
            // SAFETY: nobody uses it.
            unsafe { Kernel.detach(mapped.address) }.unwrap();
            let theirs = std::fs::File::open(format!("/proc/{child}/ns/ipc")).unwrap();
            let theirs = std::os::fd::AsRawFd::as_raw_fd(&theirs);
            // SAFETY: has no effect on memory.
            assert_eq!(unsafe { libc::setns(theirs, libc::CLONE_NEWIPC) }, 0);
            let nobodys = Kernel.attachers().unwrap().found;
            let same = make(2).unwrap();
            let found = Kernel.attachers().unwrap().found;
            let is_attached = Kernel.is_attached(same, child);
            // SAFETY: signals a child that nobody has waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: collects the child.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            assert_eq!((same, nobodys, found), (id, vec![], vec![]));
            assert_eq!(is_attached.unwrap(), Some(false));
        });
        looks.join().unwrap();
    }

    #[test]
    fn a_process_is_attached_while_any_of_its_threads_lives() {
        let dir = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
        attached_while_a_thread_lives(&crate::User::at(dir.path()).unwrap());
        // Sandboxes may not have it.
        if Kernel::is_available() {
            attached_while_a_thread_lives(&Kernel);
        }
    }
}
