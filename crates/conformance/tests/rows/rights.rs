//! Who may change what, and in which class a caller is.

use coseg_conformance::lab::{Column, Lab};

use crate::kit::*;

fn someone(lab: &Lab, uid: u32, groups: &[u32], caps: u64) -> Actor {
    let actor = lab.actor();
    actor.become_who(uid, uid, groups, caps);
    actor
}

pub(crate) fn row_099_who_may_change(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    let owned = || given(&root, ALICE, CREW, 0o066);
    let id = owned();
    let denied = [
        someone(&lab, BOB, &[CREW], CAP_NONE),
        someone(&lab, BOB, &[], CAP_IPC_OWNER),
        someone(&lab, BOB, &[], CAP_ALL & !CAP_SYS_ADMIN),
    ];
    for actor in denied {
        assert_eq!(actor.set(id, BOB, BOB, 0o600), Err(EPERM));
        assert_eq!(actor.rmid(id), Err(EPERM));
    }
    let plain_root = someone(&lab, 0, &[], CAP_NONE);
    let allowed = [
        root.fork(),
        lab.user(ALICE),
        plain_root,
        someone(&lab, 0, &[], CAP_SYS_ADMIN),
        someone(&lab, BOB, &[], CAP_SYS_ADMIN),
    ];
    for (n, actor) in allowed.iter().enumerate() {
        let id = owned();
        assert_eq!(actor.set(id, ALICE, CREW, 0o600), Ok(()), "allowed {n}");
        assert_eq!(root.stat(id).unwrap().mode, 0o600);
        assert_eq!(actor.rmid(id), Ok(()), "allowed {n}");
        assert_eq!(root.stat(id), Err(EINVAL));
    }
}

pub(crate) fn row_100_creator_after_chown(column: Column) {
    let lab = shared(column);
    let alice = lab.user(ALICE);
    let id = alice.get(KEY, PAGE, MAKE).unwrap();
    lab.actor().set(id, BOB, BOB, 0o600).unwrap();
    assert_eq!(alice.get(KEY, PAGE, 0o600), Ok(id));
    let stat = alice.stat(id).unwrap();
    assert_eq!((stat.uid, stat.cuid), (BOB, ALICE));
    let addr = alice.at(id, 0, 0).unwrap();
    alice.poke(addr, b"mine").unwrap();
    let bob = lab.user(BOB);
    let theirs = bob.attach(id);
    assert_eq!(bob.peek(theirs, 4).unwrap(), b"mine");
    assert_eq!(alice.set(id, BOB, BOB, 0o640), Ok(()));
    assert_eq!(bob.set(id, BOB, BOB, 0o600), Ok(()));
    assert_eq!(alice.rmid(id), Ok(()));
    alice.dt(addr).unwrap();
    bob.dt(theirs).unwrap();
    assert_eq!(lab.actor().stat(id), Err(EINVAL));
}

pub(crate) fn row_101_class(column: Column) {
    let lab = shared(column);
    let root = lab.actor();
    // Root's group is the creator's; CREW the owner's.
    let by_group = given(&root, ALICE, CREW, 0o040);
    let by_rest = given(&root, ALICE, CREW, 0o004);
    let by_owner = given(&root, ALICE, CREW, 0o400);
    type Case = (&'static str, u32, u32, &'static [u32], [bool; 3]);
    let cases: [Case; 6] = [
        ("owner", ALICE, CREW, &[CREW, 0], [true, false, false]),
        ("first group", BOB, CREW, &[], [false, true, false]),
        ("supplementary group", BOB, BOB, &[CREW], [false, true, false]),
        ("creator's group", BOB, 0, &[], [false, true, false]),
        ("creator's group, supplementary", BOB, BOB, &[0], [false, true, false]),
        ("nobody's", BOB, BOB, &[BOB], [false, false, true]),
    ];
    for (name, uid, gid, groups, expected) in cases {
        let actor = lab.actor();
        actor.become_who(uid, gid, groups, CAP_NONE);
        let got = [by_owner, by_group, by_rest].map(|id| actor.at(id, 0, SHM_RDONLY));
        assert_eq!(got.map(|r| r.is_ok()), expected, "{name}: {got:?}");
        let seen = [by_owner, by_group, by_rest].map(|id| actor.stat(id).is_ok());
        assert_eq!(seen, expected, "{name}");
    }
    let creator = lab.actor();
    creator.become_who(0, BOB, &[], CAP_NONE);
    assert!(creator.at(by_owner, 0, SHM_RDONLY).is_ok());
    assert_eq!(creator.at(by_rest, 0, SHM_RDONLY), Err(EACCES));
}
