//! Two users in one directory that root made for them: what each may do with the other's segments, by the
//! calls and by the files.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use coseg_sysv::{AttachFlags, Backend, Change, Errno, Error, GetFlags, Key, Mode, ShmId, User};

use crate::forge;
use crate::peer::Peer;
use crate::{
    OTHER, OWNER, apart, attach, attach_as, by, create, detach, mode_of, nattch, peek, poke, shared,
};

fn errno<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.errno().to_string(), |_| "done".to_owned())
}

/// What a user gets from every call and every way to the file.
fn all_ways(directory: &Path, key: i32, id: i32) -> String {
    let user = User::at(directory).unwrap();
    let id = ShmId::new(id);
    let path = directory.join(format!("seg-{id}"));
    let try_attach = |flags| {
        errno(attach_as(&user, id, flags).and_then(|address| {
            peek(address, 0);
            detach(&user, address)
        }))
    };
    let by_file = |result: std::io::Result<()>| match result {
        Ok(()) => "done".to_owned(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => "denied".to_owned(),
        Err(error) => error.to_string(),
    };
    [
        errno(user.get(Key::new(key), 0, GetFlags::NONE.with_mode(Mode::new(0o400)))),
        errno(user.get(Key::new(key), 0, GetFlags::NONE.with_mode(Mode::new(0o600)))),
        errno(user.stat(id)),
        try_attach(AttachFlags::READ_ONLY),
        try_attach(AttachFlags::NONE),
        errno(user.set(id, Change { uid: OTHER, gid: OTHER, mode: Mode::new(0o666) })),
        errno(user.remove(id)),
        by_file(fs::read(&path).map(drop)),
        by_file(OpenOptions::new().write(true).open(&path).map(drop)),
        by_file(fs::set_permissions(&path, fs::metadata(&path).unwrap().permissions())),
        by_file(fs::remove_file(&path)),
    ]
    .join(" ")
}

#[test]
fn modes_hold_between_users() {
    apart("members::modes_hold_between_users", |world| {
        let directory = shared(world);
        User::at(&directory).unwrap();
        let rows = [
            (0o600, "EACCES EACCES EACCES EACCES EACCES EPERM EPERM denied denied"),
            (0o644, "done EACCES done done EACCES EPERM EPERM done denied"),
            (0o666, "done done done done done EPERM EPERM done done"),
            (0o622, "EACCES EACCES EACCES EACCES EACCES EPERM EPERM denied done"),
        ];
        for (key, (mode, expected)) in (1..).zip(rows) {
            let id: i32 =
                by(OWNER, || create(&User::at(&directory).unwrap(), key, mode).raw()).parse().unwrap();
            assert_eq!(mode_of(&directory.join(format!("seg-{id}"))), mode);
            let said = by(OTHER, || all_ways(&directory, key, id));
            assert!(said.starts_with(expected), "{mode:o}: {said}");
            assert!(said.contains("not permitted") || said.ends_with("denied"), "{mode:o}: {said}");
            assert!(directory.join(format!("seg-{id}")).exists());
        }
    });
}

#[test]
fn two_users_meet_in_a_segment() {
    apart("members::two_users_meet_in_a_segment", |world| {
        let directory = shared(world);
        User::at(&directory).unwrap();
        let mut owner = Peer::start(OWNER, |peer| {
            let user = User::at(&directory).unwrap();
            let id = create(&user, 1, 0o666);
            let address = attach(&user, id);
            poke(address, 0, 42);
            peer.say(id.raw());
            peer.hear();
            peer.say(format!("{} {}", peek(address, 1), nattch(&user, id)));
            peer.hear();
            user.remove(id).unwrap();
            peer.say(nattch(&user, id));
            peer.hear();
            // The other is gone, and did not say so.
            peer.say(nattch(&user, id));
            detach(&user, address).unwrap();
            peer.say(errno(user.stat(id)));
        });
        let id = ShmId::new(owner.hear().parse().unwrap());
        let mut other = Peer::start(OTHER, |peer| {
            let user = User::at(&directory).unwrap();
            let address = attach(&user, id);
            assert_eq!(peek(address, 0), 42);
            poke(address, 1, 43);
            peer.say("met");
            peer.hear();
        });
        assert_eq!(other.hear(), "met");
        owner.say("look");
        assert_eq!(owner.hear(), "43 2");
        owner.say("remove");
        assert_eq!(owner.hear(), "2");
        drop(other);
        owner.say("look");
        assert_eq!(owner.hear(), "1");
        assert_eq!(owner.hear(), "EINVAL");
        owner.finish();
        assert!(!directory.join(format!("seg-{id}")).exists());
    });
}

#[test]
fn the_file_follows_its_segment() {
    apart("members::the_file_follows_its_segment", |world| {
        use std::os::unix::fs::MetadataExt as _;
        let directory = shared(world);
        let as_root = User::at(&directory).unwrap();
        let id: i32 = by(OWNER, || {
            let user = User::at(&directory).unwrap();
            let id = create(&user, 1, 0o600);
            user.set(id, Change { uid: OWNER, gid: OWNER, mode: Mode::new(0o646) }).unwrap();
            id.raw()
        })
        .parse()
        .unwrap();
        let path = directory.join(format!("seg-{id}"));
        assert_eq!(mode_of(&path), 0o646);
        let given_away = by(OWNER, || {
            let change = Change { uid: OTHER, gid: OWNER, mode: Mode::new(0o600) };
            User::at(&directory).unwrap().set(ShmId::new(id), change).unwrap_err()
        });
        assert!(given_away.contains("EPERM") && given_away.contains("root"), "{given_away}");
        assert_eq!((mode_of(&path), fs::metadata(&path).unwrap().uid()), (0o646, OWNER));

        as_root.set(ShmId::new(id), Change { uid: OTHER, gid: OTHER, mode: Mode::new(0o600) }).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().uid(), OTHER);
        // The new owner may, its creator still may, and nobody else.
        for (uid, expected) in [(OTHER, "done"), (OWNER, "done"), (1002, "EACCES")] {
            let said = by(uid, || {
                let user = User::at(&directory).unwrap();
                errno(
                    attach_as(&user, ShmId::new(id), AttachFlags::NONE)
                        .and_then(|address| detach(&user, address)),
                )
            });
            assert_eq!(said, expected, "{uid}");
        }
        assert_eq!(by(1002, || fs::read(&path).is_err()), "true");
    });
}

#[test]
fn limits_are_the_directorys_owners() {
    apart("members::limits_are_the_directorys_owners", |world| {
        let directory = shared(world);
        User::at(&directory).unwrap();
        let said = by(OTHER, || {
            let user = User::at(&directory).unwrap();
            errno(user.set_knobs(user.knobs().unwrap()))
        });
        assert_eq!(said, "EPERM");
    });
}

/// Whoever may read a file may lock all of it, for ever.
#[test]
fn a_reader_who_locks_everything_sends_nobody_in_circles() {
    apart("members::a_reader_who_locks_everything_sends_nobody_in_circles", |world| {
        let directory = shared(world);
        let as_root = User::at(&directory).unwrap();
        let id = by(OWNER, || create(&User::at(&directory).unwrap(), 1, 0o644).raw());
        let path = directory.join(format!("seg-{id}"));
        let mut reader = Peer::start(OTHER, |peer| {
            let file = fs::File::open(&path).unwrap();
            // SAFETY: numbers, of which zero is a value.
            let mut lock: libc::flock64 = unsafe { std::mem::zeroed() };
            #[allow(clippy::cast_possible_truncation, reason = "F_RDLCK fits")]
            {
                lock.l_type = libc::F_RDLCK as libc::c_short;
            }
            // SAFETY: the lock is read during the call only.
            assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }, 0);
            peer.say("locked");
            peer.hear();
        });
        assert_eq!(reader.hear(), "locked");
        // A member may also say that there were very many attachments.
        by(OTHER, || {
            use std::os::unix::fs::FileExt as _;
            let registry = OpenOptions::new().write(true).open(directory.join("registry")).unwrap();
            let at = 65536 + id.parse::<u64>().unwrap() * 128 + 96;
            registry.write_all_at(&u32::MAX.to_le_bytes(), at).unwrap();
            registry.write_all_at(&1_i64.to_le_bytes(), at + 8).unwrap();
            0
        });
        let start = Instant::now();
        let id = ShmId::new(id.parse().unwrap());
        nattch(&as_root, id);
        as_root.list().unwrap();
        by(OWNER, || {
            let user = User::at(&directory).unwrap();
            match attach_as(&user, id, AttachFlags::NONE) {
                Ok(address) => detach(&user, address).unwrap(),
                Err(error) => assert_eq!(error.errno(), Errno::ENOMEM, "{error}"),
            }
            0
        });
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

/// A member writes the log of a change that nobody made. Whoever finishes it, the file's owner or root, must not
/// give the member rights to the contents.
#[test]
fn a_forged_change_opens_no_file() {
    apart("members::a_forged_change_opens_no_file", |world| {
        let directory = shared(world);
        let as_root = User::at(&directory).unwrap();
        let path = directory.join("seg-0");
        let registry = directory.join("registry");
        assert_eq!(by(OWNER, || create(&User::at(&directory).unwrap(), 1, 0o600).raw()), "0");
        for kinds in [&[1, 5][..], &[5], &[6]] {
            for finisher in [0, OWNER] {
                by(OTHER, || {
                    let mut bytes = fs::read(&registry).unwrap();
                    let record = forge::record(&mut bytes, 0);
                    record[2..4].copy_from_slice(&0o666_u16.to_le_bytes());
                    // Its creator, whose rights an access control list would keep.
                    record[24..28].copy_from_slice(&OTHER.to_le_bytes());
                    forge::seal_record(&mut bytes, 0);
                    let record = forge::record(&mut bytes, 0).to_vec();
                    let more = |kind| if kind == 5 { Vec::new() } else { record.clone() };
                    let steps: Vec<forge::Step> = kinds.iter().map(|&kind| (kind, 0, more(kind))).collect();
                    forge::publish(&mut bytes, &steps);
                    fs::write(&registry, bytes).map_or_else(|error| error.to_string(), |()| "forged".into())
                });
                if finisher == 0 {
                    as_root.limits().unwrap();
                } else {
                    by(OWNER, || User::at(&directory).unwrap().limits().unwrap().highest_index);
                }
                assert_eq!(&fs::read(&registry).unwrap()[128..132], [0; 4], "finished");
                assert_eq!(mode_of(&path), 0o600, "{kinds:?} {finisher}");
                assert_eq!(by(OTHER, || fs::read(&path).is_err()), "true", "{kinds:?} {finisher}");
            }
        }
    });
}
