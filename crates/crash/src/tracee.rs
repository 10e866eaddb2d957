//! The victim while it is traced: its tasks, from its first instruction to its last report.
//!
//! All of a victim's threads and processes are in one process group and under one tracer thread. A task is
//! either *followed* (its instructions and system calls are the operation's) or left to run free, stopping only
//! for the events that are part of being traced.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::mark;
use crate::sys::{self, OneCpu, Pid, Resume, Stop, Syscall};
use crate::watch::Watch;

/// Which of the victim's tasks the trace follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Children {
    /// The thread that began the operation; what it starts runs free beside it.
    #[default]
    Free,
    /// Also the threads and processes the operation starts. One runs at a time, the newest that is able to, so
    /// that the path is the same in every run; a kill at a child's point kills the child's process and lets
    /// its relatives run to their end.
    Follow,
}

/// A thread or process of the victim.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: Pid,
    pub(crate) process: Pid,
    pub(crate) followed: bool,
    pub(crate) run: Run,
    /// The system call it is inside.
    pub(crate) inside: Option<u64>,
    /// Its signal mask, if that blocks SIGTRAP.
    pub(crate) mask: Option<u64>,
    /// A signal to deliver when it goes on.
    pub(crate) signal: i32,
    /// True until the SIGSTOP that every automatically traced child starts with.
    pub(crate) fresh: bool,
}

/// Whether a task runs, as far as the tracer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Resumed, and not heard of since.
    Running,
    /// Stopped, and its report dealt with.
    Held,
    /// Stopped or gone, and its report kept for its turn.
    Reported(Stop),
}

/// A victim under trace. Dropping it kills what is left of it.
#[derive(Debug)]
pub(crate) struct Tracee {
    /// The first process and its process group.
    pub(crate) group: Pid,
    pub(crate) tasks: Vec<Task>,
    /// The thread that called [`mark::begin`].
    pub(crate) root: Pid,
    pub(crate) children: Children,
    pub(crate) code: Code,
    watch: Watch,
    limit: Duration,
    end: Option<Stop>,
    one_cpu: Option<OneCpu>,
}

impl Tracee {
    /// Starts `command` and lets it run until its operation begins.
    ///
    /// On this thread's CPU only, if `one_cpu` says so.
    pub(crate) fn start(
        mut command: Command,
        children: Children,
        limit: Duration,
        one_cpu: bool,
    ) -> Result<Self> {
        // Without the right to choose its CPU a trial is slow, and no less right.
        let one_cpu = if one_cpu { OneCpu::bind().ok() } else { None };
        command.process_group(0);
        sys::trace_from_exec(&mut command);
        let child = command.spawn().map_err(Error::io(format!("start {command:?}")))?;
        let group = Pid::try_from(child.id()).map_err(|error| Error::io("start")(io::Error::other(error)))?;
        let mut tracee = Self {
            group,
            tasks: vec![Task::new(group, group)],
            root: 0,
            children,
            code: Code::default(),
            watch: Watch::new(group, limit),
            limit,
            end: None,
            one_cpu,
        };
        tracee.tasks[0].fresh = false;
        tracee.run_to_begin().map_err(|error| error.within(format!("{command:?}")))?;
        Ok(tracee)
    }

    fn run_to_begin(&mut self) -> Result<()> {
        let first = sys::wait(self.group).map_err(Error::io("wait for the program"))?;
        if !matches!(first, Some((_, Stop::Trap))) {
            return Err(self.ended("before its program ran"));
        }
        sys::set_options(self.group).map_err(Error::io("set the trace's options"))?;
        self.resume(self.group, Resume::Free, 0)?;
        loop {
            let Some((task, stop)) = self.wait()? else {
                return Err(self.ended("before its operation began"));
            };
            match stop {
                // The mark's first half; what the task does next tells whether the second follows.
                Stop::Signal(libc::SIGCONT) if self.root == 0 && self.task(task).is_some() => {
                    self.resume(task, Resume::ToSyscall, 0)?;
                }
                Stop::Syscall if self.root == 0 && is_mark(task, mark::BEGIN)? => {
                    self.root = task;
                    self.resume(task, Resume::ToSyscall, 0)?;
                }
                Stop::Syscall if task == self.root => {
                    self.let_others_settle()?;
                    let root = self.task_mut(task);
                    root.followed = true;
                    root.run = Run::Held;
                    return Ok(());
                }
                _ => self.let_run(task, stop)?,
            }
        }
    }

    /// Gives the victim's other threads time to wait for whatever they will wait for: one that still starts up
    /// may contend for a lock of the C library, and then the operation's path differs.
    fn let_others_settle(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut quiet = 0;
        while quiet < 2 && start.elapsed() < SETTLING_MAX {
            while let Some((id, stop)) = self.wait_now()? {
                self.let_run(id, stop)?;
            }
            if self.tasks.iter().filter(|task| task.id != self.root).all(|task| is_asleep(task.id)) {
                quiet += 1;
            } else {
                quiet = 0;
                thread::sleep(Duration::from_micros(200));
            }
        }
        Ok(())
    }

    /// An error for a victim that ended where it should not have.
    pub(crate) fn ended(&self, place: &str) -> Error {
        if self.watch.has_fired() {
            return Error::new(format!("still running after {:?}, killed {place}", self.limit));
        }
        Error::new(format!("ended {place} ({:?})", self.end))
    }

    pub(crate) fn task(&self, id: Pid) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    pub(crate) fn task_mut(&mut self, id: Pid) -> &mut Task {
        let known = self.tasks.iter().position(|task| task.id == id);
        let at = known.unwrap_or_else(|| {
            self.tasks.push(Task::new(id, process_of(id)));
            self.tasks.len() - 1
        });
        &mut self.tasks[at]
    }

    /// The next report, with the tasks that are gone taken off the list.
    pub(crate) fn wait(&mut self) -> Result<Option<(Pid, Stop)>> {
        let report = sys::wait(self.group).map_err(Error::io("wait for the victim"))?;
        Ok(self.noted(report))
    }

    /// As [`wait`](Self::wait), without waiting.
    pub(crate) fn wait_now(&mut self) -> Result<Option<(Pid, Stop)>> {
        let report = sys::wait_now(self.group).map_err(Error::io("wait for the victim"))?;
        Ok(self.noted(report))
    }

    fn noted(&mut self, report: Option<(Pid, Stop)>) -> Option<(Pid, Stop)> {
        if let Some((id, stop)) = report
            && stop.is_final()
        {
            self.tasks.retain(|task| task.id != id);
            if id == self.group {
                self.end = Some(stop);
            }
        }
        report
    }

    /// Resumes a task. One that was killed meanwhile is no error: its end is reported next.
    pub(crate) fn resume(&mut self, id: Pid, how: Resume, signal: i32) -> Result<()> {
        self.task_mut(id).run = Run::Running;
        match sys::resume(id, how, signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                Err(Error::io("resume the victim")(error))
            }
            _ => Ok(()),
        }
    }

    /// Deals with the report of a task that is not followed, and lets it go on.
    pub(crate) fn let_run(&mut self, id: Pid, stop: Stop) -> Result<()> {
        if stop.is_final() {
            return Ok(());
        }
        if self.task(id).is_none() {
            // Its parent's event has not come yet, and may make it one to follow.
            self.task_mut(id).run = Run::Reported(stop);
            return Ok(());
        }
        let signal = match stop {
            Stop::Signal(signal) => self.signal_to_deliver(id, signal),
            Stop::Trap => libc::SIGTRAP,
            Stop::Event(event) => {
                if is_birth(event) {
                    let child = self.born_of(id)?;
                    self.adopt(child, false)?;
                }
                0
            }
            Stop::Syscall | Stop::Exited(_) | Stop::Killed(_) => 0,
        };
        self.resume(id, Resume::Free, signal)
    }

    /// The signal to pass on: none for the stop every traced child begins with, nor for a group's stop, which
    /// would last for ever here.
    pub(crate) fn signal_to_deliver(&mut self, id: Pid, signal: i32) -> i32 {
        let task = self.task_mut(id);
        if signal == libc::SIGSTOP && task.fresh {
            task.fresh = false;
            return 0;
        }
        let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        if stops.contains(&signal) && sys::in_group_stop(id) { 0 } else { signal }
    }

    pub(crate) fn born_of(&self, parent: Pid) -> Result<Pid> {
        sys::new_child(parent).map_err(Error::io("ask for the new child's id"))
    }

    /// Takes in a new child, followed or let run.
    pub(crate) fn adopt(&mut self, child: Pid, followed: bool) -> Result<()> {
        let task = self.task_mut(child);
        task.followed = followed;
        match task.run {
            Run::Reported(stop) if !followed => self.let_run(child, stop),
            _ => Ok(()),
        }
    }

    /// Kills the process that `task` is part of, lets its relatives run to their end, and says how it ended.
    ///
    /// The error is that of relatives which did not end in time.
    pub(crate) fn kill(mut self, task: Pid) -> Result<Option<Stop>> {
        let process = self.task(task).map(|task| task.process);
        if let Some(process) = process {
            sys::kill(process);
        }
        self.run_out(process)
    }

    /// Lets everything run to its end, and says how the first process ended.
    pub(crate) fn finish(mut self) -> Result<Option<Stop>> {
        self.run_out(None)
    }

    /// Lets this thread, and what it starts from now on, use other CPUs again.
    pub(crate) fn free_cpus(&mut self) {
        self.one_cpu = None;
    }

    fn run_out(&mut self, killed: Option<Pid>) -> Result<Option<Stop>> {
        let held: Vec<(Pid, Run)> = self
            .tasks
            .iter()
            .filter(|task| task.run != Run::Running && Some(task.process) != killed)
            .map(|task| (task.id, task.run))
            .collect();
        for (id, run) in held {
            match run {
                Run::Reported(stop) => self.let_run(id, stop)?,
                _ => self.resume(id, Resume::Free, 0)?,
            }
        }
        let mut end = self.end;
        while let Some((id, stop)) = self.wait()? {
            if stop.is_final() && Some(id) == killed {
                end = Some(stop);
            }
            self.let_run(id, stop)?;
        }
        self.tasks.clear();
        if self.watch.has_fired() {
            return Err(Error::new(format!("the victim's processes did not all end in {:?}", self.limit)));
        }
        Ok(if killed.is_some() { end } else { self.end })
    }

    /// Lets the operation run free for `time`; false if everything ended before.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<bool> {
        let start = Instant::now();
        self.resume(self.root, Resume::Free, 0)?;
        loop {
            match self.wait_now()? {
                Some((id, stop)) => self.let_run(id, stop)?,
                None if self.tasks.is_empty() || start.elapsed() >= time => {
                    return Ok(!self.tasks.is_empty());
                }
                None => std::hint::spin_loop(),
            }
        }
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        sys::kill(-self.group);
        for task in &self.tasks {
            sys::kill(task.process);
        }
        // Reaped, so that no zombie is left; an error means there is nothing to wait for.
        while let Ok(Some(_)) = sys::wait(self.group) {}
    }
}

impl Task {
    fn new(id: Pid, process: Pid) -> Self {
        Self {
            id,
            process,
            followed: false,
            run: Run::Running,
            inside: None,
            mask: None,
            signal: 0,
            fresh: true,
        }
    }
}

pub(crate) fn is_birth(event: i32) -> bool {
    matches!(event, libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK)
}

fn is_mark(task: Pid, what: u64) -> Result<bool> {
    let here = sys::syscall_at(task).map_err(Error::io("ask where the victim is"))?;
    Ok(matches!(here, Syscall::Entry { number, args: [mark::MAGIC, kind, ..] }
        if number == libc::SYS_getpid.cast_unsigned() && kind == what))
}

/// How long the victim's other threads may keep its operation from beginning; then it begins beside them.
const SETTLING_MAX: Duration = Duration::from_secs(1);

/// True when the task waits in the kernel, or is gone.
pub(crate) fn is_asleep(task: Pid) -> bool {
    status_field(task, "State:").is_none_or(|state| state.starts_with(['S', 'D', 'Z', 'X']))
}

/// A line of a task's `/proc/TID/status`.
pub(crate) fn status_field(task: Pid, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{task}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

/// The process a thread is part of.
fn process_of(task: Pid) -> Pid {
    status_field(task, "Tgid:").and_then(|id| id.parse().ok()).unwrap_or(task)
}
