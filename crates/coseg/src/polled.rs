//! A descriptor that tasks wait for.

use std::io::Result;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};

use crate::os;

/// A descriptor as a runtime polls it for reading.
#[derive(Debug)]
pub(crate) struct Polled {
    fd: AsyncFd<OwnedFd>,
    runtime: Id,
}

impl Polled {
    /// Waits until a descriptor becomes ready. The runtime of the calling task polls it, which may be another each time.
    pub(crate) async fn wait(polled: &mut Option<Polled>, fd: BorrowedFd<'_>) -> Result<()> {
        let runtime = Handle::current().id();
        if polled.as_ref().is_some_and(|polled| polled.runtime != runtime) {
            *polled = None;
        }
        let polled = match polled {
            Some(polled) => polled,
            none => none.insert(Polled { fd: os::polled(fd.try_clone_to_owned()?)?, runtime }),
        };
        polled.fd.readable().await?.clear_ready();
        Ok(())
    }
}
