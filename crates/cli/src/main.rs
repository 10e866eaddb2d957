//! `coseg`: System V shared memory at the command line, on the kernel's facility and on the user-space one.

mod args;
mod backend;
mod columns;
mod commands;
mod container;
mod contents;
mod dumpfile;
mod extents;
mod failure;
mod filter;
mod foreign;
mod image;
mod input;
mod live;
mod namespaces;
mod opened;
mod output;
mod parse;
mod peek;
mod people;
mod process;
mod program;
mod record;
mod regions;
mod selector;
mod size;
mod span;
mod stop;
mod table;
mod time;
mod told;
mod value;
mod view;
mod who;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    if let Some(result) = commands::demo::child::play_if_asked() {
        return result.unwrap_or_else(|failure| report(&failure, false));
    }
    output::set_color(args::color_of(std::env::args_os()));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    output::set_color(cli.global.color);
    match commands::run(&cli.command, &cli.global) {
        Ok(code) => code,
        Err(failure) => report(&failure, matches!(cli.command, Command::Run(_))),
    }
}

/// Usage errors are 2, but 125 before `run`, whose other codes are the program's own.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when this fails.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let runs = args::subcommand_of(std::env::args_os()).is_some_and(|name| name == "run");
    ExitCode::from(if runs { failure::RUN_FAILED } else { failure::ERROR })
}

fn report(failure: &Failure, runs: bool) -> ExitCode {
    if !failure.is_silent() {
        output::complain(&failure.to_string());
    }
    match failure.code() {
        failure::ERROR if runs => ExitCode::from(failure::RUN_FAILED),
        code => ExitCode::from(code),
    }
}
