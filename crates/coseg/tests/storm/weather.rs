//! Who kills the workers, starts them again and looks after them.

use std::process::Child;
use std::time::{Duration, Instant};

use coseg::Region;
use coseg_crash::SplitMix;

use crate::hall::{Hall, WORKERS, check, hall, opening};
use crate::stage::{On, Stage};

/// Who has done nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a process may take to start on a busy machine.
const START: Duration = Duration::from_secs(10);
/// The latest a worker is killed after it was chosen.
const DELAY_MAX_US: u64 = 1500;

/// One storm.
pub(crate) struct Forecast {
    pub(crate) on: On,
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    /// Whether to tell how it goes.
    pub(crate) told: bool,
}

struct Worker {
    child: Child,
    number: usize,
    /// What it had done when it was last looked at, and when it had last done something.
    beat: u64,
    since: Instant,
    works: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    fn start(number: usize, stage: &Stage, region: &Region<Hall>, random: &mut SplitMix) -> Worker {
        let child = stage.play(&format!("{number} {}", random.number())).spawn().unwrap();
        let beat = region.beats.read(number).unwrap();
        Worker { child, number, beat, since: Instant::now(), works: false }
    }

    /// Whether it has done something since it started; it must go on.
    fn works(&mut self, region: &Region<Hall>) -> bool {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("worker {} ended by itself: {status}", self.number);
        }
        let beat = region.beats.read(self.number).unwrap();
        if beat != self.beat {
            (self.beat, self.since, self.works) = (beat, Instant::now(), true);
        }
        let patience = if self.works { PATIENCE } else { START };
        if self.since.elapsed() > patience {
            for participant in region.participants() {
                eprintln!("{participant}: {participant:?}");
            }
            panic!("worker {} has done nothing for {:?}", self.number, self.since.elapsed());
        }
        self.works
    }
}

/// Lets it come down.
pub(crate) fn storm(forecast: &Forecast) {
    let Some(stage) = Stage::new(forecast.on) else { return };
    let maker = hall(&stage.backend).create(opening).unwrap();
    let region = hall(&stage.backend).observe().unwrap();
    let mut random = SplitMix::new(forecast.seed);
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|number| Worker::start(number, &stage, &region, &mut random)).collect();
    let begun = Instant::now();
    let (mut kills, mut told_at, mut checks) = (0, Instant::now(), 0_u64);
    while kills < forecast.kills {
        let delay = Duration::from_micros(random.below(DELAY_MAX_US));
        let until = Instant::now() + delay;
        while Instant::now() < until {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        let working: Vec<usize> = (0..WORKERS).filter(|&index| workers[index].works(&region)).collect();
        if !working.is_empty() {
            let chosen = working[usize::try_from(random.below(working.len() as u64)).unwrap()];
            workers[chosen].child.kill().unwrap();
            workers[chosen].child.wait().unwrap();
            workers[chosen] = Worker::start(chosen, &stage, &region, &mut random);
            kills += 1;
            if kills % 16 == 0 {
                check(&region).unwrap();
                checks += 1;
            }
        }
        if forecast.told && told_at.elapsed() >= Duration::from_secs(5) {
            told_at = Instant::now();
            tell(forecast, &region, kills, checks, begun);
        }
    }
    drop(workers);
    // Whoever comes after the last death finds all in order.
    maker.pair.update(|pair| *pair = [pair[0] + 1, 3 * (pair[0] + 1)]).unwrap();
    drop(maker.door.lock_timeout(PATIENCE).unwrap());
    drop(maker.files.write_timeout(PATIENCE).unwrap());
    check(&maker).unwrap();
    tell(forecast, &region, kills, checks, begun);
    maker.remove().unwrap();
}

fn tell(forecast: &Forecast, region: &Region<Hall>, kills: u64, checks: u64, begun: Instant) {
    let totals = region.totals.read();
    eprintln!(
        "{:?}: {kills} of {} kills, {} operations, {} moves, {} recoveries, longest operation {} ms, \
         {checks} checks, {:.0?}",
        forecast.on,
        forecast.kills,
        region.operations.get(),
        totals.moves,
        region.recoveries.get(),
        region.slowest_us.read() / 1000,
        begun.elapsed(),
    );
}
