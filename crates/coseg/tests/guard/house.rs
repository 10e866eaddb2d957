//! Where the tests run: each backend in a world of its own, processes that play a part, and what is guarded.
#![allow(unsafe_code, reason = "leaves the IPC namespace of the machine")]

use std::env;
use std::ops::Range;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use coseg::{Cell, Counter, ErrorKind, Event, Lock, Region, RegionOptions, Rows, RwLock, Table};
use coseg_sysv::{Backend, Kernel, Key, User};

#[derive(Region)]
pub(crate) struct Office {
    pub(crate) bell: Event,
    pub(crate) board: Cell<[u64; 4]>,
    pub(crate) door: Lock,
    pub(crate) ledger: Table<[u64; 2], 100>,
    pub(crate) trades: Counter,
    pub(crate) files: RwLock,
}

pub(crate) const KEY: Key = Key::new(0x4558);
/// Words that are found by their looks.
pub(crate) const BOARD: u64 = 0xb0a2_d000_b0a2_d000;
pub(crate) const ROW: u64 = 0x2020_0000_2020_0001;

/// A backend of the test's own.
pub(crate) struct World {
    pub(crate) backend: Arc<dyn Backend>,
    directory: Option<tempfile::TempDir>,
}

/// Runs a test on each backend.
pub(crate) fn on_each(test: impl Fn(&World) + Sync) {
    // The pages of one test are not to be taken for another's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::Builder::new().prefix("coseg-test-").tempdir_in("/dev/shm").unwrap();
    let user: Arc<dyn Backend> = Arc::new(User::at(directory.path()).unwrap());
    test(&World { backend: user, directory: Some(directory) });
    std::thread::scope(|scope| {
        let kernel = scope.spawn(|| {
            // SAFETY: concerns the calling thread's namespace only.
            if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
                eprintln!("not on the kernel backend: only root may have an IPC namespace of its own");
                return;
            }
            test(&World { backend: Arc::new(Kernel), directory: None });
        });
        kernel.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// The same, where there are keys.
pub(crate) fn with_keys(test: impl Fn(&World) + Sync) {
    on_each(|world| {
        match world.office().write_guard(true).create(initial) {
            Ok(probe) => probe.remove().unwrap(),
            Err(error) => {
                assert_eq!(error.kind(), &ErrorKind::NoProtectionKeys, "{error}");
                assert!(env::var_os("COSEG_GUARD_MUST").is_none(), "{error}");
                eprintln!("left out: {error}");
                return;
            }
        }
        test(world);
    });
}

pub(crate) fn initial() -> OfficeInitial {
    OfficeInitial { board: [BOARD; 4], ledger: Rows(vec![[ROW; 2]; 100]), ..Default::default() }
}

impl World {
    pub(crate) fn office(&self) -> RegionOptions<Office> {
        Region::<Office>::at(KEY).backend(&self.backend)
    }

    /// A region that this process guards.
    pub(crate) fn guarded(&self) -> Region<Office> {
        self.office().write_guard(true).create(initial).unwrap()
    }

    /// Another run of this program, in a role.
    pub(crate) fn play(&self, role: &str) -> Command {
        let mut command = coseg_crash::again("house::player", role);
        match &self.directory {
            Some(directory) => command.env("COSEG_TEST_DIR", directory.path()),
            None => command.env_remove("COSEG_TEST_DIR"),
        };
        command
    }

    /// What such a run said and how it ended.
    pub(crate) fn played(&self, role: &str) -> (Output, String) {
        let output = self.play(role).stdout(Stdio::piped()).output().unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        (output, String::from_utf8_lossy(&said).into_owned())
    }
}

/// What a process in a role does; nothing in a usual run.
#[test]
fn player() {
    let Some(role) = coseg_crash::role() else { return };
    let backend: Arc<dyn Backend> = match env::var("COSEG_TEST_DIR") {
        Ok(directory) => Arc::new(User::at(directory).unwrap()),
        Err(_) => Arc::new(Kernel),
    };
    let office = Region::<Office>::at(KEY).backend(&backend);
    match role.split_once(' ') {
        Some(("strays", where_)) => crate::strays::stray(office, where_),
        Some(("takes", "all keys")) => crate::refused::take_all_keys(office),
        Some(("sets", number)) => crate::killed::set(office, number.parse().unwrap()),
        Some(("works", how)) => crate::shared::work(office, how),
        _ => panic!("{role}?"),
    }
}

/// The pages of this process that have a key, as the kernel says.
pub(crate) fn guarded_pages() -> Vec<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut current, mut found) = (0..0, Vec::new());
    for line in maps.lines() {
        let first = line.split(' ').next().unwrap();
        let number = |text| usize::from_str_radix(text, 16).ok();
        if let Some((start, end)) = first.split_once('-')
            && let (Some(start), Some(end)) = (number(start), number(end))
        {
            current = start..end;
        } else if let Some(key) = line.strip_prefix("ProtectionKey:")
            && key.trim() != "0"
        {
            found.push(current.clone());
        }
    }
    found
}
