//! Segments of huge pages.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coseg_conformance::lab::{Column, Lab, Setup};

use crate::kit::*;

const POOL: &str = "/proc/sys/vm/nr_hugepages";
const PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";
const MAKE_HUGE: i32 = MAKE | SHM_HUGETLB;

/// The machine's pool of huge pages, ours until dropped.
struct Pool {
    before: String,
    _turn: MutexGuard<'static, ()>,
}

impl Pool {
    fn of(pages: u32) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::fs::read_to_string(POOL).unwrap();
        std::fs::write(POOL, pages.to_string()).unwrap();
        let got = std::fs::read_to_string(POOL).unwrap();
        assert_eq!(got.trim(), pages.to_string(), "the machine has no {pages} huge pages to spare");
        // The kernel takes an IPC namespace down, and frees its pages, some time after its last process has ended.
        let since = std::time::Instant::now();
        let count = |name: &str| std::fs::read_to_string(format!("{PAGES}/{name}")).unwrap();
        while count("free_hugepages").trim() != pages.to_string() || count("resv_hugepages").trim() != "0" {
            assert!(since.elapsed().as_secs() < 10, "somebody else has the machine's huge pages");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Self { before, _turn: turn }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = std::fs::write(POOL, &self.before);
    }
}

fn world(column: Column) -> Lab {
    Lab::with(&Setup { hugetlbfs: true, shared: true, ..Setup::new(column) })
}

pub(crate) fn row_022_huge_pages(column: Column) {
    let _pool = Pool::of(4);
    let lab = world(column);
    let a = lab.actor();
    let id = a.get(KEY, HUGE + 1, MAKE_HUGE).unwrap();
    assert_eq!(a.stat(id).unwrap().size, HUGE + 1);
    assert_eq!(a.stat(id).unwrap().mode, 0o600);
    let addr = a.attach(id);
    assert_eq!(addr % HUGE, 0);
    a.poke(addr + 2 * HUGE - 1, &[7]).unwrap();
    let b = lab.actor();
    let theirs = b.attach(id);
    assert_eq!(b.byte(theirs + 2 * HUGE - 1), Ok(7));
    assert_eq!(a.nattch(id), 2);
    a.dt(addr).unwrap();
    assert_eq!(a.byte(addr), Err(SIGSEGV));
    a.rmid(id).unwrap();
    b.dt(theirs).unwrap();
    assert_eq!(a.stat(id), Err(EINVAL));
}

pub(crate) fn row_023_no_huge_page_free(column: Column) {
    let _pool = Pool::of(0);
    let lab = world(column);
    let a = lab.actor();
    assert_eq!(a.get(KEY, HUGE, MAKE_HUGE), Err(ENOMEM));
    let id = a.get(KEY, HUGE, MAKE_HUGE | SHM_NORESERVE).unwrap();
    let addr = a.attach(id);
    assert_eq!(a.byte(addr), Err(SIGBUS));
}

pub(crate) fn row_024_huge_size_unknown(column: Column) {
    let _pool = Pool::of(1);
    let lab = world(column);
    let a = lab.actor();
    for log2 in [13, 20, 22, 63] {
        assert_eq!(a.get(KEY, PAGE, MAKE_HUGE | (log2 << SHM_HUGE_SHIFT)), Err(EINVAL), "2^{log2}");
    }
    let id = a.get(KEY, PAGE, MAKE_HUGE).unwrap();
    a.rmid(id).unwrap();
    assert!(a.get(KEY, PAGE, MAKE_HUGE | (21 << SHM_HUGE_SHIFT)).is_ok());
}

pub(crate) fn row_025_huge_without_right(column: Column) {
    let _pool = Pool::of(2);
    let lab = world(column);
    assert_eq!(lab.user(ALICE).get(KEY, HUGE, MAKE_HUGE), Err(EPERM));
    let locker = lab.actor();
    locker.become_who(BOB, BOB, &[], CAP_IPC_LOCK);
    assert!(locker.get(KEY, HUGE, MAKE_HUGE).is_ok());
}

pub(crate) fn row_114_lock_of_huge_pages(column: Column) {
    let _pool = Pool::of(2);
    let lab = world(column);
    let a = lab.actor();
    let id = a.get(KEY, HUGE, MAKE_HUGE).unwrap();
    assert_eq!(a.ctl0(id, SHM_LOCK), Ok(0));
    assert_eq!(a.stat(id).unwrap().mode, 0o600);
    assert_eq!(a.ctl0(id, SHM_UNLOCK), Ok(0));
}
