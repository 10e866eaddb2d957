//! Channels known from the schema only: values sent and received.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coseg::{
    Broadcast, Bytes, Channel, ChannelView, DropOldest, ErrorKind, Fail, Inspection, Key, OneToOne, Queue,
    Refusal, Region, Shared, Stream, Text, UntypedReceiver, UntypedSender, Value,
};

use crate::house::{World, on_each};

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Line {
    pub(crate) units: u64,
    pub(crate) price: f64,
}

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Order {
    pub(crate) trader: Text<6>,
    pub(crate) urgent: bool,
    pub(crate) lines: [Line; 2],
}

#[derive(Region)]
pub(crate) struct Post {
    pub(crate) numbers: Channel<u64, OneToOne<16>>,
    pub(crate) orders: Channel<Order, Queue<8>>,
    pub(crate) notes: Channel<Bytes<100>, Queue<8>>,
    pub(crate) prices: Channel<Line, Broadcast<8>>,
    pub(crate) ticks: Channel<u64, Broadcast<8, DropOldest>>,
    pub(crate) alarms: Channel<u64, Broadcast<8, Fail>>,
    pub(crate) files: Channel<Bytes<1_000_000>, Stream<4>>,
}

pub(crate) const KEY: Key = Key::new(0x0055_4e54);
const LONG: Option<Duration> = Some(Duration::from_secs(10));
const SHORT: Option<Duration> = Some(Duration::from_millis(20));

pub(crate) fn post(world: &World) -> (Region<Post>, Inspection) {
    let post = world.at::<Post>(KEY).participants(4).create(PostInitial::default).unwrap();
    let look = Inspection::join(post.segment()).unwrap();
    (post, look)
}

pub(crate) fn ends(look: &Inspection, name: &str) -> (UntypedSender, UntypedReceiver) {
    let channel = look.channel(name).unwrap();
    (channel.sender().unwrap(), channel.receiver().unwrap())
}

pub(crate) fn view(look: &Inspection, name: &str) -> ChannelView {
    look.channels().into_iter().find(|view| view.name == name).unwrap()
}

pub(crate) fn send(sender: &mut UntypedSender, value: &Value) -> Result<(), Refusal> {
    sender.send(value, SHORT, &|| false)
}

pub(crate) fn receive(receiver: &mut UntypedReceiver) -> Result<Value, Refusal> {
    receiver.receive(SHORT, &|| false)
}

pub(crate) fn number(number: u64) -> Value {
    Value::Unsigned(number.into())
}

pub(crate) fn line(units: u64, price: f64) -> Value {
    Value::Struct(vec![("units".into(), number(units)), ("price".into(), Value::Float(price))])
}

pub(crate) fn order(trader: &str) -> Value {
    Value::Struct(vec![
        ("trader".into(), Value::Text(trader.into())),
        ("urgent".into(), Value::Bool(true)),
        ("lines".into(), Value::Array(vec![line(u64::MAX, 0.1), line(7, -0.5)])),
    ])
}

#[test]
fn values_cross_on_every_kind() {
    on_each(|world| {
        let (post, look) = post(world);
        for name in ["numbers", "ticks", "alarms"] {
            let (mut sender, mut receiver) = ends(&look, name);
            for round in 0..50 {
                send(&mut sender, &number(u64::MAX - round)).unwrap();
                assert_eq!(receive(&mut receiver).unwrap(), number(u64::MAX - round), "{name}");
            }
        }
        let (mut sender, mut receiver) = ends(&look, "orders");
        send(&mut sender, &order("ada")).unwrap();
        assert_eq!(receive(&mut receiver).unwrap(), order("ada"));
        let (mut sender, mut receiver) = ends(&look, "prices");
        send(&mut sender, &line(3, 0.25)).unwrap();
        assert_eq!(receive(&mut receiver).unwrap(), line(3, 0.25));
        let (mut sender, mut receiver) = ends(&look, "notes");
        for length in [100, 0, 3] {
            send(&mut sender, &Value::Bytes(vec![0xfe; length])).unwrap();
            assert_eq!(receive(&mut receiver).unwrap(), Value::Bytes(vec![0xfe; length]));
        }
        post.remove().unwrap();
    });
}

#[test]
fn who_knows_the_types_and_who_does_not_understand_each_other() {
    on_each(|world| {
        let (post, look) = post(world);
        let (mut sender, mut receiver) = ends(&look, "orders");
        let lines = [Line { units: u64::MAX, price: 0.1 }, Line { units: 7, price: -0.5 }];
        let typed = Order { trader: "ada".into(), urgent: true, lines };
        send(&mut sender, &order("ada")).unwrap();
        assert_eq!(post.orders.receiver().unwrap().receive().unwrap(), typed);
        post.orders.sender().unwrap().send(&typed).unwrap();
        assert_eq!(receive(&mut receiver).unwrap(), order("ada"));
        let (mut sender, mut receiver) = ends(&look, "notes");
        post.notes.sender().unwrap().send(b"longer than the next").unwrap();
        assert_eq!(receive(&mut receiver).unwrap(), Value::Bytes(b"longer than the next".to_vec()));
        send(&mut sender, &Value::Text("short".into())).unwrap();
        assert_eq!(post.notes.receiver().unwrap().receive().unwrap(), b"short");
        post.remove().unwrap();
    });
}

#[test]
fn fields_that_a_schema_lacks_are_zero_for_those_who_have_them() {
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    #[shared(room = 64)]
    struct Old {
        units: u64,
    }
    #[derive(Shared, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    #[shared(room = 64)]
    struct New {
        units: u64,
        price: u64,
    }
    #[derive(Region)]
    struct Before {
        lines: Channel<Old, Queue<2>>,
    }
    #[derive(Region)]
    struct After {
        lines: Channel<New, Queue<2>>,
    }
    on_each(|world| {
        let before = world.at::<Before>(KEY).create(BeforeInitial::default).unwrap();
        let after = world.at::<After>(KEY).open().unwrap();
        let mut receiver = after.lines.receiver().unwrap();
        let (mut typed, look) = (after.lines.sender().unwrap(), Inspection::join(before.segment()).unwrap());
        let mut sender = look.channel("lines").unwrap().sender().unwrap();
        for units in 0..4 {
            typed.send(&New { units, price: 9 }).unwrap();
            assert_eq!(receiver.receive().unwrap().price, 9);
            let value = Value::Struct(vec![("units".into(), number(units))]);
            send(&mut sender, &value).unwrap();
            assert_eq!(receiver.receive().unwrap(), New { units, price: 0 });
        }
        before.remove().unwrap();
    });
}

#[test]
fn a_message_of_the_wrong_shape_is_refused_and_nothing_sent() {
    on_each(|world| {
        let (post, look) = post(world);
        let mut sender = look.channel("orders").unwrap().sender().unwrap();
        let Err(Refusal::Failed(error)) = send(&mut sender, &order("adalovelace")) else {
            panic!("too long")
        };
        assert_eq!(*error.kind(), ErrorKind::BadValue);
        assert!(error.to_string().contains("encode `trader` of Order: `adalovelace` has 11"), "{error}");
        let mut sender = look.channel("notes").unwrap().sender().unwrap();
        let Err(Refusal::Failed(error)) = send(&mut sender, &Value::Bytes(vec![0; 101])) else {
            panic!("too long")
        };
        assert!(error.to_string().contains("up to 100 bytes: it has 101 bytes"), "{error}");
        assert_eq!(view(&look, "orders").ready_count + view(&look, "notes").ready_count, 0);
        for (name, fact) in [("nothing", "it has numbers, orders,"), ("", "there is no such channel")] {
            let error = look.channel(name).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::BadPath);
            assert!(error.to_string().contains(fact), "{error}");
        }
        let looked = Inspection::of(post.segment()).unwrap();
        let refused = looked.channel("orders").unwrap().sender().unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::ReadOnly);
        post.remove().unwrap();
    });
}

#[test]
fn what_is_held_and_not_done_goes_to_another() {
    on_each(|world| {
        let (post, look) = post(world);
        let (mut sender, mut receiver) = ends(&look, "orders");
        ["a", "b"].iter().for_each(|trader| send(&mut sender, &order(trader)).unwrap());
        assert_eq!(receiver.hold(LONG, &|| false).unwrap(), order("a"));
        assert!(!receiver.is_redelivered());
        assert_eq!(view(&look, "orders").held_count, Some(1));
        assert_eq!(receiver.hold(LONG, &|| false).unwrap(), order("a"), "it was given back");
        assert!(receiver.is_redelivered());
        drop(receiver);
        let mut other = post.orders.receiver().unwrap();
        assert_eq!(other.receive().unwrap().trader, "a".into());
        assert_eq!(other.receive().unwrap().trader, "b".into());
        let (mut sender, mut receiver) = ends(&look, "numbers");
        [1, 2].iter().for_each(|&own| send(&mut sender, &number(own)).unwrap());
        assert_eq!(receiver.hold(LONG, &|| false).unwrap(), number(1));
        assert_eq!(receiver.hold(LONG, &|| false).unwrap(), number(1));
        receiver.done();
        receiver.done();
        assert_eq!(receiver.receive(LONG, &|| false).unwrap(), number(2));
        post.remove().unwrap();
    });
}

#[test]
fn whoever_waits_can_be_stopped() {
    on_each(|world| {
        let (post, look) = post(world);
        let (mut sender, mut receiver) = ends(&look, "numbers");
        let since = Instant::now();
        assert!(matches!(receive(&mut receiver), Err(Refusal::TimedOut(after)) if Some(after) == SHORT));
        assert!(since.elapsed() >= SHORT.unwrap());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| receiver.receive(None, &|| stop.load(Ordering::Relaxed)));
            std::thread::sleep(Duration::from_millis(150));
            stop.store(true, Ordering::Relaxed);
            let since = Instant::now();
            assert!(matches!(waiting.join().unwrap(), Err(Refusal::TimedOut(_))));
            assert!(since.elapsed() < Duration::from_secs(2));
        });
        (0..16).for_each(|own| send(&mut sender, &number(own)).unwrap());
        assert!(matches!(send(&mut sender, &number(16)), Err(Refusal::TimedOut(_))));
        post.numbers.close().unwrap();
        assert!(matches!(send(&mut sender, &number(16)), Err(Refusal::Closed)));
        assert_eq!(std::iter::from_fn(|| receive(&mut receiver).ok()).count(), 16);
        assert!(matches!(receive(&mut receiver), Err(Refusal::Closed)));
        post.remove().unwrap();
    });
}

#[test]
fn large_messages_are_streamed_by_their_chunks() {
    on_each(|world| {
        let (post, look) = post(world);
        let (mut sender, mut receiver) = ends(&look, "files");
        let file = |length: usize| -> Vec<u8> { (0..=250).cycle().take(length).collect() };
        let lengths = [0, 1, 32_768, 32_769, 500_000, 1_000_000];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for length in lengths {
                    sender.send(&Value::Bytes(file(length)), LONG, &|| false).unwrap();
                }
            });
            for length in lengths {
                let value = receiver.receive(LONG, &|| false).unwrap();
                assert!(value == Value::Bytes(file(length)), "{length}");
            }
        });
        // Nobody receives: it is begun and given up, and the next one is whole.
        assert!(matches!(send(&mut sender, &Value::Bytes(file(400_000))), Err(Refusal::TimedOut(_))));
        assert_eq!(view(&look, "files").ready_count, 4);
        assert_eq!(look.messages("files").unwrap().count(), 0, "none is whole");
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(&Value::Bytes(file(200_000)), LONG, &|| false).unwrap());
            assert!(receiver.receive(LONG, &|| false).unwrap() == Value::Bytes(file(200_000)));
        });
        // A time that is over in the middle of a message loses nothing of it.
        let mut typed = {
            drop(sender);
            post.files.sender().unwrap()
        };
        std::thread::scope(|scope| {
            let sending = scope.spawn(move || typed.send(&file(600_000)));
            let mut timeouts = 0;
            let message = loop {
                match receiver.receive(Some(Duration::ZERO), &|| false) {
                    Err(Refusal::TimedOut(_)) => timeouts += 1,
                    other => break other.unwrap(),
                }
            };
            assert!(message == Value::Bytes(file(600_000)), "after {timeouts} timeouts");
            sending.join().unwrap().unwrap();
        });
        post.remove().unwrap();
    });
}

#[test]
fn one_who_falls_behind_is_told_what_is_lost() {
    on_each(|world| {
        let (post, look) = post(world);
        let (mut sender, mut receiver) = ends(&look, "ticks");
        (0..20).for_each(|tick| send(&mut sender, &number(tick)).unwrap());
        assert_eq!(view(&look, "ticks").receivers[0].lag, Some(20));
        assert_eq!(view(&look, "ticks").ready_count, 8);
        let kept: Vec<Value> = look.messages("ticks").unwrap().collect();
        assert_eq!(kept, (12..20).map(number).collect::<Vec<_>>());
        let first = receive(&mut receiver).unwrap();
        assert_eq!(first, number(receiver.missed_count()));
        let (mut sender, mut receiver) = ends(&look, "alarms");
        (0..20).for_each(|alarm| send(&mut sender, &number(alarm)).unwrap());
        let Err(Refusal::Missed(missed)) = receive(&mut receiver) else { panic!("some are gone") };
        assert_eq!(receive(&mut receiver).unwrap(), number(missed));
        let (mut sender, mut receiver) = ends(&look, "prices");
        (0..8).for_each(|units| send(&mut sender, &line(units, 0.0)).unwrap());
        assert!(matches!(send(&mut sender, &line(8, 0.0)), Err(Refusal::TimedOut(_))));
        assert_eq!(receive(&mut receiver).unwrap(), line(0, 0.0));
        post.remove().unwrap();
    });
}
