//! `PROCMAP_QUERY`: one mapping of /proc/self/maps by one call, in kernels from 6.11 on.
#![allow(unsafe_code, reason = "an ioctl with pointers in its argument")]

use crate::Errno;

use super::vmas::{NAME_SIZE, NAME_SIZE_U32, Vma};

/// C's `struct procmap_query`.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

const _: () = assert!(size_of::<Query>() == 104);

const READABLE: u64 = 0x01;
const WRITABLE: u64 = 0x02;
const EXECUTABLE: u64 = 0x04;
const SHARED: u64 = 0x08;
const COVERING_OR_NEXT: u64 = 0x10;
const FILE_BACKED: u64 = 0x20;

/// `_IOWR('f', 17, struct procmap_query)`
const PROCMAP_QUERY: libc::c_ulong =
    (3 << 30) | ((size_of::<Query>() as libc::c_ulong) << 16) | (0x66 << 8) | 17;

/// The first shared mapping of a file that ends above `address`; an error where `fd` does not answer.
pub(super) fn query(fd: i32, address: usize) -> Result<Option<Vma>, Errno> {
    let mut name = [0; NAME_SIZE];
    let mut from = address as u64;
    loop {
        let mut query = Query {
            size: size_of::<Query>() as u64,
            query_flags: COVERING_OR_NEXT | FILE_BACKED | SHARED,
            query_addr: from,
            vma_name_size: NAME_SIZE_U32,
            vma_name_addr: name.as_mut_ptr() as u64,
            ..Query::default()
        };
        // SAFETY: the structure and the name's buffer live through the call, with the sizes it states.
        let mut result = unsafe { libc::ioctl(fd, PROCMAP_QUERY as _, &raw mut query) };
        if result == -1 && Errno::last() == Errno::ENAMETOOLONG {
            // Not one of ours, whose names are short; only where it ends matters.
            query.vma_name_size = 0;
            query.vma_name_addr = 0;
            // SAFETY: as above, without a name's buffer.
            result = unsafe { libc::ioctl(fd, PROCMAP_QUERY as _, &raw mut query) };
            if result == 0 {
                from = query.vma_end;
                continue;
            }
        }
        if result == -1 {
            return if Errno::last() == Errno::ENOENT { Ok(None) } else { Err(Errno::last()) };
        }
        let to_address = |value: u64| usize::try_from(value).map_err(|_| Errno::EOVERFLOW);
        let bit = |flag, bit| if query.vma_flags & flag != 0 { bit } else { 0 };
        return Ok(Some(Vma {
            start: to_address(query.vma_start)?,
            end: to_address(query.vma_end)?,
            offset: query.vma_offset,
            #[allow(clippy::useless_conversion, reason = "narrower elsewhere")]
            device: libc::makedev(query.dev_major, query.dev_minor).into(),
            inode: query.inode,
            protection: bit(READABLE, libc::PROT_READ)
                | bit(WRITABLE, libc::PROT_WRITE)
                | bit(EXECUTABLE, libc::PROT_EXEC),
            // The size counts the terminating zero.
            name_length: (query.vma_name_size as usize).saturating_sub(1).min(NAME_SIZE),
            name,
        }));
    }
}
