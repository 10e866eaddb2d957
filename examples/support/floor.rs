//! An exchange office with desks: customers send orders into a queue, desks carry them out, and all who want to hear
//! the new prices.
//!
//! A desk receives an order in the same transaction in which it changes the books: killed at any moment, it leaves an
//! order that is done and out of the queue, or one that another desk receives. A customer who was killed may send an
//! order again, for it cannot know whether it had been sent; orders are numbered, and the books say which is the next.

use std::sync::Arc;
use std::time::Duration;

use coseg::{
    Broadcast, Cell, Channel, DropOldest, ErrorKind, Event, Key, Queue, Receiver, Refusal, Region,
    RegionOptions, Row, Rows, Sender, Shared, Table, Text,
};
use coseg_sysv::Backend;

use crate::books::KeepsBooks;
use crate::cli::{Advised, Outcome};
use crate::orders::{NAMES, Order};
use crate::safe_office::{self, Board, OPENING, TRADERS_MAX, Trader};

/// The office's key.
pub const KEY: Key = Key::new(0x4445);

/// Orders that wait at most.
pub const ORDERS_MAX: usize = 64;

/// Between two looks whether the office closes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a customer sends.
#[derive(Shared, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Request {
    /// The customer's row in the ledger.
    pub row: u32,
    /// Which of the customer's orders it is, from 1 on; 0: carry it out in any case.
    pub number: u64,
    /// `buy` or `sell`.
    pub side: Text<4>,
    /// The currency's name.
    pub currency: Text<8>,
    /// Units of it.
    pub amount: u64,
}

/// A line of the board, after an order changed it.
#[derive(Shared, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Quote {
    /// Its name.
    pub currency: Text<8>,
    /// What a customer gets for one unit.
    #[shared(unit = "1/1000")]
    pub sell: u64,
    /// What a customer pays for one unit.
    #[shared(unit = "1/1000")]
    pub buy: u64,
    /// Units of it.
    pub stock: u64,
}

/// What became of orders that changed no row.
#[derive(Shared, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tally {
    /// Orders that another desk had held when it died.
    pub taken_over: u64,
    /// Orders that had been carried out already.
    pub repeated: u64,
    /// Requests that were no orders.
    pub nonsense: u64,
}

/// All of an office with desks.
#[derive(Region, Debug)]
pub struct Floor {
    /// Prices and stocks.
    pub board: Cell<Board>,
    /// Who traded what.
    pub ledger: Table<Trader, TRADERS_MAX>,
    /// What became of other orders.
    pub tally: Cell<Tally>,
    /// What customers want.
    pub orders: Channel<Request, Queue<ORDERS_MAX>>,
    /// Each line of the board that was changed. Who is slow loses the oldest.
    pub quotes: Channel<Quote, Broadcast<64, DropOldest>>,
    /// Customers are to go.
    pub closing: Event,
}

impl KeepsBooks for Floor {
    fn board(&self) -> &Cell<Board> {
        &self.board
    }

    fn ledger(&self) -> &Table<Trader, TRADERS_MAX> {
        &self.ledger
    }
}

/// The desk's end of the orders.
pub type Orders = Receiver<Request, Queue<ORDERS_MAX>>;
/// A customer's end of the orders.
pub type Requests = Sender<Request, Queue<ORDERS_MAX>>;

/// What a desk did with one request.
#[derive(Clone, Debug)]
pub enum Served {
    /// It was carried out, or refused.
    Order(Order<u64>, Result<Quote, safe_office::Refusal>),
    /// It had been carried out already.
    Repeated,
    /// It is no order.
    Nonsense(String),
}

impl Request {
    /// The request for an order.
    pub fn new(row: usize, number: u64, order: &Order<u64>) -> Request {
        Request {
            row: u32::try_from(row).unwrap_or(u32::MAX),
            number,
            side: Text::fitting(&order.side.to_string()).unwrap_or_default(),
            currency: NAMES[order.currency_index].into(),
            amount: order.amount,
        }
    }

    fn order(&self) -> Result<Order<u64>, String> {
        format!("{} {} {}", self.side, self.currency, self.amount).parse()
    }
}

/// What an office with these customers starts as.
pub fn opening(traders: Vec<Trader>) -> FloorInitial {
    FloorInitial { board: OPENING, ledger: Rows(traders), ..FloorInitial::default() }
}

/// How an office is made: with a full ledger's customers there is still room for desks and those who watch.
pub fn options(backend: &Arc<dyn Backend>, key: Key) -> RegionOptions<Floor> {
    Region::at(key).backend(backend).name("floor").participants(2 * TRADERS_MAX)
}

/// Opens the office that `init` has made.
///
/// # Errors
/// There is none, or it cannot be joined.
pub fn open(backend: &Arc<dyn Backend>, key: Key, name: &str) -> Outcome<Region<Floor>> {
    let office = Region::<Floor>::at(key).backend(backend).participant(name).open();
    Ok(office.map_err(Advised::of("`desk-exchange init` opens an office"))?)
}

/// Whether somebody is there to carry out orders.
pub fn has_desk(office: &Region<Floor>) -> bool {
    office.orders.receivers().iter().any(|desk| desk.alive != Some(false))
}

/// Receives the next request, if there is one, and does what it says: both, or neither.
///
/// # Errors
/// Those of [`Region::transaction`].
pub fn serve_one(office: &Region<Floor>, orders: &mut Orders) -> coseg::Result<Option<Served>> {
    office.transaction(|change| {
        let Some(request) = change.receive(orders)? else { return Ok(None) };
        if orders.is_redelivered() {
            change.update(&office.tally, |tally| tally.taken_over += 1)?;
        }
        let (row, order) = match (office.ledger.row(request.row as usize), request.order()) {
            (Ok(row), Ok(order)) => (row, order),
            (row, order) => {
                change.update(&office.tally, |tally| tally.nonsense += 1)?;
                let fact = order.err().or(row.err().map(|error| error.to_string()));
                return Ok(Some(Served::Nonsense(fact.unwrap_or_default())));
            }
        };
        let (mut board, mut own) = (change.get(&office.board), change.get(&row));
        if request.number != 0 && request.number != own.order_count + 1 {
            change.update(&office.tally, |tally| tally.repeated += 1)?;
            return Ok(Some(Served::Repeated));
        }
        let result = own.carry_out(&mut board, &order);
        if result.is_ok() {
            change.set(&office.board, board)?;
        }
        change.set(&row, own)?;
        let line = board[order.currency_index];
        let quote = result.map(|()| Quote {
            currency: request.currency,
            sell: line.sell,
            buy: line.buy,
            stock: line.stock,
        });
        Ok(Some(Served::Order(order, quote)))
    })
}

/// A desk's whole life: requests, until no more come. `tell` is told of each.
///
/// # Errors
/// Those of the region, and those of `tell`.
pub fn run_desk(office: &Region<Floor>, mut tell: impl FnMut(&Served) -> Outcome) -> Outcome {
    let (mut orders, mut quotes) = (office.orders.receiver()?, office.quotes.sender()?);
    loop {
        while let Some(served) = serve_one(office, &mut orders)? {
            if let Served::Order(_, Ok(quote)) = &served {
                // The books are what counts: a price that nobody hears of is in them too.
                let _ = quotes.send(quote);
            }
            tell(&served)?;
        }
        match orders.wait(None) {
            // Where nobody is left to send, somebody may come.
            Ok(()) | Err(Refusal::Disconnected(_)) => {}
            Err(Refusal::Closed) => return Ok(()),
            Err(Refusal::Failed(error)) if *error.kind() == ErrorKind::Removed => return Ok(()),
            Err(refusal) => return Err(refusal.into()),
        }
    }
}

/// Sends an order and waits until a desk has done it; what the row is then. `None`: the office closes.
///
/// # Errors
/// Those of the channel and of [`Row::wait_while`].
pub fn request(
    office: &Region<Floor>,
    requests: &mut Requests,
    row: &Row<'_, Trader>,
    order: &Order<u64>,
    number: u64,
) -> Outcome<Option<Trader>> {
    let request = Request::new(row.index(), number, order);
    loop {
        match requests.send_timeout(&request, LOOK_EVERY) {
            Ok(()) => break,
            // All desks have died: somebody will open one again.
            Err(Refusal::Disconnected(_) | Refusal::TimedOut(_)) if office.closing.count() == 0 => {}
            Err(Refusal::Disconnected(_) | Refusal::TimedOut(_) | Refusal::Closed) => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        }
    }
    while office.closing.count() == 0 {
        match row.wait_while(|own| own.order_count < number, Some(LOOK_EVERY)) {
            Err(error) if error.is_timeout() => {}
            Err(error) if *error.kind() == ErrorKind::Removed => return Ok(None),
            done => return Ok(Some(done?)),
        }
    }
    Ok(None)
}
