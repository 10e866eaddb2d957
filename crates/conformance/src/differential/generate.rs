//! Random sequences: plausible enough to get far, wrong often enough to meet every check.

use super::step::{Sequence, Step, Verb};
use crate::names::*;
use crate::random::Random;

/// Pages of the arena in which attaches meet.
pub const ARENA_PAGES: usize = 12;
const USERS: [i64; 3] = [0, 1000, 1001];
const ACTORS_MAX: usize = 4;

/// What sequences are to be like.
#[derive(Clone, Copy, Debug)]
pub struct Taste {
    /// Fewest and most steps.
    pub steps: (usize, usize),
    /// One sequence in so many waits for the clock, which takes a second.
    pub tick_one_in: usize,
}

struct Writer<'a> {
    random: &'a mut Random,
    alive: Vec<bool>,
    shared: bool,
    ticks: bool,
}

/// A sequence.
pub fn sequence(random: &mut Random, taste: Taste) -> Sequence {
    let shared = random.one_in(4);
    let ticks = random.one_in(taste.tick_one_in);
    let length = taste.steps.0 + random.below(taste.steps.1 - taste.steps.0 + 1);
    let mut writer = Writer { random, alive: vec![true], shared, ticks };
    let mut steps = Vec::with_capacity(length);
    while steps.len() < length {
        steps.push(writer.step());
    }
    Sequence { shared, steps }
}

impl Writer<'_> {
    fn step(&mut self) -> Step {
        let living: Vec<usize> = (0..self.alive.len()).filter(|&n| self.alive[n]).collect();
        if living.is_empty() {
            self.alive.push(true);
            return Step { who: 0, verb: Verb::Spawn, args: Vec::new() };
        }
        let who = self.random.pick(&living);
        let crowded = living.len() >= ACTORS_MAX;
        let (verb, args) = self.action(crowded);
        match verb {
            Verb::Fork | Verb::Spawn => self.alive.push(true),
            Verb::Exit | Verb::Kill => self.alive[who] = false,
            _ => {}
        }
        Step { who, verb, args }
    }

    fn action(&mut self, crowded: bool) -> (Verb, Vec<i64>) {
        match self.random.below(100) {
            0..18 => (Verb::Get, self.get()),
            18..38 => (Verb::At, self.at()),
            38..50 => (Verb::Dt, vec![self.place()]),
            50..54 => (Verb::Stat, vec![self.segment(), i64::from(self.random.pick(&[IPC_STAT, SHM_STAT]))]),
            54..58 => (Verb::Set, self.set()),
            58..65 => (Verb::Ctl, vec![self.segment(), i64::from(IPC_RMID), self.buffer()]),
            65..68 => (Verb::Ctl, self.ctl()),
            68 => (Verb::Info, Vec::new()),
            69..73 => (Verb::Peek, vec![self.place()]),
            73..78 => (Verb::Poke, vec![self.place(), self.random.below(256) as i64]),
            78..81 => (Verb::Munmap, self.range()),
            81 => (Verb::Mmap, self.range()),
            82 => (Verb::Mprotect, self.with_range(&[PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE])),
            83 => (Verb::Mremap, self.mremap()),
            84 => (Verb::Madvise, self.with_range(&[MADV_DONTNEED, MADV_REMOVE, MADV_FREE])),
            85..91 if !crowded => (Verb::Fork, Vec::new()),
            91..93 if !crowded => (Verb::Spawn, Vec::new()),
            93 => (Verb::Exec, Vec::new()),
            94..96 => (Verb::Exit, vec![self.random.below(2) as i64]),
            96..98 => (Verb::Kill, Vec::new()),
            98 if self.shared => (Verb::Setuid, vec![self.random.pick(&USERS[1..])]),
            98 => (Verb::Umask, vec![self.random.pick(&[0, 0o77])]),
            _ if self.ticks => (Verb::Tick, Vec::new()),
            _ => (Verb::Stat, vec![self.segment(), i64::from(SHM_STAT_ANY)]),
        }
    }

    fn get(&mut self) -> Vec<i64> {
        let key = self.random.pick(&[0, 1, 1, 2, 2, 3, -4]);
        let size = self.random.pick(&[0, 1, 100, 4096, 4096, 4097, 8192, 8192, 12288, 20480]);
        let how = self.random.pick(&[
            IPC_CREAT,
            IPC_CREAT,
            IPC_CREAT,
            IPC_CREAT | IPC_EXCL,
            0,
            IPC_EXCL,
            IPC_CREAT | SHM_NORESERVE,
            IPC_CREAT | (1 << 20),
        ]);
        vec![key, size, i64::from(how) | self.mode()]
    }

    fn mode(&mut self) -> i64 {
        self.random.pick(&[0o600, 0o600, 0o666, 0o666, 0o640, 0o604, 0o400, 0o444, 0o200, 0o066, 0, 0o777])
    }

    /// A segment by order of appearance; rarely one by a stale id, or a number that is no id.
    fn segment(&mut self) -> i64 {
        match self.random.below(20) {
            0 => 100 + self.random.below(3) as i64,
            1 => self.random.pick(&[-1, -32768, 1_000_003]),
            _ => self.random.below(5) as i64,
        }
    }

    fn at(&mut self) -> Vec<i64> {
        let place = match self.random.below(12) {
            0..4 => 0,
            4 => 1 + self.random.below(ARENA_PAGES * 4096) as i64,
            _ => 1 + self.random.below(ARENA_PAGES) as i64 * 4096,
        };
        let flags = self.random.pick(&[
            0,
            0,
            0,
            0,
            0,
            SHM_RDONLY,
            SHM_RDONLY,
            SHM_RND,
            SHM_REMAP,
            SHM_REMAP | SHM_RND,
            SHM_EXEC,
            1 << 22,
        ]);
        vec![self.segment(), place, i64::from(flags)]
    }

    fn place(&mut self) -> i64 {
        match self.random.below(10) {
            0..4 => -1 - self.random.below(3) as i64,
            4 => 1 + self.random.below(ARENA_PAGES * 4096) as i64,
            _ => 1 + self.random.below(ARENA_PAGES) as i64 * 4096,
        }
    }

    fn set(&mut self) -> Vec<i64> {
        let mut id = || if self.shared { self.random.pick(&[0, 1000, 1001]) } else { 0 };
        let [uid, gid] = [id(), id()];
        let uid = if self.random.one_in(20) { -1 } else { uid };
        vec![self.segment(), uid, gid, self.mode()]
    }

    fn buffer(&mut self) -> i64 {
        self.random.pick(&[0, 1, 2, 2, 2, 2])
    }

    fn ctl(&mut self) -> Vec<i64> {
        let command = self.random.pick(&[
            SHM_LOCK, SHM_LOCK, SHM_UNLOCK, SHM_UNLOCK, IPC_STAT, IPC_SET, SHM_STAT, SHM_INFO, IPC_INFO, 99,
            -1,
        ]);
        // A good buffer for IPC_SET is the business of its own verb.
        let buffer = if command == IPC_SET { self.random.pick(&[0, 1]) } else { self.buffer() };
        vec![self.segment(), i64::from(command), buffer]
    }

    fn range(&mut self) -> Vec<i64> {
        vec![self.random.below(ARENA_PAGES) as i64, 1 + self.random.below(3) as i64]
    }

    fn with_range(&mut self, last: &[i32]) -> Vec<i64> {
        let mut args = self.range();
        args.push(i64::from(self.random.pick(last)));
        args
    }

    fn mremap(&mut self) -> Vec<i64> {
        let mut args = self.range();
        args.push(1 + self.random.below(4) as i64);
        args.push(if self.random.one_in(2) { -1 } else { self.random.below(ARENA_PAGES) as i64 });
        args
    }
}
