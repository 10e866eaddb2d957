//! A process that plays a part in a storm, and never outlives its value.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::cli::Outcome;

/// One who has done nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Player {
    /// How reports name it.
    name: String,
    child: Child,
    /// What it has done, as far as that is seen.
    done_count: u64,
    silent_since: Instant,
}

impl Drop for Player {
    fn drop(&mut self) {
        // Both fail where it ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Player {
    pub(crate) fn new(child: Child, name: String) -> Player {
        Player { name, child, done_count: 0, silent_since: Instant::now() }
    }

    /// SIGKILL. Replaced or dropped, it is buried too.
    pub(crate) fn kill(&mut self) -> Outcome {
        Ok(self.child.kill()?)
    }

    fn title(&self) -> String {
        format!("{} (pid {})", self.name, self.child.id())
    }

    /// What is wrong with it, if anything. Who has done more than at the last look does not hang.
    pub(crate) fn fault(&mut self, done_count: u64) -> Outcome<Option<String>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(format!("{} ended by itself: {status}", self.title())));
        }
        if done_count != self.done_count {
            (self.done_count, self.silent_since) = (done_count, Instant::now());
        }
        let silent = self.silent_since.elapsed();
        Ok((silent > PATIENCE).then(|| format!("{} hangs since {silent:.1?}", self.title())))
    }

    /// Waits for its end, after it was told to go.
    pub(crate) fn leave(mut self) -> Outcome<Option<String>> {
        let since = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(None),
                Some(status) => return Ok(Some(format!("{} failed: {status}", self.title()))),
                None if since.elapsed() > PATIENCE => {
                    return Ok(Some(format!("{} hangs in a closed office", self.title())));
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}
