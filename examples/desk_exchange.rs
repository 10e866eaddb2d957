//! An exchange office whose customers send their orders, and whose desks carry them out: a work queue, a transaction,
//! a broadcast.
//!
//! ```text
//! desk-exchange init
//! desk-exchange desk &
//! desk-exchange watch &
//! printf 'buy EURO 10\nsell POUND 2\n' | desk-exchange trade
//! desk-exchange close
//! desk-exchange storm --traders 6 --desks 2 --kill-every 50ms --seconds 10
//! ```
//!
//! An order is out of the queue exactly when the books have changed, whoever is killed: customer or desk. The storm
//! proves it.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coseg::{ErrorKind, Key, Refusal, Region};
use coseg_examples::books::Books;
use coseg_examples::cli::{Advised, Args, CheckFailed, Outcome, run};
use coseg_examples::floor::{self, Floor, KEY, Served, open, opening, options};
use coseg_examples::floor_storm::{self as storm, Part, Plan, Report, State};
use coseg_examples::orders;
use coseg_examples::safe_office::{Money, TRADERS_MAX, welcome};
use coseg_sysv::Backend;

const USAGE: &str = "\
usage: desk-exchange [--backend kernel|user] [--key KEY] COMMAND

  init                  open an office
  desk                  carry out orders, until the office closes
  trade [--name NAME]   orders from standard input: buy EURO 10, sell POUND 2
  watch                 each price, when an order was carried out
  show                  board and ledger
  close                 close the office; desks finish what was sent, and without one it is said how much is lost
  storm [--traders 6] [--desks 2] [--kill-every 50ms] [--seconds 10]
                        trade, kill traders and desks at random, and prove that no order was lost or done twice";

const OPTIONS: [&str; 7] = ["key", "name", "traders", "desks", "kill-every", "seconds", "parent"];
/// Desks of a storm.
const DESKS_MAX: usize = 32;

fn main() -> ExitCode {
    run(USAGE, &OPTIONS, program)
}

fn program(args: &Args) -> Outcome {
    let (backend, key) = (args.backend()?, args.key(KEY)?);
    let make = |initial| {
        let office = options(&backend, key).participant("exchange").create(|| initial);
        office.map_err(Advised::of("`desk-exchange close` closes it"))
    };
    match args.words()[..] {
        ["init"] => {
            let office = make(opening(Vec::new()))?;
            write!(io::stdout(), "{}", Books::copy(&office)?.table(0))?;
        }
        ["desk"] => {
            let office = open(&backend, key, "desk")?;
            writeln!(io::stdout(), "waiting for orders")?;
            floor::run_desk(&office, say)?;
        }
        ["trade"] => serve(&open(&backend, key, "trade")?, args.option("name"))?,
        ["watch"] => watch(&open(&backend, key, "watch")?)?,
        ["show"] => show(&open(&backend, key, "show")?)?,
        ["close"] => {
            let office = open(&backend, key, "close")?;
            office.closing.notify()?;
            office.orders.close()?;
            office.quotes.close()?;
            tell_lost(&office)?;
            office.remove()?;
        }
        ["storm"] => {
            let plan = Plan {
                trader_count: args.number("traders", 6, 1..=TRADERS_MAX)?,
                desk_count: args.number("desks", 2, 1..=DESKS_MAX)?,
                kill_every: args.duration("kill-every", Duration::from_millis(50))?,
                duration: args.duration("seconds", Duration::from_secs(10))?,
            };
            let office = make(storm::opening_for(plan.trader_count))?;
            let result = rage(&office, plan, &backend, key);
            office.remove()?;
            result?;
        }
        // Processes of the storm.
        ["storm-trader", row] => {
            let parent = args.option("parent").map(str::parse).transpose()?.unwrap_or(0);
            storm::trade_until_closed(&open(&backend, key, "trader")?, row.parse()?, parent)?;
        }
        ["storm-desk"] => floor::run_desk(&open(&backend, key, "desk")?, |_| Ok(()))?,
        _ => return args.misused(),
    }
    Ok(())
}

fn say(served: &Served) -> Outcome {
    let mut out = io::stdout().lock();
    match served {
        Served::Order(order, Ok(_)) => writeln!(out, "{order}: done")?,
        Served::Order(order, Err(refusal)) => writeln!(out, "{order}: refused: {refusal}")?,
        Served::Repeated => writeln!(out, "an order that was done before: left out")?,
        Served::Nonsense(fact) => writeln!(out, "no order: {fact}")?,
    }
    Ok(())
}

/// Says how many orders are lost with a closed office that has no desk.
fn tell_lost(office: &Region<Floor>) -> Outcome {
    if floor::has_desk(office) {
        return Ok(());
    }
    let lost_count = office.orders.receiver()?.try_iter().count();
    if lost_count > 0 {
        eprintln!("close: no desk is there: orders lost, which were sent and not carried out: {lost_count}");
    }
    Ok(())
}

/// Serves one customer, whose orders come from standard input.
fn serve(office: &Region<Floor>, name: Option<&str>) -> Outcome {
    let own_name = format!("pid {}", std::process::id());
    let row = welcome(office, name.unwrap_or(&own_name))?;
    let mut requests = office.orders.sender()?;
    let mut was_told = false;
    let skipped = orders::serve(|order| {
        let has_desk = floor::has_desk(office);
        if !has_desk && !was_told {
            eprintln!("trade: no desk is there: waiting until somebody starts `desk-exchange desk`");
        }
        was_told = !has_desk;
        let before = row.read();
        let done = floor::request(office, &mut requests, &row, order, before.order_count + 1)?;
        let Some(after) = done else { return Err("trade: the office has closed".into()) };
        Ok(if after.refused_count == before.refused_count { "0" } else { "-1" }.to_owned())
    })?;
    writeln!(io::stdout(), "balance {}", Money(row.read().balance))?;
    skipped.check()
}

fn watch(office: &Region<Floor>) -> Outcome {
    let mut quotes = office.quotes.receiver()?;
    loop {
        match quotes.receive() {
            Ok(quote) => {
                let (sell, buy) = (Money(quote.sell), Money(quote.buy));
                writeln!(io::stdout(), "{}: sell {sell}, buy {buy}, stock {}", quote.currency, quote.stock)?;
            }
            Err(Refusal::Disconnected(_)) => {}
            Err(Refusal::Closed) => break,
            Err(Refusal::Failed(error)) if *error.kind() == ErrorKind::Removed => break,
            Err(refusal) => return Err(refusal.into()),
        }
    }
    writeln!(io::stdout(), "the office has closed")?;
    Ok(())
}

fn show(office: &Region<Floor>) -> Outcome {
    let books = Books::copy(office)?;
    let faults = books.faults();
    let verdict = if faults.is_empty() { "books balance" } else { "books DO NOT balance" };
    writeln!(io::stdout(), "{}\n{verdict}: {}", books.table(TRADERS_MAX), books.equation())?;
    if faults.is_empty() { Ok(()) } else { Err(Box::new(CheckFailed(faults.join("\n")))) }
}

/// The storm, until its time is over or Ctrl-C.
fn rage(office: &Region<Floor>, plan: Plan, backend: &Arc<dyn Backend>, key: Key) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut said_at = Duration::ZERO;
    let look = |state: &State| -> Outcome {
        if stop.load(Ordering::Relaxed) {
            return Err("storm: interrupted: it proves nothing, start it again".into());
        }
        if state.elapsed >= said_at {
            let (seconds, trades) = (state.elapsed.as_secs_f64(), state.books.trade_count());
            let kills = state.trader_kills + state.desk_kills;
            writeln!(io::stdout(), "{seconds:.1} s: trades {trades}, kills {kills}")?;
            said_at += Duration::from_secs(1);
        }
        Ok(())
    };
    let start = |part: Part| start_process(part, backend, key);
    conclude(&storm::storm(office, plan, start, look)?)
}

fn start_process(part: Part, backend: &Arc<dyn Backend>, key: Key) -> Outcome<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--backend", backend.name(), "--key", &key.raw().to_string()]);
    command.args(["--parent", &std::process::id().to_string()]);
    match part {
        Part::Trader(row) => command.args(["storm-trader", &row.to_string()]),
        Part::Desk => command.arg("storm-desk"),
    };
    // Ctrl-C is for the storm: the others are told by the office.
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    Ok(command.spawn()?)
}

fn conclude(report: &Report) -> Outcome {
    let Report { end, check_count, tally, faults } = report;
    let books = &end.books;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", books.table(TRADERS_MAX))?;
    writeln!(out, "kills           {} traders, {} desks", end.trader_kills, end.desk_kills)?;
    let refused = books.sum(|trader| trader.refused_count);
    writeln!(out, "trades          {}, and {refused} orders refused", books.trade_count())?;
    writeln!(out, "taken over      {} orders that a desk had held when it was killed", tally.taken_over)?;
    writeln!(out, "sent again      {} orders by traders started again, done once", tally.repeated)?;
    writeln!(out, "checks          {check_count} during the storm, 1 after it, and a replay of every order")?;
    if faults.is_empty() {
        writeln!(out, "books balance: {}", books.equation())?;
        return Ok(());
    }
    Err(Box::new(CheckFailed(format!("the storm found faults:\n{}", faults.join("\n")))))
}
