//! Who takes part.

use std::path::PathBuf;
use std::sync::Arc;

use coseg_sysv::Backend;

use super::course::{Course, Means};
use super::pair::Prepared;
use super::{bare, boost, iceoryx, ipc_channel, ours, queues, shmem_ipc, streams, threads};
use crate::Outcome;

/// A contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Ours,
    Floor,
    Ring,
    FarRing,
    Pipe,
    Stream,
    SeqPacket,
    Posix,
    SystemV,
    Boost,
    Iceoryx,
    IpcChannel,
    ShmemIpc,
    Rtrb,
    Crossbeam,
}

/// Where the contenders' things are.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) directory: PathBuf,
    pub(super) backend: Arc<dyn Backend>,
}

impl Ground {
    /// Makes a contender ready for a course.
    pub(super) fn prepare(&self, who: Who, course: Course) -> Outcome<Prepared> {
        match course {
            // No more of a message is written or read.
            Course { means: Means::Loan, .. } => self.prepare_sized::<1>(who, course),
            Course { size_bytes: 8, .. } => self.prepare_sized::<1>(who, course),
            Course { size_bytes: 64, .. } => self.prepare_sized::<8>(who, course),
            Course { size_bytes: 0x400, .. } => self.prepare_sized::<0x80>(who, course),
            Course { size_bytes: 0x1_0000, .. } => self.prepare_sized::<0x2000>(who, course),
            Course { size_bytes: 0x40_0000, .. } => self.prepare_sized::<0x8_0000>(who, course),
            Course { size_bytes, .. } => Err(format!("no messages of {size_bytes} bytes").into()),
        }
    }

    fn prepare_sized<const N: usize>(&self, who: Who, course: Course) -> Outcome<Prepared> {
        match who {
            Who::Ours => ours::prepare(course, Arc::clone(&self.backend)),
            // The same for messages of all sizes.
            Who::Floor => bare::floor(course),
            Who::Ring => bare::ring::<N>(course),
            Who::FarRing => bare::far_ring::<N>(course),
            Who::Pipe => streams::pipe::<N>(course),
            Who::Stream => streams::stream::<N>(course),
            Who::SeqPacket => streams::seqpacket::<N>(course),
            Who::Posix => queues::posix::<N>(course),
            Who::SystemV => queues::system_v::<N>(course),
            Who::Boost => boost::prepare::<N>(course, &self.directory),
            Who::Iceoryx => iceoryx::prepare::<N>(course, &self.directory),
            Who::IpcChannel => ipc_channel::prepare::<N>(course),
            Who::ShmemIpc => shmem_ipc::prepare::<N>(course),
            Who::Rtrb => threads::rtrb::<N>(course),
            Who::Crossbeam => threads::crossbeam::<N>(course),
        }
    }
}
