//! System V shared memory: everything `shmget`, `shmat`, `shmdt`, `shmctl` and `ftok` promise, behind one API,
//! on two backends: the [`Kernel`]'s own facility, and [`User`], which needs nothing of the kernel but files,
//! `mmap` and file locks, and so works where the kernel has none.
//!
//! [`Segment`] and [`Attachment`] are the safe way in: bytes are copied in and out, bounds-checked, and every
//! error says what failed, on what, and why. [`Backend`] is the complete set of calls, for those who need
//! the last flag.
//!
//! ```
//! use coseg_sysv::{Key, Segment, User};
//!
//! # let dir = tempfile::tempdir()?;
//! let backend = User::at(dir.path())?;
//! let segment = Segment::options(Key::PRIVATE).size(4096).create(&backend)?;
//! let memory = segment.attach()?;
//! memory.write(0, b"hello")?;
//! assert_eq!(segment.stat()?.attachment_count, 1);
//! memory.detach()?;
//! segment.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attached;
mod attachment;
mod backend;
pub mod caller;
mod choose;
mod errno;
mod error;
pub mod explain;
mod kernel;
mod key;
mod segment;
pub mod sys;
mod types;
pub mod user;

pub use attached::{Attached, Attachers};
pub use attachment::Attachment;
pub use backend::{Backend, Mapped};
pub use choose::{BackendName, choose};
pub use errno::Errno;
pub use error::{Error, Op, Result, Target};
pub use kernel::Kernel;
pub use key::Key;
pub use segment::{IntoBackend, Segment, SegmentOptions};
pub use types::{AttachFlags, Change, GetFlags, Limits, Listed, Mode, ShmId, Stat, Usage};
pub use user::User;
