//! Standard output and error: data on the one, messages on the other, colors where they are wanted.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use rustix::event::{PollFd, PollFlags, Timespec};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Color;
use crate::failure::Result;

/// Version of every JSON document this tool prints. It grows when a field changes or goes, not when one comes.
pub(crate) const SCHEMA: u32 = 1;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

pub(crate) fn set_color(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Whether standard output shows colors, and so understands the terminal's commands.
pub(crate) fn shows_color() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Several words for a column of a table: one, where lines may be split at their blanks.
pub(crate) fn words(text: String) -> String {
    if is_terminal() { text } else { text.replace(' ', ":") }
}

/// Columns of the terminal on standard output.
pub(crate) fn terminal_width() -> u16 {
    terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| width.0)
}

pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Text with or without styles, written at once.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Bytes as they are, whatever is in them, and a line end.
pub(crate) fn print_raw(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// A document with the version of its fields.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Versioned<'a, T> {
    schema: u32,
    #[serde(flatten)]
    document: &'a T,
}

impl<'a, T> Versioned<'a, T> {
    pub(crate) fn new(document: &'a T) -> Versioned<'a, T> {
        Versioned { schema: SCHEMA, document }
    }
}

/// A document of this tool: `{"schema": 1, …}` and a line end.
pub(crate) fn print_json(document: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(&Versioned::new(document))
        .map_err(|error| io::Error::other(error.to_string()))?;
    text.push('\n');
    let text = for_whoever_reads(text);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// An error, on standard error. A closed one is nobody's loss.
pub(crate) fn complain(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{} {text}", paint(BAD, "coseg:"));
}

/// Something to know that is no error, on standard error.
pub(crate) fn note(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{} {text}", paint(DIM, "coseg:"));
}

/// Asks on the terminal; no terminal answers yes, as no one is there to ask.
pub(crate) fn confirm(question: &str) -> bool {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return true;
    }
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok_and(|_| matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// `1 segment`, `2 segments`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1,234,567`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One document on a line of its own, for programs that read one after the other. On a terminal, what would steer it
/// is spelled out, as JSON allows.
pub(crate) fn print_line(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(document).map_err(|error| io::Error::other(error.to_string()))?;
    print_raw(&for_whoever_reads(text))
}

/// JSON in which nothing steers a terminal. Its lines are its own: text has none.
fn for_whoever_reads(json: String) -> String {
    let is_to_be_escaped = |c: char| c != '\n' && steers(c);
    if !is_terminal() || !json.contains(is_to_be_escaped) {
        return json;
    }
    json.chars().map(|c| if is_to_be_escaped(c) { json_escape(c) } else { c.to_string() }).collect()
}

fn json_escape(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Whether whoever reads standard output has gone: a pipe without a reader.
pub(crate) fn reader_has_gone() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let polled = rustix::event::poll(&mut fds, Some(&Timespec::default()));
    polled.is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Other processes choose their names: what would steer the terminal is spelled out instead.
pub(crate) fn printable(text: &str) -> String {
    if !text.contains(steers) {
        return text.to_owned();
    }
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// What turns the direction of writing makes later text look like other text.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn what_steers_is_escaped_as_json_has_it() {
        assert_eq!(json_escape('\u{9b}'), "\\u009b");
        assert_eq!(json_escape('\u{202e}'), "\\u202e");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("bash"), "bash");
        assert_eq!(printable("\x1b[2Jhi"), "\\u{1b}[2Jhi");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable("käse"), "käse");
    }
}
