//! A fresh world per test: an IPC namespace of the kernel's, or a directory of the user backend's.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal};

use crate::actor::{Actor, channel_pair};
use crate::names::{CLONE_NEWIPC, CLONE_NEWNS};
use crate::protocol::{Cmd, PACKET_MAX};

/// Which implementation the actors of a lab talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The kernel's own, the oracle.
    Kernel,
    /// The user backend, by way of the drop-in library.
    User,
}

/// What a world is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which implementation.
    pub column: Column,
    /// Several users share it: the user backend's directory is root's, sticky and world-writable.
    pub shared: bool,
    /// Variables for the actors.
    pub env: Vec<(&'static str, String)>,
    /// Mount a tmpfs of so many bytes for the user backend.
    pub tmpfs_bytes: Option<u64>,
    /// Mount a hugetlbfs.
    pub hugetlbfs: bool,
}

impl Setup {
    /// A private world without particularities.
    #[must_use]
    pub fn new(column: Column) -> Self {
        Self { column, shared: false, env: Vec::new(), tmpfs_bytes: None, hugetlbfs: false }
    }
}

/// A limit of the whole namespace.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Bytes in one segment.
    Shmmax(u64),
    /// Pages in all segments.
    Shmall(u64),
    /// Number of segments.
    Shmmni(u64),
    /// Whether a segment goes with its last detach.
    RmidForced(bool),
    /// Where the next id starts.
    NextId(i32),
}

impl Limit {
    fn parts(self) -> (&'static str, &'static str, String) {
        match self {
            Self::Shmmax(n) => ("shmmax", "--shmmax", n.to_string()),
            Self::Shmall(n) => ("shmall", "--shmall", n.to_string()),
            Self::Shmmni(n) => ("shmmni", "--shmmni", n.to_string()),
            Self::RmidForced(on) => ("shm_rmid_forced", "--rmid-forced", u8::from(on).to_string()),
            Self::NextId(n) => ("shm_next_id", "--next-id", n.to_string()),
        }
    }
}

/// What all actors of a lab have in common.
#[derive(Debug)]
pub(crate) struct World {
    born: RefCell<Vec<i32>>,
    /// Room for one packet, kept because clearing so much for every reply costs more than the reply.
    pub(crate) packet: RefCell<Vec<u8>>,
}

impl World {
    pub(crate) fn enrol(&self, pid: i32) {
        self.born.borrow_mut().push(pid);
    }

    /// No process of this world is waited for before its end, so an id never names a stranger.
    pub(crate) fn kill(&self, pid: i32, signal: Signal) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// A world and the process that founded it. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Lab {
    /// The first actor. It makes no System V call of its own: the others are its children.
    pub host: Actor,
    /// Which implementation.
    pub column: Column,
    process: Child,
    world: Rc<World>,
    dir: PathBuf,
    shared: bool,
    generation: u32,
}

/// Whether the tests may do what they must: be root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A file cargo built beside this program.
///
/// # Errors
/// It is in none of the places cargo puts it.
pub fn built(name: &str, variable: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let here = exe.parent().unwrap_or(Path::new("/"));
    let above = here.parent().unwrap_or(Path::new("/"));
    let places =
        [here.join(name), here.join("deps").join(name), above.join(name), above.join("deps").join(name)];
    let found = places.iter().find(|p| p.exists()).cloned();
    found.ok_or_else(|| {
        format!("{name} is not beside {}: build the workspace or set {variable}", exe.display())
    })
}

const DIRS: &str = "/dev/shm";

/// Removes what test programs left that were killed before they could.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(DIRS) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("coseg-lab-")?.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn fresh_dir() -> PathBuf {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{DIRS}/coseg-lab-{}-{serial}", std::process::id()).into()
}

impl Lab {
    /// A private world.
    #[must_use]
    pub fn new(column: Column) -> Self {
        Self::with(&Setup::new(column))
    }

    /// A world of this description.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn with(setup: &Setup) -> Self {
        let dir = fresh_dir();
        std::fs::create_dir(&dir).expect("a directory in /dev/shm");
        let world =
            Rc::new(World { born: RefCell::new(Vec::new()), packet: RefCell::new(vec![0; PACKET_MAX]) });
        let (ours, theirs) = channel_pair();
        let actor = built("actor", "COSEG_ACTOR").unwrap_or_else(|e| panic!("{e}"));
        let mut command = Command::new(actor);
        command.arg("host").stdin(Stdio::from(theirs)).stdout(Stdio::null());
        command.env_remove("LD_PRELOAD").env_remove("COSEG_DIR").env_remove("COSEG_RESERVE");
        if setup.column == Column::User {
            let preload = built("libcoseg_preload.so", "COSEG_PRELOAD").unwrap_or_else(|e| panic!("{e}"));
            command.env("LD_PRELOAD", preload).env("COSEG_DIR", dir.join("ns"));
        }
        command.envs(setup.env.iter().map(|(k, v)| (k, v)));
        let process = command.spawn().expect("the actor starts");
        drop(command);
        let host = Actor::meet(ours, Rc::clone(&world));
        let lab =
            Self { host, column: setup.column, process, world, dir, shared: setup.shared, generation: 0 };
        lab.furnish(setup);
        lab
    }

    /// Also under the drop-in library the host leaves the IPC namespace, so that a call which is not
    /// interposed cannot leave a segment in the machine's.
    fn furnish(&self, setup: &Setup) {
        let run = |cmd: Cmd| self.host.run(&cmd).answer().unwrap_or_else(|e| panic!("{cmd:?}: {e}"));
        run(Cmd::Unshare { flags: CLONE_NEWIPC | CLONE_NEWNS });
        let mount = |source: &str, target: &Path, fstype: &str, flags, data: String| {
            let target = target.display().to_string();
            run(Cmd::Mount { source: source.into(), target, fstype: fstype.into(), flags, data });
        };
        mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, String::new());
        if let Some(bytes) = setup.tmpfs_bytes {
            mount("tmpfs", &self.dir, "tmpfs", 0, format!("size={bytes},mode=0755"));
        }
        if setup.hugetlbfs {
            let huge = self.dir.join("huge");
            std::fs::create_dir(&huge).expect("a mount point");
            mount("none", &huge, "hugetlbfs", 0, "mode=01777".into());
        }
        if setup.column == Column::User {
            let provider = self.host.run(&Cmd::Provider).data;
            let provider = String::from_utf8_lossy(&provider);
            assert!(provider.contains("coseg_preload"), "shmget is {provider}'s: the drop-in has none");
            self.make_namespace_dir(&self.namespace_dir());
        }
    }

    fn make_namespace_dir(&self, dir: &Path) {
        let mode = if self.shared { 0o1777 } else { 0o700 };
        // The host makes it: a tmpfs mounted for this lab is seen by its actors alone.
        let cmd = Cmd::Mkdir { path: dir.display().to_string(), mode };
        self.host.run(&cmd).answer().expect("a directory for the namespace");
    }

    /// The user backend's directory.
    #[must_use]
    pub fn namespace_dir(&self) -> PathBuf {
        if self.generation == 0 {
            self.dir.join("ns")
        } else {
            self.dir.join(format!("ns{}", self.generation))
        }
    }

    /// A scratch directory that goes with the lab.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.dir
    }

    /// Whether the kernel answers.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.column == Column::Kernel
    }

    /// A process that has attached nothing and shares nothing with the other actors.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.host.fork()
    }

    /// A process of a plain user without capabilities.
    #[must_use]
    pub fn user(&self, uid: u32) -> Actor {
        let actor = self.actor();
        actor.setuid(uid);
        actor
    }

    /// Ends every actor but the host and starts over in an empty world of the same kind.
    pub fn renew(&mut self) {
        self.end_actors();
        self.host.reap();
        self.generation += 1;
        match self.column {
            Column::Kernel => {
                self.host.run(&Cmd::Unshare { flags: CLONE_NEWIPC }).answer().expect("a new IPC namespace");
            }
            Column::User => {
                let old = self.dir.join("ns");
                if self.generation > 1 {
                    let _ = std::fs::remove_dir_all(self.dir.join(format!("ns{}", self.generation - 1)));
                } else {
                    let _ = std::fs::remove_dir_all(old);
                }
                let new = self.namespace_dir();
                self.make_namespace_dir(&new);
                let value = new.display().to_string();
                self.host.run(&Cmd::Setenv { name: "COSEG_DIR".into(), value });
            }
        }
    }

    fn end_actors(&self) {
        for pid in self.world.born.borrow_mut().drain(..) {
            if pid != self.host.pid {
                self.world.kill(pid, Signal::KILL);
            }
        }
    }

    /// Sets a limit: a sysctl of the kernel's namespace, or the tool's `limits` for the user backend.
    pub fn set_limit(&self, limit: Limit) {
        self.try_limit(limit).unwrap_or_else(|e| panic!("{limit:?}: {e}"));
    }

    /// As [`Self::set_limit`], for values that may be refused.
    ///
    /// # Errors
    /// The kernel, or the tool, refused.
    pub fn try_limit(&self, limit: Limit) -> Result<(), String> {
        let (sysctl, flag, value) = limit.parts();
        match self.column {
            Column::Kernel => {
                self.host.write_file(&format!("/proc/sys/kernel/{sysctl}"), &value).map_err(|e| e.to_string())
            }
            Column::User => {
                let mut tool = Command::new(built("coseg", "COSEG_TOOL")?);
                tool.args(["limits", "--backend", "user", flag, &value]);
                let out = tool.env("COSEG_DIR", self.namespace_dir()).output().map_err(|e| e.to_string())?;
                let said = String::from_utf8_lossy(&out.stderr).into_owned();
                if out.status.success() {
                    Ok(())
                } else {
                    Err(format!("coseg limits: {} {said}", out.status))
                }
            }
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end_actors();
        // Orphans become the host's children only as their parents die, so it must outlive them all.
        if !std::thread::panicking() {
            self.host.reap();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
