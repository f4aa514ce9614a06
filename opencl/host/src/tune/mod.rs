//! How kernels are laid out on a device, measured instead of guessed.
//!
//! A kernel serves every device by a few numbers: elements in a lane, work-items in a group, bytes of a
//! tile, levels of a pass. [`crate::layout`] has a guess that works everywhere; [`search`] tries others
//! on the device itself, and [`file`] keeps what was best for later sessions. No layout changes a
//! result: each one is checked before it is timed, and again by the self-test of every session that
//! uses it.

mod candidates;
pub(crate) mod file;
mod search;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::driver::launch::LaneShape;
use crate::program::Operation;
pub use search::{Target, Tuned, targets};

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

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vector_width,
            group_size,
            tile_bytes,
            levels,
        } = self;
        let kib = tile_bytes >> 10;
        write!(
            f,
            "lane {vector_width}, group {group_size}, tile {kib} KiB, {levels} levels"
        )
    }
}

/// What was measured on a device; where nothing was, its layout's defaults hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunings(HashMap<(&'static str, &'static str), Tuning>);

impl Tunings {
    pub(crate) fn get(&self, operation: Operation, field: &'static str) -> Option<Tuning> {
        self.0.get(&(operation.name(), field)).copied()
    }

    pub(crate) fn set(&mut self, operation: Operation, field: &'static str, tuning: Tuning) {
        self.0.insert((operation.name(), field), tuning);
    }

    /// Goes back to the defaults; whether there was anything else.
    pub(crate) fn forget(&mut self) -> bool {
        let any = !self.0.is_empty();
        self.0.clear();
        any
    }
}
