//! The process that uses a region while a peer scribbles over it.
#![allow(unsafe_code, reason = "the number of the calling thread")]

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coseg::{Error, Inspection, Lock, Region, RwLock};
use coseg_sysv::{Attachment, Backend, Key, Segment};

use crate::traffic;
use crate::world::{self, Numbers, Office, say, told};

/// Where the victim counts its operations, and the peer says that it is enough.
pub(crate) const BEATS: Key = Key::new(0x4559);
pub(crate) const BEATS_SIZE: usize = 16;

pub(crate) const MOMENT: Duration = Duration::from_millis(3);
/// How much later than its timeout a call may return.
const GRACE: Duration = Duration::from_secs(1);
/// How long an opener waits for somebody who is making the region.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the victim may come to have in memory.
const MEMORY_KIB: u64 = 300 << 10;

/// An operation, and after what time it must have returned; `None` if it may stall for as long as somebody who
/// seems to be alive seems to hold a lock.
pub(crate) struct Operation {
    name: &'static str,
    limit: Option<Duration>,
    /// Done one time in so many: who stalls does nothing else meanwhile.
    seldom: usize,
    run: fn(&Victim),
}

pub(crate) struct Victim {
    pub(crate) office: Region<Office>,
    backend: Arc<dyn Backend>,
}

pub(crate) const fn bounded(name: &'static str, run: fn(&Victim)) -> Operation {
    Operation { name, limit: Some(MOMENT), seldom: 1, run }
}

pub(crate) const fn patient(name: &'static str, run: fn(&Victim)) -> Operation {
    Operation { name, limit: Some(PATIENCE), seldom: 4, run }
}

/// It may take a lock, and wait as long as somebody who seems to live seems to hold it.
pub(crate) const fn locking(name: &'static str, run: fn(&Victim)) -> Operation {
    Operation { name, limit: None, seldom: 16, run }
}

const fn reading(name: &'static str, run: fn(&Victim)) -> Operation {
    Operation { name, limit: None, seldom: 1, run }
}

pub(crate) fn told_well<T>(result: Result<T, Error>) {
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
}

const OPERATIONS: &[Operation] = &[
    locking("update", |v| told_well(v.office.board.update(|board| board[0].stock = 1))),
    locking("set a row", |v| told_well(v.office.ledger.update(5, |row| row.open = !row.open))),
    locking("transaction", |v| {
        told_well(v.office.transaction(|change| {
            change.update(&v.office.board, |board| board[1].stock = 2)?;
            for row in v.office.ledger.rows() {
                change.update(&row, |row| row.buy = row.buy.wrapping_add(1))?;
                let _ = change.get(&row);
            }
            Ok::<_, Error>(())
        }));
    }),
    reading("read", |v| {
        let _ = (v.office.board.read(), v.office.board.read_stamped(), v.office.board.stamp());
        told_well(v.office.ledger.read(7));
    }),
    reading("snapshot", |v| {
        told_well(v.office.snapshot(|at| {
            let row = v.office.ledger.row(3)?;
            Ok::<_, Error>((at.get(&v.office.board)?, at.get(&row)?, at.get(&row)?))
        }));
    }),
    bounded("try_read", |v| told_well(v.office.board.try_read())),
    bounded("wait_while", |v| told_well(v.office.board.wait_while(|_| true, Some(MOMENT)))),
    bounded("wait for a row", |v| {
        told_well(v.office.ledger.row(1).and_then(|row| row.wait_while(|row| row.open, Some(MOMENT))));
    }),
    bounded("lock", |v| told_well(v.office.door.lock_timeout(MOMENT))),
    bounded("try_lock", |v| told_well(v.office.door.try_lock())),
    bounded("rwlock read", |v| told_well(v.office.files.read_timeout(MOMENT))),
    bounded("rwlock write", |v| told_well(v.office.files.write_timeout(MOMENT))),
    bounded("two locks", |v| {
        let door = v.office.door.lock_timeout(MOMENT / 3);
        told_well(v.office.files.write_timeout(MOMENT / 3));
        told_well(v.office.files.read_timeout(MOMENT / 3).map(drop));
        told_well(door);
    }),
    bounded("event", |v| {
        told_well(v.office.bell.notify());
        told_well(v.office.bell.wait(v.office.bell.count(), Some(MOMENT)));
    }),
    bounded("spin", |v| told_well(v.office.bell.spin(v.office.bell.count(), MOMENT))),
    bounded("counter", |v| {
        told_well(v.office.trades.add(3));
        let _ = v.office.trades.get();
    }),
    bounded("participants", |v| {
        assert!(v.office.participants().len() <= world::PARTICIPANTS);
    }),
    patient("open", |v| {
        told_well(world::at::<Office>(&v.backend).open().and_then(|office| {
            office.trades.add(1)?;
            office.door.lock_timeout(MOMENT).map(drop)
        }));
    }),
    patient("open or create", |v| told_well(world::at::<Office>(&v.backend).open_or_create(world::initial))),
    patient("observe", |v| {
        told_well(world::at::<Office>(&v.backend).observe().and_then(|office| {
            office.board.try_read()?;
            office.board.wait_while(|_| true, Some(MOMENT))
        }));
    }),
    patient("inspection", |v| told_well(inspect(v.office.segment()))),
    patient("inspection's set", |v| {
        told_well(Inspection::join(v.office.segment()).and_then(|look| {
            look.set("ledger[2].buy", "17", MOMENT)?;
            look.set("board[3].name", "euro", MOMENT)
        }));
    }),
];

/// Everything that can be seen of a region.
pub(crate) fn inspect(segment: &Segment) -> Result<(), Error> {
    let look = Inspection::of(segment)?;
    for part in 0..=look.schema().parts.len() {
        if let Ok(Some(value)) = look.part(part) {
            assert!(!value.to_string().is_empty());
        }
    }
    let _ = (look.name(), look.created_unix_ns(), look.size_bytes(), look.locks(), look.participants());
    for channel in look.channels() {
        assert!(
            channel.senders.len() <= world::PARTICIPANTS && channel.receivers.len() <= world::PARTICIPANTS
        );
        let messages = look.messages(&channel.name)?;
        assert!(messages.take(1000).all(|message| !message.to_string().is_empty()), "{}", channel.name);
    }
    for path in ["board[1].stock", "ledger[3].name", "trades", "bell", "door"] {
        told_well(look.get(path));
        told_well(look.check(path, "1"));
    }
    Ok(())
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(traffic::OPERATIONS)
}

/// What the watchdog knows of the operation that runs.
struct Watch {
    began: Instant,
    operation: AtomicUsize,
    since_ns: AtomicU64,
    queued_ns: AtomicU64,
}

/// How long the calling process's main thread has waited for a processor: a busy machine is not our fault.
fn queued_ns(thread: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

impl Watch {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    /// Ends the process when an operation takes too long.
    fn over(&self, thread: i32) {
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let index = self.operation.load(Ordering::Acquire);
            let since = self.since_ns.load(Ordering::Acquire);
            let queued = queued_ns(thread).saturating_sub(self.queued_ns.load(Ordering::Acquire));
            let took = Duration::from_nanos(self.now_ns().saturating_sub(since).saturating_sub(queued));
            let Some(operation) = operations().nth(index) else { continue };
            let Some(limit) = operation.limit else { continue };
            if took > limit + GRACE && self.since_ns.load(Ordering::Acquire) == since {
                eprintln!("`{}` has not returned after {took:?}", operation.name);
                process::abort();
            }
        }
    }
}

/// Uses the region until told that it is enough.
fn suffer(backend: &Arc<dyn Backend>) {
    let office = world::at::<Office>(backend).participant("victim").open().unwrap();
    let beats = Segment::options(BEATS).open(backend).unwrap().attach().unwrap();
    let victim = Victim { office, backend: Arc::clone(backend) };
    let watch = Watch {
        began: Instant::now(),
        operation: AtomicUsize::new(usize::MAX),
        since_ns: AtomicU64::new(0),
        queued_ns: AtomicU64::new(0),
    };
    // SAFETY: asks for a number.
    let thread = unsafe { libc::gettid() };
    let watch: &'static Watch = Box::leak(Box::new(watch));
    std::thread::spawn(move || watch.over(thread));
    say("joined");
    told();

    let mut numbers = Numbers::new(Numbers::seed());
    let operations: Vec<&Operation> = operations().collect();
    let mut tallies = vec![(0_u64, Duration::ZERO); operations.len()];
    let mut beat = 0_u64;
    while !is_enough(&beats) {
        let index = numbers.below(operations.len());
        if numbers.below(operations[index].seldom) != 0 {
            continue;
        }
        watch.queued_ns.store(queued_ns(thread), Ordering::Release);
        watch.operation.store(usize::MAX, Ordering::Release);
        watch.since_ns.store(watch.now_ns(), Ordering::Release);
        watch.operation.store(index, Ordering::Release);
        let since = Instant::now();
        (operations[index].run)(&victim);
        let tally = &mut tallies[index];
        *tally = (tally.0 + 1, tally.1.max(since.elapsed()));
        beat += 1;
        beats.write(0, &beat.to_ne_bytes()).unwrap();
    }
    watch.operation.store(usize::MAX, Ordering::Release);
    for (operation, (count, longest)) in operations.iter().zip(&tallies) {
        eprintln!("  {:18}{count:>9} times, at most {longest:?}", operation.name);
    }
    let used = memory_kib();
    assert!(used < MEMORY_KIB, "{used} KiB are in use");
    say("enough");
}

fn is_enough(beats: &Attachment) -> bool {
    let mut word = [0; 8];
    beats.read(8, &mut word).unwrap();
    word != [0; 8]
}

fn memory_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Takes one lock, however long that takes.
fn wait_for(lock: impl FnOnce(&Region<Office>), backend: &Arc<dyn Backend>) {
    let office = world::at::<Office>(backend).participant("victim").open().unwrap();
    say("joined");
    told();
    say("waits");
    lock(&office);
    say("enough");
}

/// What [`World::actor`](crate::world::World::actor) starts; nothing in a usual run.
#[test]
fn actor() {
    let Ok(role) = std::env::var("COSEG_TEST_ROLE") else { return };
    let backend = world::backend_told();
    let lock = |lock: &Lock| drop(lock.lock().unwrap());
    let write = |lock: &RwLock| drop(lock.write().unwrap());
    let read = |lock: &RwLock| drop(lock.read().unwrap());
    match role.as_str() {
        "suffers" => suffer(&backend),
        "updates" => wait_for(|office| office.board.update(|board| board[0].buy = 1).unwrap(), &backend),
        "locks" => wait_for(|office| lock(&office.door), &backend),
        "reads" => wait_for(|office| read(&office.files), &backend),
        "writes" => wait_for(|office| write(&office.files), &backend),
        role => panic!("{role}?"),
    }
}
