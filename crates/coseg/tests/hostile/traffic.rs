//! What the victim does at channels.

use std::time::Duration;

use coseg::{
    Bytes, Channel, Error, Inspection, Kind, Receiver, Refusal, Sender, Shared, Text, UntypedChannel, Value,
    Whole, Written,
};

use crate::victim::{Operation, bounded, locking, patient, told_well};
use crate::world::Currency;

/// One of several waits of an operation.
const BRIEF: Duration = Duration::from_micros(300);
/// What is done with an end before it is given back: as often the peer may have moved everything.
const ROUNDS: u64 = 2;

fn refused_well<T>(result: Result<T, Refusal>) {
    if let Err(refusal) = result {
        assert!(!refusal.to_string().is_empty());
    }
}

/// Uses an end that sends, if it is to be had.
fn sending<M, K: Kind>(channel: &Channel<M, K>, act: impl Fn(&mut Sender<M, K>, u64)) {
    told_well(channel.sender().map(|mut sender| (0..ROUNDS).for_each(|round| act(&mut sender, round))));
}

/// Uses an end that receives, if it is to be had.
fn receiving<M, K: Kind>(channel: &Channel<M, K>, act: impl Fn(&mut Receiver<M, K>)) {
    told_well(channel.receiver().map(|mut receiver| (0..ROUNDS).for_each(|_| act(&mut receiver))));
}

fn send<T: Shared, K: Whole>(channel: &Channel<T, K>, message: T) {
    sending(channel, |sender, round| {
        refused_well(sender.try_send(&message));
        refused_well(sender.send_timeout(&message, BRIEF));
        refused_well(sender.try_send_many(&[message; 3]));
        refused_well(sender.try_loan().and_then(|loan| loan.write(&message)).map(Written::send));
        refused_well(sender.try_loan().map(drop));
        if round == 0 {
            std::mem::forget(sender.try_loan());
        }
    });
}

fn receive<T: Shared, K: Whole>(channel: &Channel<T, K>) {
    receiving(channel, |receiver| {
        refused_well(receiver.try_receive());
        refused_well(receiver.receive_timeout(BRIEF));
        let mut got = Vec::new();
        refused_well(receiver.try_receive_many(&mut got, 5));
        assert!(got.len() <= 5);
        refused_well(
            receiver.hold_timeout(BRIEF).map(|held| (held.get(), held.is_redelivered(), held.done())),
        );
        refused_well(receiver.hold_timeout(BRIEF).map(drop));
        refused_well(receiver.wait(Some(BRIEF)));
        let _ = (receiver.is_redelivered(), receiver.missed_count());
    });
}

fn send_bytes<const MAX: usize, K: Whole>(channel: &Channel<Bytes<MAX>, K>) {
    sending(channel, |sender, _| {
        refused_well(sender.try_send(b"Dear Ada"));
        refused_well(sender.send_timeout(&[1; MAX], BRIEF));
        let filled = sender.try_loan().and_then(|loan| loan.fill(50, |blank| blank.write(25, &[1; 25])));
        refused_well(filled.map(Written::send));
    });
}

fn receive_bytes<const MAX: usize, K: Whole>(channel: &Channel<Bytes<MAX>, K>) {
    receiving(channel, |receiver| {
        refused_well(receiver.receive_timeout(BRIEF).inspect(|letter| assert!(letter.len() <= MAX)));
        refused_well(receiver.hold_timeout(BRIEF).map(|held| {
            assert!(held.length() <= MAX);
            held.read(MAX - 10, &mut [0; 10]);
            held.done()
        }));
    });
}

fn open_and_close<M, K: Kind>(channel: &Channel<M, K>) {
    told_well(channel.close());
    told_well(channel.reopen());
    let _ = (channel.is_closed(), channel.senders(), channel.receivers());
}

/// Sends and receives by what the schema says.
fn pass_on(channel: &UntypedChannel) -> Result<(), Error> {
    let enough = || false;
    let message = channel.receiver()?.receive(Some(BRIEF), &enough);
    refused_well(channel.sender()?.send(&message.unwrap_or(Value::Unsigned(7)), Some(BRIEF), &enough));
    refused_well(channel.sender()?.send(&Value::Bytes(vec![7; 50]), Some(BRIEF), &enough));
    let mut receiver = channel.receiver()?;
    refused_well(receiver.hold(Some(BRIEF), &enough));
    receiver.done();
    Ok(())
}

fn order() -> Currency {
    Currency { buy: 3, stock: -1, name: Text::from("euro"), open: true }
}

pub(crate) const OPERATIONS: &[Operation] = &[
    bounded("send", |v| {
        send(&v.office.line, 7);
        send_bytes(&v.office.letters);
    }),
    bounded("receive", |v| {
        receive(&v.office.line);
        receive_bytes(&v.office.letters);
    }),
    bounded("send to a queue", |v| {
        send(&v.office.jobs, order());
        send_bytes(&v.office.notes);
    }),
    bounded("receive from a queue", |v| {
        receive(&v.office.jobs);
        receive_bytes(&v.office.notes);
    }),
    bounded("send to all", |v| {
        send(&v.office.news, order());
        send(&v.office.ticks, order());
        send(&v.office.alarms, 7);
    }),
    bounded("receive with all", |v| {
        receive(&v.office.news);
        receive(&v.office.ticks);
        receive(&v.office.alarms);
    }),
    bounded("send and receive", |v| {
        told_well(v.office.news.receiver().map(|mut receiver| {
            send(&v.office.news, order());
            refused_well(receiver.try_receive());
        }));
    }),
    bounded("send a parcel", |v| {
        sending(&v.office.parcels, |sender, _| refused_well(sender.send_timeout(&[7; 50_000], BRIEF)));
    }),
    // It has no time limit: it waits as long as somebody who seems to live seems to send.
    locking("receive a parcel", |v| {
        receiving(&v.office.parcels, |receiver| {
            refused_well(receiver.receive().inspect(|parcel| assert!(parcel.len() <= 80_000)));
        });
    }),
    locking("receive in a transaction", |v| {
        told_well(v.office.jobs.receiver().and_then(|mut receiver| {
            v.office.transaction(|change| {
                let job = change.receive(&mut receiver)?;
                let other = change.receive(&mut receiver)?;
                change.update(&v.office.board, |board| board[2] = job.or(other).unwrap_or(board[2]))
            })
        }));
    }),
    bounded("close and reopen", |v| {
        open_and_close(&v.office.line);
        open_and_close(&v.office.jobs);
        open_and_close(&v.office.news);
        open_and_close(&v.office.parcels);
    }),
    patient("untyped", |v| {
        told_well(Inspection::join(v.office.segment()).map(|look| {
            for name in ["line", "letters", "jobs", "news", "ticks", "alarms", "parcels"] {
                told_well(look.channel(name).and_then(|channel| pass_on(&channel)));
            }
        }));
    }),
];
