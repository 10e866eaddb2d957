//! A new region for each kill, seen from outside: its raw bytes, and who owns its locks.
#![allow(unsafe_code, reason = "leaves the IPC namespace of the machine")]

use std::env;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use coseg::{Cell, Contents, Counter, Event, Lock, Region, RegionOptions, Rows, RwLock, Shared, Table};
use coseg_crash::{Scratch, Seen, again};
use coseg_sysv::{Attachment, Backend, Kernel, Key, User};

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) moves: u64,
}

#[derive(Region)]
pub(crate) struct Bank {
    pub(crate) rates: Cell<[u64; 3]>,
    pub(crate) accounts: Table<Account, 2>,
    pub(crate) trades: Counter,
    pub(crate) bell: Event,
    pub(crate) door: Lock,
    pub(crate) files: RwLock,
}

pub(crate) const KEY: Key = Key::new(0x4558);
pub(crate) const OLD: [u64; 3] = [1, 2, 3];
pub(crate) const NEW: [u64; 3] = [11, 12, 13];
pub(crate) const OPENING: Account = Account { balance: 100, moves: 0 };

/// Where things lie, as FORMAT.md says.
const LOCK_AT: usize = 192;
pub(crate) const LOG_AT: usize = 256;
const SLOTS_AT: usize = 384;
const SLOT_SIZE: usize = 128;
const PID_MASK: u64 = 0x3f_ffff;
/// The highest there can be, and no process has it.
const NOBODYS_PID: u64 = 0x3f_fffe;
const BELL_OF_LOCK: usize = 4;

/// What the processes of one trial share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) backend: Arc<dyn Backend>,
    /// The user backend's namespace.
    directory: Option<PathBuf>,
}

impl Setting {
    fn new(directory: Option<PathBuf>) -> Setting {
        let backend: Arc<dyn Backend> = match &directory {
            Some(directory) => Arc::new(User::at(directory).unwrap()),
            None => Arc::new(Kernel),
        };
        Setting { backend, directory }
    }

    pub(crate) fn of_environment() -> Setting {
        Setting::new(env::var_os("COSEG_TEST_DIR").map(PathBuf::from))
    }

    /// The region of a trial.
    pub(crate) fn at<C: Contents>(&self, participant: &str) -> RegionOptions<C> {
        Region::<C>::at(KEY).backend(&self.backend).participant(participant)
    }

    pub(crate) fn bank(&self, participant: &str) -> RegionOptions<Bank> {
        self.at(participant)
    }

    pub(crate) fn segment(&self) -> coseg_sysv::Result<coseg_sysv::Segment> {
        coseg_sysv::Segment::options(KEY).open(&self.backend)
    }

    /// Another run of this program, in a role.
    pub(crate) fn play(&self, role: &str) -> Command {
        let mut command = again("player", role);
        match &self.directory {
            Some(directory) => command.env("COSEG_TEST_DIR", directory),
            None => command.env_remove("COSEG_TEST_DIR"),
        };
        command
    }
}

/// A setting of a trial's own, without a region so far.
pub(crate) struct Place {
    pub(crate) setting: Setting,
    scratch: Option<Scratch>,
}

impl Place {
    pub(crate) fn new(on: On) -> io::Result<Place> {
        match on {
            On::User => {
                let scratch = Scratch::within("/dev/shm".as_ref())?;
                let directory = scratch.path().join("namespace");
                Ok(Place { setting: Setting::new(Some(directory)), scratch: Some(scratch) })
            }
            On::Kernel => Ok(Place { setting: Setting::new(None), scratch: None }),
        }
    }

    /// The user backend's files.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        self.scratch.as_ref().map(|scratch| scratch.path().join("namespace"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(segment) = self.setting.segment() {
            let _ = segment.remove();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    User,
    Kernel,
}

/// Has this thread and what it starts see no segments but their own. False: it may not.
pub(crate) fn leave_machine() -> bool {
    // SAFETY: concerns the calling thread's namespace only.
    let left = unsafe { libc::unshare(libc::CLONE_NEWIPC) } == 0;
    if !left {
        eprintln!("not on the kernel backend: only root may have an IPC namespace of its own");
    }
    left
}

/// What a trial works on.
pub(crate) trait Ground {
    fn setting(&self) -> &Setting;
    fn observe(&self, seen: &mut Seen);
}

/// A region and its bytes.
pub(crate) struct World<C: Contents = Bank> {
    // Detached before the place goes.
    bytes: Attachment,
    /// Our own handle, kept joined where a living participant is called for.
    pub(crate) kept: Option<Region<C>>,
    locks: Vec<(String, usize)>,
    participants: usize,
    /// Bytes that nobody looks at before others tell that they are there, in their order.
    pub(crate) hidden: Vec<Range<usize>>,
    pub(crate) place: Place,
}

impl<C: Contents> Ground for World<C> {
    fn setting(&self) -> &Setting {
        &self.place.setting
    }

    fn observe(&self, seen: &mut Seen) {
        let mut bytes = Vec::new();
        let mut at = 0;
        let end = self.bytes.size_bytes()..usize::MAX;
        for hidden in self.hidden.iter().chain(std::iter::once(&end)) {
            let before = bytes.len();
            bytes.resize(before + hidden.start - at, 0);
            self.bytes.read(at, &mut bytes[before..]).unwrap();
            at = hidden.end;
        }
        if !self.hidden.is_empty() {
            seen.leave_out();
        }
        seen.volatile(&bytes);
        mask(&mut bytes, self.participants);
        seen.part("header", &bytes[..LOCK_AT]);
        seen.part("lock and log", &bytes[LOCK_AT..SLOTS_AT]);
        seen.part("slots", &bytes[SLOTS_AT..SLOTS_AT + self.participants * SLOT_SIZE]);
        for part in bytes[SLOTS_AT + self.participants * SLOT_SIZE..].chunks(64) {
            seen.stable(part);
        }
    }
}

impl World {
    pub(crate) fn new(on: On, participants: usize) -> io::Result<World> {
        let rows = || Rows(vec![OPENING; 2]);
        World::of(on, participants, || BankInitial { rates: OLD, accounts: rows(), ..Default::default() })
    }

    /// Rings every bell's bit: somebody may be asleep there.
    pub(crate) fn leave_sleepers(&self) {
        for at in [self.offset_of("rates") + 8, self.offset_of("accounts"), self.offset_of("bell") + 8] {
            self.poke(at, self.half(at) | 1);
        }
        for (_, lock) in &self.locks {
            self.poke(lock + BELL_OF_LOCK, self.half(lock + BELL_OF_LOCK) | 1);
        }
        let drained = self.lock_at("files") + 32;
        self.poke(drained, 1);
    }

    /// Takes back what a transaction over all values did after it was committed, and has its process die there.
    pub(crate) fn die_committed(&mut self) {
        let region = self.kept.as_ref().unwrap();
        let done: Result<(), coseg::Error> = region.transaction(|change| {
            change.set(&region.rates, NEW)?;
            change.update(&region.accounts.row(0)?, |account| account.balance -= 30)?;
            change.update(&region.accounts.row(1)?, |account| account.balance += 30)
        });
        done.unwrap();
        let accounts = self.offset_of("accounts");
        for version_at in [self.offset_of("rates"), accounts + 64, accounts + 128] {
            self.set_word(version_at, self.word(version_at) - 1);
        }
        self.set_word(LOG_AT, self.word(LOG_AT) | 3);
        self.die_holding("region");
    }
}

impl<C: Contents> World<C> {
    pub(crate) fn of(
        on: On,
        participants: usize,
        initial: impl FnOnce() -> C::Initial,
    ) -> io::Result<World<C>> {
        let place = Place::new(on)?;
        let options = place.setting.at::<C>("maker").participants(participants);
        let region = options.create(initial).map_err(io::Error::other)?;
        let bytes = region.segment().attach().map_err(io::Error::other)?;
        let mut locks: Vec<(String, usize)> = vec![("region".to_owned(), LOCK_AT)];
        let parts = region.schema().parts.iter().filter(|part| part.kind.is_lock());
        locks.extend(parts.map(|part| (part.name.clone(), part.offset)));
        Ok(World { bytes, kept: Some(region), locks, participants, hidden: Vec::new(), place })
    }

    /// Leaves the region to the victim. What another test has just forked shares our attachment until it runs its own
    /// program; the victim would be given the next slot.
    pub(crate) fn leave(&mut self) {
        let Some(region) = self.kept.take() else { return };
        let segment = region.segment().clone();
        drop(region);
        while segment.backend().is_marked(segment.id(), 0).is_ok_and(|marked| marked == Some(true)) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    pub(crate) fn offset_of(&self, part: &str) -> usize {
        self.kept.as_ref().unwrap().schema().parts.iter().find(|found| found.name == part).unwrap().offset
    }

    /// Whether whoever comes has to take a dead one's slot.
    pub(crate) fn is_crowded(&self) -> bool {
        self.participants == 1
    }

    pub(crate) fn lock_at(&self, name: &str) -> usize {
        self.locks.iter().find(|lock| lock.0 == name).unwrap().1
    }

    pub(crate) fn word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        self.bytes.read(at, &mut bytes).unwrap();
        u64::from_ne_bytes(bytes)
    }

    pub(crate) fn set_word(&self, at: usize, word: u64) {
        self.bytes.write(at, &word.to_ne_bytes()).unwrap();
    }

    /// Where an entry of the log is.
    pub(crate) fn log_entry_at(&self, index: usize) -> usize {
        SLOTS_AT + self.participants * SLOT_SIZE + index * 16
    }

    pub(crate) fn half(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        self.bytes.read(at, &mut bytes).unwrap();
        u32::from_ne_bytes(bytes)
    }

    pub(crate) fn poke(&self, at: usize, value: u32) {
        self.bytes.write(at, &value.to_ne_bytes()).unwrap();
    }

    /// Gives a lock to our own handle.
    pub(crate) fn hold(&self, lock: &str) {
        self.poke(self.lock_at(lock), owner_word(0, self.half(SLOTS_AT + 8)));
    }

    /// Makes the participant of our own handle one that died.
    pub(crate) fn die(&mut self) {
        self.die_with(());
    }

    /// The same, with what it has in its hands; what giving that back changes is undone.
    pub(crate) fn die_with(&mut self, held: impl Sized) {
        let mut bytes = vec![0; self.bytes.size_bytes()];
        self.bytes.read(0, &mut bytes).unwrap();
        drop(held);
        drop(self.kept.take());
        self.bytes.write(0, &bytes).unwrap();
        self.set_word(SLOTS_AT, self.word(SLOTS_AT) & !PID_MASK | NOBODYS_PID);
    }

    /// The same, with a lock in its hands.
    pub(crate) fn die_holding(&mut self, lock: &str) {
        self.die();
        self.poke(self.lock_at(lock), owner_word(0, self.half(SLOTS_AT + 8)));
    }

    /// For each lock that a dead participant owns, its name and the pid that stands in its owner's slot.
    pub(crate) fn inheritances(&self) -> Vec<(String, u32)> {
        let held = |lock: &(String, usize)| {
            let owner = self.half(lock.1);
            let slot = (owner & 0xfff) as usize;
            (owner != 0).then(|| {
                let at = SLOTS_AT + (slot - 1) * SLOT_SIZE;
                let current = owner_word(slot - 1, self.half(at + 8)) == owner;
                let pid = u32::try_from(self.word(at) & PID_MASK).unwrap();
                (lock.0.clone(), if current { pid } else { 0 })
            })
        };
        self.locks.iter().filter_map(held).collect()
    }
}

/// A slot and its generation as lock words name them.
pub(crate) fn owner_word(slot: usize, generation: u32) -> u32 {
    u32::try_from(slot + 1).unwrap() | generation << 12
}

/// Blanks what differs from run to run: who, and when.
pub(crate) fn mask(bytes: &mut [u8], participants: usize) {
    let presence = |word: &mut [u8]| {
        let present = word.iter().any(|&byte| byte != 0);
        word.fill(u8::from(present));
    };
    presence(&mut bytes[8..16]);
    // When it was made, and the checksum over that.
    bytes[80..96].fill(0);
    for slot in bytes[SLOTS_AT..].chunks_exact_mut(SLOT_SIZE).take(participants) {
        presence(&mut slot[..8]);
        presence(&mut slot[16..24]);
        presence(&mut slot[40..48]);
    }
}
