//! The table of an exchange, once at the end, or again and again where a terminal shows it.

use std::fmt::Write;
use std::time::Duration;

use crate::failure::Result;
use crate::output::{self, BAD, BOLD, DIM, GOOD, NAME, grouped, paint};

/// An exchange at some moment.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) backend: &'static str,
    pub(super) kind: &'static str,
    pub(super) facts: String,
    pub(super) seconds: f64,
    pub(super) lines: Vec<Line>,
}

/// A currency in it. All but the prices are whole units.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) currency: &'static str,
    pub(super) sell: f64,
    pub(super) buy: f64,
    pub(super) stock: f64,
    pub(super) traded: u64,
    pub(super) expected: f64,
    pub(super) actual: f64,
    pub(super) lost: f64,
}

impl Picture {
    pub(super) fn traded(&self) -> u64 {
        self.lines.iter().map(|line| line.traded).sum()
    }

    pub(super) fn lost(&self) -> f64 {
        self.lines.iter().map(|line| line.lost).sum()
    }
}

/// The table while it changes: each state is drawn over the last.
#[derive(Debug)]
pub(super) struct Live {
    wanted: bool,
    can_draw: bool,
    duration: Duration,
    drawn_lines: usize,
}

impl Live {
    pub(super) fn new(wanted: bool, duration: Duration) -> Live {
        // Without colors the terminal's commands are taken out too, the cursor's among them.
        let can_draw = output::is_terminal() && output::shows_color() && output::terminal_width() >= NARROW;
        Live { wanted, can_draw, duration, drawn_lines: 0 }
    }

    pub(super) fn show(&mut self, picture: &Picture) -> Result<()> {
        if !(self.wanted && self.can_draw) {
            return Ok(());
        }
        let mut text = self.back();
        let table = table(picture);
        text.push_str(&table.replace('\n', "\x1b[K\n"));
        let _ = writeln!(text, "   {}\x1b[K", bar(picture.seconds / self.duration.as_secs_f64(), 40));
        self.drawn_lines = table.lines().count() + 1;
        output::print(&text)
    }

    /// Puts the last state in the place of all before.
    pub(super) fn finish(&mut self, picture: &Picture) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let end = if self.drawn_lines == 0 { "" } else { "\x1b[J" };
        output::print(&format!("{}{end}{}", self.back(), table(picture)))
    }

    fn back(&self) -> String {
        if self.drawn_lines == 0 { String::new() } else { format!("\x1b[{}A", self.drawn_lines) }
    }
}

/// Columns that all of the table needs; a narrower terminal does without prices.
const WIDE: u16 = 112;
/// Columns without which the lines would wrap, and nothing could be drawn over them.
const NARROW: u16 = 80;

fn is_wide() -> bool {
    !output::is_terminal() || output::terminal_width() >= WIDE
}

pub(super) fn table(picture: &Picture) -> String {
    let mut text = format!(
        "\n   {} {} {}\n",
        paint(NAME, format!("{:<7}", picture.backend)),
        paint(BOLD, format!("{:<5}", picture.kind)),
        paint(DIM, format!("{:.1} s, {}", picture.seconds, picture.facts))
    );
    let _ = writeln!(
        text,
        "{}",
        paint(BOLD, line(["CURRENCY", "SELL", "BUY", "STOCK", "TRADED", "EXPECTED", "ACTUAL", "LOST"]))
    );
    for row in &picture.lines {
        let cells = [
            row.currency.to_owned(),
            format!("{:.3}", row.sell),
            format!("{:.3}", row.buy),
            whole(row.stock),
            grouped(row.traded),
            whole(row.expected),
            whole(row.actual),
            whole(row.lost),
        ];
        text.push_str(&with_share(&line(cells.each_ref().map(String::as_str)), row.lost, row.traded));
    }
    let (traded, lost) = (grouped(picture.traded()), whole(picture.lost()));
    let all = line(["all", "", "", "", &traded, "", "", &lost]);
    text.push_str(&with_share(&all, picture.lost(), picture.traded()));
    text
}

fn line([currency, sell, buy, stock, traded, expected, actual, lost]: [&str; 8]) -> String {
    let prices = if is_wide() { format!(" {sell:>7} {buy:>7}") } else { String::new() };
    format!("   {currency:<8}{prices} {stock:>7} {traded:>11} {expected:>11} {actual:>11} {lost:>11}")
}

/// The line, and how much of what was traded was lost: as a number and as a bar.
fn with_share(line: &str, lost: f64, traded: u64) -> String {
    let share = share(lost, traded);
    let style = if lost > 0.0 { BAD } else { GOOD };
    let cells = if is_wide() { 10 } else { 4 };
    format!("{line} {}\n", paint(style, format!("{:>5.1}% {}", share * 100.0, bar(share, cells).trim_end())))
}

#[allow(clippy::cast_precision_loss, reason = "a share, shown to a tenth of a percent")]
pub(super) fn share(lost: f64, traded: u64) -> f64 {
    if traded == 0 { 0.0 } else { lost / traded as f64 }
}

/// A double that holds a whole number, in groups of three digits.
pub(super) fn whole(number: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, far below 2^53")]
    let digits = grouped(number.abs() as u64);
    if number < 0.0 { format!("-{digits}") } else { digits }
}

/// A bar of `cells` characters, in eighths of one.
fn bar(share: f64, cells: usize) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped to a few hundred eighths"
    )]
    let eighths = (share.clamp(0.0, 1.0) * (cells * 8) as f64).round() as usize;
    let mut text = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        text.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8 - 1]);
    }
    let drawn = text.chars().count();
    text.extend(std::iter::repeat_n(' ', cells - drawn));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_one_width() {
        for share in [0.0, 0.01, 0.5, 0.99, 1.0, 7.0] {
            assert_eq!(bar(share, 10).chars().count(), 10, "{share}");
        }
        assert_eq!(bar(0.5, 2), "█ ");
    }

    #[test]
    fn whole_numbers_keep_their_sign() {
        assert_eq!(whole(12_345.0), "12,345");
        assert_eq!(whole(-3.0), "-3");
    }
}
