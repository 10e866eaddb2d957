//! What must hold of every history.

mod broadcast;
mod jobs;
mod linear;
mod map;
mod messages;
mod one;
mod queue;
#[cfg(test)]
mod tests;
mod time;

use crate::hall::{Part, shown};
use crate::nemesis::History;
use crate::record::{Deed, Outcome, Record};

/// A rule that was broken, and the operations that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) fact: String,
    /// Indices of records.
    pub(crate) about: Vec<usize>,
}

impl Violation {
    fn new(rule: &'static str, fact: String, about: impl Into<Vec<usize>>) -> Violation {
        Violation { rule, fact, about: about.into() }
    }
}

/// What is wrong with a history.
pub(crate) fn judge(history: &History) -> Vec<Violation> {
    let mut found: Vec<Violation> =
        history.failures.iter().map(|failure| Violation::new("all go on", failure.clone(), [])).collect();
    // Of one that has no end, nothing more can be said.
    if !found.is_empty() {
        return found;
    }
    found.extend(whole(history));
    found.extend(time::judge(history));
    found.extend(queue::judge(history, Part::Queue));
    found.extend(queue::judge(history, Part::Jobs));
    found.extend(jobs::judge(history));
    found.extend(one::judge(history, Part::Line));
    found.extend(one::judge(history, Part::Film));
    found.extend(broadcast::judge(history, Part::News));
    found.extend(broadcast::judge(history, Part::Ticks));
    found.extend(map::judge(history));
    found
}

fn whole(history: &History) -> impl Iterator<Item = Violation> {
    let torn = history
        .records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.end.is_some() && record.outcome == Outcome::Torn);
    torn.map(|(index, _)| Violation::new("messages are whole", "bytes of no message".to_owned(), [index]))
}

/// Operations told around those that show a violation.
const AROUND: usize = 3;
/// The most that are told.
const LINES: usize = 40;

/// Some lines for people: the operations in question, and what happened at the same part around them.
pub(crate) fn told(history: &History, violation: &Violation) -> String {
    let records = &history.records;
    let mut told: Vec<usize> = violation.about.clone();
    for &about in &violation.about {
        let part = records[about].part;
        let same = |index: &usize| records[*index].part == part;
        told.extend((0..about).rev().filter(same).take(AROUND));
        told.extend((about + 1..records.len()).filter(same).take(AROUND));
    }
    told.sort_unstable();
    told.dedup();
    let mut text = format!("{}: {}\n", violation.rule, violation.fact);
    for index in told.into_iter().take(LINES) {
        let mark = if violation.about.contains(&index) { '>' } else { ' ' };
        text += &format!("{mark} {}\n", line(history, &records[index]));
    }
    text
}

fn line(history: &History, record: &Record) -> String {
    let ms = |at: u64| at.saturating_sub(history.begin) as f64 / 1e6;
    let life = history.lives.get(record.life).map_or(usize::MAX, |life| life.worker);
    let end = record.end.map_or("killed".to_owned(), |end| format!("{:9.4}", ms(end)));
    let what = match record.deed {
        Deed::Send => shown(record.what),
        Deed::SendMany => format!("{} and on, {}", shown(record.what), record.value),
        Deed::Get | Deed::Remove => format!("key {}", record.what),
        Deed::Put | Deed::Insert => format!("key {} to {}", record.what, shown(record.value)),
        Deed::Swap => {
            format!("key {} from {} to {}", record.what, shown(record.expected), shown(record.value))
        }
        _ => String::new(),
    };
    let mut came = match (record.end, record.outcome) {
        (None, _) if record.is_settling => format!("had {}, about to be done", shown(record.seen)),
        (None, _) if record.seen != 0 => format!("had {}", shown(record.seen)),
        (None, _) => "?".to_owned(),
        (_, Outcome::Ok) if record.found[0] != 0 => {
            record.received().map(shown).collect::<Vec<_>>().join(" ")
        }
        (_, outcome) => format!("{outcome:?}"),
    };
    if record.is_repeated {
        came += ", redelivered";
    }
    format!(
        "{:9.4} to {end:>9} ms  worker {life} life {:2}  {:5} {:?} {what} -> {came}",
        ms(record.begin),
        record.life,
        record.part.name(),
        record.deed,
    )
}
