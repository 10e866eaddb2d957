//! Writes through a wild pointer, from wherever they may come.
#![allow(unsafe_code, reason = "strays, forks and signals")]

use std::os::unix::process::ExitStatusExt;
use std::sync::OnceLock;
use std::sync::mpsc::channel;

use coseg::{Region, RegionOptions};

use crate::house::{BOARD, Office, ROW, guarded_pages, initial, with_keys};

/// `SEGV_PKUERR`, which the kernel says when it was a key that forbade it.
const BY_A_KEY: i32 = 4;

const PLACES: [&str; 10] = [
    "between changes",
    "in an update",
    "in a transaction",
    "over a row",
    "over a row's version",
    "in an older thread",
    "in a newer thread",
    "in a handler",
    "after a panic",
    "after a fork",
];

#[test]
fn a_stray_write_ends_the_process_and_spoils_nothing() {
    with_keys(|world| {
        let office = world.office().guardable(true).create(initial).unwrap();
        for place in PLACES {
            let (output, said) = world.played(&format!("strays {place}"));
            assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{place}: {said}");
            assert!(said.contains(&format!("@fault {BY_A_KEY}\n")), "{place}: {said}");
            assert_eq!(
                (office.board.read(), office.ledger.read(7).unwrap()),
                ([BOARD; 4], [ROW; 2]),
                "{place}"
            );
            // Whoever strayed within a change had the lock.
            office.transaction(|change| change.set(&office.board, [BOARD; 4])).unwrap();
        }
        office.remove().unwrap();
    });
}

#[test]
fn a_system_call_cannot_write_there_either() {
    with_keys(|world| {
        let office = world.guarded();
        // This thread may be older than the key, and then gets its right to read here.
        assert_eq!(office.board.read(), [BOARD; 4]);
        let place = place_of(BOARD) as *mut u8;
        let zero = std::fs::File::open("/dev/zero").unwrap();
        let read = || {
            // SAFETY: the kernel checks the place, and is to refuse it.
            let count = unsafe { libc::read(std::os::fd::AsRawFd::as_raw_fd(&zero), place.cast(), 8) };
            (count, std::io::Error::last_os_error().raw_os_error())
        };
        assert_eq!(read(), (-1, Some(libc::EFAULT)));
        assert_eq!(office.board.read(), [BOARD; 4]);
        // A limit that is documented: by the process's number the kernel writes as a debugger does.
        let word = [0xee_u8; 8];
        let from = libc::iovec { iov_base: word.as_ptr().cast_mut().cast(), iov_len: 8 };
        let to = libc::iovec { iov_base: place.cast(), iov_len: 8 };
        let own = libc::pid_t::try_from(std::process::id()).unwrap();
        // SAFETY: writes a word of a shared value, which nobody holds a reference to.
        let count = unsafe { libc::process_vm_writev(own, &raw const from, 1, &raw const to, 1, 0) };
        assert_eq!(count, 8);
        assert_eq!(office.board.read()[0], 0xeeee_eeee_eeee_eeee);
        office.remove().unwrap();
    });
}

/// Where a word of a guarded value is.
fn place_of(word: u64) -> usize {
    let pages = guarded_pages();
    assert!(!pages.is_empty(), "no page has a key");
    let places = pages.into_iter().flat_map(|pages| pages.step_by(8));
    let mut found = places.filter(|&place| {
        // SAFETY: pages that were just seen mapped, and that this thread may read.
        unsafe { (place as *const u64).read_volatile() == word }
    });
    found.next().unwrap()
}

fn stray_at(place: usize) {
    // SAFETY: none. It is the mistake that the guard is for.
    unsafe { (place as *mut u64).write_volatile(666) };
}

static HANDLED: OnceLock<(Region<Office>, usize)> = OnceLock::new();

extern "C" fn tell(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's, for as long as the handler runs.
    let code = unsafe { (*info).si_code };
    let digit = u8::try_from(code).unwrap_or(u8::MAX);
    let text = [b"@fault ".as_slice(), &[b'0'.wrapping_add(digit)], b"\n"].concat();
    // SAFETY: writes from a local. It returns to the same write, which then ends the process.
    unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
}

extern "C" fn look_and_stray(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let (office, place) = HANDLED.get().unwrap();
    assert_eq!(office.board.read(), [BOARD; 4], "a handler begins without the right to read");
    stray_at(*place);
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void)) {
    // SAFETY: zeroes are a valid value of it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND | libc::SA_ONSTACK;
    // SAFETY: the action is a local, which the kernel copies.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

pub(crate) fn stray(office: RegionOptions<Office>, from: &str) {
    handle(libc::SIGSEGV, tell);
    let (send, place_for_older) = channel();
    let older = std::thread::spawn(move || {
        let (office, place): (Region<Office>, usize) = place_for_older.recv().unwrap();
        // First of all a read, and a change of a value that nobody looks at.
        assert_eq!(
            office.ledger.read(1).unwrap(),
            [ROW; 2],
            "an older thread begins without the right to read"
        );
        office.ledger.update(99, |row| row[0] += 1).unwrap();
        stray_at(place);
    });
    let office = office.write_guard(true).open().unwrap();
    let place = place_of(BOARD);
    match from {
        "between changes" => {
            office.board.update(|_| ()).unwrap();
            stray_at(place_of(BOARD));
        }
        "in an update" => office.board.update(|_| stray_at(place)).unwrap(),
        "in a transaction" => office
            .transaction(|change| {
                change.update(&office.ledger.row(3)?, |row| row[0] += 1)?;
                stray_at(place);
                Ok::<_, coseg::Error>(())
            })
            .unwrap(),
        "over a row" => stray_at(place_of(ROW)),
        "over a row's version" => stray_at(place_of(ROW) - 8),
        "in an older thread" => {
            send.send((office.share(), place)).unwrap();
            let _ = older.join();
        }
        "in a newer thread" => {
            let _ = std::thread::spawn(move || stray_at(place)).join();
        }
        "in a handler" => {
            HANDLED.set((office, place)).unwrap();
            handle(libc::SIGUSR1, look_and_stray);
            // SAFETY: a signal to this thread.
            unsafe { libc::raise(libc::SIGUSR1) };
        }
        "after a panic" => {
            std::panic::set_hook(Box::new(|_| ()));
            let caught = std::panic::AssertUnwindSafe(|| office.board.update(|_| panic!("within")));
            assert!(std::panic::catch_unwind(caught).is_err());
            stray_at(place);
        }
        "after a fork" => after_a_fork(&office, place),
        _ => panic!("{from}?"),
    }
    panic!("the write went through");
}

/// The child strays, and the parent ends as it does.
fn after_a_fork(office: &Region<Office>, place: usize) {
    // SAFETY: the child uses what only this thread has used.
    let child = unsafe { libc::fork() };
    if child == 0 {
        office.board.update(|_| ()).unwrap();
        stray_at(place);
        // SAFETY: ends the child without what the parent is to do.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is a local.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert!(libc::WIFSIGNALED(status), "the child's write went through");
    // The region is the child's and the parent's alike.
    office.board.update(|_| ()).unwrap();
    stray_at(place);
}
