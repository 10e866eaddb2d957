//! What the victims do.

use coseg::{Channel, Error, Receiver, Refusal, Region, Sender, Whole};
use coseg_crash::mark;

use super::port::{Numbered, Port, Quay, file, take_and_leave};
use crate::clock;
use crate::world::Setting;

/// Marks what `act` does.
fn marked<R>(act: impl FnOnce() -> R) -> R {
    mark::begin();
    let done = act();
    mark::end();
    done
}

pub(crate) fn operate(setting: &Setting, operation: &str) {
    clock::set();
    let (channel, act) = operation.split_once(": ").unwrap();
    if channel == "files" {
        return at_files(setting, act);
    }
    let port = setting.at::<Port>("victim").open().unwrap();
    match channel {
        "line" => at(&port.line, act),
        "lines" => at(&port.lines, act),
        "jobs" if act.starts_with("transaction") => in_transaction(&port, act),
        "jobs" => at(&port.jobs, act),
        "wide" => behind(&port),
        "news" => at(&port.news, act),
        "ticks" => at(&port.ticks, act),
        channel => panic!("{channel}?"),
    }
}

fn at<T: Numbered, K: Whole>(channel: &Channel<T, K>, act: &str) {
    let sender = || -> Sender<T, K> { channel.sender().unwrap() };
    let receiver = || -> Receiver<T, K> { channel.receiver().unwrap() };
    match act {
        "send" => {
            let mut sender = sender();
            marked(|| sender.try_send(&T::of(3)).unwrap());
        }
        "send in place of the dead" => {
            let mut sender = sender();
            let message = T::of(5);
            marked(|| sender.try_send(&message).unwrap());
        }
        "be told of the dead and send" => {
            let mut sender = sender();
            let message = T::of(5);
            assert!(matches!(sender.try_send(&message), Err(Refusal::Disconnected(_))));
            marked(|| sender.try_send(&message).unwrap());
        }
        "send a batch" => {
            let mut sender = sender();
            marked(|| assert_eq!(sender.try_send_many(&[3, 4].map(T::of)).unwrap(), 2));
        }
        "loan and send" => {
            let mut sender = sender();
            marked(|| sender.loan().unwrap().write(&T::of(3)).unwrap().send().unwrap());
        }
        "loan and drop" => {
            let mut sender = sender();
            marked(|| drop(sender.loan().unwrap().write(&T::of(3)).unwrap()));
        }
        "receive" => {
            let mut receiver = receiver();
            marked(|| receiver.try_receive().unwrap());
        }
        "receive a batch" => {
            let mut receiver = receiver();
            let mut got = Vec::with_capacity(4);
            marked(|| assert_eq!(receiver.try_receive_many(&mut got, 2).unwrap(), 2));
        }
        "hold and be done" => {
            let mut receiver = receiver();
            marked(|| receiver.hold().unwrap().done());
        }
        "hold and drop" => {
            let mut receiver = receiver();
            marked(|| drop(receiver.hold().unwrap()));
        }
        "send and receive" => {
            let (mut sender, mut receiver) = (sender(), receiver());
            sender.try_send(&T::of(3)).unwrap();
            marked(|| assert_eq!(receiver.try_receive().unwrap().number(), 3));
        }
        "take and leave" => marked(|| take_and_leave(channel)),
        "close" => marked(|| channel.close().unwrap()),
        act => panic!("{act}?"),
    }
}

fn in_transaction(port: &Region<Port>, act: &str) {
    let mut receiver = port.jobs.receiver().unwrap();
    let done: Result<(), Error> = marked(|| {
        port.transaction(|change| {
            let job = change.receive(&mut receiver)?.unwrap();
            match act {
                "transaction" => {
                    change.update(&port.books, |books| *books += job)?;
                    change.update(&port.sums, |sums| *sums += 2 * job)
                }
                "transaction of two" => {
                    let other = change.receive(&mut receiver)?.unwrap();
                    change.update(&port.books, |books| *books += job + other)
                }
                "transaction without values" => Ok(()),
                "transaction rolled back" => {
                    change.update(&port.books, |books| *books += job)?;
                    port.line.receiver().map(drop)?;
                    Err(coseg::Refusal::Full.into())
                }
                act => panic!("{act}?"),
            }
        })
    });
    assert_eq!(done.is_err(), act == "transaction rolled back");
}

/// Sends a message that receivers have left behind.
fn behind(port: &Region<Port>) {
    let (mut slow, mut quick) = (port.wide.sender().unwrap(), port.wide.sender().unwrap());
    let mut receiver = port.wide.receiver().unwrap();
    let written = slow.loan().unwrap().write(&7).unwrap();
    for number in 100..180 {
        quick.try_send(&number).unwrap();
        assert_eq!(receiver.try_receive().unwrap(), number);
    }
    receiver.try_receive().unwrap_err();
    marked(|| written.send().unwrap());
}

fn at_files(setting: &Setting, act: &str) {
    let quay = setting.at::<Quay>("victim").open().unwrap();
    match act {
        "send" => {
            let (mut sender, file) = (quay.files.sender().unwrap(), file(3));
            marked(|| sender.send(&file).unwrap());
        }
        "receive" => {
            let mut receiver = quay.files.receiver().unwrap();
            let mut got = Vec::with_capacity(100_000);
            marked(|| receiver.receive_into(&mut got).unwrap());
            assert_eq!(got, file(1));
        }
        act => panic!("{act}?"),
    }
}

/// What a process does that comes after a death, and may die of it too: it takes over, and changes nothing else.
pub(crate) fn recover(setting: &Setting, channel: &str) {
    if channel == "files" {
        let quay = setting.at::<Quay>("recoverer").open().unwrap();
        clock::set();
        return marked(|| take_and_leave(&quay.files));
    }
    let port = setting.at::<Port>("recoverer").open().unwrap();
    clock::set();
    match channel {
        "line" => marked(|| take_and_leave(&port.line)),
        "lines" => marked(|| take_and_leave(&port.lines)),
        "jobs" => inherit(&port.jobs),
        "wide" => inherit(&port.wide),
        "news" => turn(&port.news),
        "ticks" => turn(&port.ticks),
        channel => panic!("{channel}?"),
    }
}

/// Gives what the dead held to the living, and makes room of what they wrote.
fn inherit<K: Whole>(channel: &Channel<u64, K>) {
    let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
    marked(|| {
        let _ = receiver.wait(Some(std::time::Duration::from_millis(12)));
        drop(sender.try_loan());
    });
}

/// Takes the turn of all who send, also from the dead.
fn turn<K: Whole>(channel: &Channel<u64, K>) {
    let mut sender = channel.sender().unwrap();
    marked(|| drop(sender.try_loan()));
}
