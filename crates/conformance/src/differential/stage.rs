//! Plays a sequence on one implementation and writes down what a program could see after every step.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::generate::ARENA_PAGES;
use super::step::{Sequence, Step, Verb};
use crate::actor::Actor;
use crate::lab::Lab;
use crate::names::*;
use crate::protocol::{Birth, Buffer, Cmd, Reply, Who};
use crate::stat::{Limits, Stat, Usage};

/// Nothing else maps here.
const ARENA: u64 = 0x2000_0000_0000;

/// What a program could see after a step. Process ids are actor numbers from 1, times count clock ticks from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The actor is dead, or was never born.
    pub skipped: bool,
    /// The return value; a place of the callee's own choice is 1.
    pub ret: i64,
    /// `errno` after a failure.
    pub errno: i32,
    /// The signal of a memory access.
    pub signal: i32,
    /// Bytes read.
    pub bytes: Vec<u8>,
    /// The structure a successful `IPC_STAT` or `SHM_STAT` filled in.
    pub stat: Option<Stat>,
    /// What `IPC_INFO` filled in.
    pub limits: Option<Limits>,
    /// The highest index in use and what is in use, by `SHM_INFO`.
    pub usage: (i64, Usage),
    /// Every segment by id.
    pub segments: Vec<(i64, Stat)>,
}

struct Player {
    actor: Actor,
    /// Attaches at places of the callee's choice, and whether they are still there.
    loose: Vec<(u64, bool)>,
}

struct Stage<'a> {
    lab: &'a Lab,
    players: Vec<Option<Player>>,
    observer: Option<Actor>,
    /// Several users: root looks. Who may not open a removed segment's file cannot bury it, and others would
    /// see it until somebody can.
    shared: bool,
    numbers: HashMap<i32, i32>,
    ids: Vec<i64>,
    boundaries: Vec<i64>,
}

/// Plays a sequence in a world made anew.
pub fn play(lab: &mut Lab, sequence: &Sequence) -> Vec<Outcome> {
    lab.renew();
    let mut stage = Stage {
        lab,
        players: Vec::new(),
        observer: None,
        shared: sequence.shared,
        numbers: HashMap::new(),
        ids: Vec::new(),
        boundaries: Vec::new(),
    };
    stage.enter(stage.lab.actor(), Vec::new());
    sequence.steps.iter().map(|step| stage.perform(step)).collect()
}

fn failed() -> Outcome {
    Outcome {
        skipped: true,
        ret: 0,
        errno: 0,
        signal: 0,
        bytes: Vec::new(),
        stat: None,
        limits: None,
        usage: (0, Usage::parse(&[0; Usage::SIZE])),
        segments: Vec::new(),
    }
}

impl Stage<'_> {
    fn enter(&mut self, actor: Actor, loose: Vec<(u64, bool)>) {
        let number = i32::try_from(self.players.len()).unwrap_or(i32::MAX) + 1;
        self.numbers.insert(actor.pid, number);
        self.players.push(Some(Player { actor, loose }));
    }

    fn perform(&mut self, step: &Step) -> Outcome {
        if step.verb == Verb::Spawn {
            self.enter(self.lab.actor(), Vec::new());
            return self.seen(Reply::default(), None, step);
        }
        let Some(Some(player)) = self.players.get_mut(step.who) else { return failed() };
        match step.verb {
            Verb::Fork => {
                let child = player.actor.birth(Birth::Fork);
                let loose = player.loose.clone();
                self.enter(child, loose);
                self.seen(Reply::default(), None, step)
            }
            Verb::Exec => {
                player.actor.exec();
                player.loose.clear();
                self.seen(Reply::default(), None, step)
            }
            Verb::Exit | Verb::Kill => {
                if let Some(player) = self.players[step.who].take() {
                    match (step.verb, step.args.first()) {
                        (Verb::Exit, Some(0)) => player.actor.exit(),
                        (Verb::Exit, _) => player.actor.exit_raw(),
                        _ => player.actor.kill(),
                    }
                }
                self.seen(Reply::default(), None, step)
            }
            Verb::Tick => {
                self.tick();
                self.seen(Reply::default(), None, step)
            }
            _ => {
                let Some(cmd) = self.command(step) else { return failed() };
                let Some(Some(player)) = self.players.get(step.who) else { return failed() };
                let cmds = if self.shared { vec![cmd] } else { vec![cmd, Cmd::Survey] };
                let mut parts = player.actor.run(&Cmd::Batch(cmds)).parts.into_iter();
                let (reply, survey) = (parts.next().unwrap_or_default(), parts.next());
                self.note(step, &reply);
                self.seen(reply, survey, step)
            }
        }
    }

    fn tick(&mut self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        std::thread::sleep(Duration::from_millis(u64::from(1020 - since.subsec_millis().min(1000))));
        self.boundaries.push(since.as_secs().cast_signed() + 1);
    }

    fn segment(&self, named: i64) -> i32 {
        let known = |n: i64| {
            let len = i64::try_from(self.ids.len()).unwrap_or(1).max(1);
            usize::try_from(n % len).ok().and_then(|n| self.ids.get(n)).copied().unwrap_or(n)
        };
        let id = match named {
            0..100 => known(named),
            100..200 => known(named - 100) + (1 << 15),
            other => other,
        };
        i32::try_from(id).unwrap_or(i32::MAX)
    }

    /// The address of a place, and whether it may be touched.
    fn place(&self, who: usize, place: i64) -> Option<(u64, bool)> {
        match place {
            0 => Some((0, false)),
            1.. => Some((ARENA + place.cast_unsigned() - 1, true)),
            _ => {
                let loose = &self.players.get(who)?.as_ref()?.loose;
                let nth = usize::try_from(-1 - place).ok()? % loose.len().max(1);
                loose.get(nth).copied()
            }
        }
    }

    fn command(&self, step: &Step) -> Option<Cmd> {
        let arg = |n: usize| step.args.get(n).copied().unwrap_or(0);
        let int = |n: usize| i32::try_from(arg(n)).unwrap_or(i32::MIN);
        let addr = |n: usize| ARENA + arg(n).cast_unsigned() * PAGE;
        let len = |n: usize| arg(n).cast_unsigned() * PAGE;
        let touched = || self.place(step.who, arg(0)).filter(|&(_, live)| live).map(|(addr, _)| addr);
        Some(match step.verb {
            Verb::Get => Cmd::Get { key: int(0), size: arg(1).cast_unsigned(), flags: int(2) },
            Verb::At => {
                Cmd::At { id: self.segment(arg(0)), addr: self.place(step.who, arg(1))?.0, flags: int(2) }
            }
            Verb::Dt => Cmd::Dt { addr: self.place(step.who, arg(0))?.0 },
            Verb::Stat => Cmd::Ctl { id: self.segment(arg(0)), cmd: int(1), buf: Buffer::Bytes(Vec::new()) },
            Verb::Set => {
                let wide = |n| u32::try_from(arg(n)).unwrap_or(u32::MAX);
                let bytes = Stat::for_set(wide(1), wide(2), wide(3));
                Cmd::Ctl { id: self.segment(arg(0)), cmd: IPC_SET, buf: Buffer::Bytes(bytes) }
            }
            Verb::Ctl => {
                let buf = match arg(2) {
                    0 => Buffer::Null,
                    1 => Buffer::Wild,
                    _ => Buffer::Bytes(Vec::new()),
                };
                Cmd::Ctl { id: self.segment(arg(0)), cmd: int(1), buf }
            }
            Verb::Info => Cmd::Ctl { id: 0, cmd: IPC_INFO, buf: Buffer::Bytes(Vec::new()) },
            Verb::Peek => Cmd::Peek { addr: touched()?, len: 4 },
            Verb::Poke => Cmd::Poke { addr: touched()?, bytes: vec![arg(1).to_le_bytes()[0]] },
            Verb::Munmap => Cmd::Munmap { addr: addr(0), len: len(1) },
            Verb::Mmap => {
                let flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;
                Cmd::Mmap { addr: addr(0), len: len(1), prot: PROT_READ | PROT_WRITE, flags }
            }
            Verb::Mprotect => Cmd::Mprotect { addr: addr(0), len: len(1), prot: int(2) },
            Verb::Mremap if arg(3) < 0 => {
                Cmd::Mremap { old: addr(0), old_len: len(1), new_len: len(2), flags: 0, new: 0 }
            }
            Verb::Mremap => {
                let flags = MREMAP_MAYMOVE | MREMAP_FIXED;
                Cmd::Mremap { old: addr(0), old_len: len(1), new_len: len(2), flags, new: addr(3) }
            }
            Verb::Madvise => Cmd::Madvise { addr: addr(0), len: len(1), advice: int(2) },
            Verb::Setuid => {
                let id = u32::try_from(arg(0)).unwrap_or(u32::MAX);
                Cmd::Become(Who { uid: id, gid: id, groups: Vec::new(), caps: CAP_NONE })
            }
            Verb::Umask => Cmd::Umask { mask: int(0).cast_unsigned() },
            Verb::Fork | Verb::Spawn | Verb::Exec | Verb::Exit | Verb::Kill | Verb::Tick => return None,
        })
    }

    /// Remembers new ids and where attaches went.
    fn note(&mut self, step: &Step, reply: &Reply) {
        let Some(Some(player)) = self.players.get_mut(step.who) else { return };
        match step.verb {
            Verb::Get if reply.ret >= 0 && !self.ids.contains(&reply.ret) => self.ids.push(reply.ret),
            Verb::At if reply.ret > 0 && step.args[1] == 0 => {
                player.loose.push((reply.ret.cast_unsigned(), true));
            }
            Verb::Dt if reply.ret == 0 && step.args[0] < 0 => {
                let len = player.loose.len().max(1);
                if let Ok(n) = usize::try_from(-1 - step.args[0]) {
                    player.loose[n % len].1 = false;
                }
            }
            _ => {}
        }
    }

    fn survey(&mut self) -> Reply {
        let mut living = self.players.iter().flatten().map(|player| &player.actor);
        let living = if self.shared { None } else { living.next() };
        let watcher = living.unwrap_or_else(|| self.observer.get_or_insert_with(|| self.lab.actor()));
        watcher.run(&Cmd::Survey)
    }

    fn seen(&mut self, reply: Reply, survey: Option<Reply>, step: &Step) -> Outcome {
        let survey = survey.unwrap_or_else(|| self.survey());
        let (first, rest) = survey.parts.split_first().expect("a survey has a summary");
        let usage = if first.data.is_empty() { failed().usage.1 } else { Usage::parse(&first.data) };
        let segments =
            rest.iter().filter(|part| part.ret >= 0).map(|part| (part.ret, self.plain(&part.data)));
        let stats = [IPC_STAT, SHM_STAT, SHM_STAT_ANY];
        let command = step.args.get(1).and_then(|&c| i32::try_from(c).ok()).unwrap_or(-1);
        let wrote = reply.ret >= 0 && reply.data.len() >= Stat::SIZE;
        let is_ctl = matches!(step.verb, Verb::Stat | Verb::Ctl);
        let ret = match step.verb {
            Verb::At if reply.ret > 0 && step.args[1] == 0 => 1,
            Verb::At | Verb::Mremap | Verb::Mmap if reply.ret > 0 => reply.ret - ARENA.cast_signed(),
            _ => reply.ret,
        };
        Outcome {
            skipped: false,
            ret,
            errno: reply.errno,
            signal: reply.signal,
            stat: (wrote && is_ctl && stats.contains(&command)).then(|| self.plain(&reply.data)),
            limits: (wrote && step.verb == Verb::Info).then(|| Limits::parse(&reply.data)),
            usage: (first.ret, usage),
            segments: segments.collect(),
            bytes: if step.verb == Verb::Peek { reply.data } else { Vec::new() },
        }
    }

    /// A structure whose process ids and times can be compared with another run's.
    fn plain(&self, bytes: &[u8]) -> Stat {
        let stat = Stat::parse(bytes);
        let number = |pid: i32| if pid == 0 { 0 } else { self.numbers.get(&pid).copied().unwrap_or(-1) };
        let epoch = |time: i64| match time {
            0 => 0,
            _ => 1 + self.boundaries.iter().filter(|&&b| b <= time).count() as i64,
        };
        Stat {
            cpid: number(stat.cpid),
            lpid: number(stat.lpid),
            atime: epoch(stat.atime),
            dtime: epoch(stat.dtime),
            ctime: epoch(stat.ctime),
            ..stat
        }
    }
}

const _: () = assert!(ARENA_PAGES < 4096);
