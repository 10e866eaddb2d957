//! `coseg dump`: what a segment holds, and what is known of it, kept in a file.

use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::args::Global;
use crate::contents::Contents;
use crate::dumpfile::{self, Meta};
use crate::failure::{Failure, Result, io_text};
use crate::image::{Image, Moment};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::selector::Selector;
use crate::size;
use crate::stop::Stop;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  $ coseg dump 0x4242 notes.dump
  dumped key 0x00004242 (id 0): 4KiB of 1MiB are not zero; all bytes are of one moment
  $ coseg dump name:market - | zstd > market.dump.zst
  $ coseg dump name:market market.dump --json | jq .one_moment
The dump has the bytes, key, id, owner, mode, times and, of a region, name and schema. Zeroes take no room in it. The \
file comes to be whole or not at all, and is its owner's alone.
The bytes are copied and compared until nothing changed while they were compared: then a region's values are those of \
one moment. Of a segment that is changed all the time each page is of another moment, which is said. \
While a process is attached that you may look into, nothing is attached for this. Who may not open /proc/PID/map_files (CAP_CHECKPOINT_RESTORE does) \
cannot tell the kernel's holes from zeroes, and reading them takes memory. The copy is made in TMPDIR, as large as what is not zero.";

/// Keep a segment's contents in a file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Dump {
    /// The segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// Where to write; - is standard output
    file: PathBuf,
    /// Replace a file that is no dump
    #[arg(long)]
    force: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    file: &'a Path,
    size_bytes: usize,
    /// Of them, those of pages that are not zero.
    stored_bytes: usize,
    one_moment: bool,
    is_region: bool,
    looked_through: &'static str,
}

pub(crate) fn run(args: &Dump, global: &Global) -> Result<ExitCode> {
    let is_stream = args.file.as_os_str() == "-";
    if is_stream && io::stdout().is_terminal() {
        return Err(Failure::error("dump: a dump is binary data, which a terminal would obey").hint("> FILE"));
    }
    if is_stream && global.json {
        return Err(
            Failure::error("dump: standard output takes the dump or the JSON").hint("--json with a file")
        );
    }
    if !is_stream {
        refuse_what_is_there(&args.file, args.force)?;
    }
    let stop = Stop::on_first_signal("dump")?;
    let view = View::open(global)?;
    let stat = args.selector.one(&view)?.stat;
    let contents = Contents::open(&view, &stat)?;
    let (image, moment) = Image::of(&contents, &stop, "copy")?;
    let region = image.region(&title(&stat)).unwrap_or_else(|failure| {
        output::note(&format!("the bytes are dumped as they are, without a schema: {failure}"));
        None
    });
    let meta = Meta::new(view.facility.name(), &stat, moment, region.as_ref());
    let stored = if is_stream {
        dumpfile::write(&mut BufWriter::new(io::stdout().lock()), &meta, &image)?
    } else {
        keep(&args.file, &meta, &image)?
    };
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id: stat.id.raw(),
            file: &args.file,
            size_bytes: stat.size_bytes,
            stored_bytes: stored,
            one_moment: moment == Moment::One,
            is_region: region.is_some(),
            looked_through: contents.looked_through(),
        })?;
    } else {
        let bytes = |number: usize| size::show(number as u64, global.bytes);
        let of_when = match moment {
            Moment::One => "all bytes are of one moment",
            Moment::Mixed => "it was changed all the time, so that each page is of another moment",
        };
        let text = format!(
            "dumped {}: {} of {} kept, the rest is zero; {of_when}",
            title(&stat),
            bytes(stored),
            bytes(stat.size_bytes)
        );
        if is_stream { output::note(&text) } else { output::print(&format!("{text}\n"))? }
    }
    contents.close()?;
    Ok(ExitCode::SUCCESS)
}

/// Another dump may be replaced, anything else is somebody's. A device or pipe would be replaced, not written to.
fn refuse_what_is_there(path: &Path, force: bool) -> Result<()> {
    let name = || printable(&path.to_string_lossy());
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            let text = format!("write {}: it is there already, and no file", name());
            Err(Failure::error(text).hint("another name, or - and > to write into it"))
        }
        Ok(meta) if meta.len() > 0 && !force && !dumpfile::is_dump(path) => {
            let text = format!("write {}: there is a file already, which is no dump", name());
            Err(Failure::error(text).hint("another name, or --force"))
        }
        _ => Ok(()),
    }
}

/// Written beside its place under another name first.
fn keep(path: &Path, meta: &Meta, image: &Image) -> Result<usize> {
    let failed = |error: &io::Error| {
        Failure::error(format!("write {}: {}", printable(&path.to_string_lossy()), io_text(error)))
    };
    // Where it is a link, what that leads to is replaced.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Asked for itself, as the other's error hides the number.
    std::fs::metadata(directory).map_err(|error| failed(&error))?;
    let file = NamedTempFile::new_in(directory).map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(file);
    let stored = dumpfile::write(&mut out, meta, image)?;
    let file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    file.persist(path).map_err(|error| failed(&error.error))?;
    Ok(stored)
}
