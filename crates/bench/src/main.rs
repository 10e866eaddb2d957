//! coseg measured side by side with its peers: every subcommand is one comparison.
//!
//! Where other programs run as well, a real-time priority keeps them off the CPU that is measured:
//! `chrt -f 1 coseg-bench segments`.

mod calls;
mod place;
mod report;
mod sample;
mod segments;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use lexopt::ValueExt as _;

use crate::sample::Plan;

const USAGE: &str = "usage: coseg-bench segments [--json] [--quick] [--cpu NUMBER]";

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
    let (mut json, mut plan, mut cpu) = (false, Plan::THOROUGH, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            lexopt::Arg::Long("json") => json = true,
            lexopt::Arg::Long("quick") => plan = Plan::QUICK,
            lexopt::Arg::Long("cpu") => cpu = Some(parser.value()?.string()?.parse()?),
            lexopt::Arg::Value(word) => words.push(word.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let report = match words[..] {
        ["segments"] => segments::run(&plan, cpu)?,
        [segments::HOLD, directory, kernel_id, user_id, count] => {
            return segments::hold(directory.as_ref(), kernel_id, user_id, count.parse()?);
        }
        _ => return Err(USAGE.into()),
    };
    let text = if json { report.json()? } else { report.markdown() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
