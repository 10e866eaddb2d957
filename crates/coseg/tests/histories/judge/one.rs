//! One sender and one receiver: each message once, in the order in which they were sent. Lost is only what a killed
//! receiver may have been given.

use std::collections::{HashMap, HashSet};

use super::Violation;
use super::messages::{Blind, Done, Messages, Sent, Taken, unexplained};
use crate::hall::{Part, shown};
use crate::nemesis::History;

/// What receivers did, in the order of time: there is one at a time.
enum Event<'m> {
    Taken(&'m Taken),
    Blind(&'m Blind),
}

pub(super) fn judge(history: &History, part: Part) -> Vec<Violation> {
    let mut messages = Messages::of(history, part);
    messages.sent.sort_by_key(|sent| (sent.begin, sent.number));
    let taken = messages.taken.iter().map(|taken| (taken.begin, Event::Taken(taken)));
    let blind = messages.blind.iter().map(|blind| (blind.begin, Event::Blind(blind)));
    let mut events: Vec<(u64, Event<'_>)> = taken.chain(blind).collect();
    events.sort_by_key(|(begin, _)| *begin);

    let mut walk = Walk::new(&messages.sent);
    for (_, event) in events {
        match event {
            Event::Taken(taken) => walk.take(taken),
            Event::Blind(blind) => walk.blind.push(blind),
        }
    }
    let last = messages.sent.len();
    walk.pass(last, None);
    let mut found = walk.found;
    found.extend(messages.empty_is_empty());
    found
}

/// A way along what was sent.
struct Walk<'m> {
    sent: &'m [Sent],
    place: HashMap<u64, usize>,
    /// The first message that is not received for certain.
    next: usize,
    /// Who was killed, and may have been given some, since the last that is known.
    blind: Vec<&'m Blind>,
    /// The message that was in somebody's hands and not done.
    in_hand: Option<usize>,
    /// Those that may have been done by who was killed.
    maybe: HashSet<usize>,
    found: Vec<Violation>,
}

impl<'m> Walk<'m> {
    fn new(sent: &'m [Sent]) -> Walk<'m> {
        let place = sent.iter().enumerate().map(|(index, sent)| (sent.number, index)).collect();
        let (maybe, found) = (HashSet::new(), Vec::new());
        Walk { sent, place, next: 0, blind: Vec::new(), in_hand: None, maybe, found }
    }

    fn take(&mut self, taken: &Taken) {
        let number = shown(taken.number);
        let Some(&index) = self.place.get(&taken.number) else {
            let fact = format!("nobody sent {number}");
            return self.found.push(Violation::new("what is received was sent", fact, [taken.record]));
        };
        let about = [self.sent[index].record, taken.record];
        if taken.end < self.sent[index].begin {
            let fact = format!("{number} before it was sent");
            self.found.push(Violation::new("what is received was sent", fact, about));
        }
        if index < self.next {
            let fact = format!("{number} was received twice, or behind one that was sent later");
            return self.found.push(Violation::new("once, and in order", fact, about));
        }
        if self.in_hand == Some(index) && !taken.is_repeated {
            let fact = format!("{number} came again and did not say so");
            self.found.push(Violation::new("redelivered", fact, about));
        }
        self.pass(index, Some(taken));
        self.blind.clear();
        self.in_hand = (taken.done != Done::Yes).then_some(index);
        match taken.done {
            Done::Yes => self.next = index + 1,
            Done::No => {}
            Done::Maybe => drop(self.maybe.insert(index)),
        }
    }

    /// Goes on to a message: what is left behind must have been given to somebody who was killed.
    fn pass(&mut self, index: usize, by: Option<&Taken>) {
        let sent = self.sent;
        let left = (self.next..index).filter(|left| !self.maybe.contains(left)).map(|left| &sent[left]);
        let left = unexplained(left.filter(|sent| sent.is_certain).collect(), &self.blind);
        if let Some(first) = left.last() {
            let fact =
                format!("{} was sent and never received, and {} more", shown(first.number), left.len() - 1);
            let about: Vec<usize> = [first.record].into_iter().chain(by.map(|taken| taken.record)).collect();
            self.found.push(Violation::new("nothing is lost", fact, about));
        }
        self.next = index;
    }
}
