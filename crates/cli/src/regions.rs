//! Segments that are regions: found, looked into, joined.

use std::borrow::Cow;
use std::sync::Once;
use std::time::Duration;

use coseg::schema::{Part, PartKind};
use coseg::{ErrorKind, Inspection, Label, Peek, Settled};
use coseg_sysv::{Listed, Segment, Stat};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::failure::{Failure, Result};
use crate::opened;
use crate::output::{self, printable};
use crate::peek::peek;
use crate::selector::Selector;
use crate::view::{View, title};

/// Why a region is not looked into.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nobody is attached, and the end of our attachment would be the segment's.
    WouldDestroy(Stat, &'static str),
    Error(coseg::Error),
}

/// Regions that are looked into.
pub(crate) type Opened = Vec<(Stat, Inspection)>;

/// What a segment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Region(Label),
    /// No region.
    Plain,
    /// A region that cannot be read, and why; or a segment that nobody could look into.
    Unreadable(&'static str),
}

/// Why a segment is unreadable that nobody has attached whom one may look through.
pub(crate) const NOT_LOOKED_AT: &str = "not looked at";

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::Error(error) => error.into(),
            Refused::WouldDestroy(stat, command) => Failure::error(format!(
                "look into {}: nobody is attached and shm_rmid_forced is 1: the end of this look, a detach, would \
                 destroy the segment",
                title(&stat)
            ))
            .hint(format!("again while a program is attached, or {command} before")),
        }
    }
}

/// Looks into a segment's region, attached for reading for as long as the result lives. Of what turns out to be none, it
/// says once that it was attached: the times of a program's segment tell others how long nobody has used it.
pub(crate) fn look(view: &View, stat: &Stat) -> Result<Inspection, Refused> {
    static SAID: Once = Once::new();
    refuse_destruction(view, stat)?;
    let segment = segment_of(view, stat);
    if opened::get().is_some() {
        return Inspection::of_lone_copy(&segment).map_err(Refused::Error);
    }
    let found = Inspection::of(&segment);
    let is_none = found.as_ref().is_err_and(|error| *error.kind() == ErrorKind::NotARegion);
    if is_none && stat.attachment_count == 0 {
        SAID.call_once(|| {
            output::note(
                "attached segments that nobody has read-only for a moment, to see whether they are regions; their \
                 times of attaching and detaching and their last pids change",
            );
        });
    }
    found.map_err(Refused::Error)
}

/// Joins a segment's region, to change it.
pub(crate) fn join(view: &View, stat: &Stat) -> Result<Inspection, Refused> {
    refuse_destruction(view, stat)?;
    Inspection::join(&segment_of(view, stat)).map_err(Refused::Error)
}

/// Reads until no writer overtakes; whoever reads without joining cannot lock them out.
pub(crate) fn patiently<T>(mut read: impl FnMut() -> coseg::Result<T>) -> coseg::Result<T> {
    const PATIENCE: u32 = 100;
    for _ in 0..PATIENCE {
        match read() {
            Err(error) if *error.kind() == ErrorKind::Busy => std::thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
    read()
}

/// Opened by its key where it has one, so that errors name that too.
fn segment_of(view: &View, stat: &Stat) -> Segment {
    let by_key = Segment::options(stat.key).open(&view.facility.backend);
    match by_key {
        Ok(segment) if !stat.key.is_private() && segment.id() == stat.id => segment,
        _ => view.segment(stat),
    }
}

/// The last detach destroys a segment where the sysctl says so, removed or not.
pub(crate) fn refuse_destruction(view: &View, stat: &Stat) -> Result<(), Refused> {
    let now = view.facility.backend.stat(stat.id).map_or(stat.attachment_count, |now| now.attachment_count);
    match destroys_at_last_detach(view) {
        Some(command) if now == 0 => Err(Refused::WouldDestroy(*stat, command)),
        _ => Ok(()),
    }
}

/// Whether `shm_rmid_forced` is set; the command that ends it.
pub(crate) fn destroys_at_last_detach(view: &View) -> Option<&'static str> {
    match &view.facility.user {
        Some(user) => {
            let is_set = user.knobs().is_ok_and(|knobs| knobs.remove_forced);
            is_set.then_some("coseg limits --backend user --rmid-forced 0")
        }
        None => {
            let value = std::fs::read_to_string("/proc/sys/kernel/shm_rmid_forced").unwrap_or_default();
            (value.trim() == "1").then_some("sysctl -w kernel.shm_rmid_forced=0")
        }
    }
}

/// What a segment is, found out without attaching it; by attaching it for reading where there is no other way and
/// `may_attach` allows it.
pub(crate) fn mark(view: &View, stat: &Stat, may_attach: bool) -> Mark {
    match peek(view, stat) {
        Peek::Region(label) => return Mark::Region(label),
        Peek::Plain => return Mark::Plain,
        Peek::Unknown if !may_attach => return Mark::Unreadable(NOT_LOOKED_AT),
        Peek::Unknown => {}
    }
    match look(view, stat) {
        Ok(inspection) => {
            let (name, of) = (inspection.name().to_owned(), inspection.schema().name.clone());
            Mark::Region(Label { name, of })
        }
        Err(Refused::WouldDestroy(..)) => Mark::Unreadable(NOT_LOOKED_AT),
        Err(Refused::Error(error)) => match error.kind() {
            ErrorKind::NotARegion => Mark::Plain,
            ErrorKind::Damaged => Mark::Unreadable("damaged"),
            ErrorKind::Unfinished => Mark::Unreadable("unfinished"),
            _ => Mark::Unreadable("not permitted"),
        },
    }
}

/// The one region of this name.
pub(crate) fn named<'a>(view: &'a View, name: &str) -> Result<&'a Listed> {
    let mut found: Vec<&Listed> = Vec::new();
    let mut unreadable = 0;
    for listed in view.listed.iter().filter(|listed| !listed.stat.removed) {
        match mark(view, &listed.stat, true) {
            Mark::Region(label) if label.name == name => found.push(listed),
            Mark::Region(_) | Mark::Plain => {}
            Mark::Unreadable(_) => unreadable += 1,
        }
    }
    let name = printable(name);
    match found.as_slice() {
        [] => {
            let hidden = match unreadable {
                0 => String::new(),
                count => {
                    format!("; {} could not be looked into", output::count(count, "segment", "segments"))
                }
            };
            let text = format!(
                "find name:{name}: no region on the {} backend has this name{hidden}",
                view.facility.name()
            );
            Err(Failure::nothing(text).hint("coseg ls --regions"))
        }
        [one] => Ok(one),
        several => {
            let titles: Vec<String> = several.iter().map(|listed| title(&listed.stat)).collect();
            let text =
                format!("find name:{name}: {} regions have this name: {}", several.len(), titles.join(", "));
            Err(Failure::nothing(text).hint(format!("one of them, such as id:{}", several[0].stat.id)))
        }
    }
}

/// In one word: its name, else its key, else its id.
pub(crate) fn short_title(stat: &Stat, region: &Inspection) -> String {
    match region.name() {
        "" if stat.key.is_private() => format!("id:{}", stat.id),
        "" => stat.key.to_string(),
        name => printable(name),
    }
}

/// Every region that can be looked into, and why others cannot; those that are removed are nobody's but their attachers'.
pub(crate) fn all(view: &View) -> (Opened, Vec<Failure>) {
    let (mut regions, mut refused) = (Vec::new(), Vec::new());
    for listed in view.listed.iter().filter(|listed| !listed.stat.removed) {
        let stat = listed.stat;
        if stat.size_bytes < Label::BYTES_MIN || peek(view, &stat) == Peek::Plain {
            continue;
        }
        match look(view, &stat) {
            Ok(inspection) => regions.push((stat, inspection)),
            Err(Refused::Error(error)) if *error.kind() == ErrorKind::NotARegion => {}
            Err(other) => refused.push(other.into()),
        }
    }
    (regions, refused)
}

/// Whoever takes a lock from a dead owner is told; here, a person.
pub(crate) fn tell_recoveries(region: &Inspection) {
    for recovery in region.take_recoveries() {
        let who = recovery.participant.map_or_else(|| "somebody".to_owned(), |who| who.to_string());
        let settled = match recovery.settled {
            Settled::Completed(count) => format!(
                "what it had committed, {}, was completed",
                output::count(count as u64, "value", "values")
            ),
            _ => "what it had begun is not to be seen".to_owned(),
        };
        output::note(&format!(
            "recovered the lock {} from {}, who died holding it: {settled}",
            printable(&recovery.lock),
            printable(&who)
        ));
    }
}

/// The part of this name among those of a kind; without a name, the only one there is.
pub(crate) fn part_of_kind<'a>(
    region: &'a Inspection,
    stat: &Stat,
    kind: &str,
    is_of_kind: impl Fn(PartKind) -> bool,
    name: Option<&str>,
) -> Result<&'a Part> {
    let all: Vec<&Part> = region.schema().parts.iter().filter(|part| is_of_kind(part.kind)).collect();
    let fail = |fact: String| Failure::nothing(format!("find a {kind} of {}: {fact}", title(stat)));
    let names = || all.iter().map(|part| printable(&part.name)).collect::<Vec<_>>().join(", ");
    match (all.as_slice(), name) {
        ([], _) => Err(fail("this region has none".to_owned())
            .hint(format!("coseg show id:{}, which tells its parts", stat.id))),
        (all, Some(name)) => all
            .iter()
            .find(|part| part.name == name)
            .copied()
            .ok_or_else(|| fail(format!("there is none called `{}`", printable(name))).hint(names())),
        ([only], None) => Ok(only),
        (all, None) => Err(fail(format!("it has {}", all.len())).hint(names())),
    }
}

/// The region that was chosen, or all of them, and why others cannot be looked into.
pub(crate) fn chosen_or_all(view: &View, selector: Option<&Selector>) -> Result<(Opened, Vec<Failure>)> {
    let Some(selector) = selector else { return Ok(all(view)) };
    let stat = selector.one(view)?.stat;
    Ok((vec![(stat, look(view, &stat)?)], Vec::new()))
}

impl Mark {
    /// For a column or a line: `Office (market)`, nothing for what is no region.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Mark::Region(Label { name, of }) if name.is_empty() => printable(of),
            Mark::Region(Label { name, of }) => format!("{} ({})", printable(of), printable(name)),
            Mark::Plain => String::new(),
            Mark::Unreadable(why) => format!("? {why}"),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum MarkJson<'a> {
    Region { name: &'a str, r#type: &'a str },
    Unreadable { unreadable: &'a str },
}

impl JsonSchema for Mark {
    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<MarkJson<'_>>::json_schema(generator)
    }
}

impl Serialize for Mark {
    /// `{"name": …, "type": …}`, null for no region, `{"unreadable": …}` where it cannot be told.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Mark::Region(Label { name, of }) => MarkJson::Region { name, r#type: of }.serialize(serializer),
            Mark::Unreadable(why) => MarkJson::Unreadable { unreadable: why }.serialize(serializer),
            Mark::Plain => serializer.serialize_none(),
        }
    }
}
