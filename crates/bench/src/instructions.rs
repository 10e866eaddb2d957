//! Operations in instructions, which are as many on a busy machine: callgrind counts those of a whole program, and of one that
//! does a thing more often.

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use coseg::{Broadcast, Channel, Key, Kind, Map, OneToOne, Queue, Region, Shared, Whole};
use coseg_sysv::{Backend, User};
use serde::Serialize;

use crate::sample::Plan;
use crate::{Outcome, place};

/// The subcommand by which this program becomes one that is counted.
pub(crate) const PLAY: &str = "play";

const KEY: Key = Key::new(0x494e);
const THINGS: [(&str, [&str; 2]); 4] = [
    ("one to one", ["send", "receive"]),
    ("work queue", ["send", "receive"]),
    ("broadcast", ["send", "receive"]),
    ("map", ["put", "get"]),
];

/// What is done once in so many operations, as asking the clock, has its share.
const TIMES: u32 = 1000;
const WARM_UP: u64 = 10;

/// What each operation takes.
#[derive(Serialize)]
pub(crate) struct Report {
    method: String,
    optimised: bool,
    operations: Vec<Counted>,
}

#[derive(Serialize)]
struct Counted {
    thing: &'static str,
    action: &'static str,
    instructions: f64,
}

/// Counts.
pub(crate) fn run(plan: &Plan) -> Outcome<Report> {
    let run_count = plan.of_processes().of_processes().round_count;
    place::seclude()?;
    let directory = place::namespace("coseg-bench-instructions")?;
    let mut operations = Vec::new();
    for (thing, [first, second]) in THINGS {
        let [none, one, both] = [[0, 0], [TIMES, 0], [TIMES, TIMES]]
            .map(|times| least(run_count, || count(&directory, thing, times)));
        let (none, one, both) = (none?, one?, both?);
        let each = |from: u32, to: u32| f64::from(to.saturating_sub(from)) / f64::from(TIMES);
        operations.push(Counted { thing, action: first, instructions: each(none, one) });
        operations.push(Counted { thing, action: second, instructions: each(one, both) });
    }
    let method = format!(
        "Mean of {TIMES} operations in a row, with the loop that calls them, counted by callgrind, the least of {run_count} \
         runs, since some do what is due once in so many milliseconds: messages of 8 bytes; values of 64 behind keys of 8. \
         Nobody waits at the other side."
    );
    Ok(Report { method, optimised: !cfg!(debug_assertions), operations })
}

fn least(run_count: usize, count: impl Fn() -> Outcome<u32>) -> Outcome<u32> {
    let counts = (0..run_count).map(|_| count()).collect::<Outcome<Vec<u32>>>()?;
    counts.into_iter().min().ok_or_else(|| "no run".into())
}

/// How many instructions a process takes that does two things so often.
fn count(directory: &Path, thing: &str, [first, second]: [u32; 2]) -> Outcome<u32> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    valgrind.args([PLAY, thing, &first.to_string(), &second.to_string()]).arg(directory);
    let output =
        valgrind.output().map_err(|error| format!("count instructions: valgrind: {error}; install it"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told.lines().find_map(|line| line.split_once("Collected : ")?.1.parse().ok());
    counted
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{thing}: nothing was counted: {told}").into())
}

impl Report {
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("Method: {}", self.method);
        if !self.optimised {
            text.push_str(" **Unoptimised build: not to be quoted.**");
        }
        text.push_str("\n\n| operation | instructions |\n|---|---:|\n");
        for Counted { thing, action, instructions } in &self.operations {
            let _ = writeln!(text, "| {thing}: {action} | {instructions:.1} |");
        }
        text
    }
}

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Line {
    words: [u64; 8],
}

#[derive(Region)]
struct Things {
    one_to_one: Channel<u64, OneToOne<1024>>,
    queue: Channel<u64, Queue<1024>>,
    broadcast: Channel<u64, Broadcast<1024>>,
    map: Map<u64, Line, 1024>,
}

/// Does two things with one of them, each so often.
pub(crate) fn play(thing: &str, first: u64, second: u64, directory: &Path) -> Outcome {
    let backend: Arc<dyn Backend> = Arc::new(User::at(directory)?);
    let things = Region::<Things>::at(KEY).backend(&backend).open_or_create(ThingsInitial::default)?;
    match thing {
        "one to one" => pass(&things.one_to_one, first, second),
        "work queue" => pass(&things.queue, first, second),
        "broadcast" => pass(&things.broadcast, first, second),
        "map" => look_up(&things.map, first, second),
        _ => Err(format!("no {thing} to play with").into()),
    }?;
    Ok(things.remove()?)
}

fn pass<K: Kind + Whole>(channel: &Channel<u64, K>, sends: u64, receives: u64) -> Outcome {
    let (mut sender, mut receiver) = (channel.sender()?, channel.receiver()?);
    for number in 0..WARM_UP {
        sender.send(&number)?;
        receiver.receive()?;
    }
    for number in 0..sends {
        sender.send(&number)?;
    }
    for _ in 0..receives {
        black_box(receiver.receive()?);
    }
    Ok(())
}

fn look_up(map: &Map<u64, Line, 1024>, puts: u64, gets: u64) -> Outcome {
    for key in 0..WARM_UP {
        map.put(&key, Line { words: [key; 8] })?;
    }
    for key in 0..puts {
        map.put(&(key % WARM_UP), Line { words: [key; 8] })?;
    }
    for key in 0..gets {
        black_box(map.get(&(key % WARM_UP))?);
    }
    Ok(())
}
