//! Looks at channels: what is in them, who has their ends, and that nobody is disturbed or believed.

use coseg::schema::PartKind;
use coseg::{Inspection, Value};

use crate::house::on_each;
use crate::untyped::{Line, Order, ends, number, order, post, receive, send, view};

#[test]
fn a_look_shows_what_there_is_and_disturbs_nobody() {
    on_each(|world| {
        let (post, look) = post(world);
        let mut numbers = post.numbers.sender().unwrap();
        let mut from = post.numbers.receiver().unwrap();
        (0..20).for_each(|own| {
            numbers.send(&own).unwrap();
            if own < 6 {
                from.receive().unwrap();
            }
        });
        let mut files = post.files.sender().unwrap();
        files.send(&[7; 40_000]).unwrap();
        files.send(b"small").unwrap();
        let (mut orders, mut desk) = (post.orders.sender().unwrap(), post.orders.receiver().unwrap());
        let own = |trader: &str| Order {
            trader: trader.into(),
            urgent: false,
            lines: [Line { units: 0, price: 0.0 }; 2],
        };
        ["a", "b", "c"].iter().for_each(|trader| orders.send(&own(trader)).unwrap());
        let held = desk.hold().unwrap();
        let loan = orders.loan().unwrap();

        let memory = || {
            let attachment = post.segment().attach_read_only().unwrap();
            let mut bytes = vec![0; attachment.size_bytes()];
            attachment.read(0, &mut bytes).unwrap();
            bytes
        };
        let before = memory();
        let looked = Inspection::of(post.segment()).unwrap();
        let views = looked.channels();
        assert_eq!(views.len(), 7);
        let ready = |name: &str| views.iter().find(|view| view.name == name).unwrap().ready_count;
        assert_eq!((ready("numbers"), ready("orders"), ready("files"), ready("prices")), (14, 2, 3, 0));
        let queue = &views[1];
        assert_eq!((queue.kind, queue.capacity), (PartKind::Queue, 8));
        assert_eq!((queue.held_count, queue.writing_count, queue.orphan_count), (Some(1), Some(1), 0));
        assert_eq!((queue.senders.len(), queue.receivers.len()), (1, 1));
        assert_eq!(queue.senders[0].participant.as_ref().unwrap().pid, std::process::id());
        assert_eq!((views[0].sent_count, views[0].received_count), (Some(20), Some(6)));
        assert_eq!((views[2].message_bytes, views[6].message_bytes), (100, 1_000_000));
        let messages = |name: &str| looked.messages(name).unwrap().collect::<Vec<_>>();
        assert_eq!(messages("numbers"), (6..20).map(number).collect::<Vec<_>>());
        let traders: Vec<Value> = messages("orders")
            .into_iter()
            .map(|order| match order {
                Value::Struct(mut fields) => fields.remove(0).1,
                other => other,
            })
            .collect();
        assert_eq!(traders, [Value::Text("b".into()), Value::Text("c".into())]);
        assert_eq!(messages("files"), [Value::Bytes(vec![7; 40_000]), Value::Bytes(b"small".to_vec())]);
        assert_eq!(messages("prices"), []);
        assert!(memory() == before, "looking changed something");
        drop(loan);
        held.done();
        post.numbers.close().unwrap();
        assert!(view(&look, "numbers").is_closed);
        post.remove().unwrap();
    });
}

#[test]
fn the_dead_and_what_they_held_are_seen() {
    on_each(|world| {
        let post = world.at::<crate::channels::Post>(crate::channels::KEY);
        let post = post.open_or_create(crate::channels::PostInitial::default).unwrap();
        let look = Inspection::of(post.segment()).unwrap();
        let mut sender = post.orders.sender().unwrap();
        sender.send(&crate::channels::Order { trader: 1, amount: 10 }).unwrap();
        let mut peer = world.actor("holds an order");
        peer.hear("held");
        let pid = peer.child.id();
        let seen = view(&look, "orders");
        assert_eq!((seen.held_count, seen.orphan_count), (Some(1), 0));
        assert!(!seen.receivers[0].is_dead);
        peer.kill();
        let seen = view(&look, "orders");
        assert_eq!((seen.held_count, seen.orphan_count), (Some(1), 1));
        assert!(seen.receivers[0].is_dead);
        let who = seen.receivers[0].participant.as_ref().unwrap();
        assert_eq!((who.pid, who.alive, who.name.as_str()), (pid, Some(false), "holds an order"));
        post.remove().unwrap();
    });
}

/// Every word of the channels takes every kind of number, one after the other.
#[test]
fn no_number_of_a_peer_is_believed() {
    on_each(|world| {
        let (post, look) = post(world);
        let (mut sender, mut receiver) = ends(&look, "orders");
        let attachment = post.segment().attach().unwrap();
        let parts = look.schema().parts.clone();
        let start = parts[0].offset;
        // The chunks of the stream, and what is beyond them, are but bytes.
        let end = parts.last().unwrap().offset + 1024;
        for at in (start..end).step_by(8) {
            for word in [u64::MAX, 1 << 63, 0x0000_0001_0000_1001, 0x0000_0302_ffff_ffff, 1 << 40 | 7 << 32] {
                let mut before = [0; 8];
                attachment.read(at, &mut before).unwrap();
                attachment.write(at, &word.to_ne_bytes()).unwrap();
                let views = look.channels();
                assert!(views.iter().all(|view| view.ready_count <= view.capacity), "{at}: {word:x}");
                for part in &parts {
                    assert!(look.messages(&part.name).unwrap().count() <= part.row_count);
                }
                attachment.write(at, &before).unwrap();
            }
        }
        send(&mut sender, &order("ada")).unwrap();
        assert_eq!(receive(&mut receiver).unwrap(), order("ada"));
        post.remove().unwrap();
    });
}
