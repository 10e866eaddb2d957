//! `coseg chmod`: permission bits.

use std::process::ExitCode;

use clap::Args;
use coseg_sysv::{Change, Mode};

use super::for_each;
use crate::args::Global;
use crate::commands::create::parse_mode;
use crate::failure::Result;
use crate::selector::Selector;
use crate::view::{View, named};

const EXAMPLES: &str = "\
Examples:
  coseg chmod 660 0x4242          the owner and the group read and write
  coseg chmod 644 id:3 id:7       others may read
Who is attached already stays attached, with the access it has.";

/// Change who may attach
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chmod {
    /// Permission bits, in octal; letters as in chmod(1) are not taken
    #[arg(value_parser = parse_mode)]
    mode: Mode,
    /// The segments
    #[arg(required = true, value_name = "SEGMENT")]
    selectors: Vec<Selector>,
}

pub(crate) fn run(args: &Chmod, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    for_each(&args.selectors, |selector| {
        for listed in selector.all(&view)? {
            let stat = &listed.stat;
            view.segment(stat)
                .set(Change { uid: stat.uid, gid: stat.gid, mode: args.mode })
                .map_err(named(stat))?;
        }
        Ok(())
    })
}
