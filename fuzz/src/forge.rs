//! Regions as a hostile peer would make them: any schema, laid out and summed up as FORMAT.md says, then spoiled.
//!
//! Written against FORMAT.md and not with the crate's own code, so that both have to agree.

use crate::input::Input;

const PARTICIPANTS_AT: usize = 384;
/// How deep types are nested; one deeper than is allowed.
const DEPTH: usize = 17;

/// The bytes of a segment.
pub(crate) struct Forge {
    pub(crate) bytes: Vec<u8>,
}

impl Forge {
    pub(crate) fn new(size_bytes: usize) -> Forge {
        Forge { bytes: vec![0; size_bytes] }
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        let Some(place) = self.bytes.get_mut(at..) else { return };
        let count = place.len().min(bytes.len());
        place[..count].copy_from_slice(&bytes[..count]);
    }

    pub(crate) fn put_word(&mut self, at: usize, word: u64) {
        self.put(at, &word.to_ne_bytes());
    }

    fn word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        if let Some(bytes) = self.bytes.get(at..at + 8) {
            word.copy_from_slice(bytes);
        }
        u64::from_ne_bytes(word)
    }

    /// Makes it pass for a finished region of this format.
    pub(crate) fn sign(&mut self) {
        self.put(0, b"COSEGRGN");
        self.put(16, &1_u32.to_ne_bytes());
        self.put(20, &1_u32.to_ne_bytes());
        self.put(24, &0x0102_0304_u32.to_ne_bytes());
    }

    /// Makes both checksums right, wherever the schema is said to be.
    pub(crate) fn sum_up(&mut self) {
        let (at, size) = (self.word(40), self.word(48));
        let range = usize::try_from(at).ok().zip(usize::try_from(at.saturating_add(size)).ok());
        if let Some(schema) = range.and_then(|(from, to)| self.bytes.get(from..to)) {
            let sum = checksum(schema);
            self.put_word(56, sum);
        }
        let sum = checksum(self.bytes.get(32..88).unwrap_or_default());
        self.put_word(88, sum);
    }

    /// A schema with all that follows from it.
    pub(crate) fn lay_out(&mut self, input: &mut Input<'_>) {
        let participants = if input.byte() < 240 { 1 + input.number() % 64 } else { input.number() };
        let mut parts = parts(input);
        let entries = parts.iter().map(Part::log_entries).fold(0, u64::saturating_add).min(4096);
        let schema_at =
            line_after((PARTICIPANTS_AT as u64 + entries * 16).wrapping_add(participants.wrapping_mul(128)));
        let name = input.text();
        let mut end = line_after(schema_at.saturating_add(schema(&name, &parts).len() as u64));
        for part in &mut parts {
            part.offset = end;
            end = line_after(end.wrapping_add(part.size_bytes(participants)));
        }
        let schema = if input.byte() < 250 { schema(&name, &parts) } else { input.bytes(300).to_vec() };
        self.put(usize::try_from(schema_at).unwrap_or(usize::MAX), &schema);
        for (at, word) in [
            (32, end),
            (40, schema_at),
            (48, schema.len() as u64),
            (64, participants),
            (72, entries),
            (80, 1),
        ] {
            self.put_word(at, word);
        }
        self.put(128, b"forged");
    }

    /// Other words here and there.
    pub(crate) fn spoil(&mut self, input: &mut Input<'_>) {
        for _ in 0..input.byte() % 32 {
            // The first kilobyte has the header, the locks, the log and the first participants.
            let span = if input.bit() { 1024 } else { self.bytes.len() };
            let at = input.below(span) / 4 * 4;
            let word = input.number();
            if input.bit() {
                self.put_word(at / 8 * 8, word);
            } else {
                self.put(at, &word.to_ne_bytes()[..4]);
            }
        }
    }
}

struct Part {
    name: String,
    kind: u8,
    rows: u64,
    versions: u64,
    room: u64,
    offset: u64,
    of: Vec<u8>,
}

impl Part {
    fn size_bytes(&self, participants: u64) -> u64 {
        match self.kind {
            1 => self.versions.wrapping_mul(line_after(self.room)).wrapping_add(64),
            2 => {
                let slot = self.room.wrapping_add(7) & !7;
                let row = line_after(self.versions.wrapping_mul(slot).wrapping_add(8));
                self.rows.wrapping_mul(row).wrapping_add(64)
            }
            5 => participants.wrapping_mul(64).wrapping_add(64),
            7..=12 => self.channel_size_bytes(participants),
            13 => {
                let slot = self.room.wrapping_add(7) & !7;
                let entry = line_after(self.versions.wrapping_mul(slot).wrapping_add(8));
                let bits = line_after(self.rows.div_ceil(64).wrapping_mul(8).wrapping_add(128));
                let buckets =
                    self.rows.saturating_mul(2).div_ceil(7).checked_next_power_of_two().unwrap_or(0);
                let links = line_after(self.rows.wrapping_mul(8));
                bits.wrapping_add(buckets.wrapping_mul(64))
                    .wrapping_add(links)
                    .wrapping_add(self.rows.wrapping_mul(entry))
            }
            _ => 64,
        }
    }

    fn channel_size_bytes(&self, participants: u64) -> u64 {
        let is_one = matches!(self.kind, 7 | 12);
        let room = (self.room.wrapping_add(7) & !7).max(8);
        let slot = match room.wrapping_add(if is_one { 0 } else { 8 }) {
            large @ 512.. => line_after(large),
            small => small,
        };
        let ends = if is_one { 1 } else { participants };
        slot.wrapping_mul(self.rows).wrapping_add(ends.wrapping_mul(128)).wrapping_add(512)
    }

    /// What the log has room for because of it.
    fn log_entries(&self) -> u64 {
        match self.kind {
            1 | 2 => self.rows,
            8 => self.rows.min(64),
            13 => self.rows.saturating_mul(3).saturating_add(6),
            _ => 0,
        }
    }
}

fn parts(input: &mut Input<'_>) -> Vec<Part> {
    (0..input.byte() % 6)
        .map(|index| {
            let kind = 1 + input.byte() % 13;
            let mut of = Vec::new();
            let size = match kind {
                1 | 2 => type_of(input, &mut of, 0),
                7..=12 => message(input, &mut of),
                13 => entry(input, &mut of),
                _ => {
                    of.push(0);
                    0
                }
            };
            let size = if kind == 12 && input.byte() < 240 { 32_768 + 8 } else { size };
            let name = if input.bit() { input.text() } else { format!("p{index}") };
            let rows = match kind {
                2 | 13 => input.number(),
                7..=12 if input.byte() < 220 => 1 << (input.byte() % 6),
                7..=12 => input.number(),
                _ => 1,
            };
            let versions = if matches!(kind, 1 | 2 | 13) { 2 << (input.byte() % 3) } else { 1 };
            let room = if input.byte() < 200 { size } else { size.saturating_add(input.number()) };
            Part { name, kind, rows, versions, room, offset: 0, of }
        })
        .collect()
}

/// Writes the type of a channel's messages; its size.
fn message(input: &mut Input<'_>, out: &mut Vec<u8>) -> u64 {
    if input.bit() {
        return type_of(input, out, 0);
    }
    let most = number(input);
    out.push(67);
    out.extend(most.to_ne_bytes());
    u64::from(most) + 8
}

/// Writes the type of a map's entries; their size.
fn entry(input: &mut Input<'_>, out: &mut Vec<u8>) -> u64 {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let key_size = type_of(input, &mut key, 1);
    let value_at = key_size.saturating_add(15) & !7;
    let size = value_at.saturating_add(type_of(input, &mut value, 1));
    out.push(66);
    text(out, "Entry");
    out.extend(u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend(2_u32.to_ne_bytes());
    for (name, at, of) in [("key", 8, key), ("value", value_at, value)] {
        text(out, name);
        out.extend(u32::try_from(at).unwrap_or(u32::MAX).to_ne_bytes());
        text(out, "");
        text(out, "");
        out.extend(of);
    }
    size
}

/// Writes a type; its size.
fn type_of(input: &mut Input<'_>, out: &mut Vec<u8>, depth: usize) -> u64 {
    let kind = if depth >= DEPTH { 0 } else { input.byte() % 6 };
    match kind {
        0..=2 => {
            let sizes = [1, 1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 4, 8];
            let scalar = input.below(sizes.len());
            out.push(u8::try_from(scalar + 1).unwrap_or(1));
            sizes[scalar]
        }
        3 => {
            let size = number(input);
            out.push(64);
            out.extend(size.to_ne_bytes());
            size.into()
        }
        4 => {
            let count = number(input);
            out.push(65);
            out.extend(count.to_ne_bytes());
            type_of(input, out, depth + 1).saturating_mul(count.into())
        }
        _ => {
            let mut fields = Vec::new();
            let mut end = 0_u64;
            let count = u32::from(input.byte() % 5);
            for index in 0..count {
                let gap = if input.byte() < 220 { 0 } else { input.number() };
                let offset = u32::try_from(end.saturating_add(gap)).unwrap_or(u32::MAX);
                text(&mut fields, &format!("f{index}"));
                fields.extend(offset.to_ne_bytes());
                text(&mut fields, "ms");
                text(&mut fields, "");
                end = u64::from(offset).saturating_add(type_of(input, &mut fields, depth + 1));
            }
            let size = u32::try_from(end).unwrap_or(u32::MAX);
            out.push(66);
            text(out, "S");
            out.extend(size.to_ne_bytes());
            out.extend(count.to_ne_bytes());
            out.extend(fields);
            size.into()
        }
    }
}

fn number(input: &mut Input<'_>) -> u32 {
    u32::try_from(input.number()).unwrap_or(u32::MAX)
}

fn schema(name: &str, parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, name);
    out.extend(u32::try_from(parts.len()).unwrap_or(0).to_ne_bytes());
    for part in parts {
        text(&mut out, &part.name);
        text(&mut out, "");
        out.push(part.kind);
        for value in [part.rows, part.versions, part.room, part.offset] {
            out.extend(value.to_ne_bytes());
        }
        out.extend(&part.of);
    }
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(0).to_ne_bytes());
    out.extend(text.as_bytes());
}

fn line_after(offset: u64) -> u64 {
    offset.wrapping_add(63) & !63
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
