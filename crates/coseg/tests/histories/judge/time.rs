//! Whoever waits for a time does not wait much longer.

use std::time::Duration;

use super::Violation;
use crate::nemesis::{History, Life};
use crate::record::Record;

/// How late one may be who was neither stopped nor waiting for a processor.
const LATE: Duration = Duration::from_millis(250);

pub(super) fn judge(history: &History) -> Vec<Violation> {
    let timed = history.records.iter().enumerate();
    timed
        .filter_map(|(index, record)| late(history, record).map(|fact| (index, fact)))
        .map(|(index, fact)| Violation::new("nobody waits for longer than he said", fact, [index]))
        .collect()
}

fn late(history: &History, record: &Record) -> Option<String> {
    let (timeout, end) = (record.timeout?, record.end?);
    let stopped = history.lives.get(record.life).map_or(0, |life| stopped_ns(life, record.begin, end));
    let took =
        Duration::from_nanos((end - record.begin).saturating_sub(stopped).saturating_sub(record.waited_ns));
    let waited = Duration::from_nanos(record.waited_ns);
    (took > timeout + LATE)
        .then(|| format!("{took:.0?} instead of {timeout:.0?}, and {waited:.0?} for a processor"))
}

fn stopped_ns(life: &Life, begin: u64, end: u64) -> u64 {
    life.stops.iter().map(|&(from, to)| to.min(end).saturating_sub(from.max(begin))).sum()
}
