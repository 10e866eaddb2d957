//! One worker: random operations, each recorded, until it is killed or told that it is over.

use std::path::Path;
use std::time::Duration;

use coseg::{DropOldest, OneToOne, Queue, Receiver, Region, Sender, Stream, Wait};
use coseg_crash::SplitMix;

use crate::hall::{FILM_BYTES, Hall, JOBS, LINE, Letter, NEWS, Note, Part, QUEUE, TICKS, hall, number};
use crate::messages::{Inbox, Outbox, receive_film, send_film, take_job};
use crate::record::{Deed, Log, Record, Writer};
use crate::stage::backend_told;
use crate::{keys, messages};

/// Who is to have which ends; all have those of the queues.
#[derive(Clone, Copy)]
struct Duty {
    sends_line: bool,
    receives_line: bool,
    sends_film: bool,
    receives_film: bool,
    /// Sends the news and receives the ticks, or the other way round.
    sends_news: bool,
}

impl Duty {
    fn of(worker: usize) -> Duty {
        Duty {
            sends_line: worker == 0 || worker == 2,
            receives_line: worker == 1 || worker == 3,
            sends_film: sends_film(worker),
            receives_film: worker == 5 || worker == 7,
            sends_news: worker < 4,
        }
    }
}

/// Whether a worker may send films: their receivers wait until there is none left.
pub(crate) fn sends_film(worker: usize) -> bool {
    worker == 4 || worker == 6
}

pub(crate) struct Worker {
    pub(crate) region: Region<Hall>,
    pub(crate) writer: Writer,
    pub(crate) random: SplitMix,
    counts: [u64; Part::ALL.len()],
    ends: Ends,
    /// Keys that were looked at, for compare-and-swap.
    pub(crate) stamps: keys::Stamps,
}

/// The ends that a worker has.
#[derive(Default)]
struct Ends {
    queue: Option<(Sender<Letter, Queue<QUEUE>>, Receiver<Letter, Queue<QUEUE>>)>,
    jobs: Option<(Sender<Letter, Queue<JOBS>>, Receiver<Letter, Queue<JOBS>>)>,
    line_out: Option<Sender<Note, OneToOne<LINE>>>,
    line_in: Option<Receiver<Note, OneToOne<LINE>>>,
    film_out: Option<Sender<coseg::Bytes<FILM_BYTES>, Stream<4>>>,
    film_in: Option<Receiver<coseg::Bytes<FILM_BYTES>, Stream<4>>>,
    news_out: Option<Sender<Letter, coseg::Broadcast<NEWS, Wait>>>,
    news_in: Option<Receiver<Letter, coseg::Broadcast<NEWS, Wait>>>,
    ticks_out: Option<Sender<Letter, coseg::Broadcast<TICKS, DropOldest>>>,
    ticks_in: Option<Receiver<Letter, coseg::Broadcast<TICKS, DropOldest>>>,
}

/// Works until it is over.
pub(crate) fn work(number: usize, life: usize, seed: u64, records: &Path) {
    let mut worker = Worker::new(number, life, seed, records);
    let duty = Duty::of(number);
    while !worker.writer.log.is_over() && !worker.writer.is_full() {
        worker.operate(duty);
    }
}

impl Worker {
    pub(crate) fn new(number: usize, life: usize, seed: u64, records: &Path) -> Worker {
        let region = hall(&backend_told()).participant(&format!("worker {number}")).open().unwrap();
        Worker {
            region,
            writer: Writer::new(Log::open(records), life),
            random: SplitMix::new(seed),
            counts: [0; Part::ALL.len()],
            ends: Ends::default(),
            stamps: keys::Stamps::default(),
        }
    }

    /// Numbers of new messages or values.
    pub(crate) fn numbers(&mut self, part: Part, count: u64) -> u64 {
        let next = &mut self.counts[part as usize];
        *next += count;
        number(self.writer.life, part, *next - count + 1)
    }

    /// How long to wait; often not at all.
    fn timeout(&mut self) -> Option<Duration> {
        match self.random.below(8) {
            0..4 => None,
            4 => Some(Duration::from_micros(50)),
            5..7 => Some(Duration::from_micros(500)),
            _ => Some(Duration::from_millis(3)),
        }
    }

    fn operate(&mut self, duty: Duty) {
        match self.random.below(16) {
            0..4 => self.at_queue(),
            4..6 => self.at_jobs(),
            6..8 if duty.sends_line || duty.receives_line => self.at_line(duty),
            6..8 => self.at_film(duty),
            8..10 if duty.sends_news => self.send_news(),
            8..10 => self.receive_news(),
            10..12 if duty.sends_news => self.receive_ticks(),
            10..12 => self.send_ticks(),
            _ => keys::operate(self),
        }
    }

    fn at_queue(&mut self) {
        if self.ends.queue.is_none() {
            let queue = &self.region.queue;
            let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
            let writer = &mut self.writer;
            self.ends.queue = Some((sender, receiver));
            writer.write(Record::new(Deed::TakeReceiver, Part::Queue), |_, _| ());
        }
        let (timeout, choice) = (self.timeout(), self.random.below(16));
        let first = if choice < 8 { self.numbers(Part::Queue, 4) } else { 0 };
        let Some((sender, receiver)) = &mut self.ends.queue else { return };
        let mut outbox = Outbox { writer: &mut self.writer, part: Part::Queue, sender };
        match choice {
            0..6 => outbox.send(first, timeout),
            6..8 => outbox.send_many(first),
            _ => Inbox { writer: &mut self.writer, part: Part::Queue, receiver }.receive(choice, timeout),
        }
        if choice == 15 && self.random.below(16) == 0 {
            self.ends.queue = None;
        }
    }

    fn at_jobs(&mut self) {
        let choice = self.random.below(16);
        let timeout = self.timeout();
        let first = if choice < 7 { self.numbers(Part::Jobs, 4) } else { 0 };
        let jobs = &self.region.jobs;
        let (sender, receiver) =
            self.ends.jobs.get_or_insert_with(|| (jobs.sender().unwrap(), jobs.receiver().unwrap()));
        match choice {
            0..7 => Outbox { writer: &mut self.writer, part: Part::Jobs, sender }.send(first, timeout),
            7 => {
                let timeout = timeout.unwrap_or_default();
                messages::wait(&mut self.writer, Part::Jobs, receiver, timeout);
            }
            _ => {
                let deed = if choice < 15 { Deed::Commit } else { Deed::RollBack };
                take_job(&mut self.writer, deed, &self.region, receiver);
            }
        }
    }

    fn at_line(&mut self, duty: Duty) {
        let (timeout, choice) = (self.timeout(), self.random.below(16));
        let leaves = self.random.below(64) == 0;
        if duty.sends_line {
            let first = self.numbers(Part::Line, 4);
            let line = &self.region.line;
            let Some(sender) = messages::take(
                &mut self.writer,
                Part::Line,
                Deed::TakeSender,
                &mut self.ends.line_out,
                || line.sender(),
            ) else {
                return;
            };
            let mut outbox = Outbox { writer: &mut self.writer, part: Part::Line, sender };
            if choice < 10 {
                outbox.send(first, timeout)
            } else {
                outbox.send_many(first)
            }
            if leaves {
                self.ends.line_out = None;
            }
        } else {
            let line = &self.region.line;
            let own = &mut self.ends.line_in;
            let taken = || line.receiver();
            let Some(receiver) = messages::take(&mut self.writer, Part::Line, Deed::TakeReceiver, own, taken)
            else {
                return;
            };
            Inbox { writer: &mut self.writer, part: Part::Line, receiver }.receive(choice, timeout);
            if leaves {
                let leave = Record::new(Deed::LeaveReceiver, Part::Line);
                self.writer.write(leave, |_, _| self.ends.line_in = None);
            }
        }
    }

    fn at_film(&mut self, duty: Duty) {
        let timeout = self.timeout().unwrap_or_default();
        let film = &self.region.film;
        if duty.sends_film {
            let (writer, own) = (&mut self.writer, &mut self.ends.film_out);
            if messages::take(writer, Part::Film, Deed::TakeSender, own, || film.sender()).is_none() {
                return;
            }
            let number = self.numbers(Part::Film, 1);
            let Some(sender) = &mut self.ends.film_out else { return };
            send_film(&mut self.writer, sender, number, timeout);
            if self.random.below(64) == 0 {
                self.ends.film_out = None;
            }
        } else if duty.receives_film {
            let (writer, own) = (&mut self.writer, &mut self.ends.film_in);
            let taken = || film.receiver();
            let Some(receiver) = messages::take(writer, Part::Film, Deed::TakeReceiver, own, taken) else {
                return;
            };
            if messages::wait(&mut self.writer, Part::Film, receiver, timeout) {
                receive_film(&mut self.writer, receiver);
            }
            if self.random.below(64) == 0 {
                self.ends.film_in = None;
            }
        }
    }

    fn send_news(&mut self) {
        let timeout = self.timeout();
        let number = self.numbers(Part::News, 1);
        let news = &self.region.news;
        let sender = self.ends.news_out.get_or_insert_with(|| news.sender().unwrap());
        Outbox { writer: &mut self.writer, part: Part::News, sender }.send(number, timeout);
    }

    fn send_ticks(&mut self) {
        let timeout = self.timeout();
        let first = self.numbers(Part::Ticks, 4);
        let ticks = &self.region.ticks;
        let sender = self.ends.ticks_out.get_or_insert_with(|| ticks.sender().unwrap());
        let mut outbox = Outbox { writer: &mut self.writer, part: Part::Ticks, sender };
        if first.is_multiple_of(3) { outbox.send_many(first) } else { outbox.send(first, timeout) }
    }

    fn receive_news(&mut self) {
        let (timeout, choice) = (self.timeout(), 8 + self.random.below(8));
        let news = &self.region.news;
        let own = &mut self.ends.news_in;
        let taken = || news.receiver();
        let Some(receiver) = messages::take(&mut self.writer, Part::News, Deed::TakeReceiver, own, taken)
        else {
            return;
        };
        Inbox { writer: &mut self.writer, part: Part::News, receiver }.receive(choice, timeout);
        if self.random.below(128) == 0 {
            self.ends.news_in = None;
        }
    }

    fn receive_ticks(&mut self) {
        let (timeout, choice) = (self.timeout(), 8 + self.random.below(8));
        let ticks = &self.region.ticks;
        let own = &mut self.ends.ticks_in;
        let taken = || ticks.receiver();
        let Some(receiver) = messages::take(&mut self.writer, Part::Ticks, Deed::TakeReceiver, own, taken)
        else {
            return;
        };
        Inbox { writer: &mut self.writer, part: Part::Ticks, receiver }.receive(choice, timeout);
        if self.random.below(128) == 0 {
            self.ends.ticks_in = None;
        }
    }
}
