//! Attachments, counted without a daemon.
//!
//! A mapping keeps its open file alive after `close`, and with it the locks of that open file, until the last
//! piece is unmapped, by `munmap`, exec or death. So each attachment opens the data file for itself and locks
//! one byte of its own, a *slot*, far behind the contents: the locks that others see on the slots are the
//! attachments, whatever became of the processes.

use std::collections::BTreeSet;

use crate::Errno;

use super::Fault;
use super::file::{self, Fd};
use super::layout::Times;

/// Where slot 0 lies, beyond any segment.
const SLOTS_AT: u64 = 1 << 62;
/// Where mark 0 lies: a byte that an attachment locks beside its slot, so that others see whether it still exists.
const MARKS_AT: u64 = 1 << 61;
/// How long a lock may outlive its mapping before the filesystem is to blame.
const PATIENCE_MS: u64 = 1000;
/// More attachments than one file can have.
const SLOT_COUNT: u64 = 1 << 31;

/// Locks a free slot for an open file that has none yet; the slot, and the first one above all ever taken.
///
/// A read-only file can hold read locks only, which exclude nobody: the registry's lock makes sure that no two
/// look for a slot at a time.
pub(super) fn take(fd: &Fd, writable: bool, hint: u32, top: u32) -> Result<(u32, u32), Fault> {
    let try_slot = |slot: u32| -> Result<bool, Errno> {
        let at = SLOTS_AT + u64::from(slot) % SLOT_COUNT;
        if !writable && file::find_lock(fd.raw(), at, 1)?.is_some() {
            return Ok(false);
        }
        file::try_lock_range(fd.raw(), writable, at, 1)
    };
    // Low slots are used again, so that counting has few to look at: with as many free ones below the top as
    // taken ones, every other guess hits. Far above the top only what is not ours can be in the way.
    let guess = |salt: u64| u32::try_from((file::monotonic_ns() ^ salt) % u64::from(top.max(1))).unwrap_or(0);
    let beyond = (0..31).map(|power| top.wrapping_add(1 << power));
    for slot in [hint, guess(0), guess(0x5555), top].into_iter().chain(beyond) {
        if try_slot(slot)? {
            return Ok((slot, top.max(slot.wrapping_add(1))));
        }
    }
    // Somebody who only reads the file may have locked all of it. He cannot keep others from a lock as weak as his.
    if file::try_lock_range(fd.raw(), false, SLOTS_AT + u64::from(top) % SLOT_COUNT, 1)? {
        return Ok((top, top.wrapping_add(1)));
    }
    Err(Fault::because(Errno::ENOMEM, "no slot for one more attachment was found"))
}

/// The hint that an attach leaves. A slot below the top that was hinted at will be free again when its taker
/// detaches: who attaches and detaches over and over leaves the record as it is.
pub(super) fn hint_after(slot: u32, before: &Times) -> u32 {
    if slot == before.slot_hint && slot < before.slot_top { slot } else { slot.wrapping_add(1) }
}

/// Locks a mark for an open file that may write, unless another has it.
pub(super) fn mark(fd: &Fd, mark: u32) -> Result<bool, Errno> {
    file::try_lock_range(fd.raw(), true, MARKS_AT + u64::from(mark), 1)
}

/// Whether an open file other than this one has a mark.
pub(super) fn is_marked(fd: &Fd, mark: u32) -> Result<bool, Errno> {
    Ok(file::find_lock(fd.raw(), MARKS_AT + u64::from(mark), 1)?.is_some())
}

/// Whether any attachment exists, as far as an open file that has no slot itself can see.
pub(super) fn any(fd: i32) -> Result<bool, Errno> {
    Ok(file::find_lock(fd, SLOTS_AT, SLOT_COUNT)?.is_some())
}

/// How many attachments exist. Each is found once: where a lock is seen, the search goes on left and right of
/// it, for the kernel names some lock of a range and not its first. `top` is the first slot above all ever taken.
pub(super) fn count(fd: i32, top: u32) -> Result<u64, Errno> {
    let mut found = 0;
    // The larger half waits while the smaller is searched, so 31 halvings bound what waits.
    let mut waiting = [(0, 0); 32];
    let mut depth = 0;
    let (mut start, mut end) = (SLOTS_AT, SLOTS_AT + u64::from(top).min(SLOT_COUNT));
    loop {
        let lock = if start < end { file::find_lock(fd, start, end - start)? } else { None };
        // A lock that is longer than one slot is not ours: anybody who may read the file may lock as much of it as
        // he likes. It counts once.
        match lock {
            Some((at, length)) => {
                found += 1;
                // One of length 0 has no end.
                let lock_end = if length == 0 { end } else { at.saturating_add(length) };
                let (left, right) = ((start, at.clamp(start, end)), (lock_end.clamp(start, end), end));
                let left_is_smaller = left.1 - left.0 < right.1 - right.0;
                let (smaller, larger) = if left_is_smaller { (left, right) } else { (right, left) };
                if smaller.0 < smaller.1 && depth < waiting.len() {
                    waiting[depth] = larger;
                    depth += 1;
                    (start, end) = smaller;
                } else {
                    (start, end) = larger;
                }
            }
            None if depth == 0 => return Ok(found),
            None => {
                depth -= 1;
                (start, end) = waiting[depth];
            }
        }
    }
}

/// How many attachments /proc/locks shows for an inode, for those who may not open the file. The kernel makes
/// that table a page at a time while locks come and go: three readings are to agree, else what any of the last
/// three shows is believed; and nothing is destroyed for it.
pub(super) fn count_by_proc(device: Option<u64>, inode: u64) -> u64 {
    let file = match device {
        Some(device) => format!("{:02x}:{:02x}:{inode}", libc::major(device), libc::minor(device)),
        None => format!(":{inode}"),
    };
    let slots = || -> BTreeSet<u64> {
        let text = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let of_slot = |line: &str| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let kind = words.next()?;
            let named = words.nth(3)?;
            let start: u64 = words.next()?.parse().ok()?;
            (kind == "OFDLCK" && named.ends_with(&file) && start >= SLOTS_AT).then_some(start)
        };
        text.lines().filter_map(of_slot).collect()
    };
    let mut last = [slots(), slots(), slots()];
    for _ in 0..16 {
        if last[0] == last[1] && last[1] == last[2] {
            break;
        }
        last.rotate_left(1);
        last[2] = slots();
    }
    // A reading may leave out what is there, and shows nothing that is not.
    last.iter().flatten().collect::<BTreeSet<_>>().len() as u64
}

/// Checks on a new file that this filesystem keeps a lock while a mapping lives, and drops it after.
pub(super) fn check_filesystem(fd: i32) -> Result<(), Fault> {
    let fault = |what| Err(Fault::because(Errno::EOPNOTSUPP, what));
    let page = crate::caller::page_size();
    file::truncate(fd, page as u64)?;
    let reopen = || {
        let path = file::Path::new(b"/proc/self/fd/")?.with_number(u64::from(fd.unsigned_abs()));
        file::open_link(&path, libc::O_RDWR)
    };
    let Ok(pinned) = reopen() else {
        return fault("/proc is hidden: the user backend needs /proc/self");
    };
    if !file::try_lock_range(pinned.raw(), true, SLOTS_AT, 1)? {
        return fault("a lock on a new file is refused on this filesystem");
    }
    let address = file::map_new(page, &pinned)?;
    drop(pinned);
    let held = file::find_lock(fd, SLOTS_AT, 1)?.is_some();
    file::unmap_own(address)?;
    let mut dropped = file::find_lock(fd, SLOTS_AT, 1)?.is_none();
    // A program that another thread is just starting has the file, too, until it runs.
    let deadline_ms = file::monotonic_ms() + PATIENCE_MS;
    while held && !dropped && file::monotonic_ms() < deadline_ms {
        file::sleep_us(500);
        dropped = file::find_lock(fd, SLOTS_AT, 1)?.is_none();
    }
    match (held, dropped) {
        (true, true) => Ok(()),
        (false, _) => {
            fault("this filesystem drops a lock while its file is mapped: name another in COSEG_DIR")
        }
        (true, false) => {
            fault("this filesystem keeps a lock after its file is unmapped: name another in COSEG_DIR")
        }
    }
}
