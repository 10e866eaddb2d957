//! The exchange's table, once at the end, or again and again where a terminal shows it.

use std::fmt::Write;
use std::time::Duration;

use super::exchange::{Row, Storm};
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
        Live { is_on: wanted && output::is_terminal() && output::shows_color(), drawn_lines: 0 }
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

pub(super) fn storm(storm: &Storm) -> String {
    let per_second = whole(storm.trades() as f64 / storm.seconds.max(0.001));
    let mut text = format!(
        "\n   {} {}\n",
        paint(NAME, format!("{:<7}", storm.backend)),
        paint(DIM, format!("{:.1} s, {} trades a second", storm.seconds, per_second))
    );
    let header = format!(
        "   {:<8} {:>7} {:>7} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "CURRENCY", "SELL", "BUY", "STOCK", "TRADES", "EXPECTED", "ACTUAL", "LOST"
    );
    let _ = writeln!(text, "{}", paint(BOLD, header));
    for row in &storm.rows {
        let _ = writeln!(text, "{}", currency(row));
    }
    let _ = writeln!(
        text,
        "   {:<8} {:>26} {:>12} {:>25} {}",
        "all",
        "",
        grouped(storm.trades()),
        "",
        lost(storm.lost(), storm.trades())
    );
    text
}

fn currency(row: &Row) -> String {
    format!(
        "   {:<8} {:>7.3} {:>7.3} {:>10} {:>12} {:>12} {:>12} {}",
        row.currency,
        row.sell,
        row.buy,
        whole(row.stock_before),
        grouped(row.trades),
        whole(row.stock_expected),
        whole(row.stock_actual),
        lost(row.lost_updates, row.trades)
    )
}

fn lost(lost: f64, trades: u64) -> String {
    let share = share(lost, trades);
    let style = if lost > 0.0 { BAD } else { GOOD };
    paint(style, format!("{:>12} {:>5.1}% {}", whole(lost), share * 100.0, bar(share, 10).trim_end()))
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
