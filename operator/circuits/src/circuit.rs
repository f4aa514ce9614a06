//! The four circuits behind one face.
//!
//! A circuit's trace always has the height that a full segment needs, also for a short one, so that
//! each circuit has exactly one shape per parameter set and a verifier accepts no other.

use std::fmt;
use std::str::FromStr;

use p3_air::symbolic::SymbolicAirBuilder;
use p3_air::{Air, BaseAir};
use p3_batch_stark::folder::VerifierConstraintFolderWithLookups;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::VerifierConstraintFolder;

use crate::config::{Challenge, StockConfig, Val};
use crate::digest;
use crate::error::Error;

/// A circuit, named after the hash that it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Circuit {
    /// Keccak-256.
    Keccak256,
    /// SHA-256.
    Sha256,
    /// BLAKE3.
    Blake3,
    /// Poseidon2 over BabyBear.
    Poseidon2,
}

/// What can be done with the constraints of every circuit: read them as expressions, count their degree,
/// and evaluate them at a point, as the verifier of one proof and that of a batch do.
pub trait CircuitAir:
    BaseAir<Val>
    + Air<SymbolicAirBuilder<Val>>
    + Air<SymbolicAirBuilder<Val, Challenge>>
    + Air<InteractionSymbolicBuilder<Val, Challenge>>
    + for<'a> Air<VerifierConstraintFolder<'a, StockConfig>>
    + for<'a> Air<VerifierConstraintFolderWithLookups<'a, StockConfig>>
    + Clone
    + Sync
{
}

impl<A> CircuitAir for A where
    A: BaseAir<Val>
        + Air<SymbolicAirBuilder<Val>>
        + Air<SymbolicAirBuilder<Val, Challenge>>
        + Air<InteractionSymbolicBuilder<Val, Challenge>>
        + for<'a> Air<VerifierConstraintFolder<'a, StockConfig>>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, StockConfig>>
        + Clone
        + Sync
{
}

/// Something to be done with a circuit's AIR, whose type is not known before the circuit is.
pub trait AirVisitor {
    /// What comes of it.
    type Output;

    /// Does it with `air`.
    fn visit<A: CircuitAir>(self, air: &A) -> Self::Output;
}

/// An AIR that binds a digest and a fingerprint to the bytes of a segment.
pub(crate) trait SegmentAir: CircuitAir + Default {
    /// Height of every trace, base two.
    const LOG_HEIGHT: usize;

    /// A digest as public values, each digest in one way only; none if it is no output of the hash.
    fn digest_values(digest: &[u8; 32]) -> Option<Vec<Val>>;

    /// The trace for `bytes`, with the running fingerprint at `r`.
    ///
    /// *Shape*: `1 << LOG_HEIGHT` rows of `width()` columns; 1 to [`crate::SEGMENT_BYTES`] bytes.
    fn trace(&self, bytes: &[u8], r: Challenge) -> RowMajorMatrix<Val>;
}

/// A trace of zeros.
pub(crate) fn empty_trace(log_height: usize, width: usize) -> RowMajorMatrix<Val> {
    RowMajorMatrix::new(Val::zero_vec(width << log_height), width)
}

/// Evaluates `$body` with `$air` bound to the AIR of `$circuit`.
macro_rules! with_air {
    ($circuit:expr, $air:ident => $body:expr) => {
        match $circuit {
            Circuit::Keccak256 => {
                let $air = crate::keccak::KeccakSegmentAir;
                $body
            }
            Circuit::Sha256 => {
                let $air = crate::sha256::Sha256SegmentAir;
                $body
            }
            Circuit::Blake3 => {
                let $air = crate::blake3::Blake3SegmentAir;
                $body
            }
            Circuit::Poseidon2 => {
                let $air = crate::poseidon2::Poseidon2SegmentAir::default();
                $body
            }
        }
    };
}
pub(crate) use with_air;

impl Circuit {
    /// Every circuit, in the order of all encodings.
    pub const ALL: [Self; 4] = [Self::Keccak256, Self::Sha256, Self::Blake3, Self::Poseidon2];

    /// The name that outputs and task kinds carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keccak256 => "keccak256",
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
            Self::Poseidon2 => "poseidon2",
        }
    }

    /// Height of the circuit's trace, base two.
    #[must_use]
    pub fn log_height(self) -> usize {
        with_air!(self, air => log_height_of(&air))
    }

    /// Columns of the circuit's trace.
    #[must_use]
    pub fn width(self) -> usize {
        with_air!(self, air => air.width())
    }

    /// Lets `visitor` see the circuit's AIR.
    pub fn visit<V: AirVisitor>(self, visitor: V) -> V::Output {
        with_air!(self, air => visitor.visit(&air))
    }

    /// The digest of `bytes` under this circuit's hash, by an independent implementation.
    #[must_use]
    pub fn native_digest(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Keccak256 => digest::keccak256(bytes),
            Self::Sha256 => digest::sha256(bytes),
            Self::Blake3 => digest::blake3(bytes),
            Self::Poseidon2 => digest::poseidon2(bytes),
        }
    }

    /// The digest as public values of this circuit.
    ///
    /// *Errors*: [`Error::NotCanonical`] if the digest is no output of the circuit's hash.
    pub(crate) fn digest_values(self, digest: &[u8; 32]) -> Result<Vec<Val>, Error> {
        with_air!(self, air => digest_values_of(&air, digest)).ok_or(Error::NotCanonical {
            what: "the poseidon2 digest",
        })
    }
}

fn log_height_of<A: SegmentAir>(_: &A) -> usize {
    A::LOG_HEIGHT
}

fn digest_values_of<A: SegmentAir>(_: &A, digest: &[u8; 32]) -> Option<Vec<Val>> {
    A::digest_values(digest)
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no circuit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown circuit {0:?}, expected one of keccak256, sha256, blake3, poseidon2")]
pub struct UnknownCircuit(pub String);

impl FromStr for Circuit {
    type Err = UnknownCircuit;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|circuit| circuit.name() == name)
            .ok_or_else(|| UnknownCircuit(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::params::Params;
    use crate::statement::Statement;

    #[test]
    fn constraints_have_degree_three_at_most() {
        for circuit in Circuit::ALL {
            let degree = with_air!(circuit, air => p3_air::symbolic::get_max_constraint_degree::<Val, _>(
                &air,
                p3_air::symbolic::AirLayout::from_air::<Val>(&air),
                1 << circuit.log_height(),
            ));
            assert!(degree <= 3, "{circuit}: {degree}");
        }
    }

    #[test]
    fn shapes() {
        let shapes: String = Circuit::ALL
            .map(|it| format!("{it}: 2^{} rows of {} cells\n", it.log_height(), it.width()))
            .concat();
        expect![[r#"
            keccak256: 2^10 rows of 2881 cells
            sha256: 2^7 rows of 7803 cells
            blake3: 2^7 rows of 9408 cells
            poseidon2: 2^8 rows of 524 cells
        "#]]
        .assert_eq(&shapes);
    }

    #[test]
    fn names_are_read_back() {
        for circuit in Circuit::ALL {
            assert_eq!(circuit.name().parse(), Ok(circuit));
        }
        for params in Params::ALL {
            assert_eq!(params.name().parse(), Ok(params));
        }
        assert!("keccak".parse::<Circuit>().is_err());
        assert!("Standard".parse::<Params>().is_err());
    }

    struct Shape;

    impl AirVisitor for Shape {
        type Output = (usize, usize);

        fn visit<A: CircuitAir>(self, air: &A) -> Self::Output {
            (air.width(), air.num_public_values())
        }
    }

    #[test]
    fn a_visitor_sees_the_air_of_the_circuit() {
        let statement = Statement::compute(b"abc", 0).unwrap();
        for circuit in Circuit::ALL {
            let values = circuit.public_values(&statement).unwrap();
            let expected = (circuit.width(), values.len());
            assert_eq!(circuit.visit(Shape), expected, "{circuit}");
        }
    }
}
