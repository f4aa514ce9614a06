//! The programs: which sources make a kernel.
//!
//! A program holds one kernel for one field and one lane shape, so that a device compiles no more
//! than it is asked to run.

use crate::field::Field;

/// A kernel, for every field: its name without the field, and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    NttPass,
    NttSpread,
    FriFold2,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::NttPass => "ntt_pass",
            Self::NttSpread => "ntt_spread",
            Self::FriFold2 => "fri_fold2",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::NttPass => include_str!("../../kernels/ntt/pass.cl"),
            Self::NttSpread => include_str!("../../kernels/ntt/spread.cl"),
            Self::FriFold2 => include_str!("../../kernels/fri/fold2.cl"),
        }
    }
}

/// The source that every program begins with.
const LANE_SOURCE: &str = include_str!("../../kernels/lane.cl");

/// The name and the source of `operation` over `F`.
pub(crate) fn program<F: Field>(operation: Operation) -> (String, String) {
    let name = format!("{}_{}", operation.name(), F::NAME);
    let sources = [&[LANE_SOURCE], F::SOURCES, &[operation.source()]].concat();
    (name, sources.join("\n"))
}
