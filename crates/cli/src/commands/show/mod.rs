//! `coseg show`: a region, decoded by its own schema; any other segment, by a type that is told.

pub(super) mod document;
pub(super) mod foreign;
pub(crate) mod parts;

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use coseg::schema::Part;
use coseg::{Inspection, Participant};
use coseg_sysv::Stat;

use crate::args::Global;
use crate::extents::Extents;
use crate::failure::{Failure, Result};
use crate::opened;
use crate::output::{self, BOLD, DIM, printable};
use crate::selector::Selector;
use crate::told::{self, Told};
use crate::view::{View, title};
use crate::{size, time};

const EXAMPLES: &str = "\
Examples:
  coseg show name:market              a region by its own name
  coseg show 0x4558 ledger            one of its parts
  coseg show 0x4558 ledger --all      with the rows that are all zero
  coseg show id:3 --json | jq '.parts[] | select(.name == \"board\").value'
  coseg show 0x4558 --as 'struct { double sell, buy, stock; } [4]'
  coseg show 5678 --as 'char text[27]'
  coseg show 0x4557 --type 'Currency[4]' --debug-info ./exchange     a program compiled with -g
What is inside a region is told by the region itself; the program that made it is not needed. \
A value is shown as it was at one moment; values, rows and parts are read one after the other. \
Looking makes one read-only attachment for a moment, and changes nothing in the region. \
What is no region is shown by a type: a C declaration (what is declared last; [] for as many as \
there is room), or one of a program's debug information: structs, unions, arrays, bit-fields, \
enums by their names, addresses in hexadecimal. For a key it is remembered. NTP's and PostgreSQL's segments \
are known. Such a segment's bytes are read without attaching it if a program is attached, and \
may be of several moments.";

/// Show what is in a region, with names and units
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Show {
    /// The region's segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// Only this part
    part: Option<String>,
    /// Show rows and elements that are all zero, and long arrays in full
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    told: Told,
    /// Forget which type was given to this key
    #[arg(long, conflicts_with_all = ["declaration", "type_name", "offset"])]
    forget: bool,
}

/// A region, and how much of it is shown.
struct Shown<'a> {
    region: &'a Inspection,
    extents: Option<Extents>,
    all: bool,
}

impl Shown<'_> {
    /// Whether nobody has ever written a row, or one near it.
    fn is_untouched(&self, part: &Part, row: usize) -> bool {
        let number = self.region.schema().parts.iter().position(|own| own.name == part.name);
        match (&self.extents, number.and_then(|part| self.region.row_range(part, row))) {
            (Some(extents), Some(bytes)) => !extents.touch(&(bytes.start as u64..bytes.end as u64)),
            _ => false,
        }
    }
}

pub(crate) fn run(args: &Show, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    if args.forget {
        return told::forget_type(&view, &args.selector).map(|()| ExitCode::SUCCESS);
    }
    let stat = args.selector.one(&view)?.stat;
    let Some(region) = args.told.region(&view, &stat)? else {
        foreign::show(args, global, &view, &stat)?;
        return Ok(ExitCode::SUCCESS);
    };
    let chosen = chosen(args, &region, &stat)?;
    let shown = Shown { region: &region, extents: Extents::of(&view, &stat), all: args.all };
    if global.json {
        document::print(&view, &stat, &shown, &chosen)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    if args.part.is_none() {
        header(&mut text, &view, &stat, &region, global);
    }
    for (index, part) in chosen.iter().enumerate() {
        if index > 0 || args.part.is_none() {
            text.push('\n');
        }
        parts::describe(&mut text, &shown, *part)?;
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The indexes of the parts to show.
fn chosen(args: &Show, region: &Inspection, stat: &Stat) -> Result<Vec<usize>> {
    let parts = &region.schema().parts;
    let Some(name) = &args.part else { return Ok((0..parts.len()).collect()) };
    match parts.iter().position(|part| part.name == *name) {
        Some(part) => Ok(vec![part]),
        None => {
            let names: Vec<String> = parts.iter().map(|part| printable(&part.name)).collect();
            let text = format!("show {}: it has no part `{}`", title(stat), printable(name));
            Err(Failure::nothing(text).hint(format!("one of {}", names.join(", "))))
        }
    }
}

fn header(text: &mut String, view: &View, stat: &Stat, region: &Inspection, global: &Global) {
    let bytes = |number: usize| match global.bytes {
        true => number.to_string(),
        false => size::sentence(number as u64),
    };
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {value}", output::paint(DIM, format!("{name:>12}")));
    };
    let name = match region.name() {
        "" => "without a name".to_owned(),
        name => printable(name),
    };
    line("region", output::paint(BOLD, name));
    line("type", printable(&region.schema().name));
    line("segment", format!("{}, {}", title(stat), bytes(stat.size_bytes)));
    line("backend", view.facility.place());
    line("created", time::with_age(time::seconds_of(region.created_unix_ns())));
    let joined = region.participants();
    line("participants", format!("{} of {}", joined.len(), region.participants_max()));
    for participant in &joined {
        line("", format!("  {}", party(participant)));
    }
    let through =
        if opened::get().is_some() { "a private copy" } else { "one read-only attachment, given back" };
    line("looked at by", through.to_owned());
}

/// `trader (pid 12, slot 0, generation 1), joined 3s ago`
fn party(participant: &Participant) -> String {
    let fate = match participant.alive {
        Some(true) => "",
        Some(false) => ", dead",
        None => ", in another PID namespace",
    };
    let since = time::short_since(participant.joined_unix_ns);
    format!("{}, joined {since} ago{fate}", printable(&participant.to_string()))
}
