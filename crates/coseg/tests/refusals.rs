//! Regions that are refused for one reason alone.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

use coseg::schema::{Field, Scalar, Struct, Type};
use coseg::{ErrorKind, Key, Region, Shared};
use coseg_sysv::User;

const KEY: Key = Key::new(0x4558);
/// Of the header, only the checksum covers it.
const CREATED_AT: usize = 80;

/// Two numbers, the second of them `AT` bytes from the start.
#[derive(Clone, Copy, Debug)]
struct Spread<const AT: usize>([u32; 4]);

impl<const AT: usize> Shared for Spread<AT> {
    fn describe() -> Type {
        let field = |name: &str, offset| Field {
            name: name.to_owned(),
            offset,
            of: Type::Scalar(Scalar::U32),
            unit: String::new(),
            doc: String::new(),
        };
        let fields = vec![field("one", 0), field("other", AT)];
        Type::Struct(Struct { name: "Spread".to_owned(), size_bytes: 16, fields })
    }

    fn store(&self, bytes: &mut [u8]) {
        self.0.store(bytes);
    }

    fn load(bytes: &[u8]) -> Self {
        Spread(<[u32; 4]>::load(bytes))
    }
}

#[test]
fn a_field_that_lies_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let backend = User::at(directory.path()).unwrap();
    let region = Region::<Spread<4>>::at(KEY).backend(&backend).create(|| Spread([1; 4])).unwrap();
    let error = Region::<Spread<8>>::at(KEY).backend(&backend).open().unwrap_err();
    assert_eq!(error.differences().len(), 1, "{error}");
    assert!(error.to_string().contains("other"), "{error}");
    region.remove().unwrap();
}

#[test]
fn a_header_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let backend = User::at(directory.path()).unwrap();
    let region = Region::<u64>::at(KEY).backend(&backend).create(|| 1).unwrap();
    region.segment().attach().unwrap().write(CREATED_AT, &[0xff; 8]).unwrap();
    let error = Region::<u64>::at(KEY).backend(&backend).open().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Damaged, "{error}");
    region.remove().unwrap();
}
