//! A data file's permissions where owner and mode do not suffice: the creator of a segment that was given away
//! keeps the owner's rights, and his group the group's. The file says so with a POSIX access control list.

use crate::Errno;

use super::file::{self, Path};
use super::layout::Record;

const VERSION: u32 = 2;
const USER_OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OWNER: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const NOBODY: u32 = u32::MAX;

/// Sets or drops the list, after owner and mode were set.
pub(super) fn apply(path: &Path, record: &Record) -> Result<(), Errno> {
    if (record.uid, record.gid) == (record.creator_uid, record.creator_gid) {
        return file::drop_access_list(path);
    }
    let mode = record.mode.bits();
    let class = |shift: u32| u16::try_from(mode >> shift & 6).unwrap_or(0);
    let (owner, group, other) = (class(6), class(3), class(0));
    let mut bytes = [0; 4 + 6 * 8];
    bytes[..4].copy_from_slice(&VERSION.to_le_bytes());
    let mut end = 4;
    let mut add = |tag: u16, permissions: u16, who: u32| {
        bytes[end..end + 2].copy_from_slice(&tag.to_le_bytes());
        bytes[end + 2..end + 4].copy_from_slice(&permissions.to_le_bytes());
        bytes[end + 4..end + 8].copy_from_slice(&who.to_le_bytes());
        end += 8;
    };
    add(USER_OWNER, owner, NOBODY);
    add(USER, owner, record.creator_uid);
    add(GROUP_OWNER, group, NOBODY);
    add(GROUP, group, record.creator_gid);
    add(MASK, 6, NOBODY);
    add(OTHER, other, NOBODY);
    file::set_access_list(path, &bytes)
}
