//! What a worker did, written down where its death does not reach: one record per operation, begun before it and
//! completed after it.

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::hall::Part;
use crate::words::Words;

const WORDS: usize = 16;
const RECORD_BYTES: usize = 8 * WORDS;
/// Where its words lie that are written after the others.
const END: usize = 16;
const SEEN: usize = 56;
const SETTLING: usize = 64;
/// What all lives look at now and then.
const HEADER_BYTES: usize = RECORD_BYTES;
/// Operations of one life.
pub(crate) const RECORDS: usize = 4096;
/// Messages of one operation.
pub(crate) const MANY: usize = 4;

/// The clock that all processes of a host have in common.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Deed {
    Send = 1,
    SendMany,
    Receive,
    ReceiveMany,
    /// Held, then done.
    Hold,
    /// Held, then given back.
    Show,
    /// Received in a transaction that commits.
    Commit,
    /// Received in a transaction that changes its mind.
    RollBack,
    /// Waited for a message, which was not received.
    Wait,
    TakeReceiver,
    LeaveReceiver,
    TakeSender,
    Get,
    Put,
    Insert,
    Remove,
    Swap,
}

const DEEDS: [Deed; 17] = [
    Deed::Send,
    Deed::SendMany,
    Deed::Receive,
    Deed::ReceiveMany,
    Deed::Hold,
    Deed::Show,
    Deed::Commit,
    Deed::RollBack,
    Deed::Wait,
    Deed::TakeReceiver,
    Deed::LeaveReceiver,
    Deed::TakeSender,
    Deed::Get,
    Deed::Put,
    Deed::Insert,
    Deed::Remove,
    Deed::Swap,
];

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Ok,
    /// Full, or empty.
    Nothing,
    TimedOut,
    Disconnected,
    Closed,
    InUse,
    /// Not what it was taken for; of a message: overwritten.
    Other,
    /// Bytes of two messages, or of none.
    Torn,
}

const OUTCOMES: [Outcome; 8] = [
    Outcome::Ok,
    Outcome::Nothing,
    Outcome::TimedOut,
    Outcome::Disconnected,
    Outcome::Closed,
    Outcome::InUse,
    Outcome::Other,
    Outcome::Torn,
];

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) life: usize,
    pub(crate) deed: Deed,
    pub(crate) part: Part,
    pub(crate) begin: u64,
    /// `None`: its process was killed in it.
    pub(crate) end: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    /// Of a message that is sent, its number; else a key.
    pub(crate) what: u64,
    /// How many messages; or the value that is put.
    pub(crate) value: u64,
    /// The value that is to be replaced; 0 is none.
    pub(crate) expected: u64,
    /// The message in hand, which is received only by what follows.
    pub(crate) seen: u64,
    /// What follows was begun.
    pub(crate) is_settling: bool,
    pub(crate) outcome: Outcome,
    pub(crate) is_repeated: bool,
    /// What was received or found; 0 is none.
    pub(crate) found: [u64; MANY],
    /// How many messages its receiver was told it missed, so far.
    pub(crate) missed: u64,
    /// How long it waited for a processor, at most.
    pub(crate) waited_ns: u64,
}

impl Record {
    pub(crate) fn new(deed: Deed, part: Part) -> Record {
        Record {
            life: 0,
            deed,
            part,
            begin: 0,
            end: None,
            timeout: None,
            what: 0,
            value: 0,
            expected: 0,
            seen: 0,
            is_settling: false,
            outcome: Outcome::Ok,
            is_repeated: false,
            found: [0; MANY],
            missed: 0,
            waited_ns: 0,
        }
    }

    fn words(&self) -> [u64; WORDS] {
        let flags = u64::from(self.outcome as u8) | u64::from(self.is_repeated) << 8;
        let timeout = self.timeout.map_or(0, |timeout| 1 + u64::try_from(timeout.as_nanos()).unwrap());
        let head = u64::from(self.deed as u8) | u64::from(self.part as u8) << 8;
        let [a, b, c, d] = self.found;
        let (end, settling) = (self.end.unwrap_or(0), u64::from(self.is_settling));
        [
            head,
            self.begin,
            end,
            self.what,
            self.value,
            self.expected,
            timeout,
            self.seen,
            settling,
            flags,
            a,
            b,
            c,
            d,
            self.missed,
            self.waited_ns,
        ]
    }

    fn of_words(life: usize, words: [u64; WORDS]) -> Option<Record> {
        let byte = |word: u64, at: u32| usize::from((word >> at).to_le_bytes()[0]);
        let deed = *DEEDS.get(byte(words[0], 0).checked_sub(1)?)?;
        let part = *Part::ALL.get(byte(words[0], 8))?;
        Some(Record {
            life,
            deed,
            part,
            begin: words[1],
            end: (words[2] != 0).then_some(words[2]),
            what: words[3],
            value: words[4],
            expected: words[5],
            timeout: words[6].checked_sub(1).map(Duration::from_nanos),
            seen: words[7],
            is_settling: words[8] != 0,
            outcome: *OUTCOMES.get(byte(words[9], 0))?,
            is_repeated: byte(words[9], 8) != 0,
            found: [words[10], words[11], words[12], words[13]],
            missed: words[14],
            waited_ns: words[15],
        })
    }

    /// What it received.
    pub(crate) fn received(&self) -> impl Iterator<Item = u64> {
        self.found.into_iter().filter(|&number| number != 0)
    }
}

/// The records of all lives of a history.
pub(crate) struct Log(Words);

impl Log {
    pub(crate) fn create(directory: &Path, lives: usize) -> Log {
        Log(Words::create(directory, HEADER_BYTES + lives * RECORDS * RECORD_BYTES))
    }

    pub(crate) fn open(directory: &Path) -> Log {
        Log(Words::open(directory))
    }

    pub(crate) fn remove(&self) {
        self.0.remove();
    }

    /// Tells all workers that it is over.
    pub(crate) fn end(&self) {
        self.0.set(0, 1);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.get(0) != 0
    }

    fn at(life: usize, index: usize) -> usize {
        HEADER_BYTES + (life * RECORDS + index) * RECORD_BYTES
    }

    /// Whether a life has begun to work.
    pub(crate) fn has_begun(&self, life: usize) -> bool {
        self.0.get(Log::at(life, 0)) != 0
    }

    /// What a life did, in its order.
    pub(crate) fn records(&self, life: usize) -> Vec<Record> {
        let record = |index| {
            let at = Log::at(life, index);
            Record::of_words(life, std::array::from_fn(|word| self.0.get(at + 8 * word)))
        };
        (0..RECORDS).map_while(record).collect()
    }

    fn store(&self, life: usize, index: usize, record: &Record) {
        let at = Log::at(life, index);
        let [head, rest @ ..] = record.words();
        let bytes: Vec<u8> = rest.into_iter().flat_map(u64::to_ne_bytes).collect();
        self.0.write(at + 8, &bytes);
        // The head makes it a record.
        self.0.set(at, head);
    }
}

/// Writes one life's records.
pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) life: usize,
    next: usize,
    /// Operations that received something.
    pub(crate) received_count: u64,
    waits: Waits,
}

impl Writer {
    pub(crate) fn new(log: Log, life: usize) -> Writer {
        Writer { log, life, next: 0, received_count: 0, waits: Waits::default() }
    }

    pub(crate) fn is_full(&self) -> bool {
        // An operation may take two.
        self.next + 2 > RECORDS
    }

    /// Does something between the two halves of its record, in which it may say what it has in hand.
    pub(crate) fn write<R>(
        &mut self,
        record: Record,
        deed: impl FnOnce(&mut Record, &Pending<'_>) -> R,
    ) -> R {
        let (mut record, index) = self.begin(record);
        let result = deed(&mut record, &Pending { log: &self.log, at: Log::at(self.life, index) });
        self.complete((record, index));
        result
    }

    pub(crate) fn begin(&mut self, mut record: Record) -> (Record, usize) {
        let index = self.next;
        self.next += 1;
        self.waits.begin();
        record.begin = now_ns();
        self.log.store(self.life, index, &record);
        (record, index)
    }

    pub(crate) fn complete(&mut self, (mut record, index): (Record, usize)) {
        let end = now_ns();
        record.waited_ns = self.waits.end(end - record.begin);
        self.received_count += u64::from(record.found[0] != 0);
        // Killed before the last word, it was killed in the operation.
        self.log.store(self.life, index, &record);
        self.log.0.set(Log::at(self.life, index) + END, end);
    }
}

/// A record that is not complete.
pub(crate) struct Pending<'a> {
    log: &'a Log,
    at: usize,
}

impl Pending<'_> {
    /// A message is in hand, and not received yet.
    pub(crate) fn see(&self, record: &mut Record, number: u64) {
        record.seen = number;
        self.log.0.set(self.at + SEEN, number);
    }

    /// From now on it may be received.
    pub(crate) fn settle(&self, record: &mut Record) {
        record.is_settling = true;
        self.log.0.set(self.at + SETTLING, 1);
    }
}

/// How long this thread waited for a processor. What others on the machine do is not to be blamed on an operation.
#[derive(Default)]
struct Waits {
    before_ns: u64,
    count: u32,
}

/// Operations between two looks.
const OFTEN: u32 = 16;
/// Whoever took less time was not late.
const SLOW_NS: u64 = 50_000_000;

impl Waits {
    fn begin(&mut self) {
        if self.count == 0 {
            self.before_ns = waited_ns();
        }
        self.count = (self.count + 1) % OFTEN;
    }

    fn end(&mut self, took_ns: u64) -> u64 {
        if took_ns < SLOW_NS {
            return 0;
        }
        self.count = 0;
        waited_ns().saturating_sub(self.before_ns)
    }
}

fn waited_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
