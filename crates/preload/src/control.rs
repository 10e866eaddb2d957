//! `shmctl`: which command does what, and in which order a call's mistakes are found.

use coseg_sysv::sys::{SHM_INFO, SHM_STAT, SHM_STAT_ANY, ShmInfoLimits, ShmidDs};
use coseg_sysv::{Backend, Errno, ShmId};

use crate::boundary::Failed;
use crate::copy::{self, UsageBytes};

/// One call of `shmctl`; `buffer` is an address of the program, followed only where the command says so.
pub(crate) fn control(backend: &impl Backend, id: i32, command: i32, buffer: usize) -> Result<i32, Failed> {
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    let shm_id = ShmId::new(id);
    match command {
        libc::IPC_STAT => {
            let stat = backend.stat(shm_id)?;
            copy::write(buffer, &ShmidDs::of_stat(&stat))?;
            Ok(0)
        }
        SHM_STAT | SHM_STAT_ANY => {
            let stat = backend.stat_index(id, command == SHM_STAT_ANY)?;
            copy::write(buffer, &ShmidDs::of_stat(&stat))?;
            Ok(stat.id.raw())
        }
        libc::IPC_SET => {
            // The one command that reads: a bad buffer is found before a bad id.
            let change = copy::read::<ShmidDs>(buffer)?.to_change();
            backend.set(shm_id, change)?;
            Ok(0)
        }
        libc::IPC_RMID => {
            backend.remove(shm_id)?;
            Ok(0)
        }
        libc::SHM_LOCK => {
            backend.lock(shm_id)?;
            Ok(0)
        }
        libc::SHM_UNLOCK => {
            backend.unlock(shm_id)?;
            Ok(0)
        }
        libc::IPC_INFO => {
            let limits = backend.limits()?;
            let info = ShmInfoLimits {
                shmmax: limits.max_size_bytes,
                shmmin: 1,
                shmmni: limits.max_segment_count,
                shmseg: limits.max_segment_count,
                shmall: limits.max_total_pages,
                reserved: [0; 4],
            };
            copy::write(buffer, &info)?;
            Ok(limits.highest_index)
        }
        SHM_INFO => {
            let usage = backend.usage()?;
            let info = UsageBytes {
                used_ids: usage.segment_count.cast_signed(),
                pad: 0,
                shm_tot: usage.total_pages,
                shm_rss: usage.resident_pages,
                shm_swp: usage.swapped_pages,
                swap_attempts: 0,
                swap_successes: 0,
            };
            copy::write(buffer, &info)?;
            Ok(usage.highest_index)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
