//! Two processes on two CPUs: this one, and a partner that was forked from it.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Contender, Ground};
use crate::turn::{End, Tally, Turn};
use crate::{Outcome, calls, place};

/// What the partner is told to do.
#[derive(Serialize, Deserialize)]
struct Order<W, J> {
    who: W,
    job: J,
}

/// What both did in one turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Both {
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
pub(super) struct Pair<G: Ground> {
    team: Team<G>,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
}

/// The contenders as one process has them.
struct Team<G: Ground> {
    ground: G,
    members: HashMap<G::Who, Result<Member<G>, String>>,
}

type Member<G> = Box<dyn Contender<<G as Ground>::Job>>;

impl<G: Ground> Team<G> {
    fn member(&mut self, who: G::Who) -> Outcome<&mut Member<G>> {
        let member = match self.members.entry(who) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(self.ground.open(who).map_err(|error| error.to_string())),
        };
        member.as_mut().map_err(|error| error.clone().into())
    }
}

impl<G: Ground> Pair<G> {
    /// Starts the partner, which ends when this process does. To be called before anything is opened.
    pub(super) fn start(ground: G, cpus: [usize; 2]) -> Outcome<Pair<G>> {
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
        who: G::Who,
        own: G::Job,
        partner: Option<G::Job>,
        length: Duration,
    ) -> Outcome<Both> {
        let control = self.team.ground.control();
        let member = self.team.member(who)?;
        let Some(job) = partner else {
            let own = member.work(own, &Turn { control, end: End::Alone(length) })?;
            return Ok(Both { own, partner: Tally::default() });
        };
        let before = member.total(own);
        control.reset();
        writeln!(self.orders, "{}", serde_json::to_string(&Order { who, job })?)?;
        let done = member.work(own, &Turn { control, end: End::Leading(length) });
        control.release();
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let answer: Result<Tally, String> = serde_json::from_str(&answer)?;
        let both = Both { own: done?, partner: answer? };
        let counted = both.own.count + both.partner.count;
        if let (Some(before), Some(after)) = (before, member.total(own))
            && after - before != counted
        {
            return Err(format!("{counted} increments made {}", after - before).into());
        }
        Ok(both)
    }
}

/// What the partner does all its life: orders, until there are no more.
fn follow<G: Ground>(ground: G, stream: &UnixStream) -> Outcome {
    let control = ground.control();
    let mut team = Team::<G> { ground, members: HashMap::new() };
    let mut answers = stream.try_clone()?;
    for order in BufReader::new(stream).lines() {
        let Order::<G::Who, G::Job> { who, job } = serde_json::from_str(&order?)?;
        let turn = Turn { control, end: End::Following };
        let done = team.member(who).and_then(|member| member.work(job, &turn));
        // One that failed before it was ready keeps nobody waiting.
        control.arrive();
        writeln!(answers, "{}", serde_json::to_string(&done.map_err(|error| error.to_string()))?)?;
    }
    Ok(())
}
