//! The raw exchange office: its currencies, and its board in a segment.

use std::fmt;
use std::mem::offset_of;

use coseg_sysv::{Attachment, Key, Result};

use crate::bytes::{double_at, put_double};
use crate::orders::{NAMES, Order, Side};

/// The office's key.
pub const KEY: Key = Key::new(0x4557);

/// What a customer brings.
pub const OPENING_BALANCE: f64 = 1000.0;

/// C's `struct Currency { double sell, buy; double stock; }`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Currency {
    /// What a customer gets for one unit.
    pub sell: f64,
    /// What a customer pays for one unit.
    pub buy: f64,
    /// Units of it.
    pub stock: f64,
}

const _: () = assert!(size_of::<Currency>() == 24 && offset_of!(Currency, stock) == 16);

impl Currency {
    /// Carries out an order: a customer who buys pays, and the stock *rises*; one who sells is paid, and it
    /// falls. That is the tutorial's arithmetic. `false`, and nothing changed, where the balance or the stock
    /// does not cover it.
    pub fn trade(&mut self, order: &Order<f64>, balance: &mut f64) -> bool {
        match order.side {
            Side::Buy if *balance < order.amount * self.buy => return false,
            Side::Sell if self.stock < order.amount => return false,
            Side::Buy => {
                *balance -= order.amount * self.buy;
                self.stock += order.amount;
            }
            Side::Sell => {
                *balance += order.amount * self.sell;
                self.stock -= order.amount;
            }
        }
        true
    }
}

/// The whole table, as it lies in the segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Board(pub [Currency; NAMES.len()]);

impl Board {
    /// Size of the board in a segment, in bytes.
    pub const SIZE_BYTES: usize = size_of::<Currency>() * NAMES.len();

    /// The board an office opens with.
    pub const OPENING: Board = Board([
        Currency { sell: 13.72, buy: 13.40, stock: 10000.0 },
        Currency { sell: 19.50, buy: 18.92, stock: 20000.0 },
        Currency { sell: 24.551, buy: 24.552, stock: 10000.0 },
        Currency { sell: 33.24, buy: 33.25, stock: 5000.0 },
    ]);

    /// Copies the board out of a segment.
    ///
    /// # Errors
    /// `ERANGE`: the segment is too small.
    pub fn read(memory: &Attachment) -> Result<Board> {
        let mut bytes = [0; Board::SIZE_BYTES];
        memory.read(0, &mut bytes)?;
        let mut board = Board([Currency::default(); NAMES.len()]);
        for (currency, bytes) in board.0.iter_mut().zip(bytes.chunks_exact(size_of::<Currency>())) {
            currency.sell = double_at(bytes, offset_of!(Currency, sell));
            currency.buy = double_at(bytes, offset_of!(Currency, buy));
            currency.stock = double_at(bytes, offset_of!(Currency, stock));
        }
        Ok(board)
    }

    /// Copies the board into a segment.
    ///
    /// # Errors
    /// `ERANGE`: the segment is too small. `EACCES`: attached read-only.
    pub fn write(&self, memory: &Attachment) -> Result<()> {
        let mut bytes = [0; Board::SIZE_BYTES];
        for (currency, bytes) in self.0.iter().zip(bytes.chunks_exact_mut(size_of::<Currency>())) {
            put_double(bytes, offset_of!(Currency, sell), currency.sell);
            put_double(bytes, offset_of!(Currency, buy), currency.buy);
            put_double(bytes, offset_of!(Currency, stock), currency.stock);
        }
        memory.write(0, &bytes)
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8} {:>10} {:>10} {:>12}", "currency", "sell", "buy", "stock")?;
        for (name, currency) in NAMES.iter().zip(&self.0) {
            let Currency { sell, buy, stock } = currency;
            writeln!(f, "{name:<8} {sell:>10.3} {buy:>10.3} {stock:>12.3}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office_and_order(line: &str) -> (Currency, Order<f64>) {
        let order: Order<f64> = line.parse().unwrap();
        (Board::OPENING.0[order.currency_index], order)
    }

    #[test]
    fn buying_costs_balance_and_raises_the_stock() {
        let (mut euro, order) = office_and_order("buy EURO 10");
        let mut balance = 200.0;
        assert!(euro.trade(&order, &mut balance));
        assert!((balance - 10.8).abs() < 1e-9);
        assert_eq!(euro.stock, 20010.0);
        assert!(!euro.trade(&order, &mut balance), "10.8 does not pay for ten");
        assert_eq!(euro.stock, 20010.0);
    }

    #[test]
    fn selling_pays_and_stops_at_an_empty_stock() {
        let (mut pound, order) = office_and_order("sell POUND 5000");
        let mut balance = 0.0;
        assert!(pound.trade(&order, &mut balance));
        assert_eq!((pound.stock, balance), (0.0, 166_200.0));
        assert!(!pound.trade(&order, &mut balance));
        assert_eq!((pound.stock, balance), (0.0, 166_200.0));
    }
}
