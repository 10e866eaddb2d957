//! shmat: who may, and how.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

pub(crate) fn row_055_default_needs_both(column: Column) {
    let lab = shared(column);
    let alice = lab.user(ALICE);
    for (mode, allowed) in [(0o600, true), (0o400, false), (0o200, false), (0o066, false)] {
        let id = alice.get(IPC_PRIVATE, PAGE, mode).unwrap();
        assert_eq!(alice.at(id, 0, 0).is_ok(), allowed, "{mode:o}");
        if !allowed {
            assert_eq!(alice.at(id, 0, 0), Err(EACCES));
        }
    }
}

pub(crate) fn row_056_read_only(column: Column) {
    let lab = shared(column);
    let alice = lab.user(ALICE);
    let write_only = alice.get(IPC_PRIVATE, PAGE, 0o200).unwrap();
    assert_eq!(alice.at(write_only, 0, SHM_RDONLY), Err(EACCES));
    let id = alice.get(IPC_PRIVATE, PAGE, 0o400).unwrap();
    let addr = alice.at(id, 0, SHM_RDONLY).unwrap();
    assert_eq!(alice.byte(addr), Ok(0));
    assert_eq!(alice.poke(addr, &[1]), Err(SIGSEGV));
    assert_eq!(alice.mprotect(addr, PAGE, PROT_READ | PROT_WRITE), Err(EACCES));
    assert_eq!(alice.mprotect(addr, PAGE, PROT_READ | PROT_EXEC), Ok(()));
    assert_eq!(alice.nattch(id), 1);
    assert_eq!(alice.dt(addr), Ok(()));
    assert_eq!(alice.nattch(id), 0);

    let root = lab.actor();
    let id = root.private(PAGE);
    let addr = root.at(id, 0, SHM_RDONLY).unwrap();
    assert_eq!(root.poke(addr, &[1]), Err(SIGSEGV));
    assert_eq!(root.mprotect(addr, PAGE, PROT_READ | PROT_WRITE), Err(EACCES));
}

pub(crate) fn row_057_executable(column: Column) {
    let lab = shared(column);
    let alice = lab.user(ALICE);
    for (mode, flags, allowed) in [
        (0o600, 0, false),
        (0o444, SHM_RDONLY, false),
        (0o500, 0, false),
        (0o500, SHM_RDONLY, true),
        (0o700, 0, true),
    ] {
        let id = alice.get(IPC_PRIVATE, PAGE, mode).unwrap();
        let got = alice.at(id, 0, flags | SHM_EXEC);
        if allowed {
            let line = alice.maps(got.unwrap());
            assert!(line.contains(if flags == 0 { " rwxs" } else { " r-xs" }), "{line}");
        } else {
            assert_eq!(got, Err(EACCES), "{mode:o}");
        }
    }
}

pub(crate) fn row_059_privilege(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let id = root.get(KEY, PAGE, IPC_CREAT).unwrap();
    assert!(root.at(id, 0, SHM_EXEC).is_ok());
    let weak = lab.actor();
    weak.become_who(0, 0, &[], CAP_ALL & !CAP_IPC_OWNER);
    for flags in [0, SHM_RDONLY] {
        assert_eq!(weak.at(id, 0, flags), Err(EACCES));
    }
    assert_eq!(weak.stat(id), Err(EACCES));
    let strong = lab.actor();
    strong.become_who(ALICE, ALICE, &[], CAP_IPC_OWNER);
    assert!(strong.stat(id).is_ok());
    // A file's mode asks for a capability of its own, CAP_DAC_OVERRIDE.
    if column == Column::Kernel {
        assert!(strong.at(id, 0, 0).is_ok());
    }
}

pub(crate) fn row_061_checked_once(column: Column) {
    let lab = shared(column);
    let alice = lab.user(ALICE);
    let id = alice.get(KEY, PAGE, MAKE).unwrap();
    let addr = alice.attach(id);
    alice.set(id, ALICE, ALICE, 0).unwrap();
    assert_eq!(alice.at(id, 0, SHM_RDONLY), Err(EACCES));
    alice.poke(addr, b"still").unwrap();
    assert_eq!(alice.peek(addr, 5).unwrap(), b"still");
    assert_eq!(lab.actor().nattch(id), 1);
    alice.dt(addr).unwrap();
    assert_eq!(lab.actor().nattch(id), 0);
}

pub(crate) fn row_062_unknown_flags(column: Column) {
    let (_lab, a, id) = one(column);
    for flag in [0o200_000, 1 << 20, i32::MIN, 0o777, IPC_CREAT | IPC_EXCL] {
        let addr = a.at(id, 0, flag).unwrap();
        a.poke(addr, &[1]).unwrap();
    }
}

pub(crate) fn row_066_removed_but_attached(column: Column) {
    let (lab, a, id) = one(column);
    let first = a.attach(id);
    a.poke(first, b"kept").unwrap();
    a.rmid(id).unwrap();
    let b = lab.actor();
    let second = b.attach(id);
    assert_eq!(b.peek(second, 4).unwrap(), b"kept");
    a.dt(first).unwrap();
    assert_eq!(b.nattch(id), 1);
    let third = a.attach(id);
    b.dt(second).unwrap();
    assert_eq!(a.peek(third, 4).unwrap(), b"kept");
    a.dt(third).unwrap();
    assert_eq!(a.at(id, 0, 0), Err(EINVAL));
}

pub(crate) fn row_067_by_id_alone(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let id = a.private(PAGE);
    let x = a.attach(id);
    a.poke(x, b"found").unwrap();
    let stranger = lab.actor();
    let y = stranger.attach(id);
    assert_eq!(stranger.peek(y, 5).unwrap(), b"found");
}

pub(crate) fn row_068_order_of_checks(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let closed = root.get(KEY, PAGE, IPC_CREAT).unwrap();
    let open = root.get(KEY + 1, PAGE, IPC_CREAT | 0o666).unwrap();
    let alice = lab.user(ALICE);
    let taken = alice.mmap(0, PAGE, PROT_READ, 0).unwrap();
    assert_eq!(alice.at(-1, taken, 0), Err(EINVAL));
    assert_eq!(alice.at(closed, taken + 1, 0), Err(EINVAL));
    assert_eq!(alice.at(closed, 0, SHM_REMAP), Err(EINVAL));
    assert_eq!(alice.at(closed + 5, taken, 0), Err(EINVAL));
    assert_eq!(alice.at(closed, taken, 0), Err(EACCES));
    assert_eq!(alice.at(closed, 1, SHM_RND), Err(EACCES));
    assert_eq!(alice.at(open, taken, 0), Err(EINVAL));
    assert_eq!(alice.at(open, 1, SHM_RND), Err(EPERM));
}

pub(crate) fn row_069_no_descriptor(column: Column) {
    let (lab, a, id) = one(column);
    let before = a.fds();
    let addr = a.attach(id);
    let read_only = a.at(id, 0, SHM_RDONLY).unwrap();
    assert_eq!(a.fds(), before);
    a.run(&Cmd::CloseRange { first: 3, last: u32::MAX }).answer().unwrap();
    a.poke(addr, b"open").unwrap();
    assert_eq!(a.peek(read_only, 4).unwrap(), b"open");
    assert_eq!(lab.actor().nattch(id), 2);
    assert_eq!(a.nattch(id), 2);
    a.dt(addr).unwrap();
    assert_eq!(a.nattch(id), 1);
    a.attach(id);
    assert_eq!(a.nattch(id), 2);
}

pub(crate) fn row_071_forced_write(column: Column) {
    let (_lab, a, id) = one(column);
    let addr = a.at(id, 0, SHM_RDONLY).unwrap();
    assert_eq!(a.run(&Cmd::WriteMem { addr, bytes: vec![1] }).answer(), Err(EIO));
    assert_eq!(a.byte(addr), Ok(0));
}
