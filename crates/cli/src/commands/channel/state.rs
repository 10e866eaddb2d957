//! What a channel of a region is doing, joined with who its participants are.

use coseg::ChannelView;
use coseg::schema::{PartKind, Type};
use coseg::{ChannelEnd, Inspection};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::locks::state::Party;
use crate::output;
use crate::value::TypeJson;

/// The field names are a promise.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct ChannelState {
    /// Most messages that it holds; of a stream, chunks.
    pub(crate) capacity: usize,
    pub(crate) message_bytes: usize,
    pub(crate) size_bytes: usize,
    pub(crate) closed: bool,
    pub(crate) ready_count: usize,
    /// Null where the ends keep it to themselves.
    pub(crate) held_count: Option<usize>,
    pub(crate) writing_count: Option<usize>,
    /// Of the held and the written, those of the dead.
    pub(crate) orphan_count: usize,
    /// Null where nobody counts.
    pub(crate) sent_count: Option<u64>,
    pub(crate) received_count: Option<u64>,
    pub(crate) senders: Vec<End>,
    pub(crate) receivers: Vec<End>,
    #[serde(skip)]
    pub(crate) kind: PartKind,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct End {
    #[serde(flatten)]
    pub(crate) party: Party,
    pub(crate) dead: bool,
    /// Messages that a broadcast's receiver is behind; absent at other ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag: Option<u64>,
}

/// A channel with its name and messages.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct NamedChannel {
    pub(crate) name: String,
    pub(crate) kind: String,
    #[serde(skip)]
    pub(crate) of: Type,
    #[serde(flatten)]
    pub(crate) state: ChannelState,
}

impl End {
    fn of(end: &ChannelEnd) -> End {
        let party = match &end.participant {
            Some(participant) => Party::of(participant),
            None => Party::unknown(end.slot),
        };
        End { party, dead: end.is_dead, lag: end.lag }
    }

    /// `trader (pid 12, slot 0, generation 1), 3 behind`
    pub(crate) fn sentence(&self, capacity: usize) -> String {
        let dead = if self.dead { ", dead: its place is free to take" } else { "" };
        let lag = match self.lag {
            Some(lag) if lag > capacity as u64 => {
                let lost = output::grouped(lag - capacity as u64);
                format!(", {} behind, {lost} of them lost to it", output::grouped(lag))
            }
            Some(lag) => format!(", {} behind", output::grouped(lag)),
            None => String::new(),
        };
        format!("{}{lag}{dead}", self.party.sentence())
    }
}

impl From<ChannelView> for NamedChannel {
    fn from(view: ChannelView) -> NamedChannel {
        let ends = |ends: &[ChannelEnd]| ends.iter().map(End::of).collect();
        let state = ChannelState {
            capacity: view.capacity,
            message_bytes: view.message_bytes,
            size_bytes: view.size_bytes,
            closed: view.is_closed,
            ready_count: view.ready_count,
            held_count: view.held_count,
            writing_count: view.writing_count,
            orphan_count: view.orphan_count,
            sent_count: view.sent_count,
            received_count: view.received_count,
            senders: ends(&view.senders),
            receivers: ends(&view.receivers),
            kind: view.kind,
        };
        NamedChannel { name: view.name, kind: view.kind.to_string(), of: view.of, state }
    }
}

impl NamedChannel {
    /// All channels of a region, in their order.
    pub(crate) fn all(region: &Inspection) -> Vec<NamedChannel> {
        region.channels().into_iter().map(NamedChannel::from).collect()
    }

    pub(crate) fn of_part(region: &Inspection, name: &str) -> Option<NamedChannel> {
        NamedChannel::all(region).into_iter().find(|channel| channel.name == name)
    }

    pub(crate) fn r#type(&self) -> TypeJson<'_> {
        (&self.of).into()
    }
}

impl ChannelState {
    /// What its capacity counts.
    pub(crate) fn unit(&self) -> &'static str {
        if self.kind == PartKind::Stream { "chunks" } else { "messages" }
    }

    /// `3 ready, 1 held, 0 being written`
    pub(crate) fn depth(&self) -> String {
        let mut text = format!("{} ready", output::grouped(self.ready_count as u64));
        if let Some(held) = self.held_count {
            text.push_str(&format!(", {held} held"));
        }
        if let Some(writing) = self.writing_count.filter(|&writing| writing > 0) {
            text.push_str(&format!(", {writing} being written"));
        }
        if self.orphan_count > 0 {
            text.push_str(&format!(", {} of them by the dead", self.orphan_count));
        }
        text
    }

    /// In one word, the gravest first.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            state if state.orphan_count > 0 => "orphaned",
            state if state.closed => "closed",
            state if state.ready_count == state.capacity => "full",
            _ => "open",
        }
    }

    /// `1 sender, 2 receivers (1 dead)`
    pub(crate) fn ends(&self) -> String {
        let count = |ends: &[End], one: &str| {
            let dead = ends.iter().filter(|end| end.dead).count();
            let text = output::count(ends.len() as u64, one, &format!("{one}s"));
            if dead > 0 { format!("{text} ({dead} dead)") } else { text }
        };
        format!("{}, {}", count(&self.senders, "sender"), count(&self.receivers, "receiver"))
    }

    /// `3 ready, 1 held; 1 sender, 2 receivers`
    pub(crate) fn sentence(&self) -> String {
        let closed = if self.closed { "; closed" } else { "" };
        format!("{}; {}{closed}", self.depth(), self.ends())
    }
}
