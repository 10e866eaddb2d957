//! The regions with channels, and what is in them when a victim comes.

use std::cell::{Cell as Flag, RefCell};
use std::io;
use std::time::Duration;

use coseg::{
    Broadcast, Bytes, Cell, Channel, DropOldest, Kind, OneToOne, Queue, Receiver, Refusal, Region, Shared,
    Stream, Whole,
};
use coseg_crash::Seen;

use crate::trials::is_long;
use crate::world::{Ground, On, Setting, World};

/// A message that takes a line of its own.
pub(crate) type Long = [u64; 7];

#[derive(Region)]
pub(crate) struct Port {
    /// Its messages share lines.
    pub(crate) line: Channel<u64, OneToOne<4>>,
    pub(crate) lines: Channel<Long, OneToOne<2>>,
    pub(crate) jobs: Channel<u64, Queue<4>>,
    /// Room to leave somebody behind in.
    pub(crate) wide: Channel<u64, Queue<128>>,
    pub(crate) news: Channel<u64, Broadcast<4>>,
    pub(crate) ticks: Channel<u64, Broadcast<4, DropOldest>>,
    pub(crate) books: Cell<u64>,
    pub(crate) sums: Cell<u64>,
}

#[derive(Region)]
pub(crate) struct Quay {
    pub(crate) files: Channel<Bytes<80_000>, Stream<4>>,
}

const CHUNK_BYTES: usize = 32 * 1024;
/// What is sent after a death.
const NEXT: u64 = 99;
/// Longer than whatever is there takes to come.
const SOON: Duration = Duration::from_millis(60);

/// What stands for a number.
pub(crate) trait Numbered: Shared {
    fn of(number: u64) -> Self;
    fn number(self) -> u64;
}

impl Numbered for u64 {
    fn of(number: u64) -> u64 {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

impl Numbered for Long {
    fn of(number: u64) -> Long {
        [number; 7]
    }

    fn number(self) -> u64 {
        assert_eq!(self, [self[0]; 7], "of two messages");
        self[0]
    }
}

/// What a victim finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Two messages in every channel, and nobody there.
    Quiet,
    /// No message.
    Empty,
    /// As many as there can be.
    Full,
    /// Three messages, and the one that was writing a fourth and held the first has died.
    Orphaned,
}

/// A region with channels, and who listens from the beginning.
pub(crate) struct Dock {
    pub(crate) listener: RefCell<Option<Listener>>,
    /// Somebody waited when the victim died, and took what there was.
    pub(crate) had_waiters: Flag<bool>,
    world: World<Port>,
}

pub(crate) enum Listener {
    News(Box<[Receiver<u64, Broadcast<4>>; 2]>),
    Ticks(Receiver<u64, Broadcast<4, DropOldest>>),
    Wide(Receiver<u64, Queue<128>>),
}

impl Ground for Dock {
    fn setting(&self) -> &Setting {
        self.world.setting()
    }

    fn observe(&self, seen: &mut Seen) {
        self.world.observe(seen);
    }
}

impl Dock {
    pub(crate) fn new(on: On, scene: Scene, listens_to: &str) -> io::Result<Dock> {
        let mut world = World::<Port>::of(on, 6, PortInitial::default)?;
        let port = world.kept.as_ref().unwrap();
        let mut held = None;
        match scene {
            Scene::Quiet => fill(port, 2),
            Scene::Full => fill(port, 4),
            Scene::Empty => {}
            Scene::Orphaned => {
                let mut sender = port.jobs.sender().unwrap();
                std::mem::forget(sender.loan().unwrap());
                fill(port, 3);
                let mut receiver = port.jobs.receiver().unwrap();
                std::mem::forget(receiver.hold().unwrap());
                let mut news = port.news.sender().unwrap();
                std::mem::forget(news.loan().unwrap());
                held = Some((receiver, sender, news));
            }
        }
        let listener = match listens_to {
            "news" => Some(Listener::News(Box::new([(); 2].map(|()| port.news.receiver().unwrap())))),
            "ticks" => {
                let receiver = port.ticks.receiver().unwrap();
                fill_one(&port.ticks, 3..=6);
                Some(Listener::Ticks(receiver))
            }
            "wide" => {
                let mut receiver = port.wide.receiver().unwrap();
                assert!(matches!(receiver.try_receive(), Err(Refusal::Empty)));
                Some(Listener::Wide(receiver))
            }
            _ => None,
        };
        match (&listener, scene) {
            (_, Scene::Orphaned) => world.die_with(held),
            (None, _) => world.leave(),
            (Some(_), _) => {}
        }
        Ok(Dock { listener: RefCell::new(listener), had_waiters: Flag::new(false), world })
    }

    /// What came to who listened from the beginning; he hears nothing more.
    pub(crate) fn heard(&self) -> String {
        match self.listener.take() {
            None => String::new(),
            Some(Listener::News(both)) => {
                let [first, second] = *both;
                let heard = all(first, Duration::ZERO);
                // What one has heard the other hears too, also if somebody has sent since.
                let port = self.setting().at::<Port>("teller").open().unwrap();
                port.news.sender().unwrap().send_timeout(&NEXT, SOON).unwrap();
                let later = all(second, Duration::ZERO);
                assert_eq!(later, format!("{heard} {NEXT}").trim_start());
                heard
            }
            Some(Listener::Ticks(receiver)) => all(receiver, Duration::ZERO),
            // It comes without anybody saying so, if its sender died just then.
            Some(Listener::Wide(receiver)) => all(receiver, SOON),
        }
    }
}

fn fill(port: &Region<Port>, count: u64) {
    fill_one(&port.line, 1..=count);
    fill_one(&port.lines, 1..=count.min(2));
    fill_one(&port.jobs, 1..=count);
    fill_one(&port.news, 1..=count);
    fill_one(&port.ticks, 1..=count);
}

fn fill_one<T: Numbered, K: Whole>(channel: &Channel<T, K>, numbers: impl Iterator<Item = u64>) {
    let mut sender = channel.sender().unwrap();
    numbers.for_each(|number| sender.try_send(&T::of(number)).unwrap());
}

/// All that a receiver gets, with a star where somebody may have had it before.
pub(crate) fn all<T: Numbered, K: Whole>(mut receiver: Receiver<T, K>, patience: Duration) -> String {
    let mut told = Vec::new();
    // Each death is told once.
    for _ in 0..20 {
        match receiver.receive_timeout(patience) {
            Ok(message) => {
                let star = if receiver.is_redelivered() { "*" } else { "" };
                told.push(format!("{}{star}", message.number()));
            }
            Err(Refusal::TimedOut(_) | Refusal::Closed) => break,
            Err(Refusal::Disconnected(_) | Refusal::Missed(_)) => {}
            Err(refused) => panic!("{refused}"),
        }
    }
    told.join(" ")
}

/// A region with a stream; what is in a chunk nobody sees before its count is there.
pub(crate) fn quay(on: On, has_file: bool) -> io::Result<World<Quay>> {
    let mut world = World::<Quay>::of(on, 6, QuayInitial::default)?;
    let part = world.kept.as_ref().unwrap().schema().parts[0].clone();
    let slots_at = part.offset + 512 + 2 * 64;
    let slot_size = (8 + 8 + CHUNK_BYTES).next_multiple_of(64);
    world.hidden =
        (0..4).map(|slot| slots_at + slot * slot_size + 8..slots_at + (slot + 1) * slot_size).collect();
    if has_file {
        world.kept.as_ref().unwrap().files.sender().unwrap().send(&file(1)).unwrap();
    }
    world.leave();
    Ok(world)
}

/// A message in two chunks; in three where there is time, for each word of it is a step.
pub(crate) fn file(number: u8) -> Vec<u8> {
    vec![number; if is_long() { 70_000 } else { 33_000 }]
}

/// Which kind a channel is does not matter to who only takes its ends.
pub(crate) fn take_and_leave<T, K: Kind>(channel: &Channel<T, K>) {
    drop(channel.sender().unwrap());
    drop(channel.receiver().unwrap());
}
