//! The write guard: pages that a thread of this process can write only while it says so.
//!
//! A memory protection key, pkeys(7), marks pages. What a thread may do with the pages of a key stands in a register
//! of its own, which costs some tens of cycles to change and no system call. All guarded regions of a process share
//! one key: there are fifteen.
//!
//! A thread that was there before the key, and every signal handler, begins without any right to the pages. So each
//! look at a guarded value makes sure of the right to read first.
#![allow(unsafe_code, reason = "system calls, and the register of rights")]
#![cfg_attr(coseg_model, allow(dead_code, reason = "models have no pages"))]

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bits of a key in the register of rights, once shifted to the key's place.
const NO_ACCESS: u32 = 1;
const NO_WRITE: u32 = 2;
const BOTH: u32 = NO_ACCESS | NO_WRITE;

/// The key that marks guarded pages of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

impl Key {
    /// The process's key, allocated for the first region that wants it and kept; else why there is none.
    pub(crate) fn of_process() -> Result<Key, String> {
        const NONE: u32 = u32::MAX;
        static KEY: AtomicU32 = AtomicU32::new(NONE);
        let known = || match KEY.load(Ordering::Relaxed) {
            NONE => None,
            key => Some(Key(key)),
        };
        if let Some(key) = known() {
            return Ok(key);
        }
        register::check()?;
        // SAFETY: takes two numbers, touches no memory.
        let key = unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, NO_WRITE) };
        let Ok(key) = u32::try_from(key) else {
            let error = io::Error::last_os_error();
            // Another thread may have been given the last one.
            return known().ok_or_else(|| match error.raw_os_error() {
                Some(libc::ENOSPC) => {
                    "all 15 memory protection keys of this process are taken: free one, or open \
                                       without a write guard"
                        .to_owned()
                }
                _ => format!("pkey_alloc: {error}: open without a write guard"),
            });
        };
        // Not under a lock, which a child forked meanwhile would find held for ever.
        match KEY.compare_exchange(NONE, key, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(Key(key)),
            Err(others) => {
                // SAFETY: no page was marked with it, for nobody else knows it.
                unsafe { libc::syscall(libc::SYS_pkey_free, key) };
                Ok(Key(others))
            }
        }
    }

    /// Marks whole pages of a mapping that may be read and written.
    pub(crate) fn guard(self, base: NonNull<u8>, pages: &Range<usize>) -> io::Result<()> {
        // SAFETY: the pages stay readable, and whoever writes them by this crate opens the key before.
        let marked = unsafe {
            let start = base.as_ptr().wrapping_add(pages.start);
            libc::syscall(
                libc::SYS_pkey_mprotect,
                start,
                pages.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                self.0,
            )
        };
        if marked == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Makes sure that the calling thread may read marked pages.
    pub(crate) fn let_read(self) {
        if register::get() & self.bits(NO_ACCESS) != 0 {
            self.set(NO_WRITE);
        }
    }

    /// Lets the calling thread write marked pages, for as long as the result lives.
    pub(crate) fn open(self) -> Open {
        self.set(0);
        Open(self)
    }

    fn set(self, rights: u32) {
        register::set(register::get() & !self.bits(BOTH) | self.bits(rights));
    }

    fn bits(self, rights: u32) -> u32 {
        rights << (2 * self.0)
    }
}

/// The calling thread may write marked pages.
#[derive(Debug)]
pub(crate) struct Open(Key);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(NO_WRITE);
    }
}

/// The register of a thread's rights.
#[cfg(target_arch = "x86_64")]
mod register {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    /// Why there is none, if so.
    pub(super) fn check() -> Result<(), String> {
        const BY_THE_CPU: u32 = 1 << 3;
        const BY_THE_KERNEL: u32 = 1 << 4;
        let features = if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).ecx };
        if features & BY_THE_KERNEL != 0 {
            return Ok(());
        }
        let fact = if features & BY_THE_CPU == 0 {
            "this CPU has no memory protection keys (`pku` in /proc/cpuinfo): open without a write guard"
        } else {
            "the kernel does not use this CPU's memory protection keys: start it without `nopku`, or open without a \
             write guard"
        };
        Err(fact.to_owned())
    }

    #[inline]
    pub(super) fn get() -> u32 {
        let rights: u32;
        // SAFETY: a key was allocated, so the kernel has the register in use; reading it changes nothing else.
        unsafe {
            asm!("rdpkru", in("ecx") 0, out("eax") rights, out("edx") _, options(nomem, nostack, preserves_flags));
        }
        rights
    }

    /// Memory is not said to be untouched: nothing may be moved past this, neither a read nor a write.
    #[inline]
    pub(super) fn set(rights: u32) {
        // SAFETY: as in `get`; the rights of other keys are written back as they were read.
        unsafe {
            asm!("wrpkru", in("eax") rights, in("ecx") 0, in("edx") 0, options(nostack, preserves_flags));
        }
    }
}

/// Elsewhere keys are not had, so nobody asks for rights.
#[cfg(not(target_arch = "x86_64"))]
mod register {
    pub(super) fn check() -> Result<(), String> {
        Err("memory protection keys are used on x86-64 only: open without a write guard".to_owned())
    }

    pub(super) fn get() -> u32 {
        unreachable!("no key without a register")
    }

    pub(super) fn set(_: u32) {
        unreachable!("no key without a register")
    }
}
