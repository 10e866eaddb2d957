//! What the kernel does, row by row, asked of both backends.
//!
//! Every behaviour of System V shared memory that a C program can see is one row, and every row one function
//! that runs twice: on the kernel, which is right by definition, and on the user backend. A [`lab::Lab`] is a
//! fresh world for one test; its [`actor::Actor`]s are processes that make C calls when told to.

pub mod actor;
pub mod differential;
pub mod errno;
pub mod lab;
pub mod mask;
pub mod names;
pub mod protocol;
pub mod race;
pub mod random;
pub mod rows;
pub mod stat;
