//! A currency exchange as the textbooks build it: a struct per currency in raw shared memory, and several
//! processes that read, change and write its stock without a lock.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0, 24, 48, 72 | 24 each | `struct Currency { double sell, buy, stock; }` |
//! | 128 | 8 | whether trade is open: 0 not yet, 1 now, 2 no more |
//! | 256 + 64 × slot | 40 | a trader's own book: 1 once it is there, then its trades in each currency |

use std::time::{Duration, Instant};

use coseg_sysv::Attachment;
use schemars::JsonSchema;
use serde::Serialize;

use super::child::wait_until;
use super::safe::trade_rate;
use super::stage::{Actor, Stage};
use super::tables::{Line, Picture, share, whole};
use crate::failure::{Failure, Result};
use crate::output::{BAD, grouped, paint};
use crate::stop::Stop;

struct Currency {
    name: &'static str,
    sell: f64,
    buy: f64,
    stock: f64,
}

const CURRENCIES: [Currency; 4] = [
    Currency { name: "DOLLAR", sell: 13.72, buy: 13.40, stock: 10_000.0 },
    Currency { name: "EURO", sell: 19.50, buy: 18.92, stock: 20_000.0 },
    Currency { name: "STERLIN", sell: 24.551, buy: 24.552, stock: 10_000.0 },
    Currency { name: "POUND", sell: 33.24, buy: 33.25, stock: 5_000.0 },
];

const CURRENCY_BYTES: usize = 24;
const STOCK: usize = 16;
const STATE: usize = 128;
const BOOKS: usize = 256;
const BOOK_BYTES: usize = 64;

const OPEN: u64 = 1;
const CLOSED: u64 = 2;

/// Trades between two looks at the state.
const TRADES_PER_LOOK: usize = 32;

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Row {
    pub(super) currency: &'static str,
    pub(super) sell: f64,
    pub(super) buy: f64,
    pub(super) stock_before: f64,
    pub(super) trades: u64,
    pub(super) stock_expected: f64,
    pub(super) stock_actual: f64,
    pub(super) lost_updates: f64,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Storm {
    pub(super) backend: &'static str,
    pub(super) traders: usize,
    pub(super) seconds: f64,
    pub(super) rows: Vec<Row>,
}

impl Storm {
    pub(super) fn backend(&self) -> &'static str {
        self.backend
    }

    fn trades(&self) -> u64 {
        self.rows.iter().map(|row| row.trades).sum()
    }

    pub(super) fn lost(&self) -> f64 {
        self.rows.iter().map(|row| row.lost_updates).sum()
    }

    pub(super) fn picture(&self) -> Picture {
        // Each trade is of one unit.
        let lines = self.rows.iter().map(|row| Line {
            currency: row.currency,
            sell: row.sell,
            buy: row.buy,
            stock: row.stock_before,
            traded: row.trades,
            expected: row.stock_expected,
            actual: row.stock_actual,
            lost: row.lost_updates,
        });
        Picture {
            backend: self.backend,
            kind: "raw",
            facts: format!("{}, nobody killed", trade_rate(self.trades(), self.seconds)),
            seconds: self.seconds,
            lines: lines.collect(),
        }
    }

    /// What was seen, in a line.
    pub(super) fn verdict(&self) -> String {
        let (lost, trades) = (self.lost(), self.trades());
        if lost > 0.0 {
            let words = paint(BAD, format!("{} units lost", whole(lost)));
            format!("{words} of {} traded ({:.1}%)", grouped(trades), share(lost, trades) * 100.0)
        } else {
            format!(
                "none of {} units lost this time: luck, or a single processor, and no promise",
                grouped(trades)
            )
        }
    }
}

fn read_number(memory: &Attachment, offset: usize) -> Result<u64> {
    let mut bytes = [0; 8];
    memory.read(offset, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn write_number(memory: &Attachment, offset: usize, number: u64) -> Result<()> {
    Ok(memory.write(offset, &number.to_ne_bytes())?)
}

fn read_double(memory: &Attachment, offset: usize) -> Result<f64> {
    read_number(memory, offset).map(f64::from_bits)
}

fn write_double(memory: &Attachment, offset: usize, double: f64) -> Result<()> {
    write_number(memory, offset, double.to_bits())
}

/// A trader's part: adds one to a stock, again and again, and notes each in a book that nobody else writes.
pub(super) fn trade(memory: &Attachment, slot: usize) -> Result<()> {
    let book = BOOKS + slot * BOOK_BYTES;
    write_number(memory, book, 1)?;
    wait_until(memory, |memory| Ok(read_number(memory, STATE)? != 0))?;
    let mut trades = [0_u64; CURRENCIES.len()];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(slot as u64 + 1);
    while read_number(memory, STATE)? == OPEN {
        for _ in 0..TRADES_PER_LOOK {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let currency = (random >> 32) as usize % CURRENCIES.len();
            let stock = currency * CURRENCY_BYTES + STOCK;
            let seen = read_double(memory, stock)?;
            // Whatever another process writes to this stock between these two lines is lost.
            write_double(memory, stock, seen + 1.0)?;
            trades[currency] += 1;
            write_number(memory, book + 8 + currency * 8, trades[currency])?;
        }
    }
    Ok(())
}

/// Lets `traders` processes trade for so long, and shows each state of affairs to `show`.
pub(super) fn play(
    stage: &mut Stage,
    stop: &Stop,
    traders: usize,
    duration: Duration,
    mut show: impl FnMut(&Storm) -> Result<()>,
) -> Result<Storm> {
    let (id, memory) = stage.segment(BOOKS + traders * BOOK_BYTES)?;
    for (index, currency) in CURRENCIES.iter().enumerate() {
        for (field, value) in [currency.sell, currency.buy, currency.stock].into_iter().enumerate() {
            write_double(&memory, index * CURRENCY_BYTES + field * 8, value)?;
        }
    }
    let actors = (0..traders).map(|slot| stage.child("trader", id, slot)).collect::<Result<Vec<Actor>>>()?;
    wait_until(&memory, |memory| {
        stop.check()?;
        let mut all_here = true;
        for slot in 0..traders {
            all_here &= read_number(memory, BOOKS + slot * BOOK_BYTES)? == 1;
        }
        Ok(all_here)
    })?;
    write_number(&memory, STATE, OPEN)?;
    let start = Instant::now();
    while start.elapsed() < duration {
        stop.check()?;
        std::thread::sleep(Duration::from_millis(80).min(duration.saturating_sub(start.elapsed())));
        show(&state(stage.name, &memory, traders, start.elapsed())?)?;
    }
    write_number(&memory, STATE, CLOSED)?;
    let elapsed = start.elapsed();
    for actor in actors {
        actor.join()?;
    }
    // Only now does every book agree with what its trader wrote.
    let storm = state(stage.name, &memory, traders, elapsed)?;
    memory.detach()?;
    if storm.trades() == 0 {
        return Err(Failure::error("demo: the traders made no trade"));
    }
    Ok(storm)
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53, where doubles are exact")]
fn state(backend: &'static str, memory: &Attachment, traders: usize, elapsed: Duration) -> Result<Storm> {
    let mut rows = Vec::new();
    for (index, currency) in CURRENCIES.iter().enumerate() {
        // The stock first: a trade made meanwhile then shows as lost, for a moment, and never as invented.
        let stock_actual = read_double(memory, index * CURRENCY_BYTES + STOCK)?;
        let mut trades = 0;
        for slot in 0..traders {
            trades += read_number(memory, BOOKS + slot * BOOK_BYTES + 8 + index * 8)?;
        }
        let stock_expected = currency.stock + trades as f64;
        rows.push(Row {
            currency: currency.name,
            sell: currency.sell,
            buy: currency.buy,
            stock_before: currency.stock,
            trades,
            stock_expected,
            stock_actual,
            lost_updates: stock_expected - stock_actual,
        });
    }
    Ok(Storm { backend, traders, seconds: elapsed.as_secs_f64(), rows })
}
