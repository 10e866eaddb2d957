//! C's structures of `<sys/shm.h>`, as 64-bit Linux lays them out.

use crate::{Change, Key, Mode, ShmId, Stat};

/// `SHM_STAT`, which like the next two the libc crate does not name.
pub const SHM_STAT: i32 = 13;
/// `SHM_INFO`
pub const SHM_INFO: i32 = 14;
/// `SHM_STAT_ANY`
pub const SHM_STAT_ANY: i32 = 15;
/// Bit of [`ShmidDs::mode`]: destroyed at the last detach.
pub const SHM_DEST: u32 = 0o1000;
/// Bit of [`ShmidDs::mode`]: kept in memory.
pub const SHM_LOCKED: u32 = 0o2000;

/// Bits of an id that hold the index; the sequence number stands above them.
pub const INDEX_BITS: u32 = 15;

/// The sequence number inside an id.
pub const fn sequence_of(id: i32) -> u16 {
    #[allow(clippy::cast_possible_truncation, reason = "an id has 31 bits, 16 above the index")]
    ((id >> INDEX_BITS) as u16)
}

/// `struct shmid_ds`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are C's")]
pub struct ShmidDs {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
    pub seq: u16,
    pub pad: [u16; 3],
    pub reserved: [u64; 2],
    pub shm_segsz: usize,
    pub shm_atime: i64,
    pub shm_dtime: i64,
    pub shm_ctime: i64,
    pub shm_cpid: i32,
    pub shm_lpid: i32,
    pub shm_nattch: u64,
    pub reserved_tail: [u64; 2],
}

const _: () = {
    assert!(size_of::<ShmidDs>() == 112);
    assert!(size_of::<libc::shmid_ds>() == 112);
    assert!(std::mem::offset_of!(ShmidDs, shm_segsz) == std::mem::offset_of!(libc::shmid_ds, shm_segsz));
    assert!(std::mem::offset_of!(ShmidDs, shm_nattch) == std::mem::offset_of!(libc::shmid_ds, shm_nattch));
};

impl ShmidDs {
    /// As the kernel would fill it.
    pub const fn of_stat(stat: &Stat) -> ShmidDs {
        let dest = if stat.removed { SHM_DEST } else { 0 };
        let locked = if stat.locked { SHM_LOCKED } else { 0 };
        ShmidDs {
            key: stat.key.raw(),
            uid: stat.uid,
            gid: stat.gid,
            cuid: stat.creator_uid,
            cgid: stat.creator_gid,
            mode: stat.mode.bits() | dest | locked,
            seq: stat.sequence,
            pad: [0; 3],
            reserved: [0; 2],
            shm_segsz: stat.size_bytes,
            shm_atime: stat.attach_time,
            shm_dtime: stat.detach_time,
            shm_ctime: stat.change_time,
            shm_cpid: stat.creator_pid,
            shm_lpid: stat.last_pid,
            shm_nattch: stat.attachment_count,
            reserved_tail: [0; 2],
        }
    }

    /// With the three fields that `IPC_SET` reads.
    pub fn of_change(change: Change) -> ShmidDs {
        ShmidDs { uid: change.uid, gid: change.gid, mode: change.mode.bits(), ..ShmidDs::default() }
    }

    /// The three fields that `IPC_SET` reads.
    pub const fn to_change(&self) -> Change {
        Change { uid: self.uid, gid: self.gid, mode: Mode::new(self.mode) }
    }

    /// As this crate's value.
    pub const fn to_stat(&self, id: ShmId) -> Stat {
        Stat {
            key: Key::new(self.key),
            id,
            sequence: self.seq,
            uid: self.uid,
            gid: self.gid,
            creator_uid: self.cuid,
            creator_gid: self.cgid,
            mode: Mode::new(self.mode),
            removed: self.mode & SHM_DEST != 0,
            locked: self.mode & SHM_LOCKED != 0,
            size_bytes: self.shm_segsz,
            attachment_count: self.shm_nattch,
            attach_time: self.shm_atime,
            detach_time: self.shm_dtime,
            change_time: self.shm_ctime,
            creator_pid: self.shm_cpid,
            last_pid: self.shm_lpid,
        }
    }
}

/// `struct shminfo`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are C's")]
pub struct ShmInfoLimits {
    pub shmmax: u64,
    pub shmmin: u64,
    pub shmmni: u64,
    pub shmseg: u64,
    pub shmall: u64,
    pub reserved: [u64; 4],
}

/// `struct shm_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are C's")]
pub struct ShmInfo {
    pub used_ids: i32,
    pub shm_tot: u64,
    pub shm_rss: u64,
    pub shm_swp: u64,
    pub swap_attempts: u64,
    pub swap_successes: u64,
}

const _: () = assert!(size_of::<ShmInfoLimits>() == 72 && size_of::<ShmInfo>() == 48);
