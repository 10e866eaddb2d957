//! Words that processes leave to others beyond their death, in a namespace of their own: what is recorded is none of
//! the business of what is tested.

use std::path::Path;

use coseg_sysv::{Attachment, Key, Segment, User};

const KEY: Key = Key::new(0x4158);

pub(crate) struct Words {
    bytes: Attachment,
    segment: Segment,
}

impl Words {
    pub(crate) fn create(directory: &Path, size_bytes: usize) -> Words {
        let backend = User::at(directory.join("records")).unwrap();
        let segment = Segment::options(KEY).size(size_bytes).create(&backend).unwrap();
        Words { bytes: segment.attach().unwrap(), segment }
    }

    pub(crate) fn open(directory: &Path) -> Words {
        let backend = User::at(directory.join("records")).unwrap();
        let segment = Segment::options(KEY).open(&backend).unwrap();
        Words { bytes: segment.attach().unwrap(), segment }
    }

    pub(crate) fn remove(&self) {
        self.segment.remove().unwrap();
    }

    pub(crate) fn get(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        self.bytes.read(at, &mut bytes).unwrap();
        u64::from_ne_bytes(bytes)
    }

    /// Whoever sees it sees also what was written before.
    pub(crate) fn set(&self, at: usize, word: u64) {
        self.bytes.write(at, &word.to_ne_bytes()).unwrap();
    }

    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        self.bytes.write(at, bytes).unwrap();
    }

    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) {
        self.bytes.read(at, bytes).unwrap();
    }
}
