//! What a region's locks are doing, joined with who its participants are.

use coseg::{Inspection, LockView, Participant};
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::printable;
use crate::time;

/// Somebody who has joined a region, or had.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct Party {
    pub(crate) slot: Option<usize>,
    pub(crate) generation: Option<u32>,
    pub(crate) pid: Option<u32>,
    pub(crate) pid_namespace: Option<u64>,
    pub(crate) name: Option<String>,
    /// Null where it cannot be told: in another PID namespace.
    pub(crate) alive: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Free,
    Reading,
    Held,
    /// The holder has died, and nobody has taken the lock since.
    Orphaned,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct LockState {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) holder: Option<Party>,
    /// Held at least since then; null where nobody waits and so nobody noted it.
    pub(crate) held_since_unix_ns: Option<u64>,
    pub(crate) acquisition_count: u64,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) readers: Vec<Party>,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Waiter {
    #[serde(flatten)]
    pub(crate) party: Party,
    pub(crate) since_unix_ns: u64,
}

impl Party {
    pub(crate) fn of(participant: &Participant) -> Party {
        Party {
            slot: Some(participant.slot),
            generation: Some(participant.generation),
            pid: Some(participant.pid),
            pid_namespace: Some(participant.pid_namespace),
            name: Some(participant.name.clone()),
            alive: participant.alive,
        }
    }

    /// One whose slot is another's by now, or free.
    pub(crate) fn unknown(slot: Option<usize>) -> Party {
        Party { slot, generation: None, pid: None, pid_namespace: None, name: None, alive: Some(false) }
    }

    /// `trader (pid 12, slot 0, generation 1)`
    pub(crate) fn sentence(&self) -> String {
        let name = self.name.as_deref().map_or_else(|| "somebody".to_owned(), printable);
        let number = |what: &str, number: Option<u64>| number.map(|number| format!("{what} {number}"));
        let known = [
            number("pid", self.pid.map(u64::from)),
            number("slot", self.slot.map(|slot| slot as u64)),
            number("generation", self.generation.map(u64::from)),
        ];
        let known: Vec<String> = known.into_iter().flatten().collect();
        if known.is_empty() { name } else { format!("{name} ({})", known.join(", ")) }
    }

    /// `12 trader`, `12 trader dead`
    pub(crate) fn short(&self) -> String {
        let pid = self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        let name = self.name.as_deref().map_or_else(|| "?".to_owned(), printable);
        let dead = if self.alive == Some(false) { " dead" } else { "" };
        format!("{pid} {name}{dead}")
    }
}

impl LockState {
    /// All locks of a region, in their order.
    pub(crate) fn all(region: &Inspection) -> Vec<LockState> {
        let participants = region.participants();
        region.locks().into_iter().map(|view| LockState::new(view, &participants)).collect()
    }

    /// The lock that is this part.
    pub(crate) fn of_part(region: &Inspection, name: &str) -> Option<LockState> {
        LockState::all(region).into_iter().find(|lock| lock.name == name)
    }

    fn new(view: LockView, participants: &[Participant]) -> LockState {
        let party = |slot: usize| participants.iter().find(|participant| participant.slot == slot);
        let readers: Vec<Party> = view
            .reader_slots
            .iter()
            .map(|&slot| party(slot).map_or_else(|| Party::unknown(Some(slot)), Party::of))
            .collect();
        let waiters = view.waiter_slots.iter().filter_map(|&slot| {
            let participant = party(slot)?;
            let waiting = participant.waits_for.filter(|waiting| waiting.lock == view.number)?;
            Some(Waiter { party: Party::of(participant), since_unix_ns: waiting.since_unix_ns })
        });
        let state = match &view.holder {
            Some(holder) if holder.orphaned => State::Orphaned,
            Some(_) => State::Held,
            None if readers.iter().any(|reader| reader.alive != Some(false)) => State::Reading,
            None => State::Free,
        };
        let waiters = waiters.collect();
        LockState {
            number: view.number,
            name: view.name,
            state,
            held_since_unix_ns: view.holder.as_ref().and_then(|holder| holder.held_since_unix_ns),
            holder: view.holder.map(|holder| match &holder.participant {
                Some(participant) => Party::of(participant),
                None => Party::unknown(holder.slot),
            }),
            acquisition_count: view.acquisition_count,
            waiters,
            readers,
        }
    }

    /// Who has it, without how long and who else would like to.
    pub(crate) fn owned_by(&self) -> String {
        let holder = self.holder.as_ref().map_or_else(|| "somebody".to_owned(), Party::sentence);
        match self.state {
            State::Free => "free".to_owned(),
            State::Reading => "read".to_owned(),
            State::Held => format!("held by {holder}"),
            State::Orphaned => format!("orphaned by {holder}"),
        }
    }

    /// `held by 12 trader for 3s at least, 2 wait`
    pub(crate) fn sentence(&self) -> String {
        let holder = self.holder.as_ref().map_or_else(|| "somebody".to_owned(), Party::sentence);
        let mut text = match self.state {
            State::Free => "free".to_owned(),
            State::Reading => "read".to_owned(),
            State::Held => format!("held by {holder}"),
            State::Orphaned => format!("orphaned: {holder} died holding it; the next to lock it recovers it"),
        };
        if let (State::Held, Some(since)) = (self.state, self.held_since_unix_ns) {
            text.push_str(&format!(", for {} at least", time::short_since(since)));
        }
        if !self.readers.is_empty() {
            let readers: Vec<String> = self.readers.iter().map(Party::short).collect();
            let verb = if self.state == State::Held { "who waits for its readers" } else { "readers" };
            text.push_str(&format!(", {verb}: {}", readers.join(", ")));
        }
        if !self.waiters.is_empty() {
            let waiters: Vec<String> = self.waiters.iter().map(Waiter::short).collect();
            text.push_str(&format!(", waiting: {}", waiters.join(", ")));
        }
        text
    }
}

impl Waiter {
    /// `13 buyer 2s`
    pub(crate) fn short(&self) -> String {
        format!("{} {}", self.party.short(), time::short_since(self.since_unix_ns))
    }
}

/// What the lock that is this part is doing.
pub(crate) fn of_part(region: &Inspection, name: &str) -> String {
    LockState::of_part(region, name).map_or_else(|| "unknown".to_owned(), |lock| lock.sentence())
}
