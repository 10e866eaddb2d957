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
    let [kernel_id, user_id] =
        ids.each_ref().map(|id| id.as_ref().map_or(NO_ID.to_owned(), ShmId::to_string));
    let mut holders = Holders(Vec::new());
    for _ in 0..process_count {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(HOLD).arg(directory).args([&kernel_id, &user_id, &(count / process_count).to_string()]);
        holders.0.push(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    }
    for holder in &mut holders.0 {
        let mut ready = [0];
        let stdout = holder.stdout.as_mut().ok_or("a holder without output")?;
        stdout.read_exact(&mut ready).map_err(|_| "a holder could not attach")?;
    }
    Ok(holders)
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
pub(crate) fn hold(directory: &Path, kernel_id: &str, user_id: &str, count: u32) -> Outcome {
    if kernel_id != NO_ID {
        attach(&Kernel, kernel_id, count)?;
    }
    if user_id != NO_ID {
        attach(&User::at(directory)?, user_id, count)?;
    }
    let mut out = std::io::stdout();
    out.write_all(b".")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn attach(backend: &dyn Backend, id: &str, count: u32) -> Outcome {
    let id = ShmId::new(id.parse()?);
    for _ in 0..count {
        calls::attach_for_life(backend, id)?;
    }
    Ok(())
}
