//! The safe exchange office: a board and a ledger in one region, and trades that change both or neither.
//!
//! Amounts are whole numbers. Money is counted in thousandths, for then every price of the tutorial is whole, and
//! the books can be asked to balance to the unit.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coseg::{Cell, Counter, Event, Key, Region, RegionOptions, Row, Rows, Settled, Shared, Table, Text};
use coseg_sysv::Backend;

use crate::books::KeepsBooks;
use crate::cli::{Advised, Outcome};
use crate::orders::{NAMES, Order, Side};

/// The office's key.
pub const KEY: Key = Key::new(0x4558);

/// What a customer brings: 1000.000.
pub const OPENING_BALANCE: u64 = 1_000_000;

/// Rows of the ledger.
pub const TRADERS_MAX: usize = 64;

/// One line of the board.
#[derive(Shared, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Currency {
    /// What a customer gets for one unit.
    #[shared(unit = "1/1000")]
    pub sell: u64,
    /// What a customer pays for one unit.
    #[shared(unit = "1/1000")]
    pub buy: u64,
    /// Units of it.
    pub stock: u64,
}

/// The board of all currencies.
pub type Board = [Currency; NAMES.len()];

/// The board an office opens with.
pub const OPENING: Board = [
    Currency { sell: 13_720, buy: 13_400, stock: 10_000 },
    Currency { sell: 19_500, buy: 18_920, stock: 20_000 },
    Currency { sell: 24_551, buy: 24_552, stock: 10_000 },
    Currency { sell: 33_240, buy: 33_250, stock: 5_000 },
];

/// A customer's row in the ledger: enough to work out the balance again, and what it did to every stock.
#[derive(Shared, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Trader {
    /// Who it is; empty for a row that nobody has taken.
    pub name: Text<24>,
    /// What the sequence of orders grows from; 0 for one who thinks.
    pub seed: u64,
    /// What there is to spend.
    #[shared(unit = "1/1000")]
    pub balance: u64,
    /// What all that was bought has cost.
    #[shared(unit = "1/1000")]
    pub spent: u64,
    /// What all that was sold has brought.
    #[shared(unit = "1/1000")]
    pub earned: u64,
    /// Units bought of each currency.
    pub bought: [u64; NAMES.len()],
    /// Units sold of each currency.
    pub sold: [u64; NAMES.len()],
    /// Orders given.
    pub order_count: u64,
    /// How many of them were refused.
    pub refused_count: u64,
    /// Locks taken over from the dead.
    pub recovered_count: u64,
    /// How many of those had died between committing a trade and showing it.
    pub completed_count: u64,
    /// The longest that the office's lock was waited for.
    #[shared(unit = "us")]
    pub longest_wait_us: u64,
}

/// All of an office: one segment, and one transaction over its parts.
#[derive(Region, Debug)]
pub struct Office {
    /// Prices and stocks.
    pub board: Cell<Board>,
    /// Who traded what.
    pub ledger: Table<Trader, TRADERS_MAX>,
    /// Trades done. Counted after each, so that one who is killed in between leaves one uncounted.
    pub trades: Counter,
    /// The office closes.
    pub closing: Event,
}

impl KeepsBooks for Office {
    fn board(&self) -> &Cell<Board> {
        &self.board
    }

    fn ledger(&self) -> &Table<Trader, TRADERS_MAX> {
        &self.ledger
    }
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It costs more than the balance.
    Balance {
        /// What it costs; `None` for more than can be counted.
        cost: Option<u64>,
        /// What there is.
        balance: u64,
    },
    /// It is more than the stock.
    Stock(u64),
    /// What it brings, or the stock it makes, is more than can be counted.
    TooLarge,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Balance { cost: Some(cost), balance } => {
                write!(f, "it costs {}, the balance is {}", Money(cost), Money(balance))
            }
            Refusal::Stock(stock) => write!(f, "the stock is {stock}"),
            Refusal::Balance { cost: None, .. } | Refusal::TooLarge => f.write_str("too large to count"),
        }
    }
}

/// Thousandths, shown with a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money(pub u64);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:03}", self.0 / 1000, self.0 % 1000))
    }
}

impl Trader {
    /// A new customer.
    pub fn new(name: &str, seed: u64) -> Trader {
        Trader { name: name.into(), seed, balance: OPENING_BALANCE, ..Trader::default() }
    }

    /// Whether nobody has taken this row.
    pub fn is_nobody(&self) -> bool {
        self.name == Text::EMPTY
    }

    /// Orders that were carried out.
    pub fn trade_count(&self) -> u64 {
        self.order_count.saturating_sub(self.refused_count)
    }

    /// What the office gained of a currency by this customer: by the tutorial's rule, what was bought less what
    /// was sold.
    pub fn given(&self, currency_index: usize) -> i128 {
        i128::from(self.bought[currency_index]) - i128::from(self.sold[currency_index])
    }

    /// Carries out an order: one who buys pays, and the stock *rises*; one who sells is paid, and it falls. That
    /// is the tutorial's arithmetic. Refused, it changes nothing but the counts.
    ///
    /// # Errors
    /// The balance or the stock does not cover it.
    pub fn carry_out(&mut self, board: &mut Board, order: &Order<u64>) -> Result<(), Refusal> {
        self.order_count += 1;
        let result = self.exchange(&mut board[order.currency_index], order);
        self.refused_count += u64::from(result.is_err());
        result
    }

    fn exchange(&mut self, currency: &mut Currency, order: &Order<u64>) -> Result<(), Refusal> {
        let Order { side, currency_index, amount } = *order;
        match side {
            Side::Buy => {
                let cost = currency.buy.checked_mul(amount);
                let (Some(cost), balance) = (cost.filter(|&cost| cost <= self.balance), self.balance) else {
                    return Err(Refusal::Balance { cost, balance: self.balance });
                };
                let stock = currency.stock.checked_add(amount).ok_or(Refusal::TooLarge)?;
                (self.balance, currency.stock) = (balance - cost, stock);
                self.spent += cost;
                self.bought[currency_index] += amount;
            }
            Side::Sell => {
                let stock = currency.stock.checked_sub(amount).ok_or(Refusal::Stock(currency.stock))?;
                let price = currency.sell.checked_mul(amount).ok_or(Refusal::TooLarge)?;
                let balance = self.balance.checked_add(price).ok_or(Refusal::TooLarge)?;
                (self.balance, currency.stock) = (balance, stock);
                self.earned += price;
                self.sold[currency_index] += amount;
            }
        }
        Ok(())
    }

    /// The next order of one with a seed. It depends on the own row alone and sells only what was bought, so that
    /// what the others do has no influence: the row can be worked out again from the seed and the count.
    pub fn next_order(&self) -> Order<u64> {
        let random = mixed(self.seed.wrapping_add(self.order_count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let currency_index = below(random, NAMES.len());
        let amount = 1 + (random >> 8) % 9;
        let has = self.bought[currency_index] - self.sold[currency_index];
        match has {
            0 => Order { side: Side::Buy, currency_index, amount },
            _ if random >> 63 == 0 => Order { side: Side::Buy, currency_index, amount },
            _ => Order { side: Side::Sell, currency_index, amount: amount.min(has) },
        }
    }
}

/// Spreads a number over all 64 bits.
pub(crate) fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// An index below `count`.
pub(crate) fn below(random: u64, count: usize) -> usize {
    usize::try_from(random % count as u64).unwrap_or(0)
}

/// What an office starts as.
pub fn opening(traders: Vec<Trader>) -> OfficeInitial {
    OfficeInitial { board: OPENING, ledger: Rows(traders), ..OfficeInitial::default() }
}

/// How an office is made: with a full ledger's traders there is still room for those who watch.
pub fn options(backend: &Arc<dyn Backend>, key: Key) -> RegionOptions<Office> {
    Region::at(key).backend(backend).name("exchange").participants(2 * TRADERS_MAX)
}

/// Opens the office that `init` has made.
///
/// # Errors
/// There is none, or it cannot be joined.
pub fn open(backend: &Arc<dyn Backend>, key: Key, name: &str) -> Outcome<Region<Office>> {
    let office = Region::<Office>::at(key).backend(backend).participant(name).open();
    Ok(office.map_err(Advised::of("`safe-exchange init` opens an office"))?)
}

/// One order in one transaction: board and row change together or not at all, whoever is killed, and nobody is
/// told of a trade that is lost.
///
/// # Errors
/// Those of [`Region::transaction`].
pub fn trade(
    office: &Region<Office>,
    row: &Row<'_, Trader>,
    order: impl FnOnce(&Trader) -> Order<u64>,
) -> coseg::Result<Result<(), Refusal>> {
    let asked = Instant::now();
    let result = office.transaction(|change| {
        let waited = asked.elapsed();
        let (mut board, mut own) = (change.get(&office.board), change.get(row));
        let order = order(&own);
        let result = own.carry_out(&mut board, &order);
        own.note(waited, office);
        if result.is_ok() {
            change.set(&office.board, board)?;
        }
        change.set(row, own)?;
        Ok::<_, coseg::Error>(result)
    })?;
    if result.is_ok() {
        office.trades.add(1)?;
    }
    Ok(result)
}

impl Trader {
    /// Notes what it took to get the lock.
    fn note(&mut self, waited: Duration, office: &Region<Office>) {
        let waited_us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.longest_wait_us = self.longest_wait_us.max(waited_us);
        let (recovered_count, completed_count) = recoveries_of(office);
        self.recovered_count += recovered_count;
        self.completed_count += completed_count;
    }
}

/// How many locks this process has taken over from the dead since it was asked last, and how many of those had
/// committed their trade.
pub(crate) fn recoveries_of(office: &Region<Office>) -> (u64, u64) {
    let recoveries = office.take_recoveries();
    let completed = recoveries.iter().filter(|recovery| matches!(recovery.settled, Settled::Completed(_)));
    (recoveries.len() as u64, completed.count() as u64)
}

/// The row of the customer with this name, who may be new.
///
/// # Errors
/// All rows are taken. And those of [`Region::transaction`].
pub fn welcome<'a, O: KeepsBooks>(office: &'a Region<O>, name: &str) -> Outcome<Row<'a, Trader>> {
    if name.is_empty() {
        return Err("welcome a customer: the name is empty: give another".into());
    }
    let Some(name) = Text::fitting(name) else {
        let fact = format!("the name has {} bytes, there is room for 24: give a shorter one", name.len());
        return Err(format!("welcome customer `{name}`: {fact}").into());
    };
    office.transaction(|change| {
        let mut rows = office.ledger().rows();
        let row = rows.find(|row| {
            let trader = change.get(row);
            trader.name == name || trader.is_nobody()
        });
        let Some(row) = row else {
            let fact = format!("all {TRADERS_MAX} rows of the ledger are taken: trade as one who has a row");
            return Err(format!("welcome customer `{name}`: {fact}").into());
        };
        if change.get(&row).is_nobody() {
            change.set(&row, Trader { name, ..Trader::new("", 0) })?;
        }
        Ok(row)
    })
}
