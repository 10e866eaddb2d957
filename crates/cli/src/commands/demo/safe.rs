//! The same exchange in a region: each trade changes board and ledger in one transaction, and traders are killed
//! while they trade.
//!
//! Office, trades, storm and the audit of the books are those of the worked program `safe-exchange`.

use std::time::Duration;

use coseg_examples::storm::{self, Plan, Report, State};
use coseg_examples::{orders::NAMES, safe_office};
use schemars::JsonSchema;
use serde::Serialize;

use super::stage::Stage;
use super::tables::{Line, Picture};
use crate::failure::{Failure, Result};
use crate::output::{self, BAD, GOOD, grouped, paint};
use crate::stop::Stop;

/// The mean time between two kills.
pub(super) const KILL_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Row {
    currency: &'static str,
    sell: f64,
    buy: f64,
    stock_before: u64,
    units_traded: u64,
    stock_expected: i128,
    stock_actual: u64,
    units_lost: i128,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct SafeStorm {
    backend: &'static str,
    traders: usize,
    seconds: f64,
    trades: u64,
    refused_orders: u64,
    kills: u64,
    locks_recovered: u64,
    longest_wait_ms: f64,
    audits: u64,
    faults: Vec<String>,
    rows: Vec<Row>,
}

/// Lets `traders` processes trade for so long, kills and restarts them, and shows each state of affairs to `show`.
pub(super) fn play(
    stage: &mut Stage,
    stop: &Stop,
    traders: usize,
    duration: Duration,
    mut show: impl FnMut(Picture) -> Result<()>,
) -> Result<SafeStorm> {
    let office = stage.office(traders)?;
    // The storm carries errors of its own kind; ours wait here meanwhile.
    let mut failure = None;
    let report = storm::storm(
        &office,
        Plan { trader_count: traders, kill_every: KILL_EVERY, duration },
        |row_index| Ok(stage.safe_trader(&office, row_index)?.spawn()?),
        |state| {
            let shown = stop.check().and_then(|()| show(picture(stage.name, state)));
            shown.map_err(|error| {
                failure = Some(error);
                "stopped".into()
            })
        },
    );
    match (failure, report) {
        (Some(failure), _) => Err(failure),
        (None, Ok(report)) => Ok(SafeStorm::new(stage.name, traders, report)),
        (None, Err(error)) => Err(Failure::error(format!("demo: {error}"))),
    }
}

fn rows(state: &State) -> Vec<Row> {
    let row = |(index, currency): (usize, &'static str)| {
        let (before, now) = (&safe_office::OPENING[index], &state.books.board[index]);
        let stock_expected = state.books.expected_stock(index);
        Row {
            currency,
            sell: thousandths(now.sell),
            buy: thousandths(now.buy),
            stock_before: before.stock,
            units_traded: state.books.sum(|trader| trader.bought[index] + trader.sold[index]),
            stock_expected,
            stock_actual: now.stock,
            units_lost: stock_expected - i128::from(now.stock),
        }
    };
    NAMES.into_iter().enumerate().map(row).collect()
}

#[allow(clippy::cast_precision_loss, reason = "prices, far below 2^53")]
fn thousandths(number: u64) -> f64 {
    number as f64 / 1000.0
}

fn picture(backend: &'static str, state: &State) -> Picture {
    picture_of(
        backend,
        state.elapsed.as_secs_f64(),
        state.books.trade_count(),
        state.kill_count,
        &rows(state),
    )
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53, where doubles are exact")]
fn picture_of(backend: &'static str, seconds: f64, trades: u64, kills: u64, rows: &[Row]) -> Picture {
    let lines = rows.iter().map(|row| Line {
        currency: row.currency,
        sell: row.sell,
        buy: row.buy,
        stock: row.stock_before as f64,
        traded: row.units_traded,
        expected: row.stock_expected as f64,
        actual: row.stock_actual as f64,
        lost: row.units_lost as f64,
    });
    Picture {
        backend,
        kind: "safe",
        facts: format!(
            "{}, {}",
            trade_rate(trades, seconds),
            output::count(kills, "trader killed", "traders killed")
        ),
        seconds,
        lines: lines.collect(),
    }
}

/// `1,234,567 trades a second`
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people, far below 2^53"
)]
pub(super) fn trade_rate(trades: u64, seconds: f64) -> String {
    format!("{} trades a second", grouped((trades as f64 / seconds.max(0.001)) as u64))
}

impl SafeStorm {
    fn new(backend: &'static str, traders: usize, report: Report) -> SafeStorm {
        let Report { end, check_count, recovered_count, longest_wait, faults, .. } = report;
        SafeStorm {
            backend,
            traders,
            seconds: end.elapsed.as_secs_f64(),
            trades: end.books.trade_count(),
            refused_orders: end.books.sum(|trader| trader.refused_count),
            kills: end.kill_count,
            locks_recovered: recovered_count,
            longest_wait_ms: longest_wait.as_secs_f64() * 1000.0,
            audits: check_count + 1,
            faults,
            rows: rows(&end),
        }
    }

    pub(super) fn picture(&self) -> Picture {
        picture_of(self.backend, self.seconds, self.trades, self.kills, &self.rows)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// What was seen, in two lines, or the faults.
    pub(super) fn verdict(&self) -> Vec<String> {
        if !self.is_whole() {
            let words = |fault: &String| paint(BAD, format!("a fault of ours, please report it: {fault}"));
            return self.faults.iter().map(words).collect();
        }
        let killed = output::count(self.kills, "trader killed", "traders killed");
        let locks = output::count(self.locks_recovered, "lock recovered", "locks recovered");
        let wait = self.longest_wait_ms.ceil();
        vec![
            format!("{} {} trades, {killed},", paint(GOOD, "nothing lost:"), grouped(self.trades)),
            format!("{locks} from the dead, longest wait {wait:.0} ms"),
        ]
    }
}
