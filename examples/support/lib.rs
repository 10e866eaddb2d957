//! What the worked programs have in common. They do what the tutorials on System V shared memory do, in the
//! raw form: bytes at fixed offsets and no lock.
//!
//! Each program has a twin in C, in `c/`, that takes the same arguments, prints the same lines, and finds the
//! same segment.

pub mod bytes;
pub mod cli;
pub mod office;
