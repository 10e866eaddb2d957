//! iceoryx2: publishers and subscribers, and events to sleep for.
#![allow(unsafe_code, reason = "a sample whose rest is left as it is")]

use std::path::Path;

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{BackpressureStrategy, Config, LogLevel, Node, NodeBuilder, ipc, set_log_level};
use iceoryx2::sample::Sample;

use super::course::{Course, Kind, Means, Waits};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

type Received = Sample<ipc::Service, [u64], ()>;

pub(super) fn prepare<const N: usize>(course: Course, directory: &Path) -> Outcome<Prepared> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    let text = directory.to_str().ok_or("a path that is no text")?;
    config.global.set_root_path(&text.try_into().map_err(|error| format!("{error:?}"))?);
    // Another's names, if something is left of it, are no hindrance.
    let pair = std::process::id();
    Ok(match course {
        Course { means: Means::Loan, .. } => Prepared::processes::<_, N>(course, move |side| {
            Ok(Loaned(Iceoryx::open(course, &config, pair, side)?))
        }),
        Course { waits: Waits::Sleeping, .. } => Prepared::processes::<_, N>(course, move |side| {
            let messages = Iceoryx::open(course, &config, pair, side)?;
            Sleeping::open(messages, pair, side)
        }),
        _ => Prepared::processes::<_, N>(course, move |side| Iceoryx::open(course, &config, pair, side)),
    })
}

struct Iceoryx {
    publisher: Publisher<ipc::Service, [u64], ()>,
    subscriber: Subscriber<ipc::Service, [u64], ()>,
    /// Of a broadcast.
    second: Option<Subscriber<ipc::Service, [u64], ()>>,
    word_count: usize,
    node: Node<ipc::Service>,
}

fn name(way: &str, pair: u32) -> String {
    format!("coseg-bench-{pair}-{way}")
}

/// Where a side sends and where it receives.
fn ways(side: Side) -> [&'static str; 2] {
    if side == Side::First { ["there", "back"] } else { ["back", "there"] }
}

impl Iceoryx {
    fn open(course: Course, config: &Config, pair: u32, side: Side) -> Outcome<Iceoryx> {
        let node = NodeBuilder::new().config(config).create::<ipc::Service>()?;
        let [sent, received] = ways(side).map(|way| -> Outcome<_> {
            let service = node.service_builder(&name(way, pair).as_str().try_into()?);
            let service = service.publish_subscribe::<[u64]>().subscriber_max_buffer_size(course.depth());
            Ok(service.enable_safe_overflow(false).history_size(0).open_or_create()?)
        });
        let word_count = course.size_bytes / 8;
        let publisher = sent?
            .publisher_builder()
            .initial_max_slice_len(word_count)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let received = received?;
        let subscriber = || received.subscriber_builder().create();
        let second = (course.kind == Kind::Broadcast).then(subscriber).transpose()?;
        Ok(Iceoryx { publisher, subscriber: subscriber()?, second, word_count, node })
    }
}

#[inline(always)]
fn receive(subscriber: &Subscriber<ipc::Service, [u64], ()>) -> Outcome<Received> {
    loop {
        if let Some(sample) = subscriber.receive()? {
            return Ok(sample);
        }
    }
}

impl<const N: usize> Ends<N> for Iceoryx {
    type Place = Box<[u64; N]>;

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        self.publisher.loan_slice_uninit(N)?.write_from_slice(message).send()?;
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        message.copy_from_slice(receive(&self.subscriber)?.payload());
        if let Some(second) = &self.second {
            message.copy_from_slice(receive(second)?.payload());
        }
        Ok(())
    }
}

/// Only the first words of a sample are written and read.
struct Loaned(Iceoryx);

impl<const N: usize> Ends<N> for Loaned {
    type Place = Box<[u64; N]>;

    #[inline]
    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let mut sample = self.0.publisher.loan_slice_uninit(self.0.word_count)?;
        for (place, word) in sample.payload_mut().iter_mut().zip(message) {
            place.write(*word);
        }
        // SAFETY: its memory was zeroed or written when it was made, and any bits are words.
        unsafe { sample.assume_init() }.send()?;
        Ok(())
    }

    #[inline]
    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        message.copy_from_slice(&receive(&self.0.subscriber)?.payload()[..N]);
        Ok(())
    }
}

/// An event for each message.
struct Sleeping {
    messages: Iceoryx,
    notifier: Notifier<ipc::Service>,
    listener: Listener<ipc::Service>,
}

impl Sleeping {
    fn open(messages: Iceoryx, pair: u32, side: Side) -> Outcome<Sleeping> {
        let [sent, received] = ways(side).map(|way| -> Outcome<_> {
            let service = messages.node.service_builder(&name(way, pair).as_str().try_into()?);
            Ok(service.event().open_or_create()?)
        });
        let (notifier, listener) =
            (sent?.notifier_builder().create()?, received?.listener_builder().create()?);
        Ok(Sleeping { messages, notifier, listener })
    }
}

impl<const N: usize> Ends<N> for Sleeping {
    type Place = Box<[u64; N]>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        self.messages.send(message)?;
        self.notifier.notify()?;
        Ok(())
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        loop {
            if let Some(sample) = self.messages.subscriber.receive()? {
                message.copy_from_slice(sample.payload());
                return Ok(());
            }
            self.listener.blocking_wait(|_| ())?;
        }
    }
}
