//! Every operation of the user backend, killed at every point of it, and its recovery too.
//!
//! The next caller must find the namespace as it was before the operation or as it is after it, whole: each
//! segment found by id and key, counts that agree, no file that no segment has.
#![allow(unsafe_code, reason = "the victims attach and detach by hand")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

use std::env;
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use coseg_crash::{Changes, Report, Scratch, Trial, again, mark, role, survive};
use coseg_sysv::{AttachFlags, Backend, Change, GetFlags, Key, Mode, ShmId, User};

const LIMIT: Duration = Duration::from_secs(20);
const WORLD: &str = "COSEG_TEST_WORLD";

fn create(user: &User, key: Key) -> ShmId {
    user.get(key, 5000, GetFlags::CREATE.with_mode(Mode::PRIVATE)).unwrap()
}

fn find(user: &User, key: Key) -> ShmId {
    user.get(key, 0, GetFlags::NONE).unwrap()
}

fn attach(user: &User, id: ShmId) -> usize {
    // SAFETY: not a replacing attach.
    unsafe { user.attach(id, 0, AttachFlags::NONE) }.unwrap().address
}

fn detach(user: &User, address: usize) {
    // SAFETY: the players never look at what they attach.
    unsafe { user.detach(address) }.unwrap();
}

/// Three keys whose records hang on one chain, as FORMAT.md says which.
fn colliding_keys() -> [Key; 3] {
    let bucket = |key: i32| {
        let mut hash = key.cast_unsigned();
        hash = (hash ^ hash >> 16).wrapping_mul(0x7feb_352d);
        hash = (hash ^ hash >> 15).wrapping_mul(0x846c_a68b);
        (hash ^ hash >> 16) % 8192
    };
    let mut keys = (2..).filter(|&key| bucket(key) == bucket(1));
    [Key::new(1), Key::new(keys.next().unwrap()), Key::new(keys.next().unwrap())]
}

const OPERATIONS: [&str; 14] = [
    "open",
    "create",
    "create-chained",
    "create-private",
    "attach",
    "detach",
    "detach-removed",
    "set",
    "give",
    "remove",
    "remove-chained",
    "remove-attached",
    "reap",
    "limits",
];

/// What stands in a namespace before an operation.
fn prepare(user: &User, operation: &str) {
    let [first, second, third] = colliding_keys();
    match operation {
        "open" => unreachable!("made by the operation"),
        "create-chained" => {
            create(user, first);
            create(user, second);
        }
        "remove-chained" => {
            create(user, first);
            create(user, second);
            create(user, third);
        }
        "reap" => {
            let id = create(user, Key::new(5));
            attach(user, id);
            user.remove(id).unwrap();
            // The attachment ends with this process, and nobody is there to see it.
        }
        _ => {
            create(user, Key::new(5));
        }
    }
}

fn operate(user: impl FnOnce() -> User, operation: &str) {
    if operation == "open" {
        mark::begin();
        user();
        return mark::end();
    }
    let user = user();
    // The registry's and the maps' descriptors are there already, as they are in all calls but the first.
    user.limits().unwrap();
    let key = Key::new(5);
    let [_, second, third] = colliding_keys();
    let marked = |work: &dyn Fn()| {
        mark::begin();
        work();
        mark::end();
    };
    match operation {
        "create" => marked(&|| _ = create(&user, Key::new(6))),
        "create-chained" => marked(&|| _ = create(&user, third)),
        "create-private" => marked(&|| _ = create(&user, Key::PRIVATE)),
        "attach" => marked(&|| _ = attach(&user, find(&user, key))),
        "detach" => {
            let address = attach(&user, find(&user, key));
            marked(&|| detach(&user, address));
        }
        "detach-removed" => {
            let id = find(&user, key);
            let address = attach(&user, id);
            user.remove(id).unwrap();
            marked(&|| detach(&user, address));
        }
        "set" => {
            let change = Change { uid: 0, gid: 7, mode: Mode::new(0o640) };
            marked(&|| user.set(find(&user, key), change).unwrap());
        }
        "give" => {
            let change = Change { uid: 1_913_377, gid: 7, mode: Mode::new(0o640) };
            marked(&|| user.set(find(&user, key), change).unwrap());
        }
        "remove" => marked(&|| user.remove(find(&user, key)).unwrap()),
        "remove-chained" => marked(&|| user.remove(find(&user, second)).unwrap()),
        "remove-attached" => {
            let id = find(&user, key);
            attach(&user, id);
            marked(&|| user.remove(id).unwrap());
        }
        "reap" => marked(&|| _ = create(&user, Key::new(6))),
        "limits" => {
            let mut knobs = user.knobs().unwrap();
            knobs.remove_forced = true;
            knobs.max_segment_count = 77;
            marked(&|| user.set_knobs(knobs).unwrap());
        }
        other => panic!("no operation {other}"),
    }
}

/// All that a next caller can ask, less times and pids; it fails if the answers do not fit together.
fn view(user: &User) -> String {
    let usage = user.usage().unwrap();
    let listed = user.list().unwrap();
    assert_eq!(usage.segment_count as usize, listed.len(), "{listed:?}");
    let pages: u64 = listed.iter().map(|l| l.stat.size_bytes.div_ceil(4096) as u64).sum();
    assert_eq!(usage.total_pages, pages, "{listed:?}");
    assert_eq!(user.strays().unwrap(), Vec::<String>::new());
    let knobs = user.knobs().unwrap();
    let mut text = format!("{} {}\n", knobs.max_segment_count, knobs.remove_forced);
    for stat in listed.iter().map(|listed| listed.stat) {
        assert_eq!(stat.attachment_count, 0, "the dead are attached: {stat:?}");
        if !stat.key.is_private() {
            assert_eq!(find(user, stat.key), stat.id, "by key");
        }
        if user.is_shared() {
            // The file is whose the record says, and gives no right that the record does not.
            let file = std::fs::metadata(user.directory().join(format!("seg-{}", stat.id))).unwrap();
            assert_eq!((file.uid(), file.gid()), (stat.uid, stat.gid));
            // Where it has an access list, the group's bits are that list's mask.
            assert_eq!(file.mode() & 0o707 & !stat.mode.bits(), 0, "{:o} {}", file.mode(), stat.mode);
        }
        if !knobs.remove_forced {
            let address = attach(user, stat.id);
            assert_eq!(user.stat(stat.id).unwrap().attachment_count, 1);
            detach(user, address);
        }
        writeln!(
            text,
            "{} {} {} {}:{} {} {}",
            stat.id, stat.key, stat.mode, stat.uid, stat.gid, stat.removed, stat.size_bytes
        )
        .unwrap();
    }
    text
}

/// The namespace goes on working: what is made next gets an id of its own and goes again.
fn go_on(user: &User) {
    let before = user.usage().unwrap().segment_count;
    let [first, second, third] = colliding_keys().map(|key| create(user, Key::new(key.raw() + 100_000)));
    assert!(first != second && second != third);
    for id in [second, first, third] {
        user.remove(id).unwrap();
    }
    assert_eq!(user.usage().unwrap().segment_count, before);
}

#[test]
fn player() {
    let Some(role) = role() else { return };
    let directory = env::var(WORLD).unwrap();
    let user = || User::at(&directory).unwrap();
    match role.split_once(' ') {
        Some(("prepare", operation)) => prepare(&user(), operation),
        Some(("operate", operation)) => operate(user, operation),
        None if role == "recover" => {
            let user = user();
            mark::begin();
            user.limits().unwrap();
            mark::end();
        }
        None if role == "view" => {
            let user = user();
            print!("<{}>", view(&user));
            go_on(&user);
        }
        _ => panic!("no role {role}"),
    }
}

fn play(role: &str, world: &Scratch) -> Command {
    let mut command = again("player", role);
    command.env(WORLD, world.path().join("namespace"));
    command
}

fn seen_by_next(world: &Scratch) -> Result<String, String> {
    let output = survive(play("view", world), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, text) = text.split_once('<').ok_or("nothing was seen")?;
    Ok(text.split_once('>').ok_or("half was seen")?.0.to_owned())
}

/// Blanks what differs from run to run: the registry's own id and what follows from it, inodes, pids, times.
fn blank(name: &str, bytes: &mut [u8]) {
    if !name.ends_with("registry") || bytes.len() < 65536 {
        return;
    }
    bytes[16..48].fill(0);
    bytes[120..128].fill(0);
    bytes[136..144].fill(0);
    // Steps of the log that carry a record: kinds 1, 2 and 6.
    let (mut at, end) = (144, usize::from(bytes[132]) + usize::from(bytes[133]) * 256);
    while at + 8 <= end.min(1024) {
        let kind = bytes[at];
        at += 8;
        if matches!(kind, 1 | 2 | 6) {
            blank_record(&mut bytes[at..at + 128]);
        }
        at += match kind {
            1 | 2 | 6 => 128,
            3 | 4 => 8,
            _ => 0,
        };
    }
    // What an earlier, longer log left behind its end is nobody's.
    bytes[at.clamp(144, 1024)..1024].fill(0);
    for record in bytes[65536..].chunks_exact_mut(128) {
        blank_record(record);
    }
}

fn blank_record(record: &mut [u8]) {
    record[40..60].fill(0);
    record[64..72].fill(0);
    record[88..96].fill(0);
    record[104..116].fill(0);
    record[120..128].fill(0);
}

/// Recoveries are killed too where they differ most; everywhere with `COSEG_LONG=1`, and more at random.
const NESTED: [&str; 4] = ["create-chained", "remove-chained", "set", "give"];

fn killed_everywhere(operation: &str) -> Report {
    let long = env::var_os("COSEG_LONG").is_some_and(|value| value == "1");
    let prepared = || {
        let world = Scratch::within("/dev/shm".as_ref())?;
        if operation == "give" {
            let namespace = world.path().join("namespace");
            std::fs::create_dir(&namespace)?;
            std::fs::set_permissions(&namespace, std::fs::Permissions::from_mode(0o1777))?;
        }
        if operation != "open" {
            survive(play(&format!("prepare {operation}"), &world), LIMIT).map_err(std::io::Error::other)?;
        }
        Ok(world)
    };
    let operate = format!("operate {operation}");

    let world = prepared().unwrap();
    let before = seen_by_next(&world).unwrap();
    let world = prepared().unwrap();
    survive(play(&operate, &world), LIMIT).unwrap();
    let after = seen_by_next(&world).unwrap();

    let mut trial = Trial::new(operation, prepared, |world| play(&operate, world))
        .observe(Changes::OnSyscall, |world, seen| {
            let namespace = world.path().join("namespace");
            if namespace.exists() {
                seen.directory(&namespace, |name, bytes| blank(name, bytes))
            } else {
                Ok(())
            }
        })
        .check(|world, death| {
            let now = seen_by_next(world)?;
            if now != before && now != after {
                return Err(format!("neither before nor after, but: {now}"));
            }
            if death.operation_completed() && now != after {
                return Err(format!("it had returned, and yet: {now}"));
            }
            Ok(())
        })
        .random_kills(if long { 2000 } else { 20 }, 7);
    if long || NESTED.contains(&operation) {
        trial = trial.recovery(|world| play("recover", world));
    }
    let report = trial.run().unwrap();
    println!("{report}");
    report
}

macro_rules! killed {
    ($($name:ident $operation:literal;)*) => {
        $(
            #[test]
            fn $name() {
                killed_everywhere($operation).assert_whole();
            }
        )*

        #[test]
        fn every_operation_has_its_test() {
            assert_eq!([$($operation),*], OPERATIONS);
        }
    };
}

killed! {
    open "open";
    create_by_key "create";
    create_in_a_chain "create-chained";
    create_private "create-private";
    attach_a_segment "attach";
    detach_a_segment "detach";
    detach_the_last_of_a_removed_one "detach-removed";
    set_owner_and_mode "set";
    give_away_in_a_shared_namespace "give";
    remove_a_segment "remove";
    remove_from_a_chain "remove-chained";
    remove_an_attached_one "remove-attached";
    reap_the_dead "reap";
    set_limits "limits";
}
