//! The final proof as a file, and how it is verified.
//!
//! All a verifier needs is in the file and in this program: the file names the parameters, and the program knows one
//! key for each set.
//!
//! | bytes | |
//! |---|---|
//! | 16 | `froben-final-01` and a line feed |
//! | 1 | the parameters: 0 `standard`, 1 `dev` |
//! | 8 | length of the file that was proved, in bytes, little-endian |
//! | 32 | the hash that names the key |
//! | 32 | the public input, little-endian: the batch's digest |
//! | 4 | length of the SNARK, little-endian |
//! | | the SNARK, as a contract takes it |
//!
//! The length is no part of what is proved: it says into which segments the file falls, so that the statements can be
//! recomputed from the file, and those are what the digest is of.

use froben_circuits::{Params, Statement};
use froben_recursion::aggregate::batch_digest;

use crate::Error;
use crate::evm;
use crate::kzg::{Snark, VerifyingKey};
use crate::last::{DIGEST, digest};
use crate::layer::Val;
use crate::pinned::Pinned;

const MAGIC: &[u8; 16] = b"froben-final-01\n";
/// Of the magic, what is the same in all versions.
const NAME: usize = 14;
const HEAD: usize = MAGIC.len() + 1 + 8 + 32 + 32 + 4;

/// A SNARK that a scheduler's proof with some digest exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalProof {
    params: Params,
    length: u64,
    key: [u8; 32],
    input: [u8; 32],
    proof: Vec<u8>,
}

impl FinalProof {
    /// Bytes of the longest file that is read.
    pub const MAX_BYTES: usize = 16 << 10;

    /// The final proof that `snark` is, under the keys that it was made with.
    ///
    /// # Errors
    /// If it is under others.
    pub fn new(pinned: &Pinned, length: u64, snark: Snark) -> Result<Self, Error> {
        let [input] = snark.inputs[..] else {
            return Err(Error::Shape("a SNARK with one public input"));
        };
        if snark.key != pinned.key.name() {
            return Err(Error::Snark("it is for another key"));
        }
        Ok(Self {
            params: pinned.params,
            length,
            key: pinned.key.digest(),
            input,
            proof: snark.proof,
        })
    }

    /// The parameters of the whole chain.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.params
    }

    /// Bytes of the file that was proved, as the prover says.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The SNARK, under the name of a key.
    #[must_use]
    pub fn snark(&self, key: &VerifyingKey) -> Snark {
        Snark {
            key: key.name(),
            inputs: vec![self.input],
            proof: self.proof.clone(),
        }
    }

    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.proof.len());
        bytes.extend(MAGIC);
        bytes.push(match self.params {
            Params::Standard => 0,
            Params::Dev => 1,
        });
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.key);
        bytes.extend(self.input);
        bytes.extend((self.proof.len() as u32).to_le_bytes());
        bytes.extend(&self.proof);
        bytes
    }

    /// Whether a file with this beginning says that it is a final proof, of whatever version.
    #[must_use]
    pub fn is_one(head: &[u8]) -> bool {
        head.starts_with(&MAGIC[..NAME])
    }

    /// The final proof with these bytes.
    ///
    /// # Errors
    /// [`Error::File`] if they are too many, too few, or not those of a final proof of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        let magic: [u8; 16] = take(&mut rest)?;
        if magic[..NAME] != MAGIC[..NAME] {
            return Err(Error::File("it is no final proof"));
        }
        if magic != *MAGIC {
            return Err(Error::File("it is a final proof of another version"));
        }
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::File("it is longer than a final proof can be"));
        }
        let params = match take::<1>(&mut rest)? {
            [0] => Params::Standard,
            [1] => Params::Dev,
            _ => return Err(Error::File("it has unknown parameters")),
        };
        let length = u64::from_le_bytes(take(&mut rest)?);
        let key = take(&mut rest)?;
        let input = take(&mut rest)?;
        let proof_length = u32::from_le_bytes(take(&mut rest)?);
        if rest.len() < proof_length as usize {
            return Err(Error::File("it ends early"));
        }
        if rest.len() > proof_length as usize {
            return Err(Error::File("it has bytes left over"));
        }
        Ok(Self {
            params,
            length,
            key,
            input,
            proof: rest.to_vec(),
        })
    }

    /// Refuses a proof that proves nothing to who relies on it: under `dev` parameters, or a key over the dev setup.
    ///
    /// # Errors
    /// If it is such a one.
    pub fn for_production(&self) -> Result<(), Error> {
        if self.params == Params::Dev {
            return Err(Error::DevParams);
        }
        Pinned::of(self.params).key.clone().for_production()?;
        Ok(())
    }

    /// Verifies it with the key that is pinned for its parameters; gives the batch's digest. Whether `dev` is good enough is
    /// for [`Self::for_production`] to say.
    ///
    /// # Errors
    /// If it is for another key or does not hold.
    pub fn verify(&self) -> Result<[Val; DIGEST], Error> {
        self.verify_under(Pinned::of(self.params))
    }

    /// Verifies it under keys of the caller's.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_under(&self, pinned: &Pinned) -> Result<[Val; DIGEST], Error> {
        if self.params != pinned.params || self.key != pinned.key.digest() {
            return Err(Error::Snark("it is for another key"));
        }
        pinned.key.verify(&self.snark(&pinned.key))?;
        digest(&self.input).ok_or(Error::Snark("its input is no digest"))
    }

    /// The call of the contract that accepts it, ABI-encoded.
    #[must_use]
    pub fn calldata(&self) -> Vec<u8> {
        evm::calldata(&self.snark(&Pinned::of(self.params).key))
    }

    /// The Solidity sources of the contracts that accept proofs like it: the inner one and the one that is called.
    ///
    /// # Errors
    /// As [`evm::inner_contract`].
    pub fn contracts(&self) -> Result<[String; 2], Error> {
        let key = &Pinned::of(self.params).key;
        let outer = evm::outer_contract(key, self.proof.len());
        Ok([evm::inner_contract(key)?, outer])
    }

    /// Verifies it, and that it is about just these segments, in their order; gives their digest.
    ///
    /// # Errors
    /// If it does not hold, a statement is none, or it is about others.
    pub fn verify_statements(&self, statements: &[Statement]) -> Result<[Val; DIGEST], Error> {
        let expected =
            batch_digest(statements).map_err(|error| Error::Statement(error.to_string()))?;
        let digest = self.verify()?;
        if digest != expected {
            return Err(Error::Snark("it is about other segments"));
        }
        Ok(digest)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (head, tail) = rest
        .split_first_chunk()
        .ok_or(Error::File("it ends early"))?;
    *rest = tail;
    Ok(*head)
}
