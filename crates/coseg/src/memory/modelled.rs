//! Words of a model checker, one of each width at each place.

use std::ops::Deref;

use super::Words;
use crate::sync::{AtomicU32, AtomicU64};

#[derive(Debug)]
pub(crate) struct Memory {
    words: Vec<AtomicU64>,
    halves: Vec<AtomicU32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    memory: &'a Memory,
    start: usize,
}

impl<'a> Line<'a> {
    pub(crate) fn word(self, offset: usize) -> &'a AtomicU64 {
        self.memory.word(self.start + offset)
    }

    pub(crate) fn half(self, offset: usize) -> &'a AtomicU32 {
        self.memory.half(self.start + offset)
    }
}

impl Memory {
    pub(crate) fn line(&self, start: usize) -> Line<'_> {
        Line { memory: self, start }
    }

    pub(crate) fn attached(_: coseg_sysv::Attachment) -> Memory {
        unimplemented!("models run on heap memory")
    }

    pub(crate) fn heap(size_bytes: usize) -> Memory {
        Memory {
            words: (0..size_bytes / 8).map(|_| AtomicU64::new(0)).collect(),
            halves: (0..size_bytes / 4).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    pub(crate) fn with_key(self, _: crate::guard::Key) -> Memory {
        self
    }

    pub(crate) fn guard(&self, _: impl Iterator<Item = std::ops::Range<usize>>) -> std::io::Result<()> {
        Ok(())
    }

    pub(crate) fn open(&self) -> Option<crate::guard::Open> {
        None
    }

    pub(crate) fn let_read(&self) {}

    pub(crate) fn prefetch(&self, _: usize) {}

    pub(crate) fn prefetch_to_write(&self, _: usize) {}

    pub(crate) fn size_bytes(&self) -> usize {
        self.words.len() * 8
    }

    pub(crate) fn mark(&self, _: u32) -> coseg_sysv::Result<Option<bool>> {
        Ok(None)
    }

    pub(crate) fn is_writable(&self) -> bool {
        true
    }

    pub(crate) fn half(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4));
        &self.halves[offset / 4]
    }
}

impl Deref for Memory {
    type Target = Words;

    fn deref(&self) -> &Words {
        Words::of(&self.words)
    }
}
