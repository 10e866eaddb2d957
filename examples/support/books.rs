//! The office's books: copied as they were at one moment, and checked to the unit.

use std::fmt::Write;

use coseg::{Cell, Contents, Region, Table};

use crate::orders::NAMES;
use crate::safe_office::{Board, Money, OPENING, OPENING_BALANCE, TRADERS_MAX, Trader};

/// A region with a board and a ledger.
pub trait KeepsBooks: Contents<Parts = Self> {
    /// Prices and stocks.
    fn board(&self) -> &Cell<Board>;
    /// Who traded what.
    fn ledger(&self) -> &Table<Trader, TRADERS_MAX>;
}

/// Board and ledger of one moment.
#[derive(Clone, Debug)]
pub struct Books {
    /// The board.
    pub board: Board,
    /// The rows that are taken, and their numbers.
    pub rows: Vec<(usize, Trader)>,
}

impl Books {
    /// Copies the books while others trade.
    ///
    /// # Errors
    /// Those of [`Region::snapshot`].
    pub fn copy<O: KeepsBooks>(office: &Region<O>) -> coseg::Result<Books> {
        office.snapshot(|moment| {
            let board = moment.get(office.board())?;
            let mut rows = Vec::new();
            for row in office.ledger().rows() {
                let trader = moment.get(&row)?;
                if !trader.is_nobody() {
                    rows.push((row.index(), trader));
                }
            }
            Ok(Books { board, rows })
        })
    }

    /// What the stock of a currency has to be: what the office opened with, and what each customer gave.
    pub fn expected_stock(&self, currency_index: usize) -> i128 {
        let given: i128 = self.rows.iter().map(|(_, trader)| trader.given(currency_index)).sum();
        i128::from(OPENING[currency_index].stock) + given
    }

    /// Trades that each customer has done, added up.
    pub fn trade_count(&self) -> u64 {
        self.sum(Trader::trade_count)
    }

    /// A number of all customers, added up.
    pub fn sum(&self, of: impl Fn(&Trader) -> u64) -> u64 {
        self.rows.iter().map(|(_, trader)| of(trader)).sum()
    }

    /// What does not balance: a line for each stock that is not the opening plus the ledger, and for each row whose
    /// balance does not follow from its trades. Empty, as it should be.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, name) in NAMES.iter().enumerate() {
            let (stock, expected) = (i128::from(self.board[index].stock), self.expected_stock(index));
            if stock != expected {
                let (opening, given) = (OPENING[index].stock, expected - i128::from(OPENING[index].stock));
                faults.push(format!("{name}: stock {stock} is not opening {opening} + ledger {given}"));
            }
        }
        for (number, trader) in &self.rows {
            if let Some(fault) = trader.fault() {
                faults.push(format!("row {number}, {}: {fault}", trader.name));
            }
        }
        faults
    }

    /// As [`Books::faults`], and each row of a seeded customer is worked out again from its seed and its count.
    pub fn faults_in_replay(&self) -> Vec<String> {
        let mut faults = self.faults();
        for (number, trader) in self.rows.iter().filter(|(_, trader)| trader.seed != 0) {
            let replay = trader.replay();
            if replay != *trader {
                let fact = format!("{trader:?} is not what its orders give: {replay:?}");
                faults.push(format!("row {number}: {fact}"));
            }
        }
        faults
    }

    /// `stock 45012 = opening 45000 + ledger 12`, of all currencies together.
    pub fn equation(&self) -> String {
        let stock: u64 = self.board.iter().map(|currency| currency.stock).sum();
        let opening: u64 = OPENING.iter().map(|currency| currency.stock).sum();
        let given: i128 =
            (0..NAMES.len()).map(|index| self.expected_stock(index)).sum::<i128>() - i128::from(opening);
        let sign = if given < 0 { '-' } else { '+' };
        format!("stock {stock} = opening {opening} {sign} ledger {}", given.unsigned_abs())
    }

    /// Board and ledger as a table, of at most so many customers.
    pub fn table(&self, rows_max: usize) -> String {
        let mut text = format!("{:<8} {:>10} {:>10} {:>12}\n", "currency", "sell", "buy", "stock");
        for (name, currency) in NAMES.iter().zip(&self.board) {
            let (sell, buy) = (Money(currency.sell), Money(currency.buy));
            let _ = writeln!(text, "{name:<8} {sell:>10} {buy:>10} {:>12}", currency.stock);
        }
        if self.rows.is_empty() {
            return text;
        }
        let _ = write!(text, "\n{:<12} {:>12} {:>10}", "customer", "balance", "trades");
        for name in NAMES {
            let _ = write!(text, " {name:>9}");
        }
        text.push('\n');
        for (_, trader) in self.rows.iter().take(rows_max) {
            let (balance, trades) = (Money(trader.balance), trader.trade_count());
            let _ = write!(text, "{:<12} {balance:>12} {trades:>10}", trader.name);
            for index in 0..NAMES.len() {
                let _ = write!(text, " {:>9}", trader.given(index));
            }
            text.push('\n');
        }
        if self.rows.len() > rows_max {
            let _ = writeln!(text, "and {} more", self.rows.len() - rows_max);
        }
        text
    }
}

impl Trader {
    /// What does not follow from the trades.
    fn fault(&self) -> Option<String> {
        let cost_of = |amounts: &[u64; NAMES.len()], price: fn(usize) -> u64| -> u128 {
            amounts.iter().enumerate().map(|(i, &amount)| u128::from(amount) * u128::from(price(i))).sum()
        };
        let spent = cost_of(&self.bought, |index| OPENING[index].buy);
        let earned = cost_of(&self.sold, |index| OPENING[index].sell);
        let balance = (u128::from(OPENING_BALANCE) + earned).checked_sub(spent);
        let is_right = u128::from(self.spent) == spent
            && u128::from(self.earned) == earned
            && Some(u128::from(self.balance)) == balance;
        (!is_right).then(|| {
            let (balance, start) = (Money(self.balance), Money(OPENING_BALANCE));
            let (paid, got) = (Money(self.spent), Money(self.earned));
            format!("balance {balance} is not {start} - {paid} + {got}, or these are not its trades")
        })
    }

    /// The row that this one's seed and count give.
    fn replay(&self) -> Trader {
        let mut replay = Trader { name: self.name, ..Trader::new("", self.seed) };
        // Nobody else's trades matter to a seeded customer, so any board with room will do.
        let mut board = OPENING;
        while replay.order_count < self.order_count {
            let order = replay.next_order();
            let _ = replay.carry_out(&mut board, &order);
        }
        // These tell what happened to the process, not to its books.
        let Trader { recovered_count, completed_count, longest_wait_us, .. } = *self;
        Trader { recovered_count, completed_count, longest_wait_us, ..replay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(order_count: u64) -> Books {
        let mut books = Books { board: OPENING, rows: Vec::new() };
        for number in 0..3 {
            let mut trader = Trader::new(&format!("trader {number}"), number as u64 + 1);
            for _ in 0..order_count {
                let order = trader.next_order();
                let _ = trader.carry_out(&mut books.board, &order);
            }
            books.rows.push((number, trader));
        }
        books
    }

    #[test]
    fn books_of_honest_traders_balance() {
        for order_count in [0, 1, 10, 1000] {
            assert_eq!(books(order_count).faults_in_replay(), [""; 0], "{order_count}");
        }
    }

    #[test]
    fn sequences_differ_and_meet_every_rule() {
        let books = books(1000);
        assert_ne!(books.rows[0].1.balance, books.rows[1].1.balance);
        for (_, trader) in &books.rows {
            assert!(trader.refused_count > 0 && trader.sold.iter().all(|&sold| sold > 0), "{trader:?}");
        }
    }

    #[test]
    fn whatever_is_lost_is_found() {
        let whole = books(100);
        let ways: [fn(&mut Books); 7] = [
            |books| books.board[2].stock -= 1,
            |books| books.rows[0].1.bought[1] += 1,
            |books| books.rows[1].1.balance += 1,
            |books| books.rows[2].1.earned -= 1,
            |books| books.rows[0].1.order_count -= 1,
            |books| books.rows[0].1.refused_count += 1,
            |books| {
                books.rows.pop();
            },
        ];
        for (way, spoil) in ways.iter().enumerate() {
            let mut books = whole.clone();
            spoil(&mut books);
            assert_ne!(books.faults_in_replay(), [""; 0], "way {way}");
        }
    }
}
