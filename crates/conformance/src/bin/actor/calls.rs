//! The calls themselves: every command but birth, each one C call and its errno.

#![allow(unsafe_code, reason = "the actor is a C program: it makes C calls")]
#![allow(clippy::cast_possible_truncation, reason = "arguments pass as the C types they are")]

use std::ffi::{CStr, CString, c_void};
use std::os::fd::OwnedFd;

use coseg_conformance::names::{SHM_INFO, SHM_STAT_ANY};
use coseg_conformance::protocol::{Buffer, Cmd, FILLER, Reply, Who};
use coseg_conformance::stat::{Stat, Usage};

use crate::{birth, probe, race};

const PAGE: usize = 4096;
const WILD: usize = 0x1234_5000;

static READ_ONLY: [u64; PAGE / 8] = [0x0101_0101_0101_0101; PAGE / 8];

/// Makes one C call with arguments the tests chose.
macro_rules! call {
    ($call:expr) => {{
        // SAFETY: the tests choose arguments that touch only mappings they made, or that the callee rejects.
        let ret = unsafe { $call };
        Reply::of(ret as i64)
    }};
}

fn p(addr: u64) -> *mut c_void {
    addr as *mut c_void
}

fn c(text: &str) -> CString {
    CString::new(text).expect("the tests send no NUL")
}

/// Ends the process at once.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Does what a command says.
pub(crate) fn carry_out(cmd: &Cmd, channel: Option<OwnedFd>) -> Reply {
    match *cmd {
        Cmd::Get { key, size, flags } => call!(libc::shmget(key, size as usize, flags)),
        Cmd::At { id, addr, flags } => call!(libc::shmat(id, p(addr), flags)),
        Cmd::Dt { addr } => call!(libc::shmdt(p(addr))),
        Cmd::Ctl { id, cmd, ref buf } => control(id, cmd, buf),
        Cmd::Survey => survey(),
        Cmd::Peek { addr, len } => peek(addr, u64::from(len)),
        Cmd::Poke { addr, ref bytes } => poke(addr, bytes),
        Cmd::ZeroRun { addr, len } => zero_run(addr, len),
        Cmd::Birth(how) => birth::give(how, channel.expect("a channel comes with it")),
        Cmd::CloneVm(ref cmd) => birth::aside(cmd),
        Cmd::Thread(ref cmd) => std::thread::scope(|scope| {
            scope.spawn(|| carry_out(cmd, None)).join().expect("commands do not panic")
        }),
        Cmd::Park => {
            std::thread::spawn(std::thread::park);
            Reply::default()
        }
        Cmd::Exec => birth::execute(),
        Cmd::Exit { code, raw: true } => leave(code),
        Cmd::Exit { code, raw: false } => std::process::exit(code),
        Cmd::Wait => call!(libc::waitpid(-1, std::ptr::null_mut(), 0)),
        Cmd::Reap => loop {
            let mut status = 0;
            let gone = call!(libc::waitpid(-1, &raw mut status, 0));
            if gone.ret == -1 {
                break Reply::default();
            }
        },
        Cmd::Become(ref who) => become_(who),
        Cmd::Unshare { flags } => call!(libc::unshare(flags)),
        Cmd::Rlimit { resource, soft, hard } => {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            call!(libc::getrlimit(resource, &raw mut limit));
            limit.rlim_cur = soft;
            limit.rlim_max = if hard { soft } else { limit.rlim_max };
            call!(libc::setrlimit(resource, &raw const limit))
        }
        Cmd::Umask { mask } => call!(libc::umask(mask)),
        Cmd::Mmap { addr, len, prot, flags } => call!(libc::mmap(p(addr), len as usize, prot, flags, -1, 0)),
        Cmd::Munmap { addr, len } => call!(libc::munmap(p(addr), len as usize)),
        Cmd::Mremap { old, old_len, new_len, flags, new } => {
            call!(libc::mremap(p(old), old_len as usize, new_len as usize, flags, p(new)))
        }
        Cmd::Mprotect { addr, len, prot } => call!(libc::mprotect(p(addr), len as usize, prot)),
        Cmd::Madvise { addr, len, advice } => call!(libc::madvise(p(addr), len as usize, advice)),
        Cmd::Mlock { addr, len } => call!(libc::mlock(p(addr), len as usize)),
        Cmd::Mlockall { flags } => call!(libc::mlockall(flags)),
        Cmd::Msync { addr, len, flags } => call!(libc::msync(p(addr), len as usize, flags)),
        Cmd::RemapFilePages { addr, len, page } => {
            call!(libc::remap_file_pages(p(addr), len as usize, 0, page as usize, 0))
        }
        Cmd::CloseRange { first, last } => call!(libc::syscall(libc::SYS_close_range, first, last, 0)),
        Cmd::CountFds => Reply::of(std::fs::read_dir("/proc/self/fd").map_or(-1, |d| d.count() as i64 - 1)),
        Cmd::FillFds => fill(|_| call!(libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY))),
        Cmd::FillMaps => fill(|n| {
            // Neighbours of unlike protection never merge into one mapping.
            let prot = if n % 2 == 0 { libc::PROT_NONE } else { libc::PROT_READ };
            call!(libc::mmap(p(0), PAGE, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0))
        }),
        Cmd::Sbrk { attach } => sbrk(attach),
        Cmd::WriteMem { addr, ref bytes } => {
            let fd = call!(libc::open(c"/proc/self/mem".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC));
            if fd.ret < 0 {
                return fd;
            }
            let data = bytes.as_ptr().cast();
            let reply = call!(libc::pwrite(fd.ret as i32, data, bytes.len(), addr.cast_signed()));
            call!(libc::close(fd.ret as i32));
            reply
        }
        Cmd::Maps { addr } => maps(addr),
        Cmd::BlockSignals => {
            // SAFETY: all zero bytes are a valid signal set.
            let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
            call!(libc::sigfillset(&raw mut all));
            call!(libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()))
        }
        Cmd::DenyKernel => deny_kernel(),
        Cmd::Ftok { ref path, proj } => call!(libc::ftok(c(path).as_ptr(), proj)),
        Cmd::ReadFile { ref path } => files(std::fs::read(path)),
        Cmd::WriteFile { ref path, ref data } => files(std::fs::write(path, data).map(|()| Vec::new())),
        Cmd::Mount { ref source, ref target, ref fstype, flags, ref data } => {
            let [source, target, fstype, data] = [c(source), c(target), c(fstype), c(data)];
            call!(libc::mount(source.as_ptr(), target.as_ptr(), fstype.as_ptr(), flags, data.as_ptr().cast()))
        }
        Cmd::Unmount { ref target } => call!(libc::umount2(c(target).as_ptr(), libc::MNT_DETACH)),
        Cmd::Mkdir { ref path, mode } => call!(libc::mkdir(c(path).as_ptr(), mode)),
        Cmd::Setenv { ref name, ref value } => call!(libc::setenv(c(name).as_ptr(), c(value).as_ptr(), 1)),
        Cmd::Provider => provider(),
        Cmd::Race(ref race) => race::run(race),
        Cmd::Batch(ref cmds) => {
            Reply { parts: cmds.iter().map(|cmd| carry_out(cmd, None)).collect(), ..Reply::default() }
        }
    }
}

fn control(id: i32, cmd: i32, buf: &Buffer) -> Reply {
    let mut page = [0_u64; PAGE / 8];
    match buf {
        Buffer::Null => call!(libc::shmctl(id, cmd, std::ptr::null_mut())),
        Buffer::Wild => call!(libc::shmctl(id, cmd, WILD as *mut _)),
        Buffer::ReadOnly => call!(libc::shmctl(id, cmd, READ_ONLY.as_ptr().cast_mut().cast())),
        Buffer::Bytes(bytes) => {
            page.fill(u64::from_ne_bytes([FILLER; 8]));
            for (word, chunk) in page.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_ne_bytes(chunk.try_into().expect("eight bytes"));
            }
            let reply = call!(libc::shmctl(id, cmd, page.as_mut_ptr().cast()));
            let data = page[..Stat::SIZE / 8 + 1].iter().flat_map(|w| w.to_ne_bytes()).collect();
            Reply { data, ..reply }
        }
    }
}

/// `parts[0]` is `SHM_INFO`, `parts[1 + index]` the `SHM_STAT_ANY` of each index up to the highest in use.
fn survey() -> Reply {
    let mut page = [0_u64; PAGE / 8];
    let mut ask = |id, cmd, size: usize| {
        let reply = call!(libc::shmctl(id, cmd, page.as_mut_ptr().cast()));
        let data = page[..size / 8].iter().flat_map(|w| w.to_ne_bytes()).collect();
        if reply.ret < 0 { reply } else { Reply { data, ..reply } }
    };
    let usage = ask(0, SHM_INFO, Usage::SIZE);
    let highest = i32::try_from(usage.ret).unwrap_or(0);
    let mut parts = vec![usage];
    parts.extend((0..=highest).map(|index| ask(index, SHM_STAT_ANY, Stat::SIZE)));
    Reply { parts, ..Reply::default() }
}

fn peek(addr: u64, len: u64) -> Reply {
    let mut reply = Reply::default();
    for at in addr..addr + len {
        match probe::read(at) {
            Ok(byte) => reply.data.push(byte),
            Err(signal) => {
                reply.signal = signal;
                break;
            }
        }
    }
    reply.ret = reply.data.len() as i64;
    reply
}

fn poke(addr: u64, bytes: &[u8]) -> Reply {
    for (done, (at, &byte)) in (addr..).zip(bytes).enumerate() {
        if let Err(signal) = probe::write(at, byte) {
            return Reply { ret: done as i64, signal, ..Reply::default() };
        }
    }
    Reply::of(bytes.len() as i64)
}

fn zero_run(addr: u64, len: u64) -> Reply {
    let run = (addr..addr + len).take_while(|&at| probe::read(at) == Ok(0)).count();
    Reply::of(run as i64)
}

fn become_(who: &Who) -> Reply {
    let steps = [
        call!(libc::setgroups(who.groups.len(), who.groups.as_ptr())),
        call!(libc::setresgid(who.gid, who.gid, who.gid)),
        call!(libc::prctl(libc::PR_SET_KEEPCAPS, 1)),
        call!(libc::setresuid(who.uid, who.uid, who.uid)),
        set_caps(who.caps),
    ];
    steps.into_iter().find(|r| r.ret < 0).unwrap_or_default()
}

fn set_caps(caps: u64) -> Reply {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut had = [0_u32; 6];
    call!(libc::syscall(libc::SYS_capget, header.as_ptr(), had.as_mut_ptr()));
    let [low, high] = [caps as u32 & had[1], (caps >> 32) as u32 & had[4]];
    let sets = [low, low, 0, high, high, 0];
    call!(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()))
}

fn fill(mut one: impl FnMut(u64) -> Reply) -> Reply {
    let full = (0..).find(|&n| one(n).ret == -1).unwrap_or(0);
    Reply::of(full.cast_signed())
}

fn sbrk(attach: i32) -> Reply {
    let now = call!(libc::sbrk(0)).ret as u64;
    let next = now.next_multiple_of(PAGE as u64);
    let at = call!(libc::shmat(attach, p(next), 0));
    let grown = call!(libc::sbrk(4 * PAGE as isize));
    Reply { parts: vec![at, grown], ..Reply::default() }
}

fn maps(addr: u64) -> Reply {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let covers = |line: &&str| {
        let (low, high) = line.split(' ').next()?.split_once('-')?;
        let [low, high] = [u64::from_str_radix(low, 16).ok()?, u64::from_str_radix(high, 16).ok()?];
        (low..high).contains(&addr).then_some(())
    };
    let line = text.lines().find(|line| covers(line).is_some()).unwrap_or_default();
    Reply { data: line.as_bytes().to_vec(), ..Reply::default() }
}

fn files(result: std::io::Result<Vec<u8>>) -> Reply {
    match result {
        Ok(data) => Reply { data, ..Reply::default() },
        Err(error) => Reply { ret: -1, errno: error.raw_os_error().unwrap_or(0), ..Reply::default() },
    }
}

fn provider() -> Reply {
    // SAFETY: all zero bytes are a valid Dl_info: null pointers.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    call!(libc::dladdr(libc::shmget as *const () as *const c_void, &raw mut info));
    if info.dli_fname.is_null() {
        return Reply::default();
    }
    // SAFETY: dladdr left a pointer to a path that lives as long as the library.
    let path = unsafe { CStr::from_ptr(info.dli_fname) };
    Reply { data: path.to_bytes().to_vec(), ..Reply::default() }
}

/// What a kernel without System V IPC does: a seccomp filter that knows only the four calls.
fn deny_kernel() -> Reply {
    let load = 0x20; // BPF_LD | BPF_W | BPF_ABS
    let equal = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    let give = 0x06; // BPF_RET | BPF_K
    let calls = [libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmdt, libc::SYS_shmctl];
    let line = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut filter = vec![line(load, 0, 0)];
    for (left, nr) in (1..=4_u8).rev().zip(calls) {
        filter.push(line(equal, left, nr as u32));
    }
    filter.push(line(give, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(line(give, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let bound = call!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if bound.ret < 0 {
        return bound;
    }
    call!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program))
}
