//! Any region, looked into and changed by its own schema, without the program that made it.

use std::sync::Arc;

use coseg_sysv::Segment;

use crate::base::{Base, Recovery, Shelf};
use crate::header::{self, Stage};
use crate::identity::{Identity, Life};
use crate::item::Bytes;
use crate::layout::{Item, at};
use crate::lock::{Deadline, LockWords};
use crate::log::Committed;
use crate::memory::Memory;
use crate::open::object_of;
use crate::participants::Owner;
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

/// A lock of a region, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockView {
    /// Its number: the order in which locks are to be taken.
    pub number: usize,
    /// The part's name, or `region`.
    pub name: String,
    /// Who holds it.
    pub holder: Option<Holder>,
    /// How many times it was taken.
    pub acquisition_count: u64,
    /// The slots of those who say that they wait for it.
    pub waiter_slots: Vec<usize>,
    /// The slots of those who hold it for reading.
    pub reader_slots: Vec<usize>,
}

/// The owner of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its slot; `None` if no participant can have written what stands there.
    pub slot: Option<usize>,
    /// Who it is; `None` if the slot is another's by now.
    pub participant: Option<Participant>,
    /// It has died, and nobody has taken the lock since.
    pub orphaned: bool,
    /// It has held the lock at least since this moment, in nanoseconds since 1970: since then somebody waits for
    /// it. `None` if nobody does.
    pub held_since_unix_ns: Option<u64>,
}

/// A place within a region, found by its path.
struct Found<'a> {
    item: Item,
    of: &'a Type,
    /// From the start of the item's value.
    offset: usize,
}

impl Inspection {
    /// Looks at a segment's region without changing anything of it.
    ///
    /// # Errors
    /// [`ErrorKind::Segment`]; [`ErrorKind::NotARegion`]; [`ErrorKind::Unfinished`]; [`ErrorKind::Damaged`].
    pub fn of(segment: &Segment) -> Result<Inspection> {
        Inspection::attached(segment, Memory::attached(segment.attach_read_only()?))
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

    /// All values of a part: of a cell its value, of a table its rows, of a counter or event its count. A lock has
    /// none.
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

    fn bytes(&self, item: Item) -> Result<Vec<u8>> {
        let fact = "writers overtook every attempt: try again";
        let busy = || Error::new("read", self.base.object(), ErrorKind::Busy, fact);
        item.try_read(&self.base.memory, &Bytes(item.room_bytes)).map(|(bytes, _)| bytes).ok_or_else(busy)
    }

    /// The value at a path: `board[1].stock`, `ledger[3]`, `trades`. In a region of one cell, the cell's name may be
    /// left out: `[1].stock`.
    ///
    /// # Errors
    /// [`ErrorKind::BadPath`]: what of the path there is not. [`ErrorKind::Busy`]. [`ErrorKind::TooLarge`].
    pub fn get(&self, path: &str) -> Result<Value> {
        let (part, rest) = self.part_of(path)?;
        let schema = &self.schema().parts[part];
        match schema.kind {
            PartKind::Cell => {}
            PartKind::Table if !rest.is_empty() => {}
            _ if rest.is_empty() => {
                let value = self.part(part)?;
                return value.ok_or_else(|| self.bad_path(path, format!("a {} has no value", schema.kind)));
            }
            _ => return Err(self.bad_path(path, format!("a {} has no fields", schema.kind))),
        }
        let found = self.find(path, part, rest)?;
        let bytes = self.bytes(found.item)?;
        Ok(decode(found.of, bytes.get(found.offset..).unwrap_or_default()))
    }

    /// Sets the number or text at a path, under the region's lock; what was there before, and what is now.
    ///
    /// # Errors
    /// Those of [`Inspection::get`]; [`ErrorKind::BadValue`]: the text is no such value.
    /// [`ErrorKind::TimedOut`]: the lock was held for all of `timeout`.
    pub fn set(&self, path: &str, text: &str, timeout: std::time::Duration) -> Result<(Value, Value)> {
        let found = self.find_to_set(path)?;
        let memory = &self.base.memory;
        let guard = self.base.lock(Deadline::after(Some(timeout)))?;
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
        self.change(&found, path, text, &mut self.bytes(found.item)?)
    }

    fn find_to_set(&self, path: &str) -> Result<Found<'_>> {
        let (part, rest) = self.part_of(path)?;
        let kind = self.schema().parts[part].kind;
        if kind.has_values() {
            return self.find(path, part, rest);
        }
        Err(self.bad_path(path, format!("a {kind} is not set: only values of cells and tables are")))
    }

    fn change(&self, found: &Found<'_>, path: &str, text: &str, bytes: &mut [u8]) -> Result<(Value, Value)> {
        let place = bytes.get_mut(found.offset..).unwrap_or_default();
        let before = decode(found.of, place);
        encode_text(found.of, text, place).map_err(|fact| {
            Error::new("set", format!("`{path}` in {}", self.base.object()), ErrorKind::BadValue, fact)
        })?;
        Ok((before, decode(found.of, place)))
    }

    /// Which bytes of the segment a row takes, with all its versions. A cell is a row 0.
    pub fn row_range(&self, part: usize, row: usize) -> Option<std::ops::Range<usize>> {
        let item = self.base.layout.item_of(part, row)?;
        Some(item.version_at.min(item.slots_at)..item.end())
    }

    /// The locks, in their order; the region's own is the last.
    pub fn locks(&self) -> Vec<LockView> {
        let participants = self.participants();
        let locks = self.base.layout.locks().enumerate();
        locks.map(|(number, (name, lock_at))| self.lock_view(number, name, lock_at, &participants)).collect()
    }

    fn lock_view(&self, number: usize, name: &str, lock_at: usize, participants: &[Participant]) -> LockView {
        let words = LockWords::new(&self.base.memory, lock_at);
        let (owner, acquisition_count) = (words.owner(), words.acquisition_count());
        let waiters = || {
            participants.iter().filter(|who| who.alive != Some(false)).filter_map(|who| {
                who.waits_for.filter(|waiting| waiting.lock == number).map(|waiting| (who.slot, waiting))
            })
        };
        let holder = (owner != Owner::NOBODY).then(|| {
            let slot = owner.slot(self.base.layout.participant_count);
            let participant = participants
                .iter()
                .find(|who| Some(who.slot) == slot && who.generation == owner.generation())
                .cloned();
            Holder {
                slot,
                participant,
                orphaned: self.base.is_dead(owner),
                held_since_unix_ns: waiters()
                    .filter(|(_, waiting)| waiting.acquisition_count == acquisition_count)
                    .map(|(_, waiting)| waiting.since_unix_ns)
                    .min(),
            }
        });
        let rwlock = self.schema().parts.iter().find(|part| part.offset == lock_at);
        let reader_slots = match rwlock {
            Some(part) if part.kind == PartKind::RwLock => (0..self.base.layout.participant_count)
                .filter(|&slot| crate::rwlock::is_reading(&self.base.memory, lock_at, slot))
                .collect(),
            _ => Vec::new(),
        };
        LockView {
            number,
            name: name.to_owned(),
            holder,
            acquisition_count,
            waiter_slots: waiters().map(|(slot, _)| slot).collect(),
            reader_slots,
        }
    }

    fn part_of<'p>(&self, path: &'p str) -> Result<(usize, &'p str)> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let parts = &self.schema().parts;
        if let Some(part) = parts.iter().position(|part| part.name == path[..end]) {
            return Ok((part, &path[end..]));
        }
        match parts.as_slice() {
            // A field of the only value may be named without a dot.
            [only] if only.kind == PartKind::Cell => Ok((0, path)),
            _ => {
                let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
                let fact = format!("there is no part `{}`: it has {}", &path[..end], names.join(", "));
                Err(self.bad_path(path, fact))
            }
        }
    }

    fn find<'s>(&'s self, path: &str, part: usize, rest: &str) -> Result<Found<'s>> {
        let schema = &self.schema().parts[part];
        let bad = |fact: String| self.bad_path(path, fact);
        let Some(of) = &schema.of else { return Err(bad(format!("a {} has no fields", schema.kind))) };
        let mut steps = steps(rest).map_err(bad)?.into_iter();
        let row = match (schema.kind, schema.row_count) {
            (PartKind::Table, row_count) => match steps.next() {
                Some(Step::Index(row)) if row < row_count => row,
                _ => return Err(bad(format!("name a row first: [0] to [{}]", row_count.saturating_sub(1)))),
            },
            _ => 0,
        };
        let item = self.base.layout.item_of(part, row);
        let item = item.ok_or_else(|| bad(format!("there is no row {row}")))?;
        let mut found = Found { item, of, offset: 0 };
        for step in steps {
            match (step, found.of) {
                (Step::Field(name), Type::Struct(of)) => {
                    let Some(field) = of.fields.iter().find(|field| field.name == name) else {
                        let names: Vec<_> = of.fields.iter().map(|field| field.name.as_str()).collect();
                        let fact = format!("{} has no field `{name}`: it has {}", of.name, names.join(", "));
                        return Err(bad(fact));
                    };
                    found.offset += field.offset;
                    found.of = &field.of;
                }
                (Step::Index(index), Type::Array { element, count }) => {
                    if index >= *count {
                        let last = count.saturating_sub(1);
                        return Err(bad(format!("there is no [{index}]: [0] to [{last}]")));
                    }
                    found.offset += index * element.size_bytes();
                    found.of = element;
                }
                (Step::Field(name), of) => return Err(bad(format!("{of} has no field `{name}`"))),
                (Step::Index(index), of) => return Err(bad(format!("{of} is no array: no [{index}]"))),
            }
        }
        self.check_size(found.of, found.item.room_bytes, 1)?;
        Ok(found)
    }

    fn bad_path(&self, path: &str, fact: String) -> Error {
        Error::new("find", format!("`{path}` in {}", self.base.object()), ErrorKind::BadPath, fact)
    }
}

/// One step of a path.
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

fn steps(mut path: &str) -> std::result::Result<Vec<Step<'_>>, String> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('[') {
            let (index, rest) = rest.split_once(']').ok_or_else(|| format!("`{path}` has no `]`"))?;
            let index = index.parse().map_err(|_| format!("`{index}` is no index"))?;
            steps.push(Step::Index(index));
            path = rest;
        } else {
            let rest = path.strip_prefix('.').unwrap_or(path);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err("a field's name is missing".to_owned());
            }
            steps.push(Step::Field(&rest[..end]));
            path = &rest[end..];
        }
    }
    Ok(steps)
}
