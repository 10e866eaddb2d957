//! The exchange's table, once at the end, or again and again where a terminal shows it.

use std::fmt::Write;
use std::time::Duration;

use super::exchange::Storm;
use crate::failure::Result;
use crate::output::{self, BAD, BOLD, DIM, GOOD, NAME, grouped, paint};

/// The table while it changes: each state is drawn over the last.
#[derive(Debug)]
pub(super) struct Live {
    is_on: bool,
    drawn_lines: usize,
}

impl Live {
    pub(super) fn new(wanted: bool) -> Live {
        // Without colors the terminal's commands are taken out too, the cursor's among them.
        let can_draw = output::is_terminal() && output::shows_color() && output::terminal_width() >= NARROW;
        Live { is_on: wanted && can_draw, drawn_lines: 0 }
    }

    pub(super) fn show(&mut self, storm: &Storm, duration: Duration) -> Result<()> {
        if !self.is_on {
            return Ok(());
        }
        let mut text = self.back();
        let table = self::storm(storm);
        text.push_str(&table.replace('\n', "\x1b[K\n"));
        let _ = writeln!(text, "   {}\x1b[K", bar(storm.seconds / duration.as_secs_f64(), 40));
        self.drawn_lines = table.lines().count() + 1;
        output::print(&text)
    }

    /// Takes it away again, for the final one.
    pub(super) fn erase(&mut self) -> Result<()> {
        let text = format!("{}\x1b[J", self.back());
        if self.drawn_lines == 0 { Ok(()) } else { output::print(&text) }
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

pub(super) fn storm(storm: &Storm) -> String {
    let per_second = whole(storm.trades() as f64 / storm.seconds.max(0.001));
    let mut text = format!(
        "\n   {} {}\n",
        paint(NAME, format!("{:<7}", storm.backend)),
        paint(DIM, format!("{:.1} s, {} trades a second", storm.seconds, per_second))
    );
    let _ = writeln!(
        text,
        "{}",
        paint(BOLD, line(["CURRENCY", "SELL", "BUY", "STOCK", "TRADES", "EXPECTED", "ACTUAL", "LOST"]))
    );
    for row in &storm.rows {
        let cells = [
            row.currency.to_owned(),
            format!("{:.3}", row.sell),
            format!("{:.3}", row.buy),
            whole(row.stock_before),
            grouped(row.trades),
            whole(row.stock_expected),
            whole(row.stock_actual),
            whole(row.lost_updates),
        ];
        text.push_str(&with_share(&line(cells.each_ref().map(String::as_str)), row.lost_updates, row.trades));
    }
    let (trades, lost) = (grouped(storm.trades()), whole(storm.lost()));
    let all = line(["all", "", "", "", &trades, "", "", &lost]);
    text.push_str(&with_share(&all, storm.lost(), storm.trades()));
    text
}

fn line([currency, sell, buy, stock, trades, expected, actual, lost]: [&str; 8]) -> String {
    let prices = if is_wide() { format!(" {sell:>7} {buy:>7}") } else { String::new() };
    format!("   {currency:<8}{prices} {stock:>7} {trades:>11} {expected:>11} {actual:>11} {lost:>11}")
}

/// The line, and how much of the trades was lost: as a number and as a bar.
fn with_share(line: &str, lost: f64, trades: u64) -> String {
    let share = share(lost, trades);
    let style = if lost > 0.0 { BAD } else { GOOD };
    let cells = if is_wide() { 10 } else { 4 };
    format!("{line} {}\n", paint(style, format!("{:>5.1}% {}", share * 100.0, bar(share, cells).trim_end())))
}

#[allow(clippy::cast_precision_loss, reason = "a share, shown to a tenth of a percent")]
fn share(lost: f64, trades: u64) -> f64 {
    if trades == 0 { 0.0 } else { lost / trades as f64 }
}

/// A double that holds a whole number, in groups of three digits.
fn whole(number: f64) -> String {
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

pub(super) fn lost_sentence(storm: &Storm) -> String {
    let name = format!("On the {} backend", storm.backend);
    let trades = grouped(storm.trades());
    if storm.lost() > 0.0 {
        let lost = paint(BAD, format!("{} were lost", whole(storm.lost())));
        format!("{name}, of {trades} trades {lost} ({:.1}%).", share(storm.lost(), storm.trades()) * 100.0)
    } else {
        format!(
            "{name}, none of {trades} trades was lost this time: luck, or a single processor, and no promise."
        )
    }
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
