//! Any number of random sequences on both implementations: `differential --sequences 100000 --seed 1 --jobs 2`.

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use coseg_conformance::differential::compare::Tally;
use coseg_conformance::differential::generate::Taste;
use coseg_conformance::differential::{Duel, Finding, keep, kept};
use coseg_conformance::lab::Column;

const USAGE: &str =
    "usage: differential [--sequences N] [--seed N] [--from N] [--jobs N] [--column user|kernel]
  [--steps-min N] [--steps-max N] [--tick-one-in N] [--replay FILE] [--keep-going]";

struct Options {
    sequences: u64,
    seed: u64,
    from: u64,
    jobs: u64,
    column: Column,
    taste: Taste,
    replay: Option<String>,
    keep_going: bool,
}

fn options() -> Option<Options> {
    let taste = Taste { steps: (6, 24), tick_one_in: 2000 };
    let mut o = Options {
        sequences: 10_000,
        seed: 1,
        from: 0,
        jobs: 2,
        column: Column::User,
        taste,
        replay: None,
        keep_going: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        if flag == "--keep-going" {
            o.keep_going = true;
            continue;
        }
        let value = words.next()?;
        let number = || value.parse::<u64>().ok();
        let size = || value.parse::<usize>().ok();
        match flag.as_str() {
            "--sequences" => o.sequences = number()?,
            "--seed" => o.seed = number()?,
            "--from" => o.from = number()?,
            "--jobs" => o.jobs = number().filter(|&n| n > 0)?,
            "--steps-min" => o.taste.steps.0 = size()?,
            "--steps-max" => o.taste.steps.1 = size()?,
            "--tick-one-in" => o.taste.tick_one_in = size().filter(|&n| n > 0)?,
            "--replay" => o.replay = Some(value),
            "--column" if value == "user" => o.column = Column::User,
            "--column" if value == "kernel" => o.column = Column::Kernel,
            _ => return None,
        }
    }
    (o.taste.steps.0 <= o.taste.steps.1).then_some(o)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    if let Some(file) = &options.replay {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        return Ok(replay(options.column, file, &text.parse()?));
    }
    for (name, sequence) in kept()? {
        if !replay(options.column, &name, &sequence) {
            return Ok(false);
        }
    }
    let start = Instant::now();
    let stop = AtomicBool::new(false);
    let results: Vec<(Tally, bool)> = std::thread::scope(|scope| {
        let stop = &stop;
        let jobs: Vec<_> =
            (0..options.jobs).map(|job| scope.spawn(move || work(options, job, stop))).collect();
        jobs.into_iter().map(|job| job.join().unwrap_or((Tally::default(), false))).collect()
    });
    let mut tally = Tally::default();
    results.iter().for_each(|(part, _)| tally.add(part));
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = tally.sequences as f64 / seconds;
    println!("seed {}: {tally}; {seconds:.1} s, {rate:.0} sequences/s", options.seed);
    Ok(results.iter().all(|(_, same)| *same))
}

/// One job's share, in slices, so that a finding of one soon stops the others.
fn work(options: &Options, job: u64, stop: &AtomicBool) -> (Tally, bool) {
    const SLICE: u64 = 64;
    stay_on_one_processor(job);
    let mut duel = Duel::new(options.column);
    let mut kinds = HashSet::new();
    let end = options.from + options.sequences;
    let mut at = options.from + job * SLICE;
    while at < end && !stop.load(Ordering::Relaxed) {
        let slice_end = (at + SLICE).min(end);
        let mut next = at;
        while let Some((n, finding)) = duel.run(options.seed, next, slice_end, 1, options.taste) {
            if kinds.insert(finding.kind()) {
                report(options.seed, n, &finding);
            }
            if !options.keep_going {
                stop.store(true, Ordering::Relaxed);
                return (duel.tally, false);
            }
            next = n + 1;
        }
        at += SLICE * options.jobs;
    }
    (duel.tally, kinds.is_empty())
}

fn report(seed: u64, n: u64, finding: &Finding) {
    println!("seed {seed} sequence {n}:\n{finding}");
    match keep(&format!("seed-{seed}-{n}"), finding) {
        Ok(path) => println!("kept as {}", path.display()),
        Err(error) => eprintln!("differential: not kept: {error}"),
    }
}

/// A job and its actors take turns and never run at once: on one processor each turn costs a third.
fn stay_on_one_processor(job: u64) {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = rustix::thread::CpuSet::new();
    set.set(usize::try_from(job).unwrap_or(0) % count);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

fn replay(column: Column, name: &str, sequence: &coseg_conformance::differential::step::Sequence) -> bool {
    let mut duel = Duel::new(column);
    match duel.fight(sequence) {
        Ok(()) => true,
        Err(difference) => {
            println!("{name}: {difference}\n{sequence}");
            false
        }
    }
}
