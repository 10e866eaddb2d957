//! shmctl: what each command does.

use coseg_conformance::lab::Column;
use coseg_conformance::protocol::FILLER;

use crate::kit::*;

const SEQ: i32 = 1 << 15;

pub(crate) fn row_093_unknown_command(column: Column) {
    let (_lab, a, id) = one(column);
    for cmd in [-1, i32::MIN, 4, 10, 16, 99, IPC_STAT | 0x100, IPC_RMID | 0x100, IPC_SET | 0x100] {
        assert_eq!(a.ctl0(id, cmd), Err(EINVAL), "{cmd}");
        assert_eq!(a.ctl(id, cmd, Buffer::Null).answer(), Err(EINVAL), "{cmd}");
    }
    assert!(a.stat(id).is_ok());
}

pub(crate) fn row_094_stat(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let open = root.get(KEY, PAGE, IPC_CREAT | 0o644).unwrap();
    let closed = root.get(KEY + 1, PAGE, IPC_CREAT | 0o622).unwrap();
    let alice = lab.user(ALICE);
    assert_eq!(alice.ctl0(open, IPC_STAT), Ok(0));
    assert_eq!(alice.stat(closed), Err(EACCES));
    for bad in [Buffer::Null, Buffer::Wild, Buffer::ReadOnly] {
        assert_eq!(alice.ctl(open + 9, IPC_STAT, bad.clone()).answer(), Err(EINVAL));
        assert_eq!(alice.ctl(closed, IPC_STAT, bad.clone()).answer(), Err(EACCES));
        assert_eq!(alice.ctl(open, IPC_STAT, bad.clone()).answer(), Err(EFAULT), "{bad:?}");
        assert_eq!(alice.ctl(open, SHM_STAT, bad.clone()).answer(), Err(EFAULT), "{bad:?}");
        assert_eq!(alice.ctl(open, SHM_STAT_ANY, bad).answer(), Err(EFAULT));
    }
}

pub(crate) fn row_095_structure(column: Column) {
    let (_lab, a, id) = one(column);
    for cmd in [IPC_STAT, SHM_STAT, SHM_STAT_ANY] {
        let reply = a.ctl(id, cmd, Buffer::Bytes(Vec::new()));
        assert!(Stat::parse(&reply.data).pads_zero);
        assert!(reply.data[Stat::SIZE..].iter().all(|&byte| byte == FILLER), "wrote past the structure");
        assert_eq!(Stat::parse(&reply.data), a.stat(id).unwrap());
    }
    let failed = a.ctl(id + 1, IPC_STAT, Buffer::Bytes(Vec::new()));
    assert!(failed.data.iter().all(|&byte| byte == FILLER), "wrote although it failed");
}

pub(crate) fn row_096_mode(column: Column) {
    let (_lab, a, id) = one(column);
    a.attach(id);
    assert_eq!(a.stat(id).unwrap().mode, 0o600);
    a.ctl0(id, SHM_LOCK).unwrap();
    assert_eq!(a.stat(id).unwrap().mode, 0o600 | SHM_LOCKED);
    a.rmid(id).unwrap();
    assert_eq!(a.stat(id).unwrap().mode, 0o600 | SHM_LOCKED | SHM_DEST);
    a.ctl0(id, SHM_UNLOCK).unwrap();
    assert_eq!(a.stat(id).unwrap().mode, 0o600 | SHM_DEST);
}

pub(crate) fn row_097_set(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    a.attach(id);
    a.ctl0(id, SHM_LOCK).unwrap();
    let before = a.stat(id).unwrap();
    a.set(id, ALICE, CREW, 0o7751).unwrap();
    let after = a.stat(id).unwrap();
    assert_now(after.ctime);
    let expected =
        Stat { uid: ALICE, gid: CREW, mode: 0o751 | SHM_LOCKED, ctime: after.ctime, ..before.clone() };
    assert_eq!(after, expected);
    assert_eq!(a.get(KEY, PAGE, 0), Ok(id));
    a.rmid(id).unwrap();
    a.set(id, BOB, BOB, 0).unwrap();
    let stat = a.stat(id).unwrap();
    assert_eq!((stat.uid, stat.gid, stat.mode), (BOB, BOB, SHM_LOCKED | SHM_DEST));
}

pub(crate) fn row_098_set_order(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let id = root.get(KEY, PAGE, IPC_CREAT | 0o666).unwrap();
    let before = root.stat(id).unwrap();
    let alice = lab.user(ALICE);
    for actor in [&root, &alice] {
        for bad in [Buffer::Null, Buffer::Wild] {
            assert_eq!(actor.ctl(id + 9, IPC_SET, bad.clone()).answer(), Err(EFAULT));
            assert_eq!(actor.ctl(id, IPC_SET, bad).answer(), Err(EFAULT));
        }
        assert_eq!(actor.set(id + 9, u32::MAX, 0, 0), Err(EINVAL));
    }
    assert_eq!(alice.set(id, u32::MAX, 0, 0), Err(EPERM));
    assert_eq!(root.set(id, u32::MAX, 0, 0), Err(EINVAL));
    assert_eq!(root.set(id, 0, u32::MAX, 0), Err(EINVAL));
    assert_eq!(root.stat(id).unwrap(), before);
}

pub(crate) fn row_102_remove_unattached(column: Column) {
    for buf in [Buffer::Null, Buffer::Wild, Buffer::ReadOnly] {
        let (_lab, a, id) = one(column);
        assert_eq!(a.ctl(id, IPC_RMID, buf).answer(), Ok(0));
        assert_eq!(a.stat(id), Err(EINVAL));
        assert_eq!(a.rmid(id), Err(EINVAL));
        assert_eq!(a.get(KEY, PAGE, 0), Err(ENOENT));
        assert_eq!(a.get(KEY, 2 * PAGE, MAKE), Ok(1));
    }
}

pub(crate) fn row_103_remove_attached(column: Column) {
    let (_lab, a, id) = one(column);
    let addr = a.attach(id);
    a.poke(addr, b"old").unwrap();
    assert_eq!(a.rmid(id), Ok(()));
    let stat = a.stat(id).unwrap();
    assert_eq!((stat.key, stat.mode, stat.nattch), (0, 0o600 | SHM_DEST, 1));
    assert_eq!(a.get(KEY, PAGE, 0), Err(ENOENT));
    let new = a.get(KEY, PAGE, MAKE | IPC_EXCL).unwrap();
    assert_ne!(new, id);
    let fresh = a.attach(new);
    assert_eq!(a.byte(fresh), Ok(0));
    assert_eq!(a.peek(addr, 3).unwrap(), b"old");
    assert_eq!(a.stat(new).unwrap().key, KEY);
}

pub(crate) fn row_104_remove_again(column: Column) {
    let (_lab, a, id) = one(column);
    let addr = a.attach(id);
    for _ in 0..3 {
        assert_eq!(a.rmid(id), Ok(()));
    }
    a.dt(addr).unwrap();
    assert_eq!(a.rmid(id), Err(EINVAL));
}

pub(crate) fn row_105_use_while_removed(column: Column) {
    let (_lab, a, id) = one(column);
    a.attach(id);
    a.rmid(id).unwrap();
    assert_eq!(a.set(id, 0, 0, 0o640), Ok(()));
    assert_eq!(a.ctl0(id, SHM_LOCK), Ok(0));
    assert_eq!(a.stat(id).unwrap().mode, 0o640 | SHM_DEST | SHM_LOCKED);
    assert_eq!(a.stat_by(id, SHM_STAT).unwrap().0, id);
    assert_eq!(a.stat_by(id, SHM_STAT_ANY).unwrap().0, id);
}

pub(crate) fn row_106_last_detach(column: Column) {
    let ways: [fn(Actor, u64, &Actor); 6] = [
        |a, addr, _| a.dt(addr).unwrap(),
        |a, addr, _| a.munmap(addr, PAGE).unwrap(),
        |a, _, _| a.exit(),
        |a, _, _| a.exit_raw(),
        |a, _, _| a.kill(),
        |a, _, observer| {
            a.exec();
            assert_eq!(observer.usage().1.used_ids, 0);
        },
    ];
    for (n, end) in ways.into_iter().enumerate() {
        let (lab, a, id) = one(column);
        let addr = a.attach(id);
        a.rmid(id).unwrap();
        let observer = lab.actor();
        assert_eq!(observer.nattch(id), 1);
        end(a, addr, &observer);
        assert_eq!(observer.stat(id), Err(EINVAL), "way {n}");
        assert_eq!(observer.at(id, 0, 0), Err(EINVAL), "way {n}");
        let (_, usage) = observer.usage();
        assert_eq!((usage.used_ids, usage.shm_tot), (0, 0), "way {n}");
    }
}

pub(crate) fn row_108_ipc_info(column: Column) {
    let lab = shared(column);
    let a = lab.user(ALICE);
    let (highest, limits) = a.limits();
    assert_eq!((highest, limits.shmmin, limits.shmseg), (0, 1, limits.shmmni));
    let root = lab.actor();
    let ids: Vec<i32> = (0..3).map(|_| root.get(IPC_PRIVATE, 1, 0).unwrap()).collect();
    assert_eq!(a.limits().0, 2);
    for id in [0, 1, 12345] {
        assert_eq!(a.ctl0(id, IPC_INFO), Ok(2));
    }
    for bad in [Buffer::Null, Buffer::Wild, Buffer::ReadOnly] {
        assert_eq!(a.ctl(0, IPC_INFO, bad).answer(), Err(EFAULT));
    }
    root.rmid(ids[2]).unwrap();
    assert_eq!(a.limits().0, 1);
    root.rmid(ids[0]).unwrap();
    assert_eq!(a.limits().0, 1);
    root.rmid(ids[1]).unwrap();
    assert_eq!(a.limits().0, 0);
}

pub(crate) fn row_109_shm_info(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    let id = a.get(KEY, 2 * PAGE + 1, MAKE).unwrap();
    a.get(IPC_PRIVATE, 1, 0).unwrap();
    let alice = lab.user(ALICE);
    let (highest, usage) = alice.usage();
    assert_eq!((highest, usage.used_ids, usage.shm_tot, usage.shm_rss), (1, 2, 4, 0));
    let addr = a.attach(id);
    a.poke(addr, &[1]).unwrap();
    a.poke(addr + 2 * PAGE, &[1]).unwrap();
    assert_eq!(alice.usage().1.shm_rss, 2);
    a.rmid(id).unwrap();
    let usage = alice.usage().1;
    assert_eq!((usage.used_ids, usage.shm_tot, usage.shm_rss), (2, 4, 2));
    assert_eq!((usage.shm_swp, usage.swap_attempts, usage.swap_successes), (0, 0, 0));
    a.dt(addr).unwrap();
    let usage = alice.usage().1;
    assert_eq!((usage.used_ids, usage.shm_tot, usage.shm_rss), (1, 1, 0));
    let kept = a.private(PAGE);
    let addr = a.attach(kept);
    a.poke(addr, &[1]).unwrap();
    a.dt(addr).unwrap();
    assert_eq!(alice.usage().1.shm_rss, 1);
    for bad in [Buffer::Null, Buffer::Wild, Buffer::ReadOnly] {
        assert_eq!(a.ctl(0, SHM_INFO, bad).answer(), Err(EFAULT));
    }
}

pub(crate) fn row_110_shm_stat(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    for _ in 0..64 {
        let id = a.private(1);
        a.rmid(id).unwrap();
    }
    let id = a.get(KEY, PAGE, IPC_CREAT | 0o622).unwrap();
    assert_eq!(id, SEQ);
    for name in [0, SEQ, 5 * SEQ] {
        assert_eq!(a.stat_by(name, SHM_STAT), Ok((id, a.stat(id).unwrap())));
    }
    for unused in [1, 63, SEQ + 1, 32767] {
        assert_eq!(a.stat_by(unused, SHM_STAT), Err(EINVAL));
    }
    assert_eq!(lab.user(ALICE).stat_by(0, SHM_STAT), Err(EACCES));
}

pub(crate) fn row_111_shm_stat_any(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let id = root.get(KEY, PAGE, IPC_CREAT).unwrap();
    root.attach(id);
    let alice = lab.user(ALICE);
    assert_eq!(alice.stat(id), Err(EACCES));
    for name in [id, id + SEQ] {
        assert_eq!(alice.stat_by(name, SHM_STAT_ANY), Ok((id, root.stat(id).unwrap())));
    }
    assert_eq!(alice.stat_by(id + 1, SHM_STAT_ANY), Err(EINVAL));
}
