//! `coseg diff`: what differs between two segments, dumps or moments.

pub(super) mod bytes;
pub(super) mod fields;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coseg::{Inspection, Value};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::contents::Contents;
use crate::dumpfile;
use crate::failure::{NOTHING, Result};
use crate::image::{Image, Moment};
use crate::output;
use crate::record::Origin;
use crate::selector::Selector;
use crate::stop::Stop;
use crate::time;
use crate::told::{Found, Subject, Told};
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  $ coseg diff before.dump name:market           a dump and a segment
  FIELD                 BEFORE  AFTER  UNIT
  board[0].sell          13.72   14.0  p
  ledger[5].limits.low       0     -9  p
  trades                    42     43  -
  3 differences
  $ coseg diff notes.dump 0x4242                 the same of one that is no region
  OFFSET  BYTES  BEFORE          AFTER
  0x0         5  6d 69 6c 6b 2c  6f 61 74 73 0a
  1 difference, in 5 bytes
  $ coseg diff name:market --after 1s            one segment at two moments
  $ coseg diff monday.dump tuesday.dump --json | jq '.differences[].field'
  $ coseg diff notes.dump 0x4242 --as 'struct { int count; double prices[7]; }'
Regions are compared by their fields, what a type is told of by its, anything else, or all with --raw, by bytes. What is neither id, key, name: nor pid: is \
a dump's file; ./5 is one too.
Each side is copied first, as coseg dump does. Exit codes: 0 nothing differs, 1 something does, 2 error.";

/// Show what differs between segments, dumps or moments
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// A segment or a dump
    before: String,
    /// Another
    #[arg(required_unless_present = "after", conflicts_with = "after")]
    other: Option<String>,
    /// Compare a segment with itself, so much later
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration)]
    after: Option<Duration>,
    /// Compare bytes, also of regions
    #[arg(long)]
    raw: bool,
    /// Show so many differences
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    limit: usize,
    #[command(flatten)]
    told: Told,
}

/// What is compared.
struct Side<'v> {
    title: String,
    image: Image,
    subject: Subject<'v>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Option<Origin>,
    before: SideJson<'a>,
    after: SideJson<'a>,
    differs: bool,
    /// `fields` or `bytes`.
    compared_by: &'static str,
    difference_count: usize,
    /// Bytes of no field that was told differ.
    outside_differs: bool,
    /// No field differs, and yet bytes of what was told do: padding, or what comes after a text's end.
    unseen_differs: bool,
    /// Not more than --limit.
    differences: Vec<Difference>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct SideJson<'a> {
    title: &'a str,
    size_bytes: usize,
}

#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub(crate) enum Difference {
    Field(fields::FieldDifference),
    Bytes(bytes::BytesDifference),
}

pub(crate) fn run(args: &Diff, global: &Global) -> Result<ExitCode> {
    let stop = Stop::on_first_signal("diff")?;
    // Two dumps are compared without asking after segments.
    let needs_view =
        [Some(&args.before), args.other.as_ref()].into_iter().flatten().any(|text| is_segment(text));
    let view = if needs_view || args.after.is_some() { Some(View::open(global)?) } else { None };
    let before = Side::load(&args.before, view.as_ref(), &stop)?;
    let after = match (&args.other, args.after) {
        (Some(other), _) => Side::load(other, view.as_ref(), &stop)?,
        (None, later) => {
            stop.sleep(later.unwrap_or_default())?;
            Side::load(&args.before, view.as_ref(), &stop)?
        }
    };
    let regions = match args.raw || args.told.is_told() {
        true => None,
        false => before.region().zip(after.region()),
    };
    let typed = match &regions {
        None if !args.raw => before.typed(&args.told)?.zip(after.typed(&args.told)?),
        _ => None,
    };
    let (compared_by, count, bytes, differences) = match &regions {
        Some((one, other)) => {
            let both = fields::Both::new((&before.image, one), (&after.image, other));
            let (count, found) = both.differences(args.limit)?;
            ("fields", count, 0, found.into_iter().map(Difference::Field).collect::<Vec<_>>())
        }
        // What the two are told to be is one type, unless something else was said of their keys.
        None if let Some((one, other)) = &typed
            && (&one.of, one.offset_bytes) == (&other.of, other.offset_bytes) =>
        {
            let (before, after) = (before.value(one)?, after.value(other)?);
            let (count, found) = fields::of_values(&one.of, (&before, &after), args.limit);
            ("fields", count, 0, found.into_iter().map(Difference::Field).collect())
        }
        None => {
            let found = bytes::differences(&before.image, &after.image, args.limit)?;
            let differences = found.listed.into_iter().map(Difference::Bytes).collect();
            ("bytes", found.count, found.bytes, differences)
        }
    };
    let (outside_differs, unseen_differs) = match &typed {
        Some((one, _)) if compared_by == "fields" => {
            let inside = one.offset_bytes..one.offset_bytes + one.of.size_bytes();
            let outside = bytes::differ_outside(&before.image, &after.image, &inside)?;
            let any = outside || bytes::differ_outside(&before.image, &after.image, &(0..0))?;
            (outside, count == 0 && any && !outside)
        }
        _ => (false, false),
    };
    if outside_differs {
        output::note("bytes outside of what was told differ too; --raw shows them");
    }
    if unseen_differs {
        output::note(
            "bytes differ that no field shows, such as padding or what comes after a text's end; --raw shows them",
        );
    }
    let sizes_differ = before.image.size_bytes() != after.image.size_bytes();
    let differs = count > 0 || sizes_differ || outside_differs || unseen_differs;
    if global.json {
        output::print_json(&Document {
            origin: view.as_ref().map(|view| Origin::of(&view.facility)),
            before: before.json(),
            after: after.json(),
            differs,
            compared_by,
            difference_count: count,
            outside_differs,
            unseen_differs,
            differences,
        })?;
    } else if differs {
        let mut text = table(&differences);
        if sizes_differ {
            let (one, other) = (before.image.size_bytes(), after.image.size_bytes());
            text.push_str(&format!("{} has {one} bytes, {} {other}\n", before.title, after.title));
        }
        if count > 0 {
            let in_bytes = match bytes {
                0 => String::new(),
                bytes => format!(", in {}", output::count(bytes as u64, "byte", "bytes")),
            };
            let shown = if count > differences.len() {
                format!("; {} shown", differences.len())
            } else {
                String::new()
            };
            let count = output::count(count as u64, "difference", "differences");
            text.push_str(&format!("{count}{in_bytes}{shown}\n"));
        }
        output::print(&text)?;
    }
    if let Some((one, _)) = &typed {
        one.remember(&before.subject);
        if compared_by == "fields" {
            one.say_if_remembered(&before.subject);
        }
    }
    Ok(ExitCode::from(if differs { NOTHING } else { 0 }))
}

fn table(differences: &[Difference]) -> String {
    match differences.first() {
        None => String::new(),
        Some(Difference::Field(_)) => fields::table(differences.iter().filter_map(|one| match one {
            Difference::Field(one) => Some(one),
            Difference::Bytes(_) => None,
        })),
        Some(Difference::Bytes(_)) => bytes::table(differences.iter().filter_map(|one| match one {
            Difference::Bytes(one) => Some(one),
            Difference::Field(_) => None,
        })),
    }
}

fn is_segment(text: &str) -> bool {
    text.parse::<Selector>().is_ok()
}

impl<'v> Side<'v> {
    fn load(text: &str, view: Option<&'v View>, stop: &Stop) -> Result<Side<'v>> {
        let Some((selector, view)) = text.parse::<Selector>().ok().zip(view) else {
            let (mut file, title) = super::restore::open(Path::new(text))
                .map_err(|failure| failure.hint("a dump's file; or a segment: an id, 0xKEY, name:NAME"))?;
            let (meta, image) = dumpfile::read(&mut file, &title, stop)?;
            if !meta.one_moment {
                output::note(&format!(
                    "{title} was dumped while it was changed: each page is of another moment"
                ));
            }
            let subject = Subject::of_dump("diff", &title, &meta, image.size_bytes());
            return Ok(Side { title, image, subject });
        };
        let stat = selector.one(view)?.stat;
        let contents = Contents::open(view, &stat)?;
        let (image, moment) = Image::of(&contents, stop, "copy")?;
        if moment == Moment::Mixed {
            output::note(&format!(
                "{} is changed all the time: each page is of another moment",
                title(&stat)
            ));
        }
        contents.close()?;
        Ok(Side { title: title(&stat), image, subject: Subject::of("diff", view, &stat) })
    }

    /// What its bytes are, where that is told or known.
    fn typed(&self, told: &Told) -> Result<Option<Found>> {
        told.find_said(&self.subject)
    }

    fn value(&self, typed: &Found) -> Result<Value> {
        typed.value(&self.subject, &|at, bytes| self.image.read(at, bytes))
    }

    /// The region that it is; one that cannot be looked into is bytes.
    fn region(&self) -> Option<Inspection> {
        self.image.region(&self.title).unwrap_or_else(|failure| {
            output::note(&format!("compared by bytes: {failure}"));
            None
        })
    }

    fn json(&self) -> SideJson<'_> {
        SideJson { title: &self.title, size_bytes: self.image.size_bytes() }
    }
}
