//! `coseg man`: the manual, made of the same table as the help.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

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
pub(crate) struct ManArgs {
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs) -> Result<ExitCode> {
    match &args.dir {
        Some(directory) => {
            let what = format!("write manual pages to {}", directory.display());
            std::fs::create_dir_all(directory).map_err(|error| Failure::io(&what, &error))?;
            let mut command = Cli::command().disable_help_subcommand(true);
            command.build();
            write(&command, directory).map_err(|error| Failure::io(&what, &error))?;
        }
        None => {
            output::print(&text(&page(Cli::command()))?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a page of the command, and one of each command below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, directory)?;
    }
    let page = page(command.clone());
    std::fs::write(directory.join(page.get_filename()), text(&page)?)
}

fn page(command: Command) -> Man {
    Man::new(command).source(concat!("coseg ", env!("CARGO_PKG_VERSION")))
}

/// What is beyond ASCII is written as roff's own escapes, which need no preprocessor.
fn text(page: &Man) -> io::Result<String> {
    let mut bytes = Vec::new();
    page.render(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .chars()
        .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) })
        .collect())
}
