//! Dumps: what a segment held, and what was known of it, in a file. FORMAT.md has the bytes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use coseg::Inspection;
use coseg_sysv::{Key, ShmId, Stat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contents::CHUNK_BYTES;
use crate::failure::{Failure, Result, io_text};
use crate::image::{Image, Moment, PAGE_BYTES};
use crate::size;
use crate::stop::Stop;
use crate::time;
use crate::value::TypeJson;

const MAGIC: [u8; 8] = *b"COSEGDMP";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
const RECORD_BYTES: usize = 16;
/// More than any region's schema takes.
const META_BYTES_MAX: usize = 64 << 20;

/// What is known of a dumped segment besides its bytes; the field names are the format's.
#[derive(Debug, JsonSchema, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) dumped_unix_ns: u64,
    pub(crate) written_by: String,
    pub(crate) backend: String,
    pub(crate) id: i32,
    pub(crate) key: i32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) creator_uid: u32,
    pub(crate) creator_gid: u32,
    pub(crate) creator_pid: i32,
    pub(crate) last_pid: i32,
    pub(crate) attach_time: i64,
    pub(crate) detach_time: i64,
    pub(crate) change_time: i64,
    pub(crate) attachment_count: u64,
    /// Whether all bytes are of one moment.
    pub(crate) one_moment: bool,
    pub(crate) region: Option<RegionMeta>,
}

/// For readers that know no regions: the bytes have all of it too.
#[derive(Debug, JsonSchema, Serialize, Deserialize)]
pub(crate) struct RegionMeta {
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) created_unix_ns: u64,
    pub(crate) parts: serde_json::Value,
}

impl Meta {
    pub(crate) fn new(backend: &str, stat: &Stat, moment: Moment, region: Option<&Inspection>) -> Meta {
        Meta {
            dumped_unix_ns: time::now_ns(),
            written_by: concat!("coseg ", env!("CARGO_PKG_VERSION")).to_owned(),
            backend: backend.to_owned(),
            id: stat.id.raw(),
            key: stat.key.raw(),
            mode: stat.mode.bits(),
            uid: stat.uid,
            gid: stat.gid,
            creator_uid: stat.creator_uid,
            creator_gid: stat.creator_gid,
            creator_pid: stat.creator_pid,
            last_pid: stat.last_pid,
            attach_time: stat.attach_time,
            detach_time: stat.detach_time,
            change_time: stat.change_time,
            attachment_count: stat.attachment_count,
            one_moment: moment == Moment::One,
            region: region.map(RegionMeta::of),
        }
    }
}

impl RegionMeta {
    fn of(region: &Inspection) -> RegionMeta {
        let parts = region.schema().parts.iter().map(|part| {
            serde_json::json!({
                "name": part.name,
                "kind": part.kind.to_string(),
                "doc": part.doc,
                "offset_bytes": part.offset,
                "row_count": part.row_count,
                "type": part.of.as_ref().map(TypeJson::from),
            })
        });
        RegionMeta {
            name: region.name().to_owned(),
            r#type: region.schema().name.clone(),
            created_unix_ns: region.created_unix_ns(),
            parts: parts.collect(),
        }
    }
}

fn checksum(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}

/// Whether a file begins as a dump does.
pub(crate) fn is_dump(path: &Path) -> bool {
    let mut first = [0; MAGIC.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == MAGIC
}

/// Writes a whole dump; how many bytes of the segment are in it.
pub(crate) fn write(out: &mut dyn Write, meta: &Meta, image: &Image) -> Result<usize> {
    let to = |error: io::Error| Failure::io("write the dump", &error);
    let text = serde_json::to_vec(meta).map_err(|error| to(error.into()))?;
    let length = u32::try_from(text.len()).map_err(|error| to(io::Error::other(error)))?;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&(image.size_bytes() as u64).to_le_bytes());
    header.extend_from_slice(&checksum(&[&text]));
    header.extend_from_slice(&checksum(&[&header]));
    out.write_all(&header).and_then(|()| out.write_all(&text)).map_err(to)?;
    let mut records = Records { out, count: 0, start: 0, bytes: Vec::new() };
    let mut stored = 0;
    image.each_page(|at, page| {
        stored += page.len();
        records.add(at, page).map_err(to)
    })?;
    records.end().map_err(to)?;
    Ok(stored)
}

/// Joins pages to records.
struct Records<'a> {
    out: &'a mut dyn Write,
    count: u64,
    start: usize,
    bytes: Vec<u8>,
}

impl Records<'_> {
    fn add(&mut self, at: usize, page: &[u8]) -> io::Result<()> {
        if at != self.start + self.bytes.len() || self.bytes.len() >= CHUNK_BYTES {
            self.flush()?;
            self.start = at;
        }
        self.bytes.extend_from_slice(page);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.record(self.start as u64, &bytes)?;
        self.count += 1;
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.record(self.count, &[])?;
        self.out.flush()
    }

    fn record(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let number = number.to_le_bytes();
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes();
        self.out.write_all(&number)?;
        self.out.write_all(&length)?;
        self.out.write_all(&checksum(&[&number, &length, bytes]))?;
        self.out.write_all(bytes)
    }
}

/// Reads a whole dump, and believes nothing of it that its checksums do not bear out.
pub(crate) fn read(input: &mut dyn Read, name: &str, stop: &Stop) -> Result<(Meta, Image)> {
    let mut input = Input { input, name, at: 0 };
    let header: [u8; HEADER_BYTES] = input.array("its header")?;
    if header[..8] != MAGIC {
        return Err(Failure::error(format!(
            "read {name}: no dump of coseg: it does not begin with COSEGDMP"
        ))
        .hint("coseg write, which puts any bytes into a segment"));
    }
    let half = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if half(8) != VERSION {
        return Err(Failure::error(format!(
            "read {name}: a dump of version {}, and this program knows version {VERSION}",
            half(8)
        ))
        .hint("a newer coseg"));
    }
    if checksum(&[&header[..28]]) != header[28..] {
        return Err(input.damaged(0, "its header's checksum is wrong"));
    }
    let size = header[16..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let size_bytes = usize::try_from(size)
        .ok()
        .filter(|&size| size > 0 && size <= isize::MAX as usize)
        .ok_or_else(|| input.damaged(16, &format!("no segment has {size} bytes")))?;
    let length = half(12) as usize;
    if length > META_BYTES_MAX {
        return Err(input.damaged(12, &format!("{length} bytes to describe a segment are too many")));
    }
    let text = input.bytes(length, "its description")?;
    if checksum(&[&text]) != header[24..28] {
        return Err(input.damaged(HEADER_BYTES as u64, "its description's checksum is wrong"));
    }
    let meta: Meta = serde_json::from_slice(&text)
        .map_err(|error| input.damaged(HEADER_BYTES as u64, &format!("its description: {error}")))?;
    let (key, id) = (Key::new(meta.key), ShmId::new(meta.id));
    let image = Image::under(key, id, size_bytes, stop).map_err(|failure| input.unmade(size, &failure))?;
    input.records(&image)?;
    Ok((meta, image))
}

/// What is read, and how far, so that damage can be found again.
struct Input<'a> {
    input: &'a mut dyn Read,
    name: &'a str,
    at: u64,
}

impl Input<'_> {
    fn records(&mut self, image: &Image) -> Result<()> {
        let mut end = 0;
        for count in 0_u64.. {
            image.stop().check()?;
            let at = self.at;
            let head: [u8; RECORD_BYTES] = self.array("the next record")?;
            let number = head[..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let length = head[8..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
            if length > CHUNK_BYTES + PAGE_BYTES {
                return Err(self.damaged(at, &format!("a record of {length} bytes is too long")));
            }
            let bytes = self.bytes(length, "a record's bytes")?;
            if checksum(&[&head[..12], &bytes]) != head[12..] {
                return Err(self.damaged(at, "a record's checksum is wrong"));
            }
            if length == 0 {
                if number != count {
                    return Err(self.damaged(at, &format!("{count} records of {number} are there")));
                }
                break;
            }
            let start = usize::try_from(number).unwrap_or(usize::MAX);
            if start < end || start.checked_add(length).is_none_or(|end| end > image.size_bytes()) {
                let fact = format!("a record for {length} bytes at offset {number} is out of place");
                return Err(self.damaged(at, &fact));
            }
            end = start + length;
            image.write(start, &bytes)?;
        }
        let mut more = [0];
        match self.input.read(&mut more).map_err(|error| self.failed(&error))? {
            0 => Ok(()),
            _ => Err(self.damaged(self.at, "something follows its end")),
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let bytes = self.bytes(N, what)?;
        bytes.try_into().map_err(|_| self.damaged(self.at, what))
    }

    fn bytes(&mut self, length: usize, what: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let taken = Read::take(&mut *self.input, length as u64).read_to_end(&mut bytes);
        taken.map_err(|error| self.failed(&error))?;
        self.at += bytes.len() as u64;
        if bytes.len() < length {
            return Err(Failure::error(format!(
                "read {}: cut off: it ends at byte {}, within {what}",
                self.name, self.at
            ))
            .hint("the whole dump"));
        }
        Ok(bytes)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::error(format!("read {}: {}", self.name, io_text(error)))
    }

    /// Its header is right and asks for more than there is: true of a large segment, and of a made-up one.
    fn unmade(&self, size_bytes: u64, failure: &Failure) -> Failure {
        let size = size::sentence(size_bytes);
        let text = format!(
            "read {}: it says that its segment has {size}, and no copy of that size can be made here: {}",
            self.name,
            failure.text()
        );
        Failure::error(text)
            .hint("TMPDIR on a filesystem for files so large, if you trust the dump; else another dump")
    }

    fn damaged(&self, at: u64, fact: &str) -> Failure {
        Failure::error(format!("read {}: damaged at byte {at}: {fact}", self.name)).hint("another dump")
    }
}
