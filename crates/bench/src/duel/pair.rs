//! Two processes on two CPUs: this one, and a partner that was forked from it.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::contender::{Contender, Ground, Who};
use super::job::Job;
use crate::turn::{End, Tally, Turn};
use crate::{Outcome, calls, place};

/// What the partner is told to do.
#[derive(Serialize, Deserialize)]
struct Order {
    who: Who,
    job: Job,
}

/// What both did in one turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Both {
    pub(super) own: Tally,
    /// Nothing, if there was nothing to do.
    pub(super) partner: Tally,
}

impl Both {
    pub(super) fn torn_count(&self) -> u64 {
        self.own.torn_count + self.partner.torn_count
    }
}

/// This process, and how to reach the other.
pub(super) struct Pair {
    team: Team,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
}

/// The contenders as one process has them.
struct Team {
    ground: Ground,
    members: HashMap<Who, Result<Box<dyn Contender>, String>>,
}

impl Team {
    fn member(&mut self, who: Who) -> Outcome<&mut Box<dyn Contender>> {
        let member = match self.members.entry(who) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(self.ground.open(who).map_err(|error| error.to_string())),
        };
        member.as_mut().map_err(|error| error.clone().into())
    }
}

impl Pair {
    /// Starts the partner, which ends when this process does. To be called before anything is opened.
    pub(super) fn start(ground: Ground, cpus: [usize; 2]) -> Outcome<Pair> {
        let (orders, theirs) = UnixStream::pair()?;
        if calls::fork()?.is_none() {
            drop(orders);
            let done = place::pin(Some(cpus[1])).and_then(|_| follow(ground, &theirs));
            if let Err(error) = &done {
                eprintln!("coseg-bench: the second process: {error}");
            }
            std::process::exit(i32::from(done.is_err()));
        }
        place::pin(Some(cpus[0]))?;
        let answers = BufReader::new(orders.try_clone()?);
        Ok(Pair { team: Team { ground, members: HashMap::new() }, orders, answers })
    }

    /// One turn: this process does one job, the partner another or none.
    pub(super) fn turn(
        &mut self,
        who: Who,
        own: Job,
        partner: Option<Job>,
        length: Duration,
    ) -> Outcome<Both> {
        let control = &self.team.ground.page.control;
        let member = self.team.member(who)?;
        let Some(job) = partner else {
            let own = member.work(own, &Turn { control, end: End::Alone(length) })?;
            return Ok(Both { own, partner: Tally::default() });
        };
        let before = member.total();
        control.reset();
        writeln!(self.orders, "{}", serde_json::to_string(&Order { who, job })?)?;
        let done = member.work(own, &Turn { control, end: End::Leading(length) });
        control.release();
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let answer: Result<Tally, String> = serde_json::from_str(&answer)?;
        let both = Both { own: done?, partner: answer? };
        let (added, counted) = (member.total() - before, both.own.count + both.partner.count);
        if own == Job::Increment && added != counted {
            return Err(format!("{counted} increments made {added}").into());
        }
        Ok(both)
    }
}

/// What the partner does all its life: orders, until there are no more.
fn follow(ground: Ground, stream: &UnixStream) -> Outcome {
    let control = &ground.page.control;
    let mut team = Team { ground, members: HashMap::new() };
    let mut answers = stream.try_clone()?;
    for order in BufReader::new(stream).lines() {
        let Order { who, job } = serde_json::from_str(&order?)?;
        let turn = Turn { control, end: End::Following };
        let done = team.member(who).and_then(|member| member.work(job, &turn));
        // One that failed before it was ready keeps nobody waiting.
        control.arrive();
        writeln!(answers, "{}", serde_json::to_string(&done.map_err(|error| error.to_string()))?)?;
    }
    Ok(())
}
