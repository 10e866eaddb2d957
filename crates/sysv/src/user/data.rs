//! Data files: opened, and given owner and mode, only if they are the ones that were made.
//!
//! The name says little. A person or a program may have put another file there; and in a shared namespace whoever
//! owns a file may put a link to somebody else's in its place, and wait for a caller with more rights than he has.

use crate::Errno;

use super::file::{self, Fd, Meta, Path};
use super::layout::Record;
use super::namespace::Namespace;
use super::{Fault, acl};

/// Opens a record's data file. `EIDRM` if that is gone, or another file has its name.
pub(super) fn open(namespace: &Namespace, record: &Record, access: i32) -> Result<(Fd, Meta), Fault> {
    let fd = open_named(namespace, record, access)?;
    let meta = checked(namespace, record, &fd)?;
    Ok((fd, meta))
}

/// Opens what has the data file's name, which may be another file: see [`checked`].
pub(super) fn open_named(namespace: &Namespace, record: &Record, access: i32) -> Result<Fd, Fault> {
    let path = namespace.path_of(record.id, record.huge_log2)?;
    file::open(&path, access, 0).map_err(|errno| match errno {
        // Nothing, a link, a directory, a socket or a device that does not exist.
        Errno::ENOENT | Errno::ELOOP | Errno::EISDIR | Errno::ENXIO | Errno::ENODEV => lost(),
        errno => errno.into(),
    })
}

/// What the kernel says of an open file, if it is the record's data file; else `EIDRM`.
pub(super) fn checked(namespace: &Namespace, record: &Record, fd: &Fd) -> Result<Meta, Fault> {
    let meta = file::fstat(fd.raw())?;
    if is_of(namespace, record, &meta) { Ok(meta) } else { Err(lost()) }
}

/// Whether a file is the one that was made for a record. In a shared namespace the record is no proof: members
/// write it. There the file's owner must be the segment's, and no second name lead to the file.
fn is_of(namespace: &Namespace, record: &Record, meta: &Meta) -> bool {
    let made = meta.is_file() && meta.inode == record.inode;
    let owned = meta.uid == record.uid || meta.uid == record.creator_uid;
    made && (!namespace.shared || (owned && meta.link_count <= 1))
}

/// Only a removal repairs it.
fn lost() -> Fault {
    Fault::because(Errno::EIDRM, "its data file is gone, or not the one that was made: remove the segment")
}

/// The data file without any access to its contents, and a name for it that leads nowhere else.
fn handle(namespace: &Namespace, record: &Record) -> Result<(Fd, Path), Fault> {
    let (fd, _) = open(namespace, record, libc::O_PATH)?;
    let link = file::path_of_descriptor(&fd)?;
    Ok((fd, link))
}

/// Gives the file the mode and the access list that the record names.
pub(super) fn permit(namespace: &Namespace, record: &Record) -> Result<(), Fault> {
    let (_fd, link) = handle(namespace, record)?;
    file::change_mode_of(&link, namespace.file_mode(record.mode))?;
    Ok(acl::apply(&link, record)?)
}

/// Takes from the file what rights the record does not name, and gives none.
pub(super) fn restrict(namespace: &Namespace, record: &Record) -> Result<(), Fault> {
    let (fd, meta) = open(namespace, record, libc::O_PATH)?;
    // The group's bits of a file with an access list are what the list may give to its creator.
    let given_away = (record.uid, record.gid) != (record.creator_uid, record.creator_gid);
    let kept = namespace.file_mode(record.mode) | if given_away { 0o070 } else { 0 };
    let before = meta.mode & 0o777;
    if before & kept != before {
        file::change_mode_of(&file::path_of_descriptor(&fd)?, before & kept)?;
    }
    Ok(())
}

/// Whether the file is the record's and its owner and group are those that the record names.
pub(super) fn is_owners(namespace: &Namespace, record: &Record) -> Result<bool, Fault> {
    match open(namespace, record, libc::O_PATH) {
        Ok((_, meta)) => Ok((meta.uid, meta.gid) == (record.uid, record.gid)),
        Err(Fault { errno: Errno::EIDRM, .. }) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Gives the file to another user and group.
pub(super) fn give(namespace: &Namespace, record: &Record, uid: u32, gid: u32) -> Result<(), Fault> {
    let (_fd, link) = handle(namespace, record)?;
    file::change_owner_of(&link, uid, gid)
        .map_err(|errno| Fault::because(errno, "in a shared namespace only root gives a segment away"))
}
