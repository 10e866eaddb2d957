//! `coseg`: System V shared memory at the command line, on the kernel's facility and on the user-space one.

mod args;
mod backend;
mod commands;
mod failure;
mod filter;
mod output;
mod people;
mod process;
mod program;
mod record;
mod selector;
mod size;
mod table;
mod time;
mod view;
mod who;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    output::set_color(args::color_of(std::env::args_os()));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    output::set_color(cli.global.color);
    match commands::run(&cli.command, &cli.global) {
        Ok(code) => code,
        Err(failure) => report(&cli.command, &failure),
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

fn report(command: &Command, failure: &Failure) -> ExitCode {
    if failure.is_silent() {
        return ExitCode::from(failure.code());
    }
    output::complain(&failure.to_string());
    let code = match (command, failure.code()) {
        (Command::Run(_), failure::ERROR) => failure::RUN_FAILED,
        (_, code) => code,
    };
    ExitCode::from(code)
}
