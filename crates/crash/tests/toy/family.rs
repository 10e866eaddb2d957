//! Operations that are not the work of one thread alone.
#![allow(unsafe_code, reason = "forks; std has no fork")]

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use coseg_crash::mark;

pub(crate) fn prepare(world: &Path) -> io::Result<()> {
    for name in ["a", "b"] {
        fs::write(world.join(name), "old")?;
    }
    Ok(())
}

/// What is in `a` and `b`.
pub(crate) fn contents(world: &Path) -> [String; 2] {
    ["a", "b"].map(|name| fs::read_to_string(world.join(name)).unwrap())
}

/// Replaces the contents of one file in one step.
fn replace(world: &Path, name: &str) {
    let aside = world.join(format!("{name}.new"));
    fs::write(&aside, "new").unwrap();
    fs::rename(aside, world.join(name)).unwrap();
}

/// Writes a program that ends at once. It is one page that needs no dynamic linker: each of its instructions is
/// stepped through.
fn write_program(path: &Path) {
    const BASE: u64 = 0x40_0000;
    const HEADERS_SIZE: u64 = 64 + 56;
    #[cfg(target_arch = "x86_64")]
    // mov eax, 60 (exit); xor edi, edi; syscall
    let (machine, code) = (62_u16, [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
    #[cfg(target_arch = "aarch64")]
    // mov x8, 93 (exit); mov x0, 0; svc 0
    let (machine, code) = (183_u16, [0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 0x01, 0, 0, 0xd4]);
    let size = HEADERS_SIZE + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let mut add = |bytes: &[u8]| file.extend_from_slice(bytes);
    // An executable of this machine, version 1, which starts behind its headers.
    add(&2_u16.to_le_bytes());
    add(&machine.to_le_bytes());
    add(&1_u32.to_le_bytes());
    add(&(BASE + HEADERS_SIZE).to_le_bytes());
    // The program header follows; there are no sections.
    add(&64_u64.to_le_bytes());
    add(&0_u64.to_le_bytes());
    add(&0_u32.to_le_bytes());
    for short in [64_u16, 56, 1, 64, 0, 0] {
        add(&short.to_le_bytes());
    }
    // Loaded whole, readable and executable.
    add(&1_u32.to_le_bytes());
    add(&5_u32.to_le_bytes());
    for long in [0, BASE, BASE, size, size, 0x1000] {
        add(&long.to_le_bytes());
    }
    add(&code);
    fs::write(path, file).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn play(role: &str, world: &Path) {
    if role == "program" {
        // Here, where no other thread forks: a child with the file open for writing would keep it from running.
        write_program(&world.join("program"));
    }
    mark::begin();
    match role {
        "thread" => {
            thread::scope(|scope| scope.spawn(|| replace(world, "a")).join()).unwrap();
            replace(world, "b");
        }
        "fork" => {
            in_child(|| replace(world, "a"));
            replace(world, "b");
        }
        "program" => {
            // Its failure is no surprise here: a trial kills it.
            let _ = Command::new(world.join("program")).current_dir(world).status().unwrap();
            replace(world, "b");
        }
        role => panic!("{role}?"),
    }
    mark::end();
}

/// Does `work` in a child of fork and waits for it.
fn in_child(work: impl FnOnce()) {
    // SAFETY: the child calls nothing another thread may have held a lock of: it allocates, and glibc's fork
    // leaves the allocator usable.
    let child = unsafe { libc::fork() };
    if child == 0 {
        work();
        // SAFETY: ends the child without running this program's exit handlers.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
}
