//! `coseg watch`: what changes in a segment, as it changes.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use coseg_sysv::Stat;
use jiff::Zoned;
use schemars::JsonSchema;
use serde::Serialize;

use super::diff::{bytes, fields};
use crate::args::Global;
use crate::contents::Contents;
use crate::failure::{Failure, NOTHING, Result, TIMED_OUT};
use crate::image::Image;
use crate::output::{self, DIM};
use crate::selector::Selector;
use crate::stop::Stop;
use crate::time;
use crate::told::{Subject, Told};
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  $ coseg watch name:market                     every field that changes, a line each
  14:03:07.512  board[0].sell  13.72 -> 14.0 EUR
  14:03:08.514  trades  42 -> 43
  $ coseg watch name:market board trades        of these parts, or fields of them
  $ coseg watch 0x4242 --every 100ms            of what is no region, the bytes
  14:05:11.020  0x0  5 bytes: 6d 69 6c 6b 2c -> 6f 61 74 73 0a
  $ coseg watch 0x4558 --as 'struct { double sell, buy; } [4]'     the fields of what is told to be there
  14:05:12.021  [1].sell  1.5 -> 2.5
  $ coseg watch name:market --json | jq -c 'select(.field == \"trades\").after'
It looks every second, or as --every says, at a copy of the segment: what was changed and changed back between two looks \
is not seen, nor is what lies outside of a type that is told. A region's values are shown as they are at one moment, unless it changes without a pause. Each look reads all \
that was ever written. Where that cannot be done without attaching, it stays attached until it ends, which is said. \
Ends when the segment is removed, after COUNT changes, or when nobody reads the output: 0; when nothing changes for TIME: \
124; with Ctrl-C: 130. Exit codes: 1 if there is no such segment.";

/// Changes that one look tells at most; the rest is counted.
const LOOK_MAX: usize = 1000;

/// Show what changes in a segment, as it changes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Watch {
    /// The segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// Only these parts or fields of a region
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Look so often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    every: Duration,
    /// End after so many changes
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Give up when nothing changes for so long: 5s, 500ms, 1m
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    told: Told,
}

/// A time that leaves some for others.
fn parse_interval(text: &str) -> std::result::Result<Duration, String> {
    time::parse_interval(text, Duration::from_millis(1))
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Line<'a, D: Serialize> {
    id: i32,
    key_hex: String,
    unix_ns: u64,
    #[serde(flatten)]
    difference: &'a D,
}

pub(crate) fn run(args: &Watch, global: &Global) -> Result<ExitCode> {
    let stop = Stop::on_first_signal("watch")?;
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let contents = Contents::open(&view, &stat)?;
    let whose = title(&stat);
    let (mut before, _) = Image::of(&contents, &stop, "copy")?;
    let (mut after, _) = Image::of(&contents, &stop, "copy")?;
    // The copies stay where they are, and what is looked into follows them.
    let mut regions = match args.told.is_told() {
        true => None,
        false => before.region(&whose)?.zip(after.region(&whose)?),
    };
    let subject = Subject::of("watch", &view, &stat);
    let typed = match &regions {
        Some(_) => None,
        None => args.told.find_said(&subject)?,
    };
    if regions.is_none() && typed.is_none() && !args.paths.is_empty() {
        let text = format!("watch {whose}: it is a plain segment, and has no `{}`", args.paths.join("`, `"));
        return Err(Failure::new(NOTHING, output::printable(&text)));
    }
    if let Some(typed) = &typed {
        typed.remember(&subject);
        typed.say_if_remembered(&subject);
    }
    let mut teller = Teller { stat, json: global.json, left: args.count.unwrap_or(u64::MAX) };
    let mut last_change = Instant::now();
    // The two copies are of different moments already.
    let mut differed = true;
    while teller.left > 0 && !output::reader_has_gone() {
        stop.sleep_while(args.every, || !output::reader_has_gone())?;
        // Its bytes can be read for as long as they are open here.
        match view.facility.backend.stat(stat.id).map_err(Failure::from) {
            Ok(now) if stat.removed || !now.removed => {}
            Err(failure) if failure.code() != NOTHING => return Err(failure),
            _ => {
                output::note(&format!("{whose} was removed"));
                break;
            }
        }
        // It was of the look before the last: what changed then and what changes now both count.
        let differs = after.follow(&contents)?.0;
        let told = match &regions {
            _ if !(differs || differed) => 0,
            Some((one, other)) => {
                let both = fields::Both::new((&before, one), (&after, other));
                let limit = if args.paths.is_empty() { LOOK_MAX } else { usize::MAX };
                let (count, found) = both.differences(limit)?;
                let told = teller.tell(found.iter().filter(|found| args.is_meant(found.field())))?;
                note_more(count - found.len());
                told
            }
            None if let Some(typed) = &typed => {
                let one = typed.value(&subject, &|at, bytes| before.read(at, bytes))?;
                let other = typed.value(&subject, &|at, bytes| after.read(at, bytes))?;
                let limit = if args.paths.is_empty() { LOOK_MAX } else { usize::MAX };
                let (count, found) = fields::of_values(&typed.of, (&one, &other), limit);
                let told = teller.tell(found.iter().filter(|found| args.is_meant(found.field())))?;
                note_more(count - found.len());
                told
            }
            None => {
                let found = bytes::differences(&before, &after, LOOK_MAX)?;
                let told = teller.tell(found.listed.iter())?;
                note_more(found.count - found.listed.len());
                told
            }
        };
        if told > 0 {
            last_change = Instant::now();
        }
        differed = differs;
        std::mem::swap(&mut before, &mut after);
        regions = regions.map(|(one, other)| (other, one));
        if let Some(timeout) = args.timeout.filter(|timeout| last_change.elapsed() >= *timeout) {
            let after = timeout.as_millis();
            return Err(Failure::new(TIMED_OUT, format!("watch {whose}: after {after} ms: nothing changed")));
        }
    }
    contents.close()?;
    Ok(ExitCode::SUCCESS)
}

fn note_more(count: usize) {
    if count > 0 {
        output::note(&format!("and {}", output::count(count as u64, "change more", "changes more")));
    }
}

impl Watch {
    /// Whether a field is one that was asked for, or lies in one.
    fn is_meant(&self, field: &str) -> bool {
        let is_in = |path: &String| {
            let rest = field.strip_prefix(path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.paths.is_empty() || self.paths.iter().any(is_in)
    }
}

/// Writes changes, as many as are wanted.
struct Teller {
    stat: Stat,
    json: bool,
    left: u64,
}

impl Teller {
    fn tell<'d, D: Serialize + fmt::Display + 'd>(
        &mut self,
        differences: impl Iterator<Item = &'d D>,
    ) -> Result<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock = Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        let unix_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut told = 0;
        for difference in differences.take(usize::try_from(self.left).unwrap_or(usize::MAX)) {
            told += 1;
            if self.json {
                let (id, key_hex) = (self.stat.id.raw(), self.stat.key.to_string());
                output::print_line(&Line { id, key_hex, unix_ns, difference })?;
            } else {
                output::print(&format!("{}  {difference}\n", output::paint(DIM, &clock)))?;
            }
        }
        self.left -= told;
        Ok(told)
    }
}
