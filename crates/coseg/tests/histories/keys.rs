//! Operations on the map, recorded.

use coseg::{Error, Stamp, Swap};

use crate::hall::{KEY_COUNT, Part};
use crate::record::{Deed, Outcome, Record};
use crate::worker::Worker;

/// What was seen of each key when it was last looked at.
pub(crate) type Stamps = [Option<(u64, Stamp)>; KEY_COUNT];

pub(crate) fn operate(worker: &mut Worker) {
    let key = worker.random.below(KEY_COUNT as u64);
    let choice = worker.random.below(16);
    let value = if choice < 6 { 0 } else { worker.numbers(Part::Map, 1) };
    let own = &mut worker.stamps[usize::try_from(key).unwrap()];
    let map = &worker.region.map;
    let deed = match choice {
        0..4 => Deed::Get,
        4 | 5 => Deed::Remove,
        6..9 => Deed::Put,
        9..11 => Deed::Insert,
        11..14 => Deed::Swap,
        _ => return carry(worker, key, value),
    };
    let record = Record { what: key, value, ..Record::new(deed, Part::Map) };
    match deed {
        Deed::Get => worker.writer.write(record, |record, _| {
            *own = map.get_stamped(&key).unwrap();
            record.found[0] = own.map_or(0, |(value, _)| value);
        }),
        Deed::Remove => worker.writer.write(record, |record, _| {
            record.found[0] = map.remove(&key).unwrap().unwrap_or(0);
        }),
        Deed::Put => worker.writer.write(record, |record, _| {
            record.found[0] = map.put(&key, value).unwrap().unwrap_or(0);
        }),
        Deed::Insert => worker.writer.write(record, |record, _| {
            if !map.insert(&key, value).unwrap() {
                record.outcome = Outcome::Other;
            }
        }),
        _ => {
            let record = Record { expected: own.map_or(0, |(value, _)| value), ..record };
            worker.writer.write(record, |record, _| {
                match map.compare_and_swap(&key, own.map(|(_, stamp)| stamp), value).unwrap() {
                    Swap::Done(stamp) => *own = Some((value, stamp)),
                    Swap::Other(other) => {
                        record.outcome = Outcome::Other;
                        record.found[0] = other.map_or(0, |(value, _)| value);
                        *own = other;
                    }
                }
            });
        }
    }
}

/// Removes one key and gives another a value, in one transaction: an entry may go from one key to the other. For each
/// key it is an operation of its own.
fn carry(worker: &mut Worker, from: u64, value: u64) {
    let to = (from + 1 + worker.random.below(KEY_COUNT as u64 - 1)) % KEY_COUNT as u64;
    let remove = Record { what: from, ..Record::new(Deed::Remove, Part::Map) };
    let put = Record { what: to, value, ..Record::new(Deed::Put, Part::Map) };
    let (remove, put) = (worker.writer.begin(remove), worker.writer.begin(put));
    let region = &worker.region;
    let found: Result<_, Error> = region.transaction(|change| {
        let mut map = change.map(&region.map);
        Ok((map.remove(&from)?, map.put(&to, value)?))
    });
    let (was, old) = found.unwrap();
    for ((mut record, index), found) in [(remove, was), (put, old)] {
        record.found[0] = found.unwrap_or(0);
        worker.writer.complete((record, index));
    }
}
