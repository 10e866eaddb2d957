//! An unmodified C program, as far as System V shared memory can tell.
//!
//! It calls `shmget`, `shmat`, `shmdt` and `shmctl` by the C library's names and by nothing else. Run bare it
//! talks to the kernel; with the drop-in library in `LD_PRELOAD` the same binary talks to the user backend.
//! Commands come one packet at a time over descriptor 0, so that a test may exhaust or close every other.

mod birth;
mod calls;
mod probe;
mod race;

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use coseg_conformance::protocol::{Cmd, PACKET_MAX, Reply};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

fn main() {
    probe::install();
    if std::env::args().nth(1).as_deref() == Some("host") {
        birth::serve_tests_only_while_they_live();
    }
    let mut buffer = vec![0; PACKET_MAX];
    announce();
    while let Some((cmd, channel)) = receive(&mut buffer) {
        answer(&calls::carry_out(&cmd, channel));
    }
    calls::leave(0);
}

fn channel() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

/// Tells the tests that a process stands behind this channel, and which.
fn announce() {
    answer(&Reply { ret: i64::from(std::process::id()), ..Reply::default() });
}

fn answer(reply: &Reply) {
    let packet = postcard::to_stdvec(reply).expect("a reply has a serial form");
    if rustix::net::send(channel(), &packet, SendFlags::NOSIGNAL).is_err() {
        calls::leave(0);
    }
}

/// The next command and the channel that came with it; nothing once the tests have hung up.
fn receive(buffer: &mut [u8]) -> Option<(Cmd, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = loop {
        match rustix::net::recvmsg(channel(), &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.ok()?,
        }
    };
    let passed = ancillary.drain().find_map(|m| match m {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    if message.bytes == 0 {
        return None;
    }
    Some((postcard::from_bytes(&buffer[..message.bytes]).expect("the tests speak the same protocol"), passed))
}
