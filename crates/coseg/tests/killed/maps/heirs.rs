//! Who comes after a death.

use coseg::{Error, ErrorKind, Recovery, Region};

use super::shop::{CAPACITY, Shop, Stock, all_keys};
use crate::survivor::promptly;
use crate::world::Setting;

/// How much was sold, and what the keys have.
type Whole = (u64, Vec<(u64, Stock)>);

fn whole(region: &Region<Shop>) -> Whole {
    let seen: Result<_, Error> = region.snapshot(|at| {
        let mut keys = Vec::new();
        for key in all_keys() {
            keys.extend(at.map(&region.stock).get(&key)?.map(|stock| (key, stock)));
        }
        Ok((at.get(&region.sold)?, keys))
    });
    seen.unwrap()
}

/// Tells what it finds and whom it inherits from, and then works on.
pub(super) fn survive(setting: &Setting) {
    let observed = setting.at::<Shop>("").observe().unwrap();
    let before = promptly("a snapshot", || whole(&observed));
    let region = promptly("opening", || setting.at::<Shop>("survivor").open().unwrap());
    for key in all_keys() {
        // It may be what it was before a transaction that is committed and not yet applied.
        let stock = promptly("a read", || region.stock.get(&key).unwrap());
        assert!(stock.is_none_or(|[one, two, three]| one == two && two == three), "{stock:?}");
    }
    let none: Result<(), Error> = promptly("a transaction", || region.transaction(|_| Ok(())));
    none.unwrap();
    assert_eq!(whole(&region), before, "recovery shows what was to be seen before it");
    let alone = |key| region.stock.get(&key).unwrap().map(|stock| (key, stock));
    assert_eq!(all_keys().filter_map(alone).collect::<Vec<_>>(), before.1);
    let (mut iterated, mut all) = (region.stock.iter().collect::<Vec<_>>(), before.1.clone());
    iterated.sort_unstable();
    all.sort_unstable();
    assert_eq!(iterated, all);

    print!("<{before:?}>");
    for Recovery { lock, participant, .. } in &region.take_recoveries() {
        print!("[{lock} {}]", participant.as_ref().map_or(0, |who| who.pid));
    }
    promptly("going on", || go_on(&region, &all));
}

/// Everything works, and every entry can be used: those that nobody has were given back.
fn go_on(region: &Region<Shop>, found: &[(u64, Stock)]) {
    let stock = &region.stock;
    // The last that was put may have been on its way.
    for &(key, value) in found.iter().rev() {
        assert_eq!(stock.put(&key, value).unwrap(), Some(value));
        for &(other, value) in found {
            assert_eq!(stock.get(&other).unwrap(), Some(value), "{other} after {key} was put");
        }
    }
    for &(key, value) in found {
        assert_eq!(stock.remove(&key).unwrap(), Some(value));
        assert_eq!(stock.get(&key).unwrap(), None);
    }
    let keys: Vec<u64> = all_keys().collect();
    for round in 0..3 {
        for (step, &key) in keys.iter().take(CAPACITY).enumerate() {
            assert!(stock.insert(&key, [key; 3]).unwrap(), "round {round}, key {step}");
        }
        assert_eq!(stock.len(), CAPACITY);
        let error = stock.put(&keys[CAPACITY], [0; 3]).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Full);
        for &key in keys.iter().take(CAPACITY).rev() {
            assert_eq!(stock.remove(&key).unwrap(), Some([key; 3]));
        }
        assert!(stock.is_empty());
    }
}
