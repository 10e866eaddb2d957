//! Copies between this library and a buffer of the program, which may be anywhere, also nowhere.
//!
//! The kernel answers `EFAULT` for a pointer that leads nowhere; a plain copy would be SIGSEGV. So the kernel
//! does the copying, from this process to this process. Where a sandbox refuses that call, a null pointer is
//! still found out and any other is trusted.
#![allow(unsafe_code, reason = "the one place that follows pointers of the program")]

use std::mem::MaybeUninit;

use coseg_sysv::Errno;
use coseg_sysv::sys::{ShmInfoLimits, ShmidDs};

/// A structure that is plain memory.
///
/// # Safety
/// Every byte pattern is a value of it, and none of its bytes is padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: numbers only; their sizes add up to that of the whole, as asserted below.
unsafe impl Plain for ShmidDs {}
// SAFETY: as above.
unsafe impl Plain for ShmInfoLimits {}
// SAFETY: as above.
unsafe impl Plain for UsageBytes {}

const _: () = {
    assert!(size_of::<ShmidDs>() == 6 * 4 + 4 * 2 + 2 * 8 + 8 + 3 * 8 + 2 * 4 + 8 + 2 * 8);
    assert!(size_of::<ShmInfoLimits>() == 9 * 8);
    assert!(size_of::<UsageBytes>() == 2 * 4 + 5 * 8);
    assert!(size_of::<UsageBytes>() == size_of::<coseg_sysv::sys::ShmInfo>());
};

/// `struct shm_info` with its padding named, so that no byte of ours reaches the program uninitialised.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct UsageBytes {
    pub(crate) used_ids: i32,
    pub(crate) pad: u32,
    pub(crate) shm_tot: u64,
    pub(crate) shm_rss: u64,
    pub(crate) shm_swp: u64,
    pub(crate) swap_attempts: u64,
    pub(crate) swap_successes: u64,
}

/// Copies a value out of the program's memory.
pub(crate) fn read<T: Plain>(from: usize) -> Result<T, Errno> {
    let mut value = MaybeUninit::<T>::zeroed();
    let to = value.as_mut_ptr();
    let copied = transfer(libc::SYS_process_vm_readv, to.expose_provenance(), from, size_of::<T>());
    if copied? == Copied::Refused {
        // SAFETY: not null; beyond that the program answers for its pointer, and `to` is a whole T.
        unsafe {
            std::ptr::copy_nonoverlapping(
                std::ptr::with_exposed_provenance(from),
                to.cast::<u8>(),
                size_of::<T>(),
            )
        };
    }
    // SAFETY: every byte pattern is a T, the zeroes before the copy included.
    Ok(unsafe { value.assume_init() })
}

/// Copies a value into the program's memory.
pub(crate) fn write<T: Plain>(to: usize, value: &T) -> Result<(), Errno> {
    let from = std::ptr::from_ref(value);
    let copied = transfer(libc::SYS_process_vm_writev, from.expose_provenance(), to, size_of::<T>());
    if copied? == Copied::Refused {
        let to = std::ptr::with_exposed_provenance_mut::<u8>(to);
        // SAFETY: not null; beyond that the program answers for its pointer, and `from` is a whole T.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), to, size_of::<T>()) };
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Copied {
    Whole,
    Refused,
}

/// Has the kernel copy `length_bytes` between `ours` and `theirs`.
fn transfer(call: libc::c_long, ours: usize, theirs: usize, length_bytes: usize) -> Result<Copied, Errno> {
    let vector = |base: usize| libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(base),
        iov_len: length_bytes,
    };
    let (ours, theirs) = (vector(ours), vector(theirs));
    // By number: other interposers wrap the named functions. The pid is asked each time, for a fork changes it.
    // SAFETY: getpid touches no memory.
    let pid = unsafe { libc::getpid() };
    // SAFETY: `ours` is a local value of this length; the kernel itself checks `theirs`.
    let copied =
        unsafe { libc::syscall(call, pid, &raw const ours, 1usize, &raw const theirs, 1usize, 0usize) };
    match usize::try_from(copied) {
        Ok(count) if count == length_bytes => Ok(Copied::Whole),
        Ok(_) => Err(Errno::EFAULT),
        Err(_) if Errno::last() == Errno::EFAULT || theirs.iov_base.is_null() => Err(Errno::EFAULT),
        Err(_) => Ok(Copied::Refused),
    }
}
