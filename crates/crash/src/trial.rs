//! What is tried, and how hard.

use std::fmt;
use std::io;
use std::process::Command;
use std::time::Duration;

use crate::death::Death;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::seen::Seen;
use crate::siege::Siege;
use crate::trace::Changes;
use crate::tracee::Children;

/// An operation, the world it works on, and what must hold in that world after a kill.
///
/// See the [crate's page](crate) for an example.
pub struct Trial<'a, W> {
    pub(crate) name: String,
    pub(crate) world: Box<dyn Fn() -> io::Result<W> + 'a>,
    pub(crate) victim: MakeCommand<'a, W>,
    pub(crate) observe: Option<Observe<'a, W>>,
    pub(crate) changes: Changes,
    pub(crate) check: Option<Check<'a, W>>,
    pub(crate) recovery: Option<MakeCommand<'a, W>>,
    pub(crate) children: Children,
    pub(crate) limit: Duration,
    pub(crate) random: Option<Random>,
    pub(crate) waiters: Option<Waiters<'a, W>>,
    pub(crate) failures_at_most: usize,
}

type MakeCommand<'a, W> = Box<dyn Fn(&W) -> Command + 'a>;
type Observe<'a, W> = Box<dyn Fn(&W, &mut Seen) -> io::Result<()> + 'a>;
type Check<'a, W> = Box<dyn Fn(&W, &Death) -> std::result::Result<(), String> + 'a>;

/// How many random kills, from which seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random {
    pub(crate) kills: u32,
    pub(crate) seed: u64,
}

/// The processes to be blocked when the victim dies.
pub(crate) struct Waiters<'a, W> {
    pub(crate) count: u32,
    pub(crate) limit: Duration,
    pub(crate) command: MakeCommand<'a, W>,
}

impl<'a, W> Trial<'a, W> {
    /// A trial of the operation that `victim` marks, each time in a new `world`.
    pub fn new(
        name: impl Into<String>,
        world: impl Fn() -> io::Result<W> + 'a,
        victim: impl Fn(&W) -> Command + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            world: Box::new(world),
            victim: Box::new(victim),
            observe: None,
            changes: Changes::OnSyscall,
            check: None,
            recovery: None,
            children: Children::Free,
            limit: Duration::from_secs(60),
            random: None,
            waiters: None,
            failures_at_most: 8,
        }
    }

    /// How to see all of the world that a kill leaves behind, and where in the operation it can change.
    ///
    /// It is also called after a death, and must not change the world.
    #[must_use]
    pub fn observe(
        mut self,
        changes: Changes,
        observe: impl Fn(&W, &mut Seen) -> io::Result<()> + 'a,
    ) -> Self {
        self.changes = changes;
        self.observe = Some(Box::new(observe));
        self
    }

    /// What must hold after a kill; the error says what does not. Usually runs one or more survivors with
    /// [`survive`](crate::survive).
    #[must_use]
    pub fn check(mut self, check: impl Fn(&W, &Death) -> std::result::Result<(), String> + 'a) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    /// An operation that recovers, itself marked: it is traced after every distinct state that a kill leaves,
    /// and killed at each of its own points before the check. Recoveries from different states soon do the same: where
    /// one was killed and left the stable bytes that another would leave at the same place, that one is not killed there. So
    /// the check must not go by which of them it was.
    #[must_use]
    pub fn recovery(mut self, recovery: impl Fn(&W) -> Command + 'a) -> Self {
        self.recovery = Some(Box::new(recovery));
        self
    }

    /// Whether to follow what the operation starts; by default it runs free.
    #[must_use]
    pub fn children(mut self, children: Children) -> Self {
        self.children = children;
        self
    }

    /// The time that a victim, traced or not, and its relatives may take; by default a minute.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Adds `kills` kills at random, half of them after a random time at full speed (which may fall inside a
    /// system call), half after a random number of instructions. The same seed gives the same choices.
    #[must_use]
    pub fn random_kills(mut self, kills: u32, seed: u64) -> Self {
        self.random = Some(Random { kills, seed });
        self
    }

    /// Adds a kill at every point while `count` processes that started there are blocked, or have ended. They
    /// must succeed within `limit` of their start.
    #[must_use]
    pub fn waiters(mut self, count: u32, limit: Duration, waiter: impl Fn(&W) -> Command + 'a) -> Self {
        self.waiters = Some(Waiters { count, limit, command: Box::new(waiter) });
        self
    }

    /// Stops after this many failures; by default 8.
    #[must_use]
    pub fn failures_at_most(mut self, failures: usize) -> Self {
        self.failures_at_most = failures;
        self
    }

    /// Holds the trial.
    ///
    /// # Errors
    /// It could not be held: nothing to observe or check was given, a program did not start, did not mark its
    /// operation, or does not even succeed when nobody kills it. What the kills do is in the report.
    pub fn run(&self) -> Result<Report> {
        let (Some(observe), Some(check)) = (&self.observe, &self.check) else {
            return Err(Error::new(format!("{}: a trial needs `observe` and `check`", self.name)));
        };
        Siege::new(self, observe, check).run().map_err(|error| error.within(&self.name))
    }
}

impl<W> fmt::Debug for Trial<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial")
            .field("name", &self.name)
            .field("changes", &self.changes)
            .field("children", &self.children)
            .field("limit", &self.limit)
            .field("random", &self.random)
            .finish_non_exhaustive()
    }
}
