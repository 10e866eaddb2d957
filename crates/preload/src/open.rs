//! The open family: everything goes on to the next definition, but `/proc/sysvipc/shm` does not exist.
//!
//! The path is looked at only when the file was opened: then the kernel itself has just read it, while a path that
//! leads nowhere must be `EFAULT` and not a crash here.
//!
//! These functions may block, and so may be cancelled or left by `longjmp`, through our frames: hence `C-unwind`,
//! and nothing in them that would have to be dropped.
//!
//! `open` and its kin are variadic in C. A fixed third argument is where a variadic one would be by the calling
//! conventions of x86-64 and aarch64 Linux, and holds rubbish where the caller gave none, which the next
//! definition ignores as we do. Called onwards they are variadic, for callees may look at the count that
//! x86-64 passes along.
#![allow(unsafe_code, reason = "the C ABI")]

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::mem::transmute;

use crate::boundary::set_errno;
use crate::next::Next;

const HIDDEN: &CStr = c"/proc/sysvipc/shm";

type Open = unsafe extern "C-unwind" fn(*const c_char, c_int, ...) -> c_int;
type OpenAt = unsafe extern "C-unwind" fn(c_int, *const c_char, c_int, ...) -> c_int;
type Open2 = unsafe extern "C-unwind" fn(*const c_char, c_int) -> c_int;
type OpenAt2 = unsafe extern "C-unwind" fn(c_int, *const c_char, c_int) -> c_int;
type Fopen = unsafe extern "C-unwind" fn(*const c_char, *const c_char) -> *mut libc::FILE;

static OPEN: Next = Next::new(c"open");
static OPEN64: Next = Next::new(c"open64");
static OPENAT: Next = Next::new(c"openat");
static OPENAT64: Next = Next::new(c"openat64");
static OPEN_2: Next = Next::new(c"__open_2");
static OPEN64_2: Next = Next::new(c"__open64_2");
static OPENAT_2: Next = Next::new(c"__openat_2");
static OPENAT64_2: Next = Next::new(c"__openat64_2");
static FOPEN: Next = Next::new(c"fopen");
static FOPEN64: Next = Next::new(c"fopen64");

// dlsym takes the dynamic linker's lock: better now than in a signal handler that interrupted a dlopen. Whoever
// opens a file before this runs looks up on its own.
#[used]
// SAFETY: the section holds pointers to functions that take nothing and return nothing.
#[unsafe(link_section = ".init_array")]
static RESOLVE: extern "C" fn() = resolve;

extern "C" fn resolve() {
    for next in
        [&OPEN, &OPEN64, &OPENAT, &OPENAT64, &OPEN_2, &OPEN64_2, &OPENAT_2, &OPENAT64_2, &FOPEN, &FOPEN64]
    {
        next.address();
    }
}

macro_rules! open {
    ($name:ident, $next:ident) => {
        // SAFETY: no other symbol of this name is in the library; the signature is that of <fcntl.h>, as above.
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            let next = $next.address();
            if next.is_null() {
                return by_number(libc::AT_FDCWD, path, flags, mode);
            }
            // SAFETY: this name has this type in every C library.
            let next = unsafe { transmute::<*mut std::ffi::c_void, Open>(next) };
            // SAFETY: the caller's arguments as they came.
            conceal(path, unsafe { next(path, flags, mode) })
        }
    };
}

macro_rules! openat {
    ($name:ident, $next:ident) => {
        // SAFETY: no other symbol of this name is in the library; the signature is that of <fcntl.h>, as above.
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(
            at: c_int,
            path: *const c_char,
            flags: c_int,
            mode: c_uint,
        ) -> c_int {
            let next = $next.address();
            if next.is_null() {
                return by_number(at, path, flags, mode);
            }
            // SAFETY: this name has this type in every C library.
            let next = unsafe { transmute::<*mut std::ffi::c_void, OpenAt>(next) };
            // SAFETY: the caller's arguments as they came.
            conceal(path, unsafe { next(at, path, flags, mode) })
        }
    };
}

/// What `_FORTIFY_SOURCE` makes of a call without a mode; the C library's own ends a program that needed one.
macro_rules! open_2 {
    ($name:ident, $next:ident) => {
        // SAFETY: no other symbol of this name is in the library; the signature is that of <bits/fcntl2.h>.
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(path: *const c_char, flags: c_int) -> c_int {
            let next = $next.address();
            if next.is_null() {
                return by_number(libc::AT_FDCWD, path, flags, 0);
            }
            // SAFETY: this name has this type in every C library that has it.
            let next = unsafe { transmute::<*mut std::ffi::c_void, Open2>(next) };
            // SAFETY: the caller's arguments as they came.
            conceal(path, unsafe { next(path, flags) })
        }
    };
}

macro_rules! openat_2 {
    ($name:ident, $next:ident) => {
        // SAFETY: no other symbol of this name is in the library; the signature is that of <bits/fcntl2.h>.
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(at: c_int, path: *const c_char, flags: c_int) -> c_int {
            let next = $next.address();
            if next.is_null() {
                return by_number(at, path, flags, 0);
            }
            // SAFETY: this name has this type in every C library that has it.
            let next = unsafe { transmute::<*mut std::ffi::c_void, OpenAt2>(next) };
            // SAFETY: the caller's arguments as they came.
            conceal(path, unsafe { next(at, path, flags) })
        }
    };
}

macro_rules! fopen {
    ($name:ident, $next:ident) => {
        // SAFETY: no other symbol of this name is in the library; the signature is that of <stdio.h>.
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(path: *const c_char, mode: *const c_char) -> *mut libc::FILE {
            let next = $next.address();
            if next.is_null() {
                set_errno(libc::ENOSYS);
                return std::ptr::null_mut();
            }
            // SAFETY: this name has this type in every C library.
            let next = unsafe { transmute::<*mut std::ffi::c_void, Fopen>(next) };
            // SAFETY: the caller's arguments as they came.
            let file = unsafe { next(path, mode) };
            if file.is_null() || !is_hidden(path) {
                return file;
            }
            // SAFETY: opened just now, and nobody else has it.
            unsafe { libc::fclose(file) };
            set_errno(libc::ENOENT);
            std::ptr::null_mut()
        }
    };
}

open!(open, OPEN);
open!(open64, OPEN64);
openat!(openat, OPENAT);
openat!(openat64, OPENAT64);
open_2!(__open_2, OPEN_2);
open_2!(__open64_2, OPEN64_2);
openat_2!(__openat_2, OPENAT_2);
openat_2!(__openat64_2, OPENAT64_2);
fopen!(fopen, FOPEN);
fopen!(fopen64, FOPEN64);

/// The same descriptor, unless it is that of the hidden file.
fn conceal(path: *const c_char, fd: c_int) -> c_int {
    if fd < 0 || !is_hidden(path) {
        return fd;
    }
    // By number: close is a cancellation point.
    // SAFETY: opened just now, and nobody else has it.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    set_errno(libc::ENOENT);
    -1
}

/// Whether this path, which the kernel has just followed, is the one we hide.
fn is_hidden(path: *const c_char) -> bool {
    // SAFETY: the kernel read a whole C string here a moment ago.
    unsafe { libc::strcmp(path, HIDDEN.as_ptr()) == 0 }
}

/// For a C library that lacks the function, which every program that calls it was compiled without.
#[cold]
fn by_number(at: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the kernel checks all four.
    let fd = unsafe { libc::syscall(libc::SYS_openat, at, path, flags, mode) };
    conceal(path, c_int::try_from(fd).unwrap_or(-1))
}
