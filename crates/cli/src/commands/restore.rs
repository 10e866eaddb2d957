//! `coseg restore`: a dump back into a segment.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use coseg_sysv::{Key, Mode, Segment, Stat, caller};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::contents::{CHUNK_BYTES, Contents};
use crate::dumpfile::{self, Meta};
use crate::failure::{Failure, Result, io_text};
use crate::image::{Image, PAGE_BYTES, chunks};
use crate::output::{self, printable};
use crate::record::Origin;
use crate::regions;
use crate::selector::{self, Selector};
use crate::size;
use crate::stop::Stop;
use crate::view::{View, named, title};

const EXAMPLES: &str = "\
Examples:
  $ coseg restore notes.dump                    a new segment under the key it had
  restored into key 0x00004242 (id 1): 4KiB written, of 1MiB
  $ coseg restore notes.dump 0x4242 --dry-run   back into one that is there
  would restore into key 0x00004242 (id 1): 4KiB written, of 1MiB
  $ coseg restore notes.dump --key 0x4243       a new segment under another key
  $ coseg restore notes.dump new                a new segment without a key
  $ zstd -dc market.dump.zst | coseg restore - name:market
The dump is read whole and checked before the first byte is written; what is the same already is not written. The segment \
has to have the dump's size and schema, and nobody else may be attached, unless --force says so. A new one gets the \
dump's mode; its owner is whoever restores it. A dump that is neither yours nor root's is warned of, and does not let \
other users write. Nobody should open the segment before this has ended. --dry-run attaches nothing: where the bytes are \
seen in no other way, it cannot tell how much would be written.";

/// Put a dump back into a segment
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Restore {
    /// The dump; - is standard input
    file: PathBuf,
    /// A segment that is there, or `new` [default: a new one under the key it had]
    #[arg(value_name = "SEGMENT", conflicts_with = "key")]
    target: Option<Target>,
    /// Make a segment under this key
    #[arg(long, value_parser = selector::parse_key, allow_hyphen_values = true)]
    key: Option<Key>,
    /// Take a segment of another size or schema, or one that others are attached to
    #[arg(long)]
    force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Debug)]
enum Target {
    New,
    Segment(Selector),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        if text == "new" { Ok(Target::New) } else { text.parse().map(Target::Segment) }
    }
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    dry_run: bool,
    created: bool,
    /// Null where a segment would be made.
    id: Option<i32>,
    key: i32,
    size_bytes: usize,
    /// Null where that could be told only by attaching the segment, which a dry run does not.
    written_bytes: Option<usize>,
    warnings: Vec<String>,
}

/// A dump, checked.
pub(super) struct Loaded {
    /// Of the file, for messages.
    pub(super) name: String,
    pub(super) meta: Meta,
    pub(super) image: Image,
    /// Its file's owner, where that is neither the caller nor root.
    stranger: Option<u32>,
}

/// What was done, or would be.
struct Done {
    stat: Option<Stat>,
    key: Key,
    size_bytes: usize,
    written_bytes: Option<usize>,
    created: bool,
    warnings: Vec<String>,
}

pub(crate) fn run(args: &Restore, global: &Global) -> Result<ExitCode> {
    let stop = Stop::on_first_signal("restore")?;
    let dump = load(&args.file, &stop)?;
    let view = View::open(global)?;
    let mut done = match &args.target {
        Some(Target::Segment(selector)) => {
            let stat = selector.one(&view)?.stat;
            into_existing(args, &view, &stat, &dump.image)?
        }
        Some(Target::New) => into_new(args, &view, Key::PRIVATE, &dump)?,
        None => into_new(args, &view, args.key.unwrap_or(Key::new(dump.meta.key)), &dump)?,
    };
    if let Some(uid) = dump.stranger {
        done.warnings.push(format!(
            "the dump belongs to user {}, who says by it what is in the segment{}",
            view.people.user_or_number(uid),
            if done.created {
                " and who may open it: other users may not write, whatever it says"
            } else {
                ""
            }
        ));
    }
    for warning in &done.warnings {
        output::note(warning);
    }
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            dry_run: args.dry_run,
            created: done.created,
            id: done.stat.map(|stat| stat.id.raw()),
            key: done.key.raw(),
            size_bytes: done.size_bytes,
            written_bytes: done.written_bytes,
            warnings: done.warnings,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let bytes = |number: usize| size::show(number as u64, global.bytes);
    let place = match done.stat {
        Some(stat) => title(&stat),
        None if done.key.is_private() => "a new segment without a key".to_owned(),
        None => format!("a new segment under key {}", done.key),
    };
    let verb = if args.dry_run { "would restore" } else { "restored" };
    let written = match done.written_bytes {
        Some(written) => format!("{} written", bytes(written)),
        None => "how much is written cannot be told without attaching it".to_owned(),
    };
    output::print(&format!("{verb} into {place}: {written}, of {}\n", bytes(done.size_bytes)))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a dump; `-` is standard input.
pub(super) fn load(path: &Path, stop: &Stop) -> Result<Loaded> {
    let (about, name, (meta, image)) = if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            return Err(
                Failure::error("read a dump: standard input is a terminal, and no dump").hint("< FILE")
            );
        }
        let (about, name) = (rustix::fs::fstat(io::stdin()).ok(), "standard input".to_owned());
        let read = dumpfile::read(&mut io::stdin().lock(), &name, stop)?;
        (about, name, read)
    } else {
        let (mut file, name) = open(path)?;
        let read = dumpfile::read(&mut file, &name, stop)?;
        (rustix::fs::fstat(file.get_ref()).ok(), name, read)
    };
    let uid = about.map(|about| about.st_uid);
    let stranger = uid.filter(|&uid| uid != 0 && uid != caller::effective_uid());
    Ok(Loaded { name, meta, image, stranger })
}

/// A dump, and its name for messages.
pub(crate) fn open(path: &Path) -> Result<(BufReader<File>, String)> {
    let name = printable(&path.to_string_lossy());
    match File::open(path) {
        Ok(file) => Ok((BufReader::new(file), name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::nothing(format!("read {name}: {}", io_text(&error))))
        }
        Err(error) => Err(Failure::error(format!("read {name}: {}", io_text(&error)))),
    }
}

/// The mode that a new segment gets. A stranger's dump does not open it to everybody.
fn mode(dump: &Loaded) -> Mode {
    let bits = if dump.stranger.is_some() { dump.meta.mode & !0o002 } else { dump.meta.mode };
    // Nine bits: what a file's mode may have besides is not for segments.
    Mode::new(bits)
}

fn into_new(args: &Restore, view: &View, key: Key, dump: &Loaded) -> Result<Done> {
    let image = &dump.image;
    let mut written_bytes = 0;
    image.each_page(|_, page| {
        written_bytes += page.len();
        Ok(())
    })?;
    let mut done = Done {
        stat: None,
        key,
        size_bytes: image.size_bytes(),
        written_bytes: Some(written_bytes),
        created: !args.dry_run,
        warnings: warnings(image),
    };
    let taken =
        view.listed.iter().find(|listed| !key.is_private() && listed.stat.key == key && !listed.stat.removed);
    if let Some(taken) = taken {
        return Err(Failure::error(format!(
            "restore: EEXIST: there is a segment already: {}",
            title(&taken.stat)
        ))
        .hint(format!("key:{:#x} to restore into it, --key for another key, or new for none", key.bits())));
    }
    if args.dry_run {
        return Ok(done);
    }
    let options = Segment::options(key).size(image.size_bytes());
    let segment = options.create(&view.facility.backend).map_err(|error| {
        let size = size::sentence(image.size_bytes() as u64);
        let fact = Failure::from(error);
        Failure::error(format!("restore {}: its segment has {size}: {}", dump.name, fact.text()))
            .hint("coseg limits and coseg ls --sort size, if you trust the dump; else another dump")
    })?;
    let fill = || -> Result<Stat> {
        let memory = segment.attach()?;
        image.each_page(|at, page| Ok(memory.write(at, page)?))?;
        let stat = segment.stat()?;
        // From now on whoever may, may attach it; where the last detach destroys, somebody has to be before ours.
        segment.set(coseg_sysv::Change { uid: stat.uid, gid: stat.gid, mode: mode(dump) })?;
        memory.detach()?;
        segment.stat().map_err(|error| {
            Failure::from(error).hint("coseg limits: shm_rmid_forced destroys what nobody is attached to")
        })
    };
    match fill() {
        Ok(stat) => done.stat = Some(stat),
        Err(failure) => {
            // Half of a restored segment is of no use; it may be gone for the same reason that this failed.
            let _ = segment.remove();
            return Err(failure);
        }
    }
    Ok(done)
}

fn into_existing(args: &Restore, view: &View, stat: &Stat, image: &Image) -> Result<Done> {
    let refuse = |fact: String, hint: &str| {
        Err(Failure::nothing(format!("restore into {}: {fact}; nothing was written", title(stat))).hint(hint))
    };
    let sizes = format!(
        "the dump has {}, the segment {}",
        size::sentence(image.size_bytes() as u64),
        size::sentence(stat.size_bytes as u64)
    );
    if image.size_bytes() > stat.size_bytes {
        return refuse(sizes, "new, for a segment of the dump's size");
    }
    if image.size_bytes() < stat.size_bytes && !args.force {
        return refuse(sizes, "--force, which writes zeroes over the rest");
    }
    if stat.attachment_count > 0 && !args.force {
        let count = output::count(stat.attachment_count, "attachment", "attachments");
        let who = view.who()?.sentence(stat);
        return refuse(format!("others would see it change under them: {count}: {who}"), "--force");
    }
    let key = stat.key;
    let (size_bytes, warnings) = (stat.size_bytes, warnings(image));
    let contents = match Contents::unattached(view, stat) {
        Some(contents) => contents,
        None if args.dry_run => {
            let stat = Some(*stat);
            return Ok(Done { stat, key, size_bytes, written_bytes: None, created: false, warnings });
        }
        None => Contents::open(view, stat)?,
    };
    if !args.dry_run {
        regions::refuse_destruction(view, stat)?;
    }
    let (now, _) = Image::of(&contents, image.stop(), "read")?;
    if !args.force
        && let Some(fact) = other_schema(&now, image, stat)?
    {
        return refuse(fact, "--force");
    }
    let memory = match args.dry_run {
        true => None,
        false => Some(view.segment(stat).attach().map_err(named(stat))?),
    };
    // Copying took its time: whoever has attached since would see it change.
    let own_count = u64::from(memory.is_some()) + u64::from(contents.is_attached());
    let now_there = view.facility.backend.stat(stat.id)?.attachment_count;
    if now_there > own_count && !args.force {
        let count = output::count(now_there - own_count, "attachment", "attachments");
        return refuse(format!("{count} came meanwhile, and would see it change"), "again, or --force");
    }
    let progress = super::read::progress_bar(stat.size_bytes as u64, "write");
    let mut written_bytes = 0;
    let (mut old, mut new) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    for chunk in chunks(&now.extents().union(&image.extents())) {
        let (old, new) = (&mut old[..chunk.len()], &mut new[..chunk.len()]);
        now.read(chunk.start, old)?;
        // Behind the dump's end there are zeroes.
        let own = image.size_bytes().saturating_sub(chunk.start).min(chunk.len());
        new.fill(0);
        image.read(chunk.start, &mut new[..own])?;
        for (page, (old, new)) in old.chunks(PAGE_BYTES).zip(new.chunks(PAGE_BYTES)).enumerate() {
            if old != new {
                written_bytes += new.len();
                if let Some(memory) = &memory {
                    memory.write(chunk.start + page * PAGE_BYTES, new)?;
                }
            }
        }
        progress.set_position(chunk.end as u64);
    }
    progress.finish_and_clear();
    memory.map_or(Ok(()), coseg_sysv::Attachment::detach)?;
    contents.close()?;
    let written_bytes = Some(written_bytes);
    Ok(Done { stat: Some(*stat), key, size_bytes, written_bytes, created: false, warnings })
}

/// Why the one should not take the place of the other, if both can be told.
fn other_schema(now: &Image, image: &Image, stat: &Stat) -> Result<Option<String>> {
    let of = |image: &Image| image.region("it").unwrap_or_default();
    let (there, dumped) = (of(now), of(image));
    // Not by its extents: in memory, a page that is looked at through a mapping is there from then on.
    let mut is_empty = true;
    now.each_page(|_, _| {
        is_empty = false;
        Ok(())
    })?;
    Ok(match (there, dumped) {
        (Some(there), Some(dumped)) if there.schema() == dumped.schema() => None,
        (Some(there), Some(dumped)) => Some(format!(
            "the segment is a region of type {}, the dump one of type {} with another schema",
            printable(&there.schema().name),
            printable(&dumped.schema().name)
        )),
        (Some(there), None) => Some(format!(
            "the segment is a region of type {}, the dump none",
            printable(&there.schema().name)
        )),
        (None, Some(_)) if is_empty => None,
        (None, Some(dumped)) => Some(format!(
            "the dump is a region of type {}, and {} holds something else",
            printable(&dumped.schema().name),
            title(stat)
        )),
        (None, None) => None,
    })
}

/// What whoever restores a region should know.
fn warnings(image: &Image) -> Vec<String> {
    let Some(region) = image.region("the dump").unwrap_or_default() else { return Vec::new() };
    let joined = region.participants();
    let alive = joined.iter().filter(|participant| participant.alive != Some(false)).count() as u64;
    if alive == 0 {
        return Vec::new();
    }
    vec![format!(
        "{} of the dump run on, and count as those of the restored region: what they had locked stays so until they end",
        output::count(alive, "participant", "participants")
    )]
}
