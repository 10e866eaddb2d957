//! Identifiers and keys.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

const SEQ: i32 = 1 << 15;

fn make_and_remove(a: &Actor) -> i32 {
    let id = a.private(1);
    a.rmid(id).unwrap();
    id
}

/// Every call that takes an id.
fn assert_all_refuse(a: &Actor, id: i32) {
    for cmd in [IPC_STAT, IPC_RMID, SHM_LOCK, SHM_UNLOCK] {
        assert_eq!(a.ctl0(id, cmd), Err(EINVAL), "shmctl({id}, {cmd})");
    }
    assert_eq!(a.set(id, 0, 0, 0o600), Err(EINVAL));
    assert_eq!(a.at(id, 0, 0), Err(EINVAL));
}

pub(crate) fn row_033_layout(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let first = a.private(1);
    assert_eq!((first, a.stat(first).unwrap().seq), (0, 0));
    for expected in 1..64 {
        assert_eq!(make_and_remove(&a), expected);
    }
    let again = a.private(1);
    assert_eq!((again / SEQ, again % SEQ), (1, 1));
    assert_eq!(a.stat(again).unwrap().seq, 1);
}

pub(crate) fn row_034_first_ids(column: Column) {
    let lab = Lab::new(column);
    for expected in 0..5 {
        assert_eq!(lab.actor().private(1), expected);
    }
}

pub(crate) fn row_035_index_goes_round(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    let ids: Vec<i32> = (0..3).map(|_| a.private(1)).collect();
    a.rmid(ids[1]).unwrap();
    assert_eq!(a.private(1), 3);
    assert_eq!(make_and_remove(&a), 4);
    assert_eq!(a.private(1), 5);

    // With fifty in use the window is seventy-five wide.
    let kept = 50 - 4;
    let ids: Vec<i32> = (0..kept).map(|_| a.private(1)).collect();
    assert_eq!(ids, (6..6 + kept).collect::<Vec<_>>());
    for expected in 6 + kept..75 {
        assert_eq!(make_and_remove(&a), expected);
    }
    assert_eq!(make_and_remove(&a), SEQ + 1);
    assert_eq!(make_and_remove(&a), SEQ + 4);
    assert_eq!(make_and_remove(&a), SEQ + 6 + kept);
}

pub(crate) fn row_036_sequence(column: Column) {
    let lab = Lab::new(column);
    let a = lab.actor();
    for seq in 0..3 {
        for index in 0..64 {
            assert_eq!(make_and_remove(&a), seq * SEQ + index);
        }
    }
    lab.set_limit(Limit::NextId(65535 * SEQ + 7));
    assert_eq!(a.private(1), 65535 * SEQ + 7);
    // A chosen id leaves the order of the others alone.
    assert_eq!(make_and_remove(&a), 3 * SEQ);
}

pub(crate) fn row_037_stale(column: Column) {
    let (_lab, a, id) = one(column);
    for stale in [id + SEQ, id + 7 * SEQ, id + 1, id + 63, 32767] {
        assert_all_refuse(&a, stale);
    }
    assert!(a.stat(id).is_ok());
    for _ in 1..64 {
        make_and_remove(&a);
    }
    a.rmid(id).unwrap();
    assert_eq!(a.private(1), id + SEQ);
    assert_all_refuse(&a, id);
}

pub(crate) fn row_038_removed(column: Column) {
    let (_lab, a, id) = one(column);
    let addr = a.attach(id);
    a.rmid(id).unwrap();
    a.dt(addr).unwrap();
    assert_all_refuse(&a, id);
    assert_eq!(a.get(KEY, 1, 0), Err(ENOENT));
}

pub(crate) fn row_039_negative(column: Column) {
    let (_lab, a, _) = one(column);
    for id in [-1, i32::MIN, -32768] {
        assert_all_refuse(&a, id);
        for cmd in [IPC_INFO, SHM_INFO, SHM_STAT, SHM_STAT_ANY] {
            assert_eq!(a.ctl0(id, cmd), Err(EINVAL), "shmctl({id}, {cmd})");
        }
    }
}

pub(crate) fn row_041_ftok(column: Column) {
    use std::os::unix::fs::MetadataExt;
    let lab = Lab::new(column);
    let a = lab.actor();
    let ftok = |path: &std::path::Path, proj| {
        let cmd = Cmd::Ftok { path: path.display().to_string(), proj };
        a.run(&cmd).answer().map(|key| key & 0xFFFF_FFFF)
    };
    let file = lab.scratch().join("file");
    let link = lab.scratch().join("link");
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let meta = std::fs::metadata(&file).unwrap();
    for proj in [0, 1, 0x1FF, -1] {
        let expected = (meta.ino() & 0xFFFF) | ((meta.dev() & 0xFF) << 16) | ((proj as u64 & 0xFF) << 24);
        assert_eq!(ftok(&file, proj), Ok(expected.cast_signed()));
        assert_eq!(ftok(&link, proj), ftok(&file, proj));
    }
    assert_eq!(ftok(&lab.scratch().join("none"), 1), Err(ENOENT));
    assert_eq!(ftok(&file.join("below"), 1), Err(Errno(libc::ENOTDIR)));
}
