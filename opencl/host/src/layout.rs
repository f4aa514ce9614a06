//! How a session is laid out on its device: lanes, groups, tiles and limits.

use crate::device::{Device, DeviceKind};
use crate::driver::launch::LaneShape;
use crate::driver::launch::ntt_lanes::{LANES, ROW_BYTES};
use crate::field::Field;
use crate::field::mont256_backend::Mont256Backend;
use crate::hash::Poseidon2;
use crate::plan;
use crate::program::Operation;
use crate::tune::{MsmTuning, Tuning};

/// Levels of one pass in lanes of large elements: two passes for 2^20 rows.
pub(crate) const LANES_LEVELS: u32 = 10;

/// The layout of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Of 32-bit words.
    pub(crate) shape: LaneShape,
    /// Of elements of 256 bits.
    pub(crate) mont256: Mont256Backend,
    /// Whether transforms over such go in lanes.
    pub(crate) ntt_lanes: bool,
    /// Local memory that a work-group may use.
    pub(crate) tile_bytes: usize,
    /// The same of a kernel in lanes of large elements.
    pub(crate) lanes_tile_bytes: usize,
    pub(crate) limit_bytes: usize,
    /// Whether the device works on the host's memory where that can be.
    pub(crate) in_place: bool,
    pub(crate) max_allocation_bytes: usize,
    /// Whether buffers are lent again.
    pub(crate) recycled: bool,
}

impl Layout {
    /// What suits the device; `limit_bytes` caps its memory.
    pub(crate) fn for_device(device: &Device, limit_bytes: Option<u64>) -> Self {
        // 32 and 16 KiB of rows, and the factors of their nodes.
        const CPU_TILE: u64 = 40 << 10;
        const GPU_TILE: u64 = 20 << 10;
        // It need not stay in the nearest cache: most of a pass goes through parts of it.
        const LANES_TILE: u64 = (ROW_BYTES as u64) << LANES_LEVELS;
        let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (shape, tile) = match device.kind {
            DeviceKind::Cpu => (LaneShape::cpu(device.native_vector_width), CPU_TILE),
            DeviceKind::Gpu | DeviceKind::Accelerator => {
                (LaneShape::gpu(device.max_group_size), GPU_TILE)
            }
        };
        // A driver that is asked for its last byte tends to fail later and worse.
        let share = device.global_memory_bytes / 8 * 7;
        Self {
            shape,
            mont256: Mont256Backend::fastest(device),
            ntt_lanes: true,
            tile_bytes: bytes(tile.min(device.local_memory_bytes)),
            lanes_tile_bytes: bytes(LANES_TILE.min(device.local_memory_bytes)),
            limit_bytes: bytes(limit_bytes.map_or(share, |limit| limit.min(share))),
            in_place: device.kind == DeviceKind::Cpu,
            max_allocation_bytes: bytes(device.max_allocation_bytes),
            recycled: true,
        }
    }

    /// How a kernel over a field is laid out where nothing was measured.
    pub(crate) fn tuning<F: Field>(&self, operation: Operation) -> Tuning {
        // Two lanes' worth of words are a vector unit of 256 bits; narrower ones multiply scalars faster.
        if operation.in_lanes::<F>() && self.shape.vector_width >= 8 && self.ntt_lanes {
            return Tuning {
                vector_width: LANES as u32,
                group_size: 1,
                tile_bytes: self.lanes_tile_bytes,
                levels: LANES_LEVELS,
            };
        }
        let LaneShape {
            vector_width,
            group_size,
        } = self.shape_of::<F>();
        Tuning {
            vector_width,
            group_size,
            tile_bytes: self.tile_bytes,
            levels: plan::MAX_LOG_K,
        }
    }

    /// How a kernel that hashes is laid out where nothing was measured: a permutation is one long chain of
    /// products, and waits less when it goes through two vectors side by side.
    pub(crate) fn hash_tuning<P: Poseidon2>(&self) -> Tuning {
        let tuning = self.tuning::<P::Field>(Operation::Poseidon2Permute);
        Tuning {
            vector_width: match tuning.vector_width {
                1 => 1,
                width => (2 * width).min(16),
            },
            ..tuning
        }
    }

    /// How the permutation over BN254 is laid out where nothing was measured.
    pub(crate) fn bn254_tuning(&self) -> Tuning {
        Tuning {
            vector_width: self.mont256.width(),
            group_size: self.shape.group_size,
            tile_bytes: self.tile_bytes,
            levels: plan::MAX_LOG_K,
        }
    }

    /// How a multi-scalar multiplication is laid out where nothing was measured.
    pub(crate) const fn msm_tuning(&self) -> MsmTuning {
        let group_size = self.shape.group_size;
        MsmTuning {
            group_size,
            groups: 16,
            run: if group_size == 1 { 32768 } else { 1024 },
            wider: [0; 4],
        }
    }

    /// The lanes of a field: as many words as of 32 bits take as much together, where it has vectors.
    fn shape_of<F: Field>(&self) -> LaneShape {
        let LaneShape {
            vector_width,
            group_size,
        } = self.shape;
        let words = (size_of::<F::Word>() / 4) as u32;
        LaneShape {
            vector_width: match F::VECTORS {
                true => (vector_width / words).max(1),
                false => 1,
            },
            group_size,
        }
    }
}

impl LaneShape {
    /// Work-items are threads that work in vectors.
    pub(crate) fn cpu(native_vector_width: u32) -> Self {
        Self {
            vector_width: match native_vector_width {
                16.. => 16,
                8.. => 8,
                _ => 4,
            },
            group_size: 1,
        }
    }

    /// Work-items are lanes.
    pub(crate) fn gpu(max_group_size: u32) -> Self {
        Self {
            vector_width: 1,
            group_size: max_group_size.clamp(1, 64),
        }
    }

    /// What the sources are compiled with.
    pub(crate) fn build_options(self) -> String {
        let Self {
            vector_width,
            group_size,
        } = self;
        format!("-cl-std=CL1.2 -DVW={vector_width} -DWGS={group_size}")
    }
}
