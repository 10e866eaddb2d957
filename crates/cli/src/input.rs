//! Standard input, line by line or as a whole, given up when a signal comes: a read alone would go on.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::failure::{Failure, INTERRUPTED, Result};
use crate::stop::Stop;

/// Between two looks whether a signal came.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Input<'a> {
    stop: &'a Stop,
    /// What was read and not yet asked for starts here.
    start: usize,
    bytes: Vec<u8>,
    ended: bool,
}

impl Input<'_> {
    pub(crate) fn new(stop: &Stop) -> Input<'_> {
        Input { stop, start: 0, bytes: Vec::new(), ended: false }
    }

    /// The next line without its end, as soon as it is there.
    pub(crate) fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let rest = &self.bytes[self.start..];
            if let Some(length) = rest[searched..].iter().position(|&byte| byte == b'\n') {
                let line = rest[..searched + length].to_vec();
                self.start += line.len() + 1;
                return Ok(Some(line));
            }
            searched = rest.len();
            if self.ended {
                let line = rest.to_vec();
                self.start = self.bytes.len();
                return Ok((!line.is_empty()).then_some(line));
            }
            self.read_more()?;
        }
    }

    /// All there is, unless that is more than `most` bytes: then some more than that.
    pub(crate) fn all(mut self, most: usize) -> Result<Vec<u8>> {
        while !self.ended && self.bytes.len() <= most {
            self.read_more()?;
        }
        Ok(self.bytes)
    }

    fn read_more(&mut self) -> Result<()> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let stdin = io::stdin();
        loop {
            if self.stop.is_set() {
                return Err(Failure::silent(INTERRUPTED));
            }
            let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&LOOK_EVERY)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // What is no file to wait for is read at once.
                _ => break,
            }
        }
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        // Past the buffer of the standard library, which poll does not see.
        let read = rustix::io::read(&stdin, &mut self.bytes[before..]);
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.ended = true,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::io("read standard input", &error.into())),
        }
        Ok(())
    }
}
