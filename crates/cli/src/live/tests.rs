use coseg::{Cell, Counter, Lock, Queue, Region};
use coseg_sysv::{Attachment, Key, Segment, User};
use tempfile::TempDir;

use super::*;

/// A namespace that nobody else knows, and who looks at it.
struct Stage {
    user: User,
    live: Live,
    _directory: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let directory = TempDir::new().unwrap();
        let user = User::at(directory.path()).unwrap();
        let live = Live::new(Facility::user(user, false), &Stop::never()).unwrap();
        Stage { user, live, _directory: directory }
    }

    fn plain(&self, key: i32, size_bytes: usize) -> (Segment, Attachment) {
        let segment = Segment::options(Key::new(key)).size(size_bytes).create(&self.user).unwrap();
        let memory = segment.attach().unwrap();
        (segment, memory)
    }

    /// What has happened, as `kind title text`.
    fn events(&mut self) -> Vec<String> {
        let scene = self.live.look().unwrap();
        let tell = |event: &Event| format!("{} {} {}", event.kind, event.title, event.text);
        scene.events.iter().map(tell).collect()
    }

    fn only(&mut self) -> SegmentLook {
        let mut segments = self.live.look().unwrap().segments;
        assert_eq!(segments.len(), 1);
        segments.remove(0)
    }
}

#[derive(Region)]
struct Shop {
    price: Cell<u64>,
    sold: Counter,
    door: Lock,
    orders: coseg::Channel<u64, Queue<8>>,
}

#[test]
fn what_comes_and_goes_is_told_once() {
    let mut stage = Stage::new();
    let (old, _memory) = stage.plain(1, 4096);
    assert_eq!(stage.events(), Vec::<String>::new(), "what was there before is no news");
    let (segment, memory) = stage.plain(2, 8192);
    let told = stage.events();
    assert!(told[0].starts_with("created 0x00000002 8KiB, by "), "{told:?}");
    assert!(told[1].starts_with(&format!("attached 0x00000002 {} ", std::process::id())), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(stage.events(), Vec::<String>::new());
    segment.remove().unwrap();
    assert_eq!(stage.events(), ["removed 0x00000002 and goes with its last attachment"]);
    memory.detach().unwrap();
    assert_eq!(stage.events(), ["gone 0x00000002 "]);
    old.remove().unwrap();
}

#[test]
fn what_is_filled_is_seen_to_change() {
    let mut stage = Stage::new();
    let (segment, memory) = stage.plain(1, 4 << 20);
    memory.write(0, &[1; 40 * 4096]).unwrap();
    stage.only();
    for page in (40..400).step_by(40) {
        memory.write(page * 4096, &[1; 40 * 4096]).unwrap();
        let activity = stage.only().activity.unwrap();
        assert!(activity.changed_page_count > 0, "{page}: {activity:?}");
        assert!(activity.looked_page_count <= 16, "{page}: {activity:?}");
    }
    assert_eq!(stage.only().activity.unwrap().changed_page_count, 0);
    segment.remove().unwrap();
}

#[test]
fn pages_that_change_are_counted_of_those_that_were_looked_at() {
    let mut stage = Stage::new();
    let (segment, memory) = stage.plain(1, 64 << 10);
    memory.write(0, &[1; 4 * 4096]).unwrap();
    assert_eq!(stage.only().activity, None, "nothing to compare with");
    let activity =
        |looked_page_count, changed_page_count| Some(Activity { looked_page_count, changed_page_count });
    assert_eq!(stage.only().activity, activity(4, 0));
    memory.write(5000, &[2]).unwrap();
    assert_eq!(stage.only().activity, activity(4, 1));
    assert_eq!(stage.only().activity, activity(4, 0));
    memory.write(4096 * 8, &[2]).unwrap();
    assert_eq!(stage.only().activity, activity(5, 1), "a page that nobody had written");
    segment.remove().unwrap();
}

#[test]
fn looking_changes_no_count_and_no_time() {
    let mut stage = Stage::new();
    let shop = Region::<Shop>::at(Key::new(7)).backend(&stage.user).create(ShopInitial::default).unwrap();
    let before = stage.only().stat;
    assert!(stage.only().inside.is_some());
    assert!(stage.live.details(before.id).is_some());
    assert_eq!(stage.only().stat, before);
    shop.remove().unwrap();
}

#[test]
fn a_region_is_looked_into() {
    let mut stage = Stage::new();
    let options = Region::<Shop>::at(Key::new(7)).backend(&stage.user).name("shop").participant("clerk");
    let shop = options.create(ShopInitial::default).unwrap();
    let first = stage.only();
    assert_eq!(first.title, "shop");
    let inside = first.inside.unwrap();
    assert_eq!((&*inside.name, &*inside.r#type), ("shop", "Shop"));
    assert_eq!(inside.participants[0].party.name.as_deref(), Some("clerk"));
    assert_eq!(inside.locks.iter().find(|lock| lock.lock.name == "door").unwrap().per_s, None);

    (0..10).for_each(|_| drop(shop.door.lock().unwrap()));
    let mut sender = shop.orders.sender().unwrap();
    (0..3).for_each(|number| sender.try_send(&number).unwrap());
    let inside = stage.only().inside.unwrap();
    let door = inside.locks.iter().find(|lock| lock.lock.name == "door").unwrap();
    assert!(door.per_s.unwrap() > 0.0, "{door:?}");
    assert_eq!(inside.channels[0].channel.state.ready_count, 3);

    let held = shop.door.lock().unwrap();
    let inside = stage.only().inside.unwrap();
    let door = inside.locks.iter().find(|lock| lock.lock.name == "door").unwrap();
    assert_eq!(door.lock.holder.as_ref().unwrap().name.as_deref(), Some("clerk"));
    drop(held);
    shop.orders.close().unwrap();
    assert_eq!(stage.events(), ["closed shop channel orders"]);
    shop.remove().unwrap();
}

#[test]
fn another_region_in_the_same_segment_is_looked_into_anew() {
    let mut stage = Stage::new();
    let shop = Region::<Shop>::at(Key::new(7))
        .backend(&stage.user)
        .name("one")
        .create(ShopInitial::default)
        .unwrap();
    assert_eq!(stage.only().title, "one");
    shop.remove().unwrap();
    drop(shop);
    let shop = Region::<Shop>::at(Key::new(7))
        .backend(&stage.user)
        .name("two")
        .create(ShopInitial::default)
        .unwrap();
    assert_eq!(stage.only().title, "two");
    assert_eq!(stage.only().inside.unwrap().name, "two");
    shop.remove().unwrap();
}

#[test]
fn details_tell_which_values_have_changed() {
    let mut stage = Stage::new();
    let shop = Region::<Shop>::at(Key::new(7)).backend(&stage.user).create(ShopInitial::default).unwrap();
    let id = stage.only().stat.id;
    let details = stage.live.details(id).unwrap();
    let price =
        |details: &Details| details.fields.iter().find(|field| field.path == "price").unwrap().clone();
    assert_eq!((&*price(&details).value, price(&details).changed), ("0", false));
    shop.price.set(5).unwrap();
    stage.only();
    let (one, other) = (stage.live.details(id).unwrap(), stage.live.details(id).unwrap());
    assert_eq!((&*price(&one).value, price(&one).changed), ("5", true));
    assert!(price(&other).changed, "of the same look");
    assert!(one.cells.iter().any(|cell| cell.changed && cell.resident_count > Some(0)), "{:?}", one.cells);
    stage.only();
    assert!(!price(&stage.live.details(id).unwrap()).changed);
    shop.remove().unwrap();
}

#[test]
fn details_of_what_is_no_region_are_its_first_bytes() {
    let mut stage = Stage::new();
    let (segment, memory) = stage.plain(1, 8192);
    memory.write(0, b"milk, oats").unwrap();
    let id = stage.only().stat.id;
    let details = stage.live.details(id).unwrap();
    assert_eq!(details.fields[0].path, "0x0000");
    assert!(details.fields[0].value.ends_with("milk, oats......"), "{:?}", details.fields[0]);
    assert_eq!(details.left_out_count, (8192 - 512) / 16);
    let resident: Vec<_> = details.cells.iter().map(|cell| cell.resident_count).collect();
    assert_eq!(resident, [Some(1), Some(0)]);
    assert!(stage.live.details(ShmId::new(12345)).is_none());
    segment.remove().unwrap();
}
