//! Proofs: SHPLONK over KZG, with a transcript that a contract can follow.

use std::sync::Arc;

use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_base::halo2_proofs::plonk::{create_proof, verify_proof};
use halo2_base::halo2_proofs::poly::VerificationStrategy;
use halo2_base::halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_base::halo2_proofs::poly::kzg::strategy::AccumulatorStrategy;
use halo2_base::halo2_proofs::transcript::{TranscriptReadBuffer, TranscriptWriterBuffer};
use rand_core::OsRng;
use serde::{Deserialize, Serialize};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;

use super::msm::{Scheme, SchemeParams, Shplonk};
use super::{Keys, Msm, VerifyingKey};
use crate::Error;
use crate::circuit::Wrap;
use crate::verifier::{Shape, Values};

/// A SNARK: that a proof of the last layer with these public inputs exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snark {
    /// The name of the verifying key, which begins with where its setup comes from.
    pub key: String,
    /// Public inputs: canonical words, little-endian.
    pub inputs: Vec<[u8; 32]>,
    /// The proof as the contract takes it.
    pub proof: Vec<u8>,
}

impl Keys {
    /// Proves that `values` are a proof of the last layer.
    ///
    /// The proof is verified before it is handed out: a proof of the last layer that does not hold gives an
    /// error and not a SNARK that nobody accepts.
    ///
    /// # Errors
    /// If the proof of the last layer does not hold.
    pub fn prove(&self, shape: &Shape, values: &Values, msm: Arc<dyn Msm>) -> Result<Snark, Error> {
        let k = self.columns.k();
        // halo2 would find out only after a minute, and says little.
        let checked = Wrap::new(shape, values, k, CircuitBuilderStage::Mock).check();
        checked.map_err(Error::Unsatisfied)?;
        let circuit =
            Wrap::new(shape, values, k, CircuitBuilderStage::Prover).with_columns(&self.columns);
        let inputs = circuit.instances();
        let params = SchemeParams::new(self.setup.clone(), msm);
        let mut transcript: EvmTranscript<G1Affine, NativeLoader, Vec<u8>, Vec<u8>> =
            TranscriptWriterBuffer::<_, G1Affine, _>::init(vec![]);
        create_proof::<Scheme, Shplonk<'_>, _, _, EvmTranscript<_, _, _, _>, _>(
            &params,
            &self.proving,
            &[circuit],
            &[&[&inputs]],
            OsRng,
            &mut transcript,
        )
        .map_err(Error::halo2)?;
        let snark = Snark {
            key: self.verifying.name(),
            inputs: inputs.iter().map(Fr::to_bytes).collect(),
            proof: transcript.finalize(),
        };
        self.verifying.verify(&snark)?;
        Ok(snark)
    }
}

impl VerifyingKey {
    /// Verifies a SNARK natively, as the contract does.
    ///
    /// # Errors
    /// If it is for another key, an input is not canonical, or the proof does not hold or has bytes left over.
    pub fn verify(&self, snark: &Snark) -> Result<(), Error> {
        if snark.key != self.name() {
            return Err(Error::Snark("it is for another key"));
        }
        let inputs: Option<Vec<Fr>> = snark
            .inputs
            .iter()
            .map(|input| Option::from(Fr::from_bytes(input)))
            .collect();
        let inputs = inputs.ok_or(Error::Snark("an input is not less than the modulus"))?;
        if inputs.len() != self.inputs {
            return Err(Error::Snark("it has another number of inputs"));
        }
        let params = self.params();
        let mut rest = snark.proof.as_slice();
        let mut transcript: EvmTranscript<G1Affine, NativeLoader, &mut &[u8], Vec<u8>> =
            TranscriptReadBuffer::<_, G1Affine, _>::init(&mut rest);
        let accepted =
            verify_proof::<_, VerifierSHPLONK<'_, Bn256>, _, EvmTranscript<_, _, _, _>, _>(
                &params,
                &self.key,
                AccumulatorStrategy::new(&params),
                &[&[&inputs]],
                &mut transcript,
            )
            .map(VerificationStrategy::<_, VerifierSHPLONK<'_, Bn256>>::finalize);
        drop(transcript);
        match accepted {
            Ok(true) if rest.is_empty() => Ok(()),
            Ok(true) => Err(Error::Snark("it has bytes left over")),
            Ok(false) | Err(_) => Err(Error::Snark("it does not hold")),
        }
    }
}
