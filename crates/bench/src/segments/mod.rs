//! The kernel's segments and ours: what each call costs on either backend.

mod flat;
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
const FIRST_KEY: i32 = 0x10000;

const CREATE_GOAL: Goal = Goal::Ratio(3.0);
const ATTACH_GOAL: Goal = Goal::Ratio(2.5);
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
    let directory = place::namespace()?;
    let bench = Bench { plan: *plan, sides: [Arc::new(Kernel), Arc::new(User::at(&directory)?)] };

    let floors = bench.floors(&directory)?;
    let few = bench.calls(FEW, &bench.fill(0..FEW));
    let stats = bench.stats(&directory)?;
    let many = bench.calls(MANY, &bench.fill(FEW..MANY));
    let tools = listing::table(plan, &directory, usize::try_from(MANY)?);
    let flat = flat::table(&few, &many, ["1 segment", "4000 segments"]);
    let calls = few.into_iter().chain(many).chain(stats).collect();

    let (kernel, processor) = place::machine();
    Ok(Report {
        method: Method {
            round_count: plan.round_count,
            turn_us: plan.turn.as_micros(),
            cpu,
            processor,
            kernel,
            load,
            optimised: !cfg!(debug_assertions),
            notes: NOTES.to_vec(),
        },
        tables: vec![
            Table { title: "Call".to_owned(), columns: vec!["kernel", "user"], rows: calls },
            flat,
            tools,
            Table { title: "Floor".to_owned(), columns: vec!["bare"], rows: floors },
        ],
    })
}

/// The two backends, the kernel's first.
struct Bench {
    plan: Plan,
    sides: [Arc<dyn Backend>; 2],
}

impl Bench {
    /// Times one operation on both backends. `prepare` makes what a contender works on.
    fn compare<'a>(
        &'a self,
        prepare: impl Fn(usize, &'a dyn Backend) -> Outcome<Operation<'a>>,
    ) -> Vec<Measured> {
        let contenders =
            self.sides.iter().enumerate().map(|(side, backend)| prepare(side, &**backend)).collect();
        compare(&self.plan, contenders)
    }

    /// Makes segments under a range of keys, on each backend. The last one's id, or why there is none.
    fn fill(&self, range: std::ops::Range<i32>) -> [Result<ShmId, String>; 2] {
        [0, 1].map(|side| {
            let mut last = Err("no segment".to_owned());
            for number in range.clone() {
                last =
                    create(&*self.sides[side], Key::new(FIRST_KEY + number), PAGE).map_err(|e| e.to_string());
                if last.is_err() {
                    break;
                }
            }
            last
        })
    }

    /// What a program does again and again, while `present_count` segments exist.
    fn calls(&self, present_count: i32, present: &[Result<ShmId, String>; 2]) -> Vec<Row> {
        let with =
            if present_count == 1 { "1 segment".to_owned() } else { format!("{present_count} segments") };
        let mut rows = Vec::new();
        for (size_bytes, size) in SIZES {
            let measured = self.compare(|side, backend| {
                present[side].clone()?;
                Ok(Box::new(move || {
                    let id = create(backend, Key::PRIVATE, size_bytes)?;
                    let attached = calls::attach_detach(backend, id);
                    backend.remove(id)?;
                    Ok(attached?)
                }))
            });
            let operation = format!("create, attach, detach, remove {size}; {with} present");
            rows.push(Row::new(operation, measured, Some(CREATE_GOAL)));
        }

        let measured = self.compare(|side, backend| {
            let id = present[side].clone()?;
            Ok(Box::new(move || Ok(calls::attach_detach(backend, id)?)))
        });
        rows.push(Row::new(format!("attach, detach; {with} present"), measured, Some(ATTACH_GOAL)));

        let measured = self.compare(|side, backend| {
            present[side].clone()?;
            let turn = Cell::new(0);
            Ok(Box::new(move || {
                // A stride without common factor visits every key, so that no cache holds just the right one.
                turn.set((turn.get() + 1327) % present_count);
                backend.get(Key::new(FIRST_KEY + turn.get()), 0, GetFlags::NONE)?;
                Ok(())
            }))
        });
        rows.push(Row::new(format!("look up by key; {with} present"), measured, None));
        rows
    }

    /// `IPC_STAT` while other processes are attached.
    fn stats(&self, directory: &Path) -> Outcome<Vec<Row>> {
        let mut rows = Vec::new();
        for (attachment_count, goal) in STAT_GOALS {
            let ids = [0, 1].map(|side| create(&*self.sides[side], Key::PRIVATE, PAGE));
            let holders = holders::start(attachment_count, directory, &ids)?;
            let measured = self.compare(|side, backend| {
                let id = ids[side].clone()?;
                let found = backend.stat(id)?.attachment_count;
                if found != u64::from(attachment_count) {
                    return Err(format!("{found} attachments counted, {attachment_count} made").into());
                }
                Ok(Box::new(move || {
                    backend.stat(id)?;
                    Ok(())
                }))
            });
            drop(holders);
            for (backend, id) in self.sides.iter().zip(ids) {
                if let Ok(id) = id {
                    backend.remove(id)?;
                }
            }
            let noun = if attachment_count == 1 { "attachment" } else { "attachments" };
            rows.push(Row::new(format!("`IPC_STAT`; {attachment_count} {noun}"), measured, Some(goal)));
        }
        Ok(rows)
    }

    /// What nothing can be faster than: the cheapest system call, and an attachment by bare calls.
    fn floors(&self, directory: &Path) -> Outcome<Vec<Row>> {
        let parent: Operation<'_> = Box::new(|| {
            std::hint::black_box(rustix::process::getppid());
            Ok(())
        });
        let path = directory.with_file_name("floor");
        std::fs::write(&path, [0; PAGE])?;
        let map: Operation<'_> = Box::new(|| Ok(calls::open_map_close_unmap(&path, PAGE)?));
        let rows = vec![
            Row::new("getppid", compare(&self.plan, vec![Ok(parent)]), None),
            Row::new("tmpfs: open, mmap, close, munmap", compare(&self.plan, vec![Ok(map)]), None),
        ];
        std::fs::remove_file(&path)?;
        Ok(rows)
    }
}

fn create(backend: &dyn Backend, key: Key, size_bytes: usize) -> coseg_sysv::Result<ShmId> {
    let flags = GetFlags::CREATE | GetFlags::EXCLUSIVE;
    backend.get(key, size_bytes, flags.with_mode(Mode::PRIVATE))
}
