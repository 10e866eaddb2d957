//! The limits of a namespace, and removal at the last detach.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

const UNLIMITED: u64 = 18_446_744_073_692_774_399;

pub(crate) fn row_127_defaults(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let (_, limits) = a.limits();
    assert_eq!((limits.shmmax, limits.shmall), (UNLIMITED, UNLIMITED));
    assert_eq!((limits.shmmin, limits.shmmni, limits.shmseg), (1, 4096, 4096));
    assert!(lab.try_limit(Limit::Shmmni(32769)).is_err());
    lab.set_limit(Limit::Shmmni(32768));
    lab.set_limit(Limit::Shmmax(1 << 20));
    lab.set_limit(Limit::Shmall(77));
    let (_, limits) = a.limits();
    assert_eq!((limits.shmmni, limits.shmmax, limits.shmall), (32768, 1 << 20, 77));
    assert_eq!(Lab::new(column).actor().limits().1.shmmni, 4096);
}

pub(crate) fn row_130_forced(column: Column) {
    let lab = Lab::new(column);
    lab.set_limit(Limit::RmidForced(true));
    let a = lab.actor();
    let ways: [fn(Actor, u64); 4] = [
        |b, addr| b.dt(addr).unwrap(),
        |b, addr| b.munmap(addr, PAGE).unwrap(),
        |b, _| b.exit(),
        |b, _| b.kill(),
    ];
    for (n, end) in ways.into_iter().enumerate() {
        let id = a.get(KEY, PAGE, MAKE).unwrap();
        let own = a.attach(id);
        let b = lab.actor();
        let addr = b.attach(id);
        assert_eq!(b.stat(id).unwrap().mode, 0o600);
        a.dt(own).unwrap();
        assert_eq!(a.stat(id).unwrap().mode, 0o600);
        end(b, addr);
        assert_eq!(a.stat(id), Err(EINVAL), "way {n}");
        assert_eq!(a.get(KEY, PAGE, 0), Err(ENOENT), "way {n}");
    }
    lab.set_limit(Limit::RmidForced(false));
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    let addr = a.attach(id);
    a.dt(addr).unwrap();
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_131_never_attached(column: Column) {
    let lab = Lab::new(column);
    lab.set_limit(Limit::RmidForced(true));
    let a = lab.actor();
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    assert_eq!(lab.actor().get(KEY, PAGE, 0), Ok(id));
    assert_eq!(a.nattch(id), 0);
}
