//! Reads and writes of single bytes that report a signal as a value.
//!
//! Each access is one instruction at a known address; the handler recognises it and resumes behind it.

#![allow(unsafe_code, reason = "touches memory that may not be there, and mends the register state after it")]
#![allow(clippy::cast_possible_truncation, reason = "registers and addresses are 64 bits wide here")]

use std::ffi::{c_int, c_void};

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl coseg_probe_read",
    "coseg_probe_read:",
    "movzx eax, byte ptr [rdi]",
    "ret",
    ".globl coseg_probe_write",
    "coseg_probe_write:",
    "mov byte ptr [rdi], sil",
    "xor eax, eax",
    "ret",
    ".globl coseg_probe_caught",
    "coseg_probe_caught:",
    "ret",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".globl coseg_probe_read",
    "coseg_probe_read:",
    "ldrb w0, [x0]",
    "ret",
    ".globl coseg_probe_write",
    "coseg_probe_write:",
    "strb w1, [x0]",
    "mov w0, wzr",
    "ret",
    ".globl coseg_probe_caught",
    "coseg_probe_caught:",
    "ret",
);

// SAFETY: defined just above with these signatures.
unsafe extern "C" {
    fn coseg_probe_read(addr: u64) -> c_int;
    fn coseg_probe_write(addr: u64, byte: u8) -> c_int;
    fn coseg_probe_caught();
}

extern "C" fn on_fault(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid, exclusive context to a handler installed with SA_SIGINFO.
    let machine = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let (pc, result) = {
        let [rip, rax] = [libc::REG_RIP as usize, libc::REG_RAX as usize];
        let (low, high) = machine.gregs.split_at_mut(rip.max(rax));
        if rip > rax { (&mut high[0], &mut low[rax]) } else { (&mut low[rip], &mut high[0]) }
    };
    #[cfg(target_arch = "aarch64")]
    let (pc, result) = (&mut machine.pc, &mut machine.regs[0]);

    let probes = [coseg_probe_read as *const () as usize, coseg_probe_write as *const () as usize];
    if probes.contains(&(*pc as usize)) {
        *pc = coseg_probe_caught as *const () as _;
        *result = -signal as _;
    } else {
        // A fault of the actor's own: let it end the process, as it would have without this handler.
        // SAFETY: restoring the default disposition has no precondition.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Makes faults of the two probes come back as values.
pub(crate) fn install() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: all zero bytes are a valid sigaction: default handler, empty mask, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        // SAFETY: `action` is initialised and the old one is not asked for.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
}

/// One byte, or the signal that reading it raised.
pub(crate) fn read(addr: u64) -> Result<u8, i32> {
    // SAFETY: a fault at any address is caught; the byte is only copied, never borrowed.
    let got = unsafe { coseg_probe_read(addr) };
    u8::try_from(got).map_err(|_| -got)
}

/// Writes one byte, or says which signal that raised.
pub(crate) fn write(addr: u64, byte: u8) -> Result<(), i32> {
    // SAFETY: a fault is caught; the tests name only addresses of mappings they asked for.
    let got = unsafe { coseg_probe_write(addr, byte) };
    if got == 0 { Ok(()) } else { Err(-got) }
}
