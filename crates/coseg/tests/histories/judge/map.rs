//! Maps: each key's operations are as if they had happened one after the other, each at one moment of its own time.

use std::collections::BTreeMap;

use super::Violation;
use super::linear::{self, Operation};
use crate::hall::Part;
use crate::nemesis::History;
use crate::record::{Deed, Outcome, Record};

pub(super) fn judge(history: &History) -> Vec<Violation> {
    let mut keys: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, record) in history.records.iter().enumerate().filter(|(_, record)| record.part == Part::Map) {
        keys.entry(record.what).or_default().push(index);
    }
    let mut found = Vec::new();
    for (key, indices) in keys {
        let records: Vec<&Record> = indices.iter().map(|&index| &history.records[index]).collect();
        if let Err(stuck) = linear::check(0, &records) {
            let fact = format!("nothing that key {key} can have been explains what this found");
            found.push(Violation::new("as if one after the other", fact, [indices[stuck]]));
        }
    }
    found
}

/// A key's value is a number; 0 is none. What is put is put once.
impl Operation for &Record {
    type State = u64;

    fn begin(&self) -> u64 {
        self.begin
    }

    fn end(&self) -> Option<u64> {
        self.end
    }

    fn apply(&self, state: u64) -> Option<u64> {
        let next = match self.deed {
            Deed::Put => self.value,
            Deed::Remove => 0,
            Deed::Insert if state == 0 => self.value,
            Deed::Swap if state == self.expected => self.value,
            _ => state,
        };
        // What one who was killed would have found is not known.
        if self.end.is_none() {
            return Some(next);
        }
        let is_done = self.outcome == Outcome::Ok;
        let explained = match self.deed {
            Deed::Insert => is_done == (state == 0),
            Deed::Swap if is_done => state == self.expected,
            Deed::Swap => state != self.expected && state == self.found[0],
            _ => state == self.found[0],
        };
        explained.then_some(next)
    }
}
