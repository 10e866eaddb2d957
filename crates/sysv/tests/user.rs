//! The user backend through the safe API.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

use std::sync::atomic::{AtomicBool, Ordering};

use coseg_sysv::{Backend, Change, Errno, GetFlags, Key, Mode, Segment, ShmId, User};

fn world() -> (tempfile::TempDir, User) {
    let dir = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
    let user = User::at(dir.path()).unwrap();
    (dir, user)
}

#[test]
fn a_segment_lives_its_life() {
    let (dir, user) = world();
    let key = Key::new(0x4242);
    let made = Segment::options(key).size(1000).mode(Mode::new(0o640)).create(&user).unwrap();
    assert_eq!(made.id(), ShmId::new(0));
    let memory = made.attach().unwrap();
    memory.write(3, b"hello").unwrap();
    let same = Segment::options(key).open(&user).unwrap();
    let other = same.attach_read_only().unwrap();
    let mut text = [0; 5];
    other.read(3, &mut text).unwrap();
    assert_eq!(&text, b"hello");
    assert_eq!(other.write(0, b"x").unwrap_err().errno(), Errno::EACCES);
    assert_eq!(other.read(998, &mut text).unwrap_err().errno(), Errno::ERANGE);

    let stat = same.stat().unwrap();
    assert_eq!((stat.attachment_count, stat.size_bytes, stat.mode.bits()), (2, 1000, 0o640));
    same.remove().unwrap();
    let stat = same.stat().unwrap();
    assert!(stat.removed && stat.key.is_private());
    assert_eq!(Segment::options(key).open(&user).unwrap_err().errno(), Errno::ENOENT);
    drop(memory);
    assert_eq!(same.stat().unwrap().attachment_count, 1);
    other.detach().unwrap();
    let gone = same.stat().unwrap_err();
    assert_eq!(gone.errno(), Errno::EINVAL, "{gone}");
    assert_eq!(user.usage().unwrap().segment_count, 0);
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["registry"]);
}

#[test]
fn ids_go_round_as_the_kernels_do() {
    let (_dir, user) = world();
    let flags = GetFlags::CREATE.with_mode(Mode::PRIVATE);
    let mut ids = Vec::new();
    for _ in 0..130 {
        let id = user.get(Key::PRIVATE, 1, flags).unwrap();
        ids.push(id.raw());
        user.remove(id).unwrap();
    }
    assert_eq!(ids[..3], [0, 1, 2]);
    assert_eq!(ids[63..66], [63, 32768, 32769]);
    assert_eq!(ids[128], 65536);
}

#[test]
fn many_keys_are_all_found_and_errors_explain() {
    let (_dir, user) = world();
    let flags = GetFlags::CREATE.with_mode(Mode::PRIVATE);
    let ids: Vec<ShmId> = (1..500).map(|n| user.get(Key::new(n), 100, flags).unwrap()).collect();
    for (n, id) in (1..500).zip(&ids) {
        assert_eq!(user.get(Key::new(n), 0, GetFlags::NONE).unwrap(), *id);
    }
    for id in ids.iter().step_by(2) {
        user.remove(*id).unwrap();
    }
    for (n, id) in (1..500).zip(&ids).skip(1).step_by(2) {
        assert_eq!(user.get(Key::new(n), 0, GetFlags::NONE).unwrap(), *id);
    }
    assert_eq!(user.list().unwrap().len(), 249);
    let small = Segment::options(Key::new(2)).size(101).open(&user).unwrap_err();
    assert_eq!(small.errno(), Errno::EINVAL);
    assert!(small.to_string().contains("has 100 bytes, 101 were asked for"), "{small}");
    let mut knobs = user.knobs().unwrap();
    knobs.max_segment_count = 249;
    user.set_knobs(knobs).unwrap();
    let full = Segment::options(Key::PRIVATE).size(1).create(&user).unwrap_err();
    assert!(full.to_string().contains("249 are allowed (shmmni)"), "{full}");
    let changed = Change { uid: 7, gid: 8, mode: Mode::new(0o444) };
    user.set(ids[1], changed).unwrap();
    let stat = user.stat(ids[1]).unwrap();
    assert_eq!((stat.uid, stat.gid, stat.mode.bits()), (7, 8, 0o444));
}

#[test]
fn attachers_are_named() {
    let (_dir, user) = world();
    let segment = Segment::options(Key::PRIVATE).size(5000).create(&user).unwrap();
    let memory = segment.attach().unwrap();
    let attachers = user.attachers().unwrap();
    // Programs that another test starts have this process's memory until they run.
    let this = std::process::id().cast_signed();
    let found: Vec<_> = attachers.found.iter().filter(|a| a.id == segment.id() && a.pid == this).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].address, memory.address());
    assert_eq!(found[0].size_bytes, 8192);
    assert!(found[0].writable);
}

#[test]
fn a_namespace_is_made_while_other_threads_start_programs() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert!(std::process::Command::new("true").status().unwrap().success());
                }
            });
        }
        let made: Vec<_> = (0..200)
            .map(|_| {
                let dir = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
                User::at(dir.path()).map(drop)
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        for made in made {
            made.unwrap();
        }
    });
}

/// Each leaves a descriptor open until it is deleted.
#[test]
fn nothing_is_kept_open_of_namespaces_that_were_deleted() {
    let is_open = |registry: &std::path::Path| {
        let deleted = format!("{} (deleted)", registry.display());
        let mut open = std::fs::read_dir("/proc/self/fd").unwrap();
        open.any(|entry| {
            let target = std::fs::read_link(entry.unwrap().path());
            target.is_ok_and(|target| target == registry || target.as_os_str() == deleted.as_str())
        })
    };
    let (dir, user) = world();
    let flags = GetFlags::CREATE.with_mode(Mode::PRIVATE);
    user.get(Key::PRIVATE, 1, flags).unwrap();
    let registry = dir.path().join("registry");
    let (_other_dir, other) = world();
    other.get(Key::PRIVATE, 1, flags).unwrap();
    assert!(is_open(&registry), "a namespace that is still there");
    drop(dir);
    assert!(is_open(&registry));
    let (_last_dir, last) = world();
    assert!(!is_open(&registry));
    for user in [other, last] {
        let id = user.get(Key::PRIVATE, 1, flags).unwrap();
        user.remove(id).unwrap();
    }
    assert_eq!(user.get(Key::PRIVATE, 1, flags).unwrap_err().errno(), Errno::EIO);
}
