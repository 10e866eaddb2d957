//! What the tests say to an actor, and what it answers: one packet each way.

use serde::{Deserialize, Serialize};

/// The third argument of `shmctl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Buffer {
    /// A null pointer.
    Null,
    /// A pointer where nothing is mapped.
    Wild,
    /// A pointer to a page that cannot be written.
    ReadOnly,
    /// These bytes, followed by [`FILLER`] up to a page.
    Bytes(Vec<u8>),
}

/// What an output buffer holds before the call, to see which bytes the call wrote.
pub const FILLER: u8 = 0xA5;

/// How a new process comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Birth {
    /// `fork()` of the C library, with its `pthread_atfork` handlers.
    Fork,
    /// The system call alone: no handler runs.
    RawFork,
    /// `vfork()`, and the child executes the actor anew.
    VforkExec,
}

/// A change of credentials, carried out in the order a login program would.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Who {
    /// Real, effective and saved user.
    pub uid: u32,
    /// Real, effective and saved group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Capabilities that stay permitted and effective, if the process has them.
    pub caps: u64,
}

/// One thing an actor can be told to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the C call of its name, with that call's arguments")]
pub enum Cmd {
    Get {
        key: i32,
        size: u64,
        flags: i32,
    },
    At {
        id: i32,
        addr: u64,
        flags: i32,
    },
    Dt {
        addr: u64,
    },
    Ctl {
        id: i32,
        cmd: i32,
        buf: Buffer,
    },
    /// The highest index, `SHM_INFO`, and `SHM_STAT_ANY` of every index, in one reply.
    Survey,
    /// Reads bytes; stops at the first that cannot be read.
    Peek {
        addr: u64,
        len: u32,
    },
    /// Writes bytes; stops at the first that cannot be written.
    Poke {
        addr: u64,
        bytes: Vec<u8>,
    },
    /// The number of leading zero bytes of a range.
    ZeroRun {
        addr: u64,
        len: u64,
    },
    /// The channel of the child travels with this command.
    Birth(Birth),
    /// `clone(CLONE_VM | CLONE_VFORK)`: the child makes one call and exits, its parent answers.
    CloneVm(Box<Cmd>),
    /// Carries out a command on a thread that then ends.
    Thread(Box<Cmd>),
    /// Starts a thread that stays.
    Park,
    Exec,
    /// `exit`, or `_exit` if `raw`.
    Exit {
        code: i32,
        raw: bool,
    },
    /// `waitpid(-1)`.
    Wait,
    /// `waitpid(-1)` until there is no child left.
    Reap,
    Become(Who),
    Unshare {
        flags: i32,
    },
    Rlimit {
        resource: u32,
        soft: u64,
        hard: bool,
    },
    Umask {
        mask: u32,
    },
    Mmap {
        addr: u64,
        len: u64,
        prot: i32,
        flags: i32,
    },
    Munmap {
        addr: u64,
        len: u64,
    },
    Mremap {
        old: u64,
        old_len: u64,
        new_len: u64,
        flags: i32,
        new: u64,
    },
    Mprotect {
        addr: u64,
        len: u64,
        prot: i32,
    },
    Madvise {
        addr: u64,
        len: u64,
        advice: i32,
    },
    Mlock {
        addr: u64,
        len: u64,
    },
    Mlockall {
        flags: i32,
    },
    Msync {
        addr: u64,
        len: u64,
        flags: i32,
    },
    RemapFilePages {
        addr: u64,
        len: u64,
        page: u64,
    },
    CloseRange {
        first: u32,
        last: u32,
    },
    /// The number of open descriptors.
    CountFds,
    /// Opens descriptors until there is none left.
    FillFds,
    /// Makes one-page mappings until the process may have no more.
    FillMaps,
    /// `sbrk`, after asking for an attach at the present break if `attach` names a segment.
    Sbrk {
        attach: i32,
    },
    /// `pwrite` through `/proc/self/mem`.
    WriteMem {
        addr: u64,
        bytes: Vec<u8>,
    },
    /// The line of `/proc/self/maps` that covers an address.
    Maps {
        addr: u64,
    },
    BlockSignals,
    /// Every later System V shared memory call of the kernel answers `ENOSYS`.
    DenyKernel,
    Ftok {
        path: String,
        proj: i32,
    },
    ReadFile {
        path: String,
    },
    WriteFile {
        path: String,
        data: String,
    },
    Mount {
        source: String,
        target: String,
        fstype: String,
        flags: u64,
        data: String,
    },
    Unmount {
        target: String,
    },
    Mkdir {
        path: String,
        mode: u32,
    },
    Setenv {
        name: String,
        value: String,
    },
    /// The file that provides the symbol `shmget`.
    Provider,
    /// Meets the other parties at a barrier each round and races them.
    Race(Race),
    /// Several commands, whose replies come back together.
    Batch(Vec<Cmd>),
}

/// One party's share in a race of many rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// A shared anonymous mapping of at least a page, all zero at the start.
    pub barrier: u64,
    /// How many actors take part.
    pub parties: u32,
    /// Which of them this is, from 0.
    pub me: u32,
    /// How many rounds.
    pub rounds: u32,
    /// What is raced for.
    pub kind: RaceKind,
}

/// What is raced for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum RaceKind {
    /// `shmget(key, …, IPC_CREAT | IPC_EXCL)`.
    CreateExclusive,
    /// `shmget(key, …, IPC_CREAT)`.
    Create,
    /// Party 0 removes, the others attach, check and detach.
    AttachRemove,
}

/// What came of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The return value.
    pub ret: i64,
    /// `errno`, if `ret` is −1.
    pub errno: i32,
    /// The signal that a memory access raised.
    pub signal: i32,
    /// Bytes read.
    pub data: Vec<u8>,
    /// The replies to a batch.
    pub parts: Vec<Reply>,
}

/// The largest packet either side sends.
pub const PACKET_MAX: usize = 128 * 1024;

impl Reply {
    /// A plain return value, with `errno` if it tells of a failure.
    pub fn of(ret: i64) -> Self {
        let errno = if ret == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
        Self { ret, errno, ..Self::default() }
    }
}
