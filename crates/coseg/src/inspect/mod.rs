//! Any region, looked into and changed by its own schema, without the program that made it.

mod channels;
mod entries;
mod locks;
mod path;

use std::sync::Arc;

use coseg_sysv::Segment;

pub use self::channels::{ChannelEnd, ChannelView};
pub use self::locks::{Holder, LockView};
use self::path::Found;

use crate::base::{Base, Recovery, Shelf};
use crate::header::{self, Stage};
use crate::identity::{Identity, Life};
use crate::layout::at;
use crate::lock::Deadline;
use crate::log::Committed;
use crate::memory::Memory;
use crate::open::object_of;
use crate::schema::{Part, PartKind, Schema, Type};
use crate::value::{DECODED_MAX, Value, decode, decoded_bytes, encode_text};
use crate::{Error, ErrorKind, Participant, Result, bell};

/// A region of unknown type.
///
/// ```
/// use coseg::{Inspection, Key, Region, Value};
///
/// # let dir = tempfile::tempdir()?;
/// # let backend = coseg_sysv::User::at(dir.path())?;
/// let region = Region::<[u64; 3]>::at(Key::new(7)).backend(&backend).create(|| [1, 2, 3])?;
/// let look = Inspection::of(region.segment())?;
/// assert_eq!(look.get("[1]")?, Value::Unsigned(2));
/// # region.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Inspection {
    base: Shelf,
    name: String,
    created_unix_ns: u64,
}

impl Inspection {
    /// Looks at a segment's region without changing anything of it.
    ///
    /// # Errors
    /// [`ErrorKind::Segment`]; [`ErrorKind::NotARegion`]; [`ErrorKind::Unfinished`]; [`ErrorKind::Damaged`].
    pub fn of(segment: &Segment) -> Result<Inspection> {
        Inspection::attached(segment, Memory::attached(segment.attach_read_only()?))
    }

    /// Looks at a copy of a segment's region. Which of its participants live is asked of the segment itself.
    ///
    /// # Errors
    /// Those of [`Inspection::of`].
    pub fn of_copy(copy: &Segment, original: &Segment) -> Result<Inspection> {
        Inspection::attached(original, Memory::attached(copy.attach_read_only()?))
    }

    /// Looks at a copy of a region whose segment is not at hand. Of its participants, those are alive who run on as the
    /// processes that they were.
    ///
    /// # Errors
    /// Those of [`Inspection::of`].
    pub fn of_lone_copy(copy: &Segment) -> Result<Inspection> {
        let mut inspection = Inspection::of(copy)?;
        // Nobody else has it yet.
        if let Some(base) = Arc::get_mut(&mut inspection.base) {
            base.is_lone_copy = true;
        }
        Ok(inspection)
    }

    /// Joins a segment's region, so that it can be changed.
    ///
    /// # Errors
    /// Those of [`Inspection::of`], and those of joining: [`ErrorKind::NoSlot`], [`ErrorKind::OtherPidNamespace`].
    pub fn join(segment: &Segment) -> Result<Inspection> {
        let inspection = Inspection::attached(segment, Memory::attached(segment.attach()?))?;
        inspection.base.join()?;
        Ok(inspection)
    }

    /// Removes a segment, whatever is in it; of a region, whoever waits for something is told, as by
    /// [`Region::remove`](crate::Region::remove).
    ///
    /// # Errors
    /// Those of [`Segment::remove`]. Without the right to write to a region it is removed, and nobody told.
    pub fn remove(segment: &Segment) -> Result<(), coseg_sysv::Error> {
        // Attaching what nobody has attached tells nobody, and its end may be the segment's, removed or not.
        let is_attached = segment.stat().is_ok_and(|stat| stat.attachment_count > 0);
        let memory = is_attached.then(|| segment.attach().ok()).flatten();
        let region = memory.and_then(|memory| Inspection::attached(segment, Memory::attached(memory)).ok());
        segment.remove()?;
        if let Some(region) = region {
            region.base.close();
        }
        Ok(())
    }

    fn attached(segment: &Segment, memory: Memory) -> Result<Inspection> {
        let object = object_of(segment);
        let fail = |kind, fact: String| Err(Error::new("look into", object.clone(), kind, fact));
        match header::stage(&memory) {
            Stage::Ready => {}
            Stage::Removed => {
                return fail(
                    ErrorKind::Removed,
                    "it was removed, and its key not yet freed: `coseg rm` does".into(),
                );
            }
            Stage::Foreign | Stage::Unfinished(Identity::NOBODY) => {
                return fail(
                    ErrorKind::NotARegion,
                    "it is a plain segment: see its bytes with `coseg read`".into(),
                );
            }
            Stage::Unfinished(builder) => {
                let what = match builder.life() {
                    Life::Dead => "died: the next program to open it will",
                    Life::Alive | Life::Unknown => "will",
                };
                let fact = format!("process {}, who was making it, {what} finish it", builder.pid());
                return fail(ErrorKind::Unfinished, fact);
            }
        }
        let layout = header::read(&memory, &object)?.layout;
        let (name, created_unix_ns) = (header::name(&memory), header::created_unix_ns(&memory));
        let base = Base::new(memory, layout, segment.clone(), "coseg".to_owned());
        Ok(Inspection { base: Arc::new(base), name, created_unix_ns })
    }

    /// The region's own name; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it was made, in nanoseconds since 1970.
    pub fn created_unix_ns(&self) -> u64 {
        self.created_unix_ns
    }

    /// What it says of its contents.
    pub fn schema(&self) -> &Schema {
        &self.base.layout.schema
    }

    /// How many times a lock was taken from a dead owner.
    pub fn recovery_count(&self) -> u64 {
        self.base.memory.word(at::RECOVERIES).load(crate::sync::Ordering::Relaxed)
    }

    /// Bytes the region takes of its segment.
    pub fn size_bytes(&self) -> usize {
        self.base.layout.size_bytes
    }

    /// How many participants there is room for.
    pub fn participants_max(&self) -> usize {
        self.base.layout.participant_count
    }

    /// Who has joined it.
    pub fn participants(&self) -> Vec<Participant> {
        self.base.everybody()
    }

    /// All values of a part: of a cell its value, of a table its rows, of a map its entries, each a struct of `key` and
    /// `value`, of a counter or event its count. A lock has none.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`]: writers overtook every attempt. [`ErrorKind::TooLarge`]: they take more than 256 MiB.
    pub fn part(&self, part: usize) -> Result<Option<Value>> {
        let Some(schema) = self.schema().parts.get(part) else { return Ok(None) };
        match (schema.kind, &schema.of) {
            (PartKind::Cell, Some(of)) => {
                self.check_size(of, schema.room_bytes, 1)?;
                self.row(part, 0, of).map(Some)
            }
            (PartKind::Table, Some(of)) => {
                self.check_size(of, schema.room_bytes, schema.row_count)?;
                let rows = (0..schema.row_count).map(|row| self.row(part, row, of)).collect::<Result<_>>()?;
                Ok(Some(Value::Array(rows)))
            }
            (PartKind::Map, Some(of)) => self.entries(part, of).map(|entries| Some(Value::Array(entries))),
            (PartKind::Counter | PartKind::Event, _) => Ok(Some(Value::Unsigned(self.count(schema).into()))),
            _ => Ok(None),
        }
    }

    fn check_size(&self, of: &Type, room_bytes: usize, row_count: usize) -> Result<()> {
        let size = decoded_bytes(of).saturating_mul(row_count).max(room_bytes);
        if size <= DECODED_MAX {
            return Ok(());
        }
        let fact = format!("it takes {size} bytes of memory: read a row, a field or an element of it");
        Err(Error::new("read", self.base.object(), ErrorKind::TooLarge, fact))
    }

    fn count(&self, part: &Part) -> u64 {
        self.base.memory.word(part.offset).load(crate::sync::Ordering::Relaxed)
    }

    fn row(&self, part: usize, row: usize, of: &Type) -> Result<Value> {
        let Some(item) = self.base.layout.item_of(part, row) else {
            return Err(self.bad_path(&format!("part {part}"), format!("it has no row {row}")));
        };
        Ok(decode(of, &self.bytes(item)?))
    }

    /// The value at a path: `board[1].stock`, `ledger[3]`, `trades`, and of a map by its key, `positions[17].price` or
    /// `quotes["EURUSD"]`. In a region of one cell, the cell's name may be
    /// left out: `[1].stock`.
    ///
    /// # Errors
    /// [`ErrorKind::BadPath`]: what of the path there is not. [`ErrorKind::Busy`]. [`ErrorKind::TooLarge`].
    pub fn get(&self, path: &str) -> Result<Value> {
        let (part, rest) = self.part_of(path)?;
        let schema = &self.schema().parts[part];
        match schema.kind {
            PartKind::Cell => {}
            PartKind::Table | PartKind::Map if !rest.is_empty() => {}
            _ if rest.is_empty() => {
                let value = self.part(part)?;
                return value.ok_or_else(|| self.bad_path(path, format!("a {} has no value", schema.kind)));
            }
            _ => return Err(self.bad_path(path, format!("a {} has no fields", schema.kind))),
        }
        let found = self.find(path, part, rest)?;
        let bytes = self.bytes_of(&found, path)?;
        Ok(decode(found.of, bytes.get(found.offset..).unwrap_or_default()))
    }

    /// Sets the number or text at a path, under the region's lock; what was there before, and what is now.
    ///
    /// # Errors
    /// Those of [`Inspection::get`]; [`ErrorKind::BadValue`]: the text is no such value.
    /// [`ErrorKind::TimedOut`]: the lock was held for all of `timeout`.
    pub fn set(&self, path: &str, text: &str, timeout: std::time::Duration) -> Result<(Value, Value)> {
        self.find_to_set(path)?;
        let memory = &self.base.memory;
        let guard = self.base.lock(Deadline::after(Some(timeout)))?;
        // Where a map's key is, others may have changed before.
        let found = self.find_to_set(path)?;
        let version = found.item.version(memory);
        let mut bytes = vec![0; found.item.room_bytes];
        memory.read(found.item.slot_at(version), &mut bytes);
        let change = self.change(&found, path, text, &mut bytes)?;
        found.item.write_next_bytes(memory, version, &bytes);
        self.base.log().commit_one(Committed::new(&found.item, version.wrapping_add(1)));
        drop(guard);
        found.item.bell(memory).ring_after_store(|| bell::Wake::All);
        Ok(change)
    }

    /// The dead owners that [`Inspection::set`] took the lock from, since the last call.
    pub fn take_recoveries(&self) -> Vec<Recovery> {
        self.base.take_recoveries()
    }

    /// What [`Inspection::set`] would find and leave; nothing is set.
    ///
    /// # Errors
    /// Those of [`Inspection::get`]; [`ErrorKind::BadValue`]: the text is no such value.
    pub fn check(&self, path: &str, text: &str) -> Result<(Value, Value)> {
        let found = self.find_to_set(path)?;
        self.change(&found, path, text, &mut self.bytes_of(&found, path)?)
    }

    fn find_to_set(&self, path: &str) -> Result<Found<'_>> {
        let (part, rest) = self.part_of(path)?;
        let kind = self.schema().parts[part].kind;
        if kind.has_values() {
            return self.find(path, part, rest);
        }
        Err(self.bad_path(path, format!("a {kind} is not set: only values of cells, tables and maps are")))
    }

    fn change(&self, found: &Found<'_>, path: &str, text: &str, bytes: &mut [u8]) -> Result<(Value, Value)> {
        let place = bytes.get_mut(found.offset..).unwrap_or_default();
        let before = decode(found.of, place);
        encode_text(found.of, text, place).map_err(|fact| {
            Error::new("set", format!("`{path}` in {}", self.base.object()), ErrorKind::BadValue, fact)
        })?;
        Ok((before, decode(found.of, place)))
    }

    /// Which bytes of the segment a row takes, with all its versions. A cell is a row 0. A map's entries lie in several
    /// places: they have none.
    pub fn row_range(&self, part: usize, row: usize) -> Option<std::ops::Range<usize>> {
        let item = self.base.layout.item_of(part, row)?;
        let is_of_map = self.base.layout.map_of(part).is_some();
        (!is_of_map).then(|| item.version_at..item.slot_at(item.slot_mask) + item.slot_stride)
    }
}
