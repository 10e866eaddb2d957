//! The kernel's segments and ours: what each call costs on either backend.

mod holders;
mod listing;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use coseg_sysv::{Backend, GetFlags, Kernel, Key, Mode, ShmId, User};

use crate::report::{Goal, Method, Report, Row, Table};
use crate::sample::{Measured, Operation, Plan, compare};
use crate::{Outcome, calls, place};

pub(crate) use holders::{HOLD, hold};

const KIB: usize = 1 << 10;
const PAGE: usize = 4 * KIB;
const SIZES: [(usize, &str); 3] = [(PAGE, "4 KiB"), (KIB << 10, "1 MiB"), (KIB << 20, "1 GiB")];

const FEW: i32 = 1;
const MANY: i32 = 4000;
/// Processes that are attached to all of these between them.
const HOLDERS: usize = 200;
const FIRST_KEY: i32 = 0x10000;

/// What creating and attaching may cost.
#[derive(Clone, Copy)]
struct Goals {
    create: Goal,
    attach: Goal,
    look_up: Option<Goal>,
}

const AGAINST_KERNEL: Goals = Goals { create: Goal::Ratio(3.0), attach: Goal::Ratio(2.5), look_up: None };
/// Independent of the number of segments, give or take what equal runs differ by.
const FLAT: Goals =
    Goals { create: Goal::Ratio(1.25), attach: Goal::Ratio(1.25), look_up: Some(Goal::Ratio(1.25)) };
/// Attachments, and the time that `IPC_STAT` may take with so many.
const STAT_GOALS: [(u32, Goal); 3] = [(1, Goal::Ns(2e3)), (100, Goal::Ns(50e3)), (1000, Goal::Ns(8e6))];

const NOTES: &[&str] = &[
    "The kernel's side runs in an IPC namespace of its own, ours in a directory on a tmpfs of its own.",
    "No page of a segment is touched. `IPC_STAT` counts attachments of other processes: up to 100 of one each, \
     1000 as 100 of ten.",
    "The tools are timed from start to exit, a tenth of the rounds, their output read by nobody.",
];

/// Measures everything there is about segments.
pub(crate) fn run(plan: &Plan, cpu: Option<usize>) -> Outcome<Report> {
    let load = place::load();
    let cpu = place::pin(cpu)?;
    place::seclude()?;
    let directory = place::namespace("segments")?;
    let mut kernel = Side::new(Arc::new(Kernel));
    let mut user = Side::new(Arc::new(User::at(&directory)?));
    let mut lonely = Side::new(Arc::new(User::at(place::namespace("few-segments")?)?));

    let floors = floors(plan)?;
    for side in [&mut kernel, &mut user, &mut lonely] {
        side.fill(FEW);
    }
    let mut rows = basic_calls(plan, &[&kernel, &user], "1 segment present", AGAINST_KERNEL);
    let stats = stats(plan, &[&kernel, &user], &directory)?;
    kernel.fill(MANY);
    user.fill(MANY);
    rows.extend(basic_calls(plan, &[&kernel, &user], "4000 segments present", AGAINST_KERNEL));
    rows.extend(stats);
    let flat = basic_calls(plan, &[&lonely, &user], "user", FLAT);
    let present_count = usize::try_from(MANY)?;
    let tools = listing::table(plan, &directory, present_count);
    let ids = |side: &Side| -> Outcome<Vec<ShmId>> {
        Ok(side.backend.list()?.iter().map(|listed| listed.stat.id).collect())
    };
    let holders = holders::spread(HOLDERS, &directory, [ids(&kernel)?, ids(&user)?])?;
    let who = listing::table_of_who(plan, &directory, present_count, HOLDERS);
    drop(holders);

    let (release, processor) = place::machine();
    let table = |title: &str, columns: &[&'static str], rows| Table {
        title: title.to_owned(),
        columns: columns.to_vec(),
        rows,
    };
    Ok(Report {
        method: Method {
            round_count: plan.round_count,
            turn_us: plan.turn.as_micros(),
            cpu: cpu.to_string(),
            processor,
            kernel: release,
            load,
            optimised: !cfg!(debug_assertions),
            notes: NOTES.iter().map(|&note| note.to_owned()).collect(),
        },
        tables: vec![
            table("Call", &["kernel", "user"], rows),
            table("Independent of their number", &["1 segment", "4000 segments"], flat),
            tools,
            who,
            table("Floor", &["bare"], floors),
        ],
    })
}

/// A contender: a backend and the segments that were made there.
struct Side {
    backend: Arc<dyn Backend>,
    present_count: i32,
    /// One of them, or why there is none.
    present: Result<ShmId, String>,
}

impl Side {
    fn new(backend: Arc<dyn Backend>) -> Side {
        Side { backend, present_count: 0, present: Err("no segment".to_owned()) }
    }

    /// Makes segments under keys of their own until there are so many.
    fn fill(&mut self, present_count: i32) {
        while self.present_count < present_count {
            let key = Key::new(FIRST_KEY + self.present_count);
            self.present = create(&*self.backend, key, PAGE).map_err(|error| error.to_string());
            if self.present.is_err() {
                break;
            }
            self.present_count += 1;
        }
    }
}

/// Times one operation on both sides. `prepare` makes what a side works on.
fn contest<'a>(
    plan: &Plan,
    sides: &[&'a Side; 2],
    prepare: impl Fn(&'a Side, ShmId) -> Operation<'a>,
) -> Vec<Measured> {
    compare(plan, sides.iter().map(|&side| Ok(prepare(side, side.present.clone()?))).collect())
}

/// What a program does again and again.
fn basic_calls(plan: &Plan, sides: &[&Side; 2], suffix: &str, goals: Goals) -> Vec<Row> {
    let mut rows = Vec::new();
    for (size_bytes, size) in SIZES {
        let measured = contest(plan, sides, |side, _| {
            let backend = &*side.backend;
            Box::new(move || {
                let id = create(backend, Key::PRIVATE, size_bytes)?;
                let attached = calls::attach_detach(backend, id);
                backend.remove(id)?;
                Ok(attached?)
            })
        });
        let operation = format!("create, attach, detach, remove {size}; {suffix}");
        rows.push(Row::new(operation, measured, Some(goals.create)));
    }

    let measured =
        contest(plan, sides, |side, id| Box::new(move || Ok(calls::attach_detach(&*side.backend, id)?)));
    rows.push(Row::new(format!("attach, detach; {suffix}"), measured, Some(goals.attach)));

    let measured = contest(plan, sides, |side, _| {
        let turn = Cell::new(0);
        Box::new(move || {
            // A stride without common factor visits every key, so that no cache holds just the right one.
            turn.set((turn.get() + 1327) % side.present_count);
            side.backend.get(Key::new(FIRST_KEY + turn.get()), 0, GetFlags::NONE)?;
            Ok(())
        })
    });
    rows.push(Row::new(format!("look up by key; {suffix}"), measured, goals.look_up));
    rows
}

/// `IPC_STAT` while other processes are attached.
fn stats(plan: &Plan, sides: &[&Side; 2], directory: &Path) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (attachment_count, goal) in STAT_GOALS {
        let ids = sides.map(|side| create(&*side.backend, Key::PRIVATE, PAGE));
        let holders = holders::start(attachment_count, directory, &ids)?;
        let contenders = sides.iter().zip(&ids).map(|(side, id)| stat(side, id.clone()?, attachment_count));
        let measured = compare(plan, contenders.collect());
        drop(holders);
        for (side, id) in sides.iter().zip(ids) {
            if let Ok(id) = id {
                side.backend.remove(id)?;
            }
        }
        let noun = if attachment_count == 1 { "attachment" } else { "attachments" };
        rows.push(Row::new(format!("`IPC_STAT`; {attachment_count} {noun}"), measured, Some(goal)));
    }
    Ok(rows)
}

fn stat(side: &Side, id: ShmId, attachment_count: u32) -> Outcome<Operation<'_>> {
    let found = side.backend.stat(id)?.attachment_count;
    if found != u64::from(attachment_count) {
        return Err(format!("{found} attachments counted, {attachment_count} made").into());
    }
    Ok(Box::new(move || {
        side.backend.stat(id)?;
        Ok(())
    }))
}

/// What nothing can be faster than: the cheapest system call, and an attachment by bare calls.
fn floors(plan: &Plan) -> Outcome<Vec<Row>> {
    let parent: Operation<'_> = Box::new(|| {
        std::hint::black_box(rustix::process::getppid());
        Ok(())
    });
    let path = Path::new("/dev/shm/floor");
    std::fs::write(path, [0; PAGE])?;
    let map: Operation<'_> = Box::new(|| Ok(calls::open_map_close_unmap(path, PAGE)?));
    let rows = vec![
        Row::new("getppid", compare(plan, vec![Ok(parent)]), None),
        Row::new("tmpfs: open, mmap, close, munmap", compare(plan, vec![Ok(map)]), None),
    ];
    std::fs::remove_file(path)?;
    Ok(rows)
}

fn create(backend: &dyn Backend, key: Key, size_bytes: usize) -> coseg_sysv::Result<ShmId> {
    let flags = GetFlags::CREATE | GetFlags::EXCLUSIVE;
    backend.get(key, size_bytes, flags.with_mode(Mode::PRIVATE))
}
