//! `coseg channel close` and `reopen`.

use std::process::ExitCode;

use clap::Args;
use coseg::UntypedChannel;
use schemars::JsonSchema;
use serde::Serialize;

use super::state::NamedChannel;
use crate::args::Global;
use crate::failure::Result;
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions;
use crate::selector::Selector;
use crate::view::{View, title};

const CLOSE_EXAMPLES: &str = "\
Examples:
  coseg channel close name:desk orders
  coseg channel close name:desk orders --dry-run     what is in it, and who would be told
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
    /// Say what is there, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    dry_run: bool,
    /// As it was found.
    before: Option<&'a NamedChannel>,
}

pub(crate) fn close(args: &Close, global: &Global) -> Result<ExitCode> {
    switch(&args.which, global, ["would close", "closed"], UntypedChannel::close)
}

pub(crate) fn reopen(args: &Reopen, global: &Global) -> Result<ExitCode> {
    switch(&args.which, global, ["would reopen", "reopened"], UntypedChannel::reopen)
}

fn switch(
    which: &Which,
    global: &Global,
    [would, done]: [&str; 2],
    switch: impl FnOnce(&UntypedChannel) -> coseg::Result<()>,
) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = which.selector.one(&view)?.stat;
    let dry_run = which.dry_run;
    let region = if dry_run { regions::look(&view, &stat)? } else { regions::join(&view, &stat)? };
    let part = super::chosen(&region, &stat, which.channel.as_deref())?;
    let before = NamedChannel::of_part(&region, &part.name);
    if !dry_run {
        switch(&region.channel(&part.name)?)?;
    }
    if global.json {
        let (origin, id) = (Origin::of(&view.facility), stat.id.raw());
        output::print_json(&Document { origin, id, dry_run, before: before.as_ref() })?;
    } else {
        let verb = if dry_run { would } else { done };
        let state = before.map(|before| format!(": {}", before.state.sentence())).unwrap_or_default();
        output::print(&format!("{verb} `{}` of {}{state}\n", printable(&part.name), title(&stat)))?;
    }
    Ok(ExitCode::SUCCESS)
}
