//! Wake-ups that are never lost and cost nothing while nobody sleeps.
//!
//! One word: bit 0 says that somebody may be asleep, the rest counts the times it rang. Who waits sets the bit,
//! puts a barrier on everybody, looks once more, and sleeps unless the word has changed. Who has changed
//! something looks at the bit, and only if it is set clears it, counts on and wakes.
//!
//! The barrier on everybody is dear to one who sleeps often. So he can ask those who ring, by the highest bit, to execute
//! one themselves. Once the barrier on everybody was executed behind that, the bit below says so, and nobody needs another.
//! A ringer who finds nobody asleep for a while clears both, which is right at any time: whoever relied on them has set
//! bit 0 since.
//!
//! Whoever dies between clearing and waking leaves sleepers that were not woken, and so does one of many who was woken alone
//! and dies or is stopped before he looks again: every sleep is bounded.

use std::time::Duration;

use crate::os;
use crate::sync::{AtomicU32, Ordering, fence};

const SOMEBODY: u32 = 1;
/// Those who ring execute a barrier.
const FENCED: u32 = 1 << 31;
/// And all of them know it.
const KNOWN: u32 = 1 << 30;
const COUNT: u32 = KNOWN - 2;
/// How often others may mark the word while it is rung: none who are honest do so more often.
const MARKS: u32 = 100;
/// The longest sleep: a death is noticed within it.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// The longest sleep where no barrier reaches the others, so that a wake-up may be missed.
const LONGEST_DOZE: Duration = Duration::from_millis(1);

/// The word and who looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bell<'a>(pub(crate) &'a AtomicU32);

/// What [`Bell::prepare`] saw; to be handed to [`Bell::sleep`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    seen: u32,
    longest: Duration,
}

/// How many to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    One,
    All,
}

impl Bell<'_> {
    /// Announces a sleep, for a change made by a sequentially consistent read-modify-write. What is to be waited for
    /// must be looked at, by such a load, between this and [`Bell::sleep`].
    pub(crate) fn prepare(self) -> Ticket {
        let seen = self.0.fetch_or(SOMEBODY, Ordering::SeqCst) | SOMEBODY;
        Ticket { seen, longest: LONGEST_SLEEP }
    }

    /// The same for a change made by a plain store.
    pub(crate) fn prepare_for_stores(self) -> Ticket {
        let ticket = self.prepare();
        if os::barrier_before_sleep() { ticket } else { Ticket { longest: LONGEST_DOZE, ..ticket } }
    }

    /// The same for one who sleeps often.
    pub(crate) fn prepare_again(self) -> Ticket {
        let before = self.0.fetch_or(SOMEBODY | FENCED, Ordering::SeqCst);
        let seen = before | SOMEBODY | FENCED;
        fence(Ordering::SeqCst);
        if before & FENCED != 0 && before & KNOWN != 0 {
            return Ticket { seen, longest: LONGEST_SLEEP };
        }
        if !os::barrier_before_sleep() {
            return Ticket { seen, longest: LONGEST_DOZE };
        }
        // Lost to somebody else: then the next who sleeps asks for another barrier.
        let known = seen | KNOWN;
        let is_told = self.0.compare_exchange(seen, known, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        Ticket { seen: if is_told { known } else { seen }, longest: LONGEST_SLEEP }
    }

    /// Sleeps until it rings, `timeout` or a bound has passed. False: nothing was heard.
    pub(crate) fn sleep(self, ticket: Ticket, timeout: Duration) -> bool {
        os::wait(self.0, ticket.seen, timeout.min(ticket.longest))
    }

    /// To be called after a change made by a sequentially consistent read-modify-write.
    #[inline]
    pub(crate) fn ring(self, wake: Wake) {
        if self.0.load(Ordering::SeqCst) & SOMEBODY != 0 {
            self.ring_now(|| wake);
        }
    }

    /// To be called after a change made by a plain store. How many are to be woken is asked once the bell is cleared: who
    /// falls asleep later sees another word, who did before has said what there was to say.
    #[inline]
    pub(crate) fn ring_after_store(self, wake: impl FnOnce() -> Wake) {
        os::barrier_before_look();
        if self.0.load(Ordering::Relaxed) & SOMEBODY != 0 {
            self.ring_now(wake);
        }
    }

    /// The same where those who wait call [`Bell::prepare_again`]. False: they asked for a barrier, and nobody sleeps.
    #[inline]
    pub(crate) fn ring_for_frequent(self) -> bool {
        self.ring_with(os::needs_barrier())
    }

    /// The same for one who has asked [`os::needs_barrier`] before.
    #[inline(always)]
    pub(crate) fn ring_with(self, needs_barrier: bool) -> bool {
        os::barrier_if(needs_barrier);
        self.0.load(Ordering::Relaxed) & (SOMEBODY | FENCED) == 0 || self.ring_behind_barrier()
    }

    #[inline(never)]
    fn ring_behind_barrier(self) -> bool {
        fence(Ordering::SeqCst);
        let is_awaited = self.0.load(Ordering::Relaxed) & SOMEBODY != 0;
        if is_awaited {
            self.ring_now(|| Wake::All);
        }
        is_awaited
    }

    /// Those who ring need execute no barrier until somebody sleeps again.
    pub(crate) fn calm(self) {
        let seen = self.0.load(Ordering::Relaxed);
        // Counted, so that one who has just set it anew is not taken for one whose barrier is over.
        let next = counted(seen) & !(FENCED | KNOWN);
        let _ = self.0.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed);
    }

    #[cold]
    fn ring_now(self, wake: impl FnOnce() -> Wake) {
        let mut seen = self.0.load(Ordering::Relaxed);
        // Those who wait mark it too, and are not asleep yet. Lost to another who rings: then he wakes.
        for _ in 0..MARKS {
            if seen & SOMEBODY == 0 {
                break;
            }
            let next = counted(seen) & !SOMEBODY;
            match self.0.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => {
                    // Behind it, what those have said who put one between that and their sleep.
                    fence(Ordering::SeqCst);
                    let count = match wake() {
                        Wake::One => 1,
                        Wake::All => i32::MAX,
                    };
                    return os::wake(self.0, count);
                }
                Err(now) => seen = now,
            }
        }
        os::wake(self.0, i32::MAX);
    }
}

/// The word, counted on.
fn counted(word: u32) -> u32 {
    word & !COUNT | word.wrapping_add(2) & COUNT
}
