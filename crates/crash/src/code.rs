//! The code a task is about to run: enough of it to know a system call instruction when it comes.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::sys::Pid;

const PAGE_BYTES: u64 = 4096;

/// Pages of code, read once from `/proc/PID/mem` and kept until a mapping changes.
///
/// Code is taken not to modify itself.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pages: HashMap<(Pid, u64), Box<[u8]>>,
    memory: HashMap<Pid, File>,
}

impl Code {
    /// True when the instruction at `address` of `process` enters the kernel.
    pub(crate) fn is_syscall(&mut self, process: Pid, address: u64) -> bool {
        let page = address & !(PAGE_BYTES - 1);
        let Self { pages, memory } = self;
        let bytes = pages.entry((process, page)).or_insert_with(|| read_page(memory, process, page));
        let offset = usize::try_from(address - page).unwrap_or(usize::MAX);
        bytes.get(offset..).is_some_and(|bytes| SYSCALLS.iter().any(|one| bytes.starts_with(one)))
    }

    /// Forgets what was read: mappings or programs changed.
    pub(crate) fn forget(&mut self) {
        self.pages.clear();
        self.memory.clear();
    }
}

/// `syscall` and `int 0x80`.
#[cfg(target_arch = "x86_64")]
const SYSCALLS: &[&[u8]] = &[&[0x0f, 0x05], &[0xcd, 0x80]];

/// `svc #0`.
#[cfg(target_arch = "aarch64")]
const SYSCALLS: &[&[u8]] = &[&[0x01, 0x00, 0x00, 0xd4]];

fn read_page(memory: &mut HashMap<Pid, File>, process: Pid, page: u64) -> Box<[u8]> {
    // One byte more than a page: an instruction may lie across its end, where the next page exists.
    let mut bytes = vec![0; 4097];
    let file = match memory.entry(process) {
        std::collections::hash_map::Entry::Occupied(known) => Some(known.into_mut()),
        std::collections::hash_map::Entry::Vacant(new) => {
            File::open(format!("/proc/{process}/mem")).ok().map(|file| new.insert(file))
        }
    };
    let read = file.and_then(|file| file.read_at(&mut bytes, page).ok()).unwrap_or(0);
    bytes.truncate(read);
    bytes.into()
}
