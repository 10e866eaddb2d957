//! The directory and the registry's name, taken by somebody or something else beforehand.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;

use coseg_sysv::{Errno, Error, User};

use crate::peer::Peer;
use crate::{OTHER, OWNER, apart, assert_told, by, chmod, mode_of};

fn node(path: &Path, kind: libc::mode_t, device: libc::dev_t) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path ends with a zero.
    assert_eq!(unsafe { libc::mknod(path.as_ptr(), kind | 0o666, device) }, 0);
}

/// Puts something where the registry would be.
type Make<'a> = &'a dyn Fn(&Path);

fn refusal(directory: &Path) -> Error {
    User::at(directory).expect_err("refused")
}

/// `Errno: text`, as a peer reports it.
fn refusal_text(directory: &Path) -> String {
    refusal(directory).to_string()
}

#[test]
fn a_squatted_directory_is_refused() {
    apart("directory::a_squatted_directory_is_refused", |world| {
        chmod(world, 0o1777);
        let path = world.join("taken");
        let target = world.join("target");
        let clear = || {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            let _ = fs::remove_dir_all(&target);
        };
        let squats: [(&str, &dyn Fn()); 7] = [
            ("directory", &|| fs::create_dir(&path).unwrap()),
            ("open directory", &|| {
                fs::create_dir(&path).unwrap();
                chmod(&path, 0o1777);
            }),
            ("group's directory", &|| {
                fs::create_dir(&path).unwrap();
                chmod(&path, 0o770);
            }),
            ("link", &|| {
                fs::create_dir(&target).unwrap();
                chmod(&target, 0o777);
                symlink(&target, &path).unwrap();
            }),
            ("dangling link", &|| symlink(&target, &path).unwrap()),
            ("file", &|| fs::write(&path, "").unwrap()),
            ("fifo", &|| node(&path, libc::S_IFIFO, 0)),
        ];
        for (what, squat) in squats {
            by(OTHER, || {
                squat();
                0
            });
            let said = by(OWNER, || refusal_text(&path));
            assert!(said.contains("EPERM"), "{what}: {said}");
            assert!(said.contains(path.to_str().unwrap()), "{what}: {said}");
            assert!(!target.join("registry").exists(), "{what}");
            clear();
        }
    });
}

#[test]
fn ones_own_link_is_refused_too() {
    apart("directory::ones_own_link_is_refused_too", |world| {
        let (real, link) = (world.join("real"), world.join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert_told(&refusal(&link), Errno::EPERM, &link);
        // A slash behind it would follow the link.
        assert_told(&refusal(&link.join("")), Errno::EPERM, &link);
        assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
    });
}

#[test]
fn a_directory_that_others_write_must_be_sticky() {
    apart("directory::a_directory_that_others_write_must_be_sticky", |world| {
        let path = world.join("open");
        fs::create_dir(&path).unwrap();
        for (mode, registry_mode) in [(0o777, 0o666), (0o770, 0o660), (0o720, 0o660), (0o2775, 0o660)] {
            chmod(&path, mode);
            let refused = refusal(&path);
            assert_told(&refused, Errno::EPERM, &path);
            assert!(refused.to_string().contains(&format!("chmod +t {}", path.display())), "{refused}");
            assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "made files there");
            chmod(&path, mode | 0o1000);
            // Opened in another process: this one remembers a namespace by its name.
            let said =
                by(0, || User::at(&path).map_or_else(|e| e.to_string(), |u| u.is_shared().to_string()));
            assert_eq!(said, "true");
            assert_eq!(mode_of(&path.join("registry")), registry_mode);
            fs::remove_file(path.join("registry")).unwrap();
        }
    });
}

/// The directory that a user has by default, made by another who shares a group with him, is nobody's choice.
#[test]
fn the_default_directory_is_never_a_groups() {
    const GROUP: u32 = 55_555;
    const LONER: u32 = 1_913_377;
    apart("directory::the_default_directory_is_never_a_groups", |_| {
        let path = Path::new("/dev/shm/coseg-1913377");
        assert!(!path.exists(), "an earlier run's");
        fs::create_dir(path).unwrap();
        chown(path, Some(OTHER), Some(GROUP)).unwrap();
        chmod(path, 0o1770);
        let mut peer = Peer::start(0, |peer| {
            // SAFETY: takes numbers.
            assert_eq!(unsafe { libc::setresgid(GROUP, GROUP, GROUP) }, 0);
            // SAFETY: takes numbers.
            assert_eq!(unsafe { libc::setresuid(LONER, LONER, LONER) }, 0);
            peer.say(match User::open() {
                Ok(user) => format!("took {}", user.directory().display()),
                Err(error) => error.to_string(),
            });
        });
        let said = peer.hear();
        peer.finish();
        let made = fs::read_dir(path).unwrap().count();
        fs::remove_dir_all(path).unwrap();
        assert!(said.contains("EPERM") && said.contains("/dev/shm/coseg-1913377"), "{said}");
        assert_eq!(made, 0, "made files there");
    });
}

#[test]
fn a_registry_that_is_no_file_of_ours_is_refused() {
    apart("directory::a_registry_that_is_no_file_of_ours_is_refused", |world| {
        let outside = world.join("outside");
        fs::write(&outside, "precious").unwrap();
        let registries: [(&str, Errno, Make<'_>); 12] = [
            ("link", Errno::EPERM, &|path| symlink(&outside, path).unwrap()),
            ("dangling link", Errno::EPERM, &|path| symlink("nowhere", path).unwrap()),
            ("fifo", Errno::EIO, &|path| node(path, libc::S_IFIFO, 0)),
            ("socket", Errno::EIO, &|path| node(path, libc::S_IFSOCK, 0)),
            ("null", Errno::EIO, &|path| node(path, libc::S_IFCHR, libc::makedev(1, 3))),
            ("zero", Errno::EIO, &|path| node(path, libc::S_IFCHR, libc::makedev(1, 5))),
            ("no such device", Errno::EIO, &|path| node(path, libc::S_IFCHR, libc::makedev(240, 250))),
            ("directory", Errno::EIO, &|path| fs::create_dir(path).unwrap()),
            ("empty", Errno::EIO, &|path| {
                fs::write(path, "").unwrap();
                chmod(path, 0o600);
            }),
            ("text", Errno::EIO, &|path| {
                fs::write(path, "hello ".repeat(1000)).unwrap();
                chmod(path, 0o600);
            }),
            ("another's", Errno::EPERM, &|path| {
                fs::write(path, "").unwrap();
                chown(path, Some(OTHER), Some(OTHER)).unwrap();
            }),
            ("open to all", Errno::EPERM, &|path| {
                fs::write(path, "").unwrap();
                chmod(path, 0o666);
            }),
        ];
        for (number, (what, errno, make)) in registries.into_iter().enumerate() {
            let directory = world.join(format!("namespace-{number}"));
            fs::create_dir(&directory).unwrap();
            chmod(&directory, 0o700);
            make(&directory.join("registry"));
            println!("{what}");
            assert_told(&refusal(&directory), errno, &directory);
        }
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        assert_eq!(mode_of(&outside), 0o644);
    });
}

/// As an ordinary user, whom the file's mode keeps out before anybody looks at it.
#[test]
fn a_registry_that_may_not_be_opened_is_refused() {
    apart("directory::a_registry_that_may_not_be_opened_is_refused", |world| {
        let directory = world.join("namespace");
        fs::create_dir(&directory).unwrap();
        chown(&directory, Some(OWNER), Some(OWNER)).unwrap();
        chmod(&directory, 0o700);
        fs::write(directory.join("registry"), "").unwrap();
        chmod(&directory.join("registry"), 0o600);
        let said = by(OWNER, || refusal_text(&directory));
        assert!(said.contains("EPERM") && said.contains(directory.to_str().unwrap()), "{said}");
        assert_eq!(fs::metadata(directory.join("registry")).unwrap().size(), 0);
    });
}
