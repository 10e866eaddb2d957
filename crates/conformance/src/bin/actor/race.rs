//! Many rounds of several actors doing the same thing at the same instant.

#![allow(unsafe_code, reason = "a barrier in memory that the actors share, and the calls raced for")]

use std::sync::atomic::{AtomicU32, Ordering};

use coseg_conformance::protocol::{Race, RaceKind, Reply};

const KEY: i32 = 0x5ACE;
const SIZE: usize = 4096;
/// The code of a round whose outcome no serial order explains.
const WRONG: i32 = -9999;

struct Course<'a> {
    arrived: &'a AtomicU32,
    id: &'a AtomicU32,
    race: &'a Race,
    passed: u32,
}

impl Course<'_> {
    fn meet(&mut self) {
        self.passed += self.race.parties;
        self.arrived.fetch_add(1, Ordering::SeqCst);
        while self.arrived.load(Ordering::SeqCst) < self.passed {
            std::thread::yield_now();
        }
    }
}

fn word(addr: u64) -> &'static AtomicU32 {
    // SAFETY: the tests pass a shared anonymous mapping that nobody unmaps; all access is atomic.
    unsafe { AtomicU32::from_ptr(addr as *mut u32) }
}

fn get(flags: i32) -> i32 {
    // SAFETY: shmget takes three integers.
    outcome(unsafe { libc::shmget(KEY, SIZE, flags | 0o600) })
}

fn remove(id: i32) -> i32 {
    // SAFETY: IPC_RMID ignores the buffer.
    outcome(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) })
}

fn outcome(ret: i32) -> i32 {
    if ret == -1 { -std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { ret }
}

/// Attaches, passes the first word to `see`, detaches.
fn visit(id: i32, see: impl FnOnce(&AtomicU32) -> i32) -> i32 {
    // SAFETY: the kernel picks the place.
    let addr = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    if addr as isize == -1 {
        return outcome(-1);
    }
    let seen = see(word(addr as u64));
    // SAFETY: attached above, and no reference into it is left.
    if unsafe { libc::shmdt(addr) } == 0 { seen } else { WRONG }
}

/// One code per round, four bytes each: an id or 0, or the negative of `errno`.
pub(crate) fn run(race: &Race) -> Reply {
    let mut course = Course { arrived: word(race.barrier), id: word(race.barrier + 64), race, passed: 0 };
    let mut data = Vec::with_capacity(race.rounds as usize * 4);
    for round in 1..=race.rounds {
        let code = match race.kind {
            RaceKind::CreateExclusive => {
                course.meet();
                let code = get(libc::IPC_CREAT | libc::IPC_EXCL);
                course.meet();
                if code >= 0 && remove(code) < 0 { WRONG } else { code }
            }
            RaceKind::Create => {
                course.meet();
                let code = get(libc::IPC_CREAT);
                course.meet();
                if race.me == 0 && remove(code) < 0 { WRONG } else { code }
            }
            RaceKind::AttachRemove if race.me == 0 => remover(&mut course, round),
            RaceKind::AttachRemove => {
                course.meet();
                let id = course.id.load(Ordering::SeqCst).cast_signed();
                let code = visit(id, |w| if w.load(Ordering::SeqCst) == round { 0 } else { WRONG });
                course.meet();
                code
            }
        };
        data.extend_from_slice(&code.to_ne_bytes());
    }
    Reply { data, ..Reply::default() }
}

fn remover(course: &mut Course<'_>, round: u32) -> i32 {
    let id = get(libc::IPC_CREAT | libc::IPC_EXCL);
    visit(id, |w| {
        w.store(round, Ordering::SeqCst);
        0
    });
    course.id.store(id.cast_unsigned(), Ordering::SeqCst);
    course.meet();
    let code = remove(id);
    course.meet();
    if remove(id) == -libc::EINVAL { code } else { WRONG }
}
