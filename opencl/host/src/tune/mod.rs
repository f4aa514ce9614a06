//! How kernels are laid out on a device, measured instead of guessed.
//!
//! A kernel serves every device by a few numbers: elements in a lane, work-items in a group, bytes of a
//! tile, levels of a pass. [`crate::layout`] has a guess that works everywhere; [`search`] tries others
//! on the device itself, and [`file`] keeps what was best for later sessions. No layout changes a
//! result: each one is checked before it is timed, and again by the self-test of every session that
//! uses it.

mod candidates;
pub(crate) mod file;
mod msm;
mod search;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::driver::launch::LaneShape;
use crate::program::Operation;
pub(crate) use msm::MsmTuning;
pub use targets::{Target, Tuned, targets};

/// How a kernel over a field is laid out on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tuning {
    /// Field elements in a lane.
    pub(crate) vector_width: u32,
    /// Work-items in a group.
    pub(crate) group_size: u32,
    /// Local memory that a group may use, in bytes. Only kernels with a tile read it.
    pub(crate) tile_bytes: usize,
    /// Levels of a transform that one pass does at most. Only kernels with a tile read it.
    pub(crate) levels: u32,
}

impl Tuning {
    pub(crate) const fn shape(self) -> LaneShape {
        LaneShape {
            vector_width: self.vector_width,
            group_size: self.group_size,
        }
    }
}

impl Tuning {
    /// For people, without what kernels that have no tile do not read.
    fn shown(self, has_tile: bool) -> String {
        let Self {
            vector_width,
            group_size,
            tile_bytes,
            levels,
        } = self;
        let lanes = format!("lane {vector_width}, group {group_size}");
        match has_tile {
            true => format!("{lanes}, tile {} KiB, {levels} levels", tile_bytes >> 10),
            false => lanes,
        }
    }
}

/// A layout as a file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kept {
    Lanes(Tuning),
    Msm(MsmTuning),
}

impl From<Tuning> for Kept {
    fn from(tuning: Tuning) -> Self {
        Self::Lanes(tuning)
    }
}

impl From<MsmTuning> for Kept {
    fn from(tuning: MsmTuning) -> Self {
        Self::Msm(tuning)
    }
}

/// What was measured on a device; where nothing was, its layout's defaults hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunings {
    /// By kernel, and by field or permutation.
    lanes: HashMap<(&'static str, &'static str), Tuning>,
    msm: Option<MsmTuning>,
}

impl Tunings {
    pub(crate) fn get(&self, operation: Operation, name: &'static str) -> Option<Tuning> {
        self.lanes.get(&(operation.name(), name)).copied()
    }

    pub(crate) fn set(&mut self, operation: Operation, name: &'static str, tuning: Tuning) {
        self.lanes.insert((operation.name(), name), tuning);
    }

    pub(crate) const fn msm(&self) -> Option<MsmTuning> {
        self.msm
    }

    pub(crate) const fn set_msm(&mut self, tuning: MsmTuning) {
        self.msm = Some(tuning);
    }

    /// Goes back to the defaults; whether there was anything else.
    pub(crate) fn forget(&mut self) -> bool {
        let any = !self.lanes.is_empty() || self.msm.is_some();
        *self = Self::default();
        any
    }
}
