//! The fuzzer's bytes, taken from the front; zeroes once they are used up.

pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

/// Numbers that break arithmetic more often than any others.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    7,
    64,
    1024,
    4096,
    u32::MAX as u64,
    i64::MAX as u64 - 127,
    i64::MAX as u64,
    u64::MAX - 63,
    u64::MAX,
];

impl<'a> Input<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Input<'a> {
        Input { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }

    pub(crate) fn bit(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        let word = usize::from(self.byte()) << 8 | usize::from(self.byte());
        word % count.max(1)
    }

    pub(crate) fn word(&mut self) -> u64 {
        let mut word = [0; 8];
        word.fill_with(|| self.byte());
        u64::from_le_bytes(word)
    }

    /// A number that is small most of the time, and sometimes as large as it can be.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => u64::from(small % 16),
            edge @ 200..=239 => EDGES[usize::from(edge) % EDGES.len()],
            _ => self.word(),
        }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Text of a few bytes, which is UTF-8 after a repair.
    pub(crate) fn text(&mut self) -> String {
        let count = usize::from(self.byte() % 24);
        String::from_utf8_lossy(self.bytes(count)).into_owned()
    }

    pub(crate) fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}
