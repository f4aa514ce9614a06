//! `froben proof`: what a chain needs of a SNARK.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ProofVerb {
    /// Print the call of the verifying contract, in hexadecimal
    #[command(after_help = CALLDATA_AFTER)]
    Calldata(Calldata),
    /// Write the sources of the contracts that accept proofs like this one
    #[command(after_help = SOLIDITY_AFTER)]
    Solidity(Solidity),
}

#[derive(Debug, Args)]
pub(crate) struct Calldata {
    /// The SNARK
    pub(crate) proof: PathBuf,
}

const CALLDATA_AFTER: &str = "\
Example: froben proof calldata proof.bin

It calls verify(uint256[],bytes) of FrobenVerifier, whose one input is the batch's digest. A proof that does \
not hold is refused here already.";

#[derive(Debug, Args)]
pub(crate) struct Solidity {
    /// A SNARK: all proofs with the same parameters have the same contracts
    pub(crate) proof: PathBuf,
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Overwrite files that exist
    #[arg(long)]
    pub(crate) force: bool,
}

const SOLIDITY_AFTER: &str = "\
Example: froben proof solidity proof.bin --out contracts

Halo2Verifier.sol is the arithmetic of one key: compile it without the optimiser and by the legacy pipeline, as other \
ways give contracts that always revert. FrobenVerifier.sol is what is called; its constructor takes the other one's \
address. Both are deployed once for all proofs with the same parameters. ORIGIN says `dev` where the key is over a dev \
setup: such a contract accepts forgeries.";
