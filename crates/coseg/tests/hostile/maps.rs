//! A peer writes what he likes over a map: whoever uses it is told so, or finds what is there, and soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coseg::{Error, ErrorKind, Inspection, Map, Region, Text};
use coseg_sysv::{Attachment, Backend};

use crate::world::{Numbers, World, at, long, on_each};

#[derive(Region)]
struct Depot {
    goods: Map<u64, [u64; 3], 12>,
    names: Map<Text<12>, Text<20>, 70>,
    /// Copied in blocks.
    pages: Map<u64, [u64; 37], 3>,
}

/// Where things lie in a map, as FORMAT.md says.
const BITS: usize = 128;
const LINE: usize = 64;
const IN_TRANSIT: u64 = 1 << 63;
const LOG: usize = 256;
const LOCK: usize = 192;
const SLOTS: usize = 384;

/// Who cannot read takes the lock between writers; a machine that is busy with other tests adds to that.
const LIMIT: Duration = Duration::from_secs(5);

/// A map's places.
#[derive(Clone, Copy, Debug)]
struct Places {
    start: usize,
    transit: usize,
    buckets: usize,
    links: usize,
    even_slots: usize,
    entries: usize,
    entry_size: usize,
    capacity: usize,
}

impl Places {
    fn new(start: usize, capacity: usize, slot_size: usize) -> Places {
        let line = |at: usize| at.next_multiple_of(LINE);
        let transit = line(start + BITS + capacity.div_ceil(64) * 8);
        let buckets = line(transit + 8 + slot_size);
        let links = buckets + (2 * capacity).div_ceil(7).next_power_of_two() * LINE;
        let even_slots = line(links + capacity * 8);
        let entry_size = (8 + slot_size).next_multiple_of(LINE / 2);
        let entries = line(even_slots + capacity * entry_size);
        Places { start, transit, buckets, links, even_slots, entries, entry_size, capacity }
    }

    fn end(&self) -> usize {
        self.entries + self.capacity * self.entry_size
    }
}

struct Scribbler {
    memory: Attachment,
    honest: Vec<u8>,
    maps: [Places; 3],
    entries_of_log: usize,
    numbers: Numbers,
}

impl Scribbler {
    fn new(depot: &Region<Depot>, seed: u64) -> Scribbler {
        let memory = depot.segment().attach().unwrap();
        let mut honest = vec![0; memory.size_bytes()];
        memory.read(0, &mut honest).unwrap();
        let starts: Vec<usize> = depot.schema().parts.iter().map(|part| part.offset).collect();
        let maps = [
            Places::new(starts[0], 12, 8 + 8 + 24),
            Places::new(starts[1], 70, 8 + 16 + 24),
            Places::new(starts[2], 3, 8 + 8 + 37 * 8),
        ];
        assert!(maps.is_sorted_by(|one, next| one.end() <= next.start) && maps[2].end() <= honest.len());
        let entries_of_log = SLOTS + crate::world::PARTICIPANTS * 128;
        Scribbler { memory, honest, maps, entries_of_log, numbers: Numbers::new(seed) }
    }

    fn heal(&self) {
        self.memory.write(0, &self.honest).unwrap();
    }

    fn word(&self, at: usize, word: u64) {
        self.memory.write(at, &word.to_ne_bytes()).unwrap();
    }

    fn honest_word(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.honest[at..][..8].try_into().unwrap())
    }

    /// A word that names an entry: whose hash may be that of a key, and which may be any.
    fn link(&mut self, map: Places) -> u64 {
        let bucket_words = (map.links - map.buckets) / 8;
        let known_at = map.buckets + self.numbers.below(bucket_words) * 8;
        let known = self.honest_word(known_at);
        let entry = match self.numbers.below(4) {
            0 => self.numbers.next() & 0xffff_ffff,
            1 => map.capacity as u64 + 1,
            _ => self.numbers.below(map.capacity + 1) as u64,
        };
        known & !0xffff_ffff | entry
    }

    fn value(&mut self) -> u64 {
        let edges = [0, 1, 2, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 62, 0xffff_ffff];
        if self.numbers.below(3) == 0 { self.numbers.next() } else { self.numbers.one_of(&edges) }
    }

    fn stroke(&mut self) {
        let map = self.maps[self.numbers.below(3)];
        let entry = self.numbers.below(map.capacity);
        match self.numbers.below(10) {
            // Buckets, chains that are circles or lead into others.
            0 | 1 => {
                let word = self.numbers.below((map.links - map.buckets) / 8);
                let link = self.link(map);
                self.word(map.buckets + word * 8, link);
            }
            2 => {
                for bucket in (map.buckets..map.links).step_by(LINE) {
                    let link = self.link(map);
                    self.word(bucket + 56, link);
                }
                for entry in 0..map.capacity {
                    let link = self.link(map);
                    self.word(map.links + entry * 8, link);
                }
            }
            3 => {
                let (word, bits) = (self.numbers.below(map.capacity.div_ceil(64)), self.value());
                self.word(map.start + BITS + word * 8, bits);
            }
            // Seed, times, where the search goes on, moves.
            4 => {
                let (at, value) = (self.numbers.one_of(&[0, 8, 16, 24, 64]), self.value());
                self.word(map.start + at, value);
            }
            // A version; an entry's words: time, key, value.
            5 => {
                let version_at = map.entries + entry * map.entry_size;
                let step = self.numbers.below(4) as u64 | self.numbers.one_of(&[0, 0, IN_TRANSIT]);
                let version = match self.numbers.below(4) {
                    0 => self.value(),
                    _ => self.honest_word(version_at).wrapping_add(step),
                };
                self.word(version_at, version);
            }
            6 => {
                let (word, value) = (self.numbers.below(map.entry_size / 8), self.value());
                let start = self.numbers.one_of(&[map.even_slots, map.entries]);
                self.word(start + entry * map.entry_size + word * 8, value);
            }
            7 => {
                let (word, value) = (self.numbers.below((map.buckets - map.transit) / 8), self.value());
                self.word(map.transit + word * 8, value);
            }
            // A value that is in transit for ever, or that somebody dead was putting.
            8 => {
                let version_at = map.entries + entry * map.entry_size;
                self.word(version_at, self.honest_word(version_at) | IN_TRANSIT);
                self.word(map.transit, entry as u64);
                let owner = self.numbers.one_of(&[0_u32, 5 | 9 << 12]);
                self.memory.write(LOCK, &owner.to_ne_bytes()).unwrap();
            }
            // A log that names words of the map or of what is beside it.
            _ => {
                let pending = self.numbers.one_of(&[1, 2, 6, 0xffff]);
                for index in 0..6 {
                    let at = map.start + self.numbers.below(map.end() - map.start) / 4 * 4;
                    let number = self.numbers.one_of(&[1 << 62 | at as u64, 1 << 62, entry as u64, u64::MAX]);
                    let value = self.value();
                    self.word(self.entries_of_log + index * 16, number);
                    self.word(self.entries_of_log + index * 16 + 8, value);
                }
                self.word(LOG, self.honest_word(LOG) | pending);
                // A dead owner, so that somebody has to settle it.
                let owner = self.numbers.one_of(&[0_u32, 5 | 9 << 12]);
                self.memory.write(LOCK, &owner.to_ne_bytes()).unwrap();
            }
        }
    }
}

const GOODS: u64 = 10;

fn depot(backend: &Arc<dyn Backend>) -> Region<Depot> {
    let goods = (0..GOODS).map(|key| (key, [key; 3])).collect();
    let names = (0..40).map(|key| (name(key), Text::from("a good name"))).collect();
    let pages = (0..2).map(|key| (key, [key; 37])).collect();
    at::<Depot>(backend).create(|| DepotInitial { goods, names, pages }).unwrap()
}

fn name(key: u64) -> Text<12> {
    Text::from(format!("name {key}").as_str())
}

type Act = fn(&Region<Depot>, u64) -> Result<(), Error>;

const ACTS: &[(&str, Act)] = &[
    ("get", |depot, key| depot.goods.get(&key).map(drop)),
    ("get a name", |depot, key| depot.names.get(&name(key)).map(drop)),
    ("contains", |depot, key| depot.goods.contains(&(key + 100)).map(drop)),
    ("put", |depot, key| depot.goods.put(&key, [7; 3]).map(drop)),
    ("put a name", |depot, key| depot.names.put(&name(key + 30), "another".into()).map(drop)),
    ("put a page", |depot, key| depot.pages.put(&(key % 3), [7; 37]).map(drop)),
    ("get a page", |depot, key| depot.pages.get(&(key % 3)).map(drop)),
    ("put for a time", |depot, key| depot.goods.put_for(&key, [7; 3], Duration::ZERO).map(drop)),
    ("insert", |depot, key| depot.goods.insert(&(key + 50), [8; 3]).map(drop)),
    ("remove", |depot, key| depot.goods.remove(&key).map(drop)),
    ("remove a name", |depot, key| depot.names.remove(&name(key)).map(drop)),
    ("update", |depot, key| depot.goods.update(&key, |value| *value = value.map(|old| old))),
    ("compare and swap", |depot, key| depot.goods.compare_and_swap(&key, None, [9; 3]).map(drop)),
    ("iterate", |depot, _| {
        assert!(depot.goods.iter().count() <= 12 && depot.names.iter().count() <= 70);
        assert!(depot.goods.len() <= 12 && depot.names.len() <= 70);
        Ok(())
    }),
    ("transaction", |depot, key| {
        depot.transaction(|change| {
            change.map(&depot.goods).remove(&key)?;
            change.map(&depot.goods).put(&(key + 20), [3; 3])?;
            change.map(&depot.names).put(&name(key), "in a transaction".into()).map(drop)
        })
    }),
    ("snapshot", |depot, key| depot.snapshot(|at| at.map(&depot.goods).get(&key)).map(drop)),
    ("wait", |depot, key| depot.goods.wait_while(&key, |_| true, Some(Duration::from_millis(1))).map(drop)),
    ("inspection", |depot, key| {
        let look = Inspection::of(depot.segment())?;
        for part in 0..3 {
            if let Some(value) = look.part(part)? {
                assert!(!value.to_string().is_empty());
            }
        }
        look.get(&format!("goods[{key}]")).map(drop)
    }),
    ("clear", |depot, key| if key == 0 { depot.goods.clear() } else { Ok(()) }),
];

/// Does everything once; what is told is told well, and in time.
fn use_all(depot: &Region<Depot>, numbers: &mut Numbers, clock: &Clock) {
    for _ in 0..ACTS.len() {
        let ((doing, act), key) = (numbers.one_of(ACTS), numbers.below(12) as u64);
        clock.begin();
        if let Err(error) = act(depot, key) {
            assert!(!error.to_string().is_empty());
        }
        clock.end(doing);
    }
}

/// When an act began; 0: none runs.
struct Clock {
    since: Instant,
    began_ns: AtomicU64,
}

impl Clock {
    /// Ends the process when an act does not end: a test that waited for it would tell nothing.
    fn watched() -> &'static Clock {
        let clock: &Clock = Box::leak(Box::new(Clock { since: Instant::now(), began_ns: AtomicU64::new(0) }));
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(100));
                let began = Duration::from_nanos(clock.began_ns.load(Ordering::Relaxed));
                if !began.is_zero() && clock.since.elapsed() > began + 4 * LIMIT {
                    eprintln!("an act has not ended after {:?}", 4 * LIMIT);
                    std::process::abort();
                }
            }
        });
        clock
    }

    fn begin(&self) {
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap();
        self.began_ns.store(now, Ordering::Relaxed);
    }

    fn end(&self, doing: &str) {
        let began = Duration::from_nanos(self.began_ns.swap(0, Ordering::Relaxed));
        let took = self.since.elapsed() - began;
        assert!(took < LIMIT, "{doing} took {took:?}");
    }
}

/// What is scribbled stays for a while: chains without an end, entries of nobody, keys that are others'.
#[test]
fn whatever_a_map_has_become_everything_ends() {
    let clock = Clock::watched();
    on_each(|world: &World| {
        let seed = Numbers::seed();
        eprintln!("COSEG_SEED={seed}, {}", world.name());
        let depot = depot(&world.backend);
        let mut scribbler = Scribbler::new(&depot, seed);
        let mut numbers = Numbers::new(seed ^ 1);
        for _ in 0..if long() { 20_000 } else { 400 } {
            scribbler.heal();
            for _ in 0..=scribbler.numbers.below(6) {
                scribbler.stroke();
            }
            use_all(&depot, &mut numbers, clock);
        }
        scribbler.heal();
        assert_eq!(depot.goods.get(&3).unwrap(), Some([3; 3]), "who is let alone finds all as it was");
        depot.remove().unwrap();
    });
}

/// Each entry that has expired would otherwise be looked for along a chain as long as there are entries.
#[test]
fn a_chain_without_an_end_is_gone_along_once() {
    on_each(|world: &World| {
        let depot = depot(&world.backend);
        for key in 0..12 {
            depot.goods.put_for(&key, [7; 3], Duration::ZERO).unwrap();
        }
        let scribbler = Scribbler::new(&depot, 1);
        let goods = scribbler.maps[0];
        for word in (goods.buckets..goods.links).step_by(8) {
            let is_chain = word % LINE == LINE - 8;
            scribbler.word(word, u64::from(is_chain));
        }
        // Of the first entry and the second.
        scribbler.word(goods.links, 2);
        scribbler.word(goods.links + 8, 1);
        for told in [depot.goods.put(&20, [8; 3]).map(drop), depot.goods.clear()] {
            let told = told.unwrap_err();
            assert_eq!(*told.kind(), ErrorKind::Damaged, "{told}");
        }
        scribbler.heal();
        depot.goods.put(&20, [8; 3]).unwrap();
        depot.remove().unwrap();
    });
}
