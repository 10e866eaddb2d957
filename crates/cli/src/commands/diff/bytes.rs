//! Bytes that differ, in ranges.

use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::read::hex_of;
use crate::contents::CHUNK_BYTES;
use crate::failure::Result;
use crate::image::{Image, chunks};
use crate::output;
use crate::table::{Align, Table};

/// Fewer equal bytes than this between two differences do not part them: a number is seldom changed in each byte.
const GAP_BYTES: usize = 8;
/// Shown of a range.
const SHOWN_BYTES: usize = 16;

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct BytesDifference {
    offset_bytes: usize,
    length_bytes: usize,
    /// The first bytes, not more than 16; empty behind the end.
    before_hex: String,
    after_hex: String,
}

impl BytesDifference {
    /// Bytes apart from one another, and whether there are more.
    fn spaced(&self, hex: &str) -> String {
        let pairs = hex.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
        let more = if self.length_bytes > SHOWN_BYTES { " …" } else { "" };
        pairs.collect::<Vec<_>>().join(" ") + more
    }
}

/// `0x10  5 bytes: 6d 69 6c 6b 2c -> 6f 61 74 73 0a`
impl fmt::Display for BytesDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = output::count(self.length_bytes as u64, "byte", "bytes");
        let (before, after) = (self.spaced(&self.before_hex), self.spaced(&self.after_hex));
        write!(f, "{:#x}  {count}: {before} -> {after}", self.offset_bytes)
    }
}

#[derive(Debug, Default)]
pub(in crate::commands) struct Found {
    pub(in crate::commands) listed: Vec<BytesDifference>,
    pub(in crate::commands) count: usize,
    /// That differ.
    pub(in crate::commands) bytes: usize,
}

/// As far as both go; `limit` of them with their bytes.
pub(in crate::commands) fn differences(before: &Image, after: &Image, limit: usize) -> Result<Found> {
    let size = before.size_bytes().min(after.size_bytes());
    let mut found = Found::default();
    let mut open: Option<(usize, usize)> = None;
    let close = |(start, end): (usize, usize), found: &mut Found| -> Result<()> {
        found.count += 1;
        if found.listed.len() < limit {
            found.listed.push(BytesDifference {
                offset_bytes: start,
                length_bytes: end - start,
                before_hex: first(before, start, end)?,
                after_hex: first(after, start, end)?,
            });
        }
        Ok(())
    };
    let (mut one, mut other) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    for chunk in chunks(&before.extents().union(&after.extents())) {
        before.stop().check()?;
        let chunk = chunk.start.min(size)..chunk.end.min(size);
        let (one, other) = (&mut one[..chunk.len()], &mut other[..chunk.len()]);
        before.read(chunk.start, one)?;
        after.read(chunk.start, other)?;
        if one == other {
            continue;
        }
        for (at, _) in one.iter().zip(&*other).enumerate().filter(|(_, (one, other))| one != other) {
            let at = chunk.start + at;
            found.bytes += 1;
            match &mut open {
                Some((_, end)) if at < *end + GAP_BYTES => *end = at + 1,
                _ => {
                    if let Some(done) = open.replace((at, at + 1)) {
                        close(done, &mut found)?;
                    }
                }
            }
        }
    }
    if let Some(done) = open {
        close(done, &mut found)?;
    }
    Ok(found)
}

/// Whether any byte differs that is not among these, as far as both go.
pub(in crate::commands) fn differ_outside(
    before: &Image,
    after: &Image,
    inside: &Range<usize>,
) -> Result<bool> {
    let size = before.size_bytes().min(after.size_bytes());
    let mut one = vec![0; CHUNK_BYTES];
    let mut other = vec![0; CHUNK_BYTES];
    for chunk in chunks(&before.extents().union(&after.extents())) {
        before.stop().check()?;
        let end = chunk.end.min(size);
        for part in [chunk.start..end.min(inside.start), chunk.start.max(inside.end)..end] {
            let length = part.len();
            if length > 0 {
                before.read(part.start, &mut one[..length])?;
                after.read(part.start, &mut other[..length])?;
                if one[..length] != other[..length] {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

fn first(image: &Image, start: usize, end: usize) -> Result<String> {
    let mut bytes = vec![0; (end - start).min(SHOWN_BYTES)];
    image.read(start, &mut bytes)?;
    Ok(hex_of(&bytes))
}

pub(in crate::commands) fn table<'a>(differences: impl Iterator<Item = &'a BytesDifference>) -> String {
    let mut table = Table::new(vec![
        ("OFFSET", Align::Left),
        ("BYTES", Align::Right),
        ("BEFORE", Align::Left),
        ("AFTER", Align::Left),
    ]);
    for difference in differences {
        table.row(vec![
            format!("{:#x}", difference.offset_bytes),
            difference.length_bytes.to_string(),
            difference.spaced(&difference.before_hex),
            difference.spaced(&difference.after_hex),
        ]);
    }
    table.render()
}
