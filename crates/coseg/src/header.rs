//! The first bytes of a region: making them, so that nobody ever sees them half made, and believing them.

use std::sync::atomic::fence;

use crate::identity::{Identity, Life};
use crate::layout::{
    BYTE_ORDER, FORMAT, Layout, MAGIC, NAME_SIZE, PAGE, READY, REMOVED, SCHEMA_SIZE_MAX, at, checksum,
    header_checksum,
};
use crate::memory::{Memory, WORD};
use crate::os;
use crate::schema::{decode, encode};
use crate::sync::Ordering;
use crate::{Error, ErrorKind, Result};

/// How far a segment is on the way to be a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may be used.
    Ready,
    /// It was one, and is being removed.
    Removed,
    /// It is being made, or is new and empty; by whom.
    Unfinished(Identity),
    /// Something else is in it.
    Foreign,
}

/// What the header says, checked.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) layout: Layout,
}

/// Looks at the first words.
pub(crate) fn stage(memory: &Memory) -> Stage {
    if memory.size_bytes() < at::PARTICIPANTS {
        return Stage::Foreign;
    }
    let state = memory.half(at::STATE).load(Ordering::Acquire);
    let magic = memory.word(at::MAGIC).load(Ordering::Relaxed);
    let builder = Identity(memory.word(at::BUILDER).load(Ordering::Relaxed));
    match (magic, state) {
        (MAGIC, READY) => Stage::Ready,
        (MAGIC, REMOVED) => Stage::Removed,
        (MAGIC, _) => Stage::Unfinished(builder),
        // New segments are zero; a builder who died early has left his name at most.
        (0, 0) if is_zero_beyond_builder(memory) => Stage::Unfinished(builder),
        // It may have been begun between the looks.
        (0, 0) if memory.word(at::MAGIC).load(Ordering::Acquire) == MAGIC => Stage::Unfinished(builder),
        _ => Stage::Foreign,
    }
}

fn is_zero_beyond_builder(memory: &Memory) -> bool {
    (at::STATE..at::PARTICIPANTS).step_by(8).all(|offset| memory.word(offset).load(Ordering::Relaxed) == 0)
}

/// The mark of who makes a region: beyond any slot's.
const BUILDERS_MARK: u32 = 1 << 20;

/// Makes the calling process the one that makes the region, unless another who lives already is.
pub(crate) fn claim(memory: &Memory, builder: Identity, object: &str) -> Result<bool> {
    match (builder.life(), memory.mark(BUILDERS_MARK)?) {
        (_, Some(false)) | (Life::Alive | Life::Unknown, None) | (Life::Alive, Some(true)) => {
            return Ok(false);
        }
        (Life::Dead, None | Some(true)) | (Life::Unknown, Some(true)) => {}
    }
    let Some(own) = Identity::of_self() else {
        let fact = "/proc/self/stat does not tell when we started: mount /proc";
        return Err(Error::new("make", object, ErrorKind::NoIdentity, fact));
    };
    let word = memory.word(at::BUILDER);
    let claimed = word.compare_exchange(builder.0, own.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    // Since we looked, he may have finished and ended.
    Ok(claimed && matches!(stage(memory), Stage::Unfinished(_)))
}

/// Writes header and schema over what an earlier builder left. The contents are still to come, and then
/// [`publish`].
pub(crate) fn lay_out(memory: &Memory, layout: &Layout, name: &str, earlier: Identity) {
    memory.word(at::MAGIC).store(MAGIC, Ordering::Relaxed);
    fence(Ordering::Release);
    // A new segment is zero, and is not touched before it must be.
    if earlier != Identity::NOBODY {
        for offset in (at::STATE + 8..memory.size_bytes() / 8 * 8).step_by(8) {
            memory.word(offset).store(0, Ordering::Relaxed);
        }
    }
    let schema = encode(&layout.schema);
    memory.write(layout.schema_at, &schema);
    let set = |offset, value: u64| memory.word(offset).store(value, Ordering::Relaxed);
    memory.half(at::FORMAT).store(FORMAT, Ordering::Relaxed);
    memory.half(at::BYTE_ORDER).store(BYTE_ORDER, Ordering::Relaxed);
    memory.half(at::VALUE_ALIGNMENT).store(value_alignment(layout), Ordering::Relaxed);
    set(at::SIZE, layout.size_bytes as u64);
    set(at::SCHEMA, layout.schema_at as u64);
    set(at::SCHEMA_SIZE, schema.len() as u64);
    set(at::SCHEMA_CHECKSUM, checksum(&schema));
    set(at::PARTICIPANT_COUNT, layout.participant_count as u64);
    set(at::LOG_ENTRY_COUNT, layout.log_entry_count as u64);
    set(at::CREATED, os::unix_ns());
    let mut bytes = [0; NAME_SIZE];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    memory.write(at::NAME, &bytes);
    set(at::HEADER_CHECKSUM, header_checksum(memory));
}

/// The work of who claimed a segment. Dropped before [`Building::publish`], it says that he gave up.
#[derive(Debug)]
pub(crate) struct Building<'a>(pub(crate) &'a Memory);

impl Building<'_> {
    pub(crate) fn publish(self) {
        publish(self.0);
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        if matches!(stage(self.0), Stage::Unfinished(_)) {
            self.0.word(at::BUILDER).store(Identity::GAVE_UP.0, Ordering::Release);
        }
    }
}

/// Lets nobody else in.
pub(crate) fn close(memory: &Memory) {
    // A barrier as well, for those who ring after it.
    memory.half(at::STATE).swap(REMOVED, Ordering::SeqCst);
}

/// Lets others in. What was written before is seen by whoever sees this.
fn publish(memory: &Memory) {
    memory.half(at::STATE).store(READY, Ordering::Release);
}

/// Reads a header that [`stage`] found ready, and believes nothing unchecked.
pub(crate) fn read(memory: &Memory, object: &str) -> Result<Header> {
    let damaged = |fact: String| Error::new("open", object, ErrorKind::Damaged, fact);
    let half = |offset| memory.half(offset).load(Ordering::Relaxed);
    let byte_order = half(at::BYTE_ORDER);
    if byte_order == BYTE_ORDER.swap_bytes() {
        return Err(damaged(
            "it was made in the other byte order: convert it on a machine of its own kind".into(),
        ));
    }
    let format = half(at::FORMAT);
    if byte_order != BYTE_ORDER || format != FORMAT {
        let fact = format!("its format is {format}, this program knows {FORMAT}: use the coseg that made it");
        return Err(damaged(fact));
    }
    let get = |offset| {
        let value = memory.word(offset).load(Ordering::Relaxed);
        usize::try_from(value).map_err(|_| damaged(format!("the word at offset {offset} is too large")))
    };
    let recorded = memory.word(at::HEADER_CHECKSUM).load(Ordering::Relaxed);
    if header_checksum(memory) != recorded {
        return Err(damaged("its header's checksum is wrong: something wrote over it".into()));
    }
    let (schema_at, schema_size) = (get(at::SCHEMA)?, get(at::SCHEMA_SIZE)?);
    // Its last word is read whole, whatever the segment's size.
    let words = schema_size.checked_next_multiple_of(WORD);
    let end = words.and_then(|words| schema_at.checked_add(words));
    let inside = end.is_some_and(|end| end <= memory.size_bytes());
    if !inside || !schema_at.is_multiple_of(WORD) || schema_size > SCHEMA_SIZE_MAX {
        return Err(damaged(format!("its schema is said to be {schema_size} bytes at offset {schema_at}")));
    }
    let mut bytes = vec![0; schema_size];
    memory.read(schema_at, &mut bytes);
    if checksum(&bytes) != memory.word(at::SCHEMA_CHECKSUM).load(Ordering::Relaxed) {
        return Err(damaged("its schema's checksum is wrong: something wrote over it".into()));
    }
    let schema = decode(&bytes).map_err(|malformed| damaged(format!("its schema: {}", malformed.0)))?;
    let lay_out = if half(at::VALUE_ALIGNMENT) == 0 { Layout::new } else { Layout::guardable };
    let layout = lay_out(schema.clone(), get(at::PARTICIPANT_COUNT)?)
        .map_err(|_| damaged("its parts have no layout".into()))?;
    let agrees = layout.schema == schema
        && value_alignment(&layout) == half(at::VALUE_ALIGNMENT)
        && layout.schema_at == schema_at
        && layout.log_entry_count == get(at::LOG_ENTRY_COUNT)?
        && layout.size_bytes == get(at::SIZE)?;
    if !agrees {
        return Err(damaged("its parts are not where they belong".into()));
    }
    if layout.size_bytes > memory.size_bytes() {
        let fact = format!("it needs {} bytes, its segment has {}", layout.size_bytes, memory.size_bytes());
        return Err(damaged(fact));
    }
    Ok(Header { layout })
}

fn value_alignment(layout: &Layout) -> u32 {
    if layout.guardable.is_some() { u32::try_from(PAGE).expect("a page is small") } else { 0 }
}

/// The region's own name.
pub(crate) fn name(memory: &Memory) -> String {
    let mut bytes = [0; NAME_SIZE];
    memory.read(at::NAME, &mut bytes);
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// When the region was made, in nanoseconds since 1970.
pub(crate) fn created_unix_ns(memory: &Memory) -> u64 {
    memory.word(at::CREATED).load(Ordering::Relaxed)
}
