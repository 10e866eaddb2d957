//! `coseg man`: the manual, made of the same table as the help.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::failure::{Failure, Result};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  coseg man | man -l -                      read it now
  coseg man --dir /usr/local/share/man/man1  one page for each command";

/// Print the manual page, or write one page for each command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Man {
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Man) -> Result<ExitCode> {
    match &args.dir {
        Some(directory) => {
            let what = format!("write manual pages to {}", directory.display());
            std::fs::create_dir_all(directory).map_err(|error| Failure::io(&what, &error))?;
            clap_mangen::generate_to(Cli::command(), directory)
                .map_err(|error| Failure::io(&what, &error))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            output::print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
