//! The processes of a server: those that work in its data directory.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::run::run;

/// Pids of the processes whose working directory this is.
pub(crate) fn working_in(directory: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A zombie has no working directory any more.
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory))
        .collect()
}

/// Sends this signal to these processes, by name as kill(1) knows it. One that is gone meanwhile is no error.
pub(crate) fn signal(name: &str, pids: &[u32]) -> Result<()> {
    for pid in pids {
        let sent = run(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()));
        if Path::new(&format!("/proc/{pid}/cwd")).read_link().is_ok() {
            sent?;
        }
    }
    Ok(())
}

/// Waits until it is so, asking every 20 ms; the last answer is told when it never is.
pub(crate) fn until<T>(what: &str, timeout_s: u64, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(timeout_s);
    loop {
        let answer = ask();
        match answer {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() >= end => bail!("{what}: not within {timeout_s} s"),
            Err(error) if Instant::now() >= end => {
                return Err(error.context(format!("{what}: not within {timeout_s} s")));
            }
            _ => sleep(Duration::from_millis(20)),
        }
    }
}
