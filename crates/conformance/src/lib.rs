//! What the kernel does, row by row, asked of both backends.
//!
//! Every behaviour of System V shared memory that a C program can see is one row of [`rows::ROWS`], and every row
//! the user backend reaches is one function that runs twice: on the kernel, which is right by definition, and on
//! the user backend. A [`lab::Lab`] is a fresh world for one test; its [`actor::Actor`]s are processes that make
//! C calls when told to, through the C library's names, so that the drop-in library can stand in for the kernel.
//!
//! ```no_run
//! use coseg_conformance::lab::{Column, Lab};
//! use coseg_conformance::names::IPC_CREAT;
//!
//! let lab = Lab::new(Column::Kernel);
//! let (a, b) = (lab.actor(), lab.actor());
//! let id = a.get(7, 4096, IPC_CREAT | 0o600).expect("shmget");
//! let (here, there) = (a.attach(id), b.attach(id));
//! a.poke(here, b"hello").expect("writable");
//! assert_eq!(b.peek(there, 5).expect("readable"), b"hello");
//! b.kill();
//! assert_eq!(a.nattch(id), 1);
//! ```
//!
//! [`differential`] drives both with the same random calls, [`race`] with the same call at the same instant.
//! The tests need root, for other users and namespaces of their own, and the binaries `actor` and `coseg` and
//! the drop-in library beside them: `cargo build --workspace` puts them there.

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
