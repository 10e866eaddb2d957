//! What cannot be guarded, and what it says.
#![allow(unsafe_code, reason = "takes all keys")]

use coseg::{ErrorKind, RegionOptions};
use coseg_sysv::Segment;

use crate::house::{KEY, Office, initial, on_each, with_keys};

#[test]
fn a_cpu_without_keys_is_named_before_anything_is_made() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let has_keys = cpu.split_whitespace().any(|flag| flag == "ospke");
    on_each(|world| {
        let error = match world.office().write_guard(true).create(initial) {
            Ok(office) => {
                assert!(has_keys);
                return office.remove().unwrap();
            }
            Err(error) => error,
        };
        assert!(!has_keys, "{error}");
        assert_eq!(error.kind(), &ErrorKind::NoProtectionKeys);
        let text = error.to_string();
        assert!(
            text.starts_with("guard region 0x00004558: ") && text.contains("memory protection keys"),
            "{text}"
        );
        assert!(text.ends_with("open without a write guard"), "{text}");
        assert!(Segment::options(KEY).open(&world.backend).is_err(), "nothing was made");

        let office = world.office().guardable(true).create(initial).unwrap();
        let error = world.office().write_guard(true).open().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::NoProtectionKeys);
        office.remove().unwrap();
    });
}

#[test]
fn a_region_that_was_not_made_guardable_is_refused() {
    with_keys(|world| {
        let office = world.office().create(initial).unwrap();
        let guarded = || world.office().write_guard(true);
        for error in [guarded().open().unwrap_err(), guarded().open_or_create(initial).unwrap_err()] {
            assert_eq!(error.kind(), &ErrorKind::NotGuardable);
            assert!(error.to_string().contains("make it anew with `.guardable(true)`"), "{error}");
        }
        office.remove().unwrap();
    });
}

#[test]
fn a_layout_that_is_neither_is_damage() {
    const VALUE_ALIGNMENT: usize = 28;
    on_each(|world| {
        for guardable in [false, true] {
            let office = world.office().guardable(guardable).create(initial).unwrap();
            let bytes = office.segment().attach().unwrap();
            for forged in [0_u32, 1, 64, 4096, 8192, u32::MAX] {
                if forged == if guardable { 4096 } else { 0 } {
                    continue;
                }
                bytes.write(VALUE_ALIGNMENT, &forged.to_ne_bytes()).unwrap();
                assert_eq!(world.office().open().unwrap_err().kind(), &ErrorKind::Damaged, "{forged}");
            }
            office.remove().unwrap();
        }
    });
}

pub(crate) fn take_all_keys(office: RegionOptions<Office>) {
    // SAFETY: takes two numbers, touches no memory.
    while unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, 0) } >= 0 {}
    let error = office.write_guard(true).open().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NoProtectionKeys);
    println!("@{error}");
}

#[test]
fn a_process_without_a_free_key_is_told_so() {
    with_keys(|world| {
        let office = world.guarded();
        let (output, said) = world.played("takes all keys");
        assert!(output.status.success(), "{said}");
        assert!(said.contains("all 15 memory protection keys of this process are taken"), "{said}");
        office.remove().unwrap();
    });
}
