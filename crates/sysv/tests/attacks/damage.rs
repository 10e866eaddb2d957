//! Registries with damaged bytes, by accident and with intent.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use coseg_sysv::user::Knobs;
use coseg_sysv::{AttachFlags, Backend, Change, Errno, Error, GetFlags, Key, Mode, ShmId, Stat, User};

use crate::forge::{self, HEADER_SIZE, RECORD_SIZE, RECORDS_AT, Step};
use crate::processes::close_kept;
use crate::{Random, apart, assert_told, attach_as, create, detach, is_mapped, peek, poke};

/// More than any operation takes on a registry that sends it in circles.
const LONGEST_CASE_MS: u128 = 5000;

/// A namespace with some segments, and what is known of them.
struct Pristine {
    directory: PathBuf,
    registry: Vec<u8>,
    data: Vec<(PathBuf, Vec<u8>)>,
    stats: Vec<Stat>,
    outside: PathBuf,
}

/// How much of the registry is ever written here; the rest is a hole.
const WRITTEN: usize = RECORDS_AT + 64 * RECORD_SIZE;

impl Pristine {
    fn make(world: &Path) -> Pristine {
        let directory = world.join("namespace");
        let user = User::at(&directory).unwrap();
        for key in 1..=6 {
            let id = create(&user, key, 0o600);
            let address = attach_as(&user, id, AttachFlags::NONE).unwrap();
            poke(address, 0, u8::try_from(key).unwrap());
            if key != 6 {
                detach(&user, address).unwrap();
            }
        }
        let id = create(&user, 7, 0o600);
        user.remove(id).unwrap();
        // Removed while attached: doomed, and alive as long as this process.
        user.remove(user.get(Key::new(6), 0, GetFlags::NONE).unwrap()).unwrap();
        let stats: Vec<Stat> = user.list().unwrap().iter().map(|listed| listed.stat).collect();
        assert_eq!(stats.len(), 6);
        let outside = world.join("outside");
        fs::write(&outside, "precious").unwrap();
        let registry = fs::read(directory.join("registry")).unwrap()[..WRITTEN].to_vec();
        let data = stats.iter().map(|stat| directory.join(format!("seg-{}", stat.id)));
        let data = data.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        Pristine { directory, registry, data, stats, outside }
    }

    /// Writes a registry in place of the one that is there, into the same file.
    fn write(&self, bytes: &[u8]) {
        let path = self.directory.join("registry");
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        if bytes.len() == WRITTEN {
            file.set_len((RECORDS_AT + 32768 * RECORD_SIZE) as u64).unwrap();
        }
        for (path, bytes) in &self.data {
            if !path.exists() {
                fs::write(path, bytes).unwrap();
            }
        }
    }

    /// The same under another name, so that this process has never seen it.
    fn moved(&mut self, number: usize) {
        close_kept();
        let directory = self.directory.with_file_name(format!("moved-{number}"));
        fs::rename(&self.directory, &directory).unwrap();
        for (path, _) in &mut self.data {
            *path = directory.join(path.file_name().unwrap());
        }
        self.directory = directory;
    }

    fn assert_nothing_outside(&self) {
        assert_eq!(fs::read(&self.outside).unwrap(), b"precious");
        for entry in fs::read_dir(self.directory.parent().unwrap()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(["outside"].contains(&&*name) || self.directory.ends_with(&name), "{name}?");
        }
    }
}

/// What damage may make of a call: it is told where, or the thing is not found.
fn judge(error: &Error, directory: &Path) {
    match error.errno() {
        Errno::EIO => assert_told(error, Errno::EIO, directory),
        Errno::EINVAL | Errno::ENOENT | Errno::EIDRM | Errno::EEXIST | Errno::ENOSPC | Errno::ENOMEM => {}
        Errno::EACCES | Errno::EPERM => {}
        other => panic!("{other}: {error}"),
    }
}

/// Every call there is. What `exact` says is checked of answers.
fn exercise(user: &User, pristine: &Pristine, exact: bool) -> u32 {
    let mut errors = 0;
    let directory = user.directory();
    let mut note = |error: Error| {
        errors += 1;
        judge(&error, &directory);
    };
    macro_rules! attempt {
        ($call:expr) => {
            match $call {
                Ok(value) => Some(value),
                Err(error) => {
                    note(error);
                    None
                }
            }
        };
    }
    for stat in &pristine.stats {
        if !stat.key.is_private()
            && let Some(id) = attempt!(user.get(stat.key, 0, GetFlags::NONE))
        {
            assert!(!exact || id == stat.id, "{id} is not {}", stat.id);
        }
        if let Some(now) = attempt!(user.stat(stat.id))
            && exact
        {
            let of = |s: &Stat| (s.id, s.key, s.size_bytes, s.mode, s.uid, s.removed);
            assert_eq!(of(&now), of(stat));
        }
        attempt!(user.stat_index(stat.id.raw() % 32768, true));
        for flags in [AttachFlags::READ_ONLY, AttachFlags::NONE] {
            if let Some(address) = attempt!(attach_as(user, stat.id, flags)) {
                let (first, last) = (peek(address, 0), peek(address, 4999));
                if exact {
                    assert_eq!((i32::from(first), last), (stat.id.raw() + 1, 0));
                }
                detach(user, address).unwrap();
            }
        }
        attempt!(user.lock(stat.id));
        attempt!(user.set(stat.id, Change { uid: 0, gid: 0, mode: Mode::PRIVATE }));
    }
    attempt!(user.list());
    attempt!(user.usage());
    attempt!(user.limits());
    attempt!(user.strays());
    if let Some(knobs) = attempt!(user.knobs()) {
        attempt!(user.set_knobs(Knobs { remove_forced: true, ..knobs }));
        attempt!(user.set_knobs(Knobs { remove_forced: false, next_id: Some(ShmId::new(40)), ..knobs }));
    }
    let flags = GetFlags::CREATE | GetFlags::EXCLUSIVE;
    for key in [Key::PRIVATE, Key::new(77), Key::new(1)] {
        if let Some(id) = attempt!(user.get(key, 100, flags.with_mode(Mode::PRIVATE))) {
            attempt!(user.remove(id));
        }
    }
    for stat in &pristine.stats {
        attempt!(user.remove(stat.id));
    }
    errors
}

/// Tries a damaged registry on a process that knew it whole, and on one that never saw it.
fn try_both(pristine: &mut Pristine, known: &User, number: usize, bytes: &[u8], exact: bool) -> u32 {
    let start = Instant::now();
    pristine.write(bytes);
    let mut errors = exercise(known, pristine, exact);
    pristine.write(bytes);
    let original = pristine.directory.clone();
    pristine.moved(number);
    match User::at(&pristine.directory) {
        Ok(user) => errors += exercise(&user, pristine, exact),
        Err(error) => {
            assert_told(&error, Errno::EIO, &pristine.directory);
            errors += 1;
        }
    }
    close_kept();
    fs::rename(&pristine.directory, &original).unwrap();
    pristine.directory = original;
    for (path, _) in &mut pristine.data {
        *path = pristine.directory.join(path.file_name().unwrap());
    }
    assert!(start.elapsed().as_millis() < LONGEST_CASE_MS, "took {:?}", start.elapsed());
    errors
}

fn opened(pristine: &Pristine) -> User {
    User::at(&pristine.directory).unwrap()
}

#[test]
fn a_truncated_registry() {
    apart("damage::a_truncated_registry", |world| {
        let mut pristine = Pristine::make(world);
        let user = opened(&pristine);
        let lengths = (0..1100).step_by(37).chain([4095, 4096, 4097, 36863, 36864, 36865]);
        let lengths =
            lengths.chain([RECORDS_AT - 1, RECORDS_AT, RECORDS_AT + 1, RECORDS_AT + RECORD_SIZE + 5]);
        for length in lengths {
            let bytes = pristine.registry[..length].to_vec();
            let errors = try_both(&mut pristine, &user, length, &bytes, true);
            assert!(errors > 0, "{length} bytes pass for a registry");
        }
        pristine.assert_nothing_outside();
    });
}

#[test]
fn every_byte_of_the_header() {
    apart("damage::every_byte_of_the_header", |world| {
        let mut pristine = Pristine::make(world);
        let user = opened(&pristine);
        for at in 0..HEADER_SIZE {
            let mut bytes = pristine.registry.clone();
            bytes[at] ^= 1 << (at % 8);
            let errors = try_both(&mut pristine, &user, at, &bytes, true);
            // Padding is nobody's: the header's behind its version is summed too, the log's behind its end is not.
            assert!(errors > 0 || at >= 128, "byte {at} is nobody's");
        }
        pristine.assert_nothing_outside();
    });
}

#[test]
fn another_magic_and_another_version_are_told_apart() {
    apart("damage::another_magic_and_another_version_are_told_apart", |world| {
        let mut pristine = Pristine::make(world);
        for (number, at, what) in [(0, 0, "not a registry"), (1, 8, "format version")] {
            let mut bytes = pristine.registry.clone();
            bytes[at] ^= 2;
            forge::seal_header(&mut bytes);
            pristine.write(&bytes);
            pristine.moved(number);
            let error = User::at(&pristine.directory).unwrap_err();
            assert_told(&error, Errno::EIO, &pristine.directory);
            assert!(error.to_string().contains(what), "{error}");
        }
    });
}

/// Bytes here and there, as a program that writes into the wrong file leaves them.
#[test]
fn random_bytes_everywhere() {
    apart("damage::random_bytes_everywhere", |world| {
        let mut pristine = Pristine::make(world);
        let user = opened(&pristine);
        let mut random = Random(0x5eed);
        let mut refused = 0;
        for case in 0..2000 {
            let mut bytes = pristine.registry.clone();
            for _ in 0..=random.below(6) {
                let at = match random.below(4) {
                    0 => random.below(HEADER_SIZE),
                    1 => RECORDS_AT + random.below(8 * RECORD_SIZE),
                    _ => random.below(WRITTEN),
                };
                let length = 1 + random.below(16);
                for byte in bytes.iter_mut().skip(at).take(length) {
                    *byte = random.byte();
                }
            }
            // A scribble over a chain or over times cannot be told from what was meant.
            refused += u32::from(try_both(&mut pristine, &user, case, &bytes, false) > 0);
        }
        assert!(refused > 1000, "{refused} of 2000");
        pristine.assert_nothing_outside();
    });
}

/// Numbers at the ends of their ranges, with sums that are right: by intent.
fn strange(random: &mut Random) -> u64 {
    const STRANGE: [u64; 12] =
        [0, 1, 63, 64, 255, 4096, 32767, 32768, 1 << 31, (1 << 32) - 1, 1 << 63, u64::MAX];
    match random.below(3) {
        0 => random.next(),
        1 => u64::MAX - random.next() % 5000,
        _ => STRANGE[random.below(STRANGE.len())],
    }
}

fn scribble(random: &mut Random, bytes: &mut [u8]) {
    let size = [1, 2, 4, 8][random.below(4)].min(bytes.len());
    let at = random.below(bytes.len() / size) * size;
    bytes[at..at + size].copy_from_slice(&strange(random).to_le_bytes()[..size]);
}

#[test]
fn forged_numbers() {
    apart("damage::forged_numbers", |world| {
        let mut pristine = Pristine::make(world);
        let user = opened(&pristine);
        let mut random = Random(0xf0_49ed);
        for case in 0..3000 {
            let mut bytes = pristine.registry.clone();
            for _ in 0..=random.below(3) {
                match random.below(4) {
                    0 => {
                        scribble(&mut random, &mut bytes[48..120]);
                        forge::seal_header(&mut bytes);
                    }
                    1 => scribble(&mut random, &mut bytes[4096..4096 + 8192 * 4]),
                    _ => {
                        let index = random.below(7);
                        scribble(&mut random, &mut forge::record(&mut bytes, index)[..88]);
                        forge::seal_record(&mut bytes, index);
                    }
                }
            }
            try_both(&mut pristine, &user, case, &bytes, false);
        }
        pristine.assert_nothing_outside();
    });
}

/// What is attached can be detached, whatever its record says by then.
#[test]
fn forged_records_of_what_is_attached() {
    apart("damage::forged_records_of_what_is_attached", |world| {
        let directory = world.join("namespace");
        let user = User::at(&directory).unwrap();
        let registry =
            fs::OpenOptions::new().read(true).write(true).open(directory.join("registry")).unwrap();
        let mut random = Random(0xa77ac);
        let read = || {
            let mut bytes = vec![0; WRITTEN];
            registry.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        for case in 0..500 {
            let id = create(&user, 1, 0o600);
            let index = usize::try_from(id.raw() % 32768).unwrap();
            let address = attach_as(&user, id, AttachFlags::NONE).unwrap();
            let whole = read();
            let mut bytes = whole.clone();
            let record = forge::record(&mut bytes, index);
            match case % 4 {
                0 => record[32..40].copy_from_slice(&strange(&mut random).to_le_bytes()),
                1 => record[60] = random.byte(),
                2 => record[40..48].copy_from_slice(&strange(&mut random).to_le_bytes()),
                _ => scribble(&mut random, &mut record[..88]),
            }
            forge::seal_record(&mut bytes, index);
            registry.write_all_at(&bytes, 0).unwrap();
            // A record that makes it a segment to be destroyed may be refused; the memory is gone all the same.
            if let Err(error) = detach(&user, address) {
                judge(&error, &directory);
            }
            assert!(!is_mapped(address), "case {case}");
            registry.write_all_at(&whole, 0).unwrap();
            user.remove(id).unwrap();
        }
    });
}

#[test]
fn forged_logs() {
    apart("damage::forged_logs", |world| {
        let mut pristine = Pristine::make(world);
        let user = opened(&pristine);
        let mut random = Random(0x10_65);
        for case in 0..1500 {
            let mut bytes = pristine.registry.clone();
            let steps: Vec<Step> = (0..=random.below(4))
                .map(|_| {
                    let kind = 1 + u32::from(random.byte()) % 6;
                    let mut more = match kind {
                        1 | 2 | 6 => forge::record(&mut bytes, random.below(7)).to_vec(),
                        3 | 4 => vec![0; 8],
                        _ => Vec::new(),
                    };
                    if !more.is_empty() {
                        scribble(&mut random, &mut more);
                    }
                    #[allow(clippy::cast_possible_truncation, reason = "any number does")]
                    let argument = strange(&mut random) as u32;
                    let argument = if random.below(2) == 0 { argument } else { argument % 8 };
                    let mut step = (kind, argument, more);
                    forge::seal_step(&bytes, &mut step);
                    step
                })
                .collect();
            forge::publish(&mut bytes, &steps);
            try_both(&mut pristine, &user, case, &bytes, false);
        }
        pristine.assert_nothing_outside();
    });
}
