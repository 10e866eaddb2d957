//! What a viewer is sent: server-sent events, until he goes or the server ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use coseg_sysv::ShmId;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use super::looker::{Handle, Look, Numbered, Seen, json};

/// So often something is sent, that a connection whose other side has gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What the page needs to know first.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Hello {
    version: &'static str,
    read_only: bool,
    every_ms: u64,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Events<'a> {
    events: Vec<&'a Numbered>,
}

/// Why there is nothing new.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Trouble<'a> {
    error: &'a str,
}

struct Viewer {
    looker: Handle,
    looks: watch::Receiver<Option<Seen>>,
    ended: watch::Receiver<bool>,
    /// Whose fields and pages he sees.
    segment: Option<ShmId>,
    /// The number of the last event that was sent to him.
    event_seen: u64,
    waiting: VecDeque<Event>,
}

/// Everything with each look, and one segment's details where one is named.
pub(super) fn respond(
    looker: Handle,
    ended: watch::Receiver<bool>,
    segment: Option<ShmId>,
    read_only: bool,
) -> Response {
    let every_ms = u64::try_from(looker.every.as_millis()).unwrap_or(u64::MAX);
    let hello = Hello { version: env!("CARGO_PKG_VERSION"), read_only, every_ms };
    let looks = looker.watch();
    let mut waiting = VecDeque::new();
    waiting.push_back(event("hello", &json(&hello)));
    let viewer = Viewer { looker, looks, ended, segment, event_seen: 0, waiting };
    let events = stream::unfold((viewer, true), |(mut viewer, is_first)| async move {
        let (event, is_first) = viewer.next(is_first).await?;
        Some((Ok::<_, Infallible>(event), (viewer, is_first)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

impl Viewer {
    /// The next thing to send; none at the end. Whether he still waits for his first look.
    async fn next(&mut self, mut is_first: bool) -> Option<(Event, bool)> {
        loop {
            if *self.ended.borrow() {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                return Some((event, is_first));
            }
            let seen = tokio::select! {
                seen = seen(&self.looker, &mut self.looks, is_first) => seen?,
                _ = self.ended.changed() => return None,
            };
            is_first = false;
            self.tell(&seen).await;
        }
    }

    async fn tell(&mut self, seen: &Seen) {
        let look = match seen {
            Ok(look) => look,
            Err(error) => return self.waiting.push_back(trouble(error)),
        };
        self.waiting.push_back(event("scene", &look.json));
        self.tell_events(look);
        let Some(id) = self.segment else { return };
        self.waiting.push_back(match self.looker.details(id).await {
            Ok(Some(details)) => event("details", &details),
            Ok(None) => event("details", "null"),
            Err(error) => trouble(&error),
        });
    }

    fn tell_events(&mut self, look: &Look) {
        let after = self.event_seen;
        let events: Vec<&Numbered> =
            look.events.iter().map(Arc::as_ref).filter(|event| event.number > after).collect();
        if let Some(last) = events.last() {
            self.event_seen = last.number;
            self.waiting.push_back(event("events", &json(&Events { events })));
        }
    }
}

/// What there is to see: at once where that is not old, then each look.
async fn seen(looker: &Handle, looks: &mut watch::Receiver<Option<Seen>>, is_first: bool) -> Option<Seen> {
    if is_first {
        let seen = looker.scene().await;
        looks.mark_unchanged();
        return Some(seen);
    }
    looks.changed().await.ok()?;
    looks.borrow_and_update().clone()
}

fn event(name: &str, json: &str) -> Event {
    Event::default().event(name).data(json)
}

fn trouble(error: &str) -> Event {
    event("trouble", &json(&Trouble { error }))
}
