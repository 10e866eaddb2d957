//! A registry's bytes as FORMAT.md describes them, for those who write them with intent: sums that are right.

pub(crate) const RECORDS_AT: usize = 65536;
pub(crate) const RECORD_SIZE: usize = 128;
pub(crate) const HEADER_SIZE: usize = 1024;
const LOG_AT: usize = 128;
const STEPS_AT: usize = 144;

fn checksum(salt: u64, bytes: &[u8]) -> u64 {
    let mut hash = salt ^ 0x9e37_79b9_7f4a_7c15;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }
    hash ^ hash >> 32
}

fn salt(registry: &[u8]) -> u64 {
    u64::from_le_bytes(registry[16..24].try_into().unwrap()) | 1
}

/// Makes the header's sum right.
pub(crate) fn seal_header(registry: &mut [u8]) {
    let sum = checksum(0, &registry[..120]);
    registry[120..128].copy_from_slice(&sum.to_le_bytes());
}

/// Makes a record's sum right.
pub(crate) fn seal_record(registry: &mut [u8], index: usize) {
    let salt = salt(registry);
    let record = &mut registry[RECORDS_AT + index * RECORD_SIZE..][..RECORD_SIZE];
    let sum = checksum(salt, &record[..88]);
    record[88..96].copy_from_slice(&sum.to_le_bytes());
}

/// Where a record's bytes lie.
pub(crate) fn record(registry: &mut [u8], index: usize) -> &mut [u8] {
    &mut registry[RECORDS_AT + index * RECORD_SIZE..][..RECORD_SIZE]
}

/// A step of the log: kind, argument, and what follows.
pub(crate) type Step = (u32, u32, Vec<u8>);

/// Publishes steps, as somebody who was killed right after would have.
pub(crate) fn publish(registry: &mut [u8], steps: &[Step]) {
    let salt = salt(registry);
    let mut at = STEPS_AT;
    for (kind, argument, more) in steps {
        registry[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        registry[at + 4..at + 8].copy_from_slice(&argument.to_le_bytes());
        at += 8;
        registry[at..at + more.len()].copy_from_slice(more);
        at += more.len();
    }
    assert!(at <= HEADER_SIZE);
    let count = u32::try_from(steps.len()).unwrap();
    registry[LOG_AT..LOG_AT + 4].copy_from_slice(&count.to_le_bytes());
    registry[LOG_AT + 4..LOG_AT + 8].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
    let sum = checksum(salt, &registry[STEPS_AT..at]) ^ u64::from(count);
    registry[LOG_AT + 8..LOG_AT + 16].copy_from_slice(&sum.to_le_bytes());
}

/// Makes the sum of the record in a step right.
pub(crate) fn seal_step(registry: &[u8], step: &mut Step) {
    if step.2.len() == RECORD_SIZE {
        let sum = checksum(salt(registry), &step.2[..88]);
        step.2[88..96].copy_from_slice(&sum.to_le_bytes());
    }
}
