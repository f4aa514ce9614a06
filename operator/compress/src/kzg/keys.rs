//! Proving and verifying keys of one circuit over one setup.
//!
//! A key is a function of the circuit's shape and the setup. The verifying half is a few kilobytes, is named by its
//! hash and by where its setup comes from, and needs no setup to verify with. The proving half is gigabytes of what follows
//! from circuit, setup and verifying half by transforms: it is computed when a prover starts and kept in no file.

use std::fmt;
use std::sync::Arc;

use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::halo2_proofs::SerdeFormat;
use halo2_base::halo2_proofs::halo2curves::bn256::{Bn256, G1Affine, G2Affine};
use halo2_base::halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_base::halo2_proofs::plonk::{self, ProvingKey, keygen_pk, keygen_vk};
use halo2_base::halo2_proofs::poly::commitment::ParamsProver;
use halo2_base::halo2_proofs::poly::kzg::commitment::ParamsKZG;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Origin, Setup};
use crate::circuit::Wrap;
use crate::verifier::{Shape, Values};
use crate::{Columns, Error};

/// What the hash of a key begins with.
const DOMAIN: &[u8; 16] = b"froben-snark-02\n";

/// What verifies the SNARK.
#[derive(Clone)]
pub struct VerifyingKey {
    pub(crate) key: plonk::VerifyingKey<G1Affine>,
    pub(crate) inputs: usize,
    columns: Columns,
    origin: Origin,
    tau_g2: G2Affine,
    digest: [u8; 32],
}

/// A verifying key as it is kept.
#[derive(Serialize, Deserialize)]
struct Record {
    ceremony: bool,
    inputs: usize,
    columns: Columns,
    tau_g2: Vec<u8>,
    key: Vec<u8>,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl VerifyingKey {
    fn new(
        key: plonk::VerifyingKey<G1Affine>,
        inputs: usize,
        columns: Columns,
        origin: Origin,
        tau_g2: G2Affine,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(origin.name());
        hash.update(tau_g2.to_raw_bytes());
        hash.update(key.to_bytes(SerdeFormat::Processed));
        Self {
            key,
            inputs,
            columns,
            origin,
            tau_g2,
            digest: hash.finalize().into(),
        }
    }

    /// The key's bytes.
    ///
    /// # Panics
    /// Never: all of it has an encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let record = Record {
            ceremony: self.origin == Origin::Ceremony,
            inputs: self.inputs,
            columns: self.columns.clone(),
            tau_g2: self.tau_g2.to_raw_bytes(),
            key: self.key.to_bytes(SerdeFormat::Processed),
        };
        postcard::to_allocvec(&record).expect("invariant: a key has an encoding")
    }

    /// The key with these bytes, which are trusted: who verifies chooses them.
    ///
    /// # Errors
    /// If they are none of a key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const REFUSED: Error = Error::Shape("the bytes of a verifying key");
        let record: Record = postcard::from_bytes(bytes).map_err(|_| REFUSED)?;
        let mut rest = record.key.as_slice();
        let key = plonk::VerifyingKey::read::<_, Wrap>(
            &mut rest,
            SerdeFormat::Processed,
            record.columns.clone(),
        )
        .map_err(|_| REFUSED)?;
        let tau_g2 = G2Affine::from_raw_bytes(&record.tau_g2).ok_or(REFUSED)?;
        if !rest.is_empty() {
            return Err(REFUSED);
        }
        let origin = match record.ceremony {
            true => Origin::Ceremony,
            false => Origin::Dev,
        };
        Ok(Self::new(
            key,
            record.inputs,
            record.columns,
            origin,
            tau_g2,
        ))
    }

    /// Where the setup under it comes from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Rows of the circuit, base two.
    #[must_use]
    pub const fn k(&self) -> u32 {
        self.columns.k()
    }

    /// How many rows and columns the circuit has.
    #[must_use]
    pub const fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Refuses a key over the dev setup: for verifiers whose verdict counts.
    ///
    /// # Errors
    /// If it is.
    pub fn for_production(self) -> Result<Self, Error> {
        match self.origin() {
            Origin::Ceremony => Ok(self),
            Origin::Dev => Err(Error::DevKey(self.name())),
        }
    }

    /// Refuses a key over a ceremony's setup: for who would make the setup.
    ///
    /// # Errors
    /// If it is.
    pub fn require_dev(&self) -> Result<(), Error> {
        match self.origin() {
            Origin::Dev => Ok(()),
            Origin::Ceremony => Err(Error::Ceremony(self.name())),
        }
    }

    /// The hash that names it.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its name: where its setup comes from, and its hash.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.origin(), hex::encode(self.digest))
    }

    /// The number of public inputs.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// As halo2 takes what a verifier needs of the setup.
    pub(crate) fn params(&self) -> ParamsKZG<Bn256> {
        // The only public way to make parameters from points starts from others.
        ParamsKZG::new(1).from_parts(
            self.k(),
            vec![G1Affine::generator()],
            Some(vec![]),
            G2Affine::generator(),
            self.tau_g2,
        )
    }
}

/// What proves, and what verifies.
pub struct Keys {
    pub(crate) proving: ProvingKey<G1Affine>,
    pub(crate) columns: Columns,
    pub(crate) verifying: VerifyingKey,
    pub(crate) setup: Arc<Setup>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verifying.fmt(f)
    }
}

impl Keys {
    /// Makes the keys of the circuit that verifies proofs of `shape`, in as many rows as the setup is for.
    ///
    /// # Errors
    /// If halo2 cannot make them.
    pub fn generate(shape: &Shape, setup: Arc<Setup>) -> Result<Self, Error> {
        let circuit = blank(shape, setup.k());
        let inputs = circuit.instances().len();
        let params = setup.params();
        let key = keygen_vk(&params, &circuit).map_err(Error::halo2)?;
        let columns = circuit.columns().clone();
        let key = VerifyingKey::new(key, inputs, columns, setup.origin(), setup.tau_g2());
        Self::of(&circuit, &params, key, setup)
    }

    /// The proving key that goes with a verifying key that is known: transforms, and no commitments. That the two go together
    /// shows in the first proof, which is verified before it is handed out.
    ///
    /// # Errors
    /// If circuit or setup are not the key's, as far as their sizes tell, or halo2 cannot make it.
    pub fn proving(shape: &Shape, setup: Arc<Setup>, key: VerifyingKey) -> Result<Self, Error> {
        let fits =
            (setup.origin(), setup.k(), setup.tau_g2()) == (key.origin(), key.k(), key.tau_g2);
        if !fits {
            return Err(Error::Shape("the setup of the key"));
        }
        let circuit = blank(shape, key.k());
        if circuit.columns().counts() != key.columns().counts() {
            return Err(Error::Shape("the circuit of the key"));
        }
        Self::of(&circuit, &setup.params(), key, setup)
    }

    fn of(
        circuit: &Wrap,
        params: &ParamsKZG<Bn256>,
        verifying: VerifyingKey,
        setup: Arc<Setup>,
    ) -> Result<Self, Error> {
        let proving = keygen_pk(params, verifying.key.clone(), circuit).map_err(Error::halo2)?;
        Ok(Self {
            proving,
            columns: circuit.columns_with_break_points(),
            verifying,
            setup,
        })
    }

    /// What verifies.
    #[must_use]
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// How many rows and columns the circuit has.
    #[must_use]
    pub const fn columns(&self) -> &Columns {
        &self.columns
    }
}

/// The circuit with values that do not matter, as keys are made from it.
fn blank(shape: &Shape, k: u32) -> Wrap {
    Wrap::new(shape, &Values::blank(shape), k, CircuitBuilderStage::Keygen)
}
