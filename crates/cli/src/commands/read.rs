//! `coseg read`: a segment's bytes on standard output.

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;

use clap::Args;
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::contents::{CHUNK_BYTES, Contents};
use crate::failure::{Failure, Result};
use crate::output;
use crate::record::Origin;
use crate::selector::Selector;
use crate::span::Span;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg read 0x4242 > file
  coseg read 0x4242 --offset 16 --length 8 | od -t f8
  coseg read 0x4242 | hexdump -C
Other processes may write while this reads: what arrives is each 8 bytes as they were then, or each byte where they are \
not read through an attachment. While a process is attached that you may look into, nothing is attached for this. Of the \
user backend that is never needed.";

/// From here on a terminal gets a progress bar.
const PROGRESS_BYTES: u64 = 64 << 20;
/// More than this of text nobody wants on a terminal either.
const TERMINAL_BYTES: usize = 1 << 20;

/// Copy a segment's bytes to standard output
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Read {
    /// The segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    #[command(flatten)]
    span: Span,
    /// Send binary data to the terminal too
    #[arg(long)]
    force: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    offset_bytes: usize,
    length_bytes: usize,
    looked_through: &'static str,
    bytes_hex: String,
}

pub(crate) fn run(args: &Read, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let span = args.span.within("read", &stat)?;
    let contents = Contents::open(&view, &stat)?;
    if global.json {
        let mut bytes = vec![0; span.len()];
        contents.read_written(&contents.extents(), span.start, &mut bytes)?;
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id: stat.id.raw(),
            offset_bytes: span.start,
            length_bytes: span.len(),
            looked_through: contents.looked_through(),
            bytes_hex: hex_of(&bytes),
        })?;
    } else if output::is_terminal() && !args.force {
        to_terminal(&contents, &span, &stat)?;
    } else {
        copy(&contents, &span)?;
    }
    contents.close()?;
    Ok(ExitCode::SUCCESS)
}

/// `6d696c6b`
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn copy(contents: &Contents<'_>, span: &Range<usize>) -> Result<()> {
    let progress = progress_bar(span.len() as u64, "read");
    let extents = contents.extents();
    let mut out = io::stdout().lock();
    let mut chunk = vec![0; CHUNK_BYTES.min(span.len())];
    let mut at = span.start;
    while at < span.end {
        let part = &mut chunk[..CHUNK_BYTES.min(span.end - at)];
        contents.read_written(&extents, at, part)?;
        out.write_all(part)?;
        at += part.len();
        progress.inc(part.len() as u64);
    }
    out.flush()?;
    progress.finish_and_clear();
    Ok(())
}

pub(crate) fn progress_bar(length: u64, verb: &'static str) -> indicatif::ProgressBar {
    if length <= PROGRESS_BYTES {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(length).with_prefix(verb);
    match indicatif::ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")
    {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Text goes through, with the zeros after it counted instead of sent; anything else is refused.
fn to_terminal(contents: &Contents<'_>, span: &Range<usize>, stat: &Stat) -> Result<()> {
    let length = span.len();
    let mut bytes = vec![0; length.min(TERMINAL_BYTES)];
    contents.read_written(&contents.extents(), span.start, &mut bytes)?;
    let text_length = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let is_long = length > TERMINAL_BYTES;
    if is_long || !is_text(&bytes[..text_length]) {
        let what =
            if is_long { "too much for a terminal" } else { "binary data, which a terminal would obey" };
        let length = output::count(length as u64, "byte", "bytes");
        return Err(Failure::error(format!("read {}: {length} of {what}", title(stat)))
            .hint(format!("coseg read id:{} | hexdump -C, or > FILE, or --force", stat.id)));
    }
    let mut out = io::stdout().lock();
    out.write_all(&bytes[..text_length])?;
    if bytes[..text_length].last().is_some_and(|&byte| byte != b'\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    if text_length < length {
        let zeros = output::count((length - text_length) as u64, "zero byte", "zero bytes");
        output::note(&format!("and {zeros}, not sent to the terminal"));
    }
    Ok(())
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_what_steers_a_terminal() {
        assert!(is_text("käse\n\tx".as_bytes()));
        assert!(!is_text(b"\x1b[2J"));
        assert!(!is_text(b"\xff\xfe"));
        assert!(!is_text(b"a\0b"));
    }
}
