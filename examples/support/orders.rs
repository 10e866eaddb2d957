//! What customers of the exchange want: `buy EURO 10`, a line each.

use std::fmt;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use crate::cli::Outcome;

/// The currencies' names, in the order of the board.
pub const NAMES: [&str; 4] = ["DOLLAR", "EURO", "STERLIN", "POUND"];

/// What a customer wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Get units, pay balance.
    Buy,
    /// Give units, get balance.
    Sell,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        })
    }
}

/// How much of a currency: `f64` as the tutorials have it, or whole units.
pub trait Amount: Copy {
    /// What may be written for one.
    const RULE: &str;

    /// An amount above zero.
    fn parse(text: &str) -> Option<Self>;

    /// As answers repeat it.
    fn show(self) -> String;
}

impl Amount for f64 {
    const RULE: &str = "an amount above zero";

    /// Digits and a point: what C and Rust read alike, and nothing negative, infinite or not a number.
    fn parse(text: &str) -> Option<f64> {
        if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        text.parse().ok().filter(|amount: &f64| *amount > 0.0 && amount.is_finite())
    }

    fn show(self) -> String {
        format!("{self:.3}")
    }
}

impl Amount for u64 {
    const RULE: &str = "a whole number above zero";

    fn parse(text: &str) -> Option<u64> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().filter(|&amount| amount > 0)
    }

    fn show(self) -> String {
        self.to_string()
    }
}

/// One line of a customer's: `buy EURO 10`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order<A> {
    /// Which way.
    pub side: Side,
    /// Index in [`NAMES`] and on the board.
    pub currency_index: usize,
    /// Units, above zero.
    pub amount: A,
}

impl<A: Amount> fmt::Display for Order<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.side, NAMES[self.currency_index], self.amount.show())
    }
}

impl<A: Amount> FromStr for Order<A> {
    type Err = String;

    fn from_str(line: &str) -> Result<Order<A>, String> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [side, currency, amount] = words[..] else {
            return Err("expected: buy|sell CURRENCY AMOUNT".to_owned());
        };
        let side = match side {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(format!("`{side}`: buy or sell")),
        };
        let currency_index = NAMES
            .iter()
            .position(|&name| name == currency)
            .ok_or_else(|| format!("no currency `{currency}`"))?;
        let amount = A::parse(amount).ok_or_else(|| format!("`{amount}`: {}", A::RULE))?;
        Ok(Order { side, currency_index, amount })
    }
}

/// Lines that were no orders.
#[derive(Debug)]
#[must_use = "a program that skipped lines has failed"]
pub struct Skipped(usize);

impl Skipped {
    /// # Errors
    /// There were some.
    pub fn check(self) -> Outcome {
        if self.0 > 0 { Err(format!("lines skipped: {}", self.0).into()) } else { Ok(()) }
    }
}

/// Serves one customer, whose orders come from standard input; `carry_out` has the answer to each.
///
/// # Errors
/// Those of `carry_out` and of the two streams.
pub fn serve<A: Amount>(mut carry_out: impl FnMut(&Order<A>) -> Outcome<String>) -> Outcome<Skipped> {
    let mut out = io::stdout().lock();
    let mut skipped = Skipped(0);
    for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match String::from_utf8_lossy(&line).parse::<Order<A>>() {
            Ok(order) => writeln!(out, "{order}: {}", carry_out(&order)?)?,
            Err(reason) => {
                eprintln!("line {}: {reason}", index + 1);
                skipped.0 += 1;
            }
        }
    }
    Ok(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_orders_are_refused() {
        for line in [
            "",
            "buy EURO",
            "buy EURO 1 2",
            "keep EURO 1",
            "buy FRANC 1",
            "buy EURO -1",
            "buy EURO +1",
            "buy EURO 0",
            "buy EURO nan",
            "buy EURO 1e400",
        ] {
            assert!(line.parse::<Order<f64>>().is_err(), "{line}");
            assert!(line.parse::<Order<u64>>().is_err(), "{line}");
        }
        let too_much = format!("buy EURO {}", "9".repeat(400));
        assert!(too_much.parse::<Order<f64>>().is_err());
        assert!(too_much.parse::<Order<u64>>().is_err());
        assert!("buy EURO 1.5".parse::<Order<f64>>().is_ok());
        assert!("buy EURO 1.5".parse::<Order<u64>>().is_err());
    }

    #[test]
    fn an_order_is_repeated_as_it_was_understood() {
        assert_eq!("buy  EURO 10".parse::<Order<f64>>().unwrap().to_string(), "buy EURO 10.000");
        assert_eq!("sell POUND 010".parse::<Order<u64>>().unwrap().to_string(), "sell POUND 10");
    }
}
