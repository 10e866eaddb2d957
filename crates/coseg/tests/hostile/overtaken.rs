//! A peer who is always faster than whoever reads: nothing to be read is ever whole, nor does it stay.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use coseg::schema::Type;
use coseg::{Cell, Error, Region, Shared, Table};
use coseg_sysv::Attachment;

use crate::forger::{KEY, Place};

const LOCK: usize = 192;
const LOG: usize = 256;
const GENERATION_OF_SLOT_0: usize = 384 + 8;
/// How long each test goes on.
const SPAN: Duration = Duration::from_millis(300);

/// Large enough that a copy of it takes longer than a write of a word.
#[derive(Region)]
struct Wide {
    cell: Cell<[u64; 400]>,
    rows: Table<u64, 4096>,
}

/// Calls `test` while others write `words(0)`, `words(1)` and so on over the word at `at`.
fn hammered(region: &Region<Wide>, at: usize, words: impl Fn(u64) -> u64 + Sync, test: impl FnOnce()) {
    let memory = region.segment().attach().unwrap();
    let (enough, begun) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Several, so that on a busy machine one of them runs when the reader does.
        for _ in 0..4 {
            scope.spawn(|| {
                for count in 0.. {
                    memory.write(at, &words(count).to_ne_bytes()).unwrap();
                    begun.store(true, Ordering::Relaxed);
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        // However the test ends, so does the thread.
        let _end = Ending(&enough);
        while !begun.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        test();
    });
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn region(place: &Place) -> Region<Wide> {
    Region::<Wide>::at(KEY).backend(&place.backend).create(WideInitial::default).unwrap()
}

/// Says that the participant in slot 0, who lives, holds the region's lock.
fn hold(memory: &Attachment) {
    let mut generation = [0; 4];
    memory.read(GENERATION_OF_SLOT_0, &mut generation).unwrap();
    memory.write(LOCK, &(1 | u32::from_ne_bytes(generation) << 12).to_ne_bytes()).unwrap();
}

/// A number whose every copy is overtaken: while it is made, the peer writes four versions.
#[derive(Clone, Copy)]
struct Slow(u64);

static PEER: OnceLock<(Attachment, usize)> = OnceLock::new();

impl Shared for Slow {
    fn describe() -> Type {
        u64::describe()
    }

    fn store(&self, bytes: &mut [u8]) {
        self.0.store(bytes);
    }

    fn load(bytes: &[u8]) -> Slow {
        static VERSION: AtomicU64 = AtomicU64::new(4);
        if let Some((memory, version_at)) = PEER.get() {
            let version = VERSION.fetch_add(4, Ordering::Relaxed);
            memory.write(*version_at, &version.to_ne_bytes()).unwrap();
        }
        Slow(u64::load(bytes))
    }
}

#[test]
fn who_waits_for_a_value_gives_up_in_time() {
    let place = Place::new();
    let region = Region::<Slow>::at(KEY).backend(&place.backend).create(|| Slow(1)).unwrap();
    let memory = region.segment().attach().unwrap();
    hold(&memory);
    PEER.set((memory, region.schema().parts[0].offset)).unwrap();
    let (tell, told) = mpsc::channel();
    // Not joined if it never ends.
    std::thread::spawn(move || {
        let waited = region.wait_while(|_| true, Some(Duration::from_millis(20)));
        tell.send(waited.map(|slow| slow.0)).unwrap();
    });
    let error = told.recv_timeout(Duration::from_secs(5)).expect("it ends in time").unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn a_log_that_never_stands_still_is_an_error() {
    let place = Place::new();
    let region = region(&place);
    hammered(
        &region,
        LOG,
        |count| count << 16 | 0xffff,
        || {
            let since = Instant::now();
            while since.elapsed() < SPAN {
                let row = region.rows.row(5).unwrap();
                let seen = region.snapshot(|at| Ok::<_, Error>((at.get(&region.cell)?[0], at.get(&row)?)));
                if let Err(error) = seen {
                    assert!(!error.to_string().is_empty());
                }
            }
        },
    );
}

#[test]
fn one_dead_owner_after_the_other_keeps_nobody_beyond_his_time() {
    let place = Place::new();
    let region = region(&place);
    let look = coseg::Inspection::join(region.segment()).unwrap();
    // Of slots that nobody has taken: dead, whoever asks.
    hammered(
        &region,
        LOCK,
        |count| 10 + count % 40,
        || {
            let since = Instant::now();
            while since.elapsed() < SPAN {
                let began = Instant::now();
                let _ = look.set("cell[3]", "1", Duration::from_millis(5));
                assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
            }
        },
    );
}
