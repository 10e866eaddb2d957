//! The registry's bytes: what stands where, and how damage is told from contents.
//!
//! FORMAT.md describes the same in prose. All numbers are little-endian. Every piece that one write replaces
//! lies inside one page, so that a killed writer leaves the old bytes or the new ones.

use crate::{Errno, Key, Mode, ShmId, Stat, sys};

use super::Fault;

pub(super) const MAGIC: [u8; 8] = *b"COSEGREG";
/// What the magic becomes when a namespace is given up for a new one.
pub(super) const MAGIC_RETIRED: [u8; 8] = *b"COSEGOLD";
pub(super) const VERSION: u32 = 1;

/// Most segments of a namespace: an id has 15 bits of index.
pub(super) const INDEX_COUNT: u32 = 1 << sys::INDEX_BITS;

pub(super) const BUCKET_COUNT: u32 = 8192;
const BUCKETS_AT: u64 = 4096;
const RECORDS_AT: u64 = 65536;
pub(super) const RECORD_SIZE: usize = 128;
/// The part of a record that changes only under the registry's lock.
pub(super) const STABLE_SIZE: usize = 96;
pub(super) const FILE_SIZE: u64 = RECORDS_AT + INDEX_COUNT as u64 * RECORD_SIZE as u64;
/// Header and buckets, the part that is written when a registry is made.
pub(super) const INITIAL_SIZE: usize = 4096 + BUCKET_COUNT as usize * 4;

/// Header fields, log included.
pub(super) const HEADER_SIZE: usize = 1024;
const FIELDS_SIZE: usize = 128;
const LOG_AT: usize = FIELDS_SIZE;
const LOG_ENTRIES_AT: usize = LOG_AT + 16;

const _: () = {
    assert!(BUCKETS_AT + BUCKET_COUNT as u64 * 4 == INITIAL_SIZE as u64);
    assert!(INITIAL_SIZE as u64 <= RECORDS_AT);
    assert!(4096 % RECORD_SIZE == 0, "no record lies across two pages");
    assert!(HEADER_SIZE <= 4096);
};

pub(super) const fn bucket_at(bucket: u32) -> u64 {
    BUCKETS_AT + bucket as u64 * 4
}

pub(super) const fn record_at(index: u32) -> u64 {
    RECORDS_AT + index as u64 * RECORD_SIZE as u64
}

/// Which bucket a key's chain hangs on.
pub(super) const fn bucket_of(key: Key) -> u32 {
    let mut hash = key.bits();
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x7feb_352d);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x846c_a68b);
    hash ^= hash >> 16;
    hash % BUCKET_COUNT
}

/// Tells torn and foreign bytes from ours; no defence against intent.
pub(super) fn checksum(salt: u64, bytes: &[u8]) -> u64 {
    let mut hash = salt ^ 0x9e37_79b9_7f4a_7c15;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }
    hash ^ hash >> 32
}

/// Reads and writes numbers at offsets of a byte array.
macro_rules! fields {
    ($($get:ident $put:ident $type:ty;)*) => {
        $(
            pub(super) fn $get(bytes: &[u8], at: usize) -> $type {
                let mut value = [0; size_of::<$type>()];
                value.copy_from_slice(&bytes[at..at + size_of::<$type>()]);
                <$type>::from_le_bytes(value)
            }
            pub(super) fn $put(bytes: &mut [u8], at: usize, value: $type) {
                bytes[at..at + size_of::<$type>()].copy_from_slice(&value.to_le_bytes());
            }
        )*
    };
}

fields! {
    get_u16 put_u16 u16;
    get_u32 put_u32 u32;
    get_i32 put_i32 i32;
    get_u64 put_u64 u64;
    get_i64 put_i64 i64;
}

/// The registry's first bytes: who it is, its limits, and the counts of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) uuid: [u8; 16],
    pub(super) boot_id: [u8; 16],
    pub(super) max_size_bytes: u64,
    pub(super) max_total_pages: u64,
    pub(super) max_segment_count: u32,
    pub(super) remove_forced: bool,
    /// The records are still being told of a new `remove_forced`.
    pub(super) spreading: bool,
    /// The id that the next creation is to have, or -1.
    pub(super) next_id: i32,
    /// The index last given out, or -1.
    pub(super) last_index: i32,
    /// Where the search for a free index goes on.
    pub(super) cursor: u32,
    pub(super) sequence: u32,
    pub(super) segment_count: u32,
    /// Of those, removed ones that were attached when they were removed.
    pub(super) removed_count: u32,
    pub(super) total_pages: u64,
    /// Of those, pages of segments made without `SHM_NORESERVE`.
    pub(super) promised_pages: u64,
    /// No index above this one is in use; -1 if none is.
    pub(super) highest_index: i32,
}

impl Header {
    pub(super) fn new(uuid: [u8; 16], boot_id: [u8; 16]) -> Header {
        Header {
            uuid,
            boot_id,
            max_size_bytes: DEFAULT_MAX,
            max_total_pages: DEFAULT_MAX,
            max_segment_count: 4096,
            remove_forced: false,
            spreading: false,
            next_id: -1,
            last_index: -1,
            cursor: 0,
            sequence: 0,
            segment_count: 0,
            removed_count: 0,
            total_pages: 0,
            promised_pages: 0,
            highest_index: -1,
        }
    }

    /// What the records' checksums start from, so that one registry's record is damage in another.
    pub(super) fn salt(&self) -> u64 {
        salt_of(&self.uuid)
    }

    pub(super) fn encode(&self) -> [u8; FIELDS_SIZE] {
        let mut bytes = [0; FIELDS_SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        put_u32(&mut bytes, 8, VERSION);
        bytes[16..32].copy_from_slice(&self.uuid);
        bytes[32..48].copy_from_slice(&self.boot_id);
        put_u64(&mut bytes, 48, self.max_size_bytes);
        put_u64(&mut bytes, 56, self.max_total_pages);
        put_u32(&mut bytes, 64, self.max_segment_count);
        put_u32(&mut bytes, 68, u32::from(self.remove_forced) | u32::from(self.spreading) << 1);
        put_i32(&mut bytes, 72, self.next_id);
        put_i32(&mut bytes, 76, self.last_index);
        put_u32(&mut bytes, 80, self.cursor);
        put_u32(&mut bytes, 84, self.sequence);
        put_u32(&mut bytes, 88, self.segment_count);
        put_u32(&mut bytes, 92, self.removed_count);
        put_u64(&mut bytes, 96, self.total_pages);
        put_u64(&mut bytes, 104, self.promised_pages);
        put_i32(&mut bytes, 112, self.highest_index);
        let sum = checksum(0, &bytes[..120]);
        put_u64(&mut bytes, 120, sum);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, Damage> {
        if bytes.len() < HEADER_SIZE {
            return Err(Damage::Truncated);
        }
        match bytes[..8] {
            _ if bytes[..8] == MAGIC => {}
            _ if bytes[..8] == MAGIC_RETIRED => return Err(Damage::Retired),
            _ => return Err(Damage::Foreign),
        }
        if get_u32(bytes, 8) != VERSION {
            return Err(Damage::Version(get_u32(bytes, 8)));
        }
        if get_u64(bytes, 120) != checksum(0, &bytes[..120]) {
            return Err(Damage::Header);
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        let mut boot_id = [0; 16];
        boot_id.copy_from_slice(&bytes[32..48]);
        let header = Header {
            uuid,
            boot_id,
            max_size_bytes: get_u64(bytes, 48),
            max_total_pages: get_u64(bytes, 56),
            max_segment_count: get_u32(bytes, 64),
            remove_forced: get_u32(bytes, 68) & 1 != 0,
            spreading: get_u32(bytes, 68) & 2 != 0,
            next_id: get_i32(bytes, 72),
            last_index: get_i32(bytes, 76),
            cursor: get_u32(bytes, 80),
            sequence: get_u32(bytes, 84),
            segment_count: get_u32(bytes, 88),
            removed_count: get_u32(bytes, 92),
            total_pages: get_u64(bytes, 96),
            promised_pages: get_u64(bytes, 104),
            highest_index: get_i32(bytes, 112),
        };
        let in_range = header.max_segment_count <= INDEX_COUNT
            && header.segment_count <= INDEX_COUNT
            && header.removed_count <= header.segment_count
            && (-1..INDEX_COUNT.cast_signed()).contains(&header.highest_index)
            && (-1..INDEX_COUNT.cast_signed()).contains(&header.last_index)
            && header.cursor <= INDEX_COUNT
            && header.sequence <= i32::MAX.cast_unsigned() >> sys::INDEX_BITS;
        if in_range { Ok(header) } else { Err(Damage::Header) }
    }
}

/// `ULONG_MAX - (1 << 24)`, what the kernel starts with for shmmax and shmall.
const DEFAULT_MAX: u64 = u64::MAX - (1 << 24);

pub(super) fn salt_of(uuid: &[u8; 16]) -> u64 {
    get_u64(uuid, 0) | 1
}

/// Why a registry's bytes are not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Truncated,
    Foreign,
    Retired,
    Version(u32),
    Header,
    Log,
    Record,
    Chain,
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Fault {
        let what = match damage {
            Damage::Truncated => {
                "the registry is shorter than it was made: remove the directory to begin anew"
            }
            Damage::Foreign => "the file `registry` is not a registry of coseg: remove it",
            Damage::Retired => "the namespace was given up while it was in use",
            Damage::Version(_) => "the registry is of another format version: use the coseg that made it",
            Damage::Header => "the registry's header is damaged: remove the directory to begin anew",
            Damage::Log => "the registry's log is damaged: remove the directory to begin anew",
            Damage::Record => "a record of the registry is damaged: remove the directory to begin anew",
            Damage::Chain => "a chain of the registry's keys is damaged: remove the directory to begin anew",
        };
        Fault::because(Errno::EIO, what)
    }
}

/// What a record stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// Found by its key, if it has one.
    Live,
    /// Removed while attached: no key finds it, its id still does.
    Removed,
}

/// Whether it is the log2 of a huge page's size, or zero.
fn is_huge_log2(log2: u8) -> bool {
    log2 == 0 || (10..=40).contains(&log2)
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) state: State,
    pub(super) locked: bool,
    pub(super) no_reserve: bool,
    /// Destroyed at the last detach even if nobody removed it.
    pub(super) forced: bool,
    /// Log2 of the huge page's size, zero for ordinary pages.
    pub(super) huge_log2: u8,
    pub(super) mode: Mode,
    pub(super) id: i32,
    pub(super) key: i32,
    /// Index plus one of the next record of the same bucket.
    pub(super) next: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) creator_uid: u32,
    pub(super) creator_gid: u32,
    pub(super) creator_pid: i32,
    pub(super) size_bytes: u64,
    pub(super) inode: u64,
    pub(super) change_time: i64,
    /// In clock ticks since boot, as /proc/PID/stat tells it; zero where it does not.
    pub(super) creator_start: u64,
    pub(super) times: Times,
}

/// The part of a record that attach and detach write, without the registry's lock where it is only theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Times {
    /// First slot above all that were ever taken: where to look when the hint is taken.
    pub(super) slot_top: u32,
    pub(super) attach_time: i64,
    pub(super) last_pid: i32,
    /// A slot that is likely free.
    pub(super) slot_hint: u32,
    pub(super) detach_time: i64,
}

const LOCKED: u8 = 1;
const NO_RESERVE: u8 = 2;
const FORCED: u8 = 4;

/// The id of a free record whose bytes were never written.
pub(super) const NEVER_WRITTEN: i32 = -2;

/// Where in a record the times lie.
pub(super) const TIMES_AT: u64 = STABLE_SIZE as u64;
const TIMES_SIZE: usize = RECORD_SIZE - STABLE_SIZE;
/// Where, in the times, what an attach writes ends.
pub(super) const TIMES_ATTACH_END: usize = 24;
/// Where, in the times, what a detach writes begins: pid and hint are in both.
pub(super) const TIMES_DETACH: usize = 16;
/// The same in the record.
pub(super) const DETACH_AT: u64 = TIMES_AT + TIMES_DETACH as u64;

impl Times {
    pub(super) fn encode(&self) -> [u8; TIMES_SIZE] {
        let mut bytes = [0; TIMES_SIZE];
        put_u32(&mut bytes, 0, self.slot_top);
        put_i64(&mut bytes, 8, self.attach_time);
        put_i32(&mut bytes, 16, self.last_pid);
        put_u32(&mut bytes, 20, self.slot_hint);
        put_i64(&mut bytes, 24, self.detach_time);
        bytes
    }

    fn decode(bytes: &[u8]) -> Times {
        Times {
            slot_top: get_u32(bytes, 0),
            attach_time: get_i64(bytes, 8),
            last_pid: get_i32(bytes, 16),
            slot_hint: get_u32(bytes, 20),
            detach_time: get_i64(bytes, 24),
        }
    }
}

impl Record {
    pub(super) fn free() -> Record {
        Record {
            state: State::Free,
            locked: false,
            no_reserve: false,
            forced: false,
            huge_log2: 0,
            mode: Mode::new(0),
            id: -1,
            key: 0,
            next: 0,
            uid: 0,
            gid: 0,
            creator_uid: 0,
            creator_gid: 0,
            creator_pid: 0,
            size_bytes: 0,
            inode: 0,
            change_time: 0,
            creator_start: 0,
            times: Times::default(),
        }
    }

    pub(super) fn encode(&self, salt: u64) -> [u8; RECORD_SIZE] {
        let mut bytes = [0; RECORD_SIZE];
        bytes[0] = match self.state {
            State::Free => 0,
            State::Live => 1,
            State::Removed => 2,
        };
        let flag = |set, bit| if set { bit } else { 0 };
        bytes[1] = flag(self.locked, LOCKED) | flag(self.no_reserve, NO_RESERVE) | flag(self.forced, FORCED);
        #[allow(clippy::cast_possible_truncation, reason = "a mode has nine bits")]
        put_u16(&mut bytes, 2, self.mode.bits() as u16);
        put_i32(&mut bytes, 4, self.id);
        put_i32(&mut bytes, 8, self.key);
        put_u32(&mut bytes, 12, self.next);
        put_u32(&mut bytes, 16, self.uid);
        put_u32(&mut bytes, 20, self.gid);
        put_u32(&mut bytes, 24, self.creator_uid);
        put_u32(&mut bytes, 28, self.creator_gid);
        put_u64(&mut bytes, 32, self.size_bytes);
        put_u64(&mut bytes, 40, self.inode);
        put_i64(&mut bytes, 48, self.change_time);
        put_i32(&mut bytes, 56, self.creator_pid);
        bytes[60] = self.huge_log2;
        put_u64(&mut bytes, 64, self.creator_start);
        let sum = checksum(salt, &bytes[..88]);
        put_u64(&mut bytes, 88, sum);
        bytes[STABLE_SIZE..].copy_from_slice(&self.times.encode());
        bytes
    }

    pub(super) fn decode(salt: u64, bytes: &[u8]) -> Result<Record, Damage> {
        // Never written since the registry was made.
        if bytes[..STABLE_SIZE].iter().all(|&byte| byte == 0) {
            return Ok(Record { id: NEVER_WRITTEN, ..Record::free() });
        }
        if get_u64(bytes, 88) != checksum(salt, &bytes[..88]) {
            return Err(Damage::Record);
        }
        let state = match bytes[0] {
            0 => State::Free,
            1 => State::Live,
            2 => State::Removed,
            _ => return Err(Damage::Record),
        };
        let record = Record {
            state,
            locked: bytes[1] & LOCKED != 0,
            no_reserve: bytes[1] & NO_RESERVE != 0,
            forced: bytes[1] & FORCED != 0,
            huge_log2: bytes[60],
            mode: Mode::new(u32::from(get_u16(bytes, 2))),
            id: get_i32(bytes, 4),
            key: get_i32(bytes, 8),
            next: get_u32(bytes, 12),
            uid: get_u32(bytes, 16),
            gid: get_u32(bytes, 20),
            creator_uid: get_u32(bytes, 24),
            creator_gid: get_u32(bytes, 28),
            size_bytes: get_u64(bytes, 32),
            inode: get_u64(bytes, 40),
            change_time: get_i64(bytes, 48),
            creator_pid: get_i32(bytes, 56),
            creator_start: get_u64(bytes, 64),
            times: Times::decode(&bytes[STABLE_SIZE..]),
        };
        // A sum is no proof: members of a shared namespace can make one.
        let in_range = record.id >= 0
            && (1..=i64::MAX.cast_unsigned()).contains(&record.size_bytes)
            && is_huge_log2(record.huge_log2)
            && record.next <= INDEX_COUNT;
        if in_range || state == State::Free { Ok(record) } else { Err(Damage::Record) }
    }

    pub(super) fn is_used(&self) -> bool {
        self.state != State::Free
    }

    pub(super) fn index(&self) -> u32 {
        self.id.cast_unsigned() % INDEX_COUNT
    }

    /// The size in whole pages of its kind.
    pub(super) fn mapped_bytes(&self) -> u64 {
        let page = 1 << self.huge_log2.max(12);
        self.size_bytes.checked_next_multiple_of(page).unwrap_or(u64::MAX)
    }

    pub(super) fn page_count(&self) -> u64 {
        self.size_bytes.div_ceil(4096)
    }

    pub(super) fn to_stat(self, attachment_count: u64) -> Stat {
        Stat {
            key: Key::new(self.key),
            id: ShmId::new(self.id),
            sequence: sys::sequence_of(self.id),
            uid: self.uid,
            gid: self.gid,
            creator_uid: self.creator_uid,
            creator_gid: self.creator_gid,
            mode: self.mode,
            removed: self.state == State::Removed,
            locked: self.locked,
            size_bytes: usize::try_from(self.size_bytes).unwrap_or(usize::MAX),
            attachment_count,
            attach_time: self.times.attach_time,
            detach_time: self.times.detach_time,
            change_time: self.change_time,
            creator_pid: self.creator_pid,
            last_pid: self.times.last_pid,
        }
    }
}

/// One step of a change that takes several writes. Doing a step twice is doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Writes a record; `fresh` its times too.
    Record { index: u32, fresh: bool, record: Record },
    /// Sets where a bucket's chain begins.
    Bucket { bucket: u32, first: u32 },
    /// Takes away a data file.
    Unlink { id: i32, huge_log2: u8 },
    /// Gives a data file the owner's and the mode's permissions that its record names.
    Permit { index: u32 },
    /// Writes a record that names another owner, and does as `Permit`, if the data file is that owner's by now.
    Follow { index: u32, record: Record },
}

/// Steps of one change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Log {
    steps: [Option<Step>; 4],
}

impl Log {
    pub(super) fn of<const N: usize>(steps: [Option<Step>; N]) -> Log {
        let mut log = Log::default();
        for (slot, step) in log.steps.iter_mut().zip(steps.into_iter().flatten()) {
            *slot = Some(step);
        }
        log
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = Step> + use<'_> {
        self.steps.iter().flatten().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps[0].is_none()
    }

    /// The log's bytes behind the header's fields, and how many of the header's bytes are in use then.
    pub(super) fn encode(&self, salt: u64, header: &mut [u8; HEADER_SIZE]) -> usize {
        let mut at = LOG_ENTRIES_AT;
        let mut count = 0;
        for step in self.steps() {
            let (kind, argument) = match step {
                Step::Record { index, fresh: false, .. } => (1, index),
                Step::Record { index, fresh: true, .. } => (2, index),
                Step::Bucket { bucket, .. } => (3, bucket),
                Step::Unlink { id, .. } => (4, id.cast_unsigned()),
                Step::Permit { index } => (5, index),
                Step::Follow { index, .. } => (6, index),
            };
            put_u32(header, at, kind);
            put_u32(header, at + 4, argument);
            at += 8;
            match step {
                Step::Record { record, .. } | Step::Follow { record, .. } => {
                    header[at..at + RECORD_SIZE].copy_from_slice(&record.encode(salt));
                    at += RECORD_SIZE;
                }
                Step::Bucket { first, .. } => {
                    put_u64(header, at, u64::from(first));
                    at += 8;
                }
                Step::Unlink { huge_log2, .. } => {
                    put_u64(header, at, u64::from(huge_log2));
                    at += 8;
                }
                Step::Permit { .. } => {}
            }
            count += 1;
        }
        put_u32(header, LOG_AT, count);
        #[allow(clippy::cast_possible_truncation, reason = "inside a header of 1024 bytes")]
        put_u32(header, LOG_AT + 4, at as u32);
        let sum = checksum(salt, &header[LOG_ENTRIES_AT..at]) ^ u64::from(count);
        put_u64(header, LOG_AT + 8, sum);
        at
    }

    pub(super) fn decode(salt: u64, header: &[u8]) -> Result<Log, Damage> {
        let count = get_u32(header, LOG_AT);
        let end = get_u32(header, LOG_AT + 4) as usize;
        let mut log = Log::default();
        if count == 0 {
            return Ok(log);
        }
        if count as usize > log.steps.len() || !(LOG_ENTRIES_AT..=HEADER_SIZE).contains(&end) {
            return Err(Damage::Log);
        }
        if get_u64(header, LOG_AT + 8) != checksum(salt, &header[LOG_ENTRIES_AT..end]) ^ u64::from(count) {
            return Err(Damage::Log);
        }
        let mut at = LOG_ENTRIES_AT;
        for slot in log.steps.iter_mut().take(count as usize) {
            let mut take = |size: usize| {
                let taken = header.get(at..at + size).filter(|_| at + size <= end).ok_or(Damage::Log);
                at += size;
                taken
            };
            let head = take(8)?;
            let (kind, argument) = (get_u32(head, 0), get_u32(head, 4));
            let index = || if argument < INDEX_COUNT { Ok(argument) } else { Err(Damage::Log) };
            *slot = Some(match kind {
                1 | 2 | 6 => {
                    let record = Record::decode(salt, take(RECORD_SIZE)?)?;
                    let index = index()?;
                    if record.is_used() && record.index() != index {
                        return Err(Damage::Log);
                    }
                    match kind {
                        6 => Step::Follow { index, record },
                        _ => Step::Record { index, fresh: kind == 2, record },
                    }
                }
                3 if argument < BUCKET_COUNT => {
                    let first = u32::try_from(get_u64(take(8)?, 0)).map_err(|_| Damage::Log)?;
                    Step::Bucket { bucket: argument, first }
                }
                4 => {
                    let (id, huge_log2) = (argument.cast_signed(), take(8)?[0]);
                    if id < 0 || !is_huge_log2(huge_log2) {
                        return Err(Damage::Log);
                    }
                    Step::Unlink { id, huge_log2 }
                }
                5 => Step::Permit { index: index()? },
                _ => return Err(Damage::Log),
            });
        }
        Ok(log)
    }

    /// The bytes that say "no log", and where they go.
    pub(super) fn cleared() -> (u64, [u8; 16]) {
        (LOG_AT as u64, [0; 16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record {
            state: State::Live,
            id: 5,
            key: -7,
            size_bytes: 1024,
            mode: Mode::new(0o640),
            times: Times { slot_top: 3, attach_time: 1, last_pid: 2, slot_hint: 4, detach_time: 5 },
            ..Record::free()
        }
    }

    #[test]
    fn a_record_comes_back_and_a_flipped_bit_does_not() {
        let bytes = sample().encode(9);
        assert_eq!(Record::decode(9, &bytes), Ok(sample()));
        assert_eq!(Record::decode(8, &bytes), Err(Damage::Record));
        for bit in 0..88 * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(9, &damaged), Err(Damage::Record), "bit {bit}");
        }
    }

    #[test]
    fn a_log_comes_back_and_fits() {
        let record = Step::Record { index: 5, fresh: true, record: sample() };
        let steps = [
            Some(record),
            Some(Step::Record { index: 6, fresh: false, record: Record { id: 6, ..sample() } }),
            Some(Step::Bucket { bucket: 8191, first: 6 }),
            Some(Step::Unlink { id: 77, huge_log2: 21 }),
        ];
        let mut bytes = [0; HEADER_SIZE];
        let end = Log::of(steps).encode(9, &mut bytes);
        assert!(end <= HEADER_SIZE);
        let log = Log::decode(9, &bytes).unwrap();
        assert_eq!(log.steps().map(Some).collect::<Vec<_>>(), steps);
        bytes[200] ^= 1;
        assert_eq!(Log::decode(9, &bytes).unwrap_err(), Damage::Log);
    }

    #[test]
    fn a_header_comes_back_and_nonsense_is_named() {
        let header = Header { last_index: 3, ..Header::new([7; 16], [8; 16]) };
        let mut bytes = [0; HEADER_SIZE];
        bytes[..FIELDS_SIZE].copy_from_slice(&header.encode());
        assert_eq!(Header::decode(&bytes), Ok(header));
        assert_eq!(Header::decode(&bytes[..100]), Err(Damage::Truncated));
        bytes[90] ^= 1;
        assert_eq!(Header::decode(&bytes), Err(Damage::Header));
        bytes[..8].copy_from_slice(b"notours!");
        assert_eq!(Header::decode(&bytes), Err(Damage::Foreign));
    }
}
