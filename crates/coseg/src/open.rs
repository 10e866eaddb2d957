//! Making a region and opening one.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coseg_sysv::{Backend, Errno, IntoBackend, Key, Mode, Segment, SegmentOptions, caller};

use crate::base::Base;
use crate::guard;
use crate::header::{self, Building, Header, Stage};
use crate::identity::{Identity, Life};
use crate::layout::{Layout, NAME_SIZE};
use crate::memory::Memory;
use crate::part::{Contents, Plan};
use crate::schema::{Schema, compare, decode, encode, shown};
use crate::{Error, ErrorKind, PARTICIPANTS_MAX, Region, Result};

/// Slots for participants, unless asked otherwise.
const PARTICIPANTS: usize = 64;
/// How long an opener waits for somebody who is making the region.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same if he who made it is dead: somebody else may be about to finish it.
const PATIENCE_WITH_THE_DEAD: Duration = Duration::from_millis(200);
/// How long a key is tried whose segment is being removed.
const PATIENCE_WITH_THE_GOING: Duration = Duration::from_secs(1);
/// The longest pause between two looks at it.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How to find or make a region; made by [`Region::at`].
#[derive(Debug)]
#[must_use = "options do nothing until opened"]
pub struct RegionOptions<C> {
    key: Key,
    segment: Option<Segment>,
    backend: Option<Arc<dyn Backend>>,
    mode: Mode,
    owners: Vec<u32>,
    participant_count: usize,
    name: String,
    participant: Option<String>,
    guardable: bool,
    write_guard: bool,
    of: PhantomData<fn() -> C>,
}

impl<C: Contents> RegionOptions<C> {
    pub(crate) fn new(key: Key) -> RegionOptions<C> {
        RegionOptions {
            key,
            segment: None,
            backend: None,
            mode: Mode::PRIVATE,
            owners: Vec::new(),
            participant_count: PARTICIPANTS,
            name: String::new(),
            participant: None,
            guardable: false,
            write_guard: false,
            of: PhantomData,
        }
    }

    pub(crate) fn of(segment: &Segment) -> RegionOptions<C> {
        RegionOptions { segment: Some(segment.clone()), ..RegionOptions::new(segment.key()) }
    }

    /// The backend; without it, the one that [`coseg_sysv::choose`] chooses: `COSEG_BACKEND` names it.
    pub fn backend(mut self, backend: impl IntoBackend) -> Self {
        self.backend = Some(backend.into_backend());
        self
    }

    /// Permission bits, 0600 by default: of a new region's segment, and the most that an existing one may grant.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Trusts a region that this user made or owns. One's own and root's are trusted always.
    pub fn owner(mut self, uid: u32) -> Self {
        self.owners.push(uid);
        self
    }

    /// How many processes can join a new region at a time, 64 by default.
    pub fn participants(mut self, count: usize) -> Self {
        self.participant_count = count;
        self
    }

    /// The name of a new region, by which `coseg` finds it as `name:…`; at most 64 bytes, or making it fails.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// What this process calls itself among the participants; its command, if not given.
    pub fn participant(mut self, name: &str) -> Self {
        self.participant = Some(name.to_owned());
        self
    }

    /// Makes a new region one that can be guarded: the values of each cell and table get pages of their own, which
    /// takes less than 8 KiB more for each.
    pub fn guardable(mut self, guardable: bool) -> Self {
        self.guardable = guardable;
        self
    }

    /// Has the CPU guard the values of cells and tables against stray writes of this process: a store through a wild
    /// pointer, in a thread that is not just then in the innermost part of an update, ends in SIGSEGV (`SEGV_PKUERR`)
    /// instead of a spoilt value; a system call told to write there, in `EFAULT`. Off by default. Needs a region made
    /// with [`RegionOptions::guardable`], or with this, and memory protection keys, pkeys(7): an x86-64 CPU and kernel
    /// that show `ospke` in /proc/cpuinfo.
    ///
    /// An update changes a register twice, a transaction twice for each value it sets and twice more; that takes some
    /// tens of cycles each, and no system call. All guarded regions of a process share one of its fifteen keys.
    ///
    /// What it does not do:
    /// - It is this process's own affair. Others guard themselves, or do not.
    /// - Locks, counters, events, the counts of changes of cells and all else that is written without the region's lock
    ///   are not guarded. A stray write there is as bad as without a guard; of a cell it can bring back an older value.
    /// - The right to write is a thread's own. A thread that is in the innermost part of an update, and code that
    ///   changes the register itself, is not stopped.
    /// - `process_vm_writev`, /proc/PID/mem, ptrace, and mapping something else there are not stopped.
    /// - A thread that was there before the process's first guarded region, and each signal handler, begins without the
    ///   right even to read the values: by this crate it can, a pointer of its own faults.
    /// - A child of fork is guarded from its first change of the region on.
    /// - A region opened by [`RegionOptions::observe`] cannot be written by this process anyway; there this does
    ///   nothing.
    pub fn write_guard(mut self, write_guard: bool) -> Self {
        self.write_guard = write_guard;
        self
    }

    /// Opens an existing region, to read and to change it.
    ///
    /// # Errors
    /// [`ErrorKind::Segment`]: none has this key, or its mode forbids it. [`ErrorKind::NotARegion`],
    /// [`ErrorKind::Mismatch`], [`ErrorKind::Damaged`], [`ErrorKind::Untrusted`]: what is there is not what was asked
    /// for. [`ErrorKind::Unfinished`]: somebody is still making it. [`ErrorKind::NoSlot`],
    /// [`ErrorKind::OtherPidNamespace`]: it cannot be joined. [`ErrorKind::NotGuardable`],
    /// [`ErrorKind::NoProtectionKeys`]: there can be no write guard.
    pub fn open(self) -> Result<Region<C>> {
        let segment = self.found()?;
        let base = self.open_segment(segment, Access::Write, None)?;
        base.join()?;
        Ok(Region::new(Arc::new(base)))
    }

    /// Opens an existing region to look at. Nothing of it is changed, not even by joining it.
    ///
    /// # Errors
    /// Those of [`RegionOptions::open`] but those of joining.
    pub fn observe(self) -> Result<Region<C>> {
        let segment = self.found()?;
        let base = self.open_segment(segment, Access::Read, None)?;
        Ok(Region::new(Arc::new(base)))
    }

    /// Makes a region; with [`Key::PRIVATE`] always, otherwise if the key has none.
    ///
    /// # Errors
    /// [`ErrorKind::Segment`]: the key is taken, or there is no memory. [`ErrorKind::Exists`]: somebody else has made it
    /// in the segment. [`ErrorKind::BadValue`]: a name too long, no participants, a type that no schema can tell. And
    /// those of [`RegionOptions::open`].
    ///
    /// # Crash
    /// Killed anywhere, the process leaves a segment that nobody takes for a region, and that the next
    /// [`RegionOptions::open_or_create`] finishes.
    pub fn create(self, initial: impl FnOnce() -> C::Initial) -> Result<Region<C>> {
        let layout = self.layout()?;
        // Before anything is made.
        self.key_of_guard()?;
        let segment = match &self.segment {
            Some(segment) => segment.clone(),
            None => self.segment_options().size(layout.size_bytes).create(&self.chosen()?)?,
        };
        let object = object_of(&segment);
        let mut initial = Some(initial);
        let region = self.make(segment, &layout, &mut initial)?;
        if initial.is_some() {
            let fact = "somebody else has made it: open it, or remove it first";
            return Err(Error::new("create", object, ErrorKind::Exists, fact));
        }
        Ok(region)
    }

    /// Opens the region, or makes it; finishes one whose maker has died.
    ///
    /// # Errors
    /// Those of [`RegionOptions::open`] and [`RegionOptions::create`].
    ///
    /// # Panics
    /// If `initial` has more rows than a table. So does [`RegionOptions::create`].
    ///
    /// # Crash
    /// As [`RegionOptions::create`].
    pub fn open_or_create(self, initial: impl FnOnce() -> C::Initial) -> Result<Region<C>> {
        let layout = self.layout()?;
        self.key_of_guard()?;
        let mut initial = Some(initial);
        let since = Instant::now();
        loop {
            match self.try_open_or_create(&layout, &mut initial) {
                // It went while we came: then there is none, or another, a moment later.
                Err(error) if error.is_of_one_that_goes() && since.elapsed() < PATIENCE_WITH_THE_GOING => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    }

    fn try_open_or_create<I: FnOnce() -> C::Initial>(
        &self,
        layout: &Layout,
        initial: &mut Option<I>,
    ) -> Result<Region<C>> {
        if let Some(segment) = &self.segment {
            return self.make(segment.clone(), layout, initial);
        }
        let (options, backend) = (self.segment_options(), self.chosen()?);
        let segment = match options.size(layout.size_bytes).create(&backend) {
            // One of another size is told by its schema what it is.
            Err(error) if error.errno() == Errno::EEXIST => options.open(&backend)?,
            made => made?,
        };
        self.make(segment, layout, initial)
    }

    fn segment_options(&self) -> SegmentOptions {
        Segment::options(self.key).mode(self.mode)
    }

    /// Opens the region in a segment, or makes it there, for which `initial` is taken.
    fn make<I: FnOnce() -> C::Initial>(
        &self,
        segment: Segment,
        layout: &Layout,
        initial: &mut Option<I>,
    ) -> Result<Region<C>> {
        let base = self.open_segment(segment, Access::Write, Some(layout))?;
        let base = Arc::new(base);
        if matches!(header::stage(&base.memory), Stage::Unfinished(_)) {
            // Only the builder comes here.
            let building = Building(&base.memory);
            if let Some(initial) = initial.take() {
                C::fill(Region::<C>::new(Arc::clone(&base)).parts(), initial());
            }
            building.publish();
        }
        base.join()?;
        Ok(Region::new(base))
    }

    /// Attaches a segment and checks that it is the region wanted. With a layout to build, a segment that nobody has
    /// finished is claimed and laid out instead; its contents are then still to be written.
    fn open_segment(&self, segment: Segment, access: Access, build: Option<&Layout>) -> Result<Base> {
        self.check_trust(&segment)?;
        let attachment = match access {
            Access::Write => segment.attach()?,
            Access::Read => segment.attach_read_only()?,
        };
        let object = object_of(&segment);
        let mut memory = Memory::attached(attachment);
        if access == Access::Write
            && let Some(key) = self.key_of_guard()?
        {
            memory = memory.with_key(key);
        }
        let expected = Plan::of::<C>();
        let (mut since, mut pause) = (Instant::now(), Duration::from_micros(100));
        let mut last = (Identity::NOBODY, false);
        loop {
            match header::stage(&memory) {
                Stage::Ready => break,
                Stage::Removed => return Err(removed(object)),
                Stage::Foreign => return Err(not_a_region(object, &memory)),
                Stage::Unfinished(builder) => {
                    if let Some(layout) = build {
                        if memory.size_bytes() != layout.size_bytes {
                            return Err(not_a_region(object, &memory));
                        }
                        if header::claim(&memory, builder, &object)? {
                            header::lay_out(&memory, layout, &self.name, builder);
                            return Ok(Base::new(memory, layout.clone(), segment, self.participant_name()));
                        }
                    }
                    let is_dead = builder.life() == Life::Dead;
                    if last != (builder, is_dead) {
                        (last, since) = ((builder, is_dead), Instant::now());
                    }
                    let patience = if is_dead { PATIENCE_WITH_THE_DEAD } else { PATIENCE };
                    // Who was stopped since the look does not know what became of it.
                    if since.elapsed() >= patience && header::stage(&memory) == Stage::Unfinished(builder) {
                        return Err(unfinished(object, builder));
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        let Header { layout } = header::read(&memory, &object)?;
        self.check_schema(&object, &layout.schema, &expected)?;
        if self.write_guard && layout.guardable.is_none() {
            let fact = "its values share pages with its locks: make it anew with `.guardable(true)`, or open without \
                        a write guard";
            return Err(Error::new("guard", object, ErrorKind::NotGuardable, fact));
        }
        Ok(Base::new(memory, layout, segment, self.participant_name()))
    }

    fn check_schema(&self, object: &str, region: &Schema, program: &Schema) -> Result<()> {
        let differences = compare(region, program);
        if differences.count() == 0 {
            return Ok(());
        }
        let (theirs, ours) = (shown(&region.name), shown(&program.name));
        let fact = format!("it was made for `{theirs}`, this program expects `{ours}`:");
        Err(Error::new("open", object, ErrorKind::Mismatch(differences), fact))
    }

    /// By key one may get what anybody made; with more permission than we gave, anybody may have changed it.
    fn check_trust(&self, segment: &Segment) -> Result<()> {
        let stat = segment.stat()?;
        let own = caller::effective_uid();
        let trusted = |uid: u32| uid == own || uid == 0 || self.owners.contains(&uid);
        let untrusted =
            |fact: String| Err(Error::new("open", object_of(segment), ErrorKind::Untrusted, fact));
        for (role, uid) in [("owner", stat.uid), ("creator", stat.creator_uid)] {
            if !trusted(uid) {
                return untrusted(format!(
                    "its {role} is uid {uid}, you are {own}: if that is right, say `.owner({uid})`"
                ));
            }
        }
        let excess = stat.mode.bits() & !self.mode.bits() & 0o066;
        if excess != 0 {
            return untrusted(format!(
                "its mode {:o} lets others in, you asked for {:o}: if that is right, say `.mode({:#o})`",
                stat.mode.bits() & 0o777,
                self.mode.bits() & 0o777,
                stat.mode.bits() & 0o777
            ));
        }
        Ok(())
    }

    /// The layout of a new region, if there can be one that others can open.
    fn layout(&self) -> Result<Layout> {
        let refused = |fact: String| {
            Err(Error::new("lay out", format!("region {}", self.key), ErrorKind::BadValue, fact))
        };
        if self.name.len() > NAME_SIZE {
            return refused(format!("its name has {} bytes, there is room for {NAME_SIZE}", self.name.len()));
        }
        if !(1..=PARTICIPANTS_MAX).contains(&self.participant_count) {
            let asked = self.participant_count;
            return refused(format!("room for {asked} participants: ask for 1 to {PARTICIPANTS_MAX}"));
        }
        let schema = Plan::of::<C>();
        if let Some(part) = schema.parts.iter().find(|part| u32::try_from(part.room_bytes).is_err()) {
            return refused(format!(
                "a value of `{}` has {} bytes, at most 2^32 - 1 can be",
                part.name, part.room_bytes
            ));
        }
        if let Err(malformed) = decode(&encode(&schema)) {
            return refused(format!(
                "nobody could open it, for its schema would be refused: {}",
                malformed.0
            ));
        }
        let lay_out = if self.guardable || self.write_guard { Layout::guardable } else { Layout::new };
        lay_out(schema, self.participant_count).or_else(|_| {
            refused("its parts together are larger than an address space, or its schema than 1 MiB".into())
        })
    }

    fn key_of_guard(&self) -> Result<Option<guard::Key>> {
        if !self.write_guard {
            return Ok(None);
        }
        let object = || match &self.segment {
            Some(segment) => object_of(segment),
            None => format!("region {}", self.key),
        };
        let refused = |fact| Error::new("guard", object(), ErrorKind::NoProtectionKeys, fact);
        guard::Key::of_process().map(Some).map_err(refused)
    }

    fn found(&self) -> Result<Segment> {
        match &self.segment {
            Some(segment) => Ok(segment.clone()),
            None if self.key.is_private() => {
                let fact = "a private region has no key: open it by its segment, with `Region::of`";
                Err(Error::new("open", "region", ErrorKind::BadValue, fact))
            }
            None => Ok(Segment::options(self.key).open(&self.chosen()?)?),
        }
    }

    fn chosen(&self) -> Result<Arc<dyn Backend>> {
        match &self.backend {
            Some(backend) => Ok(Arc::clone(backend)),
            None => Ok(coseg_sysv::choose(None)?),
        }
    }

    fn participant_name(&self) -> String {
        self.participant.clone().unwrap_or_else(|| {
            let command = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
            command.trim_end().to_owned()
        })
    }
}

/// What a region is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// How errors name a segment that may be a region.
pub(crate) fn object_of(segment: &Segment) -> String {
    match segment.key() {
        Key::PRIVATE => format!("region id {}", segment.id()),
        key => format!("region {key} (id {})", segment.id()),
    }
}

fn not_a_region(object: String, memory: &Memory) -> Error {
    let fact = format!(
        "a segment of {} bytes is there, and it is no region: look with `coseg stat`, or use another key",
        memory.size_bytes()
    );
    Error::new("open", object, ErrorKind::NotARegion, fact)
}

fn removed(object: String) -> Error {
    let fact = "it was removed, and its key not yet freed: remove the segment, `coseg rm`";
    Error::new("open", object, ErrorKind::Removed, fact)
}

fn unfinished(object: String, builder: Identity) -> Error {
    let fact = match builder {
        Identity::NOBODY => "nobody has begun to make it: is it another program's segment?".to_owned(),
        builder if builder.life() == Life::Dead => {
            "who was making it has died or given up: who opens it with what it starts as finishes it"
                .to_owned()
        }
        builder => format!("process {} has not finished making it: is it stopped?", builder.pid()),
    };
    Error::new("open", object, ErrorKind::Unfinished, fact)
}
