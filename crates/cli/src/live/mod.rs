//! Everything, looked at again and again: what `coseg top` shows and `coseg serve` sends.
//!
//! A look attaches nothing. Regions of up to [`COPY_MAX`] bytes are copied and decoded from the copy; of larger ones, and
//! of what is no region, some pages are compared with what they were. The search through all processes for who is
//! attached is made again only when a segment's counts or times say that something has changed, or has grown old.

pub(crate) mod activity;
mod details;
pub(crate) mod events;
pub(crate) mod region;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coseg::{Label, Peek};
use coseg_sysv::{Listed, ShmId, Stat};
use rustix::process::{Resource, getrlimit, setrlimit};
use schemars::JsonSchema;
use serde::Serialize;

use self::activity::{Activity, PAGES_MAX_CLOSE, Pages, pages_max};
pub(crate) use self::details::Details;
use self::events::{Event, EventKind};
use self::region::{Copy, RegionLook};
use crate::backend::Facility;
use crate::commands::gc::facts::{Facts, Pids};
use crate::commands::gc::judge::{Judgement, Rules, Verdict};
use crate::commands::limits::{Used, Values};
use crate::contents::Contents;
use crate::failure::Result;
use crate::output::printable;
use crate::record::{Origin, Record};
use crate::regions::{Mark, NOT_LOOKED_AT};
use crate::stop::Stop;
use crate::view::View;
use crate::who::{Holder, Who};

/// Regions up to this size are copied with each look.
pub(crate) const COPY_MAX: usize = 4 << 20;
/// After this, what seems not to have changed is looked up again: names of processes, verdicts.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// What was used within this time is not called garbage.
const GARBAGE_AFTER: Duration = Duration::from_secs(60);

/// Everything, at one moment. The field names are a promise.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Scene {
    pub(crate) unix_ms: u64,
    /// Since the look before, which rates and changes are of; null at the first.
    pub(crate) elapsed_ms: Option<u64>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// The backend in words, with its directory.
    pub(crate) place: String,
    pub(crate) limits: Values,
    pub(crate) usage: Used,
    pub(crate) segments: Vec<SegmentLook>,
    /// Attachments whose processes are not seen.
    pub(crate) hidden_count: u64,
    /// What has happened since the look before.
    pub(crate) events: Vec<Event>,
}

/// A segment, at one moment.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct SegmentLook {
    /// `market`, `0x00004242` or `id:7`: the shortest that names it.
    pub(crate) title: String,
    #[serde(flatten)]
    pub(crate) record: Record,
    /// Null where its bytes are not seen without attaching it, and at the first look.
    pub(crate) activity: Option<Activity>,
    /// What is inside, of a region that was small enough to copy.
    pub(crate) inside: Option<RegionLook>,
    pub(crate) verdict: Verdict,
    pub(crate) verdict_why: String,
    #[serde(skip)]
    pub(crate) stat: Stat,
}

/// What is kept of a segment from look to look.
#[derive(Debug)]
struct Kept {
    stat: Stat,
    title: String,
    /// Who was attached, each once.
    attached: Vec<(i32, String)>,
    mark: Mark,
    pages: Pages,
    copy: Option<Copy>,
    judged: Option<(Instant, Judgement)>,
    /// When somebody last asked for details, and what they were.
    close: Option<(Instant, Details)>,
}

/// Looks, and remembers what it saw.
#[derive(Debug)]
pub(crate) struct Live {
    view: View,
    kept: HashMap<ShmId, Kept>,
    /// The counts and times that the view's list of who is attached is of, and when that was made.
    searched: Option<(Vec<Attachments>, Instant)>,
    last: Option<Instant>,
    stop: Stop,
}

/// What changes with every attachment that comes or goes.
type Attachments = (ShmId, u64, i64, i64, i32);

/// What the bytes of a segment tell.
#[derive(Default)]
struct Inside {
    activity: Option<Activity>,
    region: Option<RegionLook>,
    /// When a region's bytes were followed.
    at: Option<Instant>,
}

impl Inside {
    fn of_pages(activity: Result<Option<Activity>>) -> Inside {
        Inside { activity: activity.ok().flatten(), ..Inside::default() }
    }
}

/// One look, while it is made.
struct Look<'a> {
    view: &'a View,
    who: &'a Who,
    pids: Pids,
    stop: &'a Stop,
    now: Instant,
    unix_ms: u64,
    elapsed: Option<Duration>,
    events: Vec<Event>,
}

impl Live {
    pub(crate) fn new(facility: Facility, stop: &Stop) -> Result<Live> {
        allow_many_files();
        let view = View::of(facility)?;
        Ok(Live { view, kept: HashMap::new(), searched: None, last: None, stop: stop.clone() })
    }

    /// What the last look saw.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Looks again.
    pub(crate) fn look(&mut self) -> Result<Scene> {
        let now = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let elapsed = self.last.replace(now).map(|last| now.duration_since(last));
        self.refresh(now)?;
        let view = &self.view;
        let unix_ms = millis(unix);
        let (who, pids) = (view.who()?, Pids::default());
        let mut look = Look { view, who, pids, stop: &self.stop, now, unix_ms, elapsed, events: Vec::new() };
        let mut segments = Vec::with_capacity(view.listed.len());
        for listed in &view.listed {
            let is_new = !self.kept.contains_key(&listed.stat.id);
            let kept = self.kept.entry(listed.stat.id).or_insert_with(|| Kept::new(listed.stat));
            segments.push(look.at(listed, kept, is_new)?);
        }
        let there: HashSet<ShmId> = view.listed.iter().map(|listed| listed.stat.id).collect();
        for (id, kept) in self.kept.extract_if(|id, _| !there.contains(id)) {
            look.tell(EventKind::Gone, id, &kept.title, String::new());
        }
        Ok(Scene {
            unix_ms,
            elapsed_ms: elapsed.map(millis),
            origin: Origin::of(&view.facility),
            place: view.facility.place(),
            limits: Values::of(&view.facility)?,
            usage: Used::of(view)?,
            hidden_count: segments.iter().filter_map(|segment| segment.record.hidden_count).sum(),
            segments,
            events: look.events,
        })
    }

    /// What one segment holds, as of the last look; `None`: there is no such segment.
    pub(crate) fn details(&mut self, id: ShmId) -> Option<Details> {
        let stat = self.view.listed.iter().find(|listed| listed.stat.id == id)?.stat;
        let kept = self.kept.get_mut(&id)?;
        let (now, last) = (Instant::now(), self.last?);
        match &mut kept.close {
            // Several may ask, of the same look.
            Some((asked, details)) if *asked >= last => Some(details.clone()),
            before => {
                let before = before.take().map(|(_, details)| details);
                let changed = kept.copy.as_ref().map_or(&kept.pages.changed, |copy| &copy.changed);
                let region = kept.copy.as_ref().map(Copy::region);
                let details = Details::of(&self.view, &stat, &kept.title, region, changed, before.as_ref());
                kept.close = Some((now, details.clone()));
                Some(details)
            }
        }
    }

    /// Lists the segments again, and who is attached if that may have changed.
    fn refresh(&mut self, now: Instant) -> Result<()> {
        self.view.refresh()?;
        let attachments = |Listed { stat, .. }: &Listed| {
            (stat.id, stat.attachment_count, stat.attach_time, stat.detach_time, stat.last_pid)
        };
        let attachments: Vec<Attachments> = self.view.listed.iter().map(attachments).collect();
        let is_same = |(before, at): &(Vec<Attachments>, Instant)| {
            *before == attachments && now.duration_since(*at) < STALE_AFTER
        };
        if !self.searched.as_ref().is_some_and(is_same) {
            self.view.search()?;
            self.searched = Some((attachments, now));
        }
        Ok(())
    }
}

impl Look<'_> {
    fn at(&mut self, listed: &Listed, kept: &mut Kept, is_new: bool) -> Result<SegmentLook> {
        let stat = listed.stat;
        let inside = self.inside(&stat, kept);
        self.stop.check()?;
        let Inside { activity, region: inside, at } = inside;
        // A removed one's key is taken from it.
        if !stat.removed || is_new {
            kept.title = short_title(&stat, &kept.mark);
        }
        if is_new {
            self.tell(EventKind::Created, stat.id, &kept.title, events::created(&stat, self.view));
        } else if stat.removed && !kept.stat.removed {
            let text = "and goes with its last attachment".to_owned();
            self.tell(EventKind::Removed, stat.id, &kept.title, text);
        }
        self.tell_attached(&stat, kept);
        if let (Some(copy), Some(inside)) = (&mut kept.copy, &inside) {
            copy.tell(at, inside, |kind, text| {
                // Not through `tell`: the title is borrowed with the copy.
                if self.elapsed.is_some() {
                    let (id, title) = (stat.id.raw(), kept.title.clone());
                    self.events.push(Event { unix_ms: self.unix_ms, kind, id, title, text });
                }
            });
        }
        let judgement = self.judge(&stat, kept, is_new);
        kept.stat = stat;
        let record = Record::new(listed, Some(self.who), &self.view.people).marked(Some(kept.mark.clone()));
        Ok(SegmentLook {
            title: kept.title.clone(),
            record,
            activity: activity.filter(|_| !is_new),
            inside,
            verdict: judgement.verdict,
            verdict_why: judgement.why,
            stat,
        })
    }

    /// What the bytes tell, where they are seen without attaching. Of a region that was seen before, what was seen last
    /// is all there is where they are not; who has died since can be told all the same.
    fn inside(&self, stat: &Stat, kept: &mut Kept) -> Inside {
        let last = |copy: &Copy| Inside { activity: None, region: Some(copy.look(None)), at: None };
        let Some(contents) = Contents::unattached(self.view, stat) else {
            return kept.copy.as_ref().map(last).unwrap_or_default();
        };
        let look = if stat.size_bytes < Label::BYTES_MIN {
            Peek::Plain
        } else {
            Label::peek(|offset, bytes| {
                usize::try_from(offset).is_ok_and(|offset| contents.read(offset, bytes).is_ok())
            })
        };
        kept.mark = match &look {
            Peek::Region(label) => Mark::Region(label.clone()),
            Peek::Plain => Mark::Plain,
            Peek::Unknown => Mark::Unreadable("unfinished"),
        };
        let pages_max =
            if kept.is_close(self.now) { PAGES_MAX_CLOSE } else { pages_max(self.view.listed.len()) };
        let Peek::Region(label) = look else {
            kept.copy = None;
            return Inside::of_pages(kept.pages.look(&contents, pages_max));
        };
        if stat.size_bytes > COPY_MAX {
            return Inside::of_pages(kept.pages.look(&contents, pages_max));
        }
        if !kept.copy.as_ref().is_some_and(|copy| copy.is_of(&label)) {
            kept.copy = match Copy::new(&contents, label, &self.view.segment(stat), self.stop) {
                Ok(copy) => copy,
                Err(_) => {
                    // No room for it, or too many files: what is inside is not known.
                    kept.mark = Mark::Unreadable("not copied");
                    None
                }
            };
        }
        let Some(copy) = kept.copy.as_mut() else {
            return Inside::of_pages(kept.pages.look(&contents, pages_max));
        };
        match copy.follow(&contents) {
            Ok(activity) => {
                let (region, at) = (Some(copy.look(Some(self.now))), Some(self.now));
                Inside { activity: Some(activity), region, at }
            }
            // The process through which they are seen lets go of them.
            Err(_) => last(copy),
        }
    }

    fn tell(&mut self, kind: EventKind, id: ShmId, title: &str, text: String) {
        // At the first look everything is new.
        if self.elapsed.is_some() {
            let (id, title) = (id.raw(), title.to_owned());
            self.events.push(Event { unix_ms: self.unix_ms, kind, id, title, text });
        }
    }

    fn tell_attached(&mut self, stat: &Stat, kept: &mut Kept) {
        let mut now: Vec<(i32, String)> = self.who.of(stat.id).iter().map(sentence).collect();
        now.sort_unstable();
        now.dedup_by_key(|(pid, _)| *pid);
        let is_in = |all: &[(i32, String)], pid| all.iter().any(|(other, _)| *other == pid);
        for (_, text) in now.iter().filter(|(pid, _)| !is_in(&kept.attached, *pid)) {
            self.tell(EventKind::Attached, stat.id, &kept.title, text.clone());
        }
        for (_, text) in kept.attached.iter().filter(|(pid, _)| !is_in(&now, *pid)) {
            self.tell(EventKind::Detached, stat.id, &kept.title, text.clone());
        }
        kept.attached = now;
    }

    fn judge(&mut self, stat: &Stat, kept: &mut Kept, is_new: bool) -> Judgement {
        let is_fresh =
            |(at, _): &(Instant, Judgement)| *stat == kept.stat && self.now.duration_since(*at) < STALE_AFTER;
        if let Some((_, judgement)) = kept.judged.as_ref().filter(|judged| is_fresh(judged)) {
            return judgement.clone();
        }
        let judgement = Rules::older_than(GARBAGE_AFTER).judge(&Facts::of(stat, self.view, &self.pids));
        let was = kept.judged.replace((self.now, judgement.clone())).map(|(_, judgement)| judgement.verdict);
        if judgement.verdict == Verdict::Garbage && was != Some(Verdict::Garbage) && !is_new {
            self.tell(EventKind::Garbage, stat.id, &kept.title, judgement.why.clone());
        }
        judgement
    }
}

impl Kept {
    fn new(stat: Stat) -> Kept {
        Kept {
            stat,
            title: String::new(),
            attached: Vec::new(),
            mark: Mark::Unreadable(NOT_LOOKED_AT),
            pages: Pages::default(),
            copy: None,
            judged: None,
            close: None,
        }
    }

    /// Whether somebody looks at it closely.
    fn is_close(&self, now: Instant) -> bool {
        self.close.as_ref().is_some_and(|(asked, _)| now.duration_since(*asked) < STALE_AFTER)
    }
}

/// Each copy of a region has some files open.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is too few, the rest is told to be not copied.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn sentence(holder: &Holder) -> (i32, String) {
    (holder.pid, format!("{} {}", holder.pid, holder.command.as_deref().unwrap_or("?")))
}

/// In one word: a region's name, else the key, else the id.
fn short_title(stat: &Stat, mark: &Mark) -> String {
    match mark {
        Mark::Region(label) if !label.name.is_empty() => printable(&label.name),
        _ if stat.key.is_private() => format!("id:{}", stat.id),
        _ => stat.key.to_string(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
