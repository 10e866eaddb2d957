//! The processes beside the victim: survivors that look at what it left, waiters that were blocked on it, and
//! the means to start any of them as another run of the test program.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sys::{self, Pid};
use crate::watch::Watch;

const ROLE: &str = "COSEG_CRASH_ROLE";

/// A run of this test program that plays `role` in the `#[test]` function `test`, named with its modules.
///
/// ```no_run
/// use coseg_crash::{again, mark, role};
///
/// #[test]
/// fn player() {
///     match role().as_deref() {
///         Some("create") => {
///             // Set-up …
///             mark::begin();
///             // … the operation …
///             mark::end();
///         }
///         _ => {} // An ordinary test run.
///     }
/// }
///
/// let command = again("player", "create");
/// ```
#[must_use]
pub fn again(test: &str, role: &str) -> Command {
    let program = env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]);
    command.env(ROLE, role).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The role this process was started to play by [`again`], if any.
#[must_use]
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Runs a survivor to its end.
///
/// # Errors
/// It did not end within `limit` (it is killed then), or did not succeed: what it wrote to standard error is
/// in the message.
pub fn survive(command: Command, limit: Duration) -> std::result::Result<Output, String> {
    let name = format!("{command:?}");
    let survivor = Beside::start(command, limit).map_err(|error| error.to_string())?;
    survivor.join().map_err(|why| format!("{name}: {why}"))
}

/// A process beside the victim, with a time limit.
#[derive(Debug)]
pub(crate) struct Beside {
    child: Option<Child>,
    group: Pid,
    watch: Watch,
    limit: Duration,
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            sys::kill(-self.group);
            // Reaped, so that no zombie is left; an error means there is nothing to wait for.
            let _ = child.wait();
        }
    }
}

impl Beside {
    pub(crate) fn start(mut command: Command, limit: Duration) -> Result<Self> {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::die_with_parent(&mut command);
        let child = command.spawn().map_err(Error::io(format!("start {command:?}")))?;
        let group = Pid::try_from(child.id()).unwrap_or(Pid::MAX);
        Ok(Self { child: Some(child), group, watch: Watch::new(group, limit), limit })
    }

    /// Waits for its end.
    pub(crate) fn join(mut self) -> std::result::Result<Output, String> {
        let child = self.child.take().ok_or("joined before")?;
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if self.watch.has_fired() {
            return Err(format!("did not end within {:?}", self.limit));
        }
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", output.status, said.trim()))
    }

    /// True once it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.group)).unwrap_or_default();
        !stat.contains(") ") || stat.contains(") Z")
    }

    /// True when it has ended, or all its threads sleep in the kernel.
    fn is_settled(&self) -> bool {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.group)) else { return true };
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default();
            state.starts_with(['S', 'Z', 'X'])
        })
    }
}

/// Starts `count` waiters and gives them time to block, or to end.
pub(crate) fn start_waiters(
    count: u32,
    limit: Duration,
    command: &dyn Fn() -> Command,
) -> Result<Vec<Beside>> {
    let waiters = (0..count).map(|_| Beside::start(command(), limit)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let mut quiet = 0;
    // Asleep at several looks in a row: one look may fall on a page being read in.
    while quiet < 5 && start.elapsed() < limit / 2 {
        thread::sleep(Duration::from_millis(2));
        quiet = if waiters.iter().all(Beside::is_settled) { quiet + 1 } else { 0 };
    }
    Ok(waiters)
}
