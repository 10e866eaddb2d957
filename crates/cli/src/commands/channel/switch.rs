//! `coseg channel close` and `reopen`.

use std::process::ExitCode;

use clap::Args;
use coseg::UntypedChannel;

use crate::args::Global;
use crate::failure::Result;
use crate::regions;
use crate::selector::Selector;
use crate::view::View;

const CLOSE_EXAMPLES: &str = "\
Examples:
  coseg channel close name:desk orders
Nothing more is sent from then on, by whomever. Receivers get what was sent before, and are told \
then; coseg channel tail ends.";

const REOPEN_EXAMPLES: &str = "\
Examples:
  coseg channel reopen name:desk orders";

/// Close a channel: nothing more is sent, and receivers end once they have all
#[derive(Debug, Args)]
#[command(after_help = CLOSE_EXAMPLES)]
pub(crate) struct Close {
    #[command(flatten)]
    which: Which,
}

/// Open a closed channel again
#[derive(Debug, Args)]
#[command(after_help = REOPEN_EXAMPLES)]
pub(crate) struct Reopen {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The channel; may be left out where the region has one
    channel: Option<String>,
}

pub(crate) fn close(args: &Close, global: &Global) -> Result<ExitCode> {
    switch(&args.which, global, UntypedChannel::close)
}

pub(crate) fn reopen(args: &Reopen, global: &Global) -> Result<ExitCode> {
    switch(&args.which, global, UntypedChannel::reopen)
}

fn switch(
    which: &Which,
    global: &Global,
    switch: impl FnOnce(&UntypedChannel) -> coseg::Result<()>,
) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = which.selector.one(&view)?.stat;
    let region = regions::join(&view, &stat)?;
    let part = super::chosen(&region, &stat, which.channel.as_deref())?;
    switch(&region.channel(&part.name)?)?;
    Ok(ExitCode::SUCCESS)
}
