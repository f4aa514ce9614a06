//! What the contracts are called with.

use sha3::{Digest, Keccak256};

use crate::kzg::Snark;

/// The outer contract's function.
const SIGNATURE: &[u8] = b"verify(uint256[],bytes)";

/// The call of the outer contract, ABI-encoded.
#[must_use]
pub fn calldata(snark: &Snark) -> Vec<u8> {
    let mut data = Keccak256::digest(SIGNATURE)[..4].to_vec();
    let word = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    // Two offsets, the inputs with their count, the proof with its length, padded to words.
    data.extend(word(64));
    data.extend(word(64 + 32 + 32 * snark.inputs.len()));
    data.extend(word(snark.inputs.len()));
    data.extend(snark.inputs.iter().flat_map(|input| input.iter().rev()));
    data.extend(word(snark.proof.len()));
    data.extend(&snark.proof);
    data.resize((data.len() - 4).next_multiple_of(32) + 4, 0);
    data
}

/// The call of the inner contract.
#[must_use]
pub fn inner_calldata(snark: &Snark) -> Vec<u8> {
    let inputs = snark.inputs.iter().flat_map(|input| input.iter().rev());
    inputs.chain(&snark.proof).copied().collect()
}
