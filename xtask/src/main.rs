//! What a contributor runs: `cargo xtask COMMAND`.

mod browser;
mod build;
mod charts;
mod dist;
mod guard;
mod instrumented;
mod markup;
mod mutants;
mod programs;
mod recording;
mod run;
mod storm;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  programs [--backend user|kernel] [NAME…]   unmodified programs on a backend; installs what they need, as root
  browser [--screenshots DIR] [--accept]     the page of coseg serve in a real browser; installs what it needs, as root;
                                             --accept takes how it looks now as how it should look
  charts FILE… [--to DIR]                    what coseg-bench measured (--json), drawn: docs/charts
  recording [--to FILE]                      coseg top at work, as a picture that moves: docs/top.svg
  dist --to DIR                              what a package installs, under this prefix
  guard                                      tests of the write guard, on an emulated CPU; installs what they need, as root
  mutants [--share K/N] [NAME…]              known mistakes, each of which a test must find; as root
  storm [--kills N] [--seed N] [--jobs N]    processes on one region, killed at random
  histories [--count N] [--seed N] [--jobs N] [--messages N]
                                             processes at channels and a map, killed and stopped; all they did is judged
  fuzz [--seconds N] [INPUT…]                arbitrary bytes as a region; wants a C++ compiler
  asan [TEST…]                               the hostile peer's tests under AddressSanitizer
";

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> anyhow::Result<()> {
    let mut words = lexopt::Parser::from_env();
    let name = match words.next()? {
        Some(lexopt::Arg::Value(name)) => name,
        Some(lexopt::Arg::Short('h') | lexopt::Arg::Long("help")) | None => {
            print!("{HELP}");
            return Ok(());
        }
        Some(other) => return Err(other.unexpected().into()),
    };
    match name.to_str() {
        Some("programs") => programs::command(words),
        Some("browser") => browser::command(words),
        Some("charts") => charts::command(words),
        Some("recording") => recording::command(words),
        Some("dist") => dist::command(words),
        Some("guard") => guard::command(words),
        Some("mutants") => mutants::command(words),
        Some("fuzz") => instrumented::fuzz(words),
        Some("asan") => instrumented::asan(words),
        Some("storm") => storm::command(words),
        Some("histories") => storm::histories(words),
        _ => anyhow::bail!("no command {}\n{HELP}", name.display()),
    }
}
