//! The contract that a caller calls.

use crate::kzg::VerifyingKey;

/// The Solidity source of the contract `FrobenVerifier` for `key`, whose proofs have `proof_length` bytes. Its
/// constructor takes the address of the inner contract.
///
/// `verify(uint256[] inputs, bytes proof)` is true if the proof holds, false if it does not, and reverts on
/// what no proof could be: another number of inputs, an input that is not less than r, another length. `KEY` is the hash
/// that names the key, and `ORIGIN` says where its setup comes from: `dev` is worth nothing.
#[must_use]
pub fn outer_contract(key: &VerifyingKey, proof_length: usize) -> String {
    let digest = hex::encode(key.digest());
    let (origin, inputs) = (key.origin(), key.inputs());
    format!(
        r#"// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.19;

contract FrobenVerifier {{
    uint256 private constant R =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;
    bytes32 public constant KEY = 0x{digest};
    string public constant ORIGIN = "{origin}";
    address public immutable inner;

    error NoCode(address inner);
    error InputCount(uint256 count);
    error InputTooLarge(uint256 index);
    error ProofLength(uint256 length);

    constructor(address inner_) {{
        if (inner_.code.length == 0) revert NoCode(inner_);
        inner = inner_;
    }}

    function verify(uint256[] calldata inputs, bytes calldata proof) external view returns (bool holds) {{
        if (inputs.length != {inputs}) revert InputCount(inputs.length);
        for (uint256 i = 0; i < inputs.length; i++) {{
            if (inputs[i] >= R) revert InputTooLarge(i);
        }}
        if (proof.length != {proof_length}) revert ProofLength(proof.length);
        // A call of an address without code succeeds, so it is looked at each time.
        if (inner.code.length == 0) revert NoCode(inner);
        (holds, ) = inner.staticcall(abi.encodePacked(inputs, proof));
    }}
}}
"#
    )
}
