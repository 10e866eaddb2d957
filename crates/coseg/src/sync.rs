//! The atomics every algorithm here is written with, so that a model checker's can take their place.

#[cfg(not(coseg_model))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(coseg_crowd)]
pub(crate) use crate::mortal::{AtomicU32, AtomicU64};
#[cfg(all(coseg_model, not(coseg_crowd)))]
pub(crate) use checker::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(coseg_model)]
pub(crate) use checker::sync::atomic::{Ordering, fence};
/// What tries every order of a few threads.
#[cfg(all(coseg_model, not(coseg_crowd)))]
pub(crate) use loom as checker;
/// What tries orders of many at random.
#[cfg(coseg_crowd)]
pub(crate) use shuttle as checker;
