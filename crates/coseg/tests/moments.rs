//! A snapshot is of one moment, whatever kind of change comes between two of its reads.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

use coseg::{Cell, Error, Key, Region};
use coseg_sysv::User;

#[derive(Region)]
struct Two {
    one: Cell<u64>,
    other: Cell<u64>,
}

#[test]
fn a_change_of_one_value_between_two_reads() {
    let directory = tempfile::tempdir().unwrap();
    let backend = User::at(directory.path()).unwrap();
    let two = Region::<Two>::at(Key::new(0x4558)).backend(&backend).create(Default::default).unwrap();
    let mut rounds = 0;
    let both: Result<_, Error> = two.snapshot(|at| {
        rounds += 1;
        let one = at.get(&two.one)?;
        if rounds == 1 {
            two.one.set(5)?;
            two.other.set(6)?;
        }
        Ok((one, at.get(&two.other)?))
    });
    assert_eq!((both.unwrap(), rounds), ((5, 6), 2));
    two.remove().unwrap();
}
