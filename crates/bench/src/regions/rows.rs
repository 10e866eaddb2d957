//! The comparisons, and what ours should reach in each.

use super::contender::Who;
use super::table::{Goal, Measure, Row, Table};
use super::turn::Job;
use super::{Arena, limit, ours, peer};

pub(super) fn all(arena: &mut Arena) -> Vec<Table> {
    vec![
        Table { title: "Locks", rows: [locks(arena), shared_locks(arena)].into_iter().flatten().collect() },
        Table {
            title: "A value of 64 bytes",
            rows: [reads(arena), disturbed(arena), writes(arena)].into_iter().flatten().collect(),
        },
        Table { title: "Changes", rows: changes(arena) },
        Table { title: "Signals", rows: signals(arena) },
    ]
}

fn locks(arena: &mut Arena) -> Vec<Row> {
    let alone = arena.measure(&[
        ours("ours", Job::Lock, None),
        peer("process-shared", Who::Mutex, Job::Lock, None),
        peer("robust", Who::RobustMutex, Job::Lock, None),
        limit("CAS and swap", Who::CasAndSwap, Job::Lock, None),
        limit("test-and-set", Who::TestAndSet, Job::Lock, None),
    ]);
    let both = Some(Job::Increment);
    let contended = arena.measure(&[
        ours("ours", Job::Increment, both),
        peer("process-shared", Who::Mutex, Job::Increment, both),
        peer("robust", Who::RobustMutex, Job::Increment, both),
        limit("CAS and futex", Who::CasAndSwap, Job::Increment, both),
        limit("test-and-set", Who::TestAndSet, Job::Increment, both),
        limit("fetch_add", Who::FetchAdd, Job::Increment, both),
    ]);
    let faster =
        [Goal::AtMost(1.0, "process-shared"), Goal::AtMost(0.5, "robust"), Goal::Compare("CAS and swap")];
    let twice = [Goal::AtLeast(2.0, "robust"), Goal::Compare("process-shared")];
    vec![
        Row::new("lock, unlock; alone", Measure::NsEach, &alone, &faster),
        Row::new("two processes increment", Measure::SumOfRates, &contended, &twice),
        Row::new(
            "two processes increment: smaller share",
            Measure::SmallerShare,
            &contended,
            &[Goal::AtLeastNumber(0.45), Goal::Compare("fetch_add")],
        ),
    ]
}

fn shared_locks(arena: &mut Arena) -> Vec<Row> {
    let read = arena.measure(&[
        ours("ours", Job::LockToRead, None),
        peer("rwlock", Who::RwLock, Job::LockToRead, None),
        limit("CAS and swap", Who::CasAndSwap, Job::Lock, None),
    ]);
    let both = Some(Job::LockToRead);
    let readers = arena
        .measure(&[ours("ours", Job::LockToRead, both), peer("rwlock", Who::RwLock, Job::LockToRead, both)]);
    let write = arena.measure(&[
        ours("ours", Job::LockToWrite, None),
        peer("rwlock", Who::RwLock, Job::LockToWrite, None),
    ]);
    vec![
        Row::new("lock to read, unlock; alone", Measure::NsEach, &read, &[Goal::AtMost(1.0, "rwlock")]),
        Row::new("two readers lock", Measure::SumOfRates, &readers, &[Goal::AtLeast(1.0, "rwlock")]),
        Row::new("lock to write, unlock; alone", Measure::NsEach, &write, &[Goal::Compare("rwlock")]),
    ]
}

fn reads(arena: &mut Arena) -> Vec<Row> {
    let alone = arena.measure(&[
        ours("ours", Job::Read, None),
        peer("mmap-sync", Who::MmapSync, Job::Read, None),
        peer("iceoryx2", Who::Iceoryx, Job::Read, None),
        limit("bare slots", Who::Slots, Job::Read, None),
    ]);
    let both = Some(Job::Read);
    let readers = arena.measure(&[
        ours("ours", Job::Read, both),
        peer("one of ours", Who::Ours, Job::Read, None),
        peer("mmap-sync", Who::MmapSync, Job::Read, both),
        peer("iceoryx2", Who::Iceoryx, Job::Read, both),
        limit("bare slots", Who::Slots, Job::Read, both),
    ]);
    let fast = [Goal::AtLeastNumber(60.0), Goal::Compare("bare slots")];
    vec![
        Row::new("read alone", Measure::OwnRate, &alone, &fast),
        Row::new("two readers", Measure::SumOfRates, &readers, &[Goal::AtLeast(1.9, "one of ours")]),
    ]
}

fn disturbed(arena: &mut Arena) -> Vec<Row> {
    let mut with = |writer: Job| {
        arena.measure(&[
            ours("ours", Job::Read, Some(writer)),
            peer("mmap-sync", Who::MmapSync, Job::Read, Some(writer)),
            peer("iceoryx2", Who::Iceoryx, Job::Read, Some(writer)),
            limit("bare slots", Who::Slots, Job::Read, Some(writer)),
        ])
    };
    let paced = with(Job::WritePaced);
    let busy = with(Job::Write);
    vec![
        Row::new(
            "read, 1 M writes/s asked for",
            Measure::OwnRate,
            &paced,
            &[Goal::AtLeast(1.0, "mmap-sync")],
        ),
        Row::new("writes meanwhile", Measure::PartnersRate, &paced, &[]),
        Row::new("read, writer busy", Measure::OwnRate, &busy, &[Goal::AtLeast(3.0, "iceoryx2")]),
        Row::new("writes meanwhile", Measure::PartnersRate, &busy, &[]),
    ]
}

fn writes(arena: &mut Arena) -> Vec<Row> {
    let mut with = |reader: Option<Job>| {
        arena.measure(&[
            ours("ours", Job::Write, reader),
            peer("mmap-sync", Who::MmapSync, Job::Write, reader),
            peer("iceoryx2", Who::Iceoryx, Job::Write, reader),
            limit("bare slots", Who::Slots, Job::Write, reader),
        ])
    };
    let alone = with(None);
    let watched = with(Some(Job::Read));
    vec![
        Row::new("write alone", Measure::OwnRate, &alone, &[Goal::Compare("iceoryx2")]),
        Row::new("write, reader busy", Measure::OwnRate, &watched, &[Goal::AtLeast(1.0, "iceoryx2")]),
        Row::new("reads meanwhile", Measure::PartnersRate, &watched, &[]),
    ]
}

fn changes(arena: &mut Arena) -> Vec<Row> {
    let locks =
        [peer("lock, unlock", Who::Ours, Job::Lock, None), peer("robust", Who::RobustMutex, Job::Lock, None)];
    let mut against_lock = |job: Job| {
        let [lock, robust] = &locks;
        arena.measure(&[ours("ours", job, None), lock.clone(), robust.clone()])
    };
    let update = against_lock(Job::Update);
    let transaction = against_lock(Job::Transaction);
    let snapshot = arena.measure(&[
        ours("ours", Job::Snapshot, None),
        peer("one read", Who::Ours, Job::Read, None),
        peer("lock, unlock", Who::Ours, Job::Lock, None),
    ]);
    vec![
        Row::new("update a cell", Measure::NsEach, &update, &[Goal::AtMost(2.0, "lock, unlock")]),
        Row::new(
            "transaction over two rows",
            Measure::NsEach,
            &transaction,
            &[Goal::AtMost(4.0, "lock, unlock")],
        ),
        Row::new("snapshot of two rows", Measure::NsEach, &snapshot, &[Goal::Compare("one read")]),
    ]
}

fn signals(arena: &mut Arena) -> Vec<Row> {
    let mut exchange = |ping: Job, pong: Job, name: &'static str| {
        arena.measure(&[ours("ours", ping, Some(pong)), limit(name, Who::Words, ping, Some(pong))])
    };
    let spinning = exchange(Job::PingSpinning, Job::PongSpinning, "words");
    let sleeping = exchange(Job::PingSleeping, Job::PongSleeping, "futexes");
    vec![
        Row::new("round trip, spinning", Measure::NsEach, &spinning, &[Goal::AtMost(1.3, "words")]),
        Row::new("round trip, sleeping", Measure::NsEach, &sleeping, &[Goal::AtMost(1.1, "futexes")]),
    ]
}
