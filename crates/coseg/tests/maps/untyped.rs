//! Maps known from the schema only.

use std::collections::BTreeMap;
use std::time::Duration;

use coseg::{ErrorKind, Inspection, Region, Text, UntypedEntry, UntypedMap, Value};

use crate::book::{Book, keys_that_meet, position};
use crate::world::on_each;

const WAIT: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3600);

fn joined(book: &Region<Book>) -> Inspection {
    Inspection::join(book.segment()).unwrap()
}

fn number(number: u64) -> Value {
    Value::Unsigned(number.into())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn held(amount: i64) -> Value {
    Value::Struct(vec![
        ("amount".into(), Value::Signed(amount.into())),
        ("price".into(), Value::Float(1.5)),
        ("open".into(), Value::Bool(true)),
    ])
}

fn put(map: &UntypedMap, key: &Value, value: Value, expires_in: Option<Duration>) -> coseg::Result<()> {
    map.update(key, WAIT, |entry| *entry = Some(UntypedEntry { value, expires_in }))
}

#[test]
fn what_is_put_by_the_schema_is_what_programs_get_and_the_other_way_round() {
    on_each(|world| {
        let book = world.book();
        let look = joined(&book);
        let map = look.map("positions").unwrap();
        assert_eq!(
            (map.key_type().to_string(), map.value_type().to_string()),
            ("u64".into(), "Position".into())
        );
        assert_eq!((map.capacity(), map.len(), map.get(&number(7)).unwrap()), (64, 0, None));
        put(&map, &number(7), held(-3), None).unwrap();
        assert_eq!(book.positions.get(&7).unwrap(), Some(position(-3)));
        book.positions.put(&8, position(4)).unwrap();
        let entry = |amount| UntypedEntry { value: held(amount), expires_in: None };
        assert_eq!(map.get(&number(8)).unwrap(), Some(entry(4)));
        let pairs: BTreeMap<String, UntypedEntry> =
            map.iter().map(|pair| pair.unwrap()).map(|(key, entry)| (key.to_string(), entry)).collect();
        assert_eq!(pairs, [("7".into(), entry(-3)), ("8".into(), entry(4))].into());
        map.update(&number(7), WAIT, |entry| *entry = None).unwrap();
        assert_eq!((book.positions.get(&7).unwrap(), map.len()), (None, 1));
        put(&look.map("names").unwrap(), &text("käse"), number(5), None).unwrap();
        assert_eq!(book.names.get(&"käse".into()).unwrap(), Some(5));
        book.remove().unwrap();
    });
}

#[test]
fn what_is_no_key_or_value_changes_nothing() {
    on_each(|world| {
        let book = world.book();
        book.positions.put(&7, position(1)).unwrap();
        let look = joined(&book);
        let map = look.map("positions").unwrap();
        let Value::Struct(mut fields) = held(2) else { unreachable!() };
        fields.pop();
        for (key, value, fact) in [
            (text("x"), held(2), "`x` is no u64"),
            (number(7), Value::Struct(fields), "`open` of Position: it is missing"),
            (number(7), number(5), "a number where a struct belongs"),
        ] {
            let error = put(&map, &key, value, None).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::BadValue, "{error}");
            assert!(error.to_string().contains(fact), "{error}");
        }
        assert_eq!(book.positions.get(&7).unwrap(), Some(position(1)));
        for (name, fact) in
            [("nothing", "it has total, positions, names, wide"), ("total", "a cell is no map")]
        {
            let error = look.map(name).unwrap_err();
            assert!(*error.kind() == ErrorKind::BadPath && error.to_string().contains(fact), "{error}");
        }
        let error = put(
            &Inspection::of(book.segment()).unwrap().map("positions").unwrap(),
            &number(1),
            held(1),
            None,
        );
        assert_eq!(*error.unwrap_err().kind(), ErrorKind::ReadOnly);
        book.remove().unwrap();
    });
}

#[test]
fn a_time_is_kept_as_long_as_nobody_gives_another() {
    on_each(|world| {
        let book = world.book();
        let look = joined(&book);
        let map = look.map("names").unwrap();
        let key = text("a");
        put(&map, &key, number(1), Some(HOUR)).unwrap();
        let left = || map.get(&key).unwrap().unwrap().expires_in;
        assert!(left().is_some_and(|left| left <= HOUR && left > HOUR / 2));
        map.update(&key, WAIT, |entry| entry.as_mut().unwrap().value = number(2)).unwrap();
        assert_eq!(book.names.get(&"a".into()).unwrap(), Some(2));
        assert!(left().is_some_and(|left| left <= HOUR && left > HOUR / 2));
        map.update(&key, WAIT, |entry| entry.as_mut().unwrap().expires_in = None).unwrap();
        assert_eq!(left(), None);
        put(&map, &key, number(3), Some(Duration::ZERO)).unwrap();
        assert_eq!((map.get(&key).unwrap(), map.len(), map.expired_count()), (None, 1, 1));
        map.update(&key, WAIT, |entry| assert_eq!(*entry, None)).unwrap();
        book.remove().unwrap();
    });
}

#[test]
fn a_full_map_takes_no_more_until_what_has_expired_is_removed() {
    on_each(|world| {
        let book = world.book();
        let look = joined(&book);
        let map = look.map("names").unwrap();
        for key in ["a", "b", "c", "d", "e"] {
            put(&map, &text(key), number(1), None).unwrap();
        }
        let error = put(&map, &text("f"), number(1), None).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Full);
        assert!(error.to_string().contains("all 5 entries are in use"), "{error}");
        for key in ["b", "d"] {
            book.names.put_for(&key.into(), 1, Duration::ZERO).unwrap();
        }
        assert_eq!((map.remove_expired(WAIT).unwrap(), map.len(), map.expired_count()), (2, 3, 0));
        let mut left: Vec<Text<12>> = book.names.iter().map(|(key, _)| key).collect();
        left.sort_unstable_by_key(|key| key.to_string());
        assert_eq!(left, ["a", "c", "e"].map(Text::from));
        book.remove().unwrap();
    });
}

#[test]
fn more_than_one_commit_holds_is_removed_with_its_chains() {
    on_each(|world| {
        let book = world.book();
        let meeting = keys_that_meet(&book, 20);
        for key in &meeting {
            book.positions.put_for(key, position(1), Duration::ZERO).unwrap();
        }
        let others: Vec<u64> = (0..).filter(|key| !meeting.contains(key)).take(40).collect();
        for key in &others {
            book.positions.put(key, position(2)).unwrap();
        }
        let map = joined(&book).map("positions").unwrap();
        assert_eq!(map.expired_count(), 20);
        assert_eq!(map.remove_expired(WAIT).unwrap(), 20);
        assert_eq!((map.len(), map.expired_count()), (others.len(), 0));
        assert!(others.iter().all(|key| book.positions.get(key).unwrap() == Some(position(2))));
        book.remove().unwrap();
    });
}

#[test]
fn a_change_waits_no_longer_than_it_is_told() {
    on_each(|world| {
        let book = world.book();
        let map = joined(&book).map("positions").unwrap();
        let held_up = book.transaction(|_| Ok::<_, coseg::Error>(put(&map, &number(1), held(1), None)));
        let error = held_up.unwrap().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(map.get(&number(1)).unwrap(), None);
        book.remove().unwrap();
    });
}
