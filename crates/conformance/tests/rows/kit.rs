//! What the rows share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coseg_conformance::lab::{Column, Lab, Setup, is_root};

pub(crate) use coseg_conformance::actor::Actor;
pub(crate) use coseg_conformance::errno::*;
pub(crate) use coseg_conformance::lab::Limit;
pub(crate) use coseg_conformance::names::*;
pub(crate) use coseg_conformance::protocol::{Birth, Buffer, Cmd};
pub(crate) use coseg_conformance::stat::{SHM_DEST, SHM_LOCKED, Stat};

/// A key no row needs to be unlike another's: each has a world of its own.
pub(crate) const KEY: i32 = 0x5EED;
/// Creates, or finds, with all rights for the owner.
pub(crate) const MAKE: i32 = IPC_CREAT | 0o600;

pub(crate) const ALICE: u32 = 1000;
pub(crate) const BOB: u32 = 1001;
/// A group that is nobody's first.
pub(crate) const CREW: u32 = 2000;

/// Runs a row, if this process may.
pub(crate) fn on(column: Column, row: fn(Column)) {
    if is_root() {
        row(column);
    } else {
        eprintln!("skipped: needs root, for other users and an IPC namespace of its own");
    }
}

/// A world several users share.
pub(crate) fn shared(column: Column) -> Lab {
    Lab::with(&Setup { shared: true, ..Setup::new(column) })
}

/// Seconds of CLOCK_REALTIME.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// Waits until the clock shows another second, well clear of the boundary.
pub(crate) fn tick() {
    let past = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_millis();
    std::thread::sleep(Duration::from_millis(u64::from(1020 - past.min(1000))));
}

/// Fails unless a time is the present one, give or take a second.
#[track_caller]
pub(crate) fn assert_now(time: i64) {
    assert!((now() - time).abs() <= 1, "{time} is not now, which is {}", now());
}

/// A world, an actor in it and a segment of one page, mode 0600.
pub(crate) fn one(column: Column) -> (Lab, Actor, i32) {
    let lab = Lab::new(column);
    let actor = lab.actor();
    let id = actor.get(KEY, PAGE, MAKE).unwrap();
    (lab, actor, id)
}

/// A segment made by root and then given away: `cuid` and `cgid` stay root's.
pub(crate) fn given(root: &Actor, uid: u32, gid: u32, mode: u32) -> i32 {
    let id = root.get(IPC_PRIVATE, PAGE, 0o600).unwrap();
    root.set(id, uid, gid, mode).unwrap();
    id
}
