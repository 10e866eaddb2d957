//! Two counters in a shared page that every reader must find equal, with a redo log in the same page.
#![allow(unsafe_code, reason = "maps a file; std has no mmap")]

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use coseg_crash::mark;

pub(crate) const PAGE_BYTES: usize = 4096;
pub(crate) const NEW: u64 = 7;

pub(crate) fn prepare(world: &Path) -> io::Result<()> {
    fs::write(world.join("page"), [0; PAGE_BYTES])
}

/// The words of a mapped page.
pub(crate) struct Page {
    words: &'static [AtomicU64; PAGE_BYTES / 8],
}

const A: usize = 0;
const B: usize = 8;
const COMMITTED: usize = 16;
const VALUE: usize = 17;

impl Page {
    pub(crate) fn map(world: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(world.join("page")).unwrap();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping replaces none.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGE_BYTES,
                access,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        // SAFETY: the page is mapped, aligned, as large as the array, and never unmapped; atomics may change.
        Self { words: unsafe { &*at.cast() } }
    }

    fn load(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::SeqCst)
    }

    fn store(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::SeqCst);
    }

    pub(crate) fn agreed(&self) -> Result<u64, String> {
        match (self.load(A), self.load(B)) {
            (a, b) if a == b => Ok(a),
            (a, b) => Err(format!("a is {a}, b is {b}")),
        }
    }

    fn update(&self, value: u64) {
        self.store(VALUE, value);
        self.store(COMMITTED, 1);
        self.recover(false);
    }

    fn recover(&self, clears_early: bool) {
        if self.load(COMMITTED) == 0 {
            return;
        }
        let value = self.load(VALUE);
        if clears_early {
            self.store(COMMITTED, 0);
        }
        self.apply(value);
        self.store(COMMITTED, 0);
    }

    fn apply(&self, value: u64) {
        self.store(A, value);
        self.store(B, value);
    }
}

pub(crate) fn play(role: &str, world: &Path) {
    let page = Page::map(world);
    mark::begin();
    match role {
        "update" => page.update(NEW),
        "update without log" => page.apply(NEW),
        "recover" => page.recover(false),
        "recover, clearing early" => page.recover(true),
        "count" => (0..50_000).for_each(|value| page.store(A, std::hint::black_box(value) & 1)),
        role => panic!("{role}?"),
    }
    mark::end();
}
