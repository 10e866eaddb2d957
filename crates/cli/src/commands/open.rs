//! `coseg open`: a dump looked into as if it were a segment.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};
use coseg_sysv::{Key, Mode};
use schemars::JsonSchema;
use serde::Serialize;

use super::restore::{self, Loaded};
use crate::args::{Cli, Color, Command, Global};
use crate::dumpfile::Meta;
use crate::failure::{ERROR, Failure, Result};
use crate::opened::{self, Opened};
use crate::output::{self, BOLD, DIM, printable};
use crate::people::People;
use crate::stop::Stop;
use crate::{size, time};

const EXAMPLES: &str = "\
Examples:
  coseg open market.dump                       what was dumped, and when
  coseg open market.dump show                  the region, with names and units
  coseg open market.dump show board
  coseg open market.dump get 'board[1].stock'
  coseg open notes.dump hex --offset 0x1000
  coseg open old.dump show --type 'Currency[4]' --debug-info ./exchange
  coseg open market.dump locks                 who held what
  coseg open market.dump map ls quotes --json
  zstd -dc market.dump.zst | coseg open - pages
After FILE comes any command that only looks, without its SEGMENT: show, get, read, hex, pages, locks; channel ls, stat \
and tail --keep; map ls and get. The dump is read whole and checked, into a private copy in TMPDIR, as large as what is \
not zero; nothing is restored, and the dump stays as it is. Of who had joined, those are told as \
alive who run on as the same processes, the others as dead, and what these held as orphaned. To compare dumps: coseg diff; to change what one \
holds: coseg restore FILE new.";

/// Look into a dump, as into a segment
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Open {
    /// The dump; - is standard input
    file: PathBuf,
    /// A command that looks, without the segment
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    file: &'a str,
    size_bytes: usize,
    #[serde(flatten)]
    meta: &'a Meta,
}

pub(crate) fn run(args: &Open, global: &Global) -> Result<ExitCode> {
    if let Some(word) = args.words.first() {
        refuse_unknown(&word.to_string_lossy())?;
    }
    let dump = restore::load(&args.file, &Stop::on_first_signal("open")?)?;
    if args.words.is_empty() {
        return describe(&dump, global).map(|()| ExitCode::SUCCESS);
    }
    let mut inner = match Cli::try_parse_from(line(&args.words, &format!("id:{}", dump.image.id()))) {
        Ok(inner) => inner,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return Ok(ExitCode::from(if error.use_stderr() { ERROR } else { 0 }));
        }
    };
    if !only_looks(&inner.command) {
        let text = format!("open {}: this changes what it works on, and a dump stays as it is", dump.name);
        return Err(Failure::error(text).hint("coseg restore FILE new, and the command on that segment"));
    }
    if inner.global.color == Color::Auto {
        inner.global.color = global.color;
    }
    output::set_color(inner.global.color);
    inner.global.json |= global.json;
    inner.global.bytes |= global.bytes;
    let backend = if dump.meta.backend == "user" { "user" } else { "kernel" };
    opened::set(Opened { name: dump.name, backend, user: dump.image.user() });
    super::run(&inner.command, &inner.global)
}

/// Before a large dump is read.
fn refuse_unknown(word: &str) -> Result<()> {
    const LOOKING: [&str; 8] = ["show", "get", "read", "hex", "pages", "locks", "channel", "map"];
    if LOOKING.contains(&word) {
        return Ok(());
    }
    let text = format!("open: `{}` is no command that looks into one segment", printable(word));
    let hint = match word {
        "diff" => "coseg diff FILE OTHER".to_owned(),
        _ => format!("one of {}", LOOKING.join(", ")),
    };
    Err(Failure::error(text).hint(hint))
}

/// The command's own line: the segment comes behind the words that name it.
fn line(words: &[OsString], selector: &str) -> Vec<OsString> {
    let has_own = matches!(words.first().and_then(|word| word.to_str()), Some("channel" | "map"));
    let (command, rest) = words.split_at(words.len().min(if has_own { 2 } else { 1 }));
    let mut line = vec![OsString::from("coseg")];
    line.extend_from_slice(command);
    line.push(selector.into());
    line.extend_from_slice(rest);
    line
}

fn only_looks(command: &Command) -> bool {
    match command {
        Command::Channel(args) => args.only_looks(),
        Command::Map(args) => args.only_looks(),
        // Of what has passed already, these do.
        _ => true,
    }
}

/// What is known of the segment besides its bytes.
fn describe(dump: &Loaded, global: &Global) -> Result<()> {
    let Loaded { name, meta, image, .. } = dump;
    if global.json {
        return output::print_json(&Document { file: name, size_bytes: image.size_bytes(), meta });
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {value}", output::paint(DIM, format!("{name:>11}")));
    };
    let people = People::default();
    let user = |uid| format!("{} (uid {uid})", people.user_or_number(uid));
    let group = |gid| format!("{} (gid {gid})", people.group_or_number(gid));
    let bytes = |number: usize| match global.bytes {
        true => number.to_string(),
        false => size::sentence(number as u64),
    };
    let key = Key::new(meta.key);
    let key = if key.is_private() { String::new() } else { format!("key {key}, ") };
    line("dump", output::paint(BOLD, name));
    line("segment", format!("{key}id {}, of the {} backend", meta.id, printable(&meta.backend)));
    line("size", bytes(image.size_bytes()));
    if let Some(region) = &meta.region {
        let (of, name) = (printable(&region.r#type), printable(&region.name));
        line("region", if name.is_empty() { of } else { format!("{of} ({name})") });
    }
    line("mode", Mode::new(meta.mode).to_string());
    line("owner", format!("{}, {}", user(meta.uid), group(meta.gid)));
    line("creator", format!("{}, {}", user(meta.creator_uid), group(meta.creator_gid)));
    line("created by", format!("pid {}", meta.creator_pid));
    line("changed", time::with_age(meta.change_time));
    line("attached", time::with_age(meta.attach_time));
    line("detached", time::with_age(meta.detach_time));
    line("attachers", output::count(meta.attachment_count, "attachment", "attachments"));
    let dumped = time::with_age(time::seconds_of(meta.dumped_unix_ns));
    line("dumped", format!("{dumped}, by {}", printable(&meta.written_by)));
    let moment = if meta.one_moment { "one, of all bytes" } else { "another one of each page" };
    line("moment", moment.to_owned());
    output::print(&text)
}
