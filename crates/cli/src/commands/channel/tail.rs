//! `coseg channel tail`: a channel's messages on standard output.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use coseg::schema::Type;
use coseg::{Refusal, UntypedReceiver, Value};

use super::Obituaries;
use crate::args::Global;
use crate::failure::{Failure, INTERRUPTED, Result, TIMED_OUT};
use crate::output;
use crate::regions;
use crate::selector::Selector;
use crate::stop::Stop;
use crate::time;
use crate::value::Json;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg channel tail name:desk prices              each price from now on, a line of JSON each
  coseg channel tail name:desk prices -n 3         three of them
  coseg channel tail name:desk orders --keep       the orders that wait, left where they are
  coseg channel tail name:desk orders -n 1 --timeout 5s     take one order, or give up: 124
  coseg channel tail name:market prices |
      jq -c --unbuffered 'select(.buy > 100) | {trader: 1, amount: 500}' |
      coseg channel send name:desk orders
  coseg channel tail name:desk notes --raw > notes.txt

This is a receiver like any other, and what that means depends on the kind:
  work queue   each message is TAKEN: no other receiver gets it
  one-to-one   takes the one receiving end, so only while no program has it; each message is taken
  stream       the same
  broadcast    all receivers get every message; this one sees what is sent from now on. Where
               senders wait for the slowest receiver, they wait for this one too
A message is received once its line is written: if nobody reads it any more, or this process is \
killed, it goes to another receiver. Of a stream, it is received before, and lost then.
That a message comes again, since who held it gave it back or died, is told on standard error, so \
that lines stay messages: message 3 is the third line.

--keep takes no end and receives nothing: it prints copies of the messages that are there, in their \
order, and ends. Of a broadcast these are the last that were sent; what a receiver of a work queue \
holds is not among them. It needs the right to read only.

Numbers are numbers; whole ones beyond 64 bits, NaN and infinities are text. (jq before 1.7 rounds \
whole numbers beyond 2^53.) Bytes are a JSON string if they are UTF-8, else {\"base64\": \"…\"}. \
Ends when the channel is closed and empty, after COUNT messages, or when nobody reads the output: 0; \
when no message comes for TIME: 124; with Ctrl-C: 130. A sender's death is told on standard error.
Exit codes: 1 if there is no such region or channel, or its receiving end is taken.";

/// Receive a channel's messages: JSON on standard output, a line each
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tail {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The channel; may be left out where the region has one
    channel: Option<String>,
    /// End after so many messages
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End when no message comes for so long: 5s, 500ms, 1m
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration, conflicts_with = "keep")]
    timeout: Option<Duration>,
    /// Print the messages that are there, and receive none of them
    #[arg(long)]
    keep: bool,
    /// Print messages of bytes as they are, each with a line end behind it
    #[arg(long)]
    raw: bool,
}

impl Tail {
    /// Whether the messages stay where they are.
    pub(super) fn keeps(&self) -> bool {
        self.keep
    }
}

pub(crate) fn run(args: &Tail, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = if args.keep { regions::look(&view, &stat)? } else { regions::join(&view, &stat)? };
    let part = super::chosen(&region, &stat, args.channel.as_deref())?;
    let object = format!("`{}` of {}", output::printable(&part.name), title(&stat));
    if args.raw && !matches!(part.of, Some(Type::Bytes { .. })) {
        let of = part.of.as_ref().map(|of| output::printable(&of.to_string())).unwrap_or_default();
        let text = format!("receive from {object}: --raw is for messages of bytes, and its are {of}");
        return Err(Failure::error(text).hint("the same command without --raw"));
    }
    let most = args.count.unwrap_or(u64::MAX);
    if args.keep {
        for message in region.messages(&part.name)?.take(usize::try_from(most).unwrap_or(usize::MAX)) {
            print(&message, args.raw)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = Stop::on_first_signal("channel tail")?;
    let receiver = region.channel(&part.name)?.receiver().map_err(super::no_end(&stat, part))?;
    let who_sends = format!("{}, which shows who sends", super::command("stat", &stat, part));
    let mut listener = Listener { receiver, stop, timeout: args.timeout, object, who_sends, missed: 0 };
    for number in 1..=most {
        let Some(message) = listener.next()? else { break };
        print(&message, args.raw)?;
        if listener.receiver.is_redelivered() {
            output::note(&format!(
                "message {number} comes again: another receiver held it, who gave it back or died"
            ));
        }
        listener.receiver.done();
    }
    Ok(ExitCode::SUCCESS)
}

fn print(message: &Value, raw: bool) -> Result<()> {
    let Value::Bytes(bytes) = message else { return output::print_line(&Json(message)) };
    if !raw {
        return output::print_line(&Json(message));
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

struct Listener {
    receiver: UntypedReceiver,
    stop: Stop,
    timeout: Option<Duration>,
    object: String,
    /// The command to try when nothing comes.
    who_sends: String,
    /// Of a broadcast, how many lost messages were told of.
    missed: u64,
}

impl Listener {
    /// The next message, which is not yet received; `None` once there will be no more, or nobody to read it.
    fn next(&mut self) -> Result<Option<Value>> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut obituaries = Obituaries::default();
        loop {
            if self.stop.is_set() {
                return Err(Failure::silent(INTERRUPTED));
            }
            // Where a sender has died, that is told before this is asked.
            if output::reader_has_gone() {
                return Ok(None);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let stop = || self.stop.is_set() || output::reader_has_gone();
            let result = self.receiver.hold(left, &stop);
            self.tell_missed();
            match result {
                Ok(message) => return Ok(Some(message)),
                Err(Refusal::Closed) => return Ok(None),
                Err(Refusal::Missed(_)) => {}
                Err(Refusal::Disconnected(who)) => {
                    obituaries.tell(&who, "nobody is left to send; waiting for who comes next");
                }
                Err(Refusal::Failed(error)) => return Err(error.into()),
                Err(_) if self.stop.is_set() => return Err(Failure::silent(INTERRUPTED)),
                Err(_) if output::reader_has_gone() => return Ok(None),
                Err(_) => {
                    let after = self.timeout.unwrap_or_default();
                    let text =
                        format!("receive from {}: after {} ms: no message", self.object, after.as_millis());
                    return Err(Failure::new(TIMED_OUT, text).hint(&self.who_sends));
                }
            }
        }
    }

    fn tell_missed(&mut self) {
        let missed = self.receiver.missed_count();
        let more = missed.wrapping_sub(self.missed);
        if more > 0 {
            self.missed = missed;
            let count = output::count(more, "message was", "messages were");
            output::note(&format!("{count} overwritten before this receiver came to them"));
        }
    }
}
