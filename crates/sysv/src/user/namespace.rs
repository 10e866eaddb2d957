//! A namespace: the directory, whom it belongs to, and the registry in it.

use std::path::{Path as StdPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Errno, caller};

use super::file::{self, BlockedSignals, Fd, Meta, Path};
use super::layout::{self, Damage, HEADER_SIZE, Header};
use super::process::{self, Kept};
use super::section::Descriptors;
use super::{Fault, huge, pins, with_descriptors};

/// A namespace that this process uses. They are never freed: attachments and fork handlers refer to them until the process
/// ends.
#[derive(Debug)]
pub(super) struct Namespace {
    /// With a slash behind it.
    directory: Path,
    /// The same without links on the way, as the kernel names mapped files.
    resolved: Path,
    registry: Path,
    /// Made by root or a group for several users: files carry the segments' modes.
    pub(super) shared: bool,
    pub(super) kept: Kept,
    salt: AtomicU64,
    registry_device: AtomicU64,
    registry_inode: AtomicU64,
}

static OPENED: Mutex<Vec<&'static Namespace>> = Mutex::new(Vec::new());

/// The list of namespaces, nobody else's while this lives.
pub(super) type Opened = MutexGuard<'static, Vec<&'static Namespace>>;

/// Waits for whoever opens a namespace.
pub(super) fn opened() -> Opened {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All namespaces that this process has opened.
pub(super) fn each_opened(mut visit: impl FnMut(&'static Namespace)) {
    for namespace in opened().iter() {
        visit(namespace);
    }
}

/// Closes what is kept of namespaces that were deleted: a process may go through many.
fn forget_deleted() {
    // Nobody is to work with a number that becomes another file's.
    let _working = process::work();
    each_opened(|namespace| {
        if namespace.kept.get_checked().is_none() {
            namespace.kept.forget();
        }
    });
}

/// What is first found in a namespace that this process has opened, for a mapped file of this path: in those whose
/// directory the path tells, else in any, as where a directory has several names.
pub(super) fn find_opened<T>(path: &[u8], find: impl Fn(&'static Namespace) -> Option<T>) -> Option<T> {
    let opened = opened();
    let is_told = |namespace: &&&'static Namespace| namespace.is_above(path);
    let told = opened.iter().filter(is_told).find_map(|namespace| find(namespace));
    told.or_else(|| {
        opened.iter().filter(|namespace| !is_told(namespace)).find_map(|namespace| find(namespace))
    })
}

/// Which directory the environment names: `COSEG_DIR`, else `/dev/shm/coseg-UID`, else `$TMPDIR/coseg-UID`.
pub(super) fn directory_of_environment() -> PathBuf {
    if let Some(directory) = caller::trusted_variable("COSEG_DIR") {
        return directory.into();
    }
    default_directory()
}

/// Where a user's own namespace is.
fn default_directory() -> PathBuf {
    let name = format!("coseg-{}", caller::effective_uid());
    let in_memory = StdPath::new("/dev/shm").join(&name);
    // One that exists is the one, whoever made it; whether it can be trusted is looked at when it is opened.
    if in_memory.symlink_metadata().is_ok() || caller::may_write(c"/dev/shm") {
        return in_memory;
    }
    let temporary = caller::trusted_variable("TMPDIR");
    PathBuf::from(temporary.unwrap_or_else(|| "/tmp".into())).join(name)
}

impl Namespace {
    /// Opens the namespace of a directory, and makes what is missing.
    pub(super) fn open(directory: &StdPath) -> Result<&'static Namespace, Fault> {
        let absolute = std::path::absolute(directory).map_err(|_| Fault::from(Errno::ENOENT))?;
        let mut bytes = absolute.as_os_str().as_encoded_bytes().to_vec();
        while bytes.last() == Some(&b'/') {
            bytes.pop();
        }
        if bytes.len() > Path::LONGEST_DIRECTORY {
            return Err(Fault::because(Errno::ENAMETOOLONG, "the directory's path has more than 400 bytes"));
        }
        let path = Path::new(&bytes)?;
        // A signal would come with a file that is larger than allowed; and a handler that forks would wait for the
        // list that its own thread has.
        let _signals = BlockedSignals::new();
        let mut opened = opened();
        let directory = path.with(b"/");
        if let Some(known) = opened.iter().find(|known| known.directory.as_bytes() == directory.as_bytes()) {
            return Ok(known);
        }
        let shared = with_descriptors(|_| trust(&path, absolute != default_directory()), Descriptors::Kept)?;
        let namespace: &'static Namespace = Box::leak(Box::new(Namespace {
            directory,
            resolved: resolved(&absolute).unwrap_or(directory),
            registry: directory.with(b"registry"),
            shared,
            kept: Kept::new(),
            salt: AtomicU64::new(0),
            registry_device: AtomicU64::new(0),
            registry_inode: AtomicU64::new(0),
        }));
        process::watch_forks();
        with_descriptors(|_| namespace.open_registry().map(drop), Descriptors::Kept)?;
        opened.push(namespace);
        drop(opened);
        forget_deleted();
        Ok(namespace)
    }

    /// Where this namespace's paths begin.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The data file of a segment.
    pub(super) fn data_path(&self, id: i32) -> Path {
        self.directory.with(b"seg-").with_number(u64::from(id.unsigned_abs()))
    }

    /// The data file of a record, wherever it lies.
    pub(super) fn path_of(&self, id: i32, huge_log2: u8) -> Result<Path, Fault> {
        if huge_log2 == 0 { Ok(self.data_path(id)) } else { huge::path_of(self, id, huge_log2) }
    }

    /// The id that a mapped file's path names, if the file is one of ours.
    pub(super) fn id_of_path(&self, path: &[u8]) -> Option<i32> {
        let name_at = path.iter().rposition(|&byte| byte == b'/')? + 1;
        let name = &path[name_at..];
        id_of_name(name).or_else(|| huge::id_of_name(self, name))
    }

    /// Whether a mapped file of this path lies in the directory.
    pub(super) fn is_above(&self, path: &[u8]) -> bool {
        [&self.directory, &self.resolved].iter().any(|directory| {
            path.strip_prefix(directory.as_bytes()).is_some_and(|name| !name.contains(&b'/'))
        })
    }

    /// What the records' checksums start from.
    pub(super) fn salt(&self) -> u64 {
        self.salt.load(Ordering::Acquire)
    }

    /// Device and inode of the registry.
    pub(super) fn registry_file(&self) -> (u64, u64) {
        (self.registry_device.load(Ordering::Relaxed), self.registry_inode.load(Ordering::Relaxed))
    }

    /// The bits of a data file's mode for a segment's mode.
    pub(super) fn file_mode(&self, mode: crate::Mode) -> u32 {
        if self.shared { mode.bits() & 0o666 } else { 0o600 }
    }

    /// Opens the registry, made if it is missing, emptied if the machine was started anew since.
    pub(super) fn open_registry(&self) -> Result<Fd, Fault> {
        for _ in 0..16 {
            let fd = match file::open(&self.registry, libc::O_RDWR, 0) {
                Ok(fd) => fd,
                Err(Errno::ENOENT) => match self.make_registry() {
                    Ok(fd) => fd,
                    // Somebody else was faster.
                    Err(Fault { errno: Errno::EEXIST, .. }) => continue,
                    // Which would say that there is no such key.
                    Err(Fault { errno: Errno::ENOENT, .. }) => {
                        return Err(Fault::because(
                            Errno::EIO,
                            "the namespace's directory is gone: make it anew",
                        ));
                    }
                    Err(fault) => return Err(fault),
                },
                Err(Errno::ELOOP) => {
                    return Err(Fault::because(Errno::EPERM, "the file `registry` is a link"));
                }
                Err(Errno::EACCES) => {
                    return Err(Fault::because(Errno::EPERM, "the file `registry` may not be opened by you"));
                }
                Err(Errno::EISDIR | Errno::ENXIO | Errno::ENODEV) => return Err(Damage::Foreign.into()),
                Err(errno) => return Err(errno.into()),
            };
            let meta = file::fstat(fd.raw())?;
            if !meta.is_file() {
                return Err(Damage::Foreign.into());
            }
            self.check_registry_owner(&meta)?;
            let header = match self.read_header(fd.raw(), &mut [0; HEADER_SIZE]) {
                Err(Damage::Retired) => {
                    // Whoever retires one takes its name away at once; help, should he have died in between. In
                    // memory none outlives the machine's start: there somebody made this one up.
                    if file::filesystem(fd.raw())?.is_memory {
                        return Err(Damage::Retired.into());
                    }
                    self.retire(&fd)?;
                    continue;
                }
                other => other?,
            };
            if !file::filesystem(fd.raw())?.is_memory && header.boot_id != boot_id() {
                self.retire(&fd)?;
                continue;
            }
            self.registry_device.store(meta.device, Ordering::Relaxed);
            self.registry_inode.store(meta.inode, Ordering::Relaxed);
            self.salt.store(header.salt(), Ordering::Release);
            return Ok(fd);
        }
        Err(Fault::because(Errno::EAGAIN, "the registry is being replaced over and over"))
    }

    fn check_registry_owner(&self, meta: &Meta) -> Result<(), Fault> {
        let me = caller::effective_uid();
        if !self.shared && meta.uid != me {
            return Err(Fault::because(Errno::EPERM, "the file `registry` is another user's"));
        }
        if !self.shared && meta.mode & 0o022 != 0 {
            return Err(Fault::because(
                Errno::EPERM,
                "the file `registry` is writable by others: chmod 600 it",
            ));
        }
        Ok(())
    }

    /// Reads header and log, and makes out the header.
    pub(super) fn read_header(&self, fd: i32, bytes: &mut [u8; HEADER_SIZE]) -> Result<Header, Damage> {
        match file::pread(fd, bytes, 0) {
            Ok(HEADER_SIZE) => Header::decode(bytes),
            Ok(_) => Err(Damage::Truncated),
            Err(_) => Err(Damage::Foreign),
        }
    }

    /// Makes the registry aside and lets it appear whole.
    fn make_registry(&self) -> Result<Fd, Fault> {
        let mut initial = vec![0; layout::INITIAL_SIZE];
        let header = Header::new(random_uuid()?, boot_id()).encode();
        initial[..header.len()].copy_from_slice(&header);

        let mode = if self.shared { self.shared_mode()? } else { 0o600 };
        let folder = Path::new(self.directory.as_bytes().strip_suffix(b"/").unwrap_or_default())?;
        let (fd, name) = match file::open(&folder, libc::O_TMPFILE | libc::O_RDWR, mode) {
            Ok(fd) => (fd, None),
            // Not every filesystem makes files without a name. A maker's leftover is told by its dead pid.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
                let name =
                    self.directory.with(b"making-").with_number(u64::from(caller::pid().unsigned_abs()));
                let _ = file::unlink(&name);
                let fd = file::open(&name, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, mode)?;
                (fd, Some(name))
            }
            Err(errno) => return Err(errno.into()),
        };
        let result = (|| {
            file::change_mode(fd.raw(), mode)?;
            if self.shared {
                // Its group is the directory's, which is whom it is shared with.
                let _ = file::change_group(fd.raw(), file::stat(&folder)?.gid);
            }
            pins::check_filesystem(fd.raw())?;
            file::pwrite(fd.raw(), &initial, 0)?;
            file::truncate(fd.raw(), layout::FILE_SIZE)?;
            match &name {
                None => file::link_unnamed(&fd, &self.registry)?,
                Some(name) => file::link(name, &self.registry)?,
            }
            Ok(())
        })();
        if let Some(name) = name {
            let _ = file::unlink(&name);
        }
        result.map(|()| fd)
    }

    /// The registry of a shared namespace may be written by whoever may write in the directory.
    fn shared_mode(&self) -> Result<u32, Fault> {
        let meta = file::stat(&Path::new(self.directory.as_bytes().strip_suffix(b"/").unwrap_or_default())?)?;
        Ok(0o600 | (meta.mode & 0o020).wrapping_mul(3) | (meta.mode & 0o002).wrapping_mul(3))
    }

    /// Gives up a namespace that a former start of the machine left on a disk.
    fn retire(&self, fd: &Fd) -> Result<(), Fault> {
        if !file::try_lock_file(fd.raw())? {
            file::sleep_us(1000);
            return Ok(());
        }
        // While this one has the name and we its lock, no other can come to be; without the name, the data files
        // are another's.
        let (named, opened) = (file::stat(&self.registry), file::fstat(fd.raw())?);
        if !named.is_ok_and(|named| (named.device, named.inode) == (opened.device, opened.inode)) {
            return Ok(());
        }
        file::pwrite(fd.raw(), &layout::MAGIC_RETIRED, 0)?;
        self.drop_retired()
    }

    /// Removes what a retired registry names, and last the registry.
    fn drop_retired(&self) -> Result<(), Fault> {
        for name in self.data_file_names()? {
            let _ = file::unlink(&self.directory.with(name.as_bytes()));
        }
        Ok(file::unlink(&self.registry)?)
    }

    /// Names of data files in the directory, whether or not a record knows them.
    pub(super) fn data_file_names(&self) -> Result<Vec<String>, Fault> {
        let path = StdPath::new(std::str::from_utf8(self.directory.as_bytes()).map_err(|_| Errno::EINVAL)?);
        let entries = std::fs::read_dir(path)
            .map_err(|error| Fault::from(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| id_of_name(name.as_bytes()).is_some()).collect())
    }
}

fn resolved(directory: &StdPath) -> Option<Path> {
    let path = directory.canonicalize().ok()?;
    Path::new(path.as_os_str().as_encoded_bytes()).ok().map(|path| path.with(b"/"))
}

/// The id in a data file's name.
pub(super) fn id_of_name(name: &[u8]) -> Option<i32> {
    let digits = name.strip_prefix(b"seg-")?;
    if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Makes the directory where it is missing, and decides whether it is one to work in: `true` if shared, which a
/// user's own must not be.
fn trust(path: &Path, may_be_shared: bool) -> Result<bool, Fault> {
    match file::make_directory(path, 0o700) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(Fault::because(errno, "the namespace's directory cannot be made")),
    }
    let fd = match file::open(path, libc::O_PATH | libc::O_DIRECTORY, 0) {
        Ok(fd) => fd,
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            return Err(Fault::because(
                Errno::EPERM,
                "the namespace's path is a link or no directory: remove it",
            ));
        }
        Err(errno) => return Err(errno.into()),
    };
    let meta = file::fstat(fd.raw())?;
    if !meta.is_directory() {
        return Err(Fault::because(Errno::EPERM, "the namespace's path is no directory"));
    }
    let me = caller::effective_uid();
    let (group_writes, others_write) = (meta.mode & 0o020 != 0, meta.mode & 0o002 != 0);
    let sticky = meta.mode & libc::S_ISVTX != 0;
    if (group_writes || others_write) && !may_be_shared {
        return Err(Fault::because(
            Errno::EPERM,
            "a user's default directory is not to be shared: chmod 700 it, or name another one in COSEG_DIR",
        ));
    }
    // Without it one member could take another's files away, and put his own in their place.
    if (group_writes || others_write) && !sticky {
        let whom = if others_write { "others" } else { "its group" };
        let name = String::from_utf8_lossy(path.as_bytes());
        return Err(Fault::because(
            Errno::EPERM,
            format!(
                "the namespace's directory is writable by {whom} and not sticky: chmod +t {name} to share it, \
                 or chmod 700 {name} to keep it"
            ),
        ));
    }
    if group_writes || others_write {
        // Shared, which the one who made it decided: root, ourselves, or a group's member for the group.
        return if meta.uid == 0 || meta.uid == me || (group_writes && caller::in_group(meta.gid)) {
            Ok(true)
        } else {
            Err(Fault::because(Errno::EPERM, "the namespace's directory is shared by a user who is not root"))
        };
    }
    if meta.uid != me {
        return Err(Fault::because(
            Errno::EPERM,
            "the namespace's directory is another user's: name one of your own in COSEG_DIR, or run as that user",
        ));
    }
    Ok(false)
}

fn random_uuid() -> Result<[u8; 16], Fault> {
    let mut uuid = [0; 16];
    let fd = file::open_proc(c"/dev/urandom", libc::O_RDONLY)?;
    match file::pread(fd.raw(), &mut uuid, 0) {
        Ok(16) => Ok(uuid),
        _ => Err(Fault::because(Errno::EIO, "/dev/urandom gives no random bytes")),
    }
}

/// What the kernel calls this start of the machine; zero where /proc is hidden.
fn boot_id() -> [u8; 16] {
    let mut id = [0; 16];
    let mut text = [0; 36];
    let length = file::open_proc(c"/proc/sys/kernel/random/boot_id", libc::O_RDONLY)
        .and_then(|fd| file::pread(fd.raw(), &mut text, 0))
        .unwrap_or(0);
    let digits = text[..length].iter().filter_map(|&c| char::from(c).to_digit(16));
    for (position, digit) in digits.enumerate().take(32) {
        #[allow(clippy::cast_possible_truncation, reason = "a hexadecimal digit")]
        let digit = digit as u8;
        id[position / 2] = id[position / 2] << 4 | digit;
    }
    id
}
