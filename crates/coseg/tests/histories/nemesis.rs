//! One history: the workers, and who kills, stops and continues them.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use coseg::{Broadcast, DropOldest, Receiver};
use coseg_crash::{Scratch, SplitMix};
use rustix::process::{Pid, Signal, kill_process};

use crate::hall::{Content, Letter, TICKS, WORKERS, hall};
use crate::record::{Log, Record, now_ns};
use crate::stage::{On, Stage};
use crate::worker::sends_film;

/// Where the records are.
pub(crate) const RECORDS: &str = "COSEG_TEST_RECORDS";
/// How long a process may take to start, or to see that it is over: on a busy machine it may get no processor for long.
/// Whoever is late in an operation is found by his records.
const PATIENCE: Duration = Duration::from_secs(120);
/// Acts of the nemesis in one history.
const ACTS: usize = 8;
/// Time between two.
const PAUSE_MAX_US: u64 = 8000;
/// How long somebody is stopped.
const STOP_MAX_US: u64 = 30_000;

/// What the nemesis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Kill(usize),
    Stop(usize),
    Continue(usize),
}

/// When it does what, in microseconds, and what each life begins with: all of it from the seed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    acts: Vec<(u64, Act)>,
    seeds: Vec<u64>,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut random = SplitMix::new(seed);
        let (mut acts, mut at) = (Vec::new(), 0);
        for _ in 0..ACTS {
            at += random.below(PAUSE_MAX_US);
            let worker = usize::try_from(random.below(WORKERS as u64)).unwrap();
            if random.below(5) < 3 {
                acts.push((at, Act::Kill(worker)));
            } else {
                acts.push((at, Act::Stop(worker)));
                acts.push((at + random.below(STOP_MAX_US), Act::Continue(worker)));
            }
        }
        acts.sort_by_key(|(at, _)| *at);
        Plan { acts, seeds: (0..WORKERS + ACTS).map(|_| random.number()).collect() }
    }
}

/// One process, from start to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) worker: usize,
    /// When it was killed.
    pub(crate) death: Option<u64>,
    /// From when to when it was stopped.
    pub(crate) stops: Vec<(u64, u64)>,
}

/// All that happened.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) begin: u64,
    pub(crate) lives: Vec<Life>,
    /// In the order of their beginnings.
    pub(crate) records: Vec<Record>,
    /// How often each job was done, and how often any.
    pub(crate) done: HashMap<u64, u64>,
    pub(crate) done_count: u64,
    /// What one who was there all the time received of the ticks, and how many it was told it missed.
    pub(crate) ticks: (Vec<u64>, u64),
    /// What nobody can check any more: processes that failed or did not end.
    pub(crate) failures: Vec<String>,
}

struct Worker {
    child: Child,
    life: usize,
    stopped: Option<u64>,
    ended: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Nemesis<'a> {
    stage: &'a Stage,
    records: &'a Scratch,
    log: Log,
    plan: Plan,
    lives: Vec<Life>,
    workers: Vec<Worker>,
    failures: Vec<String>,
}

/// Lets a history happen. `None`: not on this machine.
pub(crate) fn happen(on: On, seed: u64) -> Option<History> {
    let stage = Stage::new(on)?;
    let records = Scratch::within("/dev/shm".as_ref()).unwrap();
    let region = hall(&stage.backend).create(Default::default).unwrap();
    let mut ticks = region.ticks.receiver().unwrap();
    let begin = now_ns();
    let plan = Plan::of(seed);
    // The workers', and the last one's.
    let log = Log::create(records.path(), plan.seeds.len() + 1);
    let (lives, workers, failures) = (Vec::new(), Vec::new(), Vec::new());
    let mut nemesis = Nemesis { stage: &stage, records: &records, log, plan, lives, workers, failures };
    for worker in 0..WORKERS {
        let started = nemesis.start(worker);
        nemesis.workers.push(started);
    }
    nemesis.act();
    nemesis.end(|| region.film.close().unwrap());
    nemesis.drain();
    let ticks = all_ticks(&mut ticks);
    let Nemesis { log, lives, failures, .. } = nemesis;
    let mut all: Vec<Record> = (0..lives.len()).flat_map(|life| log.records(life)).collect();
    all.sort_by_key(|record| record.begin);
    log.remove();
    let (done, done_count) = (region.done.iter().collect(), region.done_count.read());
    region.remove().unwrap();
    Some(History { begin, lives, records: all, done, done_count, ticks, failures })
}

fn all_ticks(receiver: &mut Receiver<Letter, Broadcast<TICKS, DropOldest>>) -> (Vec<u64>, u64) {
    let received = receiver.try_iter().map(|tick| tick.checked().unwrap_or(0)).collect();
    (received, receiver.missed_count())
}

impl Nemesis<'_> {
    fn start(&mut self, worker: usize) -> Worker {
        let life = self.lives.len();
        self.lives.push(Life { worker, ..Life::default() });
        let role = format!("{worker} {life} {}", self.plan.seeds.get(life).unwrap_or(&0));
        let child = self.stage.play(&role).env(RECORDS, self.records.path()).spawn().unwrap();
        Worker { child, life, stopped: None, ended: false }
    }

    fn act(&mut self) {
        for worker in 0..WORKERS {
            self.await_work(worker);
        }
        let begun = Instant::now();
        for (at, act) in self.plan.acts.clone() {
            sleep(Duration::from_micros(at).saturating_sub(begun.elapsed()));
            match act {
                Act::Kill(worker) => self.kill(worker),
                Act::Stop(worker) => self.stop(worker),
                Act::Continue(worker) => self.proceed(worker),
            }
        }
        for worker in 0..WORKERS {
            self.await_work(worker);
        }
        self.log.end();
    }

    /// Waits until a worker works: killed as it starts, it has done nothing that could be wrong.
    fn await_work(&mut self, worker: usize) {
        let since = Instant::now();
        while !self.log.has_begun(self.workers[worker].life) && !self.has_ended(worker) {
            // It may wait for one who is stopped with a lock in his hands.
            if since.elapsed() > Duration::from_micros(STOP_MAX_US) {
                (0..self.workers.len()).for_each(|stopped| self.proceed(stopped));
            }
            if since.elapsed() > PATIENCE {
                return self.failures.push(format!("worker {worker} did not begin to work"));
            }
            sleep(Duration::from_micros(200));
        }
    }

    fn has_ended(&mut self, worker: usize) -> bool {
        let Worker { child, life, ended, .. } = &mut self.workers[worker];
        if !*ended && let Some(status) = child.try_wait().unwrap() {
            *ended = true;
            if !status.success() {
                self.failures.push(format!("worker {worker}, life {life}, failed: {status}"));
            }
        }
        *ended
    }

    fn pid(&self, worker: usize) -> Pid {
        Pid::from_child(&self.workers[worker].child)
    }

    fn kill(&mut self, worker: usize) {
        self.await_work(worker);
        if self.has_ended(worker) {
            return;
        }
        let own = &mut self.workers[worker];
        own.child.kill().unwrap();
        let status = own.child.wait().unwrap();
        let now = now_ns();
        let life = &mut self.lives[own.life];
        life.stops.extend(own.stopped.take().map(|since| (since, now)));
        own.ended = true;
        match status.signal() {
            Some(_) => life.death = Some(now),
            None if status.success() => {}
            None => self.failures.push(format!("worker {worker}, life {}, failed: {status}", own.life)),
        }
        self.workers[worker] = self.start(worker);
    }

    fn stop(&mut self, worker: usize) {
        self.await_work(worker);
        if !self.has_ended(worker) && self.workers[worker].stopped.is_none() {
            self.workers[worker].stopped = Some(now_ns());
            kill_process(self.pid(worker), Signal::STOP).unwrap();
        }
    }

    fn proceed(&mut self, worker: usize) {
        if let Some(since) = self.workers[worker].stopped.take() {
            kill_process(self.pid(worker), Signal::CONT).unwrap();
            self.lives[self.workers[worker].life].stops.push((since, now_ns()));
        }
    }

    /// Waits for all to end; `no_more_films` once nobody sends any.
    fn end(&mut self, no_more_films: impl Fn()) {
        let since = Instant::now();
        let mut films = true;
        loop {
            let living: Vec<usize> = (0..WORKERS).filter(|&worker| !self.has_ended(worker)).collect();
            if films && !living.iter().any(|&worker| sends_film(worker)) {
                films = false;
                no_more_films();
            }
            if living.is_empty() {
                return;
            }
            if since.elapsed() > PATIENCE {
                for worker in living {
                    let fact = self.hanging(&format!("worker {worker}"), &self.workers[worker]);
                    self.failures.push(fact);
                    let _ = self.workers[worker].child.kill();
                }
                return;
            }
            sleep(Duration::from_micros(500));
        }
    }

    /// What a process was last seen to do.
    fn hanging(&self, who: &str, worker: &Worker) -> String {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", worker.child.id())).unwrap_or_default();
        let state = status.lines().find(|line| line.starts_with("State")).unwrap_or("gone").to_owned();
        format!("{who} hangs, {state}: {:?}", self.log.records(worker.life).pop())
    }

    fn drain(&mut self) {
        if !self.failures.is_empty() {
            return;
        }
        let mut last = self.start(WORKERS);
        let since = Instant::now();
        let status = loop {
            match last.child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if since.elapsed() > PATIENCE => break None,
                None => sleep(Duration::from_micros(500)),
            }
        };
        match status {
            Some(status) if status.success() => {}
            Some(status) => self.failures.push(format!("the last process failed: {status}")),
            None => self.failures.push(self.hanging("the last process", &last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn the_same_seed_is_the_same_plan() {
        assert_eq!(Plan::of(7), Plan::of(7));
        assert_ne!(Plan::of(7), Plan::of(8));
    }
}
