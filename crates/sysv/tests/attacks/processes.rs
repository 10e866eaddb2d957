//! What programs do to themselves: closing what they did not open, forking in every way, becoming others, and
//! deleting what they stand on.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use coseg_sysv::{AttachFlags, Backend, Errno, GetFlags, Key, Mode, User};

use crate::peer::{Peer, become_user, end, wait_for};
use crate::{OWNER, apart, attach, attach_as, chmod, create, detach, is_mapped, nattch, peek, poke};

/// Closes all that a library may have kept, as a program does that becomes a daemon.
pub(crate) fn close_kept() {
    // SAFETY: the tests hold nothing at numbers that high.
    unsafe { libc::syscall(libc::SYS_close_range, 400, u32::MAX, 0) };
}

/// The descriptors that the library keeps.
fn kept() -> Vec<i32> {
    let numbers = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = numbers.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let mut numbers: Vec<i32> = numbers.filter(|&number| number >= 400).collect();
    numbers.sort_unstable();
    numbers
}

fn fork() -> i32 {
    // SAFETY: the children only do what the tests say, and end by `end`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    pid
}

/// A fork that no handler hears of.
fn raw_fork() -> i32 {
    // SAFETY: a fork; the child shares nothing and returns here.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    assert!(pid >= 0);
    i32::try_from(pid).unwrap()
}

/// All calls, once.
fn use_it(user: &User, key: i32) {
    let id = create(user, key, 0o600);
    assert_eq!(user.get(Key::new(key), 0, GetFlags::NONE).unwrap(), id);
    let address = attach(user, id);
    poke(address, 0, 1);
    assert!(nattch(user, id) >= 1);
    detach(user, address).unwrap();
    user.list().unwrap();
    user.remove(id).unwrap();
}

#[test]
fn closed_descriptors_are_opened_again() {
    apart("processes::closed_descriptors_are_opened_again", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        for key in 1..20 {
            let id = create(&user, 100 + key, 0o600);
            let address = attach(&user, id);
            close_kept();
            assert_eq!(nattch(&user, id), 1);
            close_kept();
            detach(&user, address).unwrap();
            close_kept();
            use_it(&user, key);
            close_kept();
            user.remove(id).unwrap();
        }
        assert!(kept().len() <= 2, "{:?}", kept());
    });
}

/// The program's own files under the numbers that the library kept: not written to, not closed, not unlocked.
#[test]
fn numbers_taken_by_the_program_stay_the_programs() {
    apart("processes::numbers_taken_by_the_program_stay_the_programs", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        User::at(world.join("other")).unwrap();
        let own = world.join("own");
        let contents = vec![0; 200_000];
        let copy = fs::read(world.join("namespace/registry")).unwrap();
        let files = [("zeros", contents), ("copy", copy)];
        for (key, (what, contents)) in (1..).zip(&files) {
            fs::write(&own, contents).unwrap();
            takes_numbers(&user, key * 10, what, &own);
            assert!(fs::read(&own).unwrap() == *contents, "{what}: was written to");
        }
        takes_numbers(&user, 30, "status", "/proc/self/status".as_ref());
        let other = Peer::start(0, |peer| _ = peer.hear());
        takes_numbers(&user, 40, "another's maps", format!("/proc/{}/maps", other.pid).as_ref());
        takes_numbers(&user, 50, "null", "/dev/null".as_ref());
        takes_numbers(&user, 60, "another namespace's registry", &world.join("other/registry"));
        assert_eq!(User::at(world.join("other")).unwrap().usage().unwrap().segment_count, 0);
    });
}

fn takes_numbers(user: &User, key: i32, what: &str, path: &Path) {
    type Use = fn(&User, i32, usize);
    let uses: [Use; 4] = [
        |user, key, _| use_it(user, key + 1),
        |user, _, address| detach(user, address).unwrap(),
        |user, key, address| {
            assert_eq!(user.get(Key::new(key), 0, GetFlags::NONE).map(|id| nattch(user, id)).unwrap(), 1);
            detach(user, address).unwrap();
        },
        |user, key, address| {
            let pid = fork();
            if pid == 0 {
                end(|| detach(user, address).unwrap());
            }
            assert_eq!(wait_for(pid), 0);
            user.remove(user.get(Key::new(key), 0, GetFlags::NONE).unwrap()).unwrap();
        },
    ];
    for (number, next) in uses.into_iter().enumerate() {
        let key = key * 10;
        let id = create(user, key, 0o600);
        let address = attach(user, id);
        user.limits().unwrap();
        let numbers = kept();
        close_kept();
        let file =
            OpenOptions::new().read(true).write(true).open(path).or_else(|_| File::open(path)).unwrap();
        let meta = file.metadata().unwrap();
        let mine: Vec<File> = numbers
            .iter()
            .map(|&number| {
                // SAFETY: takes numbers; the new one was just closed.
                assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
                // SAFETY: the number just made.
                unsafe { File::from_raw_fd(number) }
            })
            .collect();
        // SAFETY: takes numbers.
        let locked =
            unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH) } == 0 && path.starts_with("/dev/shm");
        next(user, key, address);
        for still in &mine {
            let now = still.metadata().unwrap_or_else(|error| panic!("{what}, {number}: closed: {error}"));
            assert_eq!((now.dev(), now.ino()), (meta.dev(), meta.ino()), "{what}, {number}");
        }
        if locked && let Ok(another) = OpenOptions::new().read(true).write(true).open(path) {
            // SAFETY: takes numbers.
            let free = unsafe { libc::flock(another.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
            assert!(!free, "{what}, {number}: the program's lock is gone");
        }
        drop(mine);
        if is_mapped(address) {
            detach(user, address).unwrap();
        }
        if let Ok(id) = user.get(Key::new(key), 0, GetFlags::NONE) {
            user.remove(id).unwrap();
        }
    }
}

#[test]
fn a_deleted_registry_begins_a_new_namespace() {
    apart("processes::a_deleted_registry_begins_a_new_namespace", |world| {
        let directory = world.join("namespace");
        let user = User::at(&directory).unwrap();
        let id = create(&user, 1, 0o600);
        let address = attach(&user, id);
        poke(address, 0, 5);
        fs::remove_file(directory.join("registry")).unwrap();
        // Another process makes a new one, and a segment of the same id in it.
        let pid = fork();
        if pid == 0 {
            end(|| {
                close_kept();
                let same = create(&user, 2, 0o600);
                assert_eq!(same, id);
                let address = attach(&user, same);
                poke(address, 0, 6);
            });
        }
        assert_eq!(wait_for(pid), 0);
        assert_eq!(peek(address, 0), 5);
        // The two processes are in one namespace again, and what the child made is not overwritten.
        let seen = user.get(Key::new(2), 0, GetFlags::CREATE).unwrap();
        assert_eq!(seen, id);
        let theirs = attach(&user, seen);
        assert_eq!(peek(theirs, 0), 6);
        detach(&user, theirs).unwrap();
        detach(&user, address).unwrap();
        assert!(!is_mapped(address));
        use_it(&user, 9);
        assert_eq!(user.usage().unwrap().segment_count, 1);
    });
}

#[test]
fn a_deleted_directory_is_an_error() {
    apart("processes::a_deleted_directory_is_an_error", |world| {
        let directory = world.join("namespace");
        let user = User::at(&directory).unwrap();
        let id = create(&user, 1, 0o600);
        let first = attach(&user, id);
        let second = attach(&user, id);
        fs::remove_dir_all(&directory).unwrap();
        let error = user.get(Key::PRIVATE, 1, GetFlags::CREATE).unwrap_err();
        assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
        user.limits().unwrap_err();
        attach_as(&user, id, AttachFlags::NONE).unwrap_err();
        detach(&user, first).unwrap();
        close_kept();
        detach(&user, second).unwrap();
        assert!(!is_mapped(first) && !is_mapped(second));
        assert!(!directory.exists());
        fs::create_dir(&directory).unwrap();
        chmod(&directory, 0o700);
        use_it(&user, 3);
    });
}

#[test]
fn a_raw_fork_in_the_middle() {
    apart("processes::a_raw_fork_in_the_middle", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        let id = create(&user, 1, 0o600);
        let address = attach(&user, id);
        let pid = raw_fork();
        if pid == 0 {
            end(|| {
                poke(address, 0, 7);
                use_it(&user, 2);
                detach(&user, address).unwrap();
                assert!(!is_mapped(address));
                let own = attach(&user, id);
                assert_eq!(nattch(&user, id), 2);
                detach(&user, own).unwrap();
            });
        }
        assert_eq!(wait_for(pid), 0);
        assert_eq!((peek(address, 0), nattch(&user, id)), (7, 1));

        // Undercounted while it lives, and never to zero.
        let pid = raw_fork();
        if pid == 0 {
            // SAFETY: waits to be killed.
            end(|| unsafe { _ = libc::pause() });
        }
        detach(&user, address).unwrap();
        assert_eq!(nattch(&user, id), 1);
        // SAFETY: a child of ours.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        wait_for(pid);
        assert_eq!(nattch(&user, id), 0);
        user.remove(id).unwrap();
    });
}

/// Several processes at the same keys: each is one's, and no id is given twice.
#[test]
fn creators_at_once() {
    apart("processes::creators_at_once", |world| {
        let directory = world.join("namespace");
        User::at(&directory).unwrap();
        let mut peers: Vec<Peer> = (0..4)
            .map(|_| {
                Peer::start(0, |peer| {
                    let user = User::at(&directory).unwrap();
                    peer.say("ready");
                    peer.hear();
                    let flags = (GetFlags::CREATE | GetFlags::EXCLUSIVE).with_mode(Mode::PRIVATE);
                    let mut won = String::new();
                    for key in 1..400 {
                        match user.get(Key::new(key), 100, flags) {
                            Ok(id) => won += &format!("{id} "),
                            Err(error) => assert_eq!(error.errno(), Errno::EEXIST, "{error}"),
                        }
                    }
                    peer.say(won);
                })
            })
            .collect();
        for peer in &mut peers {
            assert_eq!(peer.hear(), "ready");
        }
        for peer in &mut peers {
            peer.say("go");
        }
        let mut ids: Vec<i32> = Vec::new();
        for peer in &mut peers {
            ids.extend(peer.hear().split_whitespace().map(|id| id.parse::<i32>().unwrap()));
        }
        peers.into_iter().for_each(Peer::finish);
        ids.sort_unstable();
        assert_eq!(ids.len(), 399);
        ids.dedup();
        assert_eq!(ids.len(), 399);
        assert_eq!(User::at(&directory).unwrap().usage().unwrap().segment_count, 399);
    });
}

/// Threads in every part of the library while another forks: no child waits for a thread it does not have.
#[test]
fn a_fork_amid_threads() {
    apart("processes::a_fork_amid_threads", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        let id = create(&user, 1, 0o600);
        let address = attach(&user, id);
        let over = AtomicBool::new(false);
        let work: [&(dyn Fn(i32) + Sync); 4] = [
            &|turn| use_it(&user, 1000 + turn),
            &|turn| _ = User::at(world.join(format!("more-{}", turn % 50))).unwrap(),
            &|_| drop(user.list().unwrap()),
            &|_| detach(&user, attach(&user, id)).unwrap(),
        ];
        thread::scope(|scope| {
            for work in work {
                let over = &over;
                scope.spawn(move || {
                    let mut turn = 0;
                    while !over.load(Ordering::Relaxed) {
                        work(turn);
                        turn += 1;
                        // Where others wait for the same lock, one who never pauses keeps it.
                        thread::sleep(Duration::from_micros(100));
                    }
                });
            }
            for turn in 0..150 {
                let pid = fork();
                if pid == 0 {
                    end(|| {
                        use_it(&user, 5000 + turn);
                        detach(&user, address).unwrap();
                        User::at(world.join("more-0")).unwrap();
                    });
                }
                assert_eq!(wait_for(pid), 0, "child {turn}");
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(nattch(&user, id), 1);
    });
}

#[test]
fn a_child_that_becomes_another_user() {
    apart("processes::a_child_that_becomes_another_user", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        for (raw, closes) in [(false, false), (false, true), (true, false), (true, true)] {
            let id = create(&user, 1, 0o600);
            let address = attach(&user, id);
            let (here, there) = (address, attach(&user, id));
            let pid = if raw { raw_fork() } else { fork() };
            if pid == 0 {
                end(|| {
                    become_user(OWNER);
                    if closes {
                        close_kept();
                    }
                    if !raw && !closes {
                        // Counted by then: two of the parent's, two of its own.
                        assert_eq!(user.list().unwrap()[0].stat.attachment_count, 4);
                    }
                    for address in [here, there] {
                        detach(&user, address).unwrap();
                        assert!(!is_mapped(address));
                    }
                });
            }
            assert_eq!(wait_for(pid), 0, "raw {raw}, closes {closes}");
            assert_eq!(nattch(&user, id), 2);
            detach(&user, here).unwrap();
            detach(&user, there).unwrap();
            assert_eq!(nattch(&user, id), 0);
            user.remove(id).unwrap();
        }
    });
}

/// Two namespaces on two filesystems have segments of equal ids, names and even inodes. A fork must not take
/// one for the other.
#[test]
fn namesakes_on_two_filesystems() {
    apart("processes::namesakes_on_two_filesystems", |world| {
        let mount = |path: &Path| {
            fs::create_dir(path).unwrap();
            let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            // SAFETY: all pointers are to text that ends with a zero.
            unsafe { libc::mount(c"t".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) == 0 }
        };
        // SAFETY: takes a number.
        let apart = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
        // SAFETY: pointers to text that ends with a zero, or null.
        let private = unsafe {
            libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            )
        } == 0;
        if !(apart && private && mount(&world.join("a")) && mount(&world.join("b"))) {
            eprintln!("skipped: may not mount");
            return;
        }
        let users = ["a", "b"].map(|name| User::at(world.join(name).join("namespace")).unwrap());
        let addresses = users.map(|user| attach(&user, create(&user, 1, 0o600)));
        let inode = |name: &str| fs::metadata(world.join(name).join("namespace/seg-0")).unwrap().ino();
        assert_eq!(inode("a"), inode("b"), "the test's point");
        poke(addresses[0], 0, 10);
        poke(addresses[1], 0, 11);
        let pid = fork();
        if pid == 0 {
            end(|| {
                assert_eq!(addresses.map(|address| peek(address, 0)), [10, 11]);
                assert_eq!(users.map(|user| user.list().unwrap()[0].stat.attachment_count), [2, 2]);
                for (user, address) in users.into_iter().zip(addresses) {
                    detach(&user, address).unwrap();
                }
            });
        }
        assert_eq!(wait_for(pid), 0);
        assert_eq!(users.map(|user| user.list().unwrap()[0].stat.attachment_count), [1, 1]);
        // Not an address of this namespace's segment.
        assert!(detach(&users[0], addresses[1]).is_err());
        assert!(is_mapped(addresses[1]));
    });
}

/// A program that writes where it should not is the reason to check; one that reads is served.
#[test]
fn a_file_beside_is_never_touched() {
    apart("processes::a_file_beside_is_never_touched", |world| {
        let directory = world.join("namespace");
        let user = User::at(&directory).unwrap();
        let beside = directory.join("notes");
        fs::write(&beside, "mine").unwrap();
        use_it(&user, 1);
        assert!(user.reclaim_strays(&["notes".to_owned()]).unwrap().is_empty());
        let file = File::open(&beside).unwrap();
        let mut text = [0; 4];
        file.read_exact_at(&mut text, 0).unwrap();
        assert_eq!(&text, b"mine");
    });
}
