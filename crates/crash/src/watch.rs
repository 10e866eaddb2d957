//! A time limit on a process group: what does not end is killed.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::sys::{self, Pid};

/// SIGKILLs a process group when a time has passed, unless dropped before.
///
/// A tracer blocks in waitpid, which has no time-out; a kill is what brings it back.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Watching,
    Fired,
    Over,
}

impl Watch {
    pub(crate) fn new(group: Pid, limit: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let phase = theirs.phase.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut phase, _) = theirs
                .changed
                .wait_timeout_while(phase, limit, |phase| *phase == Phase::Watching)
                .unwrap_or_else(PoisonError::into_inner);
            // Killed with the lock held, so that a finished watch never reaches a later group of this id.
            if *phase == Phase::Watching {
                *phase = Phase::Fired;
                sys::kill(-group);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// True once the time limit has killed the group.
    pub(crate) fn has_fired(&self) -> bool {
        *self.shared.phase.lock().unwrap_or_else(PoisonError::into_inner) == Phase::Fired
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut phase = self.shared.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == Phase::Watching {
            *phase = Phase::Over;
        }
        drop(phase);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in the watch thread has nothing left to undo.
            let _ = thread.join();
        }
    }
}
