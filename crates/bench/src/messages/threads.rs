//! Channels between threads of one process: what need not care for another's death.

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::course::{Course, Kind};
use super::ends::Ends;
use super::pair::Prepared;
use crate::Outcome;

pub(super) fn rtrb<const N: usize>(course: Course) -> Outcome<Prepared> {
    let way = || RingBuffer::new(course.depth());
    let (there, back) = (way(), way());
    let first = Rtrb { producer: there.0, consumer: back.1 };
    let second = Rtrb { producer: back.0, consumer: there.1 };
    Ok(Prepared::threads::<_, N>(course, [first, second]))
}

struct Rtrb<const N: usize> {
    producer: Producer<[u64; N]>,
    consumer: Consumer<[u64; N]>,
}

impl<const N: usize> Ends<N> for Rtrb<N> {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        if N > 8 {
            return self.send_all(message);
        }
        let mut message = *message;
        while let Err(PushError::Full(back)) = self.producer.push(message) {
            message = back;
            std::hint::spin_loop();
        }
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        if N > 8 {
            while self.consumer.pop_entire_slice(std::slice::from_mut(&mut **message)).is_err() {
                std::hint::spin_loop();
            }
            return Ok(());
        }
        loop {
            if let Ok(received) = self.consumer.pop() {
                **message = received;
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }

    fn send_all(&mut self, words: &[u64]) -> Outcome {
        let messages = words.as_chunks::<N>().0;
        while self.producer.push_entire_slice(messages).is_err() {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn receive_many<'a>(&mut self, words: &'a mut Vec<u64>, most: usize) -> Outcome<&'a [u64]> {
        loop {
            let messages = words[..most * N].as_chunks_mut::<N>().0;
            let count = self.consumer.pop_partial_slice(messages).0.len();
            if count > 0 {
                return Ok(&words[..count * N]);
            }
            std::hint::spin_loop();
        }
    }
}

pub(super) fn crossbeam<const N: usize>(course: Course) -> Outcome<Prepared> {
    let way = || bounded::<[u64; N]>(course.depth());
    let (there, back) = (way(), way());
    if course.kind == Kind::Queue {
        let (sender, receiver) = there;
        let end = || Crossbeam { sender: sender.clone(), receiver: receiver.clone() };
        return Ok(Prepared::threads::<_, N>(course, [end(), end()]));
    }
    let first = Crossbeam { sender: there.0, receiver: back.1 };
    let second = Crossbeam { sender: back.0, receiver: there.1 };
    Ok(Prepared::threads::<_, N>(course, [first, second]))
}

struct Crossbeam<const N: usize> {
    sender: Sender<[u64; N]>,
    receiver: Receiver<[u64; N]>,
}

impl<const N: usize> Ends<N> for Crossbeam<N> {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let mut message = *message;
        loop {
            match self.sender.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => message = back,
                Err(error) => return Err(error.to_string().into()),
            }
            std::hint::spin_loop();
        }
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        loop {
            match self.receiver.try_recv() {
                Ok(received) => {
                    **message = received;
                    return Ok(());
                }
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
