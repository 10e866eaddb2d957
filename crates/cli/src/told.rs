//! What a segment's bytes are that no region describes: as its user says, now or before, or as its first bytes tell.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use coseg::schema::Type;
use coseg::{ErrorKind, Inspection, Value};
use coseg_sysv::{Key, ShmId, Stat, User};

use crate::dumpfile::Meta;
use crate::failure::{Failure, Result};
use crate::foreign::{
    Choice, Reading, Readings, Remembered, forget, known, remember, remembered, value_count,
};
use crate::opened::{self, Opened};
use crate::output::{self, printable};
use crate::regions::{self, Mark, Refused};
use crate::selector::Selector;
use crate::size;
use crate::view::{View, title};

/// More than this nobody reads, and it would take many times as much memory.
const BYTES_MAX: usize = 16 << 20;
/// The same of values.
const VALUES_MAX: usize = 4 << 20;
/// What is looked at to know a segment by its bytes.
const FIRST_BYTES: usize = 64;

const AS_REMEMBERED: &str = "as remembered";

/// What the bytes are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Of a segment that is no region")]
pub(crate) struct Told {
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
    #[arg(long, value_name = "BYTES", value_parser = size::parse_place)]
    offset: Option<usize>,
}

/// Whose bytes they are.
pub(crate) struct Subject<'a> {
    command: &'static str,
    title: String,
    key: Key,
    size_bytes: usize,
    /// Under what a type is remembered: a key of the one backend is another one's too.
    place: String,
    /// Where the programs that have it attached are found.
    attached: Option<(&'a View, ShmId)>,
}

/// A type, and who says so.
pub(crate) struct Found {
    pub(crate) of: Type,
    pub(crate) readings: Vec<Reading>,
    pub(crate) text: String,
    pub(crate) offset_bytes: usize,
    pub(crate) told_by: &'static str,
    /// To be remembered.
    own: Option<Remembered>,
}

/// Copies the bytes from an offset on.
type Read<'r> = &'r dyn Fn(usize, &mut [u8]) -> Result<()>;

impl<'a> Subject<'a> {
    pub(crate) fn of(command: &'static str, view: &'a View, stat: &Stat) -> Subject<'a> {
        Subject {
            command,
            title: title(stat),
            key: stat.key,
            size_bytes: stat.size_bytes,
            place: place(view, stat.key),
            attached: Some((view, stat.id)),
        }
    }

    /// A dump's: what is remembered of its key holds for it, as far as can be told.
    pub(crate) fn of_dump(
        command: &'static str,
        name: &str,
        meta: &Meta,
        size_bytes: usize,
    ) -> Subject<'static> {
        let key = Key::new(meta.key);
        let place = format!("{key} of {}", dumps_place(&meta.backend));
        Subject { command, title: name.to_owned(), key, size_bytes, place, attached: None }
    }

    fn refuse(&self, fact: &str) -> Failure {
        Failure::error(format!("{} {}: {}", self.command, self.title, printable(fact)))
    }

    /// For those who cannot go on without a type.
    pub(crate) fn untold(&self) -> Failure {
        self.refuse("it is a plain segment, and nothing says what its bytes are")
            .hint("--as 'struct { … }' or --type NAME to say it, or coseg read")
    }

    /// The programs' own type of this name, by the first of those attached that knows it.
    fn by_attached(&self, name: &str) -> Result<Choice> {
        let mut seen = Vec::new();
        let mut refused = Vec::new();
        let holders = match self.attached {
            Some((view, id)) => view.who()?.of(id),
            None => &[],
        };
        for holder in holders {
            // What it runs, whatever is at that path by now, or here.
            let running = PathBuf::from(format!("/proc/{}/exe", holder.pid));
            let identity = |path: &Path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
            let Some(program) = identity(&running).filter(|own| !seen.contains(own)) else { continue };
            seen.push(program);
            let path = fs::read_link(&running).ok().filter(|path| identity(path) == Some(program));
            let choice = Choice::Program { name: name.to_owned(), file: path.unwrap_or(running) };
            match choice.declared() {
                Ok(_) => return Ok(choice),
                Err(fact) => refused.push(fact),
            }
        }
        let fact = match refused.is_empty() {
            true => format!("no program is attached that could tell what {name} is"),
            false => refused.join("; "),
        };
        Err(self.refuse(&fact).hint("--debug-info FILE, or --as DECLARATION"))
    }
}

impl Told {
    pub(crate) fn is_told(&self) -> bool {
        self.declaration.is_some() || self.type_name.is_some()
    }

    fn choice(&self, subject: &Subject<'_>) -> Result<Option<Choice>> {
        if let Some(text) = &self.declaration {
            return Ok(Some(Choice::Declaration(text.clone())));
        }
        let Some(name) = &self.type_name else { return Ok(None) };
        if let Some(file) = &self.debug_info {
            let file = fs::canonicalize(file)
                .map_err(|error| Failure::io(printable(&file.to_string_lossy()), &error))?;
            return Ok(Some(Choice::Program { name: name.clone(), file }));
        }
        subject.by_attached(name).map(Some)
    }

    /// The type that is told now, was told before, or is known; `None`: nothing says what the bytes are.
    pub(crate) fn find(&self, subject: &Subject<'_>, read: Read<'_>) -> Result<Option<Found>> {
        if let Some(found) = self.find_said(subject)? {
            return Ok(Some(found));
        }
        let mut first = vec![0; subject.size_bytes.min(FIRST_BYTES)];
        read(0, &mut first)?;
        let Some((name, declared)) = known(subject.key.raw(), &first) else { return Ok(None) };
        let offset_bytes = self.offset.unwrap_or(0);
        let room_bytes = subject.size_bytes.saturating_sub(offset_bytes);
        let (of, readings) = declared.within(room_bytes).map_err(|fact| subject.refuse(&fact))?;
        let told_by = "by its key or first bytes";
        Ok(Some(Found { of, readings, text: name.to_owned(), offset_bytes, told_by, own: None }))
    }

    /// The same without those that are known: a header says little of what is behind it.
    pub(crate) fn find_said(&self, subject: &Subject<'_>) -> Result<Option<Found>> {
        let refuse = |fact: String| subject.refuse(&fact);
        let room_at = |offset: usize| subject.size_bytes.saturating_sub(offset);
        if let Some(choice) = self.choice(subject)? {
            let offset_bytes = self.offset.unwrap_or(0);
            let (of, readings) =
                choice.declared().and_then(|own| own.within(room_at(offset_bytes))).map_err(refuse)?;
            let text = choice.to_string();
            // Of a program that has no path here, the next time knows nothing.
            let lasts = !matches!(&choice, Choice::Program { file, .. } if file.starts_with("/proc"));
            let own = (lasts && !subject.key.is_private()).then_some(Remembered { choice, offset_bytes });
            return Ok(Some(Found { of, readings, text, offset_bytes, told_by: "as told", own }));
        }
        if let Some(own) = remembered(&subject.place).map_err(refuse)? {
            let offset_bytes = self.offset.unwrap_or(own.offset_bytes);
            let of = own.choice.declared().and_then(|own| own.within(room_at(offset_bytes)));
            let (of, readings) = of.map_err(|fact| refuse(fact).hint("coseg show with --forget"))?;
            let text = own.choice.to_string();
            return Ok(Some(Found { of, readings, text, offset_bytes, told_by: AS_REMEMBERED, own: None }));
        }
        Ok(None)
    }

    /// The region; `None`: the segment is none, or is to be taken as if it were none.
    pub(crate) fn region(&self, view: &View, stat: &Stat) -> Result<Option<Inspection>> {
        // What can be told without attaching is. What begins with zeroes could also be a region that is being made.
        let mark = regions::mark(view, stat, false);
        let is_region = matches!(mark, Mark::Region(_));
        if self.is_told() || mark == Mark::Plain || !is_region && is_remembered(view, stat) {
            return Ok(None);
        }
        match regions::look(view, stat) {
            Ok(region) => Ok(Some(region)),
            Err(Refused::Error(error)) if *error.kind() == ErrorKind::NotARegion => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }
}

impl Found {
    /// What the bytes say.
    pub(crate) fn value(&self, subject: &Subject<'_>, read: Read<'_>) -> Result<Value> {
        let size_bytes = self.of.size_bytes();
        if size_bytes > BYTES_MAX || value_count(&self.of) > VALUES_MAX {
            let fact = format!("{} are more than can be shown", size::sentence(size_bytes as u64));
            return Err(subject.refuse(&fact).hint("a type of fewer bytes, and --offset"));
        }
        let mut bytes = vec![0; size_bytes];
        read(self.offset_bytes, &mut bytes)?;
        let mut value = coseg::decode(&self.of, &bytes);
        Readings::of(&self.readings).apply(&mut value);
        Ok(value)
    }

    /// For those whose output does not show of what type it is.
    pub(crate) fn say_if_remembered(&self, subject: &Subject<'_>) {
        if self.told_by == AS_REMEMBERED {
            output::note(&format!(
                "{} is taken for {}, as was told before; coseg show with --forget ends it",
                subject.key,
                printable(&self.text)
            ));
        }
    }

    /// For the next time, if it was told now.
    pub(crate) fn remember(&self, subject: &Subject<'_>) {
        let Some(own) = &self.own else { return };
        match remember(&subject.place, own.clone()) {
            Ok(Some(path)) => output::note(&format!(
                "{} will be shown so from now on: remembered in {}; coseg show with --forget ends it",
                subject.key,
                printable(&path.to_string_lossy())
            )),
            Ok(None) => {}
            Err(fact) => output::note(&format!("not remembered: {}", printable(&fact))),
        }
    }
}

/// Forgets the type of a key, whether a segment has it or not.
pub(crate) fn forget_type(view: &View, selector: &Selector) -> Result<()> {
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

fn place(view: &View, key: Key) -> String {
    match opened::get() {
        Some(Opened { backend, .. }) => format!("{key} of {}", dumps_place(backend)),
        None => format!("{key} of {}", view.facility.place()),
    }
}

/// Of a dump it is known on which backend its segment was, not where.
fn dumps_place(backend: &str) -> String {
    match backend {
        "user" => format!("user, in {}", User::directory_of_environment().display()),
        _ => "kernel".to_owned(),
    }
}

/// Whether a type is remembered for a segment.
fn is_remembered(view: &View, stat: &Stat) -> bool {
    remembered(&place(view, stat.key)).is_ok_and(|found| found.is_some())
}
