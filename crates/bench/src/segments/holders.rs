//! Processes that hold attachments while others are timed.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use coseg_sysv::{Backend, Kernel, ShmId, User};

use crate::{Outcome, calls};

/// The subcommand by which this program becomes a holder.
pub(crate) const HOLD: &str = "hold";

const PROCESS_LIMIT: u32 = 100;
const NO_ID: &str = "-";

/// Holders; dropped, they end and with them their attachments.
pub(super) struct Holders(Vec<Child>);

/// Starts up to a hundred processes that together hold this many attachments, on each backend where the
/// segment exists.
pub(super) fn start(count: u32, directory: &Path, ids: &[coseg_sysv::Result<ShmId>; 2]) -> Outcome<Holders> {
    let process_count = count.min(PROCESS_LIMIT);
    assert_eq!(count % process_count, 0, "every process holds as many");
    let ids = ids.each_ref().map(|id| id.as_ref().map_or(NO_ID.to_owned(), ShmId::to_string));
    let each = (0..process_count).map(|_| ids.clone());
    Holders::of(directory, each, count / process_count)
}

/// Starts so many processes that hold all of a backend's segments between them, each segment once.
pub(super) fn spread(process_count: usize, directory: &Path, ids: [Vec<ShmId>; 2]) -> Outcome<Holders> {
    let share = |ids: &[ShmId], process: usize| {
        let per_process = ids.len().div_ceil(process_count);
        let own: Vec<String> =
            ids.iter().skip(process * per_process).take(per_process).map(ShmId::to_string).collect();
        if own.is_empty() { NO_ID.to_owned() } else { own.join(",") }
    };
    let each = (0..process_count).map(|process| ids.each_ref().map(|ids| share(ids, process)));
    Holders::of(directory, each, 1)
}

impl Holders {
    /// One for each pair of lists of segments.
    fn of(directory: &Path, each: impl Iterator<Item = [String; 2]>, count: u32) -> Outcome<Holders> {
        let mut holders = Holders(Vec::new());
        for ids in each {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(HOLD).arg(directory).args(ids).arg(count.to_string());
            holders.0.push(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        }
        for holder in &mut holders.0 {
            let mut ready = [0];
            let stdout = holder.stdout.as_mut().ok_or("a holder without output")?;
            stdout.read_exact(&mut ready).map_err(|_| "a holder could not attach")?;
        }
        Ok(holders)
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        for holder in &mut self.0 {
            drop(holder.stdin.take());
        }
        for holder in &mut self.0 {
            let _ = holder.wait();
        }
    }
}

/// Attaches, says so, and stays until the standard input ends, which it does with the process that waits.
pub(crate) fn hold(directory: &Path, kernel_ids: &str, user_ids: &str, count: u32) -> Outcome {
    if kernel_ids != NO_ID {
        attach(&Kernel, kernel_ids, count)?;
    }
    if user_ids != NO_ID {
        attach(&User::at(directory)?, user_ids, count)?;
    }
    let mut out = std::io::stdout();
    out.write_all(b".")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn attach(backend: &dyn Backend, ids: &str, count: u32) -> Outcome {
    for id in ids.split(',') {
        let id = ShmId::new(id.parse()?);
        for _ in 0..count {
            calls::attach_for_life(backend, id)?;
        }
    }
    Ok(())
}
