//! `coseg map put`: values under their keys.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coseg::{ErrorKind, UntypedEntry, UntypedMap, Value};
use coseg_sysv::Stat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Change, argument, checked, chosen, place, print_changes};
use crate::args::Global;
use crate::failure::{ERROR, Failure, Result};
use crate::input::Input;
use crate::output::{self, printable};
use crate::parse;
use crate::record::Origin;
use crate::regions;
use crate::selector::Selector;
use crate::stop::Stop;
use crate::time;
use crate::value::line;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  coseg map put name:book quotes EURUSD 1.07
  coseg map put name:book quotes EURUSD 1.07 --for 1m           gone after a minute
  coseg map put name:book positions 17 '{\"amount\": 5, \"price\": 1.5}'
  coseg map put name:book owners 17 ada --new                   unless it has one: 1
  coseg map put name:book owners 17 bob --if ada                if it is still ada's
  coseg map put name:book quotes < quotes.jsonl                 an entry a line
  coseg map ls name:book quotes --json | coseg map put name:copy quotes
A value is JSON by the map's type: {\"field\": …} with all fields, [elements], numbers, text; one \
field alone is set by coseg set. A number or text needs no quotes.
Lines are {\"key\": …, \"value\": …}, and \"expires_in_ms\": … where the entry is to be gone by then. \
Each is checked and put at once. One that is no entry is told with its number, field and fact, and \
is not put; those before and behind it are. A full map ends it.
A change takes the region's lock, as the programs do, and is seen whole or not at all, whoever is \
killed. With --if a value keeps its time, unless --for gives it another.
Exit codes: 1 if there is no such region or map, --new or --if did not hold, or the map is full; 2 \
if it is no such key or value; 124 if the lock was held too long; 130 with Ctrl-C.";

/// Set the value of a key; without one, of each line of JSON on standard input
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Put {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// The part that is a map
    map: String,
    /// A number or text without quotes, or JSON
    #[arg(requires = "value", allow_negative_numbers = true)]
    key: Option<String>,
    /// The same
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// For so long only: 5s, 500ms, 1m; of lines, those without a time of their own
    #[arg(long = "for", value_name = "TIME", value_parser = parse_stay)]
    stay: Option<Duration>,
    /// Only if the key has no value
    #[arg(long, conflicts_with = "expected")]
    new: bool,
    /// Only if this is its value
    #[arg(long = "if", value_name = "OLD", requires = "key", allow_negative_numbers = true)]
    expected: Option<String>,
    /// How long to wait for the lock: 5s, 500ms, 1m
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = time::parse_duration)]
    timeout: Duration,
}

/// How long an entry is to stay: not for nothing, nor beyond what a clock of 64 bits in nanoseconds can tell.
fn parse_stay(text: &str) -> Result<Duration, String> {
    const YEARS_MAX: u64 = 100;
    const MOST: Duration = Duration::from_secs(YEARS_MAX * 365 * 86_400);
    match time::parse_duration(text)? {
        Duration::ZERO => Err("it would be gone at once: coseg map rm removes a key".to_owned()),
        stay if stay > MOST => {
            Err(format!("{YEARS_MAX} years are the longest; without --for it stays for ever"))
        }
        stay => Ok(stay),
    }
}

/// A line of standard input, as `ls --json` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: parse::Json,
    value: parse::Json,
    expires_in_ms: Option<u64>,
}

/// What must be true of a key's value before it is set.
#[derive(Debug)]
enum Condition {
    Any,
    None,
    Some(Value),
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Summary<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    map: &'a str,
    put_count: u64,
    refused_count: u64,
}

pub(crate) fn run(args: &Put, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let region = regions::join(&view, &stat)?;
    let map = chosen(&region, &stat, &args.map)?;
    let condition = match &args.expected {
        Some(text) => Condition::Some(argument("--if", &stat, map.value_type(), text)?),
        None if args.new => Condition::None,
        None => Condition::Any,
    };
    let target = Target { map: &map, stat: &stat, condition, timeout: args.timeout };
    let done = match (&args.key, &args.value) {
        (Some(key), Some(value)) => {
            let key = argument("key", &stat, map.key_type(), key)?;
            let value = argument("value", &stat, map.value_type(), value)?;
            target.put(key, value, args.stay).and_then(|done| {
                tell(&view, &target, &done?, global.json)?;
                Ok(ExitCode::SUCCESS)
            })
        }
        _ => target.put_lines(args.stay).and_then(|(put_count, refused_count, code)| {
            if global.json {
                let (origin, id) = (Origin::of(&view.facility), stat.id.raw());
                let map = &map.schema().name;
                output::print_json(&Summary { origin, id, map, put_count, refused_count })?;
            }
            Ok(ExitCode::from(code))
        }),
    };
    regions::tell_recoveries(&region);
    done
}

fn tell(view: &View, target: &Target<'_>, change: &Change, json: bool) -> Result<()> {
    if json {
        return print_changes(view, target.stat, target.map, false, std::slice::from_ref(change));
    }
    let shown =
        |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), |value| line(value, true));
    let (before, after) = (shown(&change.before), shown(&change.after));
    output::print(&format!("{}: {before} -> {after}\n", place(target.map, &change.key)))
}

struct Target<'a> {
    map: &'a UntypedMap,
    stat: &'a Stat,
    condition: Condition,
    timeout: Duration,
}

impl Target<'_> {
    /// Puts each line of standard input; how many were, how many were not, and what that is to end with.
    fn put_lines(&self, stay: Option<Duration>) -> Result<(u64, u64, u8)> {
        let stop = Stop::on_first_signal("map put")?;
        let mut input = Input::new(&stop);
        let (mut put, mut refused, mut code) = (0_u64, 0_u64, 0);
        let mut number = 0_u64;
        while let Some(text) = input.line()? {
            number += 1;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let done = match self.entry(&text) {
                Ok((key, value, own)) => {
                    let before = |failure: Failure| {
                        let count = output::count(put, "entry was", "entries were");
                        failure
                            .retell(|text| format!("line {number}: {text}; {count} put before"))
                            .after(code)
                    };
                    let done = self.put(key, value, own.or(stay)).map_err(before)?;
                    done.map(drop).map_err(|refusal| (refusal.code(), refusal.text().to_owned()))
                }
                Err(fact) => Err((ERROR, printable(&fact))),
            };
            match done {
                Ok(()) => put += 1,
                Err((own, fact)) => {
                    output::complain(&format!("line {number}: {fact}"));
                    refused += 1;
                    code = code.max(own);
                }
            }
        }
        Ok((put, refused, code))
    }

    fn entry(&self, text: &[u8]) -> Result<(Value, Value, Option<Duration>), String> {
        let Line { key, value, expires_in_ms } = parse::document(text)?;
        let read = |what, of, json: parse::Json| {
            let value = json.value_of(of).and_then(|value| checked(of, value));
            value.map_err(|fact| format!("{what}: {fact}"))
        };
        let key = read("key", self.map.key_type(), key)?;
        let value = read("value", self.map.value_type(), value)?;
        Ok((key, value, expires_in_ms.map(Duration::from_millis)))
    }

    /// Puts a value, if the condition holds; else what does not.
    fn put(&self, key: Value, value: Value, stay: Option<Duration>) -> Result<Result<Change>> {
        let before = self.map.update(&key, self.timeout, |entry| {
            let before = entry.clone();
            let time = before.as_ref().and_then(|entry| entry.expires_in);
            let (holds, time) = match (&self.condition, &before) {
                (Condition::Any, _) | (Condition::None, None) => (true, None),
                (Condition::Some(old), Some(own)) => (is_same(old, &own.value), time),
                (Condition::None, Some(_)) | (Condition::Some(_), None) => (false, None),
            };
            if holds {
                *entry = Some(UntypedEntry { value: value.clone(), expires_in: stay.or(time) });
            }
            (holds, before.map(|entry| entry.value))
        });
        let before = before.map_err(|error| self.not_put(error))?;
        Ok(match before {
            (true, before) => Ok(Change { key, before, after: Some(value) }),
            (false, before) => Err(self.refusal(&key, before)),
        })
    }

    fn not_put(&self, error: coseg::Error) -> Failure {
        let is_full = *error.kind() == ErrorKind::Full;
        let failure = Failure::from(error);
        if !is_full {
            return failure;
        }
        let command = format!("coseg map rm id:{} {}", self.stat.id, printable(&self.map.schema().name));
        failure.hint(format!("{command} --expired, or {command} with keys that nobody needs"))
    }

    fn refusal(&self, key: &Value, found: Option<Value>) -> Failure {
        let (fact, hint) = match (found, &self.condition) {
            (Some(found), Condition::Some(old)) => (
                format!("its value is {}, not {}", line(&found, true), line(old, true)),
                "the same command with --if and what it is now",
            ),
            (Some(found), _) => {
                (format!("it has a value: {}", line(&found, true)), "the same command without --new")
            }
            (None, _) => ("there is no such key".to_owned(), "--new instead of --if"),
        };
        Failure::nothing(format!("put {} of {}: {fact}", place(self.map, key), title(self.stat))).hint(hint)
    }
}

/// Whether both are shown as the same: so is NaN.
fn is_same(one: &Value, other: &Value) -> bool {
    line(one, true) == line(other, true)
}
