//! Turns an error number into facts and a next step, by asking the backend what it was about.

use crate::{Backend, Errno, Error, Key, Op, ShmId, Stat};

/// Why a get failed.
pub fn get(backend: &dyn Backend, key: Key, size_bytes: usize, error: Error) -> Error {
    if error.reason().is_some() {
        return error;
    }
    let existing = || backend.list().ok()?.into_iter().map(|l| l.stat).find(|s| s.key == key && !s.removed);
    let reason = match error.errno() {
        Errno::ENOENT => Some(format!("no segment has this key on the {} backend", backend.name())),
        Errno::EEXIST => existing().map(|s| format!("segment {} has this key already", s.id)),
        Errno::EACCES => existing().map(|s| permission(&s)),
        Errno::EINVAL => match existing() {
            Some(s) if s.size_bytes < size_bytes => Some(format!(
                "segment {} of this key has {} bytes, {size_bytes} were asked for: another program's, or an older \
                 version's",
                s.id, s.size_bytes
            )),
            _ => Some(outside_limits(backend, size_bytes)),
        },
        Errno::ENOSPC => Some(no_space(backend, size_bytes)),
        Errno::ENOMEM => Some(format!(
            "no memory for {size_bytes} bytes; of huge pages, vm.nr_hugepages must have enough free"
        )),
        Errno::ENOSYS => Some("this kernel has no System V shared memory; use the user backend".to_owned()),
        _ => None,
    };
    match reason {
        Some(reason) => error.because(reason),
        None => error,
    }
}

/// Why an operation on an id failed.
pub fn by_id(backend: &dyn Backend, id: ShmId, error: Error) -> Error {
    if error.reason().is_some() {
        return error;
    }
    let index = id.raw() & ((1 << crate::sys::INDEX_BITS) - 1);
    let stat = || backend.stat_index(index, true).ok().filter(|s| s.id == id);
    let reason = match (error.errno(), error.op()) {
        (Errno::EINVAL | Errno::EIDRM, _) => match stat() {
            None => Some(format!("no segment has this id on the {} backend", backend.name())),
            Some(_) => None,
        },
        (Errno::EACCES, _) => stat().map(|s| permission(&s)),
        (Errno::EPERM, Op::Set | Op::Remove | Op::Lock | Op::Unlock) => stat().map(|s| ownership(&s)),
        _ => None,
    };
    match reason {
        Some(reason) => error.because(reason),
        None => error,
    }
}

fn permission(stat: &Stat) -> String {
    format!("mode {}, owner uid {}, you are {}", stat.mode, stat.uid, crate::caller::effective_uid())
}

fn ownership(stat: &Stat) -> String {
    format!(
        "owner uid {}, creator uid {}, you are {}",
        stat.uid,
        stat.creator_uid,
        crate::caller::effective_uid()
    )
}

/// Where a limit is raised: a sysctl for the kernel, our own command for the user backend.
fn raise(backend: &dyn Backend, name: &str) -> String {
    match backend.name() {
        "kernel" => format!("raise it with sysctl kernel.{name}"),
        _ => format!("raise it with coseg limits --backend user --{name} N"),
    }
}

fn outside_limits(backend: &dyn Backend, size_bytes: usize) -> String {
    match backend.limits() {
        Ok(limits) if size_bytes as u64 > limits.max_size_bytes => format!(
            "{size_bytes} bytes, the largest segment may have {} (shmmax): {}",
            limits.max_size_bytes,
            raise(backend, "shmmax")
        ),
        _ => format!("a new segment cannot have {size_bytes} bytes"),
    }
}

fn no_space(backend: &dyn Backend, size_bytes: usize) -> String {
    let (Ok(limits), Ok(usage)) = (backend.limits(), backend.usage()) else {
        return "a limit on segments or pages is reached".to_owned();
    };
    if u64::from(usage.segment_count) >= limits.max_segment_count {
        return format!(
            "{} segments exist, {} are allowed (shmmni): remove some, or {}",
            usage.segment_count,
            limits.max_segment_count,
            raise(backend, "shmmni")
        );
    }
    format!(
        "{} pages are in use, {} more are asked for, {} are allowed (shmall): remove segments, or {}",
        usage.total_pages,
        size_bytes.div_ceil(crate::caller::page_size()),
        limits.max_total_pages,
        raise(backend, "shmall")
    )
}
