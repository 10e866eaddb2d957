//! Scenes that never were.

use coseg::Label;
use coseg::schema::{PartKind, Scalar, Type};
use coseg_sysv::{Key, Mode, ShmId, Stat};

use crate::commands::channel::state::{ChannelState, End, NamedChannel};
use crate::commands::gc::judge::Verdict;
use crate::commands::limits::{Used, Values};
use crate::commands::locks::state::{LockState, Party, State, Waiter};
use crate::live::activity::Activity;
use crate::live::events::{Event, EventKind};
use crate::live::region::{ChannelLook, LockLook, Member, RegionLook};
use crate::live::{Scene, SegmentLook};
use crate::record::{Origin, Record};
use crate::regions::Mark;
use crate::who::Holder;

/// 2026-11-21 07:33:10 UTC
const NOW: u64 = 1_795_246_390;
const NOW_MS: u64 = NOW * 1000;

/// A segment that nobody has, of four pages.
pub(super) fn segment(id: i32, key: i32) -> SegmentLook {
    let now = i64::try_from(NOW).unwrap();
    let stat = Stat {
        key: Key::new(key),
        id: ShmId::new(id),
        sequence: 0,
        uid: 1000,
        gid: 1000,
        creator_uid: 1000,
        creator_gid: 1000,
        mode: Mode::new(0o600),
        removed: false,
        locked: false,
        size_bytes: 16384,
        attachment_count: 0,
        attach_time: now - 100,
        detach_time: now - 90,
        change_time: now - 120,
        creator_pid: 10,
        last_pid: 11,
    };
    let record = Record {
        id,
        key,
        key_hex: stat.key.to_string(),
        size_bytes: stat.size_bytes,
        resident_bytes: 8192,
        swapped_bytes: 0,
        mode: 0o600,
        mode_octal: "0600".to_owned(),
        uid: 1000,
        user: Some("ann".to_owned()),
        gid: 1000,
        group: None,
        creator_uid: 1000,
        creator_gid: 1000,
        creator_pid: 10,
        last_pid: 11,
        removed: false,
        locked: false,
        attachment_count: 0,
        attach_time: Some(stat.attach_time),
        detach_time: Some(stat.detach_time),
        change_time: Some(stat.change_time),
        attached: Some(Vec::new()),
        hidden_count: Some(0),
        region: Some(Mark::Plain),
    };
    let title = if key == 0 { format!("id:{id}") } else { record.key_hex.clone() };
    SegmentLook {
        title,
        record,
        activity: Some(Activity { looked_page_count: 4, changed_page_count: 0 }),
        inside: None,
        verdict: Verdict::Unsure,
        verdict_why: "nobody is attached, who made and used it are gone; but it has a key".to_owned(),
        stat,
    }
}

/// The same with somebody attached.
pub(super) fn attached(mut segment: SegmentLook, pid: i32, command: &str) -> SegmentLook {
    segment.record.attached.get_or_insert_default().push(Holder {
        pid,
        command: Some(command.to_owned()),
        uid: Some(1001),
        user: Some("bob".to_owned()),
        read_only: pid % 2 == 1,
        address: 0x7f00_0000,
        address_hex: "0x7f000000".to_owned(),
        size_bytes: segment.record.size_bytes,
        offset_bytes: 0,
    });
    segment.record.attachment_count += 1;
    segment.stat.attachment_count += 1;
    segment.verdict = Verdict::Keep;
    segment.verdict_why = "somebody is attached".to_owned();
    segment
}

/// A segment that nobody misses.
pub(super) fn garbage(id: i32) -> SegmentLook {
    let verdict_why = "no key leads to it, nobody is attached, who made and used it are gone".to_owned();
    SegmentLook { verdict: Verdict::Garbage, verdict_why, ..segment(id, 0) }
}

fn party(slot: usize, pid: u32, name: &str, alive: bool) -> Party {
    Party {
        slot: Some(slot),
        generation: Some(1),
        pid: Some(pid),
        pid_namespace: Some(1),
        name: Some(name.to_owned()),
        alive: Some(alive),
    }
}

fn lock(number: usize, name: &str, state: State, holder: Option<Party>) -> LockLook {
    let lock = LockState {
        number,
        name: name.to_owned(),
        state,
        holder,
        held_since_unix_ns: (state == State::Held).then_some((NOW_MS - 3000) * 1_000_000),
        acquisition_count: 7,
        waiters: Vec::new(),
        readers: Vec::new(),
    };
    LockLook { lock, per_s: Some(0.0) }
}

/// A region with one of everything, and a participant who died in it.
pub(super) fn market() -> SegmentLook {
    let trader = || party(0, 1200, "trader", true);
    let dead = || party(1, 1300, "desk", false);
    let mut door = lock(1, "door", State::Held, Some(trader()));
    door.per_s = Some(12_345.6);
    door.lock
        .waiters
        .push(Waiter { party: party(2, 1400, "clerk", true), since_unix_ns: (NOW_MS - 1500) * 1_000_000 });
    let end = |party, dead| End { party, dead, lag: None };
    let state = ChannelState {
        capacity: 64,
        message_bytes: 24,
        size_bytes: 4096,
        closed: false,
        ready_count: 3,
        held_count: Some(1),
        writing_count: Some(0),
        orphan_count: 0,
        sent_count: Some(100),
        received_count: Some(97),
        senders: vec![end(trader(), false)],
        receivers: vec![end(dead(), true)],
        kind: PartKind::Queue,
    };
    let channel = NamedChannel {
        name: "orders".to_owned(),
        kind: "queue".to_owned(),
        of: Type::Scalar(Scalar::U64),
        state,
    };
    let joined_unix_ns = (NOW_MS - 60_000) * 1_000_000;
    let member = |party| Member { party, uid: 1000, joined_unix_ns };
    let mut market = attached(segment(3, 0x4242), 1200, "trader");
    market.title = "market".to_owned();
    market.record.region = Some(Mark::Region(Label { name: "market".to_owned(), of: "Office".to_owned() }));
    market.activity = Some(Activity { looked_page_count: 4, changed_page_count: 1 });
    market.inside = Some(RegionLook {
        name: "market".to_owned(),
        r#type: "Office".to_owned(),
        recovery_count: 1,
        participants: vec![member(trader()), member(dead())],
        locks: vec![lock(0, "values", State::Orphaned, Some(dead())), door],
        channels: vec![ChannelLook { channel, sent_per_s: Some(4.5), received_per_s: None }],
    });
    market
}

fn event(kind: EventKind, id: i32, title: &str, text: &str) -> Event {
    Event { unix_ms: NOW_MS - 500, kind, id, title: title.to_owned(), text: text.to_owned() }
}

/// A scene of these segments.
pub(super) fn scene(segments: Vec<SegmentLook>) -> Scene {
    let total_bytes = segments.iter().map(|segment| segment.record.size_bytes as u64).sum();
    Scene {
        unix_ms: NOW_MS,
        elapsed_ms: Some(1000),
        origin: Origin { backend: "user", backend_is_fallback: false, file: None },
        place: "user, in /dev/shm/coseg-1000".to_owned(),
        limits: Values {
            shmmax_bytes: 1 << 30,
            shmall_pages: 25_600,
            shmall_bytes: Some(100 << 20),
            shmmni: 16,
            rmid_forced: Some(false),
            next_id: None,
        },
        usage: Used {
            segment_count: u32::try_from(segments.len()).unwrap(),
            total_pages: total_bytes / 4096,
            total_bytes,
            resident_bytes: segments.iter().map(|segment| segment.record.resident_bytes).sum(),
            swapped_bytes: 0,
            largest_segment_bytes: 16384,
            page_size_bytes: 4096,
        },
        hidden_count: segments.iter().filter_map(|segment| segment.record.hidden_count).sum(),
        segments,
        events: Vec::new(),
    }
}

/// Something of everything.
pub(super) fn busy() -> Scene {
    let mut plain = attached(attached(segment(5, 0x1234), 2000, "postgres"), 2001, "psql");
    plain.record.hidden_count = Some(2);
    plain.record.size_bytes = 8 << 20;
    plain.record.attachment_count = 4;
    plain.activity = None;
    let mut removed = attached(segment(9, 0), 77, "batch");
    (removed.stat.removed, removed.record.removed) = (true, true);
    let mut scene = scene(vec![market(), plain, garbage(7), removed, segment(11, 0x99)]);
    scene.events = vec![
        event(EventKind::Created, 11, "0x00000099", "16KiB, by ann, pid 10"),
        event(EventKind::Died, 3, "market", "desk (pid 1300, slot 1, generation 1)"),
        event(EventKind::Orphaned, 3, "market", "lock values orphaned by desk (pid 1300)"),
    ];
    scene
}
