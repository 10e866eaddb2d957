//! Paths and texts that a person may type, right and wrong.

use std::time::Duration;

use coseg::{ErrorKind, Inspection, Region};

use crate::forger::{KEY, Place};
use crate::world::{Numbers, Office, initial, long};

/// What paths and values are made of.
const PIECES: &[&str] = &[
    "board",
    "ledger",
    "trades",
    "door",
    "files",
    "bell",
    "buy",
    "stock",
    "name",
    "open",
    "value",
    ".",
    ".",
    "[",
    "]",
    "[0]",
    "[1]",
    "[7]",
    "[8]",
    "[-1]",
    "[18446744073709551615]",
    "[99999999999999999999]",
    "[0x1]",
    "[ 0 ]",
    "",
    " ",
    "é",
    "\u{0}",
    "\u{202e}",
    "..",
    "[[",
    "]]",
    "true",
    "1",
    "-1",
    "1e308",
    "NaN",
    "-0",
    "340282366920938463463374607431768211456",
];

fn text(numbers: &mut Numbers) -> String {
    (0..numbers.below(6)).map(|_| numbers.one_of(PIECES)).collect()
}

#[test]
fn any_path_and_any_text_have_an_answer() {
    let seed = Numbers::seed();
    eprintln!("COSEG_SEED={seed}");
    let mut numbers = Numbers::new(seed);
    let place = Place::new();
    let region = Region::<Office>::at(KEY).backend(&place.backend).create(initial).unwrap();
    let look = Inspection::join(region.segment()).unwrap();
    let mut right = 0;
    for _ in 0..if long() { 2_000_000 } else { 20_000 } {
        let (path, value) = (text(&mut numbers), text(&mut numbers));
        match look.get(&path) {
            Ok(value) => {
                right += 1;
                assert!(!value.to_string().is_empty(), "{path:?}");
            }
            Err(error) => assert_eq!(*error.kind(), ErrorKind::BadPath, "{path:?}: {error}"),
        }
        let before = look.check(&path, &value);
        let set = look.set(&path, &value, Duration::from_secs(10));
        assert_eq!(before.is_ok(), set.is_ok(), "{path:?} = {value:?}");
        if let (Ok(check), Ok(set)) = (before, set) {
            // Debug text, because one NaN is not equal to another.
            assert_eq!(format!("{check:?}"), format!("{set:?}"), "{path:?} = {value:?}");
            assert_eq!(
                format!("{:?}", look.get(&path).unwrap()),
                format!("{:?}", set.1),
                "{path:?} = {value:?}"
            );
        }
    }
    assert!(right > 0, "some paths are right");
    region.remove().unwrap();
}
