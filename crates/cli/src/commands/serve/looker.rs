//! One thread looks for all who watch, and only while somebody does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coseg_sysv::ShmId;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{oneshot, watch};

use super::removal::{self, Removal, Wish};
use crate::backend::Facility;
use crate::failure::{Failure, Result};
use crate::live::events::Event;
use crate::live::{Live, Scene};
use crate::output::Versioned;
use crate::stop::Stop;

/// Events that are kept for who comes later.
const EVENTS_MAX: usize = 200;

/// A document as the tool's others.
pub(super) fn json(document: &impl Serialize) -> Arc<str> {
    // Of our own types, none of which has a key that is no text.
    serde_json::to_string(&Versioned::new(document)).unwrap_or_default().into()
}

/// An event, and which of all that were seen it is: so who reads again knows what he has had.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Numbered {
    pub(super) number: u64,
    #[serde(flatten)]
    event: Event,
}

/// What was seen at one moment.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) scene: Scene,
    pub(super) json: Arc<str>,
    /// The last ones, up to now.
    pub(super) events: Arc<[Arc<Numbered>]>,
    pub(super) took: Duration,
}

/// What became of a look; the error is one to show.
pub(super) type Seen = Result<Arc<Look>, Arc<str>>;

enum Ask {
    Scene(oneshot::Sender<Seen>),
    Details(ShmId, oneshot::Sender<Result<Option<Arc<str>>, Arc<str>>>),
    Remove(Wish, oneshot::Sender<Removal>),
}

pub(super) struct Looker {
    handle: Handle,
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

/// Asks the looker.
#[derive(Clone)]
pub(super) struct Handle {
    asks: mpsc::Sender<Ask>,
    looks: watch::Sender<Option<Seen>>,
    pub(super) every: Duration,
}

/// The thread's own.
struct Work {
    live: Live,
    asks: mpsc::Receiver<Ask>,
    looks: watch::Sender<Option<Seen>>,
    every: Duration,
    /// The last look, when it began and when it ended.
    last: Option<(Seen, Instant, Instant)>,
    events: VecDeque<Arc<Numbered>>,
    event_count: u64,
}

impl Looker {
    pub(super) fn start(facility: Facility, every: Duration, stop: &Stop) -> Result<Looker> {
        let (asks, asked) = mpsc::channel();
        let (looks, _) = watch::channel(None);
        let (alive, ended) = oneshot::channel::<()>();
        let mut work = Work {
            live: Live::new(facility, stop)?,
            asks: asked,
            looks: looks.clone(),
            every,
            last: None,
            events: VecDeque::new(),
            event_count: 0,
        };
        let run = move || {
            // Dropped however this ends.
            let _alive = alive;
            work.run();
        };
        let thread = std::thread::Builder::new()
            .name("looker".to_owned())
            .spawn(run)
            .map_err(|error| Failure::io("serve: start a thread", &error))?;
        Ok(Looker { handle: Handle { asks, looks, every }, thread, ended })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Once its thread has ended, which only a panic makes it do.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Waits for its end, once nobody has a handle any more.
    pub(super) fn join(self) {
        drop(self.handle);
        // A panic has been told on standard error.
        let _ = self.thread.join();
    }
}

impl Handle {
    /// From now on there is somebody who watches.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Seen>> {
        self.looks.subscribe()
    }

    /// The last look, or another where that has grown old.
    pub(super) async fn scene(&self) -> Seen {
        self.ask(Ask::Scene).await?
    }

    /// What is known of one segment; none: there is no such segment.
    pub(super) async fn details(&self, id: ShmId) -> Result<Option<Arc<str>>, Arc<str>> {
        self.ask(|answer| Ask::Details(id, answer)).await?
    }

    pub(super) async fn remove(&self, wish: Wish) -> Result<Removal, Arc<str>> {
        self.ask(|answer| Ask::Remove(wish, answer)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Arc<str>> {
        let gone = || Arc::from("what looks at the segments has ended");
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl Work {
    fn run(&mut self) {
        loop {
            let asked = match self.looks.receiver_count() {
                0 => self.asks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                _ => self.asks.recv_timeout(self.until_next()),
            };
            match asked {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => drop(self.look()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone.
        match ask {
            Ask::Scene(answer) => drop(answer.send(self.fresh())),
            Ask::Details(id, answer) => drop(answer.send(self.details(id))),
            Ask::Remove(wish, answer) => {
                let removal = removal::remove(&wish, self.live.view());
                if removal.has_changed() {
                    let _ = self.look();
                }
                drop(answer.send(removal));
            }
        }
    }

    /// How long until the next look: at least as long as the last one took, so that half of the time is left to others.
    fn until_next(&self) -> Duration {
        let Some((_, start, end)) = self.last else { return Duration::ZERO };
        let due = (start + self.every).max(end + (end - start));
        due.saturating_duration_since(Instant::now())
    }

    fn fresh(&mut self) -> Seen {
        match &self.last {
            Some((seen, ..)) if !self.until_next().is_zero() => seen.clone(),
            _ => self.look(),
        }
    }

    fn look(&mut self) -> Seen {
        let start = Instant::now();
        let looked = self.live.look();
        let seen = match looked {
            Ok(mut scene) => {
                let is_news = !scene.events.is_empty();
                self.keep(std::mem::take(&mut scene.events));
                let events = match &self.last {
                    Some((Ok(before), ..)) if !is_news => Arc::clone(&before.events),
                    _ => self.events.iter().cloned().collect(),
                };
                let json = json(&scene);
                Ok(Arc::new(Look { scene, json, events, took: start.elapsed() }))
            }
            Err(failure) => Err(Arc::from(failure.to_string())),
        };
        self.last = Some((seen.clone(), start, Instant::now()));
        self.looks.send_replace(Some(seen.clone()));
        seen
    }

    fn keep(&mut self, events: Vec<Event>) {
        for event in events {
            self.event_count += 1;
            self.events.push_back(Arc::new(Numbered { number: self.event_count, event }));
        }
        let extra = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..extra);
    }

    fn details(&mut self, id: ShmId) -> Result<Option<Arc<str>>, Arc<str>> {
        self.fresh()?;
        Ok(self.live.details(id).map(|details| json(&details)))
    }
}
