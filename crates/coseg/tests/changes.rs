//! Changes as a descriptor: the feature `async`.
#![cfg(feature = "async")]
#![allow(unsafe_code, reason = "forks")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

use std::time::{Duration, Instant};

use coseg::{Cell, Channel, ErrorKind, Event, Key, OneToOne, Queue, Refusal, Region};
use coseg_sysv::User;
use tokio::runtime::Runtime;

#[derive(Region)]
struct Desk {
    value: Cell<u64>,
    bell: Event,
}

fn desk(directory: &tempfile::TempDir) -> Region<Desk> {
    let backend = User::at(directory.path()).unwrap();
    Region::<Desk>::at(Key::new(3)).backend(&backend).open_or_create(DeskInitial::default).unwrap()
}

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    run_on(&runtime(), work)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn run_on<T>(runtime: &Runtime, work: impl Future<Output = T>) -> T {
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), work).await.unwrap() })
}

#[test]
fn no_change_of_another_thread_is_missed() {
    let directory = directory();
    let (desk, other) = (desk(&directory), desk(&directory));
    let mut changes = desk.value.changes().unwrap();
    let writer = std::thread::spawn(move || {
        for value in 1..=1000 {
            other.value.set(value).unwrap();
            if value % 100 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    run(async {
        let mut last = 0;
        while last < 1000 {
            let stamp = changes.next().await.unwrap();
            assert!(stamp > last, "{stamp} after {last}");
            assert!(desk.value.read() >= stamp);
            last = stamp;
        }
    });
    writer.join().unwrap();
    assert_eq!(changes.take().unwrap(), None);
    desk.remove().unwrap();
}

#[test]
fn several_are_waited_for_at_once_and_a_removal_ends_all() {
    let directory = directory();
    let desk = desk(&directory);
    let (mut values, mut rings) = (desk.value.changes().unwrap(), desk.bell.changes().unwrap());
    run(async {
        desk.bell.notify().unwrap();
        tokio::select! {
            _ = values.next() => panic!("the value has not changed"),
            count = rings.next() => assert_eq!(count.unwrap(), 1),
        }
        desk.value.set(4).unwrap();
        assert_eq!(values.next().await.unwrap(), 1);
        desk.remove().unwrap();
        assert_eq!(*values.next().await.unwrap_err().kind(), ErrorKind::Removed);
        assert_eq!(*rings.next().await.unwrap_err().kind(), ErrorKind::Removed);
    });
}

#[test]
fn dropping_takes_no_time() {
    let directory = directory();
    let desk = desk(&directory);
    let changes: Vec<_> = (0..20).map(|_| desk.bell.changes().unwrap()).collect();
    std::thread::sleep(Duration::from_millis(20));
    let since = Instant::now();
    drop(changes);
    assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
    desk.remove().unwrap();
}

#[test]
fn a_child_of_fork_drops_its_parents_changes_and_disturbs_nobody() {
    let directory = directory();
    let desk = desk(&directory);
    let mut changes = desk.value.changes().unwrap();
    run(async {
        desk.value.set(1).unwrap();
        assert_eq!(changes.next().await.unwrap(), 1);
        // SAFETY: the child has what the test's own thread has, and ends with _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                desk.value.set(2).unwrap();
                assert_eq!(*changes.take().unwrap_err().kind(), coseg::ErrorKind::Forked);
                drop(changes);
            }));
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(done.is_err())) };
        }
        let since = Instant::now();
        let mut status = -1;
        // SAFETY: asks for the child just made.
        while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
            if since.elapsed() > Duration::from_secs(5) {
                // SAFETY: ends the child just made, which has not been waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(status, 0, "the child hung or panicked");
        assert_eq!(changes.next().await.unwrap(), 2);
        desk.value.set(3).unwrap();
        assert_eq!(changes.next().await.unwrap(), 3);
    });
    desk.remove().unwrap();
}

#[derive(Region)]
struct Post {
    there: Channel<u64, Queue<4>>,
    back: Channel<u64, OneToOne<4>>,
}

fn post(directory: &tempfile::TempDir) -> Region<Post> {
    let backend = User::at(directory.path()).unwrap();
    Region::<Post>::at(Key::new(4)).backend(&backend).open_or_create(PostInitial::default).unwrap()
}

#[test]
fn messages_are_awaited_at_both_ends() {
    let directory = directory();
    let (here, there) = (post(&directory), post(&directory));
    let echo = std::thread::spawn(move || {
        let (mut receiver, mut sender) = (there.there.receiver().unwrap(), there.back.sender().unwrap());
        for number in receiver.iter() {
            // Sometimes both are fast, sometimes one falls asleep.
            if number % 50 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            sender.send(&number).unwrap();
        }
    });
    run(async {
        let (mut sender, mut receiver) = (here.there.sender().unwrap(), here.back.receiver().unwrap());
        let send = async {
            for number in 0..1000 {
                sender.send_async(&number).await.unwrap();
            }
        };
        let receive = async {
            for number in 0..1000 {
                assert_eq!(receiver.receive_async().await.unwrap(), number);
            }
        };
        tokio::join!(send, receive);
        here.there.close().unwrap();
    });
    echo.join().unwrap();
    here.remove().unwrap();
}

/// One that is kept and does nothing, and others that have ended.
#[test]
fn each_wait_may_be_of_another_runtime() {
    let directory = directory();
    let (here, desk) = (post(&directory), desk(&directory));
    let (mut receiver, mut changes) = (here.there.receiver().unwrap(), desk.value.changes().unwrap());
    let kept = runtime();
    for number in 0..5 {
        let ended = runtime();
        let runtime = if number == 2 { &kept } else { &ended };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                here.there.sender().unwrap().send(&number).unwrap();
                desk.value.set(number + 1).unwrap();
            });
            assert_eq!(run_on(runtime, receiver.receive_async()).unwrap(), number);
            run_on(runtime, changes.next()).unwrap();
        });
    }
    here.remove().unwrap();
    desk.remove().unwrap();
}

#[test]
fn a_wait_for_a_message_may_be_given_up() {
    let directory = directory();
    let (here, there) = (post(&directory), post(&directory));
    run(async {
        let mut receiver = here.there.receiver().unwrap();
        for number in 0..50 {
            let soon = tokio::time::timeout(Duration::from_millis(1), receiver.receive_async()).await;
            assert!(soon.is_err(), "nothing was sent");
            there.there.sender().unwrap().send(&number).unwrap();
            let since = Instant::now();
            assert_eq!(receiver.receive_async().await.unwrap(), number);
            assert!(since.elapsed() < Duration::from_millis(90), "it was not heard, but found");
        }
        let closing = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            there.there.close().unwrap();
        };
        let (end, ()) = tokio::join!(receiver.receive_async(), closing);
        assert!(matches!(end, Err(Refusal::Closed)));
    });
    here.remove().unwrap();
}
