//! What is out there: segments that many systems have, told by their keys or first bytes.

use super::{Choice, Declared};

/// ntpd and chronyd number their segments from this key on: `NTP0`, `NTP1`, …
const NTP_KEY: i32 = 0x4e54_5030;
const NTP_COUNT: i32 = 256;
/// As in refclock_shm.c of ntpd.
const NTP: &str = "struct ntp_shm_time { int mode, count; time_t clock_s; int clock_us; time_t receive_s; \
                   int receive_us, leap, precision, nsamples, valid; unsigned clock_ns, receive_ns; int dummy[8]; };";

/// What PostgreSQL's segments begin with.
const POSTGRES_MAGIC: i32 = 679_834_894;
/// As in pg_shmem.h.
const POSTGRES: &str = "struct pg_shmem_header { int32_t magic; pid_t creator_pid; size_t total_size, free_offset; \
                        uint32_t dsm_control; void *index; dev_t device; ino_t inode; };";

/// What a segment with this key and these first bytes is, and its name.
pub(crate) fn known(key: i32, first: &[u8]) -> Option<(&'static str, Declared)> {
    let (name, text) = if key.checked_sub(NTP_KEY).is_some_and(|unit| (0..NTP_COUNT).contains(&unit)) {
        ("NTP's shared memory clock", NTP)
    } else if first.starts_with(&POSTGRES_MAGIC.to_ne_bytes()) {
        ("PostgreSQL's header", POSTGRES)
    } else {
        return None;
    };
    Choice::Declaration(text.to_owned()).declared().ok().map(|declared| (name, declared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_has_the_size_that_its_programs_give_it() {
        let size = |key, first: &[u8]| known(key, first).map(|(_, declared)| declared.of.size_bytes());
        assert_eq!(size(0x4e54_5030, &[]), Some(96));
        assert_eq!(size(0x4e54_512f, &[]), Some(96));
        assert_eq!(size(0x4e54_5130, &[]), None);
        assert_eq!(size(i32::MIN, &[]), None);
        assert_eq!(size(5432, &POSTGRES_MAGIC.to_ne_bytes()), Some(56));
    }
}
