//! The programs: which sources make a kernel.
//!
//! A program holds one kernel for one field and one lane shape, so that a device compiles no more
//! than it is asked to run.

pub(crate) mod cache;

use crate::field::Field;
use crate::field::mont256_backend::Mont256Backend;
use crate::hash::Poseidon2;

/// A kernel, for every field: its name without the field, and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// `inverse` only where the field's sources ask for it.
    NttPass {
        inverse: bool,
    },
    NttSpread,
    /// Runs of `2^log_arity` elements of an extension of that degree.
    FriFold {
        degree: u8,
        log_arity: u8,
    },
    Poseidon2Permute,
    MerkleLeaves,
    MerkleNodes,
    MemoryCopy,
}

impl Operation {
    /// Whether it works in tiles of local memory.
    pub(crate) const fn has_tile(self) -> bool {
        matches!(self, Self::NttPass { .. })
    }

    /// Whether it has a kernel of its own for the field's lanes of four.
    pub(crate) const fn in_lanes<F: Field>(self) -> bool {
        matches!(self, Self::NttPass { .. }) && !F::LANE_SOURCES.is_empty()
    }

    /// The kernel's name, without that of the field.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NttPass { .. } => "ntt_pass",
            Self::NttSpread => "ntt_spread",
            Self::FriFold { .. } => "fri_fold",
            Self::Poseidon2Permute => "poseidon2_permute",
            Self::MerkleLeaves => "merkle_leaves",
            Self::MerkleNodes => "merkle_nodes",
            Self::MemoryCopy => "memory_copy",
        }
    }

    const fn sources(self) -> &'static [&'static str] {
        match self {
            Self::NttPass { .. } => &[include_str!("../../kernels/ntt/pass.cl")],
            Self::NttSpread => &[include_str!("../../kernels/ntt/spread.cl")],
            // The layout decides which of the variants it is.
            Self::FriFold { .. } => &[
                include_str!("../../kernels/fri/packed_31.cl"),
                include_str!("../../kernels/fri/packed_goldilocks.cl"),
                include_str!("../../kernels/fri/fold_packed.cl"),
                include_str!("../../kernels/fri/fold.cl"),
            ],
            Self::Poseidon2Permute => &[include_str!("../../kernels/hash/permute.cl")],
            Self::MerkleLeaves => &[include_str!("../../kernels/hash/leaves.cl")],
            Self::MerkleNodes => &[include_str!("../../kernels/hash/nodes.cl")],
            Self::MemoryCopy => &[include_str!("../../kernels/memory/copy.cl")],
        }
    }

    /// What is fixed when the kernel is compiled.
    fn definitions(self) -> String {
        match self {
            Self::NttPass { inverse } => format!("#define INVERSE {}\n", u8::from(inverse)),
            Self::NttSpread
            | Self::Poseidon2Permute
            | Self::MerkleLeaves
            | Self::MerkleNodes
            | Self::MemoryCopy => String::new(),
            Self::FriFold { degree, log_arity } => {
                format!("#define EXT_DEGREE {degree}\n#define LOG_ARITY {log_arity}\n")
            }
        }
    }
}

/// The source that every program begins with.
const LANE_SOURCE: &str = include_str!("../../kernels/lane.cl");

/// The name and the source of `operation` over `F`, in lanes if it has such.
pub(crate) fn program<F: Field>(operation: Operation, in_lanes: bool) -> (String, String) {
    let name = format!("{}_{}", operation.name(), F::NAME);
    if in_lanes && operation.in_lanes::<F>() {
        let pass = include_str!("../../kernels/ntt/pass_lanes.cl");
        return (
            name,
            [&[LANE_SOURCE], F::LANE_SOURCES, &[pass]]
                .concat()
                .join("\n"),
        );
    }
    let definitions = operation.definitions();
    let sources = [
        &[definitions.as_str(), LANE_SOURCE],
        F::SOURCES,
        operation.sources(),
    ]
    .concat();
    (name, sources.join("\n"))
}

/// The name and the source of the permutation over BN254.
pub(crate) fn bn254_program(backend: Mont256Backend) -> (String, String) {
    let sources = [
        &[LANE_SOURCE, include_str!("../../kernels/field/bn254_fr.cl")],
        backend.sources(),
        &[include_str!("../../kernels/hash/bn254_3.cl")],
    ];
    let name = "poseidon2_permute_bn254_3".to_owned();
    (name, sources.concat().join("\n"))
}

/// What follows the permutation in every program that hashes.
const HASH_LANES_SOURCE: &str = include_str!("../../kernels/hash/lanes.cl");

/// The name and the source of `operation` with the permutation `P`.
pub(crate) fn hash_program<P: Poseidon2>(operation: Operation) -> (String, String) {
    let name = format!("{}_{}", operation.name(), P::NAME);
    let sources = [
        &[LANE_SOURCE],
        P::Field::SOURCES,
        P::SOURCES,
        &[HASH_LANES_SOURCE],
        operation.sources(),
    ];
    (name, sources.concat().join("\n"))
}
