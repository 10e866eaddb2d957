//! Segments that pass for regions: written by hand after FORMAT.md, with the right checksums.

use std::sync::Arc;

use coseg::{Inspection, Key};
use coseg_sysv::{Backend, Segment, User};

/// Where a region with room for one participant and no values has its schema.
pub(crate) const SCHEMA_AT: usize = 512;

pub(crate) const KEY: Key = Key::new(0x4558);

/// A namespace of the test's own.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) backend: Arc<dyn Backend>,
}

impl Place {
    pub(crate) fn new() -> Place {
        let directory = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
        let backend: Arc<dyn Backend> = Arc::new(User::at(directory.path()).unwrap());
        Place { directory, backend }
    }

    /// A segment of these bytes.
    pub(crate) fn segment(&self, bytes: &[u8]) -> Segment {
        let segment = Segment::options(Key::PRIVATE).size(bytes.len()).create(&self.backend).unwrap();
        segment.attach().unwrap().write(0, bytes).unwrap();
        segment
    }

    /// What looking into a segment of these bytes ends in.
    pub(crate) fn look(&self, bytes: &[u8]) -> coseg::Result<Inspection> {
        Inspection::of(&self.segment(bytes))
    }
}

/// A region of `size_bytes` that has this schema at this offset, and room for one participant.
pub(crate) fn region(size_bytes: usize, schema_at: usize, schema: &[u8], values: u64) -> Vec<u8> {
    let mut bytes = vec![0; size_bytes];
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    put(0, b"COSEGRGN");
    put(16, &1_u32.to_ne_bytes());
    put(20, &1_u32.to_ne_bytes());
    put(24, &0x0102_0304_u32.to_ne_bytes());
    let words = [size_bytes as u64, schema_at as u64, schema.len() as u64, checksum(schema), 1, values, 0];
    for (index, word) in words.iter().enumerate() {
        put(32 + index * 8, &word.to_ne_bytes());
    }
    put(schema_at, schema);
    let sum = checksum(&bytes[32..88]);
    bytes[88..96].copy_from_slice(&sum.to_ne_bytes());
    bytes
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A part's bytes in a schema.
pub(crate) struct Part<'a> {
    pub(crate) kind: u8,
    pub(crate) rows: u64,
    pub(crate) versions: u64,
    pub(crate) room: u64,
    pub(crate) offset: u64,
    pub(crate) of: &'a [u8],
}

/// A schema's bytes.
pub(crate) fn schema(parts: &[Part<'_>]) -> Vec<u8> {
    let mut out = text("");
    out.extend(u32::try_from(parts.len()).unwrap().to_ne_bytes());
    for part in parts {
        out.extend(text("part"));
        out.extend(text(""));
        out.push(part.kind);
        for word in [part.rows, part.versions, part.room, part.offset] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(part.of);
    }
    out
}

/// A text's bytes in a schema.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_ne_bytes(), text.as_bytes()].concat()
}
