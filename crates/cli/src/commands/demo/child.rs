//! The demo's other processes: this program, started again by itself.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use coseg::Key;
use coseg_examples::{safe_office, storm};
use coseg_sysv::{Attachment, Backend, Kernel, Segment, ShmId, User};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::{alphabet, exchange};
use crate::failure::{Failure, Result};

/// The word that makes this program one of the demo's other processes.
pub(super) const WORD: &str = "demo-child";

/// A part in the demo. Not one of the tool's commands, so that no help and no completion offers it.
#[derive(Debug, Parser)]
#[command(name = WORD)]
struct DemoChild {
    #[arg(value_enum)]
    role: Role,
    /// The segment's id, or the region's key.
    #[arg(long, allow_hyphen_values = true)]
    at: i32,
    #[arg(long)]
    slot: usize,
    #[arg(long)]
    parent: i32,
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Producer,
    Consumer,
    Trader,
    SafeTrader,
}

/// Plays the part that the command line names; nothing if it names none.
pub(crate) fn play_if_asked() -> Option<Result<ExitCode>> {
    let mut words = std::env::args_os().skip(1).peekable();
    words.next_if(|word| word == WORD)?;
    Some(match DemoChild::try_parse_from(std::iter::once(WORD.into()).chain(words)) {
        Ok(args) => play(&args),
        Err(error) => Err(Failure::error(format!("demo: {error}"))),
    })
}

fn play(args: &DemoChild) -> Result<ExitCode> {
    let backend: Arc<dyn Backend> = match &args.dir {
        Some(directory) => Arc::new(User::at(directory)?),
        None => Arc::new(Kernel),
    };
    if matches!(args.role, Role::SafeTrader) {
        trade_safely(args, &backend)
            .map_err(|error| Failure::error(format!("demo: trader {}: {error}", args.slot + 1)))?;
        return Ok(ExitCode::SUCCESS);
    }
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::io("demo: die with the parent", &error.into()))?;
    // It may have died before it could be a cause of death.
    if getppid().map(rustix::process::Pid::as_raw_nonzero).map(i32::from) != Some(args.parent) {
        return Ok(ExitCode::FAILURE);
    }
    let memory = Segment::of_id(&backend, ShmId::new(args.at)).attach()?;
    match args.role {
        Role::Producer => alphabet::produce(&memory)?,
        Role::Consumer => alphabet::consume(&memory)?,
        Role::Trader | Role::SafeTrader => exchange::trade(&memory, args.slot)?,
    }
    memory.detach()?;
    Ok(ExitCode::SUCCESS)
}

/// Such a trader does not die with the demo: it is the one who then removes the office.
fn trade_safely(args: &DemoChild, backend: &Arc<dyn Backend>) -> Result<(), Box<dyn std::error::Error>> {
    let office = safe_office::open(backend, Key::new(args.at), "trader")?;
    storm::trade_until_closed(&office, args.slot, args.parent.cast_unsigned())
}

/// Tells the parent something, at once.
pub(super) fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Waits until the segment shows what is hoped for; gives up after five seconds, as the other side is gone then.
pub(super) fn wait_until(
    memory: &Attachment,
    mut met: impl FnMut(&Attachment) -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !met(memory)? {
        if Instant::now() > deadline {
            return Err(Failure::error("demo: ETIMEDOUT: the other process did not answer"));
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    Ok(())
}

/// Nanoseconds on the clock that all processes of this machine share.
pub(super) fn clock() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}
