//! Kills a process at every instruction boundary that matters, and checks what is left.
//!
//! An operation on files or shared memory that claims to survive SIGKILL is held to it: it runs once unkilled,
//! one instruction at a time, and all that a kill would leave behind is hashed at each. Then, for every
//! distinct state so found and for every entry to and exit from a system call, it runs again in a new world up
//! to that very point, is killed there, and a check looks at the world. If the operation has a recovery, that
//! is killed at each of *its* points too: a recovery that is right unless it dies itself is a common mistake.
//!
//! | Word | Meaning |
//! |---|---|
//! | world | what an operation works on: a directory, a segment; made anew for every kill |
//! | victim | the process that runs the operation, between [`mark::begin`] and [`mark::end`] |
//! | point | a place in the operation where a kill is made |
//! | survivor | a process the check runs afterwards |
//! | waiter | a process blocked on the victim when it dies |
//!
//! # Example
//!
//! The victims, survivors and waiters are runs of the same test program, which plays a role when told to:
//!
//! ```no_run
//! use std::process::Command;
//! use std::time::Duration;
//! use std::{env, fs};
//!
//! use coseg_crash::{Changes, Scratch, Trial, again, mark, role, survive};
//!
//! #[test]
//! fn player() {
//!     let Some(role) = role() else { return };
//!     let file = env::var("WORLD").unwrap() + "/greeting";
//!     match role.as_str() {
//!         "write" => {
//!             mark::begin();
//!             let aside = file.clone() + ".new";
//!             fs::write(&aside, "hello").unwrap();
//!             fs::rename(aside, file).unwrap();
//!             mark::end();
//!         }
//!         "read" => assert!(["", "hello"].contains(&fs::read_to_string(file).unwrap_or_default().as_str())),
//!         role => panic!("{role}?"),
//!     }
//! }
//!
//! fn play(role: &str, world: &Scratch) -> Command {
//!     let mut command = again("player", role);
//!     command.env("WORLD", world.path());
//!     command
//! }
//!
//! # fn main() {
//! Trial::new("write", Scratch::new, |world| play("write", world))
//!     .observe(Changes::OnSyscall, |world, seen| seen.directory(world.path(), |_, _| {}))
//!     .check(|world, _death| {
//!         survive(play("read", world), Duration::from_secs(5)).map(drop)
//!     })
//!     .random_kills(20, 1)
//!     .run()
//!     .unwrap()
//!     .assert_whole();
//! # }
//! ```
//!
//! # What makes a run repeatable
//!
//! Points are found again by counting: system call stops at full speed, then single steps; of these most are saved by a
//! breakpoint at the last place before the point where the first run was for the first time. Addresses are fixed
//! where personality(2) is permitted. A run that does not come to the same state at the same place is repeated
//! twice and then reported as [`Fault::NotReproducible`], never left out. So an operation's path should not
//! depend on process ids, times or random numbers; with [`Changes::OnSyscall`] only the sequence of its system
//! calls matters. Bytes that differ from run to run are told apart by [`Seen`].
//!
//! # Limits
//!
//! Linux on x86-64; on other architectures only where single steps do not starve atomic instructions (AArch64
//! needs its LSE atomics). A victim's processes must stay in the process group they start in. Kills *inside* a
//! system call are made at random only. Code must not modify itself, nor handle or
//! ignore SIGTRAP. Power loss is not tried.

mod advance;
mod code;
mod death;
mod error;
mod locks;
pub mod mark;
mod numbers;
mod point;
mod random;
mod report;
mod scratch;
mod seen;
mod siege;
mod survivor;
mod sys;
mod trace;
mod tracee;
mod trial;
mod watch;

pub use death::Death;
pub use error::Error;
pub use numbers::SplitMix;
pub use point::{Place, Point};
pub use report::{Failure, Fault, Report};
pub use scratch::Scratch;
pub use seen::Seen;
pub use survivor::{again, role, survive};
pub use trace::Changes;
pub use tracee::Children;
pub use trial::Trial;
