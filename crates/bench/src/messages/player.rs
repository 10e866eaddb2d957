//! What both sides do in a turn, the same for every contender: only sending and receiving are its own.

use std::time::Instant;

use super::course::{BURST, Course, Shape};
use super::ends::{Ends, Place, Side};
use super::recorder::Recorder;
use crate::Outcome;
use crate::turn::{Tally, Turn, tally};

/// What one side did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) tally: Tally,
    /// What it sent less what it received, each added up: over both sides, nothing.
    pub(super) balance: u64,
}

/// One side of a contender, on its course.
pub(super) trait Player {
    /// The first side's turn.
    fn lead(&mut self, turn: &Turn<'_>, recorder: &mut Recorder) -> Outcome<Done>;

    /// The second side's.
    fn follow(&mut self, turn: &Turn<'_>) -> Outcome<Done>;
}

pub(super) struct Playing<E: Ends<N>, const N: usize> {
    ends: E,
    course: Course,
    /// What is sent.
    message: Box<[u64; N]>,
    /// What is received.
    place: E::Place,
    /// The same for several at once.
    words: Vec<u64>,
    batch: usize,
    /// The number of the next message, in all turns.
    number: u64,
}

/// The number of a message after which there is none in this turn.
const END: u64 = u64::MAX;
/// Last words differ from first ones by this.
const LAST: u64 = 0x5a5a_5a5a_5a5a_5a5a;
/// So many bursts between two looks at the clock.
const BURSTS: u64 = 16;
/// Numbers of the second side in a crowd.
const SECOND: u64 = 1 << 62;

#[inline]
fn stamp<const N: usize>(message: &mut [u64; N], number: u64) {
    message[N - 1] = number ^ LAST;
    message[0] = number;
}

#[inline]
fn is_stamped<const N: usize>(message: &[u64; N], number: u64) -> bool {
    message[0] == number && (N == 1 || message[N - 1] == number ^ LAST)
}

#[cold]
fn wrong<T, const N: usize>(found: Option<&[u64; N]>, expected: u64) -> Outcome<T> {
    let Some(found) = found else { return Err("what was received is not as long as a message".into()) };
    let last = if N == 1 { found[0] } else { found[N - 1] ^ LAST };
    Err(format!(
        "a message that is {} at its beginning and {last} at its end, instead of {expected}",
        found[0]
    )
    .into())
}

impl<E: Ends<N>, const N: usize> Playing<E, N> {
    pub(super) fn new(ends: E, course: Course) -> Playing<E, N> {
        let batch = if let Shape::OneWay { batch } = course.shape { batch } else { 1 };
        let (message, place) = (bytemuck::zeroed_box(), E::Place::new());
        Playing { ends, course, message, place, words: vec![0; batch * N], batch, number: 0 }
    }

    /// Sends the next message and waits until it comes back.
    #[inline]
    fn exchange(&mut self) -> Outcome {
        stamp(&mut self.message, self.number);
        self.ends.send(&self.message)?;
        self.ends.receive(&mut self.place)?;
        let found = self.place.words();
        if !found.is_some_and(|found| is_stamped(found, self.number)) {
            return wrong(found, self.number);
        }
        self.number += 1;
        Ok(())
    }

    fn ping(&mut self, turn: &Turn<'_>, recorder: &mut Recorder) -> Outcome<Tally> {
        let interval = self.course.sample_interval();
        turn.start();
        let started = Instant::now();
        let mut count = 0;
        loop {
            let before = Instant::now();
            self.exchange()?;
            let after = Instant::now();
            recorder.record(after - before);
            for _ in 1..interval {
                self.exchange()?;
            }
            count += interval;
            if turn.is_over(after - started) {
                break;
            }
        }
        let tally = tally(count, started.elapsed());
        self.end()?;
        Ok(tally)
    }

    fn pong(&mut self, turn: &Turn<'_>) -> Outcome<Tally> {
        turn.start();
        let started = Instant::now();
        let first = self.number;
        loop {
            self.ends.receive(&mut self.place)?;
            match self.place.words() {
                Some(found) if is_stamped(found, self.number) => self.ends.send(found)?,
                Some(found) if is_stamped(found, END) => break,
                found => return wrong(found, self.number),
            }
            self.number += 1;
        }
        Ok(tally(self.number - first, started.elapsed()))
    }

    fn end(&mut self) -> Outcome {
        stamp(&mut self.message, END);
        self.ends.send(&self.message)
    }

    fn produce(&mut self, turn: &Turn<'_>) -> Outcome<Tally> {
        let operation = || {
            stamp(&mut self.message, self.number);
            self.number += 1;
            self.ends.send(&self.message)
        };
        let tally = if N < 1 << 10 { turn.repeat(operation) } else { turn.repeat_slow(operation) }?;
        self.end()?;
        Ok(tally)
    }

    fn produce_many(&mut self, turn: &Turn<'_>) -> Outcome<Tally> {
        let count = self.batch as u64;
        let done = turn.repeat_slow(|| {
            // Counted beside the messages, so that numbering them costs next to nothing.
            let numbers = self.number..;
            self.number += count;
            for (message, number) in self.words.as_chunks_mut::<N>().0.iter_mut().zip(numbers) {
                stamp(message, number);
            }
            self.ends.send_all(&self.words)
        })?;
        self.end()?;
        Ok(Tally { count: done.count * count, ..done })
    }

    fn consume(&mut self, turn: &Turn<'_>) -> Outcome<Tally> {
        turn.start();
        let started = Instant::now();
        let first = self.number;
        loop {
            self.ends.receive(&mut self.place)?;
            match self.place.words() {
                Some(found) if is_stamped(found, self.number) => self.number += 1,
                Some(found) if is_stamped(found, END) => break,
                found => return wrong(found, self.number),
            }
        }
        Ok(tally(self.number - first, started.elapsed()))
    }

    fn consume_many(&mut self, turn: &Turn<'_>) -> Outcome<Tally> {
        turn.start();
        let started = Instant::now();
        let first = self.number;
        loop {
            let words = self.ends.receive_many(&mut self.words, self.batch)?;
            let received = words.as_chunks::<N>().0;
            // The end is the last, or is not among them.
            let ended = received.last().is_some_and(|last| is_stamped(last, END));
            let received = &received[..received.len() - usize::from(ended)];
            // Without a branch for each, so that looking costs next to nothing.
            let right = received
                .iter()
                .zip(self.number..)
                .fold(true, |right, (message, number)| right & is_stamped(message, number));
            if !right {
                return wrong(received.first(), self.number);
            }
            self.number += received.len() as u64;
            if ended {
                return Ok(tally(self.number - first, started.elapsed()));
            }
        }
    }

    fn mingle(&mut self, side: Side, turn: &Turn<'_>) -> Outcome<Done> {
        turn.start();
        let started = Instant::now();
        let (mut count, mut balance) = (0, 0_u64);
        let base = if side == Side::First { 0 } else { SECOND };
        let mut last = [None, None];
        while !turn.is_over(started.elapsed()) {
            for _ in 0..BURSTS {
                for _ in 0..BURST {
                    stamp(&mut self.message, base + self.number);
                    self.ends.send(&self.message)?;
                    balance = balance.wrapping_add(base + self.number);
                    self.number += 1;
                }
                for _ in 0..BURST {
                    self.ends.receive(&mut self.place)?;
                    let found = self.place.words();
                    let number = found.map_or(END, |found| found[0]);
                    balance = balance.wrapping_sub(number);
                    // What one side sends comes in its order.
                    let before = last[usize::from(number >= SECOND)].replace(number);
                    if before.is_some_and(|before| before >= number) || number == END {
                        return wrong(found, before.unwrap_or(0) + 1);
                    }
                }
            }
            count += BURSTS * BURST;
        }
        Ok(Done { tally: tally(count, started.elapsed()), balance })
    }
}

impl<E: Ends<N>, const N: usize> Player for Playing<E, N> {
    fn lead(&mut self, turn: &Turn<'_>, recorder: &mut Recorder) -> Outcome<Done> {
        let tally = match self.course.shape {
            Shape::RoundTrip => self.ping(turn, recorder),
            Shape::OneWay { batch: 1 } => self.produce(turn),
            Shape::OneWay { .. } => self.produce_many(turn),
            Shape::Crowd => {
                let done = self.mingle(Side::First, turn);
                turn.control.release();
                return done;
            }
        };
        Ok(Done { tally: tally?, balance: 0 })
    }

    fn follow(&mut self, turn: &Turn<'_>) -> Outcome<Done> {
        let tally = match self.course.shape {
            Shape::RoundTrip => self.pong(turn),
            Shape::OneWay { batch: 1 } => self.consume(turn),
            Shape::OneWay { .. } => self.consume_many(turn),
            Shape::Crowd => return self.mingle(Side::Second, turn),
        };
        Ok(Done { tally: tally?, balance: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::{Receiver, Sender, unbounded};

    use super::super::course::Kind;
    use super::*;
    use crate::turn::{Control, End as TurnEnd};

    /// A queue that does something wrong with one of its messages.
    struct Faulty {
        sender: Sender<[u64; 2]>,
        receiver: Receiver<[u64; 2]>,
        sent_count: u64,
        fault: Fault,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        Loses,
        Repeats,
        Mixes,
    }

    impl Ends<2> for Faulty {
        type Place = Box<[u64; 2]>;

        fn send(&mut self, message: &[u64; 2]) -> Outcome {
            self.sent_count += 1;
            let mut message = *message;
            match self.fault {
                Fault::Loses if self.sent_count == 5 => return Ok(()),
                Fault::Repeats if self.sent_count == 5 => self.sender.send(message)?,
                Fault::Mixes if self.sent_count == 5 => message[1] ^= 1,
                _ => {}
            }
            Ok(self.sender.send(message)?)
        }

        fn receive(&mut self, place: &mut Box<[u64; 2]>) -> Outcome {
            **place = self.receiver.recv()?;
            Ok(())
        }

        fn send_all(&mut self, words: &[u64]) -> Outcome {
            words.as_chunks().0.iter().try_for_each(|message| self.send(message))
        }

        fn receive_many<'a>(&mut self, words: &'a mut Vec<u64>, _: usize) -> Outcome<&'a [u64]> {
            words.clear();
            words.extend(self.receiver.recv()?);
            Ok(words)
        }
    }

    /// What both sides say after a turn.
    fn turn(course: Course, fault: Fault) -> [Result<Done, String>; 2] {
        let there = unbounded();
        // In a crowd both send to one queue and receive from it: whoever
        // leaves first takes nothing with it that the other waits for.
        let back = if course.shape == Shape::Crowd { there.clone() } else { unbounded() };
        let end = |sender, receiver, fault| Faulty { sender, receiver, sent_count: 0, fault };
        let mut first = Playing::new(end(there.0, back.1, fault), course);
        let mut second = Playing::new(end(back.0, there.1, Fault::None), course);
        let control = Control::default();
        std::thread::scope(|scope| {
            let following = scope.spawn(|| {
                let done = second.follow(&Turn { control: &control, end: TurnEnd::Following });
                // Whoever waits for it is told that it is gone.
                drop(second);
                done.map_err(|error| error.to_string())
            });
            let end = TurnEnd::Leading(Duration::from_millis(1));
            let mut recorder = Recorder::new().unwrap();
            let led = first.lead(&Turn { control: &control, end }, &mut recorder);
            drop(first);
            [led.map_err(|error| error.to_string()), following.join().unwrap()]
        })
    }

    const ROUND_TRIP: Course = Course::round_trip(16);
    const ONE_BY_ONE: Course = Course::one_way(16, 1);
    const BY_FOUR: Course = Course::one_way(16, 4);

    #[test]
    fn both_sides_count_the_same() {
        for course in [ROUND_TRIP, ONE_BY_ONE, BY_FOUR] {
            let [first, second] = turn(course, Fault::None).map(|done| done.unwrap().tally.count);
            assert!(first > 0 && first == second, "{course:?}: {first}, {second}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_message_is_found() {
        for course in [ONE_BY_ONE, BY_FOUR] {
            for fault in [Fault::Loses, Fault::Repeats, Fault::Mixes] {
                let [_, second] = turn(course, fault);
                assert!(second.unwrap_err().contains("instead of"), "{course:?}");
            }
        }
        let [_, second] = turn(ROUND_TRIP, Fault::Mixes);
        assert!(second.unwrap_err().contains("instead of 4"));
    }

    #[test]
    fn in_a_crowd_all_is_received_that_was_sent() {
        let crowd = Course { shape: Shape::Crowd, ..ROUND_TRIP.of_kind(Kind::Queue) };
        let balance = |fault| {
            let [first, second] = turn(crowd, fault).map(|done| done.map(|done| done.balance));
            let second = second?;
            Ok::<_, String>(first?.wrapping_add(second))
        };
        assert_eq!(balance(Fault::None), Ok(0));
        // Who receives both is out of order; if each side receives one, the balance shows it.
        assert_ne!(balance(Fault::Repeats), Ok(0));
    }
}
