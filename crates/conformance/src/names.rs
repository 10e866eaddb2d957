//! The constants of `<sys/shm.h>` and their kin, under their own names.

#![expect(missing_docs, reason = "the names are the manual's")]

pub use libc::{
    CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWUSER, IPC_CREAT, IPC_EXCL, IPC_PRIVATE, IPC_RMID, IPC_SET, IPC_STAT,
    MADV_DONTFORK, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_WIPEONFORK, MAP_ANONYMOUS, MAP_FIXED,
    MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, MCL_FUTURE, MREMAP_FIXED, MREMAP_MAYMOVE, MS_SYNC, PROT_EXEC,
    PROT_NONE, PROT_READ, PROT_WRITE, RLIM_INFINITY, RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE,
    SIGBUS, SIGSEGV,
};

pub const IPC_INFO: i32 = 3;
pub const SHM_LOCK: i32 = 11;
pub const SHM_UNLOCK: i32 = 12;
pub const SHM_STAT: i32 = 13;
pub const SHM_INFO: i32 = 14;
pub const SHM_STAT_ANY: i32 = 15;

/// Of `shmget`; the flags of `shmat` share the bits.
pub const SHM_HUGETLB: i32 = 0o4000;
pub const SHM_NORESERVE: i32 = 0o10000;
pub const SHM_HUGE_SHIFT: i32 = 26;

pub const SHM_RDONLY: i32 = 0o10000;
pub const SHM_RND: i32 = 0o20000;
pub const SHM_REMAP: i32 = 0o40000;
pub const SHM_EXEC: i32 = 0o100000;

pub const CAP_IPC_LOCK: u64 = 1 << 14;
pub const CAP_IPC_OWNER: u64 = 1 << 15;
pub const CAP_SYS_RAWIO: u64 = 1 << 17;
pub const CAP_SYS_ADMIN: u64 = 1 << 21;
pub const CAP_ALL: u64 = (1 << 41) - 1;
pub const CAP_NONE: u64 = 0;

/// The size of a page, and of SHMLBA, in bytes.
pub const PAGE: u64 = 4096;
/// The size of a huge page in bytes.
pub const HUGE: u64 = 2 << 20;
