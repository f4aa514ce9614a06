//! The arithmetic of one verifying key as a contract.

use std::rc::Rc;

use halo2_base::halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2_base::halo2_proofs::poly::commitment::ParamsProver;
use snark_verifier::loader::evm::EvmLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAs, KzgDecidingKey, LimbsEncoding};
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::PlonkVerifier;

use crate::Error;
use crate::kzg::VerifyingKey;

/// How accumulators would be split into limbs, if there were any among the inputs: there are none.
type Encoding = LimbsEncoding<3, 88>;
type Verifier = PlonkVerifier<KzgAs<Bn256, Bdfg21>, Encoding>;

/// The Solidity source of the contract `Halo2Verifier` for `key`.
///
/// It is called with inputs and proof one behind the other and nothing else, and reverts unless the proof
/// holds. To be compiled without the optimiser and by the legacy pipeline: others have given contracts
/// that revert always.
///
/// # Errors
/// If the key's constraint system is not one that `snark-verifier` takes.
pub fn inner_contract(key: &VerifyingKey) -> Result<String, Error> {
    let params = key.params();
    let inputs = vec![key.inputs];
    let config = Config::kzg().with_num_instance(inputs.clone());
    let protocol = compile(&params, &key.key, config);
    let deciding: KzgDecidingKey<Bn256> = (params.get_g()[0], params.g2(), params.s_g2()).into();
    let loader = EvmLoader::new::<Fq, Fr>();
    let protocol = protocol.loaded(&loader);
    let mut transcript = EvmTranscript::<G1Affine, Rc<EvmLoader>, _, _>::new(&loader);
    let inputs = transcript.load_instances(inputs);
    let refused = |_| Error::Snark("snark-verifier does not take its key");
    let proof =
        Verifier::read_proof(&deciding, &protocol, &inputs, &mut transcript).map_err(refused)?;
    Verifier::verify(&deciding, &protocol, &inputs, &proof).map_err(refused)?;
    Ok(loader.solidity_code())
}
