//! Compares what two implementations let a program see, step by step.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::stage::Outcome;
use super::step::{Sequence, Step, Verb};
use crate::mask::{Event, Field, MASKS};
use crate::names::SHM_REMAP;
use crate::stat::Stat;

/// How much was compared, and what was let pass.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Sequences played on both.
    pub sequences: u64,
    /// Steps played on both.
    pub steps: u64,
    /// Values compared.
    pub comparisons: u64,
    /// Differences let pass, by row.
    pub masked: BTreeMap<u16, u64>,
}

impl Tally {
    /// Takes another's numbers in.
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.steps += other.steps;
        self.comparisons += other.comparisons;
        for (row, n) in &other.masked {
            *self.masked.entry(*row).or_default() += n;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sequences, {} steps, {} comparisons", self.sequences, self.steps, self.comparisons)?;
        self.masked.iter().try_for_each(|(row, n)| write!(f, "; row {row} masked {n}"))
    }
}

/// The first place where the two differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step, from 0.
    pub step: usize,
    /// What differs.
    pub what: String,
    /// What the oracle had.
    pub expected: String,
    /// What the other had.
    pub got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}: expected {}, got {}", self.step, self.what, self.expected, self.got)
    }
}

struct Comparison<'a> {
    tally: &'a mut Tally,
    /// Fields that differ by permission, and the row that permits it.
    uncertain: HashMap<(i64, Field), u16>,
    events: &'static [Event],
    step: usize,
    /// Actors that became another user, or were born of one.
    others: Vec<usize>,
    born: usize,
}

type Verdict = Result<(), Difference>;

/// Compares two traces of one sequence.
///
/// # Errors
/// The first difference that no mask permits.
pub fn compare(sequence: &Sequence, expected: &[Outcome], got: &[Outcome], tally: &mut Tally) -> Verdict {
    let mut comparison =
        Comparison { tally, uncertain: HashMap::new(), events: &[], step: 0, others: Vec::new(), born: 1 };
    let mut before: &[(i64, Stat)] = &[];
    for (n, ((step, x), y)) in sequence.steps.iter().zip(expected).zip(got).enumerate() {
        if x.skipped && y.skipped {
            continue;
        }
        comparison.step = n;
        comparison.events = comparison.events_of(step, x);
        if let Some(row) = comparison.part_ways(x, y) {
            *comparison.tally.masked.entry(row).or_default() += 1;
            break;
        }
        comparison.settle(step, before, x);
        comparison.outcome(x, y)?;
        before = &x.segments;
        comparison.tally.steps += 1;
    }
    comparison.tally.sequences += 1;
    Ok(())
}

/// What a step may have done that is seen late or in part. `munmap` and `mprotect` may fail half done.
fn events(step: &Step, outcome: &Outcome) -> &'static [Event] {
    match step.verb {
        Verb::Munmap => &[Event::Unmapped, Event::Holed],
        Verb::Mmap => &[Event::MappedOver, Event::Holed],
        Verb::Mremap => &[Event::Unmapped, Event::Torn],
        Verb::Mprotect => &[Event::Split],
        Verb::At if outcome.ret >= 0 && step.args[2] & i64::from(SHM_REMAP) != 0 => {
            &[Event::Replaced, Event::Holed]
        }
        Verb::Exit | Verb::Kill => &[Event::Death],
        Verb::Exec => &[Event::Exec],
        Verb::Set => &[Event::GivenAway],
        _ => &[],
    }
}

impl Comparison<'_> {
    /// The step's events, where who the actor has become matters.
    fn events_of(&mut self, step: &Step, outcome: &Outcome) -> &'static [Event] {
        let is_other = self.others.contains(&step.who);
        let done = !outcome.skipped && outcome.ret >= 0;
        match step.verb {
            Verb::Setuid if done => self.others.push(step.who),
            Verb::Fork | Verb::Spawn if done => {
                if is_other {
                    self.others.push(self.born);
                }
                self.born += 1;
            }
            _ => {}
        }
        if is_other && step.verb == Verb::Fork { &[Event::ForkedAsOther] } else { events(step, outcome) }
    }

    /// The row by which this step makes a field uncertain.
    fn permits(&self, field: Field) -> Option<u16> {
        MASKS.iter().find(|m| m.field == field && self.events.contains(&m.after)).map(|m| m.row)
    }

    /// The row that permits the two to disagree on whether the call succeeds.
    fn part_ways(&self, x: &Outcome, y: &Outcome) -> Option<u16> {
        (x.errno != y.errno).then(|| self.permits(Field::Errno(x.errno, y.errno))).flatten()
    }

    /// A successful attach or detach writes what was uncertain.
    fn settle(&mut self, step: &Step, before: &[(i64, Stat)], after: &Outcome) {
        let fields: &[Field] = match step.verb {
            Verb::At if after.ret >= 0 => &[Field::Lpid, Field::Atime],
            Verb::Dt if after.ret >= 0 => &[Field::Lpid, Field::Dtime],
            _ => return,
        };
        for (id, stat) in &after.segments {
            let counted = before.iter().find(|(other, _)| other == id).map_or(0, |(_, s)| s.nattch);
            if counted != stat.nattch {
                for field in fields {
                    self.uncertain.remove(&(*id, *field));
                }
            }
        }
    }

    fn same<T: PartialEq + fmt::Debug>(&mut self, what: impl Fn() -> String, x: &T, y: &T) -> Verdict {
        self.tally.comparisons += 1;
        if x == y {
            return Ok(());
        }
        Err(Difference { step: self.step, what: what(), expected: format!("{x:?}"), got: format!("{y:?}") })
    }

    fn outcome(&mut self, x: &Outcome, y: &Outcome) -> Verdict {
        let name = |what: &'static str| move || what.to_owned();
        self.same(name("whether it is carried out"), &x.skipped, &y.skipped)?;
        if x.errno != y.errno || x.ret != y.ret {
            self.same(name("result and errno"), &called(x), &called(y))?;
        }
        self.tally.comparisons += 2;
        self.same(name("signal"), &x.signal, &y.signal)?;
        self.same(name("bytes read"), &x.bytes, &y.bytes)?;
        self.same(name("limits"), &x.limits, &y.limits)?;
        let ids = |o: &Outcome| o.segments.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        self.same(name("ids in use"), &ids(x), &ids(y))?;
        for ((id, x), (_, y)) in x.segments.iter().zip(&y.segments) {
            self.stat(*id, x, y)?;
        }
        if let (Some(a), Some(b)) = (&x.stat, &y.stat) {
            let named = x.segments.iter().find(|(_, s)| s == a).map_or(-1, |(id, _)| *id);
            self.stat(named, a, b)?;
        }
        self.same(name("highest index"), &x.usage.0, &y.usage.0)?;
        self.same(name("SHM_INFO"), &x.usage.1, &y.usage.1)
    }

    fn stat(&mut self, id: i64, x: &Stat, y: &Stat) -> Verdict {
        let plain = |s: &Stat| Stat { nattch: 0, lpid: 0, atime: 0, dtime: 0, ..s.clone() };
        self.tally.comparisons += 10;
        self.same(|| format!("segment {id}"), &plain(x), &plain(y))?;
        self.same(|| format!("whether segment {id} is attached"), &(x.nattch == 0), &(y.nattch == 0))?;
        self.masked(id, Field::Nattch, &x.nattch, &y.nattch)?;
        self.masked(id, Field::Lpid, &x.lpid, &y.lpid)?;
        self.masked(id, Field::Atime, &x.atime, &y.atime)?;
        self.masked(id, Field::Dtime, &x.dtime, &y.dtime)
    }

    fn masked<T: PartialEq + fmt::Debug>(&mut self, id: i64, field: Field, x: &T, y: &T) -> Verdict {
        let key = (id, field);
        if x == y {
            self.tally.comparisons += 1;
            self.uncertain.remove(&key);
            return Ok(());
        }
        let fresh = self.permits(field);
        match fresh.or_else(|| self.uncertain.get(&key).copied()) {
            Some(row) => {
                self.uncertain.insert(key, row);
                *self.tally.masked.entry(row).or_default() += 1;
                Ok(())
            }
            None => self.same(|| format!("{field:?} of segment {id}"), x, y),
        }
    }
}

fn called(o: &Outcome) -> String {
    if o.errno == 0 { o.ret.to_string() } else { format!("{} {:?}", o.ret, crate::errno::Errno(o.errno)) }
}
