//! What one process does in a turn.

use serde::{Deserialize, Serialize};

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Job {
    /// Take the lock, give it back.
    Lock,
    /// Take the lock, add one to a plain number, give it back.
    Increment,
    /// Take the lock for reading, give it back.
    LockToRead,
    /// Take the lock for writing, give it back.
    LockToWrite,
    /// Copy the value and see that it is whole.
    Read,
    /// Replace the value, as often as possible.
    Write,
    /// Replace the value once in a microsecond.
    WritePaced,
    /// Change a copy of the value and put it back.
    Update,
    /// Change two values together.
    Transaction,
    /// Copy two values of one moment.
    Snapshot,
    /// Send a signal, look again and again for the answer.
    PingSpinning,
    /// Send a signal, sleep until the answer.
    PingSleeping,
    /// Answer signals, looking again and again.
    PongSpinning,
    /// Answer signals, asleep between them.
    PongSleeping,
}
