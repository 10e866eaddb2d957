//! The comparisons, and what ours should reach in each.

use super::contender::Who;
use super::course::{Course, Kind, Means, Shape, Waits};
use super::{Entry, limit, peer};
use crate::table::{Goal, Role};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const FLOOR: Entry = limit("ping-pong", Who::Floor);
const RING: Entry = limit("ring", Who::Ring);
const FAR_RING: Entry = limit("ring for far cores", Who::FarRing);
const PIPE: Entry = peer("pipe", Who::Pipe);
const STREAM: Entry = peer("Unix stream", Who::Stream);
const SEQPACKET: Entry = peer("Unix seqpacket", Who::SeqPacket);
const POSIX: Entry = peer("POSIX mq", Who::Posix);
const SYSTEM_V: Entry = peer("System V msg", Who::SystemV);
const BOOST: Entry = peer("Boost mq", Who::Boost);
const ICEORYX: Entry = peer("iceoryx2", Who::Iceoryx);
const IPC_CHANNEL: Entry = peer("ipc-channel", Who::IpcChannel);
const SHMEM_IPC: Entry = peer("shmem-ipc", Who::ShmemIpc);
const RTRB: Entry = peer("rtrb", Who::Rtrb);
const CROSSBEAM: Entry = peer("crossbeam", Who::Crossbeam);

const ALL: [Entry; 11] =
    [PIPE, STREAM, SEQPACKET, POSIX, SYSTEM_V, BOOST, ICEORYX, IPC_CHANNEL, SHMEM_IPC, RTRB, CROSSBEAM];

/// A row that is to be measured.
pub(super) struct Planned {
    pub(super) operation: &'static str,
    pub(super) course: Course,
    pub(super) entries: Vec<Entry>,
    pub(super) goals: Vec<Goal>,
}

/// The tables, each with its rows.
pub(super) fn all() -> Vec<(&'static str, Vec<Planned>)> {
    vec![
        ("Round trips, both sides busy", round_trips()),
        ("One way", one_way()),
        ("Asleep", sleeping()),
        ("Many-to-many and broadcast, 8 B one way", crowds()),
    ]
}

const OURS: Entry = Entry { name: "ours", role: Role::Ours, who: Who::Ours };

/// Ours is the first of all.
fn row(
    operation: &'static str,
    course: Course,
    peers: &[Entry],
    limits: &[Entry],
    goals: &[Goal],
) -> Planned {
    Planned { operation, course, entries: [&[OURS], peers, limits].concat(), goals: goals.to_vec() }
}

fn round_trips() -> Vec<Planned> {
    let large = [PIPE, STREAM, BOOST, ICEORYX, IPC_CHANNEL, SHMEM_IPC];
    let copied = Course::round_trip;
    let lent = Course { means: Means::Loan, ..copied(4 * MIB) };
    let near_floor = |goal| [Goal::AtMost(goal, "ping-pong"), Goal::Compare("ring")];
    let near_ring = |goal| [Goal::AtMost(goal, "ring")];
    vec![
        row("8 B", copied(8), &ALL, &[FLOOR, RING], &near_floor(1.15)),
        row("64 B", copied(64), &ALL, &[FLOOR, RING], &near_floor(1.35)),
        row("1 KiB", copied(KIB), &ALL, &[RING], &near_ring(1.05)),
        row("4 MiB, copied", copied(4 * MIB), &large, &[RING, FAR_RING], &near_ring(1.1)),
        row("4 MiB, lent", lent, &[ICEORYX], &[FLOOR], &[Goal::AtMost(1.3, "ping-pong")]),
    ]
}

fn one_way() -> Vec<Planned> {
    let batching = [PIPE, STREAM, SHMEM_IPC, RTRB];
    let large = [PIPE, STREAM, SEQPACKET, BOOST, ICEORYX, IPC_CHANNEL, SHMEM_IPC, RTRB];
    let near = |goal| [Goal::AtLeast(goal, "ring")];
    let ahead = [Goal::AtLeast(1.0, "rtrb"), Goal::AtLeast(0.8, "ring")];
    let blocks = Course::one_way(64 * KIB, 1);
    let small = |operation, size_bytes, batch, peers: &[Entry], goals: &[Goal]| {
        row(operation, Course::one_way(size_bytes, batch), peers, &[RING], goals)
    };
    vec![
        small("8 B, one by one", 8, 1, &ALL, &ahead),
        small("8 B, 64 at once", 8, 64, &batching, &near(0.8)),
        small("8 B, 512 at once", 8, 512, &batching, &near(0.8)),
        small("64 B", 64, 1, &ALL, &near(0.8)),
        small("1 KiB", KIB, 1, &ALL, &near(0.9)),
        row("64 KiB", blocks, &large, &[RING, FAR_RING], &near(0.95)),
    ]
}

fn sleeping() -> Vec<Planned> {
    let course = Course { waits: Waits::Sleeping, ..Course::round_trip(8) };
    let peers = [PIPE, STREAM, SEQPACKET, POSIX, SYSTEM_V, ICEORYX, IPC_CHANNEL, SHMEM_IPC];
    let futexes = limit("futexes", Who::Floor);
    vec![row("8 B round trip", course, &peers, &[futexes], &[Goal::AtMost(1.1, "futexes")])]
}

fn crowds() -> Vec<Planned> {
    let queues = [POSIX, SYSTEM_V, BOOST, CROSSBEAM];
    let queue = Course::one_way(8, 1).of_kind(Kind::Queue);
    let crowd = Course { shape: Shape::Crowd, ..queue };
    let broadcast = Course::one_way(8, 1).of_kind(Kind::Broadcast);
    let ahead = [Goal::AtLeast(1.0, "Boost mq"), Goal::Compare("ring")];
    vec![
        row("queue: one sends, one receives", queue, &queues, &[RING], &ahead),
        row("queue: both send and receive", crowd, &queues, &[RING], &ahead),
        row(
            "broadcast: one sends, two receive",
            broadcast,
            &[ICEORYX],
            &[],
            &[Goal::AtLeast(1.0, "iceoryx2")],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_name_who_takes_part() {
        for planned in all().iter().flat_map(|(_, rows)| rows) {
            for goal in &planned.goals {
                let (Goal::AtMost(_, name) | Goal::AtLeast(_, name) | Goal::Compare(name)) = goal else {
                    continue;
                };
                assert!(
                    planned.entries.iter().any(|entry| entry.name == *name),
                    "{}: {name}",
                    planned.operation
                );
            }
        }
    }
}
