//! The comparisons, and what ours should reach in each.

use super::contender::{Ground, Who};
use super::job::Job;
use crate::duel::{self, Entry, Measure, limit, peer};
use crate::table::{Goal, Row, Table};

type Arena<'a> = duel::Arena<'a, Ground>;

fn ours(name: &'static str, own: Job, partner: Option<Job>) -> Entry<Who, Job> {
    duel::ours(name, Who::Ours, own, partner)
}

pub(super) fn all(arena: &mut Arena<'_>) -> Vec<Table> {
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

fn locks(arena: &mut Arena<'_>) -> Vec<Row> {
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
        Measure::NsEach.row("lock, unlock; alone", &alone, &faster),
        Measure::SumOfRates.row("two processes increment", &contended, &twice),
        Measure::SmallerShare.row(
            "two processes increment: smaller share",
            &contended,
            &[Goal::AtLeastNumber(0.45), Goal::Compare("fetch_add")],
        ),
    ]
}

fn shared_locks(arena: &mut Arena<'_>) -> Vec<Row> {
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
        Measure::NsEach.row("lock to read, unlock; alone", &read, &[Goal::AtMost(1.0, "rwlock")]),
        Measure::SumOfRates.row("two readers lock", &readers, &[Goal::AtLeast(1.0, "rwlock")]),
        Measure::NsEach.row("lock to write, unlock; alone", &write, &[Goal::Compare("rwlock")]),
    ]
}

fn reads(arena: &mut Arena<'_>) -> Vec<Row> {
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
        Measure::OwnRate.row("read alone", &alone, &fast),
        Measure::SumOfRates.row("two readers", &readers, &[Goal::AtLeast(1.9, "one of ours")]),
    ]
}

fn disturbed(arena: &mut Arena<'_>) -> Vec<Row> {
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
        Measure::OwnRate.row("read, 1 M writes/s asked for", &paced, &[Goal::AtLeast(1.0, "mmap-sync")]),
        Measure::PartnersRate.row("writes meanwhile", &paced, &[]),
        Measure::OwnRate.row("read, writer busy", &busy, &[Goal::AtLeast(3.0, "iceoryx2")]),
        Measure::PartnersRate.row("writes meanwhile", &busy, &[]),
    ]
}

fn writes(arena: &mut Arena<'_>) -> Vec<Row> {
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
        Measure::OwnRate.row("write alone", &alone, &[Goal::Compare("iceoryx2")]),
        Measure::OwnRate.row("write, reader busy", &watched, &[Goal::AtLeast(1.0, "iceoryx2")]),
        Measure::PartnersRate.row("reads meanwhile", &watched, &[]),
    ]
}

fn changes(arena: &mut Arena<'_>) -> Vec<Row> {
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
        Measure::NsEach.row("update a cell", &update, &[Goal::AtMost(2.0, "lock, unlock")]),
        Measure::NsEach.row("transaction over two rows", &transaction, &[Goal::AtMost(4.0, "lock, unlock")]),
        Measure::NsEach.row("snapshot of two rows", &snapshot, &[Goal::Compare("one read")]),
    ]
}

fn signals(arena: &mut Arena<'_>) -> Vec<Row> {
    let mut exchange = |ping: Job, pong: Job, name: &'static str| {
        arena.measure(&[ours("ours", ping, Some(pong)), limit(name, Who::Words, ping, Some(pong))])
    };
    let spinning = exchange(Job::PingSpinning, Job::PongSpinning, "words");
    let sleeping = exchange(Job::PingSleeping, Job::PongSleeping, "futexes");
    vec![
        Measure::NsEach.row("round trip, spinning", &spinning, &[Goal::AtMost(1.3, "words")]),
        Measure::NsEach.row("round trip, sleeping", &sleeping, &[Goal::AtMost(1.1, "futexes")]),
    ]
}
