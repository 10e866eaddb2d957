//! Attacks on a namespace of the user backend: by other users, by damaged files, and by what programs do to
//! themselves. Whatever is done, a caller gets an error or a right answer, and soon.
#![allow(unsafe_code, reason = "forks, changes of user, attaching by hand")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod damage;
mod data;
mod directory;
mod forge;
mod members;
mod peer;
mod processes;
mod timeout;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coseg_crash::{Scratch, again, role, survive};
use coseg_sysv::{AttachFlags, Backend, Error, GetFlags, Key, Mode, ShmId, User};

use peer::Peer;

/// Two users without privileges, who share no group.
pub(crate) const OWNER: u32 = 1000;
pub(crate) const OTHER: u32 = 1001;

const WORLD: &str = "COSEG_TEST_WORLD";
const LIMIT: Duration = Duration::from_secs(60);

/// Plays a test in a process of its own, in a fresh directory that any user may look at. What crashes or never
/// ends there fails the test and nothing else.
pub(crate) fn apart(test: &str, play: fn(&Path)) {
    if role().is_some() {
        return play(&PathBuf::from(env::var_os(WORLD).unwrap()));
    }
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: needs root, to act as several users");
        return;
    }
    let world = Scratch::within("/dev/shm".as_ref()).unwrap();
    chmod(world.path(), 0o755);
    let mut command = again(test, "play");
    command.env(WORLD, world.path()).env_remove("COSEG_DIR").env_remove("TMPDIR");
    if let Err(why) = survive(command, LIMIT) {
        panic!("{why}");
    }
}

/// Runs as another user, in a fork; what it returns comes back as text.
pub(crate) fn by<T: ToString>(uid: u32, play: impl FnOnce() -> T) -> String {
    let mut peer = Peer::start(uid, |peer| peer.say(play()));
    let said = peer.hear();
    peer.finish();
    said
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A namespace that root made for everybody.
pub(crate) fn shared(world: &Path) -> PathBuf {
    let directory = world.join("shared");
    std::fs::create_dir(&directory).unwrap();
    chmod(&directory, 0o1777);
    directory
}

pub(crate) fn create(user: &User, key: i32, mode: u32) -> ShmId {
    user.get(Key::new(key), 5000, GetFlags::CREATE.with_mode(Mode::new(mode))).unwrap()
}

pub(crate) fn attach_as(user: &User, id: ShmId, flags: AttachFlags) -> Result<usize, Error> {
    // SAFETY: not a replacing attach.
    unsafe { user.attach(id, 0, flags) }.map(|mapped| mapped.address)
}

pub(crate) fn attach(user: &User, id: ShmId) -> usize {
    attach_as(user, id, AttachFlags::NONE).unwrap()
}

pub(crate) fn detach(user: &User, address: usize) -> Result<(), Error> {
    // SAFETY: the tests read and write what they attach before they detach it.
    unsafe { user.detach(address) }
}

pub(crate) fn nattch(user: &User, id: ShmId) -> u64 {
    user.stat(id).unwrap().attachment_count
}

/// A byte of an attached segment.
pub(crate) fn peek(address: usize, offset: usize) -> u8 {
    // SAFETY: the callers attached more bytes than that, and no reference is made.
    unsafe { std::ptr::read_volatile((address + offset) as *const u8) }
}

pub(crate) fn poke(address: usize, offset: usize, byte: u8) {
    // SAFETY: as in `peek`, attached for writing.
    unsafe { std::ptr::write_volatile((address + offset) as *mut u8, byte) };
}

/// Whether anything is mapped there.
pub(crate) fn is_mapped(address: usize) -> bool {
    // SAFETY: asks only; what is not mapped is an error.
    unsafe { libc::msync(address as *mut libc::c_void, 4096, libc::MS_ASYNC) == 0 }
}

/// What an error must say: where it is, so that somebody can do something about it.
#[track_caller]
pub(crate) fn assert_told(error: &Error, errno: coseg_sysv::Errno, directory: &Path) {
    assert_eq!(error.errno(), errno, "{error}");
    let text = error.to_string();
    assert!(text.contains(directory.to_str().unwrap()), "does not name {}: {text}", directory.display());
}

/// Small numbers that look random and are the same every time.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}
