//! An exchange office whose board all customers share.
//!
//! ```text
//! exchange init
//! printf 'buy EURO 10\nsell POUND 2\n' | exchange trade
//! exchange show
//! exchange close
//! ```
//!
//! A trade reads the board, computes, and writes the board back. Nobody else is kept out meanwhile, so of two
//! trades at one time one is lost: run several customers and count the stock.

use std::io::{self, Write};
use std::process::ExitCode;

use coseg_examples::cli::{Args, Outcome, run};
use coseg_examples::office::{Board, KEY, OPENING_BALANCE};
use coseg_examples::orders::{self, Order};
use coseg_sysv::{Attachment, Result, Segment};

const USAGE: &str = "usage: exchange [--backend kernel|user] init | trade | show | close";

fn main() -> ExitCode {
    run(USAGE, &[], program)
}

fn program(args: &Args) -> Outcome {
    let backend = args.backend()?;
    let office = Segment::options(KEY).size(Board::SIZE_BYTES);
    match args.words()[..] {
        ["init"] => {
            Board::OPENING.write(&office.create(&backend)?.attach()?)?;
            write!(io::stdout(), "{}", Board::OPENING)?;
        }
        ["trade"] => serve(&office.open(&backend)?.attach()?)?,
        ["show"] => {
            let board = Board::read(&office.open(&backend)?.attach_read_only()?)?;
            write!(io::stdout(), "{board}")?;
        }
        ["close"] => office.open(&backend)?.remove()?,
        _ => return args.misused(),
    }
    Ok(())
}

/// Serves one customer, whose orders come from standard input.
fn serve(memory: &Attachment) -> Outcome {
    let mut balance = OPENING_BALANCE;
    let skipped = orders::serve(|order| {
        let result = if trade(memory, order, &mut balance)? { 0 } else { -1 };
        Ok(result.to_string())
    })?;
    writeln!(io::stdout(), "balance {balance:.3}")?;
    skipped.check()
}

fn trade(memory: &Attachment, order: &Order<f64>, balance: &mut f64) -> Result<bool> {
    let mut board = Board::read(memory)?;
    let done = board.0[order.currency_index].trade(order, balance);
    if done {
        board.write(memory)?;
    }
    Ok(done)
}
