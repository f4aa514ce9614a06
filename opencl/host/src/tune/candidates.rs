//! Which layouts are worth a try. Pure arithmetic, no device.

use super::{MsmTuning, Tuning};
use crate::device::Device;
use crate::driver::launch::ntt_lanes::ROW_BYTES;
use crate::layout::LANES_LEVELS;
use crate::plan::MAX_LOG_K;
use crate::program::Operation;

/// What a device allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) group_size: u32,
    pub(super) local_memory_bytes: usize,
}

impl Limits {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            group_size: device.max_group_size,
            local_memory_bytes: usize::try_from(device.local_memory_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether the device can run such a layout. More local memory than there is aborts the process.
    pub(super) fn allow(self, tuning: Tuning) -> bool {
        let Tuning {
            vector_width,
            group_size,
            tile_bytes,
            levels,
        } = tuning;
        [1, 2, 4, 8, 16].contains(&vector_width)
            && (1..=self.group_size).contains(&group_size)
            && (1 << 10..=self.local_memory_bytes).contains(&tile_bytes)
            && (1..=LANES_LEVELS.max(MAX_LOG_K)).contains(&levels)
    }

    /// [`Limits::allow`] of a multi-scalar multiplication.
    pub(super) fn allow_msm(self, tuning: MsmTuning) -> bool {
        let MsmTuning {
            group_size,
            groups,
            run,
            wider,
        } = tuning;
        group_size.is_power_of_two()
            && group_size <= self.group_size
            && (1..=1024).contains(&groups)
            && (64..=1 << 20).contains(&run)
            && run.is_multiple_of(8)
            && wider.iter().all(|bits| (-8..=8).contains(bits))
    }
}

/// The default first, then what differs from it in lanes of `widths`, each layout once.
pub(super) fn candidates(
    operation: Operation,
    default: Tuning,
    widths: &[u32],
    limits: Limits,
) -> Vec<Tuning> {
    if default.levels > MAX_LOG_K {
        // In lanes of large elements: a tile of as many rows as there are levels.
        let fewer = (default.levels - 3..=default.levels).rev();
        return fewer
            .map(|levels| Tuning {
                levels,
                tile_bytes: default.tile_bytes.min(ROW_BYTES << levels),
                ..default
            })
            .filter(|&tuning| limits.allow(tuning))
            .collect();
    }
    let width = default.vector_width;
    let narrower = widths.iter().copied().filter(|&other| other < width).max();
    let wider = widths.iter().copied().filter(|&other| other > width).min();
    let shapes: Vec<_> = match default.group_size {
        // Work-items are threads: the compiler may do better with half a lane, or two at a time.
        1 => [Some(width), narrower, wider]
            .into_iter()
            .flatten()
            .map(|width| (width, 1))
            .collect(),
        // Work-items are lanes.
        _ => [32, 64, 128, 256]
            .map(|group_size| (width, group_size))
            .to_vec(),
    };
    let tiles = [10, 20, 40, 48, 64].map(|kib| kib << 10);
    let mut found = vec![default];
    for (vector_width, group_size) in shapes {
        let shaped = Tuning {
            vector_width,
            group_size,
            ..default
        };
        let tiled = tiles.into_iter().flat_map(|tile_bytes| {
            (MAX_LOG_K - 2..=MAX_LOG_K).map(move |levels| Tuning {
                tile_bytes,
                levels,
                ..shaped
            })
        });
        let more: Vec<_> = match operation.has_tile() {
            true => tiled.collect(),
            false => vec![shaped],
        };
        for tuning in more {
            if limits.allow(tuning) && !found.contains(&tuning) {
                found.push(tuning);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_candidate_is_allowed_and_comes_once_with_the_default_first() {
        let cpu = Tuning {
            vector_width: 8,
            group_size: 1,
            tile_bytes: 40 << 10,
            levels: 8,
        };
        let gpu = Tuning {
            vector_width: 1,
            group_size: 64,
            tile_bytes: 20 << 10,
            levels: 8,
        };
        let large = Limits {
            group_size: 1024,
            local_memory_bytes: 1 << 20,
        };
        let small = Limits {
            group_size: 64,
            local_memory_bytes: 40 << 10,
        };
        let fold = Operation::FriFold {
            degree: 4,
            log_arity: 3,
        };
        let any: &[u32] = &[1, 2, 4, 8, 16];
        let pass = Operation::NttPass { inverse: false };
        for (operation, default, widths, limits, count) in [
            (pass, cpu, any, large, 3 * 5 * 3),
            (pass, cpu, any, small, 3 * 3 * 3),
            (pass, cpu, &[8], large, 5 * 3),
            (fold, cpu, any, large, 3),
            (fold, cpu, &[1, 8], large, 2),
            (pass, gpu, any, large, 4 * 5 * 3),
            (pass, gpu, &[1], small, 2 * 3 * 3),
            (Operation::NttSpread, gpu, any, large, 4),
        ] {
            let found = candidates(operation, default, widths, limits);
            assert_eq!(found[0], default);
            assert_eq!(found.len(), count, "{operation:?} {default:?} {limits:?}");
            for (at, tuning) in found.iter().enumerate() {
                assert!(limits.allow(*tuning), "{tuning:?}");
                assert!(!found[..at].contains(tuning), "{tuning:?} comes twice");
            }
        }
    }

    #[test]
    fn a_layout_that_the_device_cannot_run_is_not_allowed() {
        let limits = Limits {
            group_size: 256,
            local_memory_bytes: 32 << 10,
        };
        let good = Tuning {
            vector_width: 8,
            group_size: 256,
            tile_bytes: 32 << 10,
            levels: 8,
        };
        assert!(limits.allow(good));
        let bad: [fn(&mut Tuning); 9] = [
            |t| t.vector_width = 0,
            |t| t.vector_width = 3,
            |t| t.vector_width = 32,
            |t| t.group_size = 0,
            |t| t.group_size = 257,
            |t| t.tile_bytes = (32 << 10) + 1,
            |t| t.tile_bytes = 1023,
            |t| t.levels = 0,
            |t| t.levels = 11,
        ];
        for spoil in bad {
            let mut tuning = good;
            spoil(&mut tuning);
            assert!(!limits.allow(tuning), "{tuning:?}");
        }
    }
}
