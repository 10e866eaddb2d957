//! `coseg channel`: the channels of regions, looked at, listened to and sent to from the shell.

pub(super) mod ls;
pub(super) mod send;
pub(super) mod stat;
pub(crate) mod state;
pub(super) mod switch;
mod tail;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use coseg::schema::{Part, PartKind};
use coseg::{ErrorKind, Inspection, Participant};
use coseg_sysv::Stat;

use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{self, printable};
use crate::regions;

const EXAMPLES: &str = "\
Examples:
  coseg channel ls                              every channel of every region
  coseg channel stat name:desk orders           how full it is, and who is at its ends
  coseg channel tail name:desk prices           its messages, as JSON, a line each
  coseg channel tail name:desk orders --keep    those that wait there, left where they are
  coseg channel send name:desk orders '{\"trader\": 1, \"amount\": 500}'
  coseg channel tail name:market prices |
      jq -c --unbuffered 'select(.buy > 100) | {trader: 1, amount: 500}' |
      coseg channel send name:desk orders
What a message consists of is told by the region; the programs that made it are not needed.";

/// See the channels of regions, send to them and receive from them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Channel {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(ls::Ls),
    Stat(stat::StatArgs),
    Tail(tail::Tail),
    Send(send::Send),
    Close(switch::Close),
    Reopen(switch::Reopen),
}

impl Channel {
    /// Whether it leaves the region as it is.
    pub(super) fn only_looks(&self) -> bool {
        match &self.command {
            Command::Ls(_) | Command::Stat(_) => true,
            Command::Tail(args) => args.keeps(),
            Command::Send(_) | Command::Close(_) | Command::Reopen(_) => false,
        }
    }
}

pub(crate) fn run(args: &Channel, global: &Global) -> Result<ExitCode> {
    match &args.command {
        Command::Ls(args) => ls::run(args, global),
        Command::Stat(args) => stat::run(args, global),
        Command::Tail(args) => tail::run(args, global),
        Command::Send(args) => send::run(args, global),
        Command::Close(args) => switch::close(args, global),
        Command::Reopen(args) => switch::reopen(args, global),
    }
}

/// The channel of this name; without one, the only channel there is.
fn chosen<'a>(region: &'a Inspection, stat: &Stat, name: Option<&str>) -> Result<&'a Part> {
    regions::part_of_kind(region, stat, "channel", PartKind::is_channel, name)
}

/// A command about a channel, to be tried next.
fn command(name: &str, stat: &Stat, part: &Part) -> String {
    format!("coseg channel {name} id:{} {}", stat.id, printable(&part.name))
}

/// Of an end that was not to be had, with who has it.
fn no_end(stat: &Stat, part: &Part) -> impl Fn(coseg::Error) -> Failure {
    move |error| {
        let is_taken = *error.kind() == ErrorKind::InUse;
        let failure = Failure::from(error);
        if !is_taken {
            return failure;
        }
        let [shows, keeps] = ["stat", "tail"].map(|name| command(name, stat, part));
        failure.hint(format!("{shows}, which shows who; to look, {keeps} --keep takes no end"))
    }
}

/// Tells once of each peer that it died.
#[derive(Debug, Default)]
struct Obituaries {
    told: Option<(usize, u32)>,
}

impl Obituaries {
    fn tell(&mut self, who: &Participant, what_now: &str) {
        if self.told.replace((who.slot, who.generation)) != Some((who.slot, who.generation)) {
            output::note(&format!("{} died: {what_now}", printable(&who.to_string())));
        }
    }
}
