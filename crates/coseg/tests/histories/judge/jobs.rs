//! What is done in a transaction with a message is done exactly once.

use std::collections::HashMap;

use super::Violation;
use super::messages::Messages;
use crate::hall::{Part, shown};
use crate::nemesis::History;

pub(super) fn judge(history: &History) -> Vec<Violation> {
    let messages = Messages::of(history, Part::Jobs);
    let sent = messages.sent_by_number();
    let mut found = Vec::new();
    let mut tell = |number: u64, count: u64, about: Vec<usize>| {
        let fact = format!("{} was done {count} times", shown(number));
        found.push(Violation::new("exactly once", fact, about));
    };
    let with = |number: u64| -> Vec<usize> {
        let taken = messages.taken.iter().filter(|taken| taken.number == number).map(|taken| taken.record);
        sent.get(&number).map(|sent| sent.record).into_iter().chain(taken).collect()
    };
    for sent in &messages.sent {
        let count = history.done.get(&sent.number).copied().unwrap_or(0);
        if count > 1 || sent.is_certain && count == 0 {
            tell(sent.number, count, with(sent.number));
        }
    }
    let unsent: HashMap<&u64, &u64> =
        history.done.iter().filter(|(number, _)| !sent.contains_key(number)).collect();
    for (&number, &count) in unsent {
        tell(number, count, with(number));
    }
    let count: u64 = history.done.values().sum();
    if count != history.done_count {
        let fact = format!("{count} were done, and {} were counted with them", history.done_count);
        found.push(Violation::new("all of a transaction or nothing", fact, []));
    }
    found
}
