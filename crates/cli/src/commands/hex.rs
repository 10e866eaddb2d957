//! `coseg hex`: a segment's bytes for people.

use std::fmt::Write;
use std::ops::Range;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::read::hex_of;
use crate::args::Global;
use crate::contents::{CHUNK_BYTES, Contents};
use crate::extents::Extents;
use crate::failure::Result;
use crate::output::{self, DIM};
use crate::record::Origin;
use crate::selector::Selector;
use crate::span::Span;
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  $ echo 'milk, bread' | coseg write 0x4242; coseg hex 0x4242
  00000000  6d 69 6c 6b 2c 20 62 72  65 61 64 0a 00 00 00 00  │milk, bread_⋄⋄⋄⋄│
  00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  │⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄⋄│
  *
  00000400
  $ coseg hex 0x4242 --offset 6 --length 5 --width 8
  00000006  62 72 65 61 64           │bread   │
  0000000b
In the text ⋄ is a zero byte, _ white space, • other ASCII, and × anything else; on a terminal each class has its color. \
While a process is attached that you may look into, nothing is attached for this. Of the user backend that is never needed.";

/// Show a segment's bytes in hexadecimal and as text
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Hex {
    /// The segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    #[command(flatten)]
    span: Span,
    /// Bytes on a line
    #[arg(long, default_value = "16", value_name = "BYTES", value_parser = parse_width)]
    width: usize,
    /// Show lines that repeat the one before, for which one `*` stands otherwise
    #[arg(long)]
    no_squeezing: bool,
}

fn parse_width(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(width @ 1..=256) => Ok(width),
        _ => Err(format!("`{text}` is no number of bytes from 1 to 256")),
    }
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    offset_bytes: usize,
    length_bytes: usize,
    looked_through: &'static str,
    lines: Vec<Line>,
}

/// Bytes that stand beside each other, and how many lines like them follow.
#[derive(Debug, JsonSchema, Serialize)]
struct Line {
    offset_bytes: usize,
    bytes_hex: String,
    text: String,
    repeated: usize,
}

pub(crate) fn run(args: &Hex, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let span = args.span.within("hex", &stat)?;
    let contents = Contents::open(&view, &stat)?;
    if global.json {
        let mut lines: Vec<Line> = Vec::new();
        each_line(args, &contents, &span, |offset_bytes, run| {
            match (run, lines.last_mut()) {
                (Run::Repeated(count), Some(last)) => last.repeated += count,
                (Run::Repeated(_), None) => {}
                (Run::Bytes(bytes), _) => {
                    let (bytes_hex, text) = (hex_of(bytes), bytes.iter().map(|&byte| sign(byte)).collect());
                    lines.push(Line { offset_bytes, bytes_hex, text, repeated: 0 });
                }
            }
            Ok(())
        })?;
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id: stat.id.raw(),
            offset_bytes: span.start,
            length_bytes: span.len(),
            looked_through: contents.looked_through(),
            lines,
        })?;
    } else {
        print(args, &contents, &span)?;
    }
    contents.close()?;
    Ok(ExitCode::SUCCESS)
}

fn print(args: &Hex, contents: &Contents<'_>, span: &Range<usize>) -> Result<()> {
    let end = span.end;
    // Of one width, however far it goes.
    let digits = if end > 0xffff_ffff { 16 } else { 8 };
    let mut text = String::new();
    // Written to be taken out again, the colors would be most of the work.
    let color = if output::shows_color() { class } else { |_| Style::new() };
    let mut is_squeezing = false;
    each_line(args, contents, span, |offset, run| {
        match run {
            Run::Bytes(bytes) => write_line(&mut text, offset, digits, bytes, args.width, color),
            Run::Repeated(_) if !is_squeezing => text.push_str("*\n"),
            Run::Repeated(_) => {}
        }
        is_squeezing = matches!(run, Run::Repeated(_));
        if text.len() >= CHUNK_BYTES {
            output::print(&text)?;
            text.clear();
        }
        Ok(())
    })?;
    let _ = writeln!(text, "{}", output::paint(DIM, format!("{end:0digits$x}")));
    output::print(&text)
}

/// What stands at an offset.
enum Run<'a> {
    Bytes(&'a [u8]),
    /// So many lines like the last one.
    Repeated(usize),
}

/// Goes through the lines of the bytes asked for. Holes are not read.
fn each_line(
    args: &Hex,
    contents: &Contents<'_>,
    span: &Range<usize>,
    mut line: impl FnMut(usize, Run<'_>) -> Result<()>,
) -> Result<()> {
    let extents = contents.extents();
    let width = args.width;
    let mut chunk = vec![0; CHUNK_BYTES / width * width];
    let mut last: Option<Vec<u8>> = None;
    let (mut at, end) = (span.start, span.end);
    while at < end {
        let is_zero = |bytes: &Vec<u8>| bytes.iter().all(|&byte| byte == 0);
        if !args.no_squeezing && last.as_ref().is_some_and(is_zero) {
            let skipped = whole_lines(&extents, at, end, width);
            if skipped > 0 {
                line(at, Run::Repeated(skipped))?;
                at += skipped * width;
                continue;
            }
        }
        let part = &mut chunk[..(end - at).min(CHUNK_BYTES / width * width)];
        contents.read_written(&extents, at, part)?;
        for bytes in part.chunks(width) {
            if !args.no_squeezing && last.as_deref() == Some(bytes) {
                line(at, Run::Repeated(1))?;
            } else {
                line(at, Run::Bytes(bytes))?;
                let last = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(bytes);
            }
            at += bytes.len();
        }
    }
    Ok(())
}

/// How many lines from an offset on lie in a hole.
fn whole_lines(extents: &Extents, at: usize, end: usize, width: usize) -> usize {
    let next = extents.next(at as u64).and_then(|next| usize::try_from(next).ok());
    (next.unwrap_or(end).min(end) - at) / width
}

fn write_line(
    text: &mut String,
    offset: usize,
    digits: usize,
    bytes: &[u8],
    width: usize,
    color: fn(u8) -> Style,
) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{} ", output::paint(DIM, format!("{offset:0digits$x}")));
    let mut painted = Painted::default();
    for column in 0..width {
        let gap = if column > 0 && column % 8 == 0 { "  " } else { " " };
        painted.set(text, bytes.get(column).map_or(Style::new(), |&byte| color(byte)));
        text.push_str(gap);
        match bytes.get(column) {
            Some(byte) => text.extend([byte >> 4, byte & 0xf].map(digit)),
            None => text.push_str("  "),
        }
    }
    painted.set(text, Style::new());
    text.push_str("  │");
    for column in 0..width {
        painted.set(text, bytes.get(column).map_or(Style::new(), |&byte| color(byte)));
        text.push(bytes.get(column).map_or(' ', |&byte| sign(byte)));
    }
    painted.set(text, Style::new());
    text.push_str("│\n");
}

fn digit(number: u8) -> char {
    char::from_digit(number.into(), 16).unwrap_or_default()
}

/// Styles are written where they change only: a byte is two letters, its color eight.
#[derive(Default)]
struct Painted(Style);

impl Painted {
    fn set(&mut self, text: &mut String, style: Style) {
        if style != self.0 {
            let _ = write!(text, "{:#}{style}", self.0);
            self.0 = style;
        }
    }
}

/// The color of a byte's class.
fn class(byte: u8) -> Style {
    match byte {
        0 => DIM,
        _ if is_space(byte) => AnsiColor::Green.on_default(),
        0x21..=0x7e => AnsiColor::Cyan.on_default(),
        0x01..=0x7f => AnsiColor::Magenta.on_default(),
        0x80.. => AnsiColor::Yellow.on_default(),
    }
}

/// What a byte is in the text.
fn sign(byte: u8) -> char {
    match byte {
        0 => '⋄',
        b' ' => ' ',
        _ if is_space(byte) => '_',
        0x21..=0x7e => char::from(byte),
        0x01..=0x7f => '•',
        0x80.. => '×',
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_offset_bytes_and_text() {
        let mut text = String::new();
        write_line(&mut text, 0x10, 8, b"a\0\n\x7f\xff", 10, class);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "00000010  61 00 0a 7f ff                  │a⋄_•×     │\n");
    }

    #[test]
    fn colors_change_with_the_class_only() {
        let mut text = String::new();
        write_line(&mut text, 0, 8, b"abcdabcd", 8, class);
        assert_eq!(text.matches(&class(b'a').to_string()).count(), 2, "{text:?}");
    }

    #[test]
    fn holes_are_counted_in_lines() {
        let extents = Extents::whole(100);
        assert_eq!(whole_lines(&extents, 96, 200, 16), 0);
        assert_eq!(whole_lines(&extents, 112, 200, 16), 5);
    }
}
