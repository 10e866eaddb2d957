//! After a fork: the child's mappings are attachments of their own.
//!
//! A child inherits its parent's mappings and with them the open files, so one lock stands for both until both
//! are gone. Here the child opens each data file anew, takes a slot of its own, and maps the file over the
//! inherited pages: same address, same bytes, but counted. A child of a raw fork does not come here; it is
//! undercounted by one, and never lets the count reach zero while it lives.
#![allow(unsafe_code, reason = "mapping over inherited mappings")]

use crate::caller;

use super::Fault;
use super::file::{self, BlockedSignals, Fd};
use super::layout::Times;
use super::namespace::{self, Namespace};
use super::section::{self, Descriptors, Section};
use super::vmas::{Vma, Vmas};
use super::{data, pins};

/// How long a child waits for the registry before it goes on sharing its parent's slots.
const PATIENCE_MS: u64 = 500;

/// An attachment while its pieces are mapped anew.
struct Renewed {
    origin: usize,
    inode: u64,
    writable: bool,
    fd: Fd,
}

/// Registers the child's attachments. What cannot be registered stays mapped as it was inherited.
pub(super) fn register_attachments() {
    let signals = BlockedSignals::new();
    {
        let _working = super::process::work();
        section::leave_parents_descriptors();
    }
    let _ = register_each();
    drop(signals);
}

fn register_each() -> Result<(), Fault> {
    let mut vmas = Vmas::open(Descriptors::Kept)?;
    let mut renewed: Option<Renewed> = None;
    let mut from = 0;
    while let Some(vma) = vmas.next(from)? {
        from = vma.end;
        let Some((namespace, id)) = namespace::find_opened(vma.name(), |namespace| {
            namespace.segment_of(&vma).map(|(id, _)| (namespace, id))
        }) else {
            continue;
        };
        // Pieces of one attachment share one slot.
        let same = renewed.as_ref().is_some_and(|r| r.origin == vma.origin() && r.inode == vma.inode);
        if !same {
            // SAFETY: the kernel just described the mapping so.
            let could_write = || unsafe { file::could_write(vma.start, caller::page_size(), vma.protection) };
            let writable = vma.protection & libc::PROT_WRITE != 0 || could_write();
            renewed = match open_anew(namespace, id, &vma, writable) {
                Ok(renewed) => Some(renewed),
                // Whoever holds the registry would keep the child waiting for each.
                Err(fault) if fault.errno == crate::Errno::ETIMEDOUT => return Err(fault),
                Err(_) => None,
            };
        }
        if let Some(renewed) = &renewed {
            let writes = vma.protection & libc::PROT_WRITE != 0;
            if renewed.writable || !writes {
                // SAFETY: replaces pages by the same pages of the same file, with the same protection.
                let _ = unsafe {
                    file::map(
                        vma.start,
                        vma.size_bytes(),
                        vma.protection,
                        libc::MAP_FIXED,
                        renewed.fd.raw(),
                        vma.offset,
                    )
                };
            }
        }
    }
    Ok(())
}

fn open_anew(namespace: &'static Namespace, id: i32, vma: &Vma, writable: bool) -> Result<Renewed, Fault> {
    let section = Section::enter_within(namespace, Descriptors::Kept, PATIENCE_MS)?;
    let record = section.record_of(crate::ShmId::new(id))?;
    if record.inode != vma.inode {
        return Err(crate::Errno::EIDRM.into());
    }
    let (fd, _) = data::open(namespace, &record, if writable { libc::O_RDWR } else { libc::O_RDONLY })?;
    let (slot, slot_top) = pins::take(&fd, writable, record.times.slot_hint, record.times.slot_top)?;
    // The kernel counts a fork as the parent's attach.
    let times = Times {
        slot_top,
        attach_time: file::now(),
        last_pid: caller::parent_pid(),
        slot_hint: pins::hint_after(slot, &record.times),
        detach_time: 0,
    };
    section.write_attach_times(&record, times)?;
    Ok(Renewed { origin: vma.origin(), inode: vma.inode, writable, fd })
}
