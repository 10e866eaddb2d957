//! What was sent, and what was received, by the records.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::iter::repeat_n;

use super::Violation;
use crate::hall::{Part, shown};
use crate::nemesis::History;
use crate::record::{Deed, MANY, Outcome, Record};

/// A message that was sent, or may have been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) life: usize,
    pub(super) record: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) is_certain: bool,
}

/// Whether a message is received with what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Yes,
    /// It was given back, or its receiver was killed with it in hand: it is to come again.
    No,
    /// Its receiver was killed as it was about to be done.
    Maybe,
}

/// A message that was in a receiver's hands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) number: u64,
    pub(super) record: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) done: Done,
    pub(super) is_repeated: bool,
    pub(super) is_complete: bool,
}

/// An operation whose process was killed in it, and which may have received messages that nobody knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blind {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) room: usize,
}

/// A receiver who was told that there is no message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Empty {
    pub(super) record: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// All about one channel, each in the order of time.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) sent: Vec<Sent>,
    pub(super) taken: Vec<Taken>,
    pub(super) blind: Vec<Blind>,
    pub(super) empty: Vec<Empty>,
}

impl Messages {
    pub(super) fn of(history: &History, part: Part) -> Messages {
        let mut messages = Messages::default();
        for (index, record) in history.records.iter().enumerate().filter(|(_, record)| record.part == part) {
            match record.deed {
                Deed::Send | Deed::SendMany => messages.add_sent(history, index, record),
                Deed::Receive
                | Deed::ReceiveMany
                | Deed::Hold
                | Deed::Show
                | Deed::Commit
                | Deed::RollBack => {
                    messages.add_taken(history, index, record);
                }
                _ => {}
            }
        }
        messages
    }

    fn add_sent(&mut self, history: &History, index: usize, record: &Record) {
        // One whose process was killed did nothing after that.
        let end = record.end.unwrap_or_else(|| death(history, record));
        if record.end.is_none() || record.outcome == Outcome::Ok {
            let sent = |number| {
                let (life, is_certain) = (record.life, record.end.is_some());
                Sent { number, life, record: index, begin: record.begin, end, is_certain }
            };
            self.sent.extend((record.what..record.what + record.value).map(sent));
        }
    }

    fn add_taken(&mut self, history: &History, index: usize, record: &Record) {
        let begin = record.begin;
        let end = record.end.unwrap_or_else(|| death(history, record));
        let taken = |number, done, is_repeated| Taken {
            number,
            record: index,
            begin,
            end,
            done,
            is_repeated,
            is_complete: record.end.is_some(),
        };
        let gives_back = matches!(record.deed, Deed::Show | Deed::RollBack);
        match (record.end, record.outcome) {
            (Some(_), Outcome::Ok) => {
                let done = if gives_back { Done::No } else { Done::Yes };
                let numbers: Vec<u64> = record.received().collect();
                let count = numbers.len();
                let each = numbers.into_iter().enumerate();
                // Of several, only the last may have been held before.
                self.taken.extend(
                    each.map(|(at, number)| taken(number, done, record.is_repeated && at + 1 == count)),
                );
                if count == 0 {
                    self.empty.push(Empty { record: index, begin, end });
                }
            }
            // What was overwritten while it was held may be any later message, or of several.
            (Some(_), Outcome::Other | Outcome::Torn) => {}
            (Some(_), _) => self.empty.push(Empty { record: index, begin, end }),
            (None, _) if record.seen != 0 => {
                let done = if record.is_settling { Done::Maybe } else { Done::No };
                // It may have been told so, and not have written it down.
                self.taken.push(taken(record.seen, done, true));
            }
            (None, _) => {
                let room = match record.deed {
                    Deed::Receive => 1,
                    Deed::ReceiveMany => MANY,
                    // These are done in a second step.
                    _ => 0,
                };
                self.blind.push(Blind { begin, end, room });
            }
        }
    }

    /// Everything that was in somebody's hands, by its number.
    pub(super) fn taken_by_number(&self) -> HashMap<u64, Vec<&Taken>> {
        let mut taken: HashMap<u64, Vec<&Taken>> = HashMap::new();
        for one in &self.taken {
            taken.entry(one.number).or_default().push(one);
        }
        taken
    }

    pub(super) fn sent_by_number(&self) -> HashMap<u64, &Sent> {
        self.sent.iter().map(|sent| (sent.number, sent)).collect()
    }

    /// Nobody is told that there is nothing while a message lies there, sent and in nobody's hands.
    pub(super) fn empty_is_empty(&self) -> Vec<Violation> {
        let taken = self.taken_by_number();
        let lying = self.sent.iter().filter(|sent| sent.is_certain);
        let lying = lying.filter_map(|sent| Some((*sent, first(taken.get(&sent.number)?)?.begin)));
        let lying = Lying::new(lying.collect());
        self.empty.iter().filter_map(|empty| lying.during(empty)).collect()
    }
}

/// Those that nobody who was killed can have been given: each may have had so many, and none that was sent after its
/// death.
pub(super) fn unexplained<'m>(mut missing: Vec<&'m Sent>, blind: &[&Blind]) -> Vec<&'m Sent> {
    missing.sort_by_key(|sent| Reverse(sent.begin));
    let mut deaths: Vec<u64> = blind.iter().flat_map(|blind| repeat_n(blind.end, blind.room)).collect();
    deaths.sort_unstable_by_key(|death| Reverse(*death));
    let mut deaths = deaths.into_iter().peekable();
    // The latest are given to the last who may have had them.
    missing.retain(|sent| deaths.next_if(|death| *death >= sent.begin).is_none());
    missing
}

/// When a message was first known to be in somebody's hands, if nobody can have had it before.
pub(super) fn first<'t>(takes: &[&'t Taken]) -> Option<&'t Taken> {
    takes.first().copied().filter(|taken| !taken.is_repeated && taken.is_complete)
}

/// Messages and when they were taken, in the order in which they were sent; each with the latest up to it.
pub(super) struct Lying(Vec<(Sent, u64)>);

impl Lying {
    pub(super) fn new(mut messages: Vec<(Sent, u64)>) -> Lying {
        messages.sort_unstable_by_key(|(sent, _)| sent.end);
        for index in 1..messages.len() {
            if messages[index].1 < messages[index - 1].1 {
                messages[index] =
                    (Sent { end: messages[index].0.end, ..messages[index - 1].0 }, messages[index - 1].1);
            }
        }
        Lying(messages)
    }

    /// One that lay there all the time while a receiver was told that there is none.
    pub(super) fn during(&self, empty: &Empty) -> Option<Violation> {
        let count = self.0.partition_point(|(sent, _)| sent.end < empty.begin);
        let (sent, until) = self.0.get(count.checked_sub(1)?)?;
        (empty.end < *until).then(|| {
            let fact = format!("{} lay there", shown(sent.number));
            Violation::new("empty is empty", fact, [sent.record, empty.record])
        })
    }
}

/// When a life ended: it did not live to complete this.
pub(super) fn death(history: &History, record: &Record) -> u64 {
    history.lives.get(record.life).and_then(|life| life.death).unwrap_or(u64::MAX)
}
