//! `libcoseg_preload.so`: `shmget`, `shmat`, `shmdt` and `shmctl` as unmodified C programs call them, on the
//! user backend of coseg-sysv instead of the kernel.
//!
//! ```text
//! LD_PRELOAD=/usr/lib/coseg/libcoseg_preload.so initdb -D data
//! ```
//!
//! A program may also be linked with it, by `pkg-config --libs coseg`; the header stays `<sys/shm.h>`.
//!
//! # Environment
//!
//! | Variable | Meaning |
//! |---|---|
//! | `COSEG_DIR` | the namespace's directory, see [`coseg_sysv::User::open`] |
//! | `COSEG_RESERVE=1` | segments get their memory when they are made |
//! | `COSEG_QUIET=1` | no word on stderr when the namespace cannot be opened |
//!
//! The namespace is fixed by the first call that succeeds in opening it, and survives a change of user id or
//! environment. Until then every call fails with the reason's error number.
//!
//! # What it answers besides
//!
//! `/proc/sysvipc/shm` lists the kernel's segments, so the open family says `ENOENT` for exactly this path:
//! `ipcs` then asks `shmctl`, and gets ours. `ipcs -l` shows the limits of the kernel all the same, from
//! `/proc/sys/kernel`.
//!
//! # What it cannot reach
//!
//! - statically linked programs, and programs that make the system calls by number;
//! - setuid, setgid and file-capability programs: the dynamic linker drops `LD_PRELOAD` for them;
//! - plug-ins loaded with `RTLD_DEEPBIND`, which find the C library's functions first.
//!
//! They see the kernel's segments, and nobody sees theirs from here.
//!
//! # Promises of this layer
//!
//! `errno` is set as the kernel sets it, and untouched on success. A pointer into nowhere is `EFAULT`, not a
//! crash. No call is a cancellation point, as none is with the kernel. A bug inside is `EIO`; it never unwinds
//! into C. After the first call, signal handlers may call: signals are blocked wherever a lock is held, and for
//! ordinary pages, from Linux 6.11 on, `shmdt` and `shmctl(IPC_RMID)` do not allocate.

mod abi;
mod boundary;
mod control;
mod copy;
mod namespace;
mod next;
mod open;
