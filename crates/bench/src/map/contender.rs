//! Who takes part.

use std::path::PathBuf;
use std::sync::Arc;

use coseg_sysv::Backend;
use serde::{Deserialize, Serialize};

use super::bare::Page;
use super::boost::{Boost, Lock};
use super::iceoryx::{Blackboard, WithHandles};
use super::lmdb::Lmdb;
use super::mmap_sync::MmapSync;
use super::ours::Ours;
use super::store::Job;
use crate::Outcome;
use crate::duel::{self, Contender};
use crate::turn::Control;

/// A contender's name, known to both processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Who {
    Ours,
    Lmdb,
    BoostMutex,
    BoostRobust,
    MmapSync,
    Iceoryx,
    IceoryxHandles,
    Slots,
}

/// Where the contenders' things are.
pub(super) struct Ground {
    pub(super) page: &'static Page,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) directory: PathBuf,
}

impl duel::Ground for Ground {
    type Who = Who;
    type Job = Job;

    fn control(&self) -> &'static Control {
        &self.page.control
    }

    fn open(&self, who: Who) -> Outcome<Box<dyn Contender<Job>>> {
        let directory = &self.directory;
        Ok(match who {
            Who::Ours => Box::new(Ours::open(Arc::clone(&self.backend))?),
            Who::Lmdb => Box::new(Lmdb::open(directory)?),
            Who::BoostMutex => Box::new(Boost::open(directory, Lock::Mutex)?),
            Who::BoostRobust => Box::new(Boost::open(directory, Lock::Robust)?),
            Who::MmapSync => Box::new(MmapSync::open(directory)?),
            Who::Iceoryx => Box::new(Blackboard::open(directory)?),
            Who::IceoryxHandles => Box::new(WithHandles::open(directory)?),
            Who::Slots => Box::new(&self.page.slots),
        })
    }
}
