//! What a parameter set is worth, by Plonky3's own estimator on the circuits at hand.
//!
//! Two figures, because they answer different questions. *Conjectured* is what a deployment counts
//! on; *proven* is what remains without any conjecture about FRI. The older count of up to
//! `queries * log_blowup + grinding` bits ("ethSTARK", proximity gaps up to capacity) is not given:
//! the conjecture behind it was refuted in 2025 (ePrint 2025/2010). What is conjectured here is the
//! "random words" bound that the same paper puts in its place.
//!
//! The estimator is that of `p3-uni-stark`. A batch of one instance without lookups commits to and opens
//! the same polynomials as a proof outside a batch, so it counts the same (`p3_batch_stark::security`).
//!
//! Neither figure covers the link between the circuits; docs/circuits.md does.

use p3_air::Air;
use p3_air::symbolic::{AirLayout, SymbolicAirBuilder};
use p3_field::PrimeCharacteristicRing;
use p3_uni_stark::{ConjecturedSecurity, OpeningShape, ProvenSecurity, StarkSecurityParams};

use crate::circuit::{Circuit, SegmentAir, with_air};
use crate::config::{Challenge, Domain, Val, fri};
use crate::params::Params;

/// Bits of the challenge field's order, and of two colliding Merkle digests of eight elements; both
/// are 123.6.
const FIELD_BITS: usize = 123;
/// Rows that a constraint reads: its own and the next.
const ROTATIONS: usize = 2;

/// What a proof is worth against a prover that lies, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Security {
    /// Under the random-words conjecture (ePrint 2025/2010, section 1.5).
    pub conjectured_bits: usize,
    /// Without a conjecture about FRI: by unique decoding or the Johnson bound, whichever is more.
    pub proven_bits: usize,
}

impl Params {
    /// What these parameters are worth, for the circuit for which they are worth least.
    #[must_use]
    pub fn security(self) -> Security {
        let least = |a: Security, b: Security| Security {
            conjectured_bits: a.conjectured_bits.min(b.conjectured_bits),
            proven_bits: a.proven_bits.min(b.proven_bits),
        };
        let [first, rest @ ..] = Circuit::ALL.map(|circuit| circuit.security(self));
        rest.into_iter().fold(first, least)
    }
}

impl Circuit {
    /// What a proof of this circuit is worth under `params`.
    #[must_use]
    pub fn security(self, params: Params) -> Security {
        with_air!(self, air => security_of(&air, params))
    }
}

fn security_of<A>(air: &A, params: Params) -> Security
where
    A: SegmentAir + Air<SymbolicAirBuilder<Val>> + Air<SymbolicAirBuilder<Val, Challenge>>,
{
    let fri = fri(params);
    let domain =
        Domain::new(Val::ONE, A::LOG_HEIGHT).expect("invariant: traces fit the two-adic subgroup");
    let shape = StarkSecurityParams::from_air::<Val, Challenge, A>(
        fri.security_regime(),
        air,
        AirLayout::from_air::<Val>(air),
        domain,
        FIELD_BITS,
        FIELD_BITS,
        ROTATIONS,
        OpeningShape::new(),
        fri.grinding_sites(),
    );
    Security {
        conjectured_bits: ConjecturedSecurity::compute_from_params(&shape, A::LOG_HEIGHT)
            .security_bits,
        proven_bits: ProvenSecurity::compute_from_proof(A::LOG_HEIGHT, &shape).security_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn standard_is_worth_at_least_100_bits() {
        let security = Params::Standard.security();
        assert!(security.conjectured_bits >= 100, "{security:?}");
    }

    #[test]
    fn figures_per_circuit() {
        let figures: String = Params::ALL
            .into_iter()
            .flat_map(|params| Circuit::ALL.map(|circuit| (params, circuit)))
            .map(|(params, circuit)| {
                let Security {
                    conjectured_bits,
                    proven_bits,
                } = circuit.security(params);
                format!(
                    "{params} {circuit}: {conjectured_bits} conjectured, {proven_bits} proven\n"
                )
            })
            .collect();
        expect![[r#"
            standard keccak256: 100 conjectured, 58 proven
            standard sha256: 100 conjectured, 58 proven
            standard blake3: 100 conjectured, 58 proven
            standard poseidon2: 100 conjectured, 58 proven
            dev keccak256: 8 conjectured, 4 proven
            dev sha256: 8 conjectured, 4 proven
            dev blake3: 8 conjectured, 4 proven
            dev poseidon2: 8 conjectured, 4 proven
        "#]]
        .assert_eq(&figures);
    }
}
