//! The programs: which sources make a kernel.
//!
//! A program holds one kernel for one field and one lane shape, so that a device compiles no more
//! than it is asked to run.

use crate::field::Field;

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
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::NttPass { .. } => "ntt_pass",
            Self::NttSpread => "ntt_spread",
            Self::FriFold { .. } => "fri_fold",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::NttPass { .. } => include_str!("../../kernels/ntt/pass.cl"),
            Self::NttSpread => include_str!("../../kernels/ntt/spread.cl"),
            Self::FriFold { .. } => include_str!("../../kernels/fri/fold.cl"),
        }
    }

    /// What is fixed when the kernel is compiled.
    fn definitions(self) -> String {
        match self {
            Self::NttPass { inverse } => format!("#define INVERSE {}\n", u8::from(inverse)),
            Self::NttSpread => String::new(),
            Self::FriFold { degree, log_arity } => {
                format!("#define EXT_DEGREE {degree}\n#define LOG_ARITY {log_arity}\n")
            }
        }
    }
}

/// The source that every program begins with.
const LANE_SOURCE: &str = include_str!("../../kernels/lane.cl");

/// The name and the source of `operation` over `F`.
pub(crate) fn program<F: Field>(operation: Operation) -> (String, String) {
    let name = format!("{}_{}", operation.name(), F::NAME);
    let definitions = operation.definitions();
    let sources = [
        &[definitions.as_str(), LANE_SOURCE],
        F::SOURCES,
        &[operation.source()],
    ]
    .concat();
    (name, sources.join("\n"))
}
