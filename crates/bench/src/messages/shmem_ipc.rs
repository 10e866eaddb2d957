//! shmem-ipc: a ring whose two ends add to and take from one count.
#![allow(unsafe_code, reason = "it gives places to write to and read from")]

use shmem_ipc::sharedring::{Receiver, Sender};

use super::course::{Course, Waits};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

pub(super) fn prepare<const N: usize>(course: Course) -> Outcome<Prepared> {
    let way = || -> Outcome<_> {
        let word_count = course.depth() * N;
        let sender = Sender::new(word_count)?;
        let files = [sender.memfd().as_file(), sender.empty_signal(), sender.full_signal()];
        let [memory, empty, full] = files.map(|file| file.try_clone());
        let receiver = Receiver::open(word_count, memory?, empty?, full?)?;
        Ok((sender, receiver))
    };
    let (there, back) = (way()?, way()?);
    let sleeps = course.waits == Waits::Sleeping;
    Ok(Prepared::processes::<_, N>(course, move |side| {
        Ok(match side {
            Side::First => ShmemIpc { sender: there.0, receiver: back.1, sleeps },
            Side::Second => ShmemIpc { sender: back.0, receiver: there.1, sleeps },
        })
    }))
}

/// Of words: a message is several of them.
struct ShmemIpc {
    sender: Sender<u64>,
    receiver: Receiver<u64>,
    sleeps: bool,
}

impl ShmemIpc {
    #[inline]
    fn write(&mut self, mut words: &[u64]) -> Outcome {
        while !words.is_empty() {
            let mut written = 0;
            let put = |place: *mut u64, room: usize| {
                written = room.min(words.len());
                // SAFETY: so much room is there.
                unsafe { words.as_ptr().copy_to_nonoverlapping(place, written) };
                written
            };
            if self.sleeps {
                self.sender.send_raw(put)?;
            } else {
                // Nobody sleeps, nobody is to be woken.
                self.sender.sender_mut().send(put)?;
            }
            words = &words[written..];
        }
        Ok(())
    }

    /// As many words as there are.
    #[inline]
    fn read_some(&mut self, words: &mut [u64]) -> Outcome<usize> {
        let mut read = 0;
        let take = |place: *const u64, count: usize| {
            read = count.min(words.len());
            // SAFETY: so many are there.
            unsafe { words.as_mut_ptr().copy_from_nonoverlapping(place, read) };
            read
        };
        if self.sleeps {
            self.receiver.block_until_readable()?;
            self.receiver.receive_raw(take)?;
        } else {
            self.receiver.receiver_mut().recv(take)?;
        }
        Ok(read)
    }

    #[inline]
    fn read(&mut self, mut words: &mut [u64]) -> Outcome {
        while !words.is_empty() {
            let count = self.read_some(words)?;
            words = &mut words[count..];
        }
        Ok(())
    }
}

impl<const N: usize> Ends<N> for ShmemIpc {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        self.write(message)
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        self.read(&mut **message)
    }

    fn send_all(&mut self, words: &[u64]) -> Outcome {
        self.write(words)
    }

    fn receive_many<'a>(&mut self, words: &'a mut Vec<u64>, most: usize) -> Outcome<&'a [u64]> {
        let mut count = 0;
        while count == 0 {
            count = self.read_some(&mut words[..most * N])?;
        }
        let whole = count.next_multiple_of(N);
        self.read(&mut words[count..whole])?;
        Ok(&words[..whole])
    }
}
