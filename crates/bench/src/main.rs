//! coseg measured side by side with its peers: every subcommand is one comparison.
//!
//! Where other programs run as well, a real-time priority keeps them off the CPU that is measured:
//! `chrt -f 1 coseg-bench segments`.

mod calls;
mod duel;
mod instructions;
mod library;
mod map;
mod messages;
mod place;
mod regions;
mod report;
mod sample;
mod segments;
mod table;
mod turn;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use lexopt::ValueExt as _;

use crate::duel::Terms;
use crate::sample::Plan;

const USAGE: &str = "usage: coseg-bench segments [--json] [--quick] [--cpu NUMBER]
       coseg-bench regions [--json] [--quick] [--cpu NUMBER,NUMBER] [--backend user|kernel]
       coseg-bench map [--json] [--quick] [--cpu NUMBER,NUMBER] [--backend user|kernel] [--row TEXT]
       coseg-bench messages [--json] [--quick] [--cpu NUMBER,NUMBER] [--backend user|kernel] [--row TEXT]
       coseg-bench instructions [--json] [--quick]";

/// The result of whatever may fail for several reasons.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coseg-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn program() -> Outcome {
    let mut words = Vec::new();
    let (mut json, mut plan, mut cpus, mut backend) = (false, Plan::THOROUGH, None, "user".to_owned());
    let mut row = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => {
                writeln!(std::io::stdout(), "{USAGE}")?;
                return Ok(());
            }
            lexopt::Arg::Long("json") => json = true,
            lexopt::Arg::Long("quick") => plan = Plan::QUICK,
            lexopt::Arg::Long("cpu") => cpus = Some(parser.value()?.string()?),
            lexopt::Arg::Long("backend") => backend = parser.value()?.string()?,
            lexopt::Arg::Long("row") => row = Some(parser.value()?.string()?),
            lexopt::Arg::Value(word) => words.push(word.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = match words[..] {
        ["segments"] => {
            let cpu = cpus.map(|cpu| cpu.parse()).transpose()?;
            let report = segments::run(&plan, cpu)?;
            if json { report.json()? } else { report.markdown() }
        }
        [name @ ("regions" | "map" | "messages")] if name != "regions" || row.is_none() => {
            let cpus = cpus.as_deref().map(two_numbers).transpose()?;
            let terms = Terms { plan, cpus, backend: &backend, row: row.as_deref() };
            let report = match name {
                "regions" => regions::run(terms),
                "map" => map::run(terms),
                _ => messages::run(terms),
            };
            let report = report?.of_row(row.as_deref())?;
            if json { report.json()? } else { report.markdown() }
        }
        ["instructions"] => {
            let report = instructions::run(&plan)?;
            if json { report.json()? } else { report.markdown() }
        }
        [instructions::PLAY, thing, first, second, directory] => {
            return instructions::play(thing, first.parse()?, second.parse()?, directory.as_ref());
        }
        [segments::HOLD, directory, kernel_id, user_id, count] => {
            return segments::hold(directory.as_ref(), kernel_id, user_id, count.parse()?);
        }
        _ => return Err(USAGE.into()),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Two CPUs as they are written on the command line.
fn two_numbers(text: &str) -> Outcome<[usize; 2]> {
    let (one, other) = text.split_once(',').ok_or("two CPUs: --cpu 0,1")?;
    Ok([one.parse()?, other.parse()?])
}
