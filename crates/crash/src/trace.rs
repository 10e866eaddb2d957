//! The unkilled trace, and the way back to each of its points in a later run.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::advance::{Gait, Move};
use crate::error::{Error, Result};
use crate::point::{Landmark, Modules, Path, Place, Point};
use crate::seen::{Seen, State};
use crate::sys::{self, Pid, Stop};
use crate::tracee::{Children, Tracee};

/// Where the observed state can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Only in system calls: files, locks, mappings. Observed at every entry and exit.
    OnSyscall,
    /// At any instruction: memory shared with others. Observed after every step.
    Anywhere,
}

/// How one operation is run and observed.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'a> {
    pub(crate) command: &'a dyn Fn() -> Command,
    pub(crate) observe: &'a dyn Fn(&mut Seen) -> io::Result<()>,
    pub(crate) changes: Changes,
    pub(crate) children: Children,
    pub(crate) limit: Duration,
}

/// What the unkilled run of an operation went through.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) points: Vec<Point>,
    /// The state at each point.
    states: Vec<State>,
    /// Every system call stop, in order, and the instructions before it; the last is [`Place::End`].
    pub(crate) stops: Vec<(Place, Option<u64>)>,
    pub(crate) distinct_states: usize,
    /// `None` if not counted.
    pub(crate) instructions: Option<u64>,
    pub(crate) syscalls: u64,
    pub(crate) stepping: Duration,
}

/// A later run at a point of the trace, or why it is not there.
#[derive(Debug)]
pub(crate) enum Reached {
    There { tracee: Box<Tracee>, task: Pid },
    Lost(String),
}

impl Trace {
    /// What was seen at one of its points.
    pub(crate) fn state(&self, point: &Point) -> &State {
        &self.states[point.number]
    }
}

impl Watched<'_> {
    /// Starts the operation's process on this thread's CPU, for runs in which only one of both is awake.
    pub(crate) fn start(&self) -> Result<Tracee> {
        Tracee::start((self.command)(), self.children, self.limit, true)
    }

    /// Starts it on any CPU.
    pub(crate) fn start_beside(&self) -> Result<Tracee> {
        Tracee::start((self.command)(), self.children, self.limit, false)
    }

    /// The state of the world, as `tracee` would leave it now; also after its death.
    pub(crate) fn state(&self, victim: Pid) -> Result<State> {
        let mut seen = Seen::new(victim.unsigned_abs());
        (self.observe)(&mut seen).map_err(Error::io("observe the world"))?;
        Ok(seen.state())
    }

    /// Runs the operation once, unkilled.
    pub(crate) fn trace(&self, gait: Gait) -> Result<Trace> {
        let mut tracee = self.start()?;
        let mut recorder = Recorder::new(self, gait);
        let start = Instant::now();
        recorder.set_out(tracee.root)?;
        recorder.record(&tracee, tracee.root, Place::Begin)?;
        loop {
            match tracee.advance(gait)? {
                Move::Step { task } => recorder.step(&tracee, task)?,
                Move::Entry { task, number } => recorder.stop(&tracee, task, Place::Entry(number))?,
                Move::Exit { task, number } => recorder.stop(&tracee, task, Place::Exit(number))?,
                Move::End { task } => {
                    recorder.stop(&tracee, task, Place::End)?;
                    break;
                }
                Move::Gone => return Err(tracee.ended("during its operation, unkilled")),
            }
        }
        recorder.trace.stepping = start.elapsed();
        match tracee.finish()? {
            Some(Stop::Exited(0)) => Ok(recorder.finish()),
            end => Err(Error::new(format!("the unkilled run failed after its operation ({end:?})"))),
        }
    }

    /// Runs the operation again, up to a point of its trace.
    pub(crate) fn reach(&self, trace: &Trace, point: &Point) -> Result<Reached> {
        let mut tracee = self.start()?;
        let mut task = tracee.root;
        for (expected, _) in trace.stops.iter().take(usize::try_from(point.path.stops).unwrap_or(usize::MAX))
        {
            let Some((at, place)) = next_stop(&mut tracee)? else {
                return Err(tracee.ended("on the way to a point"));
            };
            if place != *expected {
                return Ok(Reached::Lost(format!("came to the {place} instead of the {expected}")));
            }
            task = at;
        }
        let Some(stepped) = self.shorten(&mut tracee, task, point)? else {
            return Ok(Reached::Lost("did not come by a place on the way".to_owned()));
        };
        for step in stepped..point.path.steps {
            match tracee.advance(Gait::Instructions)? {
                Move::Step { task: at } => task = at,
                Move::Gone => return Err(tracee.ended("on the way to a point")),
                other => {
                    let of = point.path.steps;
                    return Ok(Reached::Lost(format!("made step {step} of {of} a system call: {other:?}")));
                }
            }
        }
        let address = place_of(task)?;
        // Addresses may move by whole pages from run to run where personality(2) is not permitted.
        if address & 0xfff != point.address & 0xfff {
            return Ok(Reached::Lost(format!("came to {address:#x} instead of {:#x}", point.address)));
        }
        let expected = trace.state(point);
        let state = self.state(tracee.group)?;
        if state.stable != expected.stable {
            return Ok(Reached::Lost(format!("saw another state: {}", state.difference(expected))));
        }
        Ok(Reached::There { tracee: Box::new(tracee), task })
    }

    /// Takes those of the steps to a point that can be taken at full speed; how many, or none if the run went elsewhere.
    fn shorten(&self, tracee: &mut Tracee, task: Pid, point: &Point) -> Result<Option<u64>> {
        let Some(landmark) = point.path.landmark.filter(|_| self.children == Children::Free) else {
            return Ok(Some(0));
        };
        if place_of(task)? != landmark.from || sys::set_breakpoint(task, Some(landmark.address)).is_err() {
            return Ok(Some(0));
        }
        match tracee.advance(Gait::To(landmark.address))? {
            Move::Step { .. } => {
                sys::set_breakpoint(task, None).map_err(Error::io("take a breakpoint away"))?;
                Ok(Some(landmark.steps))
            }
            _ => Ok(None),
        }
    }
}

/// The address of a stopped task's next instruction.
pub(crate) fn place_of(task: Pid) -> Result<u64> {
    sys::instruction_pointer(task).map_err(Error::io("ask where the victim is"))
}

/// Advances at full speed to the next system call stop; `None` if there is none.
pub(crate) fn next_stop(tracee: &mut Tracee) -> Result<Option<(Pid, Place)>> {
    Ok(match tracee.advance(Gait::Syscalls)? {
        Move::Entry { task, number } => Some((task, Place::Entry(number))),
        Move::Exit { task, number } => Some((task, Place::Exit(number))),
        Move::End { task } => Some((task, Place::End)),
        Move::Step { .. } | Move::Gone => None,
    })
}

/// Builds a [`Trace`] from moves.
struct Recorder<'a> {
    watched: &'a Watched<'a>,
    trace: Trace,
    path: Path,
    /// Where the last stop was, and where the run has been since.
    from: u64,
    visited: HashSet<u64>,
    known: HashMap<u64, usize>,
    last_full: Option<u64>,
    modules: Modules,
    family: Vec<Pid>,
}

impl<'a> Recorder<'a> {
    fn new(watched: &'a Watched<'a>, gait: Gait) -> Self {
        let trace = Trace {
            points: Vec::new(),
            states: Vec::new(),
            stops: Vec::new(),
            distinct_states: 0,
            instructions: (gait == Gait::Instructions).then_some(0),
            syscalls: 0,
            stepping: Duration::ZERO,
        };
        Self {
            watched,
            trace,
            path: Path::default(),
            from: 0,
            visited: HashSet::new(),
            known: HashMap::new(),
            last_full: None,
            modules: Modules::default(),
            family: Vec::new(),
        }
    }

    fn step(&mut self, tracee: &Tracee, task: Pid) -> Result<()> {
        self.count_instruction();
        self.path.steps += 1;
        let address = place_of(task)?;
        if self.visited.insert(address) {
            self.path.landmark = Some(Landmark { from: self.from, address, steps: self.path.steps });
        }
        match self.watched.changes {
            Changes::OnSyscall => Ok(()),
            Changes::Anywhere => self.record(tracee, task, Place::Instruction),
        }
    }

    fn count_instruction(&mut self) {
        self.trace.instructions = self.trace.instructions.map(|count| count + 1);
    }

    /// Begins a way that is told from here.
    fn set_out(&mut self, task: Pid) -> Result<()> {
        self.from = place_of(task)?;
        self.visited = HashSet::from([self.from]);
        Ok(())
    }

    fn stop(&mut self, tracee: &Tracee, task: Pid, place: Place) -> Result<()> {
        if let Place::Entry(_) = place {
            self.count_instruction();
            self.trace.syscalls += 1;
        }
        self.path = Path { stops: self.path.stops + 1, ..Path::default() };
        self.set_out(task)?;
        self.trace.stops.push((place, self.trace.instructions));
        self.record(tracee, task, place)
    }

    /// Makes a point of every place but an instruction that changed nothing or led back to a known state.
    fn record(&mut self, tracee: &Tracee, task: Pid, place: Place) -> Result<()> {
        let state = self.watched.state(tracee.group)?;
        if place == Place::Instruction && self.last_full == Some(state.full) {
            return Ok(());
        }
        self.last_full = Some(state.full);
        let next = self.known.len();
        let (number, is_first) = match self.known.entry(state.full) {
            Slot::Occupied(known) => (*known.get(), false),
            Slot::Vacant(new) => (*new.insert(next), true),
        };
        if place == Place::Instruction && !is_first {
            return Ok(());
        }
        let address = place_of(task)?;
        let process = tracee.task(task).map_or(task, |task| task.process);
        let descendant = self.descendant(task);
        self.trace.points.push(Point {
            number: self.trace.points.len(),
            place,
            instructions: self.trace.instructions,
            state: number,
            is_first_of_state: is_first,
            path: self.path,
            address,
            location: self.modules.locate(process, address),
            descendant,
        });
        self.trace.states.push(state);
        Ok(())
    }

    fn descendant(&mut self, task: Pid) -> usize {
        let known = self.family.iter().position(|id| *id == task);
        known.unwrap_or_else(|| {
            self.family.push(task);
            self.family.len() - 1
        })
    }

    fn finish(mut self) -> Trace {
        self.trace.distinct_states = self.known.len();
        self.trace
    }
}
