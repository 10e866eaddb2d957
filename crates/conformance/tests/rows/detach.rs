//! shmdt, and what becomes of an attach that is cut up by other means.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

/// A segment of `pages` pages, each beginning with its own number from 1, attached once.
fn numbered(column: Column, pages: u64) -> (Lab, Actor, i32, u64) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let id = a.get(KEY, pages * PAGE, MAKE).unwrap();
    let addr = a.attach(id);
    for (page, number) in (0..pages).zip(1..) {
        a.poke(addr + page * PAGE, &[number]).unwrap();
    }
    (lab, a, id, addr)
}

pub(crate) fn row_072_not_an_attach(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 2);
    let anonymous = a.mmap(0, PAGE, PROT_READ, 0).unwrap();
    for wrong in [0, addr + 1, addr + PAGE, addr - PAGE, anonymous, 0xFFFF_8000_0000_0000] {
        assert_eq!(a.dt(wrong), Err(EINVAL), "{wrong:#x}");
    }
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.dt(addr), Ok(()));
    assert_eq!(a.dt(addr), Err(EINVAL));
    assert_eq!(a.nattch(id), 0);
    assert_eq!(a.byte(anonymous), Ok(0));
}

pub(crate) fn row_074_gone(column: Column) {
    let (_lab, a, _, addr) = numbered(column, 2);
    a.dt(addr).unwrap();
    assert_eq!(a.byte(addr), Err(SIGSEGV));
    assert_eq!(a.poke(addr + PAGE, &[1]), Err(SIGSEGV));
}

pub(crate) fn row_075_which_mapping(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 4);
    // Nothing of the first page is left, yet its address still names the attach.
    a.munmap(addr, PAGE).unwrap();
    a.munmap(addr + 2 * PAGE, PAGE).unwrap();
    assert_eq!(a.dt(addr + PAGE), Err(EINVAL));
    assert_eq!(a.dt(addr + 3 * PAGE), Err(EINVAL));
    assert_eq!(a.dt(addr), Ok(()));
    for page in 0..4 {
        assert_eq!(a.byte(addr + page * PAGE), Err(SIGSEGV));
    }
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_076_unmapped_whole(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 2);
    a.munmap(addr, 2 * PAGE).unwrap();
    assert_eq!(a.nattch(id), 0);
    assert_eq!(a.dt(addr), Err(EINVAL));
    let addr = a.attach(id);
    assert_eq!(a.byte(addr), Ok(1));
    a.rmid(id).unwrap();
    a.munmap(addr, 2 * PAGE).unwrap();
    assert_eq!(a.stat(id), Err(EINVAL));
}

pub(crate) fn row_077_unmapped_at_an_end(column: Column) {
    for (gone, left) in [(0, 1), (2, 1)] {
        let (_lab, a, id, addr) = numbered(column, 3);
        a.munmap(addr + gone * PAGE, PAGE).unwrap();
        assert_eq!(a.nattch(id), 1);
        assert_eq!(a.byte(addr + left * PAGE), Ok(2));
        assert_eq!(a.dt(addr), Ok(()));
        assert_eq!(a.byte(addr + left * PAGE), Err(SIGSEGV));
        assert_eq!(a.nattch(id), 0);
    }
}

pub(crate) fn row_079_origin_stays(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 3);
    a.munmap(addr, PAGE).unwrap();
    assert_eq!(a.dt(addr + PAGE), Err(EINVAL));
    assert_eq!(a.byte(addr + PAGE), Ok(2));
    assert_eq!(a.nattch(id), 1);
}

pub(crate) fn row_081_no_access(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 2);
    a.mprotect(addr, 2 * PAGE, PROT_NONE).unwrap();
    assert_eq!(a.byte(addr), Err(SIGSEGV));
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.dt(addr), Ok(()));
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_082_grown(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 2);
    let new = a.mremap(addr, 2 * PAGE, 4 * PAGE, 0).unwrap();
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.byte(new + PAGE), Ok(2));
    assert_eq!(a.byte(new + 2 * PAGE), Err(SIGBUS));
    assert_eq!(a.dt(new), Ok(()));
    assert_eq!(a.byte(new), Err(SIGSEGV));
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_083_shrunk(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 3);
    assert_eq!(a.mremap(addr, 3 * PAGE, PAGE, 0), Ok(addr));
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.byte(addr + PAGE), Err(SIGSEGV));
    assert_eq!(a.dt(addr), Ok(()));
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_084_moved(column: Column) {
    let (_lab, a, id, addr) = numbered(column, 2);
    let new = a.hole(2 * PAGE);
    assert_eq!(a.mremap(addr, 2 * PAGE, 2 * PAGE, new), Ok(new));
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.byte(new), Ok(1));
    assert_eq!(a.dt(addr), Err(EINVAL));
    assert_eq!(a.dt(new), Ok(()));
    assert_eq!(a.byte(new), Err(SIGSEGV));
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_087_mapped_over(column: Column) {
    let own = PROT_READ | PROT_WRITE;
    let (_lab, a, id, addr) = numbered(column, 3);
    a.mmap(addr + PAGE, PAGE, own, MAP_FIXED).unwrap();
    a.poke(addr + PAGE, b"foreign").unwrap();
    assert_eq!(a.dt(addr), Ok(()));
    assert_eq!(a.peek(addr + PAGE, 7).unwrap(), b"foreign");
    assert_eq!(a.byte(addr), Err(SIGSEGV));
    assert_eq!(a.byte(addr + 2 * PAGE), Err(SIGSEGV));
    assert_eq!(a.nattch(id), 0);

    let addr = a.attach(id);
    a.mmap(addr, 3 * PAGE, own, MAP_FIXED).unwrap();
    a.poke(addr, b"foreign").unwrap();
    assert_eq!(a.nattch(id), 0);
    assert_eq!(a.dt(addr), Err(EINVAL));
    assert_eq!(a.peek(addr, 7).unwrap(), b"foreign");
}

pub(crate) fn row_089_no_permission_needed(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    let [x, y] = [a.attach(id), a.attach(id)];
    a.set(id, 0, 0, 0).unwrap();
    a.run(&Cmd::Unshare { flags: CLONE_NEWIPC }).answer().unwrap();
    assert_eq!(a.dt(x), Ok(()));
    assert_eq!(lab.actor().nattch(id), 1);
    a.setuid(BOB);
    assert_eq!(a.dt(y), Ok(()));
    assert_eq!(lab.actor().nattch(id), 0);
}

pub(crate) fn row_090_advice(column: Column) {
    let (lab, a, id, addr) = numbered(column, 2);
    let b = lab.actor();
    let theirs = b.attach(id);
    assert_eq!(a.madvise(addr, 2 * PAGE, MADV_DONTNEED), Ok(()));
    assert_eq!(a.byte(addr), Ok(1));
    assert_eq!(a.madvise(addr, 2 * PAGE, MADV_FREE), Err(EINVAL));
    assert_eq!(a.madvise(addr, 2 * PAGE, MADV_WIPEONFORK), Err(EINVAL));
    assert_eq!(a.madvise(addr, 2 * PAGE, MADV_REMOVE), Ok(()));
    assert_eq!([a.byte(addr), b.byte(theirs), b.byte(theirs + PAGE)], [Ok(0); 3]);
    assert_eq!(a.madvise(addr, 2 * PAGE, MADV_DONTFORK), Ok(()));
    let child = a.fork();
    assert_eq!(child.byte(addr), Err(SIGSEGV));
    assert_eq!(child.nattch(id), 2);
    assert_eq!(child.dt(addr), Err(EINVAL));
    assert_eq!(a.nattch(id), 2);
}

pub(crate) fn row_091_sync(column: Column) {
    let (_lab, a, _, addr) = numbered(column, 4);
    assert_eq!(a.run(&Cmd::Msync { addr, len: 4 * PAGE, flags: MS_SYNC }).answer(), Ok(0));
    assert_eq!(a.run(&Cmd::RemapFilePages { addr, len: PAGE, page: 2 }).answer(), Ok(0));
    assert_eq!(a.byte(addr), Ok(3));
}
