//! What a proof of the last layer is worth, by Plonky3's own estimator.
//!
//! Two figures, because they answer different questions. *Conjectured* is what a deployment counts on: the "random words"
//! bound of ePrint 2025/2010. *Proven* is what remains without any conjecture about FRI, at the Johnson bound or by
//! unique decoding, whichever is more. Both include the look-ups.
//!
//! A digest is one element of BN254's scalar field, so two collide after 2^127 trials.

use froben_circuits::Security;
use p3_batch_stark::num_batched_openings;
use p3_security::logup::{LogUpAir, fingerprint_error};
use p3_security::shape::InstanceShape;
use p3_uni_stark::{ConjecturedSecurity, OpeningShape, ProvenSecurity, StarkSecurityParams};

use crate::verifier::Shape;

/// Bits of the challenge field's order.
const FIELD_BITS: usize = 123;
/// Bits of work until two digests collide.
const DIGEST_BITS: usize = 127;

impl Shape {
    /// What proofs of this shape are worth.
    #[must_use]
    pub fn security(&self) -> Security {
        let instances = &self.instances;
        let log_height = instances.iter().map(|i| i.log_height).max().unwrap_or(0);
        let batched = instances.iter().map(|i| {
            num_batched_openings(
                i.width,
                i.next,
                i.preprocessed_width,
                i.preprocessed_next,
                1 << i.log_chunks,
                i.lookups.len(),
                4,
                OpeningShape::new(),
            )
        });
        let batched = batched.sum();
        let constraints = instances.iter().map(|i| i.constraints.len()).sum();
        let log_chunks = instances.iter().map(|i| i.log_chunks).max().unwrap_or(0);
        let params = StarkSecurityParams::new(
            self.fri.security_regime(),
            FIELD_BITS,
            DIGEST_BITS,
            constraints,
            (1 << log_chunks) + 1,
            2,
            batched,
            1 << log_chunks,
        )
        .with_grinding(self.fri.grinding_sites());
        let conjectured = ConjecturedSecurity::compute_from_params(&params, log_height);
        let proven = ProvenSecurity::compute_from_proof(log_height, &params);
        let lookups = self.lookup_bits(log_height, batched);
        Security {
            conjectured_bits: conjectured.security_bits.min(lookups),
            proven_bits: proven.security_bits().min(lookups),
        }
    }

    /// What the look-ups are worth, with the work before their challenges.
    fn lookup_bits(&self, log_height: usize, batched: usize) -> usize {
        let lookups = || self.instances.iter().flat_map(|instance| &instance.lookups);
        let air = LogUpAir {
            num_interactions: lookups().map(|lookup| lookup.elements.len()).sum(),
            max_message_width: lookups()
                .flat_map(|l| &l.elements)
                .map(Vec::len)
                .max()
                .unwrap_or(0),
        };
        if air.num_interactions == 0 {
            return FIELD_BITS;
        }
        let shape = InstanceShape {
            log_trace_length: log_height,
            modulus_bits: FIELD_BITS,
            collision_resistance: DIGEST_BITS,
            num_batched_functions: batched,
        };
        fingerprint_error(&air, &shape).floor() + self.params.lookup_proof_of_work_bits()
    }
}
