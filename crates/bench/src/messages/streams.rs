//! Pipes and Unix sockets.

use std::os::fd::OwnedFd;

use bytemuck::{bytes_of, bytes_of_mut, cast_slice, cast_slice_mut};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::course::{Course, Waits};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

/// The largest buffer that everybody may have.
const BUFFER_BYTES: usize = 1 << 20;

pub(super) fn pipe<const N: usize>(course: Course) -> Outcome<Prepared> {
    let way = || -> Outcome<_> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC)?;
        if course.size_bytes >= BUFFER_BYTES >> 4 {
            fcntl_setpipe_size(&input, BUFFER_BYTES)?;
        }
        Ok((output, input))
    };
    let (there, back) = (way()?, way()?);
    prepare::<N>(course, course.spins_by_calls(), [(there.1, back.0), (back.1, there.0)])
}

pub(super) fn stream<const N: usize>(course: Course) -> Outcome<Prepared> {
    socket::<N>(course, SocketType::STREAM)
}

/// Messages as they are: one call receives one.
pub(super) fn seqpacket<const N: usize>(course: Course) -> Outcome<Prepared> {
    socket::<N>(course, SocketType::SEQPACKET)
}

fn socket<const N: usize>(course: Course, kind: SocketType) -> Outcome<Prepared> {
    let (one, other) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    if course.size_bytes >= BUFFER_BYTES >> 4 {
        for end in [&one, &other] {
            set_socket_send_buffer_size(end, BUFFER_BYTES)?;
            set_socket_recv_buffer_size(end, BUFFER_BYTES)?;
        }
    }
    let spins = course.waits == Waits::Spinning;
    prepare::<N>(course, spins, [(one.try_clone()?, one), (other.try_clone()?, other)])
}

/// For either side, what it writes to and what it reads from.
fn prepare<const N: usize>(course: Course, spins: bool, sides: [(OwnedFd, OwnedFd); 2]) -> Outcome<Prepared> {
    for (input, output) in &sides {
        ioctl_fionbio(input, spins)?;
        ioctl_fionbio(output, spins)?;
    }
    Ok(Prepared::processes::<_, N>(course, move |side| {
        let [first, second] = sides;
        let (input, output) = if side == Side::First { first } else { second };
        Ok(Stream { input, output })
    }))
}

struct Stream {
    input: OwnedFd,
    output: OwnedFd,
}

impl Stream {
    fn write(&self, mut bytes: &[u8]) -> Outcome {
        while !bytes.is_empty() {
            match write(&self.input, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// As many bytes as there are, some at least.
    fn read_some(&self, bytes: &mut [u8]) -> Outcome<usize> {
        loop {
            match read(&self.output, &mut *bytes) {
                Ok(0) => return Err("the other side closed".into()),
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&self, mut bytes: &mut [u8]) -> Outcome {
        while !bytes.is_empty() {
            let count = self.read_some(bytes)?;
            bytes = &mut bytes[count..];
        }
        Ok(())
    }
}

impl<const N: usize> Ends<N> for Stream {
    type Place = Box<[u64; N]>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        self.write(bytes_of(message))
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        self.read(bytes_of_mut(&mut **message))
    }

    fn send_all(&mut self, words: &[u64]) -> Outcome {
        self.write(cast_slice(words))
    }

    fn receive_many<'a>(&mut self, words: &'a mut Vec<u64>, most: usize) -> Outcome<&'a [u64]> {
        let bytes: &mut [u8] = cast_slice_mut(&mut words[..most * N]);
        let count = self.read_some(bytes)?;
        let whole = count.next_multiple_of(size_of::<[u64; N]>());
        self.read(&mut bytes[count..whole])?;
        Ok(&words[..whole / size_of::<u64>()])
    }
}
