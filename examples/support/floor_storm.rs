//! A storm over an office with desks: customers and desks are processes of their own, killed at any moment and started
//! again.

use std::process::Child;
use std::time::{Duration, Instant};

use coseg::{Refusal, Region};

use crate::books::Books;
use crate::cli::Outcome;
use crate::floor::{Floor, FloorInitial, Tally, opening, request};
use crate::player::Player;
use crate::safe_office::{Trader, below, mixed};

/// The time between two looks at the books.
const LOOK_EVERY: Duration = Duration::from_millis(80);
/// The longest time between two looks at the processes.
const TICK: Duration = Duration::from_millis(10);

/// How it is to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Customers that trade at once.
    pub trader_count: usize,
    /// Desks that serve them.
    pub desk_count: usize,
    /// The mean time between two kills.
    pub kill_every: Duration,
    /// How long it lasts.
    pub duration: Duration,
}

/// Whose process is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The customer of this row, which is to call [`trade_until_closed`].
    Trader(usize),
    /// A desk, which is to call [`run_desk`](crate::floor::run_desk).
    Desk,
}

/// What is known at some moment.
#[derive(Clone, Debug)]
pub struct State {
    /// How long they have traded.
    pub elapsed: Duration,
    /// The books of that moment.
    pub books: Books,
    /// Customers killed so far.
    pub trader_kills: u64,
    /// Desks killed so far.
    pub desk_kills: u64,
}

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// The last state, after all have stopped.
    pub end: State,
    /// How many times the books were checked while they traded.
    pub check_count: u64,
    /// What became of other orders.
    pub tally: Tally,
    /// What is wrong: books that do not balance, orders that were lost or done twice, processes that hang or failed.
    pub faults: Vec<String>,
}

/// What an office starts as that a storm is to go over.
pub fn opening_for(trader_count: usize) -> FloorInitial {
    opening((1..=trader_count).map(|n| Trader::new(&format!("trader {n}"), mixed(n as u64))).collect())
}

/// A customer's whole life: one order after the other, until the office closes. If it was killed before, it goes on
/// where the books say that it stopped, and so may send an order again.
///
/// # Errors
/// Those of the region.
pub fn trade_until_closed(office: &Region<Floor>, row_index: usize, parent: u32) -> Outcome {
    let row = office.ledger.row(row_index)?;
    let mut requests = office.orders.sender()?;
    let mut own = row.read();
    while office.closing.count() == 0 {
        let (order, number) = (own.next_order(), own.order_count + 1);
        match request(office, &mut requests, &row, &order, number)? {
            Some(done) => own = done,
            None => return Ok(()),
        }
        if std::os::unix::process::parent_id() != parent {
            // Nobody will come back to an office that only this storm knows; another may have removed it already.
            let _ = office.remove();
            return Ok(());
        }
    }
    Ok(())
}

/// Lets customers trade and desks serve them, kills and restarts them, and checks the books all the while. `show` is
/// shown the state now and then, and its error ends all.
///
/// # Errors
/// Those of the region, of processes, and of `show`. What the storm brings to light is in the report.
pub fn storm(
    office: &Region<Floor>,
    plan: Plan,
    mut start: impl FnMut(Part) -> Outcome<Child>,
    mut show: impl FnMut(&State) -> Outcome,
) -> Outcome<Report> {
    let count = plan.trader_count + plan.desk_count;
    let part = |index: usize| if index < plan.trader_count { Part::Trader(index) } else { Part::Desk };
    let mut player = |index: usize| -> Outcome<Player> {
        let name = match part(index) {
            Part::Trader(row) => format!("trader {}", row + 1),
            Part::Desk => format!("desk {}", index - plan.trader_count + 1),
        };
        Ok(Player::new(start(part(index))?, name))
    };
    let mut players = (0..count).map(&mut player).collect::<Outcome<Vec<_>>>()?;
    let begun = Instant::now();
    let (mut trader_kills, mut desk_kills, mut check_count, mut faults) = (0, 0, 0, Vec::new());
    let mut random = u64::from(std::process::id());
    let (mut kill_at, mut look_at) = (plan.kill_every, LOOK_EVERY);
    while begun.elapsed() < plan.duration && faults.is_empty() {
        let next = kill_at.min(look_at).min(plan.duration);
        std::thread::sleep(next.saturating_sub(begun.elapsed()).min(TICK));
        let books = Books::copy(office)?;
        for (index, player) in players.iter_mut().enumerate() {
            let done_count = match part(index) {
                Part::Trader(row) => books.rows.get(row).map_or(0, |(_, own)| own.order_count),
                // A desk that hangs is seen by its customers.
                Part::Desk => books.sum(|own| own.order_count),
            };
            faults.extend(player.fault(done_count)?);
        }
        if begun.elapsed() >= kill_at && faults.is_empty() {
            random = mixed(random.wrapping_add(0x9e37_79b9_7f4a_7c15));
            let victim = below(random, count);
            players[victim].kill()?;
            players[victim] = player(victim)?;
            *(if part(victim) == Part::Desk { &mut desk_kills } else { &mut trader_kills }) += 1;
            kill_at =
                begun.elapsed() + plan.kill_every.mul_f64(0.5 + (random >> 32) as f64 / f64::from(u32::MAX));
        }
        if begun.elapsed() >= look_at {
            let state = State { elapsed: begun.elapsed(), books, trader_kills, desk_kills };
            faults.extend(state.books.faults());
            check_count += 1;
            show(&state)?;
            look_at = begun.elapsed() + LOOK_EVERY;
        }
    }
    office.closing.notify()?;
    let elapsed = begun.elapsed();
    let desks = players.split_off(plan.trader_count);
    for trader in players {
        faults.extend(trader.leave()?);
    }
    // Desks go when they have done what was sent.
    office.orders.close()?;
    for desk in desks {
        faults.extend(desk.leave()?);
    }
    match office.orders.receiver()?.try_receive() {
        Err(Refusal::Closed) => {}
        left => faults.push(format!("the desks have gone, and left an order: {left:?}")),
    }
    let (books, tally) = (Books::copy(office)?, office.tally.read());
    faults.extend(books.faults_in_replay());
    // Each start of a customer sends one order again at most.
    if tally.repeated > trader_kills || tally.nonsense > 0 {
        faults.push(format!("{tally:?}, with {trader_kills} customers killed: orders were done twice"));
    }
    let end = State { elapsed, books, trader_kills, desk_kills };
    Ok(Report { end, check_count, tally, faults })
}
