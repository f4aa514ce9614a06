//! Which layouts are worth a try. Pure arithmetic, no device.

use super::Tuning;
use crate::plan::MAX_LOG_K;
use crate::program::Operation;

/// What a device allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) group_size: u32,
    pub(super) local_memory_bytes: usize,
}

impl Limits {
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
            && (1..=MAX_LOG_K).contains(&levels)
    }
}

/// The default first, then what differs from it, each layout once.
pub(super) fn candidates(operation: Operation, default: Tuning, limits: Limits) -> Vec<Tuning> {
    let width = default.vector_width;
    let shapes = match default.group_size {
        // Work-items are threads: the compiler may do better with half a lane, or two at a time.
        1 => vec![(width, 1), (width / 2, 1), (width * 2, 1)],
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
        for (operation, default, limits, count) in [
            (Operation::NttPass { inverse: false }, cpu, large, 3 * 5 * 3),
            (Operation::NttPass { inverse: false }, cpu, small, 3 * 3 * 3),
            (fold, cpu, large, 3),
            (Operation::NttPass { inverse: false }, gpu, large, 4 * 5 * 3),
            (Operation::NttPass { inverse: false }, gpu, small, 2 * 3 * 3),
            (Operation::NttSpread, gpu, large, 4),
        ] {
            let found = candidates(operation, default, limits);
            assert_eq!(found[0], default);
            assert_eq!(found.len(), count, "{operation:?} {default} {limits:?}");
            for (at, tuning) in found.iter().enumerate() {
                assert!(limits.allow(*tuning), "{tuning}");
                assert!(!found[..at].contains(tuning), "{tuning} comes twice");
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
            |t| t.levels = 9,
        ];
        for spoil in bad {
            let mut tuning = good;
            spoil(&mut tuning);
            assert!(!limits.allow(tuning), "{tuning}");
        }
    }
}
