//! The atomics every algorithm here is written with, so that a model checker's can take their place.

#[cfg(not(coseg_model))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(coseg_model)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
