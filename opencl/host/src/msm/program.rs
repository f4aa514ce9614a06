//! Which sources make the kernels of a multi-scalar multiplication.

use crate::driver::launch::LaneShape;
use crate::field::mont256_backend::Mont256Backend;

/// A kernel of BN254 G1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MsmKernel {
    Digits,
    Count,
    Place,
    Sort,
    Accumulate,
    Chains,
    Merge,
    Reduce,
    Sum,
    Multiples,
    Grid,
}

const LANE: &str = include_str!("../../../kernels/lane.cl");
const FQ: &str = include_str!("../../../kernels/field/bn254_fq.cl");
const FR: &str = include_str!("../../../kernels/field/bn254_fr.cl");
const MONT256: &str = include_str!("../../../kernels/field/mont256.cl");
const POINT: &str = include_str!("../../../kernels/msm/point.cl");
const ACCUMULATE: &str = include_str!("../../../kernels/msm/accumulate.cl");

impl MsmKernel {
    pub(crate) const ALL: [Self; 11] = [
        Self::Digits,
        Self::Count,
        Self::Place,
        Self::Sort,
        Self::Accumulate,
        Self::Chains,
        Self::Merge,
        Self::Reduce,
        Self::Sum,
        Self::Multiples,
        Self::Grid,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Digits => "msm_digits_bn254_fr",
            Self::Count => "msm_count",
            Self::Place => "msm_place",
            Self::Sort => "msm_sort",
            Self::Accumulate => "msm_accumulate_bn254_fq",
            Self::Chains => "msm_chains_bn254_fq",
            Self::Merge => "msm_merge_bn254_fq",
            Self::Reduce => "msm_reduce_bn254_fq",
            Self::Sum => "msm_sum_bn254_fq",
            Self::Multiples => "msm_multiples_bn254_fq",
            Self::Grid => "msm_grid_bn254_fq",
        }
    }

    /// The sources, in order.
    pub(crate) fn source(self, backend: Mont256Backend) -> String {
        let point = |source| [LANE, FQ, MONT256, POINT, source].to_vec();
        let sources = match self {
            Self::Digits => [
                LANE,
                FR,
                MONT256,
                include_str!("../../../kernels/msm/digits.cl"),
            ]
            .to_vec(),
            Self::Count => [LANE, include_str!("../../../kernels/msm/count.cl")].to_vec(),
            Self::Place => [LANE, include_str!("../../../kernels/msm/place.cl")].to_vec(),
            Self::Sort => [LANE, include_str!("../../../kernels/msm/sort.cl")].to_vec(),
            Self::Accumulate => point(ACCUMULATE),
            Self::Chains => [
                &[LANE, FQ],
                backend.sources(),
                &[include_str!("../../../kernels/msm/chains.cl")],
            ]
            .concat(),
            Self::Merge => [&["#define MERGE"], point(ACCUMULATE).as_slice()].concat(),
            Self::Reduce => point(include_str!("../../../kernels/msm/reduce.cl")),
            Self::Sum => point(include_str!("../../../kernels/msm/sum.cl")),
            Self::Grid => point(include_str!("../../../kernels/msm/grid.cl")),
            Self::Multiples => point(include_str!("../../../kernels/msm/multiples.cl")),
        };
        sources.join("\n")
    }

    /// One element a work-item, in groups of so many; lanes for the kernel that processors alone run.
    pub(crate) const fn shape(self, backend: Mont256Backend, group_size: u32) -> LaneShape {
        LaneShape {
            vector_width: match self {
                Self::Chains => backend.width(),
                _ => 1,
            },
            group_size,
        }
    }
}
