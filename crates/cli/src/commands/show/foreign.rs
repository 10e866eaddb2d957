//! A segment that no region describes, by a type that is told otherwise.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use coseg::Value;
use coseg::schema::Type;
use coseg_sysv::{Key, Stat, User};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Show, parts};
use crate::args::Global;
use crate::contents::Contents;
use crate::failure::{Failure, Result};
use crate::foreign::{BitField, Choice, Remembered, forget, known, remember, remembered, value_count};
use crate::opened::{self, Opened};
use crate::output::{self, DIM, printable};
use crate::record::Origin;
use crate::selector::Selector;
use crate::size;
use crate::value::{Json, TypeJson};
use crate::view::{View, title};

/// More than this nobody reads, and it would take many times as much memory.
const SHOWN_MAX: usize = 16 << 20;
/// The same of values.
const VALUES_MAX: usize = 4 << 20;
/// What is looked at to know a segment by its bytes.
const FIRST_BYTES: usize = 64;

/// What the bytes are.
#[derive(Debug, Args)]
pub(super) struct Told {
    /// What the bytes are, as C declares it
    #[arg(long = "as", value_name = "DECLARATION", conflicts_with = "type_name")]
    declaration: Option<String>,
    /// What the bytes are: a type of the program that made them
    #[arg(long = "type", value_name = "NAME", id = "type_name")]
    type_name: Option<String>,
    /// The program, compiled with -g [default: those that are attached]
    #[arg(long, value_name = "FILE", requires = "type_name")]
    debug_info: Option<PathBuf>,
    /// Where in the segment it begins
    #[arg(long, value_name = "BYTES", value_parser = size::parse_usize)]
    offset: Option<usize>,
    /// Forget which type was given to this key
    #[arg(long, conflicts_with_all = ["declaration", "type_name", "offset"])]
    forget: bool,
}

/// A type, and who says so.
struct Found {
    of: Type,
    bits: Vec<BitField>,
    text: String,
    offset_bytes: usize,
    told_by: &'static str,
    /// To be remembered.
    own: Option<Remembered>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    key: i32,
    key_hex: String,
    segment_size_bytes: usize,
    declared: &'a str,
    declared_by: &'a str,
    offset_bytes: usize,
    looked_through: &'static str,
    r#type: TypeJson<'a>,
    value: Json<&'a Value>,
}

impl Told {
    pub(super) fn is_told(&self) -> bool {
        self.declaration.is_some() || self.type_name.is_some()
    }

    /// Whether a type is to be forgotten.
    pub(super) fn forgets(&self) -> bool {
        self.forget
    }

    fn choice(&self, view: &View, stat: &Stat) -> Result<Option<Choice>> {
        if let Some(text) = &self.declaration {
            return Ok(Some(Choice::Declaration(text.clone())));
        }
        let Some(name) = &self.type_name else { return Ok(None) };
        if let Some(file) = &self.debug_info {
            let file = fs::canonicalize(file)
                .map_err(|error| Failure::io(printable(&file.to_string_lossy()), &error))?;
            return Ok(Some(Choice::Program { name: name.clone(), file }));
        }
        let mut seen = Vec::new();
        let mut refused = Vec::new();
        for holder in view.who()?.of(stat.id) {
            // What it runs, whatever is at that path by now, or here.
            let running = PathBuf::from(format!("/proc/{}/exe", holder.pid));
            let identity = |path: &Path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
            let Some(program) = identity(&running).filter(|own| !seen.contains(own)) else { continue };
            seen.push(program);
            let path = fs::read_link(&running).ok().filter(|path| identity(path) == Some(program));
            let choice = Choice::Program { name: name.clone(), file: path.unwrap_or(running) };
            match choice.declared() {
                Ok(_) => return Ok(Some(choice)),
                Err(fact) => refused.push(fact),
            }
        }
        let text = match refused.is_empty() {
            true => format!("show {}: no program is attached that could tell what {name} is", title(stat)),
            false => format!("show {}: {}", title(stat), refused.join("; ")),
        };
        Err(Failure::error(printable(&text)).hint("--debug-info FILE, or --as DECLARATION"))
    }

    /// The type that is told now, was told before, or is known; `None`: nothing says what the bytes are.
    fn find(&self, view: &View, stat: &Stat, contents: &Contents<'_>) -> Result<Option<Found>> {
        let refuse = |fact: String| Failure::error(format!("show {}: {}", title(stat), printable(&fact)));
        let room_at = |offset: usize| stat.size_bytes.saturating_sub(offset);
        if let Some(choice) = self.choice(view, stat)? {
            let offset_bytes = self.offset.unwrap_or(0);
            let (of, bits) =
                choice.declared().and_then(|own| own.within(room_at(offset_bytes))).map_err(refuse)?;
            let text = choice.to_string();
            // Of a program that has no path here, the next time knows nothing.
            let lasts = !matches!(&choice, Choice::Program { file, .. } if file.starts_with("/proc"));
            let own = (lasts && !stat.key.is_private()).then_some(Remembered { choice, offset_bytes });
            return Ok(Some(Found { of, bits, text, offset_bytes, told_by: "as told", own }));
        }
        if let Some(own) = remembered(&place(view, stat.key)).map_err(refuse)? {
            let offset_bytes = self.offset.unwrap_or(own.offset_bytes);
            let of = own.choice.declared().and_then(|own| own.within(room_at(offset_bytes)));
            let (of, bits) = of.map_err(|fact| refuse(fact).hint("--forget"))?;
            return Ok(Some(Found {
                of,
                bits,
                text: own.choice.to_string(),
                offset_bytes,
                told_by: "as remembered",
                own: None,
            }));
        }
        let mut first = vec![0; stat.size_bytes.min(FIRST_BYTES)];
        contents.read(0, &mut first)?;
        let Some((name, declared)) = known(stat.key.raw(), &first) else { return Ok(None) };
        let offset_bytes = self.offset.unwrap_or(0);
        let (of, bits) = declared.within(room_at(offset_bytes)).map_err(refuse)?;
        Ok(Some(Found {
            of,
            bits,
            text: name.to_owned(),
            offset_bytes,
            told_by: "by its key or first bytes",
            own: None,
        }))
    }
}

/// Forgets the type of a key, whether a segment has it or not.
pub(super) fn forget_type(view: &View, selector: &Selector) -> Result<()> {
    let key = match selector.key()? {
        Some(key) => key,
        None => selector.one(view)?.stat.key,
    };
    let path = forget(&place(view, key)).map_err(Failure::error)?;
    output::note(&match path {
        Some(path) => format!("forgotten in {}", printable(&path.to_string_lossy())),
        None => format!("no type was remembered for {key}"),
    });
    Ok(())
}

/// Shows a segment by a type that is told or known.
pub(super) fn show(args: &Show, global: &Global, view: &View, stat: &Stat) -> Result<()> {
    let contents = Contents::open(view, stat)?;
    let Some(found) = args.told.find(view, stat, &contents)? else {
        let text =
            format!("show {}: it is a plain segment, and nothing says what its bytes are", title(stat));
        return Err(Failure::error(text).hint("--as 'struct { … }' or --type NAME to say it, or coseg read"));
    };
    if let Some(part) = &args.part {
        let text = format!("show {}: it is no region, and has no part `{}`", title(stat), printable(part));
        return Err(Failure::nothing(text));
    }
    let size_bytes = found.of.size_bytes();
    if size_bytes > SHOWN_MAX || value_count(&found.of) > VALUES_MAX {
        let text =
            format!("show {}: {} are more than can be shown", title(stat), size::sentence(size_bytes as u64));
        return Err(Failure::error(text).hint("a type of fewer bytes, and --offset"));
    }
    let mut bytes = vec![0; size_bytes];
    contents.read(found.offset_bytes, &mut bytes)?;
    let mut value = coseg::decode(&found.of, &bytes);
    found.bits.iter().for_each(|field| field.extract(&mut value));
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id: stat.id.raw(),
            key: stat.key.raw(),
            key_hex: stat.key.to_string(),
            segment_size_bytes: stat.size_bytes,
            declared: &found.text,
            declared_by: found.told_by,
            offset_bytes: found.offset_bytes,
            looked_through: contents.looked_through(),
            r#type: TypeJson::from(&found.of),
            value: Json(&value),
        })?;
    } else {
        let through = contents.looked_through();
        let mut text = header(global, view, stat, through, &found);
        parts::describe_value(&mut text, &found.of, &value, args.all);
        output::print(&text)?;
    }
    if let Some(own) = found.own {
        match remember(&place(view, stat.key), own) {
            Ok(Some(path)) => output::note(&format!(
                "{} will be shown so from now on: remembered in {}; --forget ends it",
                stat.key,
                printable(&path.to_string_lossy())
            )),
            Ok(None) => {}
            Err(fact) => output::note(&format!("not remembered: {}", printable(&fact))),
        }
    }
    contents.close()
}

/// Under what a type is remembered: a key of the one backend is another one's too. A dump's is that of its segment, as
/// far as can be told.
fn place(view: &View, key: Key) -> String {
    let place = match opened::get() {
        Some(Opened { backend: "user", .. }) => {
            format!("user, in {}", User::directory_of_environment().display())
        }
        Some(Opened { backend, .. }) => (*backend).to_owned(),
        None => view.facility.place(),
    };
    format!("{key} of {place}")
}

/// Whether a type is remembered for a segment.
pub(super) fn is_remembered(view: &View, stat: &Stat) -> bool {
    remembered(&place(view, stat.key)).is_ok_and(|found| found.is_some())
}

fn header(global: &Global, view: &View, stat: &Stat, through: &str, found: &Found) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {value}", output::paint(DIM, format!("{name:>12}")));
    };
    line("segment", format!("{}, {}", title(stat), size::show(stat.size_bytes as u64, global.bytes)));
    line("backend", view.facility.place());
    let at = match found.offset_bytes {
        0 => String::new(),
        offset => format!(", from byte {offset} on"),
    };
    line("type", format!("{} ({}{at})", printable(&found.text), found.told_by));
    line("looked at by", through.to_owned());
    text.push('\n');
    text
}
