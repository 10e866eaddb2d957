//! `coseg top`: all segments and what happens to them, on the terminal, as it happens.

mod app;
mod concern;
mod details;
mod dialog;
mod draw;
mod grid;
mod header;
mod order;
mod palette;
mod remove;
mod screen;
mod table;

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::tz::TimeZone;

use self::app::{Action, App};
use self::order::{Order, Sort};
use self::palette::Palette;
use self::screen::{Screen, Wake};
use crate::args::Global;
use crate::backend::Facility;
use crate::failure::{Failure, Result};
use crate::live::{Live, Scene};
use crate::output;
use crate::stop::Stop;
use crate::time;

const EXAMPLES: &str = "\
Examples:
  coseg top                                 until q; ? tells the keys
  coseg top --every 200ms --sort size       the largest first, five looks a second
  coseg top --filter postgres               those whose name, key, owner, type or commands have this
  $ coseg top --once                        one look, as text
  coseg top  kernel                                             every 1s  05:10:18
  segments ▏░░░░░░ 4 of 4,096   size ▏░░░░░░ 49MiB   resident ██████▉ 48.3MiB
  1 garbage (48MiB), 1 orphaned lock, 1 dead participant, 2 not looke… by activity
  ID  SEGMENT        SIZE  ACTIVITY  STATUS                 ATTACHED-BY
   0  0x0000162e      27B  -         unsure                 0
   1  id:1          48MiB  -         garbage                0
   2  market      37.9KiB  -         orphaned lock, 1 dead  5: 7 office, 10 offic…
   3  0x00004242     1MiB  -                                1: 7 office
  coseg top --json -n 2 | tail -n 1 | jq '.segments[] | {title, activity, verdict}'
Each look attaches nothing. ACTIVITY is the share of pages that changed since the look before, of those looked at: \
all of a region up to 4 MiB, of which a copy is kept in TMPDIR; of anything else 16 or, if there are many segments, \
fewer, spread over all that was written; `-` where they cannot be seen without attaching. AGE is the time since the last \
use. STATUS tells what to worry \
about: garbage (coseg gc has the reasons), locks whose holders died, dead participants. Enter opens the selected segment: \
who is attached, who has joined, who holds and awaits which lock, how full each channel is and how fast. d removes it, \
after a question, if it is then still what the question was about.
With --json a line per look, until Ctrl-C or as many as -n says; rates and activity are null in the first. --filter \
chooses segments; events are told of all.
Exit codes: 0 ended by q, Ctrl-C in the view, or -n; 2 usage or error; 130 interrupted, or the terminal is gone.";

/// See all segments and what happens to them, live
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Top {
    /// Look so often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    every: Duration,
    /// Sort by this column
    #[arg(long, value_enum, value_name = "COLUMN", default_value = "activity")]
    sort: Sort,
    /// Turn the order around
    #[arg(long)]
    reverse: bool,
    /// Only segments with this in their name, key, owner, type or commands
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// Look once and print that, on no terminal too
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// End after so many looks
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// A time that leaves some for others.
fn parse_interval(text: &str) -> Result<Duration, String> {
    time::parse_interval(text, Duration::from_millis(50))
}

pub(crate) fn run(args: &Top, global: &Global) -> Result<ExitCode> {
    let is_live = !(global.json || args.once);
    if is_live && !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(Failure::error("top: it needs a terminal, to draw on and to read keys from")
            .hint("coseg top --once for one look as text, --json for a line per look"));
    }
    let stop = Stop::on_first_signal("top")?;
    let mut live = Live::new(Facility::open(global)?, &stop)?;
    let order =
        Order { sort: args.sort, reverse: args.reverse, filter: args.filter.clone(), garbage_only: false };
    if global.json {
        return print_lines(args, &order, &mut live, &stop);
    }
    let palette = Palette { has_colors: output::shows_color() };
    let mut app = App::new(palette, TimeZone::system(), order, args.every);
    app.bytes = global.bytes;
    if args.once {
        return print_once(&mut app, &mut live);
    }
    show(args, app, live, &stop)
}

/// A document per look, on a line of its own.
fn print_lines(args: &Top, order: &Order, live: &mut Live, stop: &Stop) -> Result<ExitCode> {
    let mut left = if args.once { 1 } else { args.count.unwrap_or(u64::MAX) };
    while left > 0 && !output::reader_has_gone() {
        let mut scene = live.look()?;
        let chosen = order.apply(&scene.segments);
        let places: HashMap<i32, usize> =
            chosen.iter().enumerate().map(|(place, segment)| (segment.record.id, place)).collect();
        scene.segments.retain(|segment| places.contains_key(&segment.record.id));
        scene.segments.sort_by_key(|segment| places[&segment.record.id]);
        output::print_line(&scene)?;
        left -= 1;
        if left > 0 {
            stop.sleep_while(args.every, || !output::reader_has_gone())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The header and all rows; in a pipe as wide as they need.
fn print_once(app: &mut App, live: &mut Live) -> Result<ExitCode> {
    let scene = live.look()?;
    app.see(&scene);
    let width = output::is_terminal().then(output::terminal_width);
    let rows = app.order.apply(&scene.segments);
    let (heading, rows) = table::lines(app, &scene, &rows, width.map(usize::from));
    let header = header::lines(app, &scene, width.unwrap_or(100));
    let mut text = String::new();
    for line in header.into_iter().chain([heading]).chain(rows) {
        text.push_str(line.to_string().trim_end());
        text.push('\n');
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &Top, mut app: App, mut live: Live, stop: &Stop) -> Result<ExitCode> {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut scene = live.look()?;
    app.see(&scene);
    let mut looked = Instant::now();
    let mut screen = Screen::take()?;
    loop {
        screen.draw(|frame| app.draw(frame, &scene))?;
        let action = match screen.wait(next_look(&app, looked), stop)? {
            Wake::Key(key) => app.on_key(key, &scene),
            Wake::Drawing => Action::Nothing,
            Wake::Time => Action::Look,
        };
        match action {
            Action::Nothing => {}
            Action::Quit => return Ok(ExitCode::SUCCESS),
            Action::Suspend => screen.suspend()?,
            Action::Redraw => screen.again()?,
            Action::Look => {
                left -= 1;
                if left == 0 {
                    return Ok(ExitCode::SUCCESS);
                }
                looked = look(&mut app, &mut live, &mut scene, stop)?;
            }
            Action::Remove(agreed) => {
                match remove::remove(&agreed, live.view(), app.bytes) {
                    Ok(done) => app.tell(done),
                    Err(failure) => app.refuse(failure.to_string()),
                }
                looked = look(&mut app, &mut live, &mut scene, stop)?;
            }
        }
    }
}

fn next_look(app: &App, looked: Instant) -> Instant {
    const LONG: Duration = Duration::from_secs(86_400);
    looked + if app.paused { LONG } else { app.every.min(LONG) }
}

/// Looks again; what was seen stays where that fails.
fn look(app: &mut App, live: &mut Live, scene: &mut Scene, stop: &Stop) -> Result<Instant> {
    match live.look() {
        Ok(seen) => {
            app.see(&seen);
            *scene = seen;
        }
        Err(failure) => {
            stop.check()?;
            app.refuse(failure.to_string());
        }
    }
    Ok(Instant::now())
}

#[cfg(test)]
mod tests;
