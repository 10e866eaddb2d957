//! What a hostile peer writes: noise, and values that an honest peer could have written at another time.

use coseg::Inspection;
use coseg::schema::{Part, PartKind};
use coseg_sysv::Attachment;

use crate::world::{Numbers, PARTICIPANTS};

/// Places of the format; FORMAT.md, "A region".
const LOCK: usize = 192;
const LOG: usize = 256;
const SLOTS: usize = 384;
const SLOT_SIZE: usize = 128;
const ENTRIES: usize = SLOTS + PARTICIPANTS * SLOT_SIZE;

pub(crate) struct Scribbler<'a> {
    memory: &'a Attachment,
    /// The region while all was well.
    honest: Vec<u8>,
    numbers: Numbers,
    locks: Vec<usize>,
    versions: Vec<usize>,
    bells: Vec<usize>,
    fields: Vec<usize>,
    /// The words of channels.
    channels: Vec<usize>,
    entries: usize,
    /// Where each part begins.
    parts: Vec<usize>,
}

/// A way to scribble.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Noise,
    Fields,
    Locks,
    Log,
    Slots,
    Header,
    Versions,
    Channels,
    Flood,
    Race,
    All,
}

pub(crate) const STYLES: [Style; 11] = [
    Style::Noise,
    Style::Fields,
    Style::Locks,
    Style::Log,
    Style::Slots,
    Style::Header,
    Style::Versions,
    Style::Channels,
    Style::Flood,
    Style::Race,
    Style::All,
];

impl<'a> Scribbler<'a> {
    pub(crate) fn new(memory: &'a Attachment, look: &Inspection, seed: u64) -> Scribbler<'a> {
        let mut honest = vec![0; memory.size_bytes()];
        memory.read(0, &mut honest).unwrap();
        let (mut locks, mut versions, mut bells) = (vec![LOCK], Vec::new(), vec![LOCK + 4]);
        let mut channels = Vec::new();
        let mut entries = 0;
        for part in &look.schema().parts {
            match part.kind {
                PartKind::Cell => {
                    versions.push(part.offset);
                    bells.push(part.offset + 8);
                }
                PartKind::Table => {
                    let row =
                        (8 + part.slot_count * part.room_bytes.next_multiple_of(8)).next_multiple_of(64);
                    versions.extend((0..part.row_count).map(|index| part.offset + 64 + index * row));
                    bells.push(part.offset);
                }
                PartKind::Lock | PartKind::RwLock => {
                    locks.push(part.offset);
                    bells.extend([part.offset + 4, part.offset + 32]);
                }
                kind if kind.is_channel() => {
                    bells.extend([part.offset + 4, part.offset + 8]);
                    channels.extend(words_of_channel(part));
                }
                _ => bells.extend([part.offset, part.offset + 8]),
            }
            if part.kind.has_values() || part.kind == PartKind::Queue {
                entries += part.row_count;
            }
        }
        let mut fields: Vec<usize> = (0..SLOTS).step_by(4).collect();
        fields.extend((0..PARTICIPANTS).flat_map(|slot| {
            [0, 4, 8, 12, 16, 24, 32, 40, 48, 64, 124].map(|field| SLOTS + slot * SLOT_SIZE + field)
        }));
        fields.extend((0..entries * 2).map(|word| ENTRIES + word * 8));
        fields.extend(locks.iter().flat_map(|at| [0, 4, 8, 16].map(|field| at + field)));
        let rwlock = look.schema().parts.iter().find(|part| part.kind == PartKind::RwLock).unwrap().offset;
        fields.extend((0..PARTICIPANTS).map(|slot| rwlock + 64 + slot * 64));
        fields.extend(versions.iter().chain(&bells));
        let parts = look.schema().parts.iter().map(|part| part.offset).collect();
        Scribbler {
            memory,
            honest,
            numbers: Numbers::new(seed),
            locks,
            versions,
            bells,
            fields,
            channels,
            entries,
            parts,
        }
    }

    /// Makes all of it as it was.
    pub(crate) fn heal(&self) {
        self.memory.write(0, &self.honest).unwrap();
    }

    pub(crate) fn word(&mut self, at: usize, word: u64) {
        self.memory.write(at / 8 * 8, &word.to_ne_bytes()).unwrap();
    }

    pub(crate) fn half(&mut self, at: usize, half: u64) {
        self.memory.write(at, &half.to_ne_bytes()[..4]).unwrap();
    }

    /// One stroke in a style.
    pub(crate) fn stroke(&mut self, style: Style) {
        match style {
            Style::Noise => {
                // Large parts no more than small ones.
                let from = self.numbers.one_of(&self.parts);
                let span = self.numbers.one_of(&[64, 1024, self.honest.len()]).min(self.honest.len() - from);
                let at = self.numbers.one_of(&[0, from]) + self.numbers.below(span);
                let word = self.numbers.next();
                self.word(at, word);
            }
            Style::Fields => {
                let (at, word) = (self.field(), self.value());
                if self.numbers.below(2) == 0 { self.word(at, word) } else { self.half(at, word) }
            }
            Style::Locks => self.lock(),
            Style::Log => self.log(),
            Style::Slots => self.slot(),
            Style::Header => {
                let (at, byte) = (self.numbers.below(self.parts[0]), self.value());
                // The slots are another style's.
                let at = if (LOCK..ENTRIES).contains(&at) { at % LOCK } else { at };
                self.memory.write(at, &byte.to_ne_bytes()[..1]).unwrap();
            }
            Style::Versions => {
                let (at, step) = (self.numbers.one_of(&self.versions), self.numbers.below(5) as u64);
                let word = self.honest_word(at).wrapping_add(step);
                let word = if self.numbers.below(4) == 0 { self.value() } else { word };
                self.word(at, word);
            }
            Style::Channels => {
                let (at, word) = (self.numbers.one_of(&self.channels), self.step_of_channel());
                let word =
                    if self.numbers.below(2) == 0 { word } else { word.wrapping_add(self.honest_word(at)) };
                if self.numbers.below(4) == 0 { self.half(at, word) } else { self.word(at, word) }
            }
            Style::Flood => {
                let byte = self.numbers.one_of(&[0, 0xff, 0x01, 0x80]);
                self.memory.write(0, &vec![byte; self.honest.len()]).unwrap();
            }
            Style::Race => self.race(),
            Style::All => {
                let style = self.numbers.one_of(&STYLES[..8]);
                self.stroke(style);
            }
        }
    }

    fn field(&mut self) -> usize {
        self.numbers.one_of(&self.fields)
    }

    fn honest_word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.honest[at / 8 * 8..][..8]);
        u64::from_ne_bytes(word)
    }

    /// A number that something may come of.
    fn value(&mut self) -> u64 {
        match self.numbers.below(5) {
            0 => self.numbers.next(),
            1 => {
                let edges = [0, 1, u64::MAX, i64::MAX as u64, 1 << 63, 0xffff, 0x7fff_ffff, u64::MAX - 7];
                self.numbers.one_of(&edges)
            }
            2 => self.owner(),
            3 => {
                let at = self.field();
                self.honest_word(at)
            }
            _ => self.numbers.below(16) as u64,
        }
    }

    /// Who could own a lock: somebody who lives, or not, or cannot be.
    fn owner(&mut self) -> u64 {
        let slot = self.numbers.below(PARTICIPANTS);
        let generation = self.honest_word(SLOTS + slot * SLOT_SIZE + 8) & 0xf_ffff;
        match self.numbers.below(4) {
            0 | 1 => (slot as u64 + 1) | generation << 12,
            2 => (slot as u64 + 1) | (generation + 1) << 12,
            _ => self.numbers.next() & 0xffff_ffff,
        }
    }

    /// What an honest peer's words of a channel are made of.
    fn step_of_channel(&mut self) -> u64 {
        let small = self.numbers.below(20) as u64;
        match self.numbers.below(6) {
            // How many messages are in a slot, behind its number.
            0 => small << 8 | self.numbers.below(9) as u64,
            // A queue's lap, state and owner.
            1 | 2 => (small % 4) << 36 | (self.numbers.below(16) as u64) << 32 | self.owner(),
            // A chunk's bits and bytes.
            3 => (self.numbers.below(4) as u64) << 62 | self.numbers.one_of(&[0, 50, 32_767, 32_768, 32_769]),
            4 => self.value(),
            _ => small,
        }
    }

    fn lock(&mut self) {
        let at = self.numbers.one_of(&self.locks);
        let field = self.numbers.one_of(&[0, 0, 0, 4, 8, 8, 16]);
        let owner = if field == 4 { self.numbers.next() } else { self.owner() };
        self.half(at + field, owner);
    }

    fn log(&mut self) {
        let pending = self.numbers.one_of(&[0, 1, 2, self.entries as u64, 4096, 0xffff]);
        let commits =
            if self.numbers.below(2) == 0 { self.numbers.next() } else { self.honest_word(LOG) >> 16 };
        self.word(LOG, commits << 16 | pending);
        let index = self.numbers.below(self.entries);
        let (number, version) = (self.value(), self.value());
        self.word(ENTRIES + index * 16, number);
        self.word(ENTRIES + index * 16 + 8, version);
        // Somebody has to settle it.
        if self.numbers.below(2) == 0 {
            let owner = self.owner();
            self.half(LOCK, owner);
        }
    }

    fn slot(&mut self) {
        let slot = self.numbers.below(PARTICIPANTS);
        let living = self.numbers.below(2);
        let alive = self.honest_word(SLOTS + living * SLOT_SIZE);
        let identity = match self.numbers.below(5) {
            0 => alive,
            // Of another start; of another PID namespace; of a pid that cannot be.
            1 => alive ^ 1 << 22,
            2 => alive ^ 1 << 54,
            3 => alive | 0x3f_ffff,
            _ => self.value(),
        };
        self.word(SLOTS + slot * SLOT_SIZE, identity);
        let (field, value) = (self.numbers.one_of(&[8, 16, 24, 32, 40, 48, 64, 72, 120]), self.value());
        self.word(SLOTS + slot * SLOT_SIZE + field, value);
    }

    /// Overtakes whoever reads one value or the log, again and again, while a live peer seems to hold every lock, or
    /// nobody.
    fn race(&mut self) {
        let holder = 2 | (self.honest_word(SLOTS + SLOT_SIZE + 8) & 0xf_ffff) << 12;
        let holder = self.numbers.one_of(&[holder, 0]);
        for at in self.locks.clone() {
            self.half(at, holder);
        }
        let rings = self.numbers.below(4) == 0;
        let (version, bell) = (self.numbers.one_of(&self.versions), self.numbers.one_of(&self.bells));
        let channel = self.numbers.one_of(&self.channels);
        let at = self.numbers.one_of(&[self.versions[0], version, LOG, channel, channel]);
        let pending = self.numbers.one_of(&[2, self.entries as u64, 0xffff]);
        for count in 0..50_000 {
            // As many commits and versions further as no reader tolerates.
            let word = if at == LOG { count << 16 | pending } else { count * 4 };
            self.word(at, word);
            if rings {
                self.half(bell, count);
            }
        }
    }
}

/// The words of a channel, and of each message the first two.
fn words_of_channel(part: &Part) -> impl Iterator<Item = usize> {
    let is_one = matches!(part.kind, PartKind::OneToOne | PartKind::Stream);
    let ends = 2 * if is_one { 1 } else { PARTICIPANTS };
    let slots = 512 + ends * 64;
    let slot = match part.room_bytes.next_multiple_of(8) + if is_one { 0 } else { 8 } {
        small @ ..512 => small,
        large => large.next_multiple_of(64),
    };
    let ends = (0..ends).flat_map(|end| [0, 8, 16].map(|field| 512 + end * 64 + field));
    let slots = (0..part.row_count).flat_map(move |index| [0, 0, 8].map(|word| slots + index * slot + word));
    let at = part.offset;
    let words = [0, 8, 128, 128, 256, 256, 384, 392].into_iter().chain(ends).chain(slots);
    words.map(move |word| at + word)
}
