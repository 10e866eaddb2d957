//! `coseg completions`: what a shell needs to complete commands and flags.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Result;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  coseg completions bash > /etc/bash_completion.d/coseg
  coseg completions zsh > ~/.zfunc/_coseg
  coseg completions fish > ~/.config/fish/completions/coseg.fish";

/// Print a shell's completion script
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "coseg", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
