//! Descriptions of regions that nobody made, each with the right checksums.

use coseg::{ErrorKind, Inspection, Region};

use crate::forger::{KEY, Part, Place, SCHEMA_AT, region, schema, text};

const U8: &[u8] = &[2];

#[test]
fn a_schema_up_to_the_end_of_a_crooked_segment_is_refused() {
    let place = Place::new();
    for size in 961..=976 {
        let refused = place.look(&region(size, 960, &vec![0; size - 960], 0)).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Damaged, "{size}: {refused}");
    }
}

#[test]
fn parts_beyond_all_addresses_are_refused() {
    let place = Place::new();
    let table = |rows| Part { kind: 2, rows, versions: 2, room: 8, offset: 0, of: U8 };
    let cell = |room| Part { kind: 1, rows: 1, versions: 2, room, offset: 0, of: U8 };
    // Where parts begin if the log has all the entries it may have.
    let schema_at = SCHEMA_AT as u64 + 4096 * 16;
    let parts_at = (schema_at + schema(&[table(0), cell(8)]).len() as u64).next_multiple_of(64);
    // The first ends a few lines before the last address there is, or with it.
    for lines in 0..4 {
        let rows = (u64::MAX - parts_at) / 64 - 1 - lines;
        for schema in [schema(&[table(rows), cell(8)]), schema(&[table(rows), table(8)])] {
            let refused = place.look(&region(4096, SCHEMA_AT, &schema, 4096)).unwrap_err();
            assert_eq!(*refused.kind(), ErrorKind::Damaged, "{lines}: {refused}");
        }
    }
    for room in [u64::MAX, u64::MAX / 2, i64::MAX as u64, u64::MAX / 2 - 4096] {
        let refused = place.look(&region(4096, SCHEMA_AT, &schema(&[cell(room), cell(8)]), 2)).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Damaged, "{room}: {refused}");
    }
}

#[test]
fn a_stream_of_no_bytes_or_of_smaller_chunks_is_refused() {
    const CHUNK_ROOM: u64 = 32_768 + 8;
    let place = Place::new();
    let bytes = [&[67][..], &80_000_u32.to_ne_bytes()].concat();
    for (room, of, is_stream) in
        [(CHUNK_ROOM, &bytes[..], true), (CHUNK_ROOM, U8, false), (CHUNK_ROOM - 64, &bytes, false)]
    {
        let part = |offset| schema(&[Part { kind: 12, rows: 2, versions: 1, room, offset, of }]);
        let part_at = (SCHEMA_AT + part(0).len()).next_multiple_of(64);
        let first = part_at + 512 + 2 * 64;
        let slot = usize::try_from(room).unwrap().next_multiple_of(64);
        let mut bytes = region(first + 2 * slot, SCHEMA_AT, &part(part_at as u64), 0);
        // A chunk is there, whole, and it is the first of its message.
        bytes[part_at + 256..][..8].copy_from_slice(&1_u64.to_ne_bytes());
        bytes[first..first + 8].copy_from_slice(&0x4000_0000_0000_8000_u64.to_ne_bytes());
        match place.look(&bytes) {
            Ok(look) => assert!(is_stream && look.messages("part").unwrap().next().is_none()),
            Err(error) => assert!(!is_stream && *error.kind() == ErrorKind::Damaged, "{room}: {error}"),
        }
    }
}

/// A region that is mapped already is another matter: a page that is no longer there is SIGBUS, for any program that
/// maps a file. SAFETY.md says who can do that.
#[test]
fn a_data_file_that_was_cut_short_is_refused() {
    let place = Place::new();
    let region = Region::<[u64; 4096]>::at(KEY).backend(&place.backend).create(|| [1; 4096]).unwrap();
    let data = place.directory.path().join(format!("seg-{}", region.segment().id()));
    let file = std::fs::OpenOptions::new().write(true).open(data).unwrap();
    file.set_len(4096).unwrap();
    let refused = [
        Region::<[u64; 4096]>::at(KEY).backend(&place.backend).open().unwrap_err(),
        Region::<[u64; 4096]>::at(KEY).backend(&place.backend).observe().unwrap_err(),
        Inspection::of(region.segment()).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(*error.kind(), ErrorKind::Segment, "{error}");
        assert!(error.to_string().contains("cut short"), "{error}");
    }
    // What is mapped must not be touched again.
    std::mem::forget(region);
}

#[test]
fn few_bytes_that_stand_for_millions_of_values_are_not_all_read() {
    let place = Place::new();
    // Elements of one byte, each with four thousand empty texts.
    let (elements, fields) = (100_000_u32, 4000_u32);
    let field = [text("f"), 0_u32.to_ne_bytes().to_vec(), text(""), text(""), vec![64], vec![0; 4]].concat();
    let numbers = |numbers: [u32; 2]| numbers.map(u32::to_ne_bytes).concat();
    let mut of = [&[65][..], &elements.to_ne_bytes(), &[66], &text("S"), &numbers([1, fields])].concat();
    of.extend(field.repeat(4000));
    let room = u64::from(elements);
    let part = |offset| schema(&[Part { kind: 1, rows: 1, versions: 2, room, offset, of: &of }]);
    let schema_at = (SCHEMA_AT + 16).next_multiple_of(64);
    let part_at = (schema_at + part(0).len()).next_multiple_of(64);
    let size = part_at + 64 + 2 * (elements as usize).next_multiple_of(64);
    let look = place.look(&region(size, schema_at, &part(part_at as u64), 1)).unwrap();
    for error in
        [look.part(0).unwrap_err(), look.get("part").unwrap_err(), look.check("part", "").unwrap_err()]
    {
        assert_eq!(*error.kind(), ErrorKind::TooLarge, "{error}");
    }
    assert_eq!(look.get("part[99999].f").unwrap().to_string(), "\"\"", "one of them is");
}
