//! Which call changes which time, and whose process id stays behind.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

/// What calls change: atime, dtime, ctime, lpid.
fn marks(a: &Actor, id: i32) -> [i64; 4] {
    let stat = a.stat(id).unwrap();
    [stat.atime, stat.dtime, stat.ctime, stat.lpid.into()]
}

/// Fails unless exactly the marked fields, atime, dtime, ctime, became now, and lpid became `lpid`.
#[track_caller]
fn assert_marks(before: [i64; 4], after: [i64; 4], changed: [bool; 3], lpid: i32) {
    for n in 0..3 {
        if changed[n] {
            assert_now(after[n]);
            assert_ne!(after[n], before[n], "time {n}");
        } else {
            assert_eq!(after[n], before[n], "time {n}");
        }
    }
    assert_eq!(after[3], i64::from(lpid));
}

pub(crate) fn row_064_attach(column: Column) {
    let (lab, a, id) = one(column);
    let before = marks(&a, id);
    let b = lab.actor();
    tick();
    for flags in [0, SHM_RDONLY] {
        b.at(id, 0, flags).unwrap();
        assert_marks(before, marks(&a, id), [true, false, false], b.pid);
    }
    assert_eq!(a.nattch(id), 2);
}

pub(crate) fn row_065_failed_attach(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    let before = a.stat(id).unwrap();
    let alice = lab.user(ALICE);
    tick();
    let taken = a.mmap(0, PAGE, PROT_READ, 0).unwrap();
    assert_eq!(a.at(id, taken, 0), Err(EINVAL));
    assert_eq!(a.at(id, 0xFFFF_8000_0000_0000, 0), Err(ENOMEM));
    assert_eq!(a.at(id, 1, 0), Err(EINVAL));
    assert_eq!(alice.at(id, 0, 0), Err(EACCES));
    assert_eq!(a.stat(id).unwrap(), before);
}

pub(crate) fn row_073_detach(column: Column) {
    let (lab, a, id) = one(column);
    let [x, y] = [a.attach(id), a.attach(id)];
    let b = lab.actor();
    let z = b.attach(id);
    let before = marks(&a, id);
    tick();
    b.dt(z).unwrap();
    assert_marks(before, marks(&a, id), [false, true, false], b.pid);
    a.dt(x).unwrap();
    assert_marks(before, marks(&a, id), [false, true, false], a.pid);
    assert_eq!(a.nattch(id), 1);
    a.dt(y).unwrap();
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_107_control(column: Column) {
    let (_lab, a, id) = one(column);
    a.attach(id);
    let before = marks(&a, id);
    tick();
    for cmd in [SHM_LOCK, SHM_UNLOCK, IPC_RMID] {
        a.ctl0(id, cmd).unwrap();
        assert_marks(before, marks(&a, id), [false; 3], a.pid);
    }
    a.set(id, 0, 0, 0o600).unwrap();
    assert_marks(before, marks(&a, id), [false, false, true], a.pid);
}

pub(crate) fn row_118_fork(column: Column) {
    let (lab, a, id) = one(column);
    a.attach(id);
    let before = marks(&a, id);
    tick();
    let child = a.fork();
    assert_marks(before, marks(&child, id), [true, false, false], a.pid);
    if lab.is_kernel() {
        tick();
        let raw = child.birth(Birth::RawFork);
        assert_marks(before, marks(&a, id), [true, false, false], child.pid);
        drop(raw);
    }
}

/// Nobody runs at a death to note when it was: only the kernel can.
pub(crate) fn row_120_death(column: Column) {
    let ends: [fn(Actor); 3] = [Actor::exit, Actor::exit_raw, Actor::kill];
    let (lab, a, id) = one(column);
    let doomed = [lab.actor(), lab.actor(), lab.actor()];
    doomed.iter().for_each(|d| _ = d.attach(id));
    let before = marks(&a, id);
    tick();
    for (d, end) in doomed.into_iter().zip(ends) {
        let pid = d.pid;
        end(d);
        if lab.is_kernel() {
            assert_marks(before, marks(&a, id), [false, true, false], pid);
        }
    }
    assert_eq!(a.nattch(id), 0);
}

/// As for a death.
pub(crate) fn row_121_exec(column: Column) {
    let (lab, a, id) = one(column);
    let b = lab.actor();
    b.attach(id);
    let before = marks(&a, id);
    tick();
    b.exec();
    if lab.is_kernel() {
        assert_marks(before, marks(&a, id), [false, true, false], b.pid);
    }
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_126_whole_seconds(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let (first, id) = (now(), a.private(1));
    a.attach(id);
    // The clock the kernel reads here may be a timer tick behind.
    let near = first - 1..=now();
    let stat = a.stat(id).unwrap();
    assert!(near.contains(&stat.ctime) && near.contains(&stat.atime), "{stat:?} not in {near:?}");
}
