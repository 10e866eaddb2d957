//! Who comes after a death at a channel, and who waited for the dead.

use std::fs;
use std::time::{Duration, Instant};

use coseg::{Channel, Error, Participant, Queue, Refusal, Region, Whole};

use super::port::{Numbered, Port, Quay, all, file};
use crate::world::Setting;

/// Longer than any of the dead's keeps the living waiting.
const PROMPT: Duration = Duration::from_secs(2);
/// Within which those who wait for the dead are told.
const TOLD_WITHIN: Duration = Duration::from_millis(250);

fn promptly<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = act();
    assert!(since.elapsed() < PROMPT, "{what} took {:?}", since.elapsed());
    done
}

/// Tells what is left, and then works on.
pub(crate) fn survive(setting: &Setting, channel: &str) {
    if channel == "files" {
        return survive_files(setting);
    }
    let port = promptly("opening", || setting.at::<Port>("survivor").open().unwrap());
    match channel {
        "line" => inherit(&port.line),
        "lines" => inherit(&port.lines),
        "jobs" => inherit(&port.jobs),
        "wide" => inherit(&port.wide),
        "news" => inherit(&port.news),
        "ticks" => inherit(&port.ticks),
        channel => panic!("{channel}?"),
    }
    // What the dead committed is applied by whoever next has the lock.
    promptly("a transaction", || port.transaction(|_| Ok::<_, Error>(())).unwrap());
    let (books, sums) = (port.books.read(), port.sums.read());
    println!("<books {books} {sums}>");
    all(port.jobs.receiver().unwrap(), Duration::ZERO);
    in_transactions(&port, &port.jobs);
}

fn inherit<T: Numbered, K: Whole>(channel: &Channel<T, K>) {
    let closed = if channel.is_closed() { "closed " } else { "" };
    let receiver = promptly("taking the end to receive", || channel.receiver().unwrap());
    let told = promptly("receiving", || all(receiver, Duration::ZERO));
    print!("<{closed}{told}>");
    channel.reopen().unwrap();
    let mut receiver = promptly("taking it again", || channel.receiver().unwrap());
    let mut sender = promptly("taking the end to send", || channel.sender().unwrap());
    // More than there is room for, with one in hand for a while.
    for number in 1000..1010 {
        promptly("sending", || sender.send_timeout(&T::of(number), PROMPT).unwrap());
        let held = promptly("receiving", || receiver.hold_timeout(PROMPT).unwrap());
        assert!(!held.is_redelivered());
        assert_eq!(held.get().number(), number);
        assert!(held.done());
    }
    let capacity = channel.capacity() as u64;
    (0..capacity).for_each(|number| sender.try_send(&T::of(number)).unwrap());
    let mut got = Vec::new();
    while got.len() < channel.capacity() {
        promptly("receiving many", || receiver.receive_many(&mut got, 100).unwrap());
    }
    assert!(got.into_iter().map(Numbered::number).eq(0..capacity), "all slots are there");
    assert!(matches!(receiver.try_receive(), Err(Refusal::Empty)));
}

fn in_transactions(port: &Region<Port>, jobs: &Channel<u64, Queue<4>>) {
    let (mut sender, mut receiver) = (jobs.sender().unwrap(), jobs.receiver().unwrap());
    for number in 1..=5 {
        sender.send_timeout(&number, PROMPT).unwrap();
        let before = port.books.read();
        let done: Result<u64, Error> = promptly("a transaction", || {
            port.transaction(|change| {
                let job = change.receive(&mut receiver)?.unwrap();
                change.update(&port.books, |books| *books += job)?;
                Ok(job)
            })
        });
        assert_eq!(done.unwrap(), number);
        assert_eq!(port.books.read(), before + number);
    }
}

fn survive_files(setting: &Setting) {
    let quay = promptly("opening", || setting.at::<Quay>("survivor").open().unwrap());
    let mut sender = promptly("taking the end to send", || quay.files.sender().unwrap());
    // What was begun is not received: what comes next is. Receiving makes room for it.
    std::thread::scope(|scope| {
        let got = scope.spawn(|| {
            let mut receiver = quay.files.receiver().unwrap();
            let mut got = Vec::new();
            while got.last() != Some(&9) {
                match receiver.receive() {
                    Ok(message) => {
                        assert_eq!(message, file(message[0]), "a whole message");
                        got.push(message[0]);
                    }
                    Err(Refusal::Disconnected(_)) => {}
                    Err(refused) => panic!("{refused}"),
                }
            }
            got
        });
        for number in [8, 9] {
            promptly("sending", || {
                while let Err(refused) = sender.send_timeout(&file(number), PROMPT) {
                    assert!(matches!(refused, Refusal::Disconnected(_)), "{refused}");
                }
            });
        }
        let got = got.join().unwrap();
        let told: Vec<String> = got.iter().take_while(|&&number| number != 8).map(u8::to_string).collect();
        assert!(got.ends_with(&[8, 9]), "{got:?}");
        println!("<{}>", told.join(" "));
    });
}

/// Waits at the other end until told that the victim is dead.
pub(crate) fn wait(setting: &Setting, what: &str) {
    let port = setting.at::<Port>("waiter").open().unwrap();
    match what {
        "for line" => {
            let mut receiver = port.line.receiver().unwrap();
            told_of_death(&port.line.senders(), || receiver.receive().map(drop));
        }
        "for jobs" => {
            let mut receiver = port.jobs.receiver().unwrap();
            told_of_death(&port.jobs.senders(), || receiver.hold().map(|held| _ = held.done()));
        }
        "for news" => {
            let mut receiver = port.news.receiver().unwrap();
            told_of_death(&port.news.senders(), || receiver.receive().map(drop));
        }
        "to send to line" => {
            let mut sender = port.line.sender().unwrap();
            told_of_death(&port.line.receivers(), || sender.send(&9));
        }
        "to send to jobs" => {
            let mut sender = port.jobs.sender().unwrap();
            told_of_death(&port.jobs.receivers(), || sender.send(&9));
        }
        what => panic!("{what}?"),
    }
}

fn told_of_death(peers: &[Participant], mut act: impl FnMut() -> Result<(), Refusal>) {
    let pid = peers.iter().find(|peer| peer.name == "victim").unwrap().pid;
    let death = std::thread::spawn(move || {
        while !is_dead(pid) {
            std::thread::sleep(Duration::from_millis(1));
        }
        (Instant::now(), queued())
    });
    let who = loop {
        match act() {
            Ok(()) => {}
            Err(Refusal::Disconnected(who)) => break who,
            Err(refused) => panic!("{refused}"),
        }
    };
    let now = Instant::now();
    assert_eq!((who.name.as_str(), who.pid), ("victim", pid));
    let (died, before) = death.join().unwrap();
    // A busy machine is nobody's fault.
    let took = now.saturating_duration_since(died).saturating_sub(queued().saturating_sub(before));
    assert!(took < TOLD_WITHIN, "told after {took:?}");
}

fn is_dead(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.contains(") ") || stat.contains(") Z")
}

/// How long this process's threads have waited for a processor.
fn queued() -> Duration {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0))
}
