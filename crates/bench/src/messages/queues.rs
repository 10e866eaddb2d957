//! The message queues of POSIX and of System V.
#![allow(unsafe_code, reason = "their calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use bytemuck::{bytes_of, bytes_of_mut};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::course::{Course, Shape, Waits};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

/// The last error of a call, unless it is one after which the call is made again.
fn again() -> Outcome {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR | libc::ENOMSG) => Ok(()),
        _ => Err(error.into()),
    }
}

fn spins(course: Course) -> bool {
    course.waits == Waits::Spinning
}

/// What everybody may ask for; root may ask for more.
const MODEST_DEPTH: i64 = 10;

pub(super) fn posix<const N: usize>(course: Course) -> Outcome<Prepared> {
    // What fails here shows when the queue is opened.
    let _ = setrlimit(Resource::Msgqueue, Rlimit { current: None, maximum: None });
    let there = open_posix(course, c"/coseg-bench-there")?;
    let back = open_posix(course, c"/coseg-bench-back")?;
    let shared = course.shape == Shape::Crowd;
    Ok(Prepared::processes::<_, N>(course, move |side| {
        Ok(match side {
            _ if shared => Posix { input: there.try_clone()?, output: there },
            Side::First => Posix { input: there, output: back },
            Side::Second => Posix { input: back, output: there },
        })
    }))
}

fn open_posix(course: Course, name: &std::ffi::CStr) -> Outcome<OwnedFd> {
    let mut failure = None;
    for depth in [i64::try_from(course.depth())?, MODEST_DEPTH] {
        // SAFETY: numbers, of which any bits are some.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = depth;
        attributes.mq_msgsize = i64::try_from(course.size_bytes)?;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        let flags = flags | if spins(course) { libc::O_NONBLOCK } else { 0 };
        // SAFETY: a name that ends, and attributes.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, &raw mut attributes) };
        if queue >= 0 {
            // SAFETY: a name that ends.
            unsafe { libc::mq_unlink(name.as_ptr()) };
            // SAFETY: on Linux a queue is a descriptor, this one's owner is nobody else.
            return Ok(unsafe { OwnedFd::from_raw_fd(queue) });
        }
        failure = Some(io::Error::last_os_error());
    }
    Err(format!("mq_open: {}", failure.ok_or("no depth")?).into())
}

struct Posix {
    input: OwnedFd,
    output: OwnedFd,
}

impl<const N: usize> Ends<N> for Posix {
    type Place = Box<[u64; N]>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let bytes = bytes_of(message);
        loop {
            // SAFETY: so many bytes are there.
            let sent =
                unsafe { libc::mq_send(self.input.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
            if sent == 0 {
                return Ok(());
            }
            again()?;
        }
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        let bytes = bytes_of_mut(&mut **message);
        loop {
            let (place, no_priority) = (bytes.as_mut_ptr().cast(), std::ptr::null_mut());
            // SAFETY: there is room for so many bytes; any bytes are a message.
            let count = unsafe { libc::mq_receive(self.output.as_raw_fd(), place, bytes.len(), no_priority) };
            if count >= 0 {
                return Ok(());
            }
            again()?;
        }
    }
}

/// A queue, removed with the side that made it.
struct Made(i32);

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: numbers.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

pub(super) fn system_v<const N: usize>(course: Course) -> Outcome<Prepared> {
    let queues = [open_system_v(course)?, open_system_v(course)?];
    let shared = course.shape == Shape::Crowd;
    let flags = if spins(course) { libc::IPC_NOWAIT } else { 0 };
    Ok(Prepared::processes::<_, N>(course, move |side| {
        let [there, back] = queues;
        Ok(match side {
            _ if shared => SystemV { input: there, output: there, flags, _made: Vec::new() },
            Side::First => {
                SystemV { input: there, output: back, flags, _made: vec![Made(there), Made(back)] }
            }
            Side::Second => SystemV { input: back, output: there, flags, _made: Vec::new() },
        })
    }))
}

fn open_system_v(course: Course) -> Outcome<i32> {
    // SAFETY: numbers.
    let id = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
    if id < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: numbers, of which any bits are some.
    let mut state: libc::msqid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: a place for it.
    unsafe { libc::msgctl(id, libc::IPC_STAT, &raw mut state) };
    let wanted = (course.size_bytes * course.depth()) as libc::msglen_t;
    state.msg_qbytes = state.msg_qbytes.max(wanted);
    // Only root may have more than everybody; who may not keeps what there is.
    // SAFETY: as it was read, but for its room.
    unsafe { libc::msgctl(id, libc::IPC_SET, &raw mut state) };
    Ok(id)
}

struct SystemV {
    input: i32,
    output: i32,
    flags: i32,
    _made: Vec<Made>,
}

/// As the calls want it.
#[repr(C)]
struct Typed<const N: usize> {
    kind: libc::c_long,
    message: [u64; N],
}

impl<const N: usize> Ends<N> for SystemV {
    type Place = Box<[u64; N]>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let typed = Typed { kind: 1, message: *message };
        loop {
            let (place, size_bytes) = ((&raw const typed).cast(), size_of::<[u64; N]>());
            // SAFETY: a type and so many bytes are there.
            if unsafe { libc::msgsnd(self.input, place, size_bytes, self.flags) } == 0 {
                return Ok(());
            }
            again()?;
        }
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        let mut typed = Typed { kind: 0, message: [0; N] };
        loop {
            let (place, size_bytes) = ((&raw mut typed).cast(), size_of::<[u64; N]>());
            // SAFETY: there is room for a type and so many bytes; any bytes are a message.
            if unsafe { libc::msgrcv(self.output, place, size_bytes, 0, self.flags) } >= 0 {
                **message = typed.message;
                return Ok(());
            }
            again()?;
        }
    }
}
