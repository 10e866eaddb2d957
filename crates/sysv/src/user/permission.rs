//! Who may do what: the kernel's rules, on a record's owner and mode.

use crate::caller::{self, CAP_IPC_OWNER, CAP_SYS_ADMIN};
use crate::{AttachFlags, Errno};

use super::layout::Record;

/// Read permission, in any of the three classes.
pub(super) const READ: u32 = 0o444;

/// Whether the caller's class has every bit that any class of `wanted` names.
pub(super) fn check(record: &Record, wanted: u32) -> Result<(), Errno> {
    let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
    let mode = record.mode.bits();
    let me = caller::effective_uid();
    let granted = if me == record.creator_uid || me == record.uid {
        mode >> 6
    } else if caller::in_group(record.creator_gid) || caller::in_group(record.gid) {
        mode >> 3
    } else {
        mode
    };
    if wanted & !granted == 0 || caller::has_capability(CAP_IPC_OWNER) { Ok(()) } else { Err(Errno::EACCES) }
}

/// What an attach with these flags needs.
pub(super) fn wanted_by_attach(flags: AttachFlags) -> u32 {
    let access = if flags.contains(AttachFlags::READ_ONLY) { 0o444 } else { 0o666 };
    if flags.contains(AttachFlags::EXECUTE) { access | 0o111 } else { access }
}

/// Whether the caller is owner or creator.
pub(super) fn is_owner(record: &Record) -> bool {
    let me = caller::effective_uid();
    me == record.uid || me == record.creator_uid
}

/// Whether the caller may change and remove the segment.
pub(super) fn check_owner(record: &Record) -> Result<(), Errno> {
    if is_owner(record) || caller::has_capability(CAP_SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}
