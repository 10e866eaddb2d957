//! A contender's two sides, on two CPUs: processes of their own, so that whatever one does, others go on.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::ends::{Ends, Side};
use super::player::{Done, Player, Playing};
use super::recorder::Recorder;
use crate::table::Latency;
use crate::turn::{Control, End, Tally, Turn};
use crate::{Outcome, calls, place};

/// What a contender made ready for both sides.
pub(super) enum Prepared {
    /// Each process opens its own side, the second when the first has done so.
    Processes(Box<dyn FnOnce(Side) -> Outcome<Box<dyn Player>>>),
    /// Two threads of one process.
    Threads(Box<dyn Player>, Box<dyn Player + Send>),
}

impl Prepared {
    pub(super) fn processes<E: Ends<N> + 'static, const N: usize>(
        course: Course,
        open: impl FnOnce(Side) -> Outcome<E> + 'static,
    ) -> Prepared {
        Prepared::Processes(Box::new(move |side| Ok(Box::new(Playing::new(open(side)?, course)))))
    }

    pub(super) fn threads<E: Ends<N> + Send + 'static, const N: usize>(
        course: Course,
        [first, second]: [E; 2],
    ) -> Prepared {
        Prepared::Threads(Box::new(Playing::new(first, course)), Box::new(Playing::new(second, course)))
    }
}

/// What the first side is told.
#[derive(Serialize, Deserialize)]
enum Order {
    Turn {
        length: Duration,
        /// Nothing is recorded of it.
        warm_up: bool,
    },
    /// To say how long single round trips took.
    Latency,
}

/// What both sides did in one turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Both {
    pub(super) first: Tally,
    pub(super) second: Tally,
}

/// Who takes longer than that for a turn, or to get ready, is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both sides, as this process reaches them.
pub(super) struct Pair {
    orders: UnixStream,
    answers: BufReader<UnixStream>,
    first: Pid,
}

impl Pair {
    /// Starts the first side, which starts the second. Both end when this process does.
    pub(super) fn start(prepare: impl FnOnce() -> Outcome<Prepared>, cpus: [usize; 2]) -> Outcome<Pair> {
        let (orders, theirs) = UnixStream::pair()?;
        let Some(first) = calls::fork()? else {
            drop(orders);
            let done = first_side(&theirs, prepare, cpus);
            if let Err(error) = &done {
                let _ = answer(&theirs, &Err::<(), _>(error.to_string()));
            }
            std::process::exit(i32::from(done.is_err()));
        };
        drop(theirs);
        orders.set_read_timeout(Some(PATIENCE))?;
        let answers = BufReader::new(orders.try_clone()?);
        let mut pair = Pair { orders, answers, first };
        pair.answer::<()>()?;
        Ok(pair)
    }

    pub(super) fn turn(&mut self, length: Duration, warm_up: bool) -> Outcome<Both> {
        answer(&self.orders, &Order::Turn { length, warm_up })?;
        self.answer()
    }

    /// How long single round trips took.
    pub(super) fn latency(&mut self) -> Outcome<Option<Latency>> {
        answer(&self.orders, &Order::Latency)?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Outcome<T> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("one of the two processes ended".into()),
            Ok(_) => Ok(serde_json::from_str::<Result<T, String>>(&line)??),
            Err(_) => Err(format!("no answer within {PATIENCE:?}").into()),
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // One that is well ends by itself now, and removes what it made.
        let _ = self.orders.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = self.orders.set_read_timeout(Some(Duration::from_secs(1)));
        if self.answers.read_to_end(&mut rest).is_err() {
            let _ = kill_process(self.first, Signal::KILL);
        }
        let _ = waitpid(Some(self.first), WaitOptions::empty());
    }
}

/// What both sides see.
#[derive(Default)]
#[repr(C)]
pub(super) struct Page {
    control: Control,
    report: Report,
}

/// What the second side did.
#[derive(Default)]
#[repr(C, align(64))]
struct Report {
    count: AtomicU64,
    elapsed_ns: AtomicU64,
    balance: AtomicU64,
    is_there: AtomicU32,
}

impl Report {
    fn clear(&self) {
        self.is_there.store(0, Ordering::SeqCst);
    }

    fn write(&self, done: &Done) {
        self.count.store(done.tally.count, Ordering::Relaxed);
        self.elapsed_ns.store(done.tally.elapsed_ns, Ordering::Relaxed);
        self.balance.store(done.balance, Ordering::Relaxed);
        self.is_there.store(1, Ordering::Release);
    }

    /// Waits for it.
    fn read(&self) -> Done {
        while self.is_there.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let tally = Tally { count: read(&self.count), elapsed_ns: read(&self.elapsed_ns), torn_count: 0 };
        Done { tally, balance: read(&self.balance) }
    }
}

fn answer(mut stream: &UnixStream, answer: &impl Serialize) -> Outcome {
    stream.write_all((serde_json::to_string(answer)? + "\n").as_bytes())?;
    Ok(())
}

/// The first side's life, and the beginning of the second's.
fn first_side(stream: &UnixStream, prepare: impl FnOnce() -> Outcome<Prepared>, cpus: [usize; 2]) -> Outcome {
    let page: &Page = calls::shared()?;
    let (starts, theirs) = UnixStream::pair()?;
    match prepare()? {
        Prepared::Processes(open) => {
            let Some(second) = calls::fork()? else {
                drop(starts);
                let done = second_side(stream, &theirs, page, cpus[1], move || open(Side::Second));
                std::process::exit(i32::from(done.is_err()));
            };
            drop(theirs);
            place::pin(Some(cpus[0]))?;
            lead(stream, &starts, page, &mut *open(Side::First)?)?;
            drop(starts);
            waitpid(Some(second), WaitOptions::empty())?;
            Ok(())
        }
        Prepared::Threads(mut player, partner) => std::thread::scope(|scope| {
            let second =
                || second_side(stream, &theirs, page, cpus[1], move || Ok(partner as Box<dyn Player>));
            scope.spawn(move || second().is_ok());
            place::pin(Some(cpus[0]))?;
            let done = lead(stream, &starts, page, &mut *player);
            if let Err(error) = &done {
                // Before the partner is waited for, who may be waiting for a message.
                answer(stream, &Err::<(), _>(error.to_string()))?;
            }
            drop(starts);
            done
        }),
    }
}

/// Turns, until there are no more.
fn lead(stream: &UnixStream, mut starts: &UnixStream, page: &Page, player: &mut dyn Player) -> Outcome {
    let mut recorder = Recorder::new()?;
    starts.write_all(&[0])?;
    answer(stream, &Ok::<_, String>(()))?;
    for order in BufReader::new(stream.try_clone()?).lines() {
        match serde_json::from_str(&order?)? {
            Order::Latency => answer(stream, &Ok::<_, String>(recorder.latency()))?,
            Order::Turn { length, warm_up } => {
                page.control.reset();
                page.report.clear();
                starts.write_all(&[0])?;
                let turn = Turn { control: &page.control, end: End::Leading(length) };
                let first = player.lead(&turn, &mut recorder)?;
                let second = page.report.read();
                if first.balance.wrapping_add(second.balance) != 0 {
                    return Err("what was received is not what was sent".into());
                }
                if warm_up {
                    recorder.clear();
                }
                answer(stream, &Ok::<_, String>(Both { first: first.tally, second: second.tally }))?;
            }
        }
    }
    Ok(())
}

/// The second side's life. It tells its own errors: the first may be waiting for a message.
fn second_side(
    stream: &UnixStream,
    mut starts: &UnixStream,
    page: &Page,
    cpu: usize,
    open: impl FnOnce() -> Outcome<Box<dyn Player>>,
) -> Outcome {
    let life = || -> Outcome {
        let mut start = [0];
        place::pin(Some(cpu))?;
        starts.read_exact(&mut start)?;
        let mut player = open()?;
        while starts.read(&mut start)? > 0 {
            let turn = Turn { control: &page.control, end: End::Following };
            page.report.write(&player.follow(&turn)?);
        }
        Ok(())
    };
    let done = life();
    if let Err(error) = &done {
        answer(stream, &Err::<(), _>(format!("the second side: {error}")))?;
    }
    done
}
