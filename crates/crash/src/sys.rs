//! The system calls a tracer needs, one per function, each returning `io::Result`.
//!
//! Everything `unsafe` in this crate is here.
#![allow(unsafe_code, reason = "ptrace, waitpid, kill, prctl and personality have no safe wrapper in std")]

use std::ffi::c_int;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

/// A process, thread or process group id.
pub(crate) type Pid = libc::pid_t;

/// An unused argument of ptrace, which is variadic: it must be as wide as a pointer.
const NONE: libc::c_long = 0;

/// What a traced task last reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At a system call's entry or exit.
    Syscall,
    /// A plain SIGTRAP: one instruction done.
    Trap,
    /// A `PTRACE_EVENT_*`.
    Event(c_int),
    /// About to receive this signal.
    Signal(c_int),
    /// Gone, with this exit code.
    Exited(c_int),
    /// Gone, by this signal.
    Killed(c_int),
}

impl Stop {
    /// True when the task no longer exists.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Exited(_) | Self::Killed(_))
    }

    fn decode(status: c_int) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Killed(libc::WTERMSIG(status));
        }
        let event = status >> 16;
        match libc::WSTOPSIG(status) {
            signal if signal == libc::SIGTRAP | 0x80 => Self::Syscall,
            _ if event != 0 => Self::Event(event),
            libc::SIGTRAP => Self::Trap,
            signal => Self::Signal(signal),
        }
    }
}

/// How far a resumed task goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Until a signal or an event.
    Free,
    /// Until the next entry to or exit from a system call.
    ToSyscall,
    /// One instruction.
    OneStep,
}

/// What a task stopped at, as PTRACE_GET_SYSCALL_INFO tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Syscall {
    Entry { number: u64, args: [u64; 6] },
    Exit,
    Outside,
}

/// Makes `command`'s process stop under this thread's trace as soon as it runs its program.
///
/// Addresses are the same from run to run where personality(2) is permitted.
pub(crate) fn trace_from_exec(command: &mut Command) {
    let before_exec = || {
        // SAFETY: personality takes no pointer; a refusal (a seccomp filter) costs only stable addresses.
        let persona = unsafe { libc::personality(0xffff_ffff) };
        if persona != -1 {
            let fixed = libc::c_ulong::from(persona.cast_unsigned()) | ADDR_NO_RANDOMIZE;
            // SAFETY: as above.
            unsafe { libc::personality(fixed) };
        }
        // SAFETY: PTRACE_TRACEME uses none of its arguments.
        check(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, NONE, NONE) }).map(drop)
    };
    // SAFETY: the closure makes two async-signal-safe system calls and allocates nothing.
    unsafe { command.pre_exec(before_exec) };
}

const ADDR_NO_RANDOMIZE: libc::c_ulong = 0x0004_0000;

/// Makes `command`'s process die with the thread that spawns it.
pub(crate) fn die_with_parent(command: &mut Command) {
    let before_exec = || {
        // SAFETY: PR_SET_PDEATHSIG takes an integer and no pointer.
        let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        check(set.into()).map(drop)
    };
    // SAFETY: the closure makes one async-signal-safe system call and allocates nothing.
    unsafe { command.pre_exec(before_exec) };
}

/// Tells a freshly stopped task's kernel side what to report; its children inherit the options.
pub(crate) fn set_options(task: Pid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC;
    // SAFETY: PTRACE_SETOPTIONS takes integers only.
    check(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, task, NONE, libc::c_long::from(options)) }).map(drop)
}

/// Lets a stopped task go on, delivering `signal` unless it is 0.
pub(crate) fn resume(task: Pid, how: Resume, signal: c_int) -> io::Result<()> {
    let request = match how {
        Resume::Free => libc::PTRACE_CONT,
        Resume::ToSyscall => libc::PTRACE_SYSCALL,
        Resume::OneStep => libc::PTRACE_SINGLESTEP,
    };
    // SAFETY: these requests take integers only.
    check(unsafe { libc::ptrace(request, task, NONE, libc::c_long::from(signal)) }).map(drop)
}

/// What a stopped task is at.
pub(crate) fn syscall_at(task: Pid) -> io::Result<Syscall> {
    let [kind, _, _, number, a, b, c, d, e, f, ..] = syscall_info(task)?;
    Ok(match kind.to_ne_bytes()[0] {
        libc::PTRACE_SYSCALL_INFO_ENTRY => Syscall::Entry { number, args: [a, b, c, d, e, f] },
        libc::PTRACE_SYSCALL_INFO_EXIT => Syscall::Exit,
        _ => Syscall::Outside,
    })
}

/// `struct ptrace_syscall_info` as words: the first byte is the kind of stop, words 1 and 2 are the instruction
/// and stack pointers, the rest depends on the kind.
fn syscall_info(task: Pid) -> io::Result<[u64; 12]> {
    let mut words = [0_u64; 12];
    let room = size_of_val(&words);
    // SAFETY: the kernel writes at most `room` bytes to `words`, which is that large.
    check(unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, task, room, words.as_mut_ptr()) })?;
    Ok(words)
}

/// A stopped task's instruction pointer, by the cheapest request there is: it is made at every step.
#[cfg(target_arch = "x86_64")]
pub(crate) fn instruction_pointer(task: Pid) -> io::Result<u64> {
    const OFFSET: usize = std::mem::offset_of!(libc::user_regs_struct, rip);
    let mut word = 0_u64;
    // The raw call stores the word; libc's wrapper returns it, which cannot be told from an error.
    let request = libc::c_long::from(libc::PTRACE_PEEKUSER);
    let task = libc::c_long::from(task);
    // SAFETY: the kernel writes one word to `word`.
    let read = unsafe { libc::syscall(libc::SYS_ptrace, request, task, OFFSET, ptr::from_mut(&mut word)) };
    check(read)?;
    Ok(word)
}

/// A stopped task's instruction pointer.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn instruction_pointer(task: Pid) -> io::Result<u64> {
    syscall_info(task).map(|words| words[1])
}

/// Has a stopped task stop with a plain SIGTRAP before the instruction at an address, or, without one, no more.
#[cfg(target_arch = "x86_64")]
pub(crate) fn set_breakpoint(task: Pid, address: Option<u64>) -> io::Result<()> {
    const OFFSET: usize = std::mem::offset_of!(libc::user, u_debugreg);
    // The first of the debug registers holds the address, the eighth says which are in use and for what.
    let registers = [(0, address), (7, Some(u64::from(address.is_some())))];
    for (number, word) in registers.into_iter().filter_map(|(number, word)| word.map(|word| (number, word))) {
        // SAFETY: PTRACE_POKEUSER takes integers only.
        check(unsafe {
            libc::ptrace(libc::PTRACE_POKEUSER, task, OFFSET + number * size_of::<u64>(), word)
        })?;
    }
    Ok(())
}

/// Not where only its own library knows how.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn set_breakpoint(_: Pid, _: Option<u64>) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// The signals a stopped task blocks, if SIGTRAP is one of them.
pub(crate) fn mask_blocking_trap(task: Pid) -> io::Result<Option<u64>> {
    let mut mask = 0_u64;
    // SAFETY: the kernel writes as many bytes as it is told, the size of `mask`, to `mask`.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETSIGMASK, task, size_of_val(&mask), ptr::from_mut(&mut mask))
    })?;
    Ok(Some(mask).filter(|mask| mask >> (libc::SIGTRAP - 1) & 1 == 1))
}

/// Sets the signals a stopped task blocks.
pub(crate) fn set_mask(task: Pid, mask: u64) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as it is told, the size of `mask`, from `mask`.
    check(unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, task, size_of_val(&mask), ptr::from_ref(&mask)) })
        .map(drop)
}

/// The child that a clone, fork or vfork event announces.
pub(crate) fn new_child(task: Pid) -> io::Result<Pid> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long to `message`.
    check(unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, task, NONE, ptr::from_mut(&mut message)) })?;
    Pid::try_from(message).map_err(io::Error::other)
}

/// True when a stop by a stop signal is the group's stop and no longer the signal's delivery.
pub(crate) fn in_group_stop(task: Pid) -> bool {
    // SAFETY: siginfo_t is plain old data; zeroes are a value of it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one siginfo_t to `info`.
    let asked = unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, task, NONE, ptr::from_mut(&mut info)) };
    asked == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// Waits until a task of process group `group` reports; `None` when there is none left.
pub(crate) fn wait(group: Pid) -> io::Result<Option<(Pid, Stop)>> {
    wait_with(group, 0)
}

/// As [`wait`], returning `None` also when nothing is to report yet.
pub(crate) fn wait_now(group: Pid) -> io::Result<Option<(Pid, Stop)>> {
    wait_with(group, libc::WNOHANG)
}

fn wait_with(group: Pid, flags: c_int) -> io::Result<Option<(Pid, Stop)>> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int to `status`.
        let task = unsafe { libc::waitpid(-group, &raw mut status, libc::__WALL | flags) };
        if task > 0 {
            return Ok(Some((task, Stop::decode(status))));
        }
        if task == 0 {
            return Ok(None);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ECHILD) => return Ok(None),
            Some(libc::EINTR) => {}
            _ => return Err(error),
        }
    }
}

/// SIGKILLs one process, or with a negative id a process group; one that is gone is no error.
pub(crate) fn kill(process: Pid) {
    // SAFETY: kill takes integers only.
    unsafe { libc::kill(process, libc::SIGKILL) };
}

/// Binds this thread, and what it starts, to the CPU it is on, until dropped.
///
/// Tracer and tracee take turns and never run at once: on one CPU a turn is a context switch, on two it is a
/// wake-up across them, which in a virtual machine costs twenty times as much.
#[derive(Debug)]
pub(crate) struct OneCpu {
    before: libc::cpu_set_t,
}

impl OneCpu {
    pub(crate) fn bind() -> io::Result<Self> {
        // SAFETY: cpu_set_t is an array of integers; zeroes are a value of it.
        let mut before: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        let mut one = before;
        // SAFETY: the kernel writes at most a cpu_set_t to `before`.
        check(unsafe { libc::sched_getaffinity(0, size_of_val(&before), &raw mut before) }.into())?;
        // SAFETY: sched_getcpu takes nothing.
        let cpu = unsafe { libc::sched_getcpu() };
        let cpu = usize::try_from(cpu).map_err(io::Error::other)?;
        // SAFETY: CPU_SET bounds-checks its index against the set.
        unsafe { libc::CPU_SET(cpu, &mut one) };
        use_cpus(&one)?;
        Ok(Self { before })
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        // The CPUs were this thread's before; if they are gone, it stays where it is.
        let _ = use_cpus(&self.before);
    }
}

fn use_cpus(cpus: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: the kernel reads a cpu_set_t from `cpus`.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(cpus), cpus) }.into()).map(drop)
}

/// SIGCONTs this thread, which is not stopped. No wrapper that makes further system calls afterwards.
pub(crate) fn continue_oneself() {
    // SAFETY: getpid takes nothing.
    let process = unsafe { libc::syscall(libc::SYS_getpid) };
    // SAFETY: gettid takes nothing.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: tgkill takes integers only.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::c_long::from(libc::SIGCONT)) };
}

/// A getpid whose arguments, which the kernel ignores, are the tracer's to see.
pub(crate) fn getpid_with(magic: u64, what: u64) {
    // SAFETY: getpid ignores its arguments and touches no memory.
    unsafe { libc::syscall(libc::SYS_getpid, magic, what) };
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
