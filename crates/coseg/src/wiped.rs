//! Words that are zero again in a child, however it was forked: what is this very process's.
//!
//! A child has one thread, and what its parent's others were in the middle of stays as it was. So nothing here waits for
//! anybody who may not be there: words are had and given back by single steps, and a lock in such a word is free in the
//! child. On Linux before 4.14 the words keep their values.
#![allow(unsafe_code, reason = "a page that a fork wipes, and pages that are kept for ever")]

use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64};
use std::time::Duration;

/// Words at the start of each page that are nobody's: of the first page, the process's lock and what it knows of itself,
/// which the owners of the others, who read them all the time, should not feel.
const RESERVED: usize = 16;
/// How long a thread sleeps before it tries a lock again; two threads seldom meet at one.
const PAUSE: Duration = Duration::from_micros(50);

static PAGES: AtomicPtr<Page> = AtomicPtr::new(ptr::null_mut());

/// A page of words, kept for ever.
struct Page {
    words: &'static [AtomicU32],
    /// What each word is about, which a child knows too.
    topics: Box<[AtomicI32]>,
    /// Whether a fork wipes it.
    is_wiped: bool,
    /// A bit for each word that somebody has.
    taken: Box<[AtomicU64]>,
    next: AtomicPtr<Page>,
}

impl Page {
    fn new() -> &'static Page {
        let count = coseg_sysv::caller::page_size() / 4;
        let wiped = page_wiped_on_fork();
        let is_wiped = wiped.is_some();
        let words = wiped.unwrap_or_else(|| Box::leak((0..count).map(|_| AtomicU32::new(0)).collect()));
        let taken: Box<[AtomicU64]> = (0..count / 64).map(|_| AtomicU64::new(0)).collect();
        taken[0].store((1 << RESERVED) - 1, Relaxed);
        let topics = (0..count).map(|_| AtomicI32::new(0)).collect();
        Box::leak(Box::new(Page { words, topics, is_wiped, taken, next: AtomicPtr::new(ptr::null_mut()) }))
    }

    fn take(&'static self) -> Option<WipedWord> {
        for (of, taken) in self.taken.iter().enumerate() {
            let mut bits = taken.load(Relaxed);
            while bits != u64::MAX {
                let bit = bits.trailing_ones();
                bits = taken.fetch_or(1 << bit, Acquire);
                if bits & 1 << bit == 0 {
                    let index = of * 64 + bit as usize;
                    return Some(WipedWord { word: &self.words[index], page: self, index });
                }
            }
        }
        None
    }
}

/// The page that `link` leads to; one is made and appended if there is none.
fn page_at(link: &AtomicPtr<Page>) -> &'static Page {
    // SAFETY: a page is linked when it is complete, and is never freed.
    if let Some(page) = unsafe { link.load(Acquire).as_ref() } {
        return page;
    }
    let page = Page::new();
    let mut link = link;
    loop {
        match link.compare_exchange(ptr::null_mut(), ptr::from_ref(page).cast_mut(), AcqRel, Acquire) {
            Ok(_) => return page,
            // SAFETY: as above; another thread's page is there, and ours comes after it.
            Err(there) => link = &unsafe { &*there }.next,
        }
    }
}

fn pages() -> impl Iterator<Item = &'static Page> {
    let mut link = &PAGES;
    std::iter::from_fn(move || {
        // SAFETY: as in `page_at`.
        let page = unsafe { link.load(Acquire).as_ref() }?;
        link = &page.next;
        Some(page)
    })
}

/// Whether something is known of this very process: no longer in a child. `None` where a fork wipes nothing.
pub(crate) fn is_known() -> Option<&'static AtomicU32> {
    let page = page_at(&PAGES);
    page.is_wiped.then(|| &page.words[1])
}

/// A word that is zero again in a child.
pub(crate) struct WipedWord {
    word: &'static AtomicU32,
    page: &'static Page,
    index: usize,
}

impl WipedWord {
    /// What a word is about that is a lock.
    pub(crate) const LOCK: i32 = -1;

    /// A word that is zero.
    pub(crate) fn new(topic: i32) -> WipedWord {
        let mut page = page_at(&PAGES);
        let word = loop {
            match page.take() {
                Some(word) => break word,
                None => page = page_at(&page.next),
            }
        };
        word.page.topics[word.index].store(topic, Relaxed);
        word
    }

    pub(crate) fn word(&self) -> &AtomicU32 {
        self.word
    }

    #[inline]
    pub(crate) fn get(&self) -> u32 {
        self.word.load(Relaxed)
    }

    pub(crate) fn set(&self, value: u32) {
        self.word.store(value, Relaxed);
    }

    /// Whether this process has a word of this topic with this value, not zero.
    pub(crate) fn any(topic: i32, value: u32) -> bool {
        pages().any(|page| {
            let mut both = page.words.iter().zip(&page.topics).skip(RESERVED);
            both.any(|(word, its)| word.load(Relaxed) == value && its.load(Relaxed) == topic)
        })
    }

    /// Keeps this process's other threads out.
    pub(crate) fn lock(&self) -> Alone {
        Alone::at(self.word)
    }
}

impl Drop for WipedWord {
    fn drop(&mut self) {
        self.set(0);
        self.page.taken[self.index / 64].fetch_and(!(1 << (self.index % 64)), Release);
    }
}

impl std::fmt::Debug for WipedWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.get())
    }
}

/// Keeps the other threads of this process out until dropped. In a child that is forked meanwhile nobody holds it.
#[must_use = "others are let in when this is dropped"]
pub(crate) struct Alone(&'static AtomicU32);

impl Alone {
    /// Of all that this process does.
    pub(crate) fn in_process() -> Alone {
        Alone::at(&page_at(&PAGES).words[0])
    }

    fn at(word: &'static AtomicU32) -> Alone {
        while word.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            std::thread::sleep(PAUSE);
        }
        Alone(word)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.store(0, Release);
    }
}

fn page_wiped_on_fork() -> Option<&'static [AtomicU32]> {
    let size = coseg_sysv::caller::page_size();
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping where the kernel likes.
    let page = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: advice on the page just mapped.
    if unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: the page just mapped, which nobody knows.
        unsafe { libc::munmap(page, size) };
        return None;
    }
    // SAFETY: mapped for ever, aligned, zeroed, and used as atomics only.
    Some(unsafe { std::slice::from_raw_parts(page.cast(), size / 4) })
}

#[cfg(all(test, not(coseg_model)))]
mod tests {
    use super::*;

    #[test]
    fn words_are_zero_apart_and_found() {
        let mut words: Vec<_> = (0..3000).map(|_| WipedWord::new(-7)).collect();
        for (value, word) in (1..).zip(&words) {
            assert_eq!(word.get(), 0);
            word.set(value);
        }
        assert!((1..).zip(&words).all(|(value, word)| word.get() == value));
        assert!(WipedWord::any(-7, 3000) && !WipedWord::any(-8, 3000) && !WipedWord::any(-7, 3001));
        words.truncate(2999);
        assert!(!WipedWord::any(-7, 3000));
    }

    #[test]
    fn a_child_finds_words_wiped_and_no_lock_held() {
        let word = WipedWord::new(-9);
        word.set(5);
        assert!(crate::identity::Namespaces::of_self().is_some());
        let alone = Alone::in_process();
        // SAFETY: the child uses atomics only, and ends with _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let forgot = is_known().is_none_or(|known| known.load(Relaxed) == 0);
            let wiped = forgot && word.get() == 0 && !WipedWord::any(-9, 5);
            drop(Alone::in_process());
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!wiped)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        drop(alone);
        assert_eq!((status, word.get()), (0, 5));
    }

    #[test]
    fn threads_have_words_of_their_own() {
        let threads: Vec<_> = (1..=4)
            .map(|value| {
                std::thread::spawn(move || {
                    for _ in 0..2000 {
                        let word = WipedWord::new(0);
                        assert_eq!(word.get(), 0);
                        word.set(value);
                        assert_eq!(word.get(), value);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
