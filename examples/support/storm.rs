//! A storm over the safe office: traders that are processes of their own, killed at any moment and started again.

use std::process::Child;
use std::time::{Duration, Instant};

use coseg::Region;

use crate::books::Books;
use crate::cli::Outcome;
use crate::player::Player;
use crate::safe_office::{Office, OfficeInitial, Trader, below, mixed, opening, recoveries_of, trade};

/// Orders between two looks at whether the office closes.
const ORDERS_PER_LOOK: usize = 64;
/// The time between two looks at the books.
const LOOK_EVERY: Duration = Duration::from_millis(80);
/// The longest time between two looks at the traders.
const TICK: Duration = Duration::from_millis(10);

/// How it is to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Processes that trade at once.
    pub trader_count: usize,
    /// The mean time between two kills.
    pub kill_every: Duration,
    /// How long it lasts.
    pub duration: Duration,
}

/// What is known at some moment.
#[derive(Clone, Debug)]
pub struct State {
    /// How long they have traded.
    pub elapsed: Duration,
    /// The books of that moment.
    pub books: Books,
    /// Traders killed so far.
    pub kill_count: u64,
}

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// The last state, after all have stopped.
    pub end: State,
    /// How many times the books were checked while they traded.
    pub check_count: u64,
    /// Locks that were taken over from the dead.
    pub recovered_count: u64,
    /// How many of those had died between committing a trade and showing it.
    pub completed_count: u64,
    /// The longest that a living trader has waited for the lock.
    pub longest_wait: Duration,
    /// What is wrong: books that do not balance, and traders that hang or failed.
    pub faults: Vec<String>,
}

/// What an office starts as that a storm is to go over.
pub fn opening_for(trader_count: usize) -> OfficeInitial {
    opening((1..=trader_count).map(|n| Trader::new(&format!("trader {n}"), mixed(n as u64))).collect())
}

/// A trader's whole life: orders, until the office closes. If it was killed before, it goes on where it stopped.
///
/// # Errors
/// Those of the region.
pub fn trade_until_closed(office: &Region<Office>, row_index: usize, parent: u32) -> Outcome {
    let row = office.ledger.row(row_index)?;
    while office.closing.count() == 0 {
        for _ in 0..ORDERS_PER_LOOK {
            // That it is refused now and then is part of the game.
            let _ = trade(office, &row, Trader::next_order)?;
        }
        if std::os::unix::process::parent_id() != parent {
            // Nobody will come back to an office that only this storm knows; another may have removed it already.
            let _ = office.remove();
            return Ok(());
        }
    }
    Ok(())
}

/// Lets traders trade, kills and restarts them, and checks the books all the while. `start` starts the process of a
/// row, which is to call [`trade_until_closed`]; `show` is shown the state now and then, and its error ends all.
///
/// # Errors
/// Those of the region, of processes, and of `show`. What the storm brings to light is in the report.
pub fn storm(
    office: &Region<Office>,
    plan: Plan,
    mut start: impl FnMut(usize) -> Outcome<Child>,
    mut show: impl FnMut(&State) -> Outcome,
) -> Outcome<Report> {
    let mut player = |row_index: usize| -> Outcome<Player> {
        Ok(Player::new(start(row_index)?, format!("trader {}", row_index + 1)))
    };
    let mut players = (0..plan.trader_count).map(&mut player).collect::<Outcome<Vec<_>>>()?;
    let begun = Instant::now();
    let (mut kill_count, mut check_count, mut faults) = (0, 0, Vec::new());
    let mut random = u64::from(std::process::id());
    let (mut kill_at, mut look_at) = (plan.kill_every, LOOK_EVERY);
    while begun.elapsed() < plan.duration && faults.is_empty() {
        let next = kill_at.min(look_at).min(plan.duration);
        std::thread::sleep(next.saturating_sub(begun.elapsed()).min(TICK));
        for (row_index, player) in players.iter_mut().enumerate() {
            faults.extend(player.fault(office.ledger.read(row_index)?.order_count)?);
        }
        if begun.elapsed() >= kill_at && faults.is_empty() {
            random = mixed(random.wrapping_add(0x9e37_79b9_7f4a_7c15));
            let victim = below(random, plan.trader_count);
            // Dropped, the old one is killed and buried.
            players[victim].kill()?;
            players[victim] = player(victim)?;
            kill_count += 1;
            kill_at =
                begun.elapsed() + plan.kill_every.mul_f64(0.5 + (random >> 32) as f64 / f64::from(u32::MAX));
        }
        if begun.elapsed() >= look_at {
            let state = State { elapsed: begun.elapsed(), books: Books::copy(office)?, kill_count };
            faults.extend(state.books.faults());
            check_count += 1;
            show(&state)?;
            look_at = begun.elapsed() + LOOK_EVERY;
        }
    }
    office.closing.notify()?;
    let elapsed = begun.elapsed();
    for player in players {
        faults.extend(player.leave()?);
    }
    let books = Books::copy(office)?;
    faults.extend(books.faults_in_replay());
    let (counted, done) = (office.trades.get(), books.trade_count());
    if counted > done || counted + kill_count < done {
        faults
            .push(format!("{counted} trades were counted and {done} done, with {kill_count} kills between"));
    }
    // The books were copied under the lock too, now and then.
    let (mut recovered_count, mut completed_count) = recoveries_of(office);
    recovered_count += books.sum(|trader| trader.recovered_count);
    completed_count += books.sum(|trader| trader.completed_count);
    let longest_wait = books.rows.iter().map(|(_, trader)| trader.longest_wait_us).max();
    Ok(Report {
        recovered_count,
        completed_count,
        longest_wait: Duration::from_micros(longest_wait.unwrap_or(0)),
        end: State { elapsed, books, kill_count },
        check_count,
        faults,
    })
}
