//! A backend that marks, for a trial, what happens between an attach and the detach: joining a region and leaving it.
//! How segments are attached is tried where segments are.
#![allow(unsafe_code, reason = "implements the backend's calls")]

use std::sync::Arc;

use coseg_crash::mark;
use coseg_sysv::{
    AttachFlags, Attachers, Backend, Change, GetFlags, Key, Limits, Listed, Mapped, Result, ShmId, Stat,
    Usage,
};

#[derive(Debug)]
pub(crate) struct Marking(pub(crate) Arc<dyn Backend>);

impl Backend for Marking {
    unsafe fn attach(&self, id: ShmId, address: usize, flags: AttachFlags) -> Result<Mapped> {
        // SAFETY: the caller's promise.
        let mapped = unsafe { self.0.attach(id, address, flags) };
        mark::begin();
        mapped
    }

    unsafe fn detach(&self, address: usize) -> Result<()> {
        mark::end();
        // SAFETY: the caller's promise.
        unsafe { self.0.detach(address) }
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn get(&self, key: Key, size_bytes: usize, flags: GetFlags) -> Result<ShmId> {
        self.0.get(key, size_bytes, flags)
    }

    fn stat(&self, id: ShmId) -> Result<Stat> {
        self.0.stat(id)
    }

    fn stat_index(&self, index: i32, any: bool) -> Result<Stat> {
        self.0.stat_index(index, any)
    }

    fn set(&self, id: ShmId, change: Change) -> Result<()> {
        self.0.set(id, change)
    }

    fn remove(&self, id: ShmId) -> Result<()> {
        self.0.remove(id)
    }

    fn lock(&self, id: ShmId) -> Result<()> {
        self.0.lock(id)
    }

    fn unlock(&self, id: ShmId) -> Result<()> {
        self.0.unlock(id)
    }

    fn limits(&self) -> Result<Limits> {
        self.0.limits()
    }

    fn usage(&self) -> Result<Usage> {
        self.0.usage()
    }

    fn list(&self) -> Result<Vec<Listed>> {
        self.0.list()
    }

    fn attachers(&self) -> Result<Attachers> {
        self.0.attachers()
    }

    fn is_attached(&self, id: ShmId, pid: i32) -> Result<Option<bool>> {
        self.0.is_attached(id, pid)
    }
}
