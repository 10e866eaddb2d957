//! What was on a terminal's screen, from moment to moment.

use std::num::NonZero;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Outputs that are closer than this are of one drawing.
const BREATH: Duration = Duration::from_millis(30);

/// As a terminal tells it to its screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Look {
    /// Of the first 16; none is the screen's own.
    pub(super) color: Option<u8>,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) inverse: bool,
}

/// Neighbours that look the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) column: u16,
    pub(super) width: u16,
    pub(super) text: String,
    pub(super) look: Look,
}

pub(super) type Row = Vec<Run>;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) at: Duration,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Film {
    pub(super) frames: Vec<Frame>,
    pub(super) length: Duration,
    pub(super) rows: u16,
    pub(super) columns: u16,
}

impl Film {
    /// From what script(1) wrote: the output, and for each piece of it a pause and a length.
    pub(super) fn of(output: &[u8], timing: &str, rows: u16, columns: u16) -> Result<Film> {
        // It notes what it ran on a line of its own.
        let start = output.iter().position(|&byte| byte == b'\n').context("no first line")? + 1;
        let mut rest = &output[start..];
        let size = (NonZero::new(rows), NonZero::new(columns));
        let (Some(height), Some(width)) = size else { bail!("a screen has rows and columns") };
        let mut parser = vt100::Parser::new(height, width, 0);
        let (mut now, mut frames): (Duration, Vec<Frame>) = (Duration::ZERO, Vec::new());
        for line in timing.lines() {
            let (pause, length) = line.split_once(' ').with_context(|| format!("timing: {line}"))?;
            let pause = Duration::try_from_secs_f64(pause.parse()?)?;
            let (piece, others) =
                rest.split_at_checked(length.parse()?).context("more timing than output")?;
            rest = others;
            if pause >= BREATH {
                push(&mut frames, now, parser.screen());
            }
            now += pause;
            parser.process(piece);
        }
        frames.retain(|frame| frame.rows.iter().any(|row| !row.is_empty()));
        let Some(first) = frames.first().map(|frame| frame.at) else { bail!("nothing was drawn") };
        frames.iter_mut().for_each(|frame| frame.at -= first);
        Ok(Film { frames, length: now - first, rows, columns })
    }

    /// Fails if one of these was never to be seen.
    pub(super) fn has_all(&self, texts: &[&str]) -> Result<()> {
        for text in texts {
            let is_in = |row: &Row| row.iter().map(|run| &*run.text).collect::<String>().contains(text);
            if !self.frames.iter().any(|frame| frame.rows.iter().any(is_in)) {
                bail!("{text} was never on the screen");
            }
        }
        Ok(())
    }
}

/// A frame, unless nothing has changed.
fn push(frames: &mut Vec<Frame>, at: Duration, screen: &vt100::Screen) {
    if !screen.alternate_screen() {
        return;
    }
    let rows: Vec<Row> = (0..screen.size().0.get()).map(|row| runs(screen, row)).collect();
    if frames.last().is_none_or(|last| last.rows != rows) {
        frames.push(Frame { at, rows });
    }
}

fn runs(screen: &vt100::Screen, row: u16) -> Row {
    let mut runs: Row = Vec::new();
    for column in 0..screen.size().1.get() {
        let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation()) else {
            continue;
        };
        let look = Look {
            color: match cell.fgcolor() {
                vt100::Color::Idx(color) => Some(color),
                _ => None,
            },
            bold: cell.bold(),
            dim: cell.dim(),
            inverse: cell.inverse(),
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let width = if cell.is_wide() { 2 } else { 1 };
        match runs.last_mut() {
            Some(run) if run.look == look => {
                run.text.push_str(text);
                run.width += width;
            }
            _ => runs.push(Run { column, width, text: text.to_owned(), look }),
        }
    }
    runs.retain(|run| run.look.inverse || !run.text.trim().is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_between_two_breaths_are_a_frame() {
        let pieces = ["\x1b[?1049h\x1b[1mone", " two", "\x1b[2J\x1b[H\x1b[0;31mthree", "\x1b[?1049l"];
        let timing = format!("0.5 {}\n0.001 {}\n1.0 {}\n2.0 {}\n", pieces[0].len(), 4, pieces[2].len(), 8);
        let film =
            Film::of(format!("Script started\n{}", pieces.concat()).as_bytes(), &timing, 2, 20).unwrap();
        let told: Vec<_> =
            film.frames.iter().map(|frame| (frame.at.as_millis(), frame.rows[0].clone())).collect();
        let run = |width, text: &str, look| vec![Run { column: 0, width, text: text.to_owned(), look }];
        let bold = Look { bold: true, ..Look::default() };
        let red = Look { color: Some(1), ..Look::default() };
        assert_eq!(told, [(0, run(7, "one two", bold)), (1000, run(5, "three", red))]);
        assert!(film.has_all(&["two", "three"]).is_ok() && film.has_all(&["four"]).is_err());
    }
}
