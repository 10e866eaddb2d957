//! One move of the operation at a time: an instruction, or a system call's entry or exit.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::mark;
use crate::sys::{self, Pid, Resume, Stop, Syscall};
use crate::tracee::{Children, Run, Tracee, is_asleep, is_birth, status_field};

/// How finely a tracee is advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gait {
    /// Instruction by instruction, with a stop at every system call's entry and exit.
    Instructions,
    /// At full speed from one entry or exit to the next.
    Syscalls,
    /// The same, with a stop at a breakpoint.
    To(u64),
}

/// What a move came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Step {
        task: Pid,
    },
    Entry {
        task: Pid,
        number: u64,
    },
    Exit {
        task: Pid,
        number: u64,
    },
    /// The operation has returned.
    End {
        task: Pid,
    },
    /// No followed task is left.
    Gone,
}

/// How long a followed task may be inside a system call before it is looked at whether it sleeps.
const BLOCKED_AFTER: Duration = Duration::from_millis(20);

impl Tracee {
    /// Advances the operation by one move.
    pub(crate) fn advance(&mut self, gait: Gait) -> Result<Move> {
        loop {
            let Some(id) = self.turn()? else { return Ok(Move::Gone) };
            let (stop, stepped) = match self.task_mut(id).run {
                Run::Reported(stop) => (stop, false),
                _ => {
                    let how = self.next_request(id, gait)?;
                    let signal = std::mem::take(&mut self.task_mut(id).signal);
                    self.resume(id, how, signal)?;
                    match self.wait_for(id)? {
                        Some(stop) => (stop, how == Resume::OneStep || has_come(id, gait)),
                        None => continue,
                    }
                }
            };
            if let Some(made) = self.digest(id, stop, stepped)? {
                return Ok(made);
            }
        }
    }

    /// The task whose turn it is: the newest followed one that is able to run.
    fn turn(&mut self) -> Result<Option<Pid>> {
        loop {
            let able = |task: &&crate::tracee::Task| task.followed && task.run != Run::Running;
            if let Some(task) = self.tasks.iter().rev().find(able) {
                return Ok(Some(task.id));
            }
            match self.wait()? {
                Some((id, stop)) => self.set_aside(id, stop)?,
                None => return Ok(None),
            }
        }
    }

    fn next_request(&mut self, id: Pid, gait: Gait) -> Result<Resume> {
        let task = self.task_mut(id);
        let (process, inside, signal) = (task.process, task.inside, task.signal);
        if gait != Gait::Instructions || inside.is_some() {
            return Ok(Resume::ToSyscall);
        }
        if signal != 0 && is_caught(id, signal) {
            // The kernel stops a step at the handler's first instruction; towards a system call it would run
            // the handler whole.
            return Ok(Resume::OneStep);
        }
        let address = sys::instruction_pointer(id).map_err(Error::io("ask where the victim is"))?;
        if !self.code.is_syscall(process, address) {
            return Ok(Resume::OneStep);
        }
        if let Some(mask) = self.task_mut(id).mask {
            sys::set_mask(id, mask).map_err(Error::io("restore the victim's signal mask"))?;
        }
        Ok(Resume::ToSyscall)
    }

    /// Remembers whether the task blocks SIGTRAP: the kernel unblocks it to report a step, and the program may
    /// ask for its mask later.
    fn note_mask(&mut self, id: Pid) -> Result<()> {
        self.task_mut(id).mask = sys::mask_blocking_trap(id).map_err(Error::io("ask for a signal mask"))?;
        Ok(())
    }

    /// Waits for the report of `id`; `None` if it sleeps while another followed task could run.
    fn wait_for(&mut self, id: Pid) -> Result<Option<Stop>> {
        let alone = self.tasks.iter().filter(|task| task.followed).count() == 1;
        let start = Instant::now();
        loop {
            let report = if alone { self.wait()? } else { self.wait_now()? };
            match report {
                Some((task, stop)) if task == id => return Ok(Some(stop)),
                Some((task, stop)) => self.set_aside(task, stop)?,
                None if alone => return Err(self.ended("during its operation")),
                None => {
                    let sleeps = start.elapsed() > BLOCKED_AFTER && is_asleep(id);
                    if sleeps || self.task(id).is_none() {
                        return Ok(None);
                    }
                    if start.elapsed() > Duration::from_micros(200) {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            }
        }
    }

    /// Keeps a followed task's report for its turn; lets any other task go on.
    fn set_aside(&mut self, id: Pid, stop: Stop) -> Result<()> {
        match self.tasks.iter_mut().find(|task| task.id == id) {
            Some(task) if task.followed => {
                task.run = Run::Reported(stop);
                Ok(())
            }
            _ => self.let_run(id, stop),
        }
    }

    /// Turns a followed task's report into a move, or `None` for one that is no move.
    fn digest(&mut self, id: Pid, stop: Stop, stepped: bool) -> Result<Option<Move>> {
        if stop.is_final() {
            let any_left = self.tasks.iter().any(|task| task.followed);
            return Ok(if id == self.root || !any_left { Some(Move::Gone) } else { None });
        }
        self.task_mut(id).run = Run::Held;
        match stop {
            Stop::Syscall => return self.digest_syscall(id).map(Some),
            Stop::Trap if stepped => return Ok(Some(Move::Step { task: id })),
            Stop::Trap => self.task_mut(id).signal = libc::SIGTRAP,
            Stop::Signal(signal) => {
                self.task_mut(id).signal = self.signal_to_deliver(id, signal);
                self.note_mask(id)?;
            }
            Stop::Event(event) if is_birth(event) => {
                let child = self.born_of(id)?;
                self.adopt(child, self.children == Children::Follow)?;
                self.await_first_stop(child)?;
            }
            Stop::Event(libc::PTRACE_EVENT_EXEC) => self.digest_exec(id)?,
            Stop::Event(_) | Stop::Exited(_) | Stop::Killed(_) => {}
        }
        Ok(None)
    }

    fn digest_syscall(&mut self, task: Pid) -> Result<Move> {
        let here = sys::syscall_at(task).map_err(Error::io("ask where the victim is"))?;
        match here {
            Syscall::Entry { number, args } => {
                self.task_mut(task).inside = Some(number);
                let ends = task == self.root
                    && number == libc::SYS_getpid.cast_unsigned()
                    && args[..2] == [mark::MAGIC, mark::END];
                Ok(if ends { Move::End { task } } else { Move::Entry { task, number } })
            }
            Syscall::Exit | Syscall::Outside => {
                let number = self.task_mut(task).inside.take().unwrap_or(u64::MAX);
                if REMAPS.contains(&number.cast_signed()) {
                    self.code.forget();
                }
                self.note_mask(task)?;
                Ok(Move::Exit { task, number })
            }
        }
    }

    /// A followed child runs before its parent, so its first stop must be in before the turn is decided.
    fn await_first_stop(&mut self, child: Pid) -> Result<()> {
        let waiting = |tracee: &Self| {
            tracee.task(child).is_some_and(|task| task.followed && task.fresh && task.run == Run::Running)
        };
        while waiting(self) {
            match self.wait()? {
                Some((id, stop)) => self.set_aside(id, stop)?,
                None => return Err(self.ended("while a child started")),
            }
        }
        Ok(())
    }

    /// A thread that runs a program takes its process's id, and the process's other threads are gone.
    fn digest_exec(&mut self, id: Pid) -> Result<()> {
        self.code.forget();
        let former = self.born_of(id)?;
        if former == id {
            return Ok(());
        }
        let followed = self.task(former).is_some_and(|task| task.followed);
        let inside = self.task(former).and_then(|task| task.inside);
        self.tasks.retain(|task| task.id != former);
        let task = self.task_mut(id);
        (task.followed, task.inside, task.run) = (followed, inside, Run::Held);
        if self.root == former {
            self.root = id;
        }
        if followed { Ok(()) } else { self.resume(id, Resume::Free, 0) }
    }
}

/// Whether a task is where it was to go.
fn has_come(task: Pid, gait: Gait) -> bool {
    matches!(gait, Gait::To(address) if sys::instruction_pointer(task).is_ok_and(|at| at == address))
}

/// System calls after which code may be elsewhere.
const REMAPS: [i64; 6] = [
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_execve,
    libc::SYS_execveat,
];

/// True when the task has a handler for `signal`.
fn is_caught(task: Pid, signal: i32) -> bool {
    status_field(task, "SigCgt:")
        .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
