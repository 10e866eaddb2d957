//! The four functions of `<sys/shm.h>`.
//!
//! They are private: C finds them by name, Rust programs have `coseg_sysv`.
#![allow(unsafe_code, reason = "the C ABI")]

use std::ffi::{c_int, c_void};

use coseg_sysv::{AttachFlags, Backend, GetFlags, Key, ShmId};

use crate::boundary::answer;
use crate::control;
use crate::namespace::namespace;

// SAFETY: no other symbol of this name is in the library; the signature is that of <sys/shm.h>.
#[unsafe(no_mangle)]
extern "C" fn shmget(key: c_int, size_bytes: usize, flags: c_int) -> c_int {
    answer(-1, || {
        let id = namespace()?.get(Key::new(key), size_bytes, GetFlags::from_raw(flags))?;
        Ok(id.raw())
    })
}

/// # Safety
/// As `shmat(2)`: with `SHM_REMAP`, nothing may use what is mapped in the range.
// SAFETY: no other symbol of this name is in the library; the signature is that of <sys/shm.h>.
#[unsafe(no_mangle)]
unsafe extern "C" fn shmat(id: c_int, address: *const c_void, flags: c_int) -> *mut c_void {
    let failed = std::ptr::without_provenance_mut(usize::MAX);
    answer(failed, || {
        let backend = namespace()?;
        // SAFETY: the caller answers for what a replacing attach replaces, as it does with the kernel.
        let mapped = unsafe { backend.attach(ShmId::new(id), address.addr(), AttachFlags::from_raw(flags)) }?;
        Ok(std::ptr::with_exposed_provenance_mut(mapped.address))
    })
}

/// # Safety
/// As `shmdt(2)`: nothing may use the attachment any more.
// SAFETY: no other symbol of this name is in the library; the signature is that of <sys/shm.h>.
#[unsafe(no_mangle)]
unsafe extern "C" fn shmdt(address: *const c_void) -> c_int {
    answer(-1, || {
        let backend = namespace()?;
        // SAFETY: the caller is done with the attachment, as it must be with the kernel.
        unsafe { backend.detach(address.addr()) }?;
        Ok(0)
    })
}

/// The buffer may be any address at all: what cannot be read or written there is `EFAULT`.
// SAFETY: no other symbol of this name is in the library; the signature is that of <sys/shm.h>.
#[unsafe(no_mangle)]
extern "C" fn shmctl(id: c_int, command: c_int, buffer: *mut c_void) -> c_int {
    answer(-1, || control::control(namespace()?, id, command, buffer.expose_provenance()))
}
