//! A test's end of an actor: one method per C call, results typed.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::errno::Errno;
use crate::lab::World;
use crate::names::*;
use crate::protocol::{Birth, Buffer, Cmd, Reply, Who};
use crate::stat::{Limits, Stat, Usage};

/// How long an answer may take before it counts as a hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a C call came to.
pub type Answer<T> = Result<T, Errno>;

/// What came of touching memory: the bytes, or the signal.
pub type Touched<T> = Result<T, i32>;

/// One process under a test's command.
#[derive(Debug)]
pub struct Actor {
    channel: OwnedFd,
    /// Its process id.
    pub pid: i32,
    world: Rc<World>,
}

pub(crate) fn channel_pair() -> (OwnedFd, OwnedFd) {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket pair")
}

fn timespec(d: Duration) -> Timespec {
    Timespec { tv_sec: d.as_secs().cast_signed(), tv_nsec: i64::from(d.subsec_nanos()) }
}

impl Reply {
    /// The return value, unless the call failed.
    ///
    /// # Errors
    /// The call returned −1: its `errno`.
    pub fn answer(&self) -> Answer<i64> {
        if self.ret == -1 && self.errno != 0 { Err(Errno(self.errno)) } else { Ok(self.ret) }
    }
}

fn int(value: i64) -> i32 {
    i32::try_from(value).expect("the C call returns an int")
}

impl Actor {
    /// Takes charge of the process that announces itself on `channel`.
    pub(crate) fn meet(channel: OwnedFd, world: Rc<World>) -> Self {
        let mut actor = Self { channel, pid: 0, world };
        actor.pid = int(actor.receive(PATIENCE, &"start").ret);
        actor.world.enrol(actor.pid);
        actor
    }

    fn transmit(&self, cmd: &Cmd, child: Option<&OwnedFd>) {
        let packet = postcard::to_stdvec(cmd).expect("a command has a serial form");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = child.map(|fd| [fd.as_fd()]);
        if let Some(fds) = &fds {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        let sent = rustix::net::sendmsg(
            &self.channel,
            &[IoSlice::new(&packet)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        );
        assert!(sent.is_ok(), "actor {} is gone: it cannot be told {cmd:?}", self.pid);
    }

    fn await_input(&self, patience: Duration, task: &dyn std::fmt::Debug) {
        let mut fds = [PollFd::new(&self.channel, PollFlags::IN)];
        let ready = loop {
            match poll(&mut fds, Some(&timespec(patience))) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other.expect("poll"),
            }
        };
        assert!(ready > 0, "actor {} hangs: no answer to {task:?} within {patience:?}", self.pid);
    }

    fn receive(&self, patience: Duration, task: &dyn std::fmt::Debug) -> Reply {
        self.await_input(patience, task);
        let mut buffer = self.world.packet.borrow_mut();
        let got = rustix::net::recv(&self.channel, &mut buffer[..], RecvFlags::empty()).map_or(0, |(n, _)| n);
        assert!(got > 0, "actor {} died while told {task:?}", self.pid);
        postcard::from_bytes(&buffer[..got]).expect("the actor speaks the same protocol")
    }

    /// Carries out a command and waits for its reply.
    ///
    /// # Panics
    /// The actor is dead, dies, or does not answer in time.
    pub fn run(&self, cmd: &Cmd) -> Reply {
        self.begin(cmd);
        self.finish(cmd)
    }

    /// Starts a command, so that several actors work at once.
    pub fn begin(&self, cmd: &Cmd) {
        self.transmit(cmd, None);
    }

    /// Waits for the reply to a command begun before.
    pub fn finish(&self, cmd: &Cmd) -> Reply {
        let patience = if matches!(cmd, Cmd::Race(_)) { 12 * PATIENCE } else { PATIENCE };
        self.receive(patience, cmd)
    }

    fn ask(&self, cmd: &Cmd) -> Answer<i64> {
        self.run(cmd).answer()
    }

    fn done(&self, cmd: &Cmd) -> Answer<()> {
        self.ask(cmd).map(|_| ())
    }

    /// `shmget`.
    pub fn get(&self, key: i32, size: u64, flags: i32) -> Answer<i32> {
        self.ask(&Cmd::Get { key, size, flags }).map(int)
    }

    /// `shmget` of a new segment without a key, mode 0600.
    pub fn private(&self, size: u64) -> i32 {
        self.get(IPC_PRIVATE, size, 0o600).expect("a private segment")
    }

    /// `shmat`, at a place of the callee's choice if `addr` is 0.
    pub fn at(&self, id: i32, addr: u64, flags: i32) -> Answer<u64> {
        self.ask(&Cmd::At { id, addr, flags }).map(i64::cast_unsigned)
    }

    /// `shmat(id, NULL, 0)`, which must succeed.
    #[track_caller]
    pub fn attach(&self, id: i32) -> u64 {
        self.at(id, 0, 0).expect("an attach")
    }

    /// `shmdt`.
    pub fn dt(&self, addr: u64) -> Answer<()> {
        self.done(&Cmd::Dt { addr })
    }

    /// `shmctl` with any buffer.
    pub fn ctl(&self, id: i32, cmd: i32, buf: Buffer) -> Reply {
        self.run(&Cmd::Ctl { id, cmd, buf })
    }

    /// `shmctl` with a buffer nobody reads.
    pub fn ctl0(&self, id: i32, cmd: i32) -> Answer<i32> {
        self.ctl(id, cmd, Buffer::Bytes(Vec::new())).answer().map(int)
    }

    /// `IPC_STAT`.
    pub fn stat(&self, id: i32) -> Answer<Stat> {
        self.stat_by(id, IPC_STAT).map(|(_, stat)| stat)
    }

    /// `IPC_STAT`, `SHM_STAT` or `SHM_STAT_ANY`: the return value and the structure.
    pub fn stat_by(&self, id: i32, cmd: i32) -> Answer<(i32, Stat)> {
        let reply = self.ctl(id, cmd, Buffer::Bytes(Vec::new()));
        reply.answer().map(|ret| (int(ret), Stat::parse(&reply.data)))
    }

    /// `nattch` of a segment that is there.
    #[track_caller]
    pub fn nattch(&self, id: i32) -> u64 {
        self.stat(id).expect("a segment to count the attaches of").nattch
    }

    /// `IPC_SET`.
    pub fn set(&self, id: i32, uid: u32, gid: u32, mode: u32) -> Answer<()> {
        self.ctl(id, IPC_SET, Buffer::Bytes(Stat::for_set(uid, gid, mode))).answer().map(|_| ())
    }

    /// `IPC_RMID`.
    pub fn rmid(&self, id: i32) -> Answer<()> {
        self.ctl0(id, IPC_RMID).map(|_| ())
    }

    /// `IPC_INFO`: the highest index in use, and the limits.
    pub fn limits(&self) -> (i32, Limits) {
        let reply = self.ctl(0, IPC_INFO, Buffer::Bytes(Vec::new()));
        (int(reply.answer().expect("IPC_INFO")), Limits::parse(&reply.data))
    }

    /// `SHM_INFO`: the highest index in use, and what is in use.
    pub fn usage(&self) -> (i32, Usage) {
        let reply = self.ctl(0, SHM_INFO, Buffer::Bytes(Vec::new()));
        (int(reply.answer().expect("SHM_INFO")), Usage::parse(&reply.data))
    }

    /// Reads memory.
    pub fn peek(&self, addr: u64, len: u32) -> Touched<Vec<u8>> {
        let reply = self.run(&Cmd::Peek { addr, len });
        if reply.signal == 0 { Ok(reply.data) } else { Err(reply.signal) }
    }

    /// Reads one byte.
    pub fn byte(&self, addr: u64) -> Touched<u8> {
        self.peek(addr, 1).map(|bytes| bytes[0])
    }

    /// Writes memory.
    pub fn poke(&self, addr: u64, bytes: &[u8]) -> Touched<()> {
        let reply = self.run(&Cmd::Poke { addr, bytes: bytes.to_vec() });
        if reply.signal == 0 { Ok(()) } else { Err(reply.signal) }
    }

    /// How many bytes from `addr` on are zero, up to `len`.
    pub fn zero_run(&self, addr: u64, len: u64) -> u64 {
        self.run(&Cmd::ZeroRun { addr, len }).ret.cast_unsigned()
    }

    /// `mmap` of anonymous private memory.
    pub fn mmap(&self, addr: u64, len: u64, prot: i32, flags: i32) -> Answer<u64> {
        let flags = flags | MAP_ANONYMOUS | if flags & MAP_SHARED == 0 { MAP_PRIVATE } else { 0 };
        self.ask(&Cmd::Mmap { addr, len, prot, flags }).map(i64::cast_unsigned)
    }

    /// A place where `len` bytes are free: mapped once and let go.
    pub fn hole(&self, len: u64) -> u64 {
        let addr = self.mmap(0, len, PROT_NONE, MAP_NORESERVE).expect("address space");
        self.munmap(addr, len).expect("munmap");
        addr
    }

    /// `munmap`.
    pub fn munmap(&self, addr: u64, len: u64) -> Answer<()> {
        self.done(&Cmd::Munmap { addr, len })
    }

    /// `mprotect`.
    pub fn mprotect(&self, addr: u64, len: u64, prot: i32) -> Answer<()> {
        self.done(&Cmd::Mprotect { addr, len, prot })
    }

    /// `mremap`, to `new` if that is not 0.
    pub fn mremap(&self, old: u64, old_len: u64, new_len: u64, new: u64) -> Answer<u64> {
        let flags = MREMAP_MAYMOVE | if new == 0 { 0 } else { MREMAP_FIXED };
        self.ask(&Cmd::Mremap { old, old_len, new_len, flags, new }).map(i64::cast_unsigned)
    }

    /// `madvise`.
    pub fn madvise(&self, addr: u64, len: u64, advice: i32) -> Answer<()> {
        self.done(&Cmd::Madvise { addr, len, advice })
    }

    /// `setrlimit` of the soft limit, and of the hard one if `hard`.
    pub fn rlimit(&self, resource: u32, soft: u64, hard: bool) {
        self.done(&Cmd::Rlimit { resource, soft, hard }).expect("setrlimit");
    }

    /// Becomes a plain user: no supplementary group, no capability.
    pub fn setuid(&self, uid: u32) {
        self.become_who(uid, uid, &[], CAP_NONE);
    }

    /// Takes on these credentials for good.
    pub fn become_who(&self, uid: u32, gid: u32, groups: &[u32], caps: u64) {
        let who = Who { uid, gid, groups: groups.to_vec(), caps };
        self.done(&Cmd::Become(who)).expect("new credentials");
    }

    /// The permissions and name of the mapping at `addr`, as `/proc/self/maps` has them.
    pub fn maps(&self, addr: u64) -> String {
        String::from_utf8_lossy(&self.run(&Cmd::Maps { addr }).data).into_owned()
    }

    /// The number of open descriptors.
    pub fn fds(&self) -> i64 {
        self.run(&Cmd::CountFds).ret
    }

    /// Reads a file.
    pub fn read_file(&self, path: &str) -> Answer<String> {
        let reply = self.run(&Cmd::ReadFile { path: path.to_owned() });
        reply.answer().map(|_| String::from_utf8_lossy(&reply.data).into_owned())
    }

    /// Writes a file.
    pub fn write_file(&self, path: &str, data: &str) -> Answer<()> {
        self.done(&Cmd::WriteFile { path: path.to_owned(), data: data.to_owned() })
    }

    /// A child, with all it inherits.
    pub fn fork(&self) -> Actor {
        self.birth(Birth::Fork)
    }

    /// A child by any way there is.
    pub fn birth(&self, how: Birth) -> Actor {
        let (ours, theirs) = channel_pair();
        let cmd = Cmd::Birth(how);
        self.transmit(&cmd, Some(&theirs));
        drop(theirs);
        let child = Actor::meet(ours, Rc::clone(&self.world));
        let told = self.receive(PATIENCE, &cmd).answer().expect("a child");
        assert_eq!(told, i64::from(child.pid), "the parent and the child agree who was born");
        child
    }

    /// Replaces the program by itself; memory and mappings start anew.
    pub fn exec(&self) {
        self.ask(&Cmd::Exec).expect("exec");
    }

    /// `exit(0)`. Returns when the process is a zombie; nobody has waited for it.
    pub fn exit(self) {
        self.end(|actor| actor.begin(&Cmd::Exit { code: 0, raw: false }));
    }

    /// `_exit(0)`; as [`Self::exit`].
    pub fn exit_raw(self) {
        self.end(|actor| actor.begin(&Cmd::Exit { code: 0, raw: true }));
    }

    /// SIGKILL; as [`Self::exit`].
    pub fn kill(self) {
        self.end(|actor| actor.world.kill(actor.pid, Signal::KILL));
    }

    /// Does what ends the process and waits until it is a zombie: its memory is then gone, its id is not.
    fn end(&self, how: impl FnOnce(&Self)) {
        let pid = Pid::from_raw(self.pid).expect("a process id");
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty()).expect("the process");
        how(self);
        let mut fds = [PollFd::new(&handle, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&timespec(PATIENCE))).expect("poll");
        assert!(ready > 0, "actor {} does not die", self.pid);
    }

    /// Waits for one child that has ended.
    pub fn reap_one(&self) {
        self.run(&Cmd::Wait);
    }

    /// Waits for every child to end.
    pub fn reap(&self) {
        self.run(&Cmd::Reap);
    }
}
