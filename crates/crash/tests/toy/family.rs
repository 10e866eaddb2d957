//! Operations that are not the work of one thread alone.
#![allow(unsafe_code, reason = "forks; std has no fork")]

use std::fs;
use std::io;
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

pub(crate) fn play(role: &str, world: &Path) {
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
            let _ = Command::new("/bin/true").current_dir(world).status().unwrap();
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
