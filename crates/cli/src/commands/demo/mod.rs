//! `coseg demo`: two programs of the textbooks, on each backend, with real processes and real numbers; and the second
//! of them again as it should be.

mod alphabet;
pub(crate) mod child;
mod exchange;
mod safe;
mod stage;
mod tables;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coseg_sysv::{Backend, BackendName, Kernel};
use schemars::JsonSchema;
use serde::Serialize;

use self::alphabet::Alphabet;
use self::exchange::Storm;
use self::safe::SafeStorm;
use self::stage::Stage;
use self::tables::Live;
use crate::args::Global;
use crate::failure::{Failure, NOTHING, Result};
use crate::output::{self, BAD, BOLD, DIM, GOOD, NAME, paint};
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  coseg demo
  coseg demo --backend user          on the user-space backend alone
  coseg demo --traders 8 --seconds 5
  coseg demo --json                  the numbers, for a program
It takes under fifteen seconds, touches no segment of yours, and leaves nothing behind.";

/// See it work: sharing, losing, and losing nothing, in fifteen seconds
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Processes that trade at once
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    traders: u16,
    /// How long they trade each time: raw and safe, on each backend
    #[arg(long, default_value = "2.5", value_parser = parse_seconds)]
    seconds: Duration,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
pub(crate) struct Document {
    skipped: Vec<Skipped>,
    alphabet: Vec<Alphabet>,
    exchange: Vec<Storm>,
    safe_exchange: Vec<SafeStorm>,
    left_behind: Vec<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Skipped {
    backend: &'static str,
    reason: String,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("write a number of seconds from 0.1 to 60".to_owned()),
    }
}

pub(crate) fn run(args: &Demo, global: &Global) -> Result<ExitCode> {
    let stop = Stop::on_signals("demo")?;
    let mut document = Document::default();
    let say = |line: String| if global.json { Ok(()) } else { output::print(&format!("{line}\n")) };

    say(paint(BOLD, "coseg demo"))?;
    say(paint(DIM, "two programs of the textbooks, with real processes in real shared memory"))?;
    let mut stages = stages(global, &mut document)?;
    for skipped in &document.skipped {
        say(format!("\n{} skipped: {}", paint(NAME, skipped.backend), skipped.reason))?;
    }

    say(format!("\n{}", paint(BOLD, "1  Alphabet: one process writes, another reads and answers")))?;
    for stage in &mut stages {
        let alphabet = alphabet::play(stage, &stop)?;
        say(String::new())?;
        for (index, line) in alphabet.lines().into_iter().enumerate() {
            let name = if index == 0 { stage.name } else { "" };
            say(format!("   {} {line}", paint(NAME, format!("{name:<7}"))))?;
        }
        document.alphabet.push(alphabet);
    }

    let traders = usize::from(args.traders);
    let title = format!("2  Exchange: {traders} processes trade at once, raw and safe");
    say(format!("\n{}", paint(BOLD, title)))?;
    say(paint(DIM, "   raw:  each trade reads a stock, adds 1 and writes it back, without a lock"))?;
    let kill_every = safe::KILL_EVERY.as_millis();
    let words =
        format!("   safe: a transaction over board and ledger; a kill -9 every {kill_every} ms or so");
    say(paint(DIM, words))?;
    for stage in &mut stages {
        let mut live = Live::new(!global.json, args.seconds);
        let storm = exchange::play(stage, &stop, traders, args.seconds, |storm| live.show(&storm.picture()))?;
        live.finish(&storm.picture())?;
        document.exchange.push(storm);

        let mut live = Live::new(!global.json, args.seconds);
        let storm = safe::play(stage, &stop, traders, args.seconds, |picture| live.show(&picture))?;
        live.finish(&storm.picture())?;
        document.safe_exchange.push(storm);
    }

    document.left_behind = stages.into_iter().flat_map(Stage::leftovers).collect();
    if global.json {
        output::print_json(&document)?;
    } else {
        output::print(&conclusion(&document))?;
    }
    let whole = document.alphabet.iter().all(Alphabet::is_whole)
        && document.safe_exchange.iter().all(SafeStorm::is_whole)
        && document.left_behind.is_empty();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(NOTHING) })
}

fn stages(global: &Global, document: &mut Document) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    if global.backend != Some(BackendName::User) {
        match Kernel.limits() {
            Ok(_) => stages.push(Stage::kernel()),
            Err(error) if global.backend.is_none() => {
                let reason = format!("this kernel has no System V shared memory ({})", error.errno());
                document.skipped.push(Skipped { backend: "kernel", reason });
            }
            Err(error) => return Err(Failure::from(error)),
        }
    }
    if global.backend != Some(BackendName::Kernel) {
        stages.push(Stage::user()?);
    }
    Ok(stages)
}

/// What was seen, in plain English and with the numbers of this very run.
fn conclusion(document: &Document) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, "What this showed"));
    let mut line = |words: String| text.push_str(&format!("   {words}\n"));
    if document.alphabet.iter().all(Alphabet::is_whole) {
        line("Two processes passed 26 letters and an answer through a segment. Nothing was".into());
        line("sent: what the one writes is what the other reads.".into());
    } else {
        line(paint(BAD, "A consumer did not read what its producer wrote. Please report this fault."));
    }
    for (raw, safe) in document.exchange.iter().zip(&document.safe_exchange) {
        line(format!("{} raw:  {}", paint(NAME, format!("{:<7}", raw.backend())), raw.verdict()));
        for (index, words) in safe.verdict().into_iter().enumerate() {
            line(format!("{:<7} {:<5} {words}", "", if index == 0 { "safe:" } else { "" }));
        }
    }
    if document.exchange.iter().any(|storm| storm.lost() > 0.0) {
        line("Raw, nothing crashed and nobody was told: two traders read the same stock,".into());
        line("both added 1, and the second wrote over the first.".into());
    }
    if document.safe_exchange.iter().all(SafeStorm::is_whole) {
        line("Safe, every stock is its opening plus the ledger, to the unit. It was so at".into());
        line("every look while they traded and died, and each trader's row follows from".into());
        line("its orders, done over again.".into());
    }
    if document.left_behind.is_empty() {
        let segments = document.alphabet.len() + document.exchange.len() + document.safe_exchange.len();
        let segments = output::count(segments as u64, "segment was", "segments were");
        line(format!("{} {segments} made and none is left.", paint(GOOD, "Nothing is left behind:")));
    } else {
        line(format!("{} {}", paint(BAD, "Left behind, which is a fault:"), document.left_behind.join(", ")));
    }
    text.push_str(&paint(DIM, "   Next: coseg create --key 0x4242 --size 4K, coseg ls, coseg --help"));
    text.push('\n');
    text
}
