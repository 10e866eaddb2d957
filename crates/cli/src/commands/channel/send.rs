//! `coseg channel send`: messages into a channel.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use coseg::schema::{Part, Type};
use coseg::{ErrorKind, Refusal, UntypedSender, Value};
use schemars::JsonSchema;
use serde::Serialize;

use super::Obituaries;
use crate::args::Global;
use crate::failure::{ERROR, Failure, INTERRUPTED, NOTHING, Result, TIMED_OUT};
use crate::input::Input;
use crate::output::{self, printable};
use crate::parse;
use crate::record::Origin;
use crate::regions;
use crate::selector::Selector;
use crate::stop::Stop;
use crate::time;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg channel send name:desk orders '{\"trader\": 1, \"amount\": 500}'
  coseg channel send name:desk orders < orders.jsonl         a message a line
  coseg channel tail name:market prices |
      jq -c --unbuffered 'select(.buy > 100) | {trader: 1, amount: 500}' |
      coseg channel send name:desk orders
  coseg channel send name:desk notes '\"milk, bread\"'         bytes, as a JSON string
  coseg channel send name:desk notes --raw 'milk, bread'     the same
  tail -f app.log | coseg channel send name:desk notes --raw       a line, a message
  coseg channel send name:desk files --raw=all < picture.png       all of it, one message

A message is JSON by the channel's type, which coseg channel stat shows: {\"field\": …} with all \
fields, [elements], numbers, text. Whole numbers beyond 64 bits, NaN and infinities are text. Bytes \
are a JSON string, or {\"base64\": \"…\"}. A text that is an argument needs no quotes. \
Each line is checked and sent at once. One that is no message is told with its number, field and \
fact, and is not sent; those before and behind it are. Of messages that are arguments, none is sent \
if one of them is no message. Blank lines are left out, but with --raw.
While there is no room, this waits for a receiver. What was sent stays in the channel until it is \
received, also when this process has ended.
Exit codes: 1 if there is no such region or channel, if it is closed, or its sending end is taken; \
2 if a line was no message; 124 if there was no room for TIME; 130 with Ctrl-C.";

/// Send messages to a channel: JSON from standard input, a line each, or as arguments
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Send {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The channel; may be left out where the region has one and messages come from standard input
    channel: Option<String>,
    /// Messages to send instead of standard input
    #[arg(value_name = "MESSAGE", allow_negative_numbers = true)]
    messages: Vec<String>,
    /// Give up when there is no room for so long: 5s, 500ms, 1m
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration)]
    timeout: Option<Duration>,
    /// Messages of bytes as they are: each line one, or all of standard input
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "line")]
    raw: Option<Raw>,
    /// Close the channel at the end of input
    #[arg(long)]
    close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Raw {
    /// Each line, without its end
    Line,
    /// All of standard input
    All,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Summary<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    channel: &'a str,
    sent_count: u64,
    /// Lines that were no messages.
    refused_count: u64,
    /// Whether it was closed at the end.
    closed: bool,
}

pub(crate) fn run(args: &Send, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = regions::join(&view, &stat)?;
    let part = super::chosen(&region, &stat, args.channel.as_deref())?;
    let object = format!("`{}` of {}", printable(&part.name), title(&stat));
    let command = |name| super::command(name, &stat, part);
    let Part { of: Some(of), .. } = part else {
        return Err(Failure::nothing(format!("send to {object}: it has no messages")));
    };
    let most = match (args.raw, of) {
        (Some(_), Type::Bytes { max_bytes }) => *max_bytes,
        (Some(_), _) => {
            let of = printable(&of.to_string());
            let text = format!("send to {object}: --raw is for messages of bytes, and its are {of}");
            return Err(Failure::error(text).hint("the same command without --raw"));
        }
        (None, _) => 0,
    };
    let messages = args
        .messages
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let value = match of {
                Type::Bytes { .. } => read(of, text.as_bytes(), args.raw.is_some()),
                _ => parse::argument(of, text),
            };
            let value = value.and_then(|value| coseg::encode(of, &value).map(|_| value).map_err(say));
            value.map_err(|fact| {
                Failure::error(format!("message {}: {fact}; none was sent", index + 1))
                    .hint(format!("{}, which shows what a message consists of", command("stat")))
            })
        })
        .collect::<Result<Vec<Value>>>()?;
    let stop = Stop::on_first_signal("channel send")?;
    let channel = region.channel(&part.name)?;
    let mut mail = Mail {
        sender: channel.sender().map_err(super::no_end(&stat, part))?,
        stop: stop.clone(),
        timeout: args.timeout,
        object,
        who_receives: format!("{}, which shows who receives", command("stat")),
        reopen: command("reopen"),
        obituaries: Obituaries::default(),
        sent: 0,
    };
    let mut refused = 0;
    if !messages.is_empty() {
        for (index, message) in messages.iter().enumerate() {
            mail.send(message, || format!("message {}", index + 1))?.map_err(Failure::error)?;
        }
    } else if args.raw == Some(Raw::All) {
        let bytes = Input::new(&stop).all(most)?;
        if bytes.len() > most {
            let fact = format!("standard input has more than the {most} bytes that a message can have");
            return Err(Failure::error(format!("send to {}: {fact}", mail.object)));
        }
        mail.send(&Value::Bytes(bytes), || "standard input".to_owned())?.map_err(Failure::error)?;
    } else {
        refused = mail.send_lines(&stop, of, args.raw.is_some())?;
    }
    if args.close {
        channel.close()?;
    }
    if global.json {
        let (origin, id, channel) = (Origin::of(&view.facility), stat.id.raw(), &part.name);
        let (sent_count, closed) = (mail.sent, args.close);
        output::print_json(&Summary { origin, id, channel, sent_count, refused_count: refused, closed })?;
    }
    if refused == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let sent = output::count(mail.sent, "was", "were");
    output::note(&format!("{} not sent, {sent}", output::count(refused, "line was", "lines were")));
    Ok(ExitCode::from(ERROR))
}

fn read(of: &Type, text: &[u8], raw: bool) -> Result<Value, String> {
    match of {
        _ if raw => Ok(Value::Bytes(text.to_vec())),
        Type::Bytes { .. } => {
            parse::json(of, text).map_err(|fact| format!("{fact}; --raw sends bytes as they are"))
        }
        _ => parse::json(of, text),
    }
}

fn say(error: coseg::Error) -> String {
    printable(&error.to_string())
}

struct Mail {
    sender: UntypedSender,
    stop: Stop,
    timeout: Option<Duration>,
    object: String,
    /// Commands to try when there is no room, and when it is closed.
    who_receives: String,
    reopen: String,
    obituaries: Obituaries,
    sent: u64,
}

impl Mail {
    /// Sends each line of standard input; how many of them were no messages.
    fn send_lines(&mut self, stop: &Stop, of: &Type, raw: bool) -> Result<u64> {
        let mut input = Input::new(stop);
        let (mut number, mut refused) = (0_u64, 0);
        while let Some(line) = input.line()? {
            number += 1;
            if !raw && line.trim_ascii().is_empty() {
                continue;
            }
            let place = || format!("line {number}");
            let result = match read(of, &line, raw) {
                Ok(message) => self.send(&message, place)?,
                Err(fact) => Err(format!("{}: {}", place(), printable(&fact))),
            };
            if let Err(fact) = result {
                output::complain(&fact);
                refused += 1;
            }
        }
        Ok(refused)
    }

    /// Waits until it is sent. What is wrong with a message concerns nothing but this message; anything else ends all.
    fn send(&mut self, message: &Value, place: impl Fn() -> String) -> Result<Result<(), String>> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if self.stop.is_set() {
                return Err(Failure::silent(INTERRUPTED));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let refusal = match self.sender.send(message, left, &|| self.stop.is_set()) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(Ok(()));
                }
                Err(refusal) => refusal,
            };
            let (code, fact, hint) = match refusal {
                Refusal::Failed(error) if *error.kind() == ErrorKind::BadValue => {
                    return Ok(Err(format!("{}: {}", place(), say(error))));
                }
                Refusal::Failed(error) => return Err(error.into()),
                Refusal::Disconnected(who) => {
                    let what_now = "nobody is left to receive; messages stay for who comes next";
                    self.obituaries.tell(&who, what_now);
                    continue;
                }
                Refusal::Closed => (NOTHING, "it is closed".to_owned(), &self.reopen),
                _ if self.stop.is_set() => return Err(Failure::silent(INTERRUPTED)),
                _ => {
                    let after = self.timeout.unwrap_or_default().as_millis();
                    (TIMED_OUT, format!("after {after} ms: nobody made room"), &self.who_receives)
                }
            };
            let before = output::count(self.sent, "message was", "messages were");
            let text = format!("send to {}: {}: {fact}; {before} sent before", self.object, place());
            return Err(Failure::new(code, text).hint(hint));
        }
    }
}
