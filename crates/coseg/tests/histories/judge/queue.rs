//! Queues: nothing lost, nothing twice, and what one sender sends is received in its order.

use std::collections::HashMap;

use super::Violation;
use super::messages::{Blind, Done, Messages, Sent, Taken, first, unexplained};
use crate::hall::{Part, shown};
use crate::nemesis::History;

pub(super) fn judge(history: &History, part: Part) -> Vec<Violation> {
    let messages = Messages::of(history, part);
    let (sent, taken) = (messages.sent_by_number(), messages.taken_by_number());
    let mut found = Vec::new();
    for (number, takes) in &taken {
        match sent.get(number) {
            None => found.push(Violation::new(
                "what is received was sent",
                format!("nobody sent {}", shown(*number)),
                [takes[0].record],
            )),
            Some(sent) => found.extend(once(sent, takes)),
        }
    }
    found.extend(lost(&messages, &taken));
    found.extend(order(&messages, &taken));
    found.extend(messages.empty_is_empty());
    found
}

/// What was done does not come again; what comes again says so.
fn once(sent: &Sent, takes: &[&Taken]) -> Option<Violation> {
    let number = shown(sent.number);
    let about = || takes.iter().map(|taken| taken.record).chain([sent.record]).collect::<Vec<_>>();
    if let Some(early) = takes.iter().find(|taken| taken.end < sent.begin) {
        return Some(Violation::new(
            "what is received was sent",
            format!("{number} before it was sent"),
            [early.record],
        ));
    }
    for (index, first) in takes.iter().enumerate() {
        for second in &takes[index + 1..] {
            if first.done == Done::Yes && (second.done == Done::Yes || second.begin > first.end) {
                return Some(Violation::new("once", format!("{number} was received twice"), about()));
            }
            if second.begin > first.end && !second.is_repeated {
                return Some(Violation::new(
                    "redelivered",
                    format!("{number} came again and did not say so"),
                    about(),
                ));
            }
        }
    }
    None
}

/// What was sent for certain was received, or given to one who was killed before he could say so.
fn lost(messages: &Messages, taken: &HashMap<u64, Vec<&Taken>>) -> Vec<Violation> {
    let came = |sent: &&Sent| {
        let takes = taken.get(&sent.number).map_or(&[][..], |takes| takes);
        takes.iter().any(|taken| taken.done != Done::No)
    };
    let missing = messages.sent.iter().filter(|sent| sent.is_certain && !came(sent)).collect();
    let tell = |sent: &Sent| {
        let takes = taken.get(&sent.number).into_iter().flatten().map(|taken| taken.record);
        let about: Vec<usize> = [sent.record].into_iter().chain(takes).collect();
        Violation::new(
            "nothing is lost",
            format!("{} was sent and never received", shown(sent.number)),
            about,
        )
    };
    let blind: Vec<&Blind> = messages.blind.iter().collect();
    unexplained(missing, &blind).into_iter().map(tell).collect()
}

/// Nobody gets a message of a sender as long as an earlier one of his lies there.
fn order(messages: &Messages, taken: &HashMap<u64, Vec<&Taken>>) -> Vec<Violation> {
    let mut of_life: HashMap<usize, Vec<u64>> = HashMap::new();
    for sent in &messages.sent {
        of_life.entry(sent.life).or_default().push(sent.number);
    }
    let mut found = Vec::new();
    for mut numbers in of_life.into_values() {
        numbers.sort_unstable();
        // From the last to the first: who of those behind was received earliest.
        let mut earliest: Option<&Taken> = None;
        for number in numbers.into_iter().rev() {
            let Some(takes) = taken.get(&number) else { continue };
            if let (Some(own), Some(later)) = (first(takes), earliest)
                && later.end < own.begin
            {
                let fact = format!("{} was received before {}", shown(later.number), shown(number));
                found.push(Violation::new("in the order of their sender", fact, [later.record, own.record]));
            }
            let complete = takes.iter().copied().filter(|taken| taken.is_complete);
            earliest = earliest.into_iter().chain(complete).min_by_key(|taken| taken.end);
        }
    }
    found
}
