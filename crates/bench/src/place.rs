//! Where the measuring happens: one CPU, and namespaces that end with the process, however it ends.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coseg_sysv::{Backend, Kernel, User};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{CpuSet, UnshareFlags, sched_getaffinity, sched_setaffinity};

use crate::{Outcome, calls};

/// Pins this process, and the processes it will start, to a CPU: the one asked for, or the last of those it
/// may use, which interrupts favour least. Returns its number.
pub(crate) fn pin(wanted: Option<usize>) -> Outcome<usize> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu)).ok_or("no CPU to run on")?;
    let cpu = wanted.unwrap_or(last);
    if cpu >= CpuSet::MAX_CPU || !allowed.is_set(cpu) {
        return Err(format!("CPU {cpu} is not among those this process may use").into());
    }
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one)?;
    Ok(cpu)
}

/// Two CPUs: those asked for, or the first of those this process may use.
pub(crate) fn two(wanted: Option<[usize; 2]>) -> Outcome<[usize; 2]> {
    let allowed = sched_getaffinity(None)?;
    let mut first = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    match wanted.or_else(|| Some([first.next()?, first.next()?])) {
        Some([one, other]) if one != other => Ok([one, other]),
        _ => Err("two processes need two CPUs".into()),
    }
}

/// Moves this process into an IPC namespace of its own and puts a tmpfs of its own on /dev/shm. Both are gone
/// when the last process in them is, so that even a killed run leaves nothing.
///
/// # Errors
/// Neither root's rights nor user namespaces are to be had.
pub(crate) fn seclude() -> Outcome {
    let apart = UnshareFlags::NEWIPC | UnshareFlags::NEWNS;
    match calls::unshare(apart) {
        Err(Errno::PERM) => {
            let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
            calls::unshare(apart | UnshareFlags::NEWUSER).map_err(|error| {
                format!("no namespaces of its own, be root or allow user namespaces: {error}")
            })?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{uid} {uid} 1", uid = uid.as_raw()))?;
            fs::write("/proc/self/gid_map", format!("{gid} {gid} 1", gid = gid.as_raw()))?;
        }
        result => result?,
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("coseg-bench", "/dev/shm", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=1777"))?;
    Ok(())
}

/// A directory for the user backend, in the tmpfs of [`seclude`].
pub(crate) fn namespace(name: &str) -> Outcome<PathBuf> {
    let directory = Path::new("/dev/shm").join(name);
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    Ok(directory)
}

/// The backend of a name, the user backend in a directory.
pub(crate) fn backend(name: &str, directory: &Path) -> Outcome<(Arc<dyn Backend>, &'static str)> {
    match name {
        "user" => Ok((Arc::new(User::at(directory)?), "user")),
        "kernel" => Ok((Arc::new(Kernel), "kernel")),
        other => Err(format!("no backend {other}: user or kernel").into()),
    }
}

/// The kernel's release and the processor's model.
pub(crate) fn machine() -> (String, String) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    (release, model.unwrap_or("unknown processor").to_owned())
}

/// Processes that wanted to run during the last minute: more than one per CPU disturb what is measured.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
