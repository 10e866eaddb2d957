//! The last process: receives what is left, and sees that every channel is as good as new.

use std::path::Path;
use std::time::Duration;

use coseg::{Channel, Kind, Refusal, Whole};

use crate::hall::{Content, JOBS, LINE, NEWS, Part, QUEUE};
use crate::messages::{Inbox, receive_film, take_job};
use crate::record::{Deed, Record, Writer};
use crate::worker::Worker;

/// Who finds no room for so long never will.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was sent is received before a closed channel says so.
pub(crate) fn drain(life: usize, records: &Path) {
    let mut worker = Worker::new(crate::hall::WORKERS, life, 0, records);
    let Worker { region, writer, .. } = &mut worker;
    drain_one(writer, Part::Queue, &region.queue);
    drain_one(writer, Part::Line, &region.line);
    let mut jobs = region.jobs.receiver().unwrap();
    region.jobs.close().unwrap();
    while repeat(writer, |writer| take_job(writer, Deed::Commit, region, &mut jobs)) {}
    drop(jobs);
    region.film.close().unwrap();
    let mut film = region.film.receiver().unwrap();
    while repeat(writer, |writer| receive_film(writer, &mut film)) {}
    drop(film);

    region.jobs.reopen().unwrap();
    fill(&region.queue, QUEUE);
    fill(&region.jobs, JOBS);
    fill(&region.line, LINE);
    fill(&region.news, NEWS);
}

fn repeat(writer: &mut Writer, deed: impl FnOnce(&mut Writer)) -> bool {
    let before = writer.received_count;
    deed(writer);
    writer.received_count > before
}

fn drain_one<M: Content + PartialEq, K: Whole>(writer: &mut Writer, part: Part, channel: &Channel<M, K>) {
    channel.close().unwrap();
    writer.write(Record::new(Deed::TakeReceiver, part), |_, _| ());
    let mut receiver = channel.receiver().unwrap();
    while repeat(writer, |writer| {
        Inbox { writer, part, receiver: &mut receiver }.receive_one(None);
    }) {}
    channel.reopen().unwrap();
}

/// It holds as many messages as it should, and gives them back in their order.
fn fill<M: Content + PartialEq, K: Whole + Kind>(channel: &Channel<M, K>, capacity: usize) {
    let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
    for round in 0..3 {
        for index in 0..capacity as u64 {
            // It may be told that a peer died, once, and has to bury the dead where they take room.
            match sender.send_timeout(&M::of(index), PATIENCE) {
                Err(Refusal::Disconnected(_)) => sender.send_timeout(&M::of(index), PATIENCE).unwrap(),
                sent => sent.unwrap(),
            }
        }
        let more = sender.try_send(&M::of(capacity as u64));
        assert!(matches!(more, Err(Refusal::Full)), "round {round}: {more:?}");
        for index in 0..capacity as u64 {
            assert_eq!(receiver.try_receive().unwrap().checked(), Some(index), "round {round}");
        }
    }
}
