//! What the worked programs have in common.
//!
//! The raw ones do what the tutorials on System V shared memory do: bytes at fixed offsets and no lock. Each has a
//! twin in C, in `c/`, that takes the same arguments, prints the same lines, and finds the same segment.
//!
//! The safe ones do the same with regions. `coseg demo` shows the raw and the safe exchange side by side. Two more do it
//! with channels.

pub mod books;
pub mod bytes;
pub mod cli;
pub mod floor;
pub mod floor_storm;
pub mod office;
pub mod orders;
mod player;
pub mod safe_office;
pub mod storm;
