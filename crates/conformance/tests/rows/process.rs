//! Fork, exec, death, threads.

use coseg_conformance::lab::Column;

use crate::kit::*;

pub(crate) fn row_118_counted(column: Column) {
    let (lab, a, id) = one(column);
    let [x, _] = [a.attach(id), a.attach(id)];
    a.poke(x, b"shared").unwrap();
    let child = a.fork();
    assert_eq!(a.nattch(id), 4);
    assert_eq!(child.nattch(id), 4);
    let grandchild = child.fork();
    assert_eq!(a.nattch(id), 6);
    grandchild.poke(x, b"SHARED").unwrap();
    assert_eq!(a.peek(x, 6).unwrap(), b"SHARED");
    child.exit();
    assert_eq!(a.nattch(id), 4);
    grandchild.dt(x).unwrap();
    assert_eq!(a.nattch(id), 3);
    grandchild.kill();
    assert_eq!(a.nattch(id), 2);
    let raw = a.birth(Birth::RawFork);
    raw.poke(x, b"raw").unwrap();
    // A fork behind the C library's back runs no handler: the count may miss it, but not the life.
    if lab.is_kernel() {
        assert_eq!(raw.nattch(id), 4);
    }
    a.rmid(id).unwrap();
    a.kill();
    assert!(lab.actor().nattch(id) >= 1);
    assert_eq!(raw.peek(x, 3).unwrap(), b"raw");
    raw.kill();
    assert_eq!(lab.actor().stat(id), Err(EINVAL));
}

pub(crate) fn row_119_shared_memory(column: Column) {
    let (lab, a, id) = one(column);
    a.attach(id);
    let look = Cmd::Ctl { id, cmd: IPC_STAT, buf: Buffer::Bytes(Vec::new()) };
    let seen = a.run(&Cmd::CloneVm(Box::new(look)));
    assert_eq!(Stat::parse(&seen.data).nattch, 1);
    assert_eq!(a.nattch(id), 1);
    let run = a.birth(Birth::VforkExec);
    assert_eq!(run.nattch(id), 1);
    let got = a.run(&Cmd::Thread(Box::new(Cmd::At { id, addr: 0, flags: 0 }))).ret.cast_unsigned();
    let stat = lab.actor().stat(id).unwrap();
    assert_eq!((stat.nattch, stat.lpid), (2, a.pid));
    run.at(id, 0, 0).unwrap();
    assert_eq!(a.run(&Cmd::Thread(Box::new(Cmd::Dt { addr: got }))).ret, 0);
    assert_eq!(a.stat(id).unwrap().lpid, a.pid);
    let made = Cmd::Get { key: KEY + 1, size: 1, flags: MAKE };
    let made = i32::try_from(a.run(&Cmd::Thread(Box::new(made))).ret).unwrap();
    assert_eq!(a.stat(made).unwrap().cpid, a.pid);
}

pub(crate) fn row_120_counted(column: Column) {
    let (lab, a, id) = one(column);
    let ends: [fn(Actor); 3] = [Actor::exit, Actor::exit_raw, Actor::kill];
    for end in ends {
        let doomed = lab.actor();
        doomed.attach(id);
        doomed.at(id, 0, SHM_RDONLY).unwrap();
        assert_eq!(a.nattch(id), 2);
        end(doomed);
        assert_eq!(a.nattch(id), 0);
    }
    let threaded = lab.actor();
    threaded.attach(id);
    threaded.run(&Cmd::Park);
    threaded.run(&Cmd::BlockSignals);
    threaded.kill();
    assert_eq!(a.nattch(id), 0);
}

pub(crate) fn row_121_counted(column: Column) {
    let (lab, a, id) = one(column);
    let b = lab.actor();
    let addr = b.attach(id);
    b.at(id, 0, SHM_RDONLY).unwrap();
    b.run(&Cmd::Park);
    assert_eq!(a.nattch(id), 2);
    b.exec();
    assert_eq!(a.nattch(id), 0);
    assert_eq!(b.dt(addr), Err(EINVAL));
    b.attach(id);
    assert_eq!(a.nattch(id), 1);
}

pub(crate) fn row_122_child_detaches(column: Column) {
    let (_lab, a, id) = one(column);
    let addr = a.attach(id);
    let child = a.fork();
    child.dt(addr).unwrap();
    assert_eq!(child.byte(addr), Err(SIGSEGV));
    assert_eq!(child.dt(addr), Err(EINVAL));
    assert_eq!(a.nattch(id), 1);
    a.poke(addr, b"intact").unwrap();
    a.dt(addr).unwrap();
    assert_eq!(child.nattch(id), 0);
}

pub(crate) fn row_123_new_credentials(column: Column) {
    let lab = shared(column);
    let a = lab.actor();
    let id = a.get(KEY, PAGE, MAKE).unwrap();
    let addr = a.attach(id);
    a.setuid(ALICE);
    a.poke(addr, b"mine").unwrap();
    assert_eq!(a.at(id, 0, 0), Err(EACCES));
    assert_eq!(lab.actor().nattch(id), 1);
    let child = a.fork();
    assert_eq!(child.peek(addr, 4).unwrap(), b"mine");
    // The child may not open the file to take a lock of its own: it shares its parent's.
    let both = if column == Column::Kernel { 2 } else { 1 };
    assert_eq!(lab.actor().nattch(id), both);
    child.exit();
    assert_eq!(lab.actor().nattch(id), 1);
    a.dt(addr).unwrap();
    assert_eq!(lab.actor().nattch(id), 0);
    let own = a.get(KEY + 1, PAGE, MAKE).unwrap();
    assert_eq!(a.stat(own).unwrap().uid, ALICE);
}

pub(crate) fn row_124_persistence(column: Column) {
    let (lab, a, id) = one(column);
    let addr = a.attach(id);
    a.poke(addr, b"left behind").unwrap();
    let creator = a.pid;
    a.exit();
    lab.host.reap_one();
    let b = lab.actor();
    assert_eq!(b.get(KEY, PAGE, 0o600), Ok(id));
    let stat = b.stat(id).unwrap();
    assert_eq!((stat.cpid, stat.nattch, stat.mode), (creator, 0, 0o600));
    let addr = b.attach(id);
    assert_eq!(b.peek(addr, 11).unwrap(), b"left behind");
}
