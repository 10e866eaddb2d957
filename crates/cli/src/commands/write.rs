//! `coseg write`: standard input into a segment, all of it or nothing.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Args;
use coseg_sysv::Attachment;
use schemars::JsonSchema;
use serde::Serialize;

use super::read::progress_bar;
use crate::args::Global;
use crate::contents::CHUNK_BYTES;
use crate::failure::{Failure, Result};
use crate::output;
use crate::record::Origin;
use crate::selector::Selector;
use crate::size;
use crate::view::{View, named, title};

const EXAMPLES: &str = "\
Examples:
  coseg write 0x4242 < file
  echo hello | coseg write 0x4242
  printf '*' | coseg write key:5678 --offset 0
Input that does not fit is refused before the first byte is written. Bytes behind the input stay as \
they are; so does the size.";

/// Copy standard input into a segment
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Write {
    /// The segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// Start here
    #[arg(long, default_value = "0", value_name = "BYTES", value_parser = size::parse_usize)]
    offset: usize,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    offset_bytes: usize,
    written_bytes: usize,
}

pub(crate) fn run(args: &Write, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let memory = view.segment(&stat).attach().map_err(named(&stat))?;
    let room = memory.size_bytes().checked_sub(args.offset).ok_or_else(|| {
        Failure::error(format!(
            "write {}: ERANGE: offset {} lies outside a segment of {}",
            title(&stat),
            args.offset,
            size::sentence(memory.size_bytes() as u64)
        ))
    })?;
    let too_long = |input: String| {
        let room = match args.offset {
            0 => format!("the segment has {}", size::sentence(room as u64)),
            offset => format!(
                "the segment has {} and so {} from offset {offset}",
                size::sentence(memory.size_bytes() as u64),
                size::sentence(room as u64)
            ),
        };
        let text =
            format!("write {}: ERANGE: the input has {input}, {room}; nothing was written", title(&stat));
        Failure::error(text).hint("head -c to cut the input, or coseg create with a larger --size")
    };
    let mut input = io::stdin().lock();
    let written_bytes = match file_length(&input) {
        Some(length) if length > room as u64 => return Err(too_long(size::sentence(length))),
        // Only so much as was measured: the file may grow meanwhile.
        Some(length) => stream(&memory, args.offset, &mut input.take(length), length)?,
        None => {
            if io::stdin().is_terminal() {
                output::note("type what to write; Ctrl-D ends it");
            }
            let mut bytes = Vec::new();
            input.by_ref().take(room as u64 + 1).read_to_end(&mut bytes).map_err(input_failed)?;
            if bytes.len() > room {
                return Err(too_long(format!("at least {}", size::sentence(bytes.len() as u64))));
            }
            stream(&memory, args.offset, &mut bytes.as_slice(), bytes.len() as u64)?
        }
    };
    memory.detach()?;
    if global.json {
        let (id, offset_bytes) = (stat.id.raw(), args.offset);
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id,
            offset_bytes,
            written_bytes,
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is left to read, where standard input is a file that knows.
fn file_length(input: &impl AsFd) -> Option<u64> {
    let mut file = File::from(input.as_fd().try_clone_to_owned().ok()?);
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    // Files of /proc and /sys say zero and have something to tell.
    (meta.len() > 0).then_some(meta.len().saturating_sub(file.stream_position().ok()?))
}

fn stream(memory: &Attachment, offset: usize, input: &mut dyn Read, length: u64) -> Result<usize> {
    let progress = progress_bar(length, "write");
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut written = 0;
    loop {
        let length = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(input_failed(error)),
        };
        memory.write(offset + written, &chunk[..length])?;
        written += length;
        progress.inc(length as u64);
    }
    progress.finish_and_clear();
    Ok(written)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn input_failed(error: io::Error) -> Failure {
    Failure::error(format!("read standard input: {}", crate::failure::io_text(&error)))
}
