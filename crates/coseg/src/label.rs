//! Whether some bytes are a region's, and which, from the few that tell: for those who would rather not attach.

use crate::layout::{FORMAT, MAGIC, NAME_SIZE, READY, at};

/// What a region says of itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its own name; may be empty.
    pub name: String,
    /// The name of its type.
    pub of: String,
}

/// What the first bytes of a segment tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    /// A region.
    Region(Label),
    /// No region.
    Plain,
    /// A region of another format, one that is being made or removed, or one whose bytes could not be read.
    Unknown,
}

impl Label {
    /// Least bytes of a segment that can be a region.
    pub const BYTES_MIN: usize = at::PARTICIPANTS;

    /// Looks at a segment's bytes, of which `read` copies as many as fit from an offset on, or says that it cannot.
    pub fn peek(read: impl Fn(u64, &mut [u8]) -> bool) -> Peek {
        let mut header = [0; Label::BYTES_MIN];
        if !read(0, &mut header) {
            return Peek::Unknown;
        }
        let word = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let half = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        if word(at::MAGIC) != MAGIC {
            // A region that nobody has begun to make yet is zero, as any new segment.
            return Peek::Plain;
        }
        if half(at::STATE) != READY || half(at::FORMAT) != FORMAT {
            return Peek::Unknown;
        }
        let name = &header[at::NAME..at::NAME + NAME_SIZE];
        let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
        let name = String::from_utf8_lossy(&name[..length]).into_owned();
        match type_name(word(at::SCHEMA), read) {
            Some(of) => Peek::Region(Label { name, of }),
            None => Peek::Unknown,
        }
    }
}

/// The schema begins with the name of its type, behind its length.
fn type_name(schema_at: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<String> {
    let mut length = [0; 2];
    if !read(schema_at, &mut length) {
        return None;
    }
    let mut name = vec![0; usize::from(u16::from_ne_bytes(length))];
    if !read(schema_at.checked_add(2)?, &mut name) {
        return None;
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        bytes[..8].copy_from_slice(b"COSEGRGN");
        bytes[at::STATE..][..4].copy_from_slice(&READY.to_ne_bytes());
        bytes[at::FORMAT..][..4].copy_from_slice(&FORMAT.to_ne_bytes());
        bytes[at::SCHEMA..][..8].copy_from_slice(&512_u64.to_ne_bytes());
        bytes[at::NAME..][..6].copy_from_slice(b"market");
        bytes[512..][..8].copy_from_slice(b"\x06\x00Office");
        bytes
    }

    fn look(bytes: &[u8]) -> Peek {
        Label::peek(|offset, out| {
            let from = usize::try_from(offset).unwrap();
            match bytes.get(from..).and_then(|rest| rest.get(..out.len())) {
                Some(part) => {
                    out.copy_from_slice(part);
                    true
                }
                None => false,
            }
        })
    }

    #[test]
    fn a_region_tells_its_name_and_type() {
        assert_eq!(look(&region()), Peek::Region(Label { name: "market".into(), of: "Office".into() }));
    }

    #[test]
    fn anything_else_is_plain_or_unknown() {
        assert_eq!(look(&[0; 1024]), Peek::Plain);
        assert_eq!(look(&[0; 10]), Peek::Unknown);
        for at in [at::STATE, at::FORMAT, at::SCHEMA + 7, 513] {
            let mut bytes = region();
            bytes[at] ^= 0xff;
            assert_eq!(look(&bytes), Peek::Unknown, "{at}");
        }
    }
}
