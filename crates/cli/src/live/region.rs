//! What is inside a region, from a copy of it.

use std::ops::Range;
use std::time::Instant;

use coseg::{Inspection, Label};
use coseg_sysv::Segment;
use schemars::JsonSchema;
use serde::Serialize;

use super::activity::Activity;
use super::events::EventKind;
use crate::commands::channel::state::NamedChannel;
use crate::commands::locks::state::{LockState, Party, State};
use crate::contents::Contents;
use crate::failure::Result;
use crate::image::{Image, PAGE_BYTES};
use crate::output::{self, printable};
use crate::stop::Stop;

/// How often a copy that is overtaken is made again; then it is a mixture, in which values are still whole.
const PASSES_MAX: u32 = 3;

/// Who is in a region and what they do, at one moment.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct RegionLook {
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) recovery_count: u64,
    pub(crate) participants: Vec<Member>,
    pub(crate) locks: Vec<LockLook>,
    pub(crate) channels: Vec<ChannelLook>,
}

#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct Member {
    #[serde(flatten)]
    pub(crate) party: Party,
    pub(crate) uid: u32,
    pub(crate) joined_unix_ns: u64,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct LockLook {
    #[serde(flatten)]
    pub(crate) lock: LockState,
    /// Acquisitions; null at the first look.
    pub(crate) per_s: Option<f64>,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct ChannelLook {
    #[serde(flatten)]
    pub(crate) channel: NamedChannel,
    /// Null at the first look, and where nobody counts.
    pub(crate) sent_per_s: Option<f64>,
    pub(crate) received_per_s: Option<f64>,
}

/// A copy of a region that follows it.
#[derive(Debug)]
pub(super) struct Copy {
    region: Inspection,
    image: Image,
    label: Label,
    /// The last look at bytes that were followed till then.
    before: Option<(Instant, RegionLook)>,
    /// What had changed when it was last made the same.
    pub(super) changed: Vec<Range<usize>>,
}

impl Copy {
    /// None if it is no region after all, or one that cannot be read.
    pub(super) fn new(
        contents: &Contents<'_>,
        label: Label,
        segment: &Segment,
        stop: &Stop,
    ) -> Result<Option<Copy>> {
        let mut image = Image::empty(contents.size_bytes(), stop)?;
        image.update(contents, |_| {})?;
        // Why it cannot be read, `coseg show` tells.
        let Ok(region) = image.region_of(segment) else { return Ok(None) };
        Ok(Some(Copy { region, image, label, before: None, changed: Vec::new() }))
    }

    /// Whether it is of the region that has this label.
    pub(super) fn is_of(&self, label: &Label) -> bool {
        self.label == *label
    }

    pub(super) fn region(&self) -> &Inspection {
        &self.region
    }

    /// Makes it the same as the region again.
    pub(super) fn follow(&mut self, contents: &Contents<'_>) -> Result<Activity> {
        let changed = self.image.update(contents, |_| {})?;
        let pages = changed.iter().map(|range| range.len().div_ceil(PAGE_BYTES)).sum();
        let mut is_behind = !changed.is_empty();
        for _ in 1..PASSES_MAX {
            if !is_behind {
                break;
            }
            is_behind = !self.image.update(contents, |_| {})?.is_empty();
        }
        self.changed = changed;
        let looked_page_count = self.image.size_bytes().div_ceil(PAGE_BYTES);
        Ok(Activity { looked_page_count, changed_page_count: pages })
    }

    /// What is inside; rates are of the time since the look before. `None`: the bytes could not be followed, and are as
    /// they were.
    pub(super) fn look(&self, now: Option<Instant>) -> RegionLook {
        let region = &self.region;
        let since = |(then, _): &(Instant, RegionLook)| Some(now?.duration_since(*then).as_secs_f64());
        let seconds = self.before.as_ref().and_then(since).filter(|&seconds| seconds > 0.0);
        // Counts are exact up to 2^53, more than there can be.
        #[expect(clippy::cast_precision_loss, reason = "a rate is for people")]
        let rate = |now: Option<u64>, before: Option<u64>| {
            // What counts less than before was put back, by a dump perhaps.
            let count = now?.checked_sub(before?)?;
            Some(count as f64 / seconds?)
        };
        let before = self.before.as_ref().map(|(_, look)| look);
        let participants: Vec<Member> = region.participants().iter().map(Member::of).collect();
        if let Some(before) = before.filter(|_| now.is_some() && self.changed.is_empty())
            && before.participants == participants
        {
            return before.at_rest();
        }
        let locks = LockState::all(region).into_iter().map(|lock| {
            let before =
                before.and_then(|look| look.locks.iter().find(|other| other.lock.number == lock.number));
            let count = before.map(|before| before.lock.acquisition_count);
            LockLook { per_s: rate(Some(lock.acquisition_count), count), lock }
        });
        let channels = NamedChannel::all(region).into_iter().map(|channel| {
            let before =
                before.and_then(|look| look.channels.iter().find(|other| other.channel.name == channel.name));
            let before = before.map(|before| &before.channel.state);
            ChannelLook {
                sent_per_s: rate(channel.state.sent_count, before.and_then(|state| state.sent_count)),
                received_per_s: rate(
                    channel.state.received_count,
                    before.and_then(|state| state.received_count),
                ),
                channel,
            }
        });
        RegionLook {
            name: region.name().to_owned(),
            r#type: region.schema().name.clone(),
            recovery_count: region.recovery_count(),
            participants,
            locks: locks.collect(),
            channels: channels.collect(),
        }
    }

    /// Tells what is new since the look before, and keeps this one for the next.
    pub(super) fn tell(
        &mut self,
        at: Option<Instant>,
        now: &RegionLook,
        mut tell: impl FnMut(EventKind, String),
    ) {
        if let Some((_, before)) = &self.before {
            before.tell_members(now, &mut tell);
            before.tell_locks(now, &mut tell);
            for channel in &now.channels {
                let was_closed = |other: &ChannelLook| {
                    other.channel.name == channel.channel.name && other.channel.state.closed
                };
                if channel.channel.state.closed && !before.channels.iter().any(was_closed) {
                    tell(EventKind::Closed, format!("channel {}", printable(&channel.channel.name)));
                }
            }
        }
        if let Some(at) = at.or_else(|| self.before.as_ref().map(|(then, _)| *then)) {
            self.before = Some((at, now.clone()));
        }
    }
}

impl Member {
    fn of(participant: &coseg::Participant) -> Member {
        Member {
            party: Party::of(participant),
            uid: participant.uid,
            joined_unix_ns: participant.joined_unix_ns,
        }
    }

    fn is_same(&self, other: &Member) -> bool {
        (self.party.slot, self.party.generation) == (other.party.slot, other.party.generation)
    }

    fn is_dead(&self) -> bool {
        self.party.alive == Some(false)
    }
}

impl RegionLook {
    /// The same, when nothing has happened since.
    fn at_rest(&self) -> RegionLook {
        let mut look = self.clone();
        look.locks.iter_mut().for_each(|lock| lock.per_s = Some(0.0));
        for ChannelLook { channel, sent_per_s, received_per_s } in &mut look.channels {
            *sent_per_s = channel.state.sent_count.map(|_| 0.0);
            *received_per_s = channel.state.received_count.map(|_| 0.0);
        }
        look
    }

    pub(crate) fn dead_count(&self) -> usize {
        self.participants.iter().filter(|member| member.is_dead()).count()
    }

    pub(crate) fn orphaned_locks(&self) -> impl Iterator<Item = &LockLook> {
        self.locks.iter().filter(|lock| lock.lock.state == State::Orphaned)
    }

    fn tell_members(&self, now: &RegionLook, tell: &mut impl FnMut(EventKind, String)) {
        for member in &now.participants {
            let before = self.participants.iter().find(|before| before.is_same(member));
            match before {
                None => tell(EventKind::Joined, member.party.sentence()),
                Some(before) if member.is_dead() && !before.is_dead() => {
                    tell(EventKind::Died, member.party.sentence());
                }
                Some(_) => {}
            }
        }
        for before in &self.participants {
            if !before.is_dead() && !now.participants.iter().any(|member| member.is_same(before)) {
                tell(EventKind::Left, before.party.sentence());
            }
        }
        let recovered = now.recovery_count.saturating_sub(self.recovery_count);
        if recovered > 0 {
            tell(EventKind::Recovered, output::count(recovered, "recovery", "recoveries"));
        }
    }

    fn tell_locks(&self, now: &RegionLook, tell: &mut impl FnMut(EventKind, String)) {
        for lock in now.orphaned_locks() {
            let was = |other: &LockLook| other.lock.number == lock.lock.number;
            if !self.orphaned_locks().any(was) {
                let text = format!("lock {} {}", printable(&lock.lock.name), lock.lock.owned_by());
                tell(EventKind::Orphaned, text);
            }
        }
    }
}
