//! An exchange office that loses nothing: whoever trades, and whoever is killed.
//!
//! ```text
//! safe-exchange init
//! safe-exchange watch &
//! printf 'buy EURO 10\nsell POUND 2\n' | safe-exchange trade
//! safe-exchange close
//! safe-exchange storm --traders 8 --kill-every 50ms --seconds 10
//! ```
//!
//! A trade changes the board and the customer's row in the ledger in one transaction, so that at every moment each
//! stock is what the office opened with and what the customers gave. The storm proves it: traders are killed at
//! random, in the middle of whatever they do, and started again, and the books are checked all the while.

use std::io::{self, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coseg::{ErrorKind, Key, Region};
use coseg_examples::books::Books;
use coseg_examples::cli::{Advised, Args, CheckFailed, Outcome, run};
use coseg_examples::orders::{self, NAMES};
use coseg_examples::safe_office::{KEY, Money, Office, TRADERS_MAX, open, opening, options, trade, welcome};
use coseg_examples::storm::{self, Plan, Report, State};
use coseg_sysv::Backend;

const USAGE: &str = "\
usage: safe-exchange [--backend kernel|user] [--key KEY] COMMAND

  init                  open an office
  trade [--name NAME]   orders from standard input: buy EURO 10, sell POUND 2
  show                  board and ledger
  watch                 the same, whenever it changes
  close                 close the office
  storm [--traders 8] [--kill-every 50ms] [--seconds 10]
                        trade, kill traders at random, and prove that the books balance";

const OPTIONS: [&str; 6] = ["key", "name", "traders", "kill-every", "seconds", "parent"];

/// The time between two pictures of a board that changes all the time.
const FRAME: Duration = Duration::from_millis(100);
/// Customers that `watch` shows.
const ROWS_SHOWN: usize = 16;

fn main() -> ExitCode {
    run(USAGE, &OPTIONS, program)
}

fn program(args: &Args) -> Outcome {
    let (backend, key) = (args.backend()?, args.key(KEY)?);
    let make = |initial| {
        let office = options(&backend, key).participant("exchange").create(|| initial);
        office.map_err(Advised::of("`safe-exchange close` closes it"))
    };
    match args.words()[..] {
        ["init"] => {
            let office = make(opening(Vec::new()))?;
            write!(io::stdout(), "{}", Books::copy(&office)?.table(0))?;
        }
        ["trade"] => serve(&open(&backend, key, "trade")?, args.option("name"))?,
        ["show"] => show(&open(&backend, key, "show")?)?,
        ["watch"] => watch(&open(&backend, key, "watch")?)?,
        ["close"] => {
            let office = open(&backend, key, "close")?;
            office.closing.notify()?;
            office.remove()?;
        }
        ["storm"] => {
            let trader_count = args.number("traders", 8, 1..=TRADERS_MAX)?;
            let plan = Plan {
                trader_count,
                kill_every: args.duration("kill-every", Duration::from_millis(50))?,
                duration: args.duration("seconds", Duration::from_secs(10))?,
            };
            let office = make(storm::opening_for(trader_count))?;
            let result = rage(&office, plan, &backend, key);
            office.remove()?;
            result?;
        }
        // A process of the storm.
        ["trader", row] => {
            let parent = args.option("parent").map(str::parse).transpose()?.unwrap_or(0);
            storm::trade_until_closed(&open(&backend, key, "trader")?, row.parse()?, parent)?;
        }
        _ => return args.misused(),
    }
    Ok(())
}

/// Serves one customer, whose orders come from standard input.
fn serve(office: &Region<Office>, name: Option<&str>) -> Outcome {
    let own_name = format!("pid {}", std::process::id());
    let row = welcome(office, name.unwrap_or(&own_name))?;
    let skipped = orders::serve(|order| {
        Ok(match trade(office, &row, |_| *order)? {
            Ok(()) => "0".to_owned(),
            Err(refusal) => format!("-1 ({refusal})"),
        })
    })?;
    writeln!(io::stdout(), "balance {}", Money(row.read().balance))?;
    skipped.check()
}

fn show(office: &Region<Office>) -> Outcome {
    let books = Books::copy(office)?;
    writeln!(io::stdout(), "{}\n{}", books.table(TRADERS_MAX), verdict(&books))?;
    let faults = books.faults();
    if faults.is_empty() { Ok(()) } else { Err(Box::new(CheckFailed(faults.join("\n")))) }
}

fn verdict(books: &Books) -> String {
    let balance = if books.faults().is_empty() { "books balance" } else { "books DO NOT balance" };
    format!("{balance}: {}", books.equation())
}

/// Sleeps until something changes; on a terminal each picture is drawn over the last.
fn watch(office: &Region<Office>) -> Outcome {
    let is_plain = !can_draw();
    let mut drawn_lines = 0;
    loop {
        let books = Books::copy(office)?;
        let mut out = io::stdout().lock();
        if is_plain {
            let stocks =
                NAMES.iter().zip(&books.board).map(|(name, currency)| format!("{name} {}", currency.stock));
            let stocks: Vec<String> = stocks.collect();
            writeln!(out, "trades {}: {}", books.trade_count(), stocks.join(", "))?;
        } else {
            let text = format!("{}\n{}\n", books.table(ROWS_SHOWN), verdict(&books));
            draw_over(&mut out, &mut drawn_lines, &text)?;
        }
        drop(out);
        match office.board.wait_while(|board| *board == books.board, None) {
            Err(error) if *error.kind() == ErrorKind::Removed => {
                writeln!(io::stdout(), "the office has closed")?;
                return Ok(());
            }
            changed => changed.map(drop)?,
        }
        std::thread::sleep(FRAME);
    }
}

fn can_draw() -> bool {
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_dumb && !wants_none
}

fn draw_over(out: &mut impl Write, drawn_lines: &mut usize, text: &str) -> io::Result<()> {
    if *drawn_lines > 0 {
        write!(out, "\x1b[{drawn_lines}A\x1b[J")?;
    }
    write!(out, "{text}")?;
    *drawn_lines = text.lines().count();
    out.flush()
}

/// The storm, until its time is over or Ctrl-C.
fn rage(office: &Region<Office>, plan: Plan, backend: &Arc<dyn Backend>, key: Key) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let is_plain = !can_draw();
    let mut drawn_lines = 0;
    let mut said_at = Duration::ZERO;
    let look = |state: &State| -> Outcome {
        if stop.load(Ordering::Relaxed) {
            return Err("storm: interrupted: it proves nothing, start it again".into());
        }
        let line = line_of(state);
        let mut out = io::stdout().lock();
        if !is_plain {
            let text = format!("{}\n{line}\n{}\n", state.books.table(ROWS_SHOWN), verdict(&state.books));
            draw_over(&mut out, &mut drawn_lines, &text)?;
        } else if state.elapsed >= said_at {
            writeln!(out, "{line}")?;
            said_at += Duration::from_secs(1);
        }
        Ok(())
    };
    let report = storm::storm(office, plan, |row| start_trader(row, backend, key), look)?;
    draw_over(&mut io::stdout(), &mut drawn_lines, "")?;
    conclude(&report)
}

fn line_of(state: &State) -> String {
    let (seconds, trades, kills) = (state.elapsed.as_secs_f64(), state.books.trade_count(), state.kill_count);
    format!("{seconds:.1} s: trades {trades}, kills {kills}")
}

fn start_trader(row: usize, backend: &Arc<dyn Backend>, key: Key) -> Outcome<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--backend", backend.name(), "--key", &key.raw().to_string()]);
    command.args(["--parent", &std::process::id().to_string(), "trader", &row.to_string()]);
    // Ctrl-C is for the storm: its traders are told by the office.
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    Ok(command.spawn()?)
}

fn conclude(report: &Report) -> Outcome {
    let Report { end, check_count, longest_wait, faults, .. } = report;
    let books = &end.books;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", books.table(TRADERS_MAX))?;
    writeln!(out, "kills           {}", end.kill_count)?;
    let refused = books.sum(|trader| trader.refused_count);
    writeln!(out, "trades          {}, and {refused} orders refused", books.trade_count())?;
    let (recovered, completed) = (report.recovered_count, report.completed_count);
    writeln!(out, "recoveries      {recovered}, {completed} of them of a trade that was committed already")?;
    writeln!(out, "longest wait    {:.1} ms of any trader", longest_wait.as_secs_f64() * 1000.0)?;
    writeln!(out, "checks          {check_count} during the storm, 1 after it, and a replay of every order")?;
    if faults.is_empty() {
        writeln!(out, "books balance: {}", books.equation())?;
        return Ok(());
    }
    Err(Box::new(CheckFailed(format!("the storm found faults:\n{}", faults.join("\n")))))
}
