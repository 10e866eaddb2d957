//! Operations on channels, recorded.

use std::time::Duration;

use coseg::{Bytes, Error, ErrorKind, Queue, Receiver, Refusal, Region, Result, Sender, Stream, Whole};

use crate::hall::{Content, FILM_BYTES, Hall, JOBS, Letter, Part, checked_film, film, film_length};
use crate::record::{Deed, MANY, Outcome, Record, Writer};

/// Takes an end that nobody has, if this worker has none.
pub(crate) fn take<'e, E>(
    writer: &mut Writer,
    part: Part,
    deed: Deed,
    own: &'e mut Option<E>,
    end: impl FnOnce() -> Result<E>,
) -> Option<&'e mut E> {
    if own.is_none() {
        writer.write(Record::new(deed, part), |record, _| match end() {
            Ok(end) => *own = Some(end),
            Err(error) if *error.kind() == ErrorKind::InUse => record.outcome = Outcome::InUse,
            Err(error) => panic!("{error}"),
        });
    }
    own.as_mut()
}

fn outcome(refusal: &Refusal) -> Outcome {
    match refusal {
        Refusal::Full | Refusal::Empty => Outcome::Nothing,
        Refusal::TimedOut(_) => Outcome::TimedOut,
        Refusal::Disconnected(_) => Outcome::Disconnected,
        Refusal::Closed => Outcome::Closed,
        other => panic!("{other}"),
    }
}

fn timed(deed: Deed, part: Part, timeout: Option<Duration>) -> Record {
    // Who does not wait is to be done at once.
    Record { timeout: Some(timeout.unwrap_or_default()), ..Record::new(deed, part) }
}

pub(crate) struct Outbox<'a, M, K: Whole> {
    pub(crate) writer: &'a mut Writer,
    pub(crate) part: Part,
    pub(crate) sender: &'a mut Sender<M, K>,
}

impl<M: Content, K: Whole> Outbox<'_, M, K> {
    /// Sends one message; without a timeout it does not wait.
    pub(crate) fn send(&mut self, number: u64, timeout: Option<Duration>) {
        let record = Record { what: number, value: 1, ..timed(Deed::Send, self.part, timeout) };
        self.writer.write(record, |record, _| {
            let message = M::of(number);
            let sent = match timeout {
                None => self.sender.try_send(&message),
                Some(timeout) => self.sender.send_timeout(&message, timeout),
            };
            sent.unwrap_or_else(|refusal| record.outcome = outcome(&refusal));
        });
    }

    /// Sends as many as there is room for.
    pub(crate) fn send_many(&mut self, first: u64) {
        let record = Record { what: first, value: MANY as u64, ..timed(Deed::SendMany, self.part, None) };
        self.writer.write(record, |record, _| {
            let messages: [M; MANY] = std::array::from_fn(|index| M::of(first + index as u64));
            match self.sender.try_send_many(&messages) {
                Ok(count) => record.value = count as u64,
                Err(refusal) => record.outcome = outcome(&refusal),
            }
        });
    }
}

pub(crate) struct Inbox<'a, M, K: Whole> {
    pub(crate) writer: &'a mut Writer,
    pub(crate) part: Part,
    pub(crate) receiver: &'a mut Receiver<M, K>,
}

impl<M: Content + PartialEq, K: Whole> Inbox<'_, M, K> {
    /// Receives in one of the ways there are.
    pub(crate) fn receive(&mut self, choice: u64, timeout: Option<Duration>) {
        match choice % 8 {
            0..4 => self.receive_one(timeout),
            4 => self.receive_many(),
            5 | 6 => self.hold(Deed::Hold, timeout.unwrap_or_default()),
            _ => self.hold(Deed::Show, timeout.unwrap_or_default()),
        }
    }

    pub(crate) fn receive_one(&mut self, timeout: Option<Duration>) {
        self.writer.write(timed(Deed::Receive, self.part, timeout), |record, _| {
            let received = match timeout {
                None => self.receiver.try_receive(),
                Some(timeout) => self.receiver.receive_timeout(timeout),
            };
            record.missed = self.receiver.missed_count();
            match received {
                Ok(message) => {
                    record.is_repeated = self.receiver.is_redelivered();
                    note(record, &[message]);
                }
                Err(refusal) => record.outcome = outcome(&refusal),
            }
        });
    }

    pub(crate) fn receive_many(&mut self) {
        self.writer.write(timed(Deed::ReceiveMany, self.part, None), |record, _| {
            let mut messages = Vec::new();
            let received = self.receiver.try_receive_many(&mut messages, MANY);
            record.missed = self.receiver.missed_count();
            record.is_repeated = self.receiver.is_redelivered();
            match received {
                Ok(_) => note(record, &messages),
                Err(refusal) => record.outcome = outcome(&refusal),
            }
        });
    }

    /// Holds a message, and either it is done or it is given back.
    fn hold(&mut self, deed: Deed, timeout: Duration) {
        self.writer.write(timed(deed, self.part, Some(timeout)), |record, pending| {
            match self.receiver.hold_timeout(timeout) {
                Err(refusal) => record.outcome = outcome(&refusal),
                Ok(held) => {
                    record.is_repeated = held.is_redelivered();
                    let message = held.get();
                    pending.see(record, message.number());
                    note(record, &[message]);
                    let is_whole = if deed == Deed::Hold {
                        pending.settle(record);
                        held.done()
                    } else {
                        drop(held);
                        // Nobody says whether it was overwritten while it was copied.
                        self.part != Part::Ticks
                    };
                    if !is_whole {
                        record.outcome = Outcome::Other;
                    }
                }
            }
            record.missed = self.receiver.missed_count();
        });
    }
}

fn note<M: Content + PartialEq>(record: &mut Record, messages: &[M]) {
    for (found, message) in record.found.iter_mut().zip(messages) {
        *found = message.number();
        if message.checked().is_none() {
            record.outcome = Outcome::Torn;
        }
    }
}

/// Waits for a message; whether there was one.
pub(crate) fn wait<M, K: coseg::Kind>(
    writer: &mut Writer,
    part: Part,
    receiver: &mut Receiver<M, K>,
    timeout: Duration,
) -> bool {
    writer.write(timed(Deed::Wait, part, Some(timeout)), |record, _| match receiver.wait(Some(timeout)) {
        Ok(()) => true,
        Err(refusal) => {
            record.outcome = outcome(&refusal);
            false
        }
    })
}

/// Receives a job and notes that it was done, in one transaction.
pub(crate) fn take_job(
    writer: &mut Writer,
    deed: Deed,
    region: &Region<Hall>,
    receiver: &mut Receiver<Letter, Queue<JOBS>>,
) {
    writer.write(Record::new(deed, Part::Jobs), |record, pending| {
        let taken: Result<bool, Option<Error>> = region.transaction(|change| {
            let Some(job) = change.receive(receiver).map_err(Some)? else { return Ok(false) };
            record.is_repeated = receiver.is_redelivered();
            pending.see(record, job.number());
            note(record, &[job]);
            change
                .map(&region.done)
                .update(&job.number(), |count| *count = Some(count.unwrap_or(0) + 1))
                .map_err(Some)?;
            change.update(&region.done_count, |count| *count += 1).map_err(Some)?;
            if deed == Deed::RollBack {
                return Err(None);
            }
            pending.settle(record);
            Ok(true)
        });
        match taken {
            Ok(true) | Err(None) => {}
            Ok(false) => record.outcome = Outcome::Nothing,
            Err(Some(error)) => panic!("{error}"),
        }
    });
}

type Film<'a> = &'a mut Receiver<Bytes<FILM_BYTES>, Stream<4>>;

pub(crate) fn send_film(
    writer: &mut Writer,
    sender: &mut Sender<Bytes<FILM_BYTES>, Stream<4>>,
    number: u64,
    timeout: Duration,
) {
    let bytes = film(number, film_length(number));
    // It may wait at each chunk.
    let chunks = u32::try_from(bytes.len().div_ceil(32 * 1024)).unwrap();
    let record = Record { what: number, value: 1, ..timed(Deed::Send, Part::Film, Some(timeout * chunks)) };
    writer.write(record, |record, _| {
        let sent = sender.send_timeout(&bytes, timeout);
        sent.unwrap_or_else(|refusal| record.outcome = outcome(&refusal));
    });
}

/// There is at least a piece of one; it waits for the rest.
pub(crate) fn receive_film(writer: &mut Writer, receiver: Film<'_>) {
    writer.write(Record::new(Deed::Receive, Part::Film), |record, _| match receiver.receive() {
        Ok(bytes) => match checked_film(&bytes, film_length) {
            Some(number) => record.found[0] = number,
            None => record.outcome = Outcome::Torn,
        },
        Err(refusal) => record.outcome = outcome(&refusal),
    });
}
