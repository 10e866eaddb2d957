//! shmget.

use coseg_conformance::lab::{Column, Lab};
use coseg_conformance::protocol::RaceKind;
use coseg_conformance::race::race;

use crate::kit::*;

const NO_KEY: i32 = 0x404;
const EXCLUSIVE: i32 = IPC_CREAT | IPC_EXCL;

pub(crate) fn row_001_private_key_always_creates(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    for (expected, flags) in [0, IPC_EXCL, EXCLUSIVE, 0o600].into_iter().enumerate() {
        assert_eq!(a.get(IPC_PRIVATE, 100, flags), Ok(i32::try_from(expected).unwrap()));
    }
}

pub(crate) fn row_002_missing_key(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    for size in [0, 1, PAGE, u64::MAX] {
        for flags in [0, 0o600, IPC_EXCL, IPC_EXCL | 0o600] {
            assert_eq!(a.get(NO_KEY, size, flags), Err(ENOENT), "size {size} flags {flags:o}");
        }
    }
}

pub(crate) fn row_003_exclusive_first(column: Column) {
    let lab = shared(column);
    lab.actor().get(KEY, PAGE, IPC_CREAT).unwrap();
    for actor in [lab.actor(), lab.user(ALICE)] {
        for size in [0, PAGE, 2 * PAGE, u64::MAX] {
            assert_eq!(actor.get(KEY, size, EXCLUSIVE | 0o600), Err(EEXIST));
        }
    }
}

pub(crate) fn row_004_exclusive_alone_is_ignored(column: Column) {
    let (_lab, a, id) = one(column);
    assert_eq!(a.get(KEY, PAGE, IPC_EXCL | 0o600), Ok(id));
}

pub(crate) fn row_005_too_large_for_what_is_there(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    root.get(KEY, 4097, MAKE).unwrap();
    assert_eq!(root.get(KEY, 4098, 0o600), Err(EINVAL));
    assert_eq!(root.get(KEY, 4098, MAKE), Err(EINVAL));
    let alice = lab.user(ALICE);
    assert_eq!(alice.get(KEY, 4098, 0o600), Err(EINVAL));
    assert_eq!(alice.get(KEY, 4097, 0o600), Err(EACCES));
}

pub(crate) fn row_006_smaller_is_fine(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let id = a.get(KEY, 4097, MAKE).unwrap();
    for size in [0, 1, 4096, 4097] {
        assert_eq!(a.get(KEY, size, 0o600), Ok(id));
        assert_eq!(a.get(KEY, size, MAKE), Ok(id));
    }
    assert_eq!(a.stat(id).unwrap().size, 4097);
}

pub(crate) fn row_007_bits_asked_for(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let reads = root.get(KEY, PAGE, IPC_CREAT | 0o604).unwrap();
    let closed = root.get(KEY + 1, PAGE, IPC_CREAT | 0o660).unwrap();
    let alice = lab.user(ALICE);
    for bits in [0o400, 0o040, 0o004, 0o444] {
        assert_eq!(alice.get(KEY, PAGE, bits), Ok(reads), "{bits:o}");
        assert_eq!(alice.get(KEY + 1, PAGE, bits), Err(EACCES), "{bits:o}");
        assert_eq!(root.get(KEY + 1, PAGE, bits), Ok(closed), "{bits:o}");
    }
    for bits in [0o200, 0o100, 0o604, 0o111] {
        assert_eq!(alice.get(KEY, PAGE, bits), Err(EACCES), "{bits:o}");
        assert_eq!(root.get(KEY, PAGE, bits), Ok(reads), "{bits:o}");
    }
}

pub(crate) fn row_008_no_bits_asked_for(column: Column) {
    let lab = shared(column);
    let id = lab.actor().get(KEY, PAGE, IPC_CREAT).unwrap();
    let alice = lab.user(ALICE);
    assert_eq!(alice.get(KEY, PAGE, 0), Ok(id));
    assert_eq!(alice.get(KEY, 0, IPC_CREAT), Ok(id));
}

pub(crate) fn row_009_own_class_even_if_narrower(column: Column) {
    let lab = shared(column);
    let [alice, bob] = [lab.user(ALICE), lab.user(BOB)];
    let id = alice.get(KEY, PAGE, IPC_CREAT | 0o077).unwrap();
    assert_eq!(alice.get(KEY, PAGE, 0o400), Err(EACCES));
    assert_eq!(alice.at(id, 0, SHM_RDONLY), Err(EACCES));
    assert_eq!(bob.get(KEY, PAGE, 0o600), Ok(id));
    assert!(bob.at(id, 0, 0).is_ok());

    let id = given(&lab.actor(), ALICE, CREW, 0o604);
    let member = lab.actor();
    member.become_who(BOB, BOB, &[CREW], CAP_NONE);
    assert_eq!(member.at(id, 0, SHM_RDONLY), Err(EACCES));
    assert!(bob.at(id, 0, SHM_RDONLY).is_ok());
}

pub(crate) fn row_010_size_zero(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    assert_eq!(a.get(IPC_PRIVATE, 0, 0o600), Err(EINVAL));
    lab.set_limit(Limit::Shmall(0));
    lab.set_limit(Limit::Shmmni(0));
    assert_eq!(a.get(KEY, 0, MAKE), Err(EINVAL));
}

pub(crate) fn row_011_shmmax(column: Column) {
    let lab = Lab::new(column);
    lab.set_limit(Limit::Shmmax(8192));
    let a = lab.actor();
    assert_eq!(a.get(KEY, 8193, MAKE), Err(EINVAL));
    assert_eq!(a.get(KEY, 8192, MAKE), Ok(0));
}

pub(crate) fn row_012_pages_overflow(column: Column) {
    let lab = Lab::new(column);
    lab.set_limit(Limit::Shmmax(u64::MAX));
    assert_eq!(lab.actor().get(KEY, u64::MAX, MAKE), Err(ENOSPC));
}

pub(crate) fn row_013_shmall(column: Column) {
    let lab = Lab::new(column);
    lab.set_limit(Limit::Shmall(3));
    let a = lab.actor();
    assert_eq!(a.get(KEY, 4097, MAKE), Ok(0));
    assert_eq!(a.get(IPC_PRIVATE, 4097, MAKE), Err(ENOSPC));
    let last = a.get(IPC_PRIVATE, 4096, MAKE).unwrap();
    assert_eq!(a.get(IPC_PRIVATE, 1, MAKE), Err(ENOSPC));
    assert_eq!(a.get(KEY, 1, 0), Ok(0));
    a.rmid(last).unwrap();
    assert!(a.get(IPC_PRIVATE, 1, MAKE).is_ok());
}

pub(crate) fn row_014_shmmni(column: Column) {
    let (lab, a, id) = one(column);
    lab.set_limit(Limit::Shmmni(2));
    let second = a.private(1);
    assert_eq!(a.get(IPC_PRIVATE, 1, MAKE), Err(ENOSPC));
    assert_eq!(a.get(KEY, PAGE, MAKE), Ok(id));
    a.rmid(second).unwrap();
    lab.set_limit(Limit::Shmmni(0));
    assert_eq!(a.get(IPC_PRIVATE, 1, MAKE), Err(ENOSPC));
    assert_eq!(a.get(KEY, 0, 0), Ok(id));
}

pub(crate) fn row_015_order_of_checks(column: Column) {
    let bad_huge = IPC_CREAT | SHM_HUGETLB | (13 << SHM_HUGE_SHIFT) | 0o600;
    let lab = Lab::new(column);
    let a = lab.actor();
    lab.set_limit(Limit::Shmmax(4 * PAGE));
    lab.set_limit(Limit::Shmall(1));
    lab.set_limit(Limit::Shmmni(0));
    assert_eq!(a.get(KEY, 5 * PAGE, bad_huge), Err(EINVAL));
    assert_eq!(a.get(KEY, 2 * PAGE, bad_huge), Err(ENOSPC));
    assert_eq!(a.get(KEY, PAGE, bad_huge), Err(EINVAL));
    assert_eq!(a.get(KEY, PAGE, MAKE), Err(ENOSPC));
}

pub(crate) fn row_016_half_the_address_range(column: Column) {
    let lab = Lab::new(column);
    lab.set_limit(Limit::Shmmax(u64::MAX));
    for size in [1 << 63, (1 << 63) + 1] {
        assert_eq!(lab.actor().get(KEY, size, MAKE | SHM_NORESERVE), Err(EINVAL));
    }
}

pub(crate) fn row_018_noreserve(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    for power in [46, 48, 62] {
        let id = a.get(IPC_PRIVATE, 1 << power, MAKE | SHM_NORESERVE).unwrap();
        assert_eq!(a.stat(id).unwrap().size, 1 << power);
        if power > 46 {
            assert_eq!(a.at(id, 0, 0), Err(ENOMEM));
        }
        a.rmid(id).unwrap();
    }
}

pub(crate) fn row_020_stored_mode(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    a.run(&Cmd::Umask { mask: 0o077 });
    for mode in [0, 0o753, 0o666, 0o777] {
        let id = a.get(IPC_PRIVATE, 1, IPC_CREAT | IPC_EXCL | SHM_NORESERVE | mode).unwrap();
        assert_eq!(a.stat(id).unwrap().mode, mode.cast_unsigned());
    }
}

pub(crate) fn row_021_unknown_flags(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    for flag in [0o20000, 0o40000, 0o100_000, 1 << 20, 21 << SHM_HUGE_SHIFT, 13 << SHM_HUGE_SHIFT, i32::MIN] {
        let id = a.get(IPC_PRIVATE, 1, 0o600 | flag).unwrap();
        let stat = a.stat(id).unwrap();
        assert_eq!((stat.mode, stat.size), (0o600, 1));
    }
}

pub(crate) fn row_026_a_new_segment(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    a.become_who(ALICE, CREW, &[], CAP_NONE);
    let id = a.get(KEY, 12345, IPC_CREAT | 0o640).unwrap();
    let stat = a.stat(id).unwrap();
    assert_now(stat.ctime);
    let expected = Stat {
        key: KEY,
        uid: ALICE,
        gid: CREW,
        cuid: ALICE,
        cgid: CREW,
        mode: 0o640,
        seq: 0,
        size: 12345,
        atime: 0,
        dtime: 0,
        ctime: stat.ctime,
        cpid: a.pid,
        lpid: 0,
        nattch: 0,
        pads_zero: true,
    };
    assert_eq!(stat, expected);
}

pub(crate) fn row_027_all_zero(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let addr = a.attach(a.private(5000));
    assert_eq!(a.zero_run(addr, 2 * PAGE), 2 * PAGE);
}

pub(crate) fn row_028_any_key(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    for key in [-1, i32::MIN, i32::MAX, 1] {
        let id = a.get(key, 1, MAKE).unwrap();
        assert_eq!(lab.actor().get(key, 1, 0), Ok(id));
        assert_eq!(a.stat(id).unwrap().key, key);
    }
}

pub(crate) fn row_029_shmmax_lowered_later(column: Column) {
    let (lab, a, id) = one(column);
    lab.set_limit(Limit::Shmmax(100));
    assert_eq!(a.get(KEY, PAGE, 0o600), Ok(id));
    assert!(a.at(id, 0, 0).is_ok());
    lab.set_limit(Limit::Shmmax(2 * PAGE));
    assert_eq!(a.get(KEY + 1, 2 * PAGE, MAKE), Ok(1));
}

pub(crate) fn row_030_one_winner(column: Column) {
    let lab = Lab::new(column);
    for kind in [RaceKind::CreateExclusive, RaceKind::Create] {
        race(&lab, kind, 4, 200).unwrap();
    }
}

pub(crate) fn row_031_resource_limits(column: Column) {
    let lab = Lab::new(column);
    let full = lab.actor();
    full.rlimit(RLIMIT_NOFILE, 32, false);
    full.run(&Cmd::FillFds);
    full.rlimit(RLIMIT_FSIZE, 0, false);
    let id = full.get(KEY, 3 * PAGE, MAKE).unwrap();
    let addr = full.attach(id);
    full.poke(addr + 2 * PAGE, b"far").unwrap();
    assert_eq!(full.nattch(id), 1);
    full.dt(addr).unwrap();
    full.rmid(id).unwrap();
}
