//! Broadcasts: all receivers see the messages in one order, from when they came on, and whoever misses some is told how
//! many.

use std::collections::{HashMap, HashSet};

use super::Violation;
use super::messages::{Done, Empty, Lying, Messages, Sent, Taken};
use crate::hall::{Part, life_of, shown};
use crate::nemesis::History;
use crate::record::{Deed, Outcome, Record};

/// One receiver, from when it came.
struct Stay {
    record: usize,
    begin: u64,
    end: u64,
    taken: Vec<Taken>,
    empty: Vec<Empty>,
    /// Of each operation that received, or may have: its record.
    records: Vec<usize>,
}

pub(super) fn judge(history: &History, part: Part) -> Vec<Violation> {
    let messages = Messages::of(history, part);
    let sent = messages.sent_by_number();
    let stays = stays(history, part, &messages);
    let mut found = Vec::new();
    for stay in &stays {
        found.extend(stay.in_order(&sent));
        if part == Part::News {
            found.extend(stay.complete(&messages));
        } else {
            found.extend(Counts::new(&messages).judge(history, stay, &sent));
        }
    }
    let mut ways: Vec<Vec<(u64, usize)>> = stays.iter().map(Stay::way).collect();
    if part == Part::Ticks {
        found.extend(all_counted(history, &messages));
        ways.push(history.ticks.0.iter().map(|&number| (number, usize::MAX)).collect());
        found.extend(one_order(&ways));
    } else {
        found.extend(one_successor(&ways));
    }
    found
}

fn stays(history: &History, part: Part, messages: &Messages) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    let mut of_life: HashMap<usize, usize> = HashMap::new();
    let receives = |record: &&Record| {
        matches!(record.deed, Deed::Receive | Deed::ReceiveMany | Deed::Hold | Deed::Show)
            && record.end.is_some()
    };
    for (index, record) in history.records.iter().enumerate().filter(|(_, record)| record.part == part) {
        match (record.deed, record.end) {
            (Deed::TakeReceiver, Some(end)) if record.outcome == Outcome::Ok => {
                of_life.insert(record.life, stays.len());
                let (taken, empty, records) = (Vec::new(), Vec::new(), Vec::new());
                stays.push(Stay { record: index, begin: record.begin, end, taken, empty, records });
            }
            _ => {
                if let Some(&stay) = of_life.get(&record.life).filter(|_| receives(&record)) {
                    stays[stay].records.push(index);
                }
            }
        }
    }
    let by_record: HashMap<usize, usize> = stays
        .iter()
        .enumerate()
        .flat_map(|(at, stay)| stay.records.iter().map(move |&record| (record, at)))
        .collect();
    for taken in messages.taken.iter().filter(|taken| taken.is_complete) {
        if let Some(&stay) = by_record.get(&taken.record) {
            stays[stay].taken.push(*taken);
        }
    }
    for empty in &messages.empty {
        if let Some(&stay) = by_record.get(&empty.record) {
            stays[stay].empty.push(*empty);
        }
    }
    stays
}

impl Stay {
    /// The messages in the order in which it got them, each once.
    fn way(&self) -> Vec<(u64, usize)> {
        let mut way: Vec<(u64, usize)> =
            self.taken.iter().map(|taken| (taken.number, taken.record)).collect();
        way.dedup_by_key(|(number, _)| *number);
        way
    }

    /// What it got was sent since it came, each once, and each sender's in his order.
    fn in_order(&self, sent: &HashMap<u64, &Sent>) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut last: HashMap<usize, u64> = HashMap::new();
        let mut shown_before = None;
        for taken in &self.taken {
            let number = shown(taken.number);
            let Some(sent) = sent.get(&taken.number) else {
                let fact = format!("nobody sent {number}");
                found.push(Violation::new("what is received was sent", fact, [taken.record]));
                continue;
            };
            let about = [self.record, sent.record, taken.record];
            if taken.end < sent.begin || sent.end < self.begin {
                let fact = format!("{number} before it was sent, or before its receiver came");
                found.push(Violation::new("what is received was sent", fact, about));
            }
            let last = last.entry(life_of(taken.number)).or_default();
            if taken.number <= *last && shown_before != Some(taken.number) {
                let fact = format!("{number} after {}", shown(*last));
                found.push(Violation::new("once, and in the order of their sender", fact, about));
            }
            *last = taken.number;
            shown_before = (taken.done == Done::No).then_some(taken.number);
        }
        found
    }

    /// Whoever lives gets all that was sent since he came: up to what he got last, and when he is told that there is no
    /// more.
    fn complete(&self, messages: &Messages) -> Vec<Violation> {
        let sent = messages.sent_by_number();
        let mut taken_at: HashMap<u64, u64> = HashMap::new();
        for taken in self.taken.iter().filter(|taken| taken.done == Done::Yes) {
            taken_at.insert(taken.number, taken.begin);
        }
        let due = messages.sent.iter().filter(|sent| sent.is_certain && sent.begin > self.end);
        let due = due.map(|sent| (*sent, taken_at.get(&sent.number).copied().unwrap_or(u64::MAX)));
        let due = Lying::new(due.collect());
        let mut found: Vec<Violation> = self.empty.iter().filter_map(|empty| due.during(empty)).collect();
        // What was sent before another was is received before it.
        for taken in &self.taken {
            let Some(sent) = sent.get(&taken.number) else { continue };
            let moment = Empty { record: taken.record, begin: sent.begin, end: taken.end };
            if let Some(violation) = due.during(&moment) {
                found.push(Violation { rule: "nothing is lost", ..violation });
            }
        }
        found.truncate(3);
        found
    }
}

/// Each message has one that comes next, for all who get both.
fn one_successor(ways: &[Vec<(u64, usize)>]) -> Option<Violation> {
    let (mut next, mut before) = (HashMap::new(), HashMap::new());
    for pair in ways.iter().flat_map(|way| way.windows(2)) {
        let [(first, first_record), (second, second_record)] = [pair[0], pair[1]];
        let (other, other_record) = *next.entry(first).or_insert((second, second_record));
        let (earlier, earlier_record) = *before.entry(second).or_insert((first, first_record));
        if other != second || earlier != first {
            let [first, second, other, earlier] = [first, second, other, earlier].map(shown);
            let fact = format!(
                "after {first} came {second} for one and {other} for another; before {second}, {earlier}"
            );
            let about = [first_record, second_record, other_record, earlier_record];
            return Some(Violation::new("one order, and nothing lost", fact, about));
        }
    }
    None
}

/// Nobody sees two messages in another order than anybody else.
fn one_order(ways: &[Vec<(u64, usize)>]) -> Option<Violation> {
    let mut after: HashMap<u64, HashSet<u64>> = HashMap::new();
    let mut waits: HashMap<u64, usize> = HashMap::new();
    for pair in ways.iter().flat_map(|way| way.windows(2)) {
        waits.entry(pair[0].0).or_default();
        if after.entry(pair[0].0).or_default().insert(pair[1].0) {
            *waits.entry(pair[1].0).or_default() += 1;
        }
    }
    let mut free: Vec<u64> =
        waits.iter().filter(|(_, count)| **count == 0).map(|(number, _)| *number).collect();
    while let Some(number) = free.pop() {
        waits.remove(&number);
        for later in after.remove(&number).into_iter().flatten() {
            if let Some(count) = waits.get_mut(&later) {
                *count -= 1;
                if *count == 0 {
                    free.push(later);
                }
            }
        }
    }
    let least = *waits.keys().min()?;
    let about = ways.iter().flatten().filter(|(number, record)| *number == least && *record != usize::MAX);
    let about: Vec<usize> = about.map(|(_, record)| *record).collect();
    let fact = format!("two saw {} messages in another order, among them {}", waits.len(), shown(least));
    Some(Violation::new("one order", fact, about))
}

/// Whoever was there from before the first to after the last got or missed each.
fn all_counted(history: &History, messages: &Messages) -> Option<Violation> {
    let (received, missed) = &history.ticks;
    let told = received.len() as u64 + missed;
    let certain = messages.sent.iter().filter(|sent| sent.is_certain).count() as u64;
    let most = messages.sent.len() as u64;
    (!(certain..=most).contains(&told)).then(|| {
        let fact = format!(
            "{} received and {missed} missed, of {certain} sent, and {} perhaps",
            received.len(),
            most - certain
        );
        Violation::new("who misses some is told how many", fact, [])
    })
}

/// How many messages there can be between two moments.
struct Counts {
    certain_ends: Vec<u64>,
    certain_begins: Vec<u64>,
    begins: Vec<u64>,
    ends: Vec<u64>,
}

impl Counts {
    fn new(messages: &Messages) -> Counts {
        let sorted = |only_certain: bool, time: fn(&Sent) -> u64| {
            let sent = messages.sent.iter().filter(|sent| sent.is_certain || !only_certain);
            let mut times: Vec<u64> = sent.map(time).collect();
            times.sort_unstable();
            times
        };
        Counts {
            certain_ends: sorted(true, |sent| sent.end),
            certain_begins: sorted(true, |sent| sent.begin),
            begins: sorted(false, |sent| sent.begin),
            ends: sorted(false, |sent| sent.end),
        }
    }

    /// How many messages come after one that was sent in the first time, up to one that was sent in the second.
    fn between(&self, first: (u64, u64), second: (u64, u64)) -> std::ops::RangeInclusive<usize> {
        let below = |times: &[u64], time: u64| times.partition_point(|other| *other < time);
        let up_to = |times: &[u64], time: u64| times.partition_point(|other| *other <= time);
        let certain =
            below(&self.certain_ends, second.0).saturating_sub(up_to(&self.certain_begins, first.1));
        let possible = up_to(&self.begins, second.1).saturating_sub(below(&self.ends, first.0));
        certain + 1..=possible
    }

    fn judge(&self, history: &History, stay: &Stay, sent: &HashMap<u64, &Sent>) -> Option<Violation> {
        let mut from = None;
        let mut missed = 0;
        let mut passed = 0;
        for &index in &stay.records {
            let record = &history.records[index];
            let got = match (record.deed, record.outcome) {
                // It is shown again.
                (Deed::Show, _) => 0,
                (Deed::Hold, Outcome::Other) => 1,
                (_, Outcome::Ok) => record.received().count(),
                _ => 0,
            };
            passed += got + usize::try_from(record.missed - missed).unwrap_or(usize::MAX / 2);
            missed = record.missed;
            let last = (record.outcome == Outcome::Ok).then(|| record.received().last()).flatten();
            let Some(last) = last.and_then(|number| sent.get(&number)) else { continue };
            let to = (last.begin, last.end);
            let mut possible = self.between(from.unwrap_or((stay.begin, stay.end)), to);
            if from.is_some() {
                // The first is not one after itself.
                possible = *possible.start()..=*possible.end() - 1;
            }
            if !possible.contains(&passed) {
                let fact = format!(
                    "{} is {passed} messages after the one before it, by what its receiver got and was told; it is {} to {}",
                    shown(last.number),
                    possible.start(),
                    possible.end()
                );
                return Some(Violation::new("who misses some is told how many", fact, [last.record, index]));
            }
            (from, passed) = (Some(to), 0);
        }
        None
    }
}
