//! When something runs out: a clean error, and a process that goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use coseg_conformance::actor::Actor;
use coseg_conformance::errno::{EINVAL, ENOENT, ENOMEM, ENOSPC, ENOSYS};
use coseg_conformance::lab::{Column, Lab, Setup, is_root};
use coseg_conformance::names::*;
use coseg_conformance::protocol::Cmd;

const KEY: i32 = 0x5EED;
const MAKE: i32 = IPC_CREAT | 0o600;
const ALICE: u32 = 1000;
const MIB: u64 = 1 << 20;

macro_rules! both {
    ($($name:ident)*) => {
        mod kernel {
            $(#[test] fn $name() { super::on(super::Column::Kernel, super::$name); })*
        }
        mod user {
            $(#[test] fn $name() { super::on(super::Column::User, super::$name); })*
        }
    };
}

both! {
    no_descriptor_left
    no_descriptor_left_after_first_use
    file_size_limit_of_zero
    hard_file_size_limit_of_zero
    no_address_space_left
    no_memory_to_lock
}

fn on(column: Column, test: fn(&Lab)) {
    if is_root() {
        test(&Lab::new(column));
    } else {
        eprintln!("skipped: needs root, for an IPC namespace of its own");
    }
}

/// Everything a program does with a segment, from creation to removal.
fn whole_cycle(a: &Actor) {
    let id = a.get(KEY, 3 * PAGE, MAKE).unwrap();
    let addr = a.at(id, 0, 0).unwrap();
    a.poke(addr + 2 * PAGE, b"works").unwrap();
    let read_only = a.at(id, 0, SHM_RDONLY).unwrap();
    assert_eq!(a.peek(read_only + 2 * PAGE, 5).unwrap(), b"works");
    assert_eq!(a.nattch(id), 2);
    a.set(id, a.stat(id).unwrap().uid, a.stat(id).unwrap().gid, 0o640).unwrap();
    assert_eq!(a.stat(id).unwrap().mode, 0o640);
    a.dt(read_only).unwrap();
    a.rmid(id).unwrap();
    assert_eq!(a.nattch(id), 1);
    a.dt(addr).unwrap();
    assert_eq!(a.stat(id), Err(EINVAL));
}

fn no_descriptor_left(lab: &Lab) {
    let a = lab.actor();
    a.rlimit(RLIMIT_NOFILE, 16, true);
    a.run(&Cmd::FillFds);
    whole_cycle(&a);
}

fn no_descriptor_left_after_first_use(lab: &Lab) {
    let a = lab.actor();
    whole_cycle(&a);
    a.rlimit(RLIMIT_NOFILE, 16, true);
    a.run(&Cmd::FillFds);
    whole_cycle(&a);
}

fn file_size_limit_of_zero(lab: &Lab) {
    let a = lab.actor();
    a.rlimit(RLIMIT_FSIZE, 0, false);
    whole_cycle(&a);
}

/// The user backend cannot make a file then, but must not be killed by SIGXFSZ for trying.
fn hard_file_size_limit_of_zero(lab: &Lab) {
    let id = lab.actor().get(KEY + 1, PAGE, MAKE).unwrap();
    let a = lab.actor();
    a.rlimit(RLIMIT_FSIZE, 0, true);
    if lab.is_kernel() || a.get(KEY, PAGE, MAKE).is_ok() {
        assert!(a.get(KEY, PAGE, MAKE).is_ok());
        return;
    }
    let error = a.get(KEY, PAGE, MAKE).unwrap_err();
    assert!([ENOSPC, ENOMEM].contains(&error), "{error} is not among those the manual lists");
    assert_eq!(a.get(KEY + 1, PAGE, 0), Ok(id));
    assert_eq!(lab.actor().get(KEY, PAGE, MAKE), Ok(id + 1));
}

fn no_address_space_left(lab: &Lab) {
    let a = lab.actor();
    let id = a.get(KEY, 64 * MIB, MAKE).unwrap();
    a.rlimit(RLIMIT_AS, 32 * MIB, false);
    assert_eq!(a.at(id, 0, 0), Err(ENOMEM));
    assert_eq!(a.nattch(id), 0);
    let small = a.get(KEY + 1, PAGE, MAKE).unwrap();
    let addr = a.at(small, 0, 0).unwrap();
    a.poke(addr, b"fits").unwrap();
    a.dt(addr).unwrap();
}

fn no_memory_to_lock(lab: &Lab) {
    let a = lab.actor();
    let id = a.get(KEY, MIB, MAKE).unwrap();
    a.rlimit(RLIMIT_MEMLOCK, 0, true);
    let addr = a.at(id, 0, 0).unwrap();
    a.poke(addr, b"unlocked").unwrap();
    assert_eq!(a.nattch(id), 1);
}

fn small_tmpfs(env: &[(&'static str, &str)]) -> Option<Lab> {
    if !is_root() {
        eprintln!("skipped: needs root, to mount a tmpfs");
        return None;
    }
    let env = env.iter().map(|&(name, value)| (name, value.to_owned())).collect();
    Some(Lab::with(&Setup { tmpfs_bytes: Some(4 * MIB), env, ..Setup::new(Column::User) }))
}

#[test]
fn promises_are_bounded_by_what_is_free() {
    let Some(lab) = small_tmpfs(&[]) else { return };
    let a = lab.actor();
    let first = a.get(KEY, 3 * MIB, MAKE).unwrap();
    assert_eq!(a.usage().1.shm_rss, 0);
    assert_eq!(a.get(KEY + 1, 3 * MIB, MAKE), Err(ENOMEM));
    assert_eq!(a.get(KEY + 1, 3 * MIB, 0), Err(ENOENT));
    a.rmid(first).unwrap();
    let again = a.get(KEY + 1, 3 * MIB, MAKE).unwrap();
    let addr = a.at(again, 0, 0).unwrap();
    for page in 0..3 * MIB / PAGE {
        a.poke(addr + page * PAGE, &[1]).unwrap();
    }
}

#[test]
fn a_full_tmpfs_is_no_memory() {
    let Some(lab) = small_tmpfs(&[]) else { return };
    let a = lab.actor();
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    let file = lab.scratch().join("ballast").display().to_string();
    for n in 0..50 {
        let _ = a.write_file(&format!("{file}-{n}"), &"x".repeat(100_000));
    }
    assert_eq!(a.get(KEY + 1, MIB, MAKE), Err(ENOMEM));
    assert_eq!(a.get(KEY, PAGE, 0), Ok(id));
    assert_eq!(a.stat(id).unwrap().size, PAGE);
    a.rmid(id).unwrap();
    assert_eq!(a.stat(id), Err(EINVAL));
}

#[test]
fn reserved_memory_is_there_or_refused() {
    let Some(lab) = small_tmpfs(&[("COSEG_RESERVE", "1")]) else { return };
    let a = lab.actor();
    let id = a.get(KEY, 2 * MIB, MAKE).unwrap();
    assert_eq!(a.usage().1.shm_rss, 2 * MIB / PAGE);
    assert_eq!(a.get(KEY + 1, 3 * MIB, MAKE), Err(ENOMEM));
    // Whoever fills the rest cannot take what was reserved.
    let file = lab.scratch().join("ballast").display().to_string();
    for n in 0..50 {
        let _ = a.write_file(&format!("{file}-{n}"), &"x".repeat(100_000));
    }
    let addr = a.at(id, 0, 0).unwrap();
    for page in 0..2 * MIB / PAGE {
        a.poke(addr + page * PAGE, &[1]).unwrap();
    }
    a.rmid(id).unwrap();
    a.dt(addr).unwrap();
    assert!(a.get(KEY + 1, MIB, MAKE).is_ok());
}

/// A plain user's program in a private directory, in a new image, where the kernel has no System V IPC.
fn without_the_kernel(column: Column) -> Option<(Lab, Actor)> {
    if !is_root() {
        eprintln!("skipped: needs root, to become another user");
        return None;
    }
    let lab = Lab::new(column);
    let home = lab.scratch().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(ALICE), Some(ALICE)).unwrap();
    let a = lab.actor();
    let namespace = home.join("ns").display().to_string();
    a.run(&Cmd::Setenv { name: "COSEG_DIR".into(), value: namespace.clone() });
    a.setuid(ALICE);
    a.run(&Cmd::Mkdir { path: namespace, mode: 0o700 }).answer().unwrap();
    a.run(&Cmd::DenyKernel).answer().unwrap();
    a.exec();
    Some((lab, a))
}

#[test]
fn kernel_that_has_no_system_v() {
    let Some((_lab, a)) = without_the_kernel(Column::Kernel) else { return };
    assert_eq!(a.get(KEY, PAGE, MAKE), Err(ENOSYS));
    assert_eq!(a.at(0, 0, 0), Err(ENOSYS));
    assert_eq!(a.dt(PAGE), Err(ENOSYS));
    assert_eq!(a.rmid(0), Err(ENOSYS));
}

#[test]
fn user_where_the_kernel_has_no_system_v() {
    let Some((_lab, a)) = without_the_kernel(Column::User) else { return };
    whole_cycle(&a);
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    let addr = a.at(id, 0, 0).unwrap();
    let child = a.fork();
    child.poke(addr, b"from the child").unwrap();
    assert_eq!(a.nattch(id), 2);
    child.kill();
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.peek(addr, 14).unwrap(), b"from the child");
    a.rmid(id).unwrap();
    a.exec();
    assert_eq!(a.stat(id), Err(EINVAL));
}
