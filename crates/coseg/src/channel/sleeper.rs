//! Waiting at a channel in async code.
//!
//! No descriptor becomes ready when a word of shared memory changes. So a thread sleeps on the bell in the task's stead
//! and makes an eventfd ready, for which the task waits. The task has announced the sleep before it looked for the last
//! time: no wake-up is lost, and as long as there is something to do, the thread is not asked.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;

use super::lane::Lane;
use super::refusal::Refusal;
use crate::bell::{Bell, LONGEST_SLEEP, Ticket};
use crate::part::Spot;
use crate::polled::Polled;
use crate::{Error, ErrorKind, Result, os};

/// A thread that sleeps for a task. It ends with its lane, within 100 ms.
#[derive(Debug)]
pub(super) struct Sleeper {
    asks: mpsc::Sender<Ticket>,
    /// It was asked and has not answered yet.
    is_asleep: bool,
    ready: File,
    polled: Option<Polled>,
}

impl Sleeper {
    pub(super) fn start(lane: &Lane) -> Result<Sleeper> {
        let failed = |error: std::io::Error| {
            Error::new("wait at", lane.spot.object(), ErrorKind::NoResources, error.to_string())
        };
        let ready = File::from(os::event_descriptor().map_err(failed)?);
        let mut answer = ready.try_clone().map_err(failed)?;
        let (asks, asked) = mpsc::channel();
        let (spot, bell_at) = (lane.spot.clone(), lane.own_bell_at());
        let thread = std::thread::Builder::new().name("coseg channel".to_owned());
        let run = move || {
            for ticket in asked {
                Bell(spot.base().memory.half(bell_at)).sleep(ticket, LONGEST_SLEEP);
                let _ = answer.write(&1_u64.to_ne_bytes());
            }
        };
        thread.spawn(run).map_err(failed)?;
        Ok(Sleeper { asks, is_asleep: false, ready, polled: None })
    }

    /// Waits until it rings, or for 100 ms. May be dropped and called again.
    pub(super) async fn sleep(&mut self, spot: &Spot, ticket: Ticket) -> Result<(), Refusal> {
        let failed = |fact: String| {
            Refusal::Failed(Error::new("wait at", spot.object(), ErrorKind::NoResources, fact))
        };
        // One that sleeps on an older ticket has been woken since, or is still to be.
        if !self.is_asleep {
            self.asks.send(ticket).map_err(|_| failed("its thread has ended".to_owned()))?;
            self.is_asleep = true;
        }
        let ready = Polled::wait(&mut self.polled, self.ready.as_fd()).await;
        ready.map_err(|error| failed(error.to_string()))?;
        let mut count = [0; 8];
        // It was made ready by the thread alone; a second look finds nothing.
        let _ = (&self.ready).read(&mut count);
        self.is_asleep = false;
        Ok(())
    }
}
