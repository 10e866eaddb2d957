//! Data files that are not what their records say.

use std::fs;
use std::os::unix::fs::{FileExt as _, chown, symlink};
use std::path::Path;

use coseg_sysv::{AttachFlags, Backend, Change, Errno, GetFlags, Key, Mode, ShmId, User};

use crate::forge;
use crate::{OTHER, OWNER, apart, attach, attach_as, by, chmod, create, detach, mode_of, nattch, shared};

/// Puts something else where a segment's data file was.
type Replace = fn(&Path, &Path);

const REPLACEMENTS: [(&str, Replace); 6] = [
    ("link", |path, outside| symlink(outside, path).unwrap()),
    ("hard link", |path, outside| fs::hard_link(outside, path).unwrap()),
    ("fifo", |path, _| {
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the path ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o666) }, 0);
    }),
    ("directory", |path, _| fs::create_dir(path).unwrap()),
    ("copy", |path, _| fs::write(path, vec![7; 8192]).unwrap()),
    ("nothing", |_, _| {}),
];

/// One bad file is its segment's misfortune and nobody else's.
#[test]
fn a_replaced_data_file_is_not_followed() {
    apart("data::a_replaced_data_file_is_not_followed", |world| {
        let outside = world.join("outside");
        fs::write(&outside, vec![1; 5000]).unwrap();
        for (number, (what, replace)) in REPLACEMENTS.into_iter().enumerate() {
            for removed in [false, true] {
                let directory = world.join(format!("namespace-{number}-{removed}"));
                let user = User::at(&directory).unwrap();
                let (bad, good) = (create(&user, 1, 0o600), create(&user, 2, 0o600));
                let address = attach(&user, bad);
                if removed {
                    user.remove(bad).unwrap();
                }
                let path = directory.join(format!("seg-{bad}"));
                fs::remove_file(&path).unwrap();
                replace(&path, &outside);

                for flags in [AttachFlags::NONE, AttachFlags::READ_ONLY] {
                    let error = attach_as(&user, bad, flags).expect_err(what);
                    assert!([Errno::EIDRM, Errno::EINVAL].contains(&error.errno()), "{what}: {error}");
                }
                if !removed {
                    user.set(bad, Change { uid: 0, gid: 0, mode: Mode::new(0o640) }).unwrap();
                }
                assert!(user.list().unwrap().iter().any(|listed| listed.stat.id == good), "{what}");
                user.usage().unwrap();
                let other = create(&user, 3, 0o600);
                assert_eq!(nattch(&user, other), 0, "{what}");
                detach(&user, address).unwrap();
                // Already gone by itself, or by hand.
                let _ = user.remove(bad);
                assert_eq!(user.stat(bad).unwrap_err().errno(), Errno::EINVAL, "{what}");
                assert_eq!(user.get(Key::new(2), 0, GetFlags::NONE).unwrap(), good);
            }
        }
        assert_eq!(fs::read(&outside).unwrap(), vec![1; 5000]);
        assert_eq!(mode_of(&outside), 0o644);
    });
}

/// A file that was cut is told at the attach, not by SIGBUS.
#[test]
fn a_truncated_data_file_is_not_attached() {
    apart("data::a_truncated_data_file_is_not_attached", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        let id = create(&user, 1, 0o600);
        fs::OpenOptions::new()
            .write(true)
            .open(world.join(format!("namespace/seg-{id}")))
            .unwrap()
            .set_len(100)
            .unwrap();
        let error = attach_as(&user, id, AttachFlags::NONE).unwrap_err();
        assert_eq!(error.errno(), Errno::EIDRM, "{error}");
        user.remove(id).unwrap();
    });
}

/// What stands under the name of the next segment's file is not written into.
#[test]
fn a_name_taken_beforehand() {
    apart("data::a_name_taken_beforehand", |world| {
        let outside = world.join("outside");
        fs::write(&outside, "precious").unwrap();
        let user = User::at(world.join("namespace")).unwrap();
        let replacements = REPLACEMENTS.into_iter().filter(|(what, _)| *what != "directory");
        for (index, (_, replace)) in replacements.enumerate() {
            replace(&world.join(format!("namespace/seg-{index}")), &outside);
        }
        for key in 1..6 {
            let id = create(&user, key, 0o600);
            assert_eq!(id, ShmId::new(key - 1));
            let address = attach(&user, id);
            crate::poke(address, 0, 9);
            detach(&user, address).unwrap();
        }
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
    });
}

/// In a shared directory nobody can take another's file away, nor make him fail with what is not his fault.
#[test]
fn names_squatted_by_another_member() {
    apart("data::names_squatted_by_another_member", |world| {
        let directory = shared(world);
        User::at(&directory).unwrap();
        by(OTHER, || {
            for index in 0..70 {
                for sequence in 0..4 {
                    fs::write(directory.join(format!("seg-{}", sequence * 32768 + index)), "mine").unwrap();
                }
            }
            0
        });
        let said = by(OWNER, || {
            let user = User::at(&directory).unwrap();
            let id = create(&user, 1, 0o600);
            let address = attach(&user, id);
            crate::poke(address, 0, 9);
            detach(&user, address).unwrap();
            user.remove(id).unwrap();
            id.raw()
        });
        assert!(said.parse::<i32>().unwrap() >= 4 * 32768, "{said}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 281);
    });
}

/// A member who owns a segment puts a link or a hard link to another's file in its place, and waits for
/// somebody with more rights to change its mode or owner.
#[test]
fn no_change_of_mode_or_owner_goes_through_a_link() {
    apart("data::no_change_of_mode_or_owner_goes_through_a_link", |world| {
        let directory = shared(world);
        let outside = world.join("outside");
        let as_root = User::at(&directory).unwrap();
        for (key, hard) in [(1, false), (2, true)] {
            let _ = fs::remove_file(&outside);
            fs::write(&outside, vec![1; 8192]).unwrap();
            chmod(&outside, 0o600);
            let id: i32 =
                by(OTHER, || create(&User::at(&directory).unwrap(), key, 0o600).raw()).parse().unwrap();
            let path = directory.join(format!("seg-{id}"));
            by(OTHER, || {
                fs::remove_file(&path).unwrap();
                if !hard {
                    symlink(&outside, &path).unwrap();
                }
                0
            });
            if hard {
                // The kernel may keep users from linking what is not theirs; where it does not, they can.
                fs::hard_link(&outside, &path).unwrap();
            }
            let _ = as_root.set(ShmId::new(id), Change { uid: OTHER, gid: OTHER, mode: Mode::new(0o666) });
            let _ = as_root.set(ShmId::new(id), Change { uid: OWNER, gid: OWNER, mode: Mode::new(0o644) });
            assert_eq!(mode_of(&outside), 0o600, "hard: {hard}");
            let meta = fs::metadata(&outside).unwrap();
            assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), 0, "hard: {hard}");

            // The same by a log left for root to finish, with a record that names the file.
            let registry = directory.join("registry");
            by(OTHER, || {
                let mut bytes = fs::read(&registry).unwrap();
                let record = forge::record(&mut bytes, usize::try_from(id).unwrap());
                record[2..4].copy_from_slice(&0o666_u16.to_le_bytes());
                let inode = std::os::unix::fs::MetadataExt::ino(&meta);
                record[40..48].copy_from_slice(&inode.to_le_bytes());
                forge::seal_record(&mut bytes, usize::try_from(id).unwrap());
                forge::publish(&mut bytes, &[(5, u32::try_from(id).unwrap(), Vec::new())]);
                fs::OpenOptions::new().write(true).open(&registry).unwrap().write_all_at(&bytes, 0).unwrap();
                0
            });
            let _ = as_root.limits();
            assert_eq!(mode_of(&outside), 0o600, "by the log, hard: {hard}");
            let _ = attach_as(&as_root, ShmId::new(id), AttachFlags::NONE).map(|address| {
                detach(&as_root, address).unwrap();
                panic!("attached, hard: {hard}");
            });
            as_root.remove(ShmId::new(id)).unwrap();
            assert!(outside.exists());
        }
    });
}

/// A directory that gives its group to new files must not give that group a segment's bytes.
#[test]
fn a_group_directory_gives_no_group_away() {
    const GROUP: u32 = 55_555;
    apart("data::a_group_directory_gives_no_group_away", |world| {
        let directory = shared(world);
        chown(&directory, None, Some(GROUP)).unwrap();
        chmod(&directory, 0o3777);
        let id = by(OWNER, || create(&User::at(&directory).unwrap(), 1, 0o660));
        let meta = fs::metadata(directory.join(format!("seg-{id}"))).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::gid(&meta), OWNER);
        assert_eq!(mode_of(&directory.join(format!("seg-{id}"))), 0o660);
    });
}
