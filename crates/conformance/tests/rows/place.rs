//! shmat: where it maps.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

const TOP: u64 = 0x7FFF_FFFF_F000;
const KERNEL_HALF: u64 = 0xFFFF_8000_0000_0000;

pub(crate) fn row_042_anywhere(column: Column) {
    let (_lab, a, id) = one(column);
    let [x, y] = [a.attach(id), a.attach(id)];
    assert_ne!(x, y);
    assert_eq!(a.nattch(id), 2);
    a.poke(x, b"same").unwrap();
    assert_eq!(a.peek(y, 4).unwrap(), b"same");
    a.dt(x).unwrap();
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.peek(y, 4).unwrap(), b"same");
}

pub(crate) fn row_043_exactly_there(column: Column) {
    let (_lab, a, id) = one(column);
    let hole = a.hole(3 * PAGE);
    assert_eq!(a.at(id, hole + PAGE, 0), Ok(hole + PAGE));
    assert_eq!(a.at(id, hole, SHM_RDONLY), Ok(hole));
}

pub(crate) fn row_044_unaligned(column: Column) {
    let lab = shared(column);
    let id = lab.actor().get(KEY, PAGE, IPC_CREAT).unwrap();
    let alice = lab.user(ALICE);
    let hole = alice.hole(2 * PAGE);
    for addr in [hole + 1, hole + PAGE - 1, 1] {
        assert_eq!(lab.actor().at(id, addr, 0), Err(EINVAL));
        assert_eq!(alice.at(id, addr, SHM_REMAP), Err(EINVAL));
        assert_eq!(alice.at(id, addr, 0), Err(EINVAL));
    }
    assert_eq!(alice.at(id, hole, 0), Err(EACCES));
}

pub(crate) fn row_045_rounded(column: Column) {
    let (_lab, a, id) = one(column);
    let hole = a.hole(2 * PAGE);
    assert_eq!(a.at(id, hole + 123, SHM_RND), Ok(hole));
    assert_eq!(a.at(id, hole + 2 * PAGE - 1, SHM_RND), Ok(hole + PAGE));
    a.dt(hole).unwrap();
    a.dt(hole + PAGE).unwrap();
}

pub(crate) fn row_046_at_address_zero(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let id = root.get(KEY, PAGE, IPC_CREAT | 0o666).unwrap();
    assert_eq!(lab.user(ALICE).at(id, 1, SHM_RND), Err(EPERM));
    assert_eq!(root.at(id, 1, SHM_RND), Ok(0));
    root.poke(8, &[42]).unwrap();
    let x = root.attach(id);
    assert_eq!(root.byte(x + 8), Ok(42));
    assert_eq!(root.nattch(id), 2);
    assert_eq!(root.dt(0), Ok(()));
    assert_eq!(root.nattch(id), 1);
}

pub(crate) fn row_047_remap_rounded_to_zero(column: Column) {
    let (_lab, a, id) = one(column);
    assert_eq!(a.at(id, 1, SHM_RND | SHM_REMAP), Err(EINVAL));
    assert_eq!(a.at(id, PAGE - 1, SHM_RND | SHM_REMAP), Err(EINVAL));
}

pub(crate) fn row_048_remap_nowhere(column: Column) {
    let (_lab, a, id) = one(column);
    assert_eq!(a.at(id, 0, SHM_REMAP), Err(EINVAL));
}

pub(crate) fn row_049_occupied(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    let id = a.get(KEY, 2 * PAGE, MAKE).unwrap();
    let hole = a.hole(4 * PAGE);
    a.mmap(hole + PAGE, PAGE, PROT_READ, MAP_FIXED).unwrap();
    for addr in [hole, hole + PAGE] {
        assert_eq!(a.at(id, addr, 0), Err(EINVAL));
    }
    assert_eq!(a.at(id, hole + 2 * PAGE, 0), Ok(hole + 2 * PAGE));
    assert_eq!(a.at(id, hole + 2 * PAGE, 0), Err(EINVAL));
    assert_eq!(a.nattch(id), 1);

    let alice = lab.user(ALICE);
    let hole = alice.mmap(0, PAGE, PROT_READ, 0).unwrap();
    assert_eq!(alice.at(id, hole, 0), Err(EACCES));
}

pub(crate) fn row_050_remap(column: Column) {
    let (_lab, a, id) = one(column);
    let other = a.private(PAGE);
    let hole = a.mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, 0).unwrap();
    a.poke(hole + PAGE, b"stays").unwrap();
    assert_eq!(a.at(id, hole, SHM_REMAP), Ok(hole));
    a.poke(hole, b"one").unwrap();
    assert_eq!(a.peek(hole + PAGE, 5).unwrap(), b"stays");

    assert_eq!(a.at(other, hole, SHM_REMAP), Ok(hole));
    assert_eq!([a.nattch(id), a.nattch(other)], [0, 1]);
    assert_eq!(a.byte(hole), Ok(0));
    a.dt(hole).unwrap();
    assert_eq!(a.nattch(other), 0);
    let x = a.attach(id);
    assert_eq!(a.peek(x, 3).unwrap(), b"one");
    assert_eq!(a.at(id, x, SHM_REMAP), Ok(x));
    assert_eq!(a.nattch(id), 1);
    assert_eq!(a.peek(x, 3).unwrap(), b"one");
}

pub(crate) fn row_051_wraps(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let id = a.private(3 * PAGE);
    assert_eq!(a.at(id, 0u64.wrapping_sub(PAGE), 0), Err(EINVAL));
    assert_eq!(a.at(id, 0u64.wrapping_sub(2 * PAGE), 0), Err(EINVAL));
}

pub(crate) fn row_052_beyond_the_task(column: Column) {
    let (_lab, a, id) = one(column);
    for flags in [0, SHM_REMAP] {
        assert_eq!(a.at(id, KERNEL_HALF, flags), Err(ENOMEM));
        assert_eq!(a.at(id, TOP, flags), Err(ENOMEM));
    }
}

pub(crate) fn row_053_no_room(column: Column) {
    let lab = Lab::new(column);
    let small = lab.actor();
    let id = small.private(1 << 30);
    small.rlimit(RLIMIT_AS, 1 << 29, false);
    assert_eq!(small.at(id, 0, 0), Err(ENOMEM));
    let full = lab.actor();
    let addr = full.attach(id);
    full.run(&Cmd::FillMaps);
    assert_eq!(full.at(id, 0, 0), Err(ENOMEM));
    assert_eq!(full.nattch(id), 1);
    full.poke(addr, b"sound").unwrap();
}

pub(crate) fn row_054_locked_future(column: Column) {
    let lab = shared(column);
    let id = lab.actor().get(KEY, 1 << 20, IPC_CREAT | 0o666).unwrap();
    let alice = lab.actor();
    alice.rlimit(RLIMIT_MEMLOCK, 512 << 10, true);
    alice.setuid(ALICE);
    alice.run(&Cmd::Mlockall { flags: MCL_FUTURE }).answer().unwrap();
    assert_eq!(alice.at(id, 0, 0), Err(EAGAIN));
    assert_eq!(lab.actor().nattch(id), 0);
}

pub(crate) fn row_063_whole_pages(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let id = a.private(5000);
    let hole = a.hole(4 * PAGE);
    a.at(id, hole, 0).unwrap();
    a.poke(hole + 2 * PAGE - 1, &[9]).unwrap();
    assert_eq!(a.byte(hole + 2 * PAGE), Err(SIGSEGV));
    let b = lab.actor();
    let addr = b.attach(id);
    assert_eq!(b.byte(addr + 2 * PAGE - 1), Ok(9));
}

pub(crate) fn row_088_back_to_back(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let id = a.private(2 * PAGE);
    let hole = a.hole(6 * PAGE);
    for n in 0..3 {
        a.at(id, hole + 2 * n * PAGE, 0).unwrap();
    }
    a.poke(hole, b"all").unwrap();
    a.dt(hole).unwrap();
    assert_eq!(a.byte(hole), Err(SIGSEGV));
    assert_eq!(a.peek(hole + 2 * PAGE, 3).unwrap(), b"all");
    a.dt(hole + 4 * PAGE).unwrap();
    assert_eq!(a.peek(hole + 2 * PAGE, 3).unwrap(), b"all");
    assert_eq!(a.nattch(id), 1);
    a.dt(hole + 2 * PAGE).unwrap();
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_092_break(column: Column) {
    let (_lab, a, id) = one(column);
    let parts = a.run(&Cmd::Sbrk { attach: id }).parts;
    assert!(parts[0].answer().is_ok());
    assert_eq!(parts[1].answer(), Err(ENOMEM));
}
